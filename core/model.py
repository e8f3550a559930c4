"""GVMGen as one module: feature transformation and decoder, with the loss they are trained by.

The frozen vision encoder runs once per film outside of it (its features are data), and the codec turns codes into
audio after it, so this is exactly what is trained. Generation lives in `core.engine`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import ModelConfig
from core.decoder import Decoder, Picture
from core.features import FeatureTransformation
from core.patterns import delay, predicted


class GVMGen(nn.Module):
    """Trained parts of the model."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.features = FeatureTransformation(config.features)
        self.decoder = Decoder(config.decoder, config.features.out_channels)

    def condition(self, patches: Tensor) -> Tensor:
        """What the decoder is conditioned on: patches [B, F, P, C] -> [B, F, out] (pooling none: [B, F * Q, out])."""
        condition: Tensor = self.features(patches)
        return condition

    def picture(self, patches: Tensor, frame_times: Tensor, present: Tensor) -> Picture:
        """What the decoder reads of patches [B, F, P, C] shown at frame_times [B, F]; present [B, F]."""
        vectors = self.config.features.vectors  # pooling none: all vectors of a frame share its time
        return self.decoder.picture(
            self.features(patches), frame_times.repeat_interleave(vectors, 1), present.repeat_interleave(vectors, 1)
        )

    def loss(
        self, patches: Tensor, frame_times: Tensor, present: Tensor, codes: Tensor, valid: Tensor,
        control: Tensor | None, step_times: Tensor, tail: bool = True,
    ) -> Tensor:  # fmt: skip
        """Cross-entropy per stream [K], in nats: mean over the codes of each stream that count.

        codes [B, K, T], see `forward`; valid [B, T] bool: which count; control [B, S, ...] and step_times [B, S] with
        S = T + longest delay. tail: see `patterns.predicted`.
        """
        counted = predicted(valid, self.config.decoder.delays, tail)
        sums: Tensor = self(patches, frame_times, present, codes, counted, control, step_times)
        return sums / counted.sum(dim=(0, 2)).clamp(min=1)

    def forward(
        self, patches: Tensor, frame_times: Tensor, present: Tensor, codes: Tensor, counted: Tensor,
        control: Tensor | None, step_times: Tensor,
    ) -> Tensor:  # fmt: skip
        """Summed cross-entropy per stream [K], in nats, of the codes that are `counted` [B, K, T].

        codes [B, K, T], -1 after a window's end: there the streams that lag read `special`, as they do in generation,
        however long the batch is.
        """
        config = self.config.decoder
        sequence = delay(codes.where(codes >= 0, config.special), config.delays, config.special)
        codes = codes.clamp(min=0)
        picture = self.picture(patches, frame_times, present)
        logits = self.decoder(sequence[..., :-1], picture, control, step_times)
        losses = []
        steps = codes.shape[-1]
        for stream, lag in enumerate(config.delays):
            each = F.cross_entropy(
                logits[:, stream, lag : lag + steps].float().transpose(1, 2), codes[:, stream], reduction="none"
            )
            losses.append((each * counted[:, stream]).sum())
        return torch.stack(losses)
