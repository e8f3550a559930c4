"""Is a film another one under a new name? By what its pictures look like, second by second.

One 64-bit hash a second: signs of the low frequencies of the grey picture (32 x 32, discrete cosine transform), so
another size, codec, container or sound changes few bits. Two films are the same if, at one offset in time, at least
`MIN_SECONDS` seconds that tell something are alike and make `MIN_SHARE` of the seconds in which both run.

Caught: copies re-encoded, scaled, trimmed, with other sound or another rate of pictures. Not caught: mirrored,
heavily cropped or speeded-up copies, other cuts of the same material, and what two films share only in part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

MAX_BITS: Final = 10  # that may differ between two pictures that are alike
MIN_SECONDS: Final = 8
MIN_SHARE: Final = 0.6
EMPTY: Final = 0  # hash of a second that tells nothing (black, one colour)
MIN_CONTRAST: Final = 6.0  # standard deviation of grey, 0..255

Hashes = npt.NDArray[np.uint64]


def picture_hash(grey: npt.NDArray[np.uint8]) -> int:
    """64 bits that stand for how a grey picture [H, W] looks; `EMPTY` where there is nothing to see."""
    import cv2

    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    if float(small.std()) < MIN_CONTRAST:
        return EMPTY
    low = cv2.dct(small)[:8, :8].ravel()
    low[0] = 0.0  # brightness alone says nothing
    bits = low > np.median(low)
    return int(sum(1 << index for index, bit in enumerate(bits.tolist()) if bit)) or 1


def same_film(one: Hashes, other: Hashes) -> bool:
    """Do two films, one hash a second each, show the same at one offset in time?"""
    if min(len(one), len(other)) < MIN_SECONDS:
        return False
    told_one, told_other = np.flatnonzero(one != EMPTY), np.flatnonzero(other != EMPTY)
    if len(told_one) < MIN_SECONDS or len(told_other) < MIN_SECONDS:
        return False
    differ = (64 - _signs(one[told_one]) @ _signs(other[told_other]).T) / 2
    at, against = np.nonzero(differ <= MAX_BITS)
    if len(at) < MIN_SECONDS:
        return False
    offsets = told_other[against] - told_one[at]
    # a picture a second of two rates falls between two seconds now and then: neighbouring offsets count together
    low = int(offsets.min())
    counts = np.bincount(offsets - low, minlength=1)
    near = np.convolve(counts, np.ones(2, int))
    for best in np.argsort(near)[::-1][:3].tolist():
        offset = best + low - 1
        mine = (offsets == offset) | (offsets == offset + 1)
        alike = len(np.unique(at[mine]))
        together = ((told_one + offset >= 0) & (told_one + offset < len(other))).sum()
        different_looks = len(np.unique(one[told_one[at[mine]]]))
        if alike >= MIN_SECONDS and alike >= MIN_SHARE * together and different_looks >= MIN_SECONDS // 2:
            return True
    return False


def _signs(hashes: Hashes) -> npt.NDArray[np.float32]:
    """The bits of hashes [S] as -1 and 1, [S, 64]: products of such rows count the bits that are alike."""
    bits = np.unpackbits(hashes.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1)
    return bits.astype(np.float32) * 2 - 1


def pack(hashes: Sequence[int]) -> str:
    """Hashes as hex digits, for a record."""
    return "".join(f"{value:016x}" for value in hashes)


def unpack(text: str) -> Hashes:
    """Hashes [S] of what `pack` wrote."""
    return np.array([int(text[at : at + 16], 16) for at in range(0, len(text), 16)], np.uint64)
