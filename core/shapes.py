"""Shape letters used in every docstring of `core`, and the rates that tie frames, codes and samples together.

    B  batch            F  picture frames       P  patches or tokens of a frame     C  channels of a patch
    D  model width      H  attention heads      K  code streams (codebooks)         V  cardinality of a stream
    T  code steps       S  sequence steps of the delay pattern, T + longest delay   Q  music queries
    N  audio samples    R  rows of the decoding batch
"""

from __future__ import annotations

from fractions import Fraction

MUSIC_RATE = 48_000  # Hz, of all music gvm delivers
ENCODEC_RATE = 32_000  # Hz, EnCodec of MusicGen
ENCODEC_HOP = 640  # samples a code step: 8 * 5 * 4 * 4, the strides of its encoder


def exact_div(whole: int, part: int) -> int:
    """`whole / part`, which must be whole."""
    quotient, rest = divmod(whole, part)
    if rest:
        raise ValueError(f"{whole} is not a multiple of {part}")
    return quotient


ENCODEC_CODE_RATE = exact_div(ENCODEC_RATE, ENCODEC_HOP)  # 50 code steps a second
WINDOW_SECONDS = Fraction(30)  # picture that the model sees at once (paper, section "Implementation details")
PROMPT_SECONDS = Fraction(10)  # music carried from the window before (docs/log.md)
