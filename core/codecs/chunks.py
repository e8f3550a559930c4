"""How long sound goes through EnCodec's convolutions piece by piece with the very result of going through at once.

Every convolution of the codec (SEANet, arXiv 2210.13438) looks only a few steps to each side, so a piece with that
many steps more at both ends, which are thrown away afterwards, is exact. Its LSTM remembers everything and can't be
cut; it runs over the whole sequence, handing its state on, which at 50 steps a second costs next to nothing.

            |<-context->|<------- piece ------->|<-context->|
    ...=====|===========|#######################|===========|=====...      the ends of the whole have no context
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from core.config import CodecConfig

# Beyond what the kernels reach: the reflection at the end of the sound must find enough sound to reflect.
_SPARE_STEPS = 2


@dataclass(frozen=True)
class Piece:
    """Steps [start, stop) of the whole, read from the longer [first, last)."""

    start: int
    stop: int
    first: int
    last: int


def pieces(total: int, length: int, context: int) -> Iterator[Piece]:
    """Pieces of at most `length` steps that cover `total` steps in order; context is cut at both ends of the whole."""
    for start in range(0, total, length):
        stop = min(start + length, total)
        yield Piece(start, stop, max(0, start - context), min(total, stop + context))


def decoder_context(config: CodecConfig) -> int:
    """Steps of each side that a step of sound depends on, from after the decoder's LSTM on."""
    reach = _reach(config.last_kernel_size)
    for ratio in reversed(config.ratios):
        reach += _residual_reach(config)
        reach = math.ceil(reach / ratio) + 1  # a transposed kernel of two strides
    return reach + _SPARE_STEPS


def encoder_context(config: CodecConfig) -> int:
    """Steps of sound (of `config.hop` samples) of each side that a step before the encoder's LSTM depends on."""
    reach = 0
    for ratio in config.ratios:
        reach = reach * ratio + math.ceil(ratio / 2) + _residual_reach(config)  # a kernel of two strides
    return math.ceil((reach + _reach(config.kernel_size)) / config.hop) + _SPARE_STEPS


def _reach(kernel: int, dilation: int = 1) -> int:
    return math.ceil((kernel - 1) * dilation / 2)


def _residual_reach(config: CodecConfig) -> int:
    return sum(
        _reach(config.residual_kernel_size, config.dilation_base**layer) for layer in range(config.residual_layers)
    )
