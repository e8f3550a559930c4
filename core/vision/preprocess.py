"""A frame as the vision towers want it: shorter side scaled, centre cut out, values normalised. One frame at a time.

Both are the towers' own published transforms, computed on 8-bit pictures as they were in training: the rounding to
8 bits after scaling is part of them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms import functional as pictures
from torchvision.transforms.functional import InterpolationMode

from core.vision.picture import FrameArray

# Mean and standard deviation of CLIP's training pictures, red, green, blue (arXiv 2103.00020, its published code).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
VIVIT_MARGIN = 256 / 224  # ViViT cuts 224 pixels out of a picture whose shorter side is 256


def preprocess(rgb: FrameArray, resolution: int) -> Tensor:
    """CLIP's view [3, resolution, resolution], float32, of a frame [H, W, 3] RGB."""
    values = _square(rgb, resolution, resolution, InterpolationMode.BICUBIC).float() / 255
    return (values - _channels(CLIP_MEAN)) / _channels(CLIP_DEVIATION)


def preprocess_vivit(rgb: FrameArray, resolution: int) -> Tensor:
    """ViViT's view [3, resolution, resolution], float32 in -1..1, of a frame [H, W, 3] RGB."""
    shorter_side = round(resolution * VIVIT_MARGIN)
    return _square(rgb, shorter_side, resolution, InterpolationMode.BILINEAR).float() / 127.5 - 1


def _square(rgb: FrameArray, shorter_side: int, resolution: int, interpolation: InterpolationMode) -> Tensor:
    """Uint8 [3, resolution, resolution] out of the middle of the frame scaled to `shorter_side`."""
    picture = pictures.resize(pictures.to_pil_image(rgb), [shorter_side], interpolation)
    values: Tensor = pictures.pil_to_tensor(pictures.center_crop(picture, [resolution]))
    return values


def _channels(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values)[:, None, None]
