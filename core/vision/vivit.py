"""ViViT's video tower (arXiv 2103.15691) through transformers: the paper's ablation with a video encoder.

It reads 32 frames together; each of its tokens spans a patch of the picture and a tubelet of two frames. The tokens
of one tubelet in time are given back as one moment, the clip's class token before them, so that the feature
transformation reads them as it reads CLIP's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.config import TowerConfig
from core.errors import ModelError
from core.vision.picture import FrameArray
from core.vision.preprocess import normalise_vivit, preprocess_vivit
from core.vision.tower import Tower


class VivitTower(Tower):
    """Frames [n * frames_at_once, 3, R, R] in -1..1 -> tokens [n * frames_at_once / tubelet, 1 + P, W]."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__(config)
        from transformers import VivitConfig, VivitModel

        geometry = VivitConfig(
            image_size=config.resolution, num_frames=config.frames_at_once,
            tubelet_size=[config.tubelet, config.patch, config.patch], hidden_size=config.width,
            num_hidden_layers=config.layers, num_attention_heads=config.heads, intermediate_size=4 * config.width,
        )  # fmt: skip
        self.model = VivitModel(geometry, add_pooling_layer=False)
        self.requires_grad_(False)

    def preprocess(self, rgb: FrameArray) -> Tensor:
        """ViViT's view [3, R, R] of a frame [H, W, 3] RGB."""
        return preprocess_vivit(rgb, self.config.resolution)

    def normalise(self, pictures: Tensor) -> Tensor:
        """ViViT's view of cropped pictures uint8 [..., 3, R, R]."""
        return normalise_vivit(pictures)

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Tokens of every moment, after the tower's last norm, in single precision."""
        clips = frames.to(next(self.parameters()).dtype).reshape(-1, self.config.frames_at_once, *frames.shape[1:])
        hidden: Tensor = self.model(pixel_values=clips).last_hidden_state.float()
        moments = self.config.frames_at_once // self.config.tubelet
        patches = hidden[:, 1:].reshape(len(hidden), moments, self.config.patches, -1)
        whole_clip = hidden[:, None, :1].expand(-1, moments, -1, -1)
        return torch.cat([whole_clip, patches], dim=2).flatten(0, 1)


def read_vivit(name: str) -> VivitTower:
    """The video tower of a folder or hub name in the transformers format, such as google/vivit-b-16x2.

    ModelError where there is none, or where its feed-forward layers aren't four times its width.
    """
    from transformers import VivitModel

    try:
        model = VivitModel.from_pretrained(name, add_pooling_layer=False)
    except (OSError, ValueError) as err:
        reason = " ".join(str(err).split())[:160]
        raise ModelError(f"{name}: no ViViT model can be read there ({reason}); give its folder") from err
    given = model.config
    tubelet, patch, across = given.tubelet_size
    if given.intermediate_size != 4 * given.hidden_size or patch != across or not isinstance(given.image_size, int):
        raise ModelError(f"{name}: a ViViT of unusual shape; use google/vivit-b-16x2 or one of its geometry")
    config = TowerConfig(
        given.hidden_size, given.num_hidden_layers, given.num_attention_heads, patch, given.image_size,
        given.num_frames, tubelet,
    )  # fmt: skip
    tower = VivitTower(config)
    tower.model = model
    return tower.place("cpu", torch.float32)
