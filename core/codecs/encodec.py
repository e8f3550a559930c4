"""EnCodec (arXiv 2210.13438) from transformers: codes [B, K, T] <-> sound [B, C, N], as long as it may be.

K codebooks, T steps, C channels, N = T * config.hop samples at config.sample_rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from core.codecs.chunks import decoder_context, encoder_context, pieces
from core.codecs.encodec_files import build, check_state
from core.config import CodecConfig
from core.errors import ModelError

# Steps (50 a second) that go through the convolutions at once, all items of the batch together: memory grows with
# it (about 3 MB a step at 64 filters), speed hardly.
PIECE_STEPS = 250
LSTM_STEPS = 1500


class Encodec:
    """EnCodec with given weights, ready to encode and decode; nothing of it is trained.

    config: its geometry. state: state dict in transformers' names (see `core.codecs.encodec_files`).
    dtype: of weights and arithmetic; codes are always found in float32. Raises ModelError where names or shapes
    don't fit the config.
    """

    def __init__(
        self,
        config: CodecConfig,
        state: Mapping[str, Tensor],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        check_state(config, state)
        self.config = config
        self.device = torch.device(device)
        self.dtype = dtype
        model: Any = build(config)  # Any: its submodules are typed by what they share only
        model.load_state_dict(dict(state))
        model.requires_grad_(False).eval().to(self.device)
        self._encoder, self._decoder = model.encoder.to(dtype), model.decoder.to(dtype)
        self._quantizer = model.quantizer  # stays float32: the nearest code is a matter of small differences
        self._context = decoder_context(config)

    @torch.inference_mode()
    def decode(self, codes: Tensor, piece_steps: int = PIECE_STEPS) -> Tensor:
        """Sound [B, C, T * hop] float32, on the codec's device, of codes [B, K, T] (K may be fewer than it has).

        Nothing is trimmed or clipped. Raises ModelError where the codes aren't of this codec.
        """
        self._check_codes(codes)
        batch, _, steps = codes.shape
        hop = self.config.hop
        sound = torch.zeros(batch, self.config.channels, steps * hop, device=self.device)
        if not steps or not batch:
            return sound
        with parametrize.cached():  # the weight norms once, not once a piece
            first, lstm, *rest = self._decoder.layers
            hidden = _remember(lstm, first(self.latent(codes).to(self.dtype)))
            for piece in pieces(steps, max(1, piece_steps // batch), self._context):
                part = hidden[..., piece.first : piece.last]
                for layer in rest:
                    part = layer(part)
                begin, length = (piece.start - piece.first) * hop, (piece.stop - piece.start) * hop
                sound[..., piece.start * hop : piece.stop * hop] = part[..., begin : begin + length]
        return sound

    @torch.inference_mode()
    def encode(self, sound: Tensor, piece_steps: int = PIECE_STEPS) -> Tensor:
        """Codes [B, K, ceil(N / hop)] int64 of sound [B, C, N] at the codec's rate."""
        latent = self.encode_latent(sound, piece_steps).float()
        codes: Tensor = self._quantizer.encode(latent)
        return codes.transpose(0, 1)

    @torch.inference_mode()
    def encode_latent(self, sound: Tensor, piece_steps: int = PIECE_STEPS) -> Tensor:
        """Latent [B, dimension, ceil(N / hop)] of sound [B, C, N], before it is quantised."""
        if sound.ndim != 3 or sound.shape[1] != self.config.channels or not sound.shape[2]:
            raise ModelError(f"the codec needs sound [B, {self.config.channels}, N], not {list(sound.shape)}")
        batch, _, samples = sound.shape
        hop, steps = self.config.hop, -(-samples // self.config.hop)
        sound = sound.to(self.device, self.dtype)
        *convolutions, lstm, activation, last = self._encoder.layers
        hidden = []
        with parametrize.cached():
            for piece in pieces(steps, max(1, piece_steps // batch), encoder_context(self.config)):
                part = sound[..., piece.first * hop : piece.last * hop]
                for layer in convolutions:
                    part = layer(part)
                hidden.append(part[..., piece.start - piece.first : piece.stop - piece.first])
            latent: Tensor = last(activation(_remember(lstm, torch.cat(hidden, dim=-1))))
        return latent

    @torch.inference_mode()
    def latent(self, codes: Tensor) -> Tensor:
        """Latent [B, dimension, T] that codes [B, K, T] stand for: the sum of their codebook entries."""
        self._check_codes(codes)
        latent: Tensor = self._quantizer.decode(codes.to(self.device).transpose(0, 1))
        return latent

    def _check_codes(self, codes: Tensor) -> None:
        config = self.config
        if codes.ndim != 3 or not 1 <= codes.shape[1] <= config.codebooks:
            raise ModelError(f"the codec has {config.codebooks} codebooks: codes {list(codes.shape)} aren't for it")
        low, high = (int(codes.min()), int(codes.max())) if codes.numel() else (0, 0)
        if low < 0 or high >= config.card:
            raise ModelError(f"codes run from {low} to {high}, but this codec's codebooks have {config.card} entries")


def _remember(layer: Any, hidden: Tensor) -> Tensor:
    """What an LSTM layer of the codec makes of hidden [B, C, T]: in stretches, each from the state the last one left.

    At once it would keep all its gates of all steps: four times the size of `hidden`.
    """
    out, state = torch.empty_like(hidden), None
    for start in range(0, hidden.shape[-1], LSTM_STEPS):
        stretch = slice(start, start + LSTM_STEPS)
        steps = hidden[..., stretch].permute(2, 0, 1).contiguous()
        remembered, state = layer.lstm(steps, state)
        out[..., stretch] = (remembered + steps).permute(1, 2, 0)
    return out
