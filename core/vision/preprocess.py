"""A frame as the vision towers want it: shorter side scaled, centre cut out, values normalised. One frame at a time.

Both are the towers' own published transforms, computed on 8-bit pictures as they were in training: the rounding to
8 bits after scaling is part of them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms import functional as transforms
from torchvision.transforms.functional import InterpolationMode

from core.vision.picture import FrameArray

# Mean and standard deviation of CLIP's training pictures, red, green, blue (arXiv 2103.00020, its published code).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
VIVIT_MARGIN = 256 / 224  # ViViT cuts 224 pixels out of a picture whose shorter side is 256


def preprocess(rgb: FrameArray, resolution: int) -> Tensor:
    """CLIP's view [3, resolution, resolution], float32, of a frame [H, W, 3] RGB."""
    return normalise_clip(crop_clip(rgb, resolution))


def crop_clip(rgb: FrameArray, resolution: int) -> Tensor:
    """The part of a frame that CLIP sees, uint8 [3, resolution, resolution]: a quarter of the bytes of its view."""
    return _square(rgb, resolution, resolution, InterpolationMode.BICUBIC)


def normalise_clip(pictures: Tensor) -> Tensor:
    """CLIP's view, float32, of cropped pictures [..., 3, R, R]."""
    device = pictures.device
    return (pictures.float() / 255 - _channels(CLIP_MEAN).to(device)) / _channels(CLIP_DEVIATION).to(device)


def preprocess_vivit(rgb: FrameArray, resolution: int) -> Tensor:
    """ViViT's view [3, resolution, resolution], float32 in -1..1, of a frame [H, W, 3] RGB."""
    return normalise_vivit(crop_vivit(rgb, resolution))


def crop_vivit(rgb: FrameArray, resolution: int) -> Tensor:
    """The part of a frame that ViViT sees, uint8 [3, resolution, resolution]."""
    return _square(rgb, round(resolution * VIVIT_MARGIN), resolution, InterpolationMode.BILINEAR)


def normalise_vivit(pictures: Tensor) -> Tensor:
    """ViViT's view, float32 in -1..1, of cropped pictures [..., 3, R, R]."""
    return pictures.float() / 127.5 - 1


def _square(rgb: FrameArray, shorter_side: int, resolution: int, interpolation: InterpolationMode) -> Tensor:
    """Uint8 [3, resolution, resolution] out of the middle of the frame scaled to `shorter_side`."""
    picture = transforms.resize(transforms.to_pil_image(rgb), [shorter_side], interpolation)
    values: Tensor = transforms.pil_to_tensor(transforms.center_crop(picture, [resolution]))
    return values


def _channels(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values)[:, None, None]
