"""Shape letters used in every docstring of `core`, rates that tie frames, codes and samples together, state dicts'
shapes compared.

    B  batch            F  picture frames       P  patches or tokens of a frame     C  channels of a patch
    D  model width      H  attention heads      K  code streams (codebooks)         V  cardinality of a stream
    T  code steps       S  sequence steps of the delay pattern, T + longest delay   Q  music queries
    N  audio samples    R  rows of the decoding batch
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from core.errors import ModelError

MUSIC_RATE = 48_000  # Hz, of all music gvm delivers
ENCODEC_RATE = 32_000  # Hz, EnCodec of MusicGen
ENCODEC_HOP = 640  # samples a code step: 8 * 5 * 4 * 4, the strides of its encoder


Shapes = Mapping[str, tuple[int, ...]]  # of the tensors of a state dict, by name


def exact_div(whole: int, part: int) -> int:
    """`whole / part`, which must be whole."""
    quotient, rest = divmod(whole, part)
    if rest:
        raise ValueError(f"{whole} is not a multiple of {part}")
    return quotient


ENCODEC_CODE_RATE = exact_div(ENCODEC_RATE, ENCODEC_HOP)  # 50 code steps a second
WINDOW_SECONDS = Fraction(30)  # picture that the model sees at once (paper, section "Implementation details")
PROMPT_SECONDS = Fraction(10)  # music carried from the window before (docs/log.md)


def account(have: Shapes, wanted: Shapes, what: str) -> None:
    """ModelError beginning with `what` that lists missing, left-over and misshapen names, unless all is as wanted."""
    misshapen = [
        f"{name} {have[name]} for {wanted[name]}" for name in wanted if name in have and have[name] != wanted[name]
    ]
    wrong = {
        "missing": [name for name in wanted if name not in have],
        "left over": [name for name in have if name not in wanted],
        "of another shape": misshapen,
    }
    if any(wrong.values()):
        raise ModelError(f"{what}: " + "; ".join(f"{kind} {_list(names)}" for kind, names in wrong.items() if names))


def _list(names: list[str], most: int = 8) -> str:
    """How many, and the first of them."""
    return f"{len(names)} ({', '.join(names[:most])}{', ...' * (len(names) > most)})"
