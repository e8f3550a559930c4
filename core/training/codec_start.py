"""First weights of a codec: every convolution scaled so that what goes through it keeps its size.

EnCodec's convolutions as they come shrink a sound to latents that hardly vary, and hundreds of steps pass before they
do. This is weight normalisation's own start from data (arXiv 1602.07868, section 3).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def start_from_data(model: nn.Module, sound: Tensor) -> None:
    """Scale the convolutions of transformers' EnCodec `model` by what sound [B, C, N] becomes on its way.

    Every convolution's output gets mean 0 and deviation 1 on this sound, the last one's the sound's own deviation.
    """
    whole: Any = model
    last = whole.decoder.layers[-1]
    convolutions = [m for side in (whole.encoder, whole.decoder) for m in side.modules() if hasattr(m, "padding_total")]

    def rescale(module: Any, _: object, out: Tensor) -> Tensor:
        mean = out.mean(dim=(0, 2)) if out.shape[1] > 1 else out.mean()[None]
        centred = out - mean[:, None]
        scale = (sound.std() if module is last else 1.0) / centred.std().clamp(min=1e-6)
        module.conv.parametrizations.weight.original0.mul_(scale)
        module.conv.bias.sub_(mean).mul_(scale)
        return centred * scale

    hooks = [module.register_forward_hook(rescale) for module in convolutions]
    try:
        whole.decoder(whole.encoder(sound))
    finally:
        for hook in hooks:
            hook.remove()
