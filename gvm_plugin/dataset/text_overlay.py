"""How much text lies over a picture: captions, titles, credits. By rule and without weights; pictures one by one.

Letters of an overlay are strokes of one brightness that stand out of what is around them, and they stand in rows.
A picture is taken at a short side of 480 pixels, its strokes are found in both polarities, and what is left after
each test is counted:

    strokes    brighter (darker) than all around them within 19 pixels: white (black) top-hat above `MIN_CONTRAST`
    letters    connected strokes 8..70 pixels high, of even brightness, neither solid nor sparse
    rows       letters of like height and brightness on one line, at most 1.1 heights apart; at least `MIN_ROW`

Signs and number plates in the scene are text too, as far as rows go; they seldom make as many letters as a caption.
What is missed: handwriting whose letters run together, letters in colours of the same brightness as the picture,
letters below 1/60 of the short side, two or three big letters. The figures are in docs/dataset.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from gvm_plugin.timeline import Span

SHORT_SIDE: Final = 480  # pixels
REACH: Final = 19  # pixels; strokes are thinner
MIN_CONTRAST: Final = 60  # of 255
HEIGHTS: Final = (8, 70)  # pixels of a letter
WIDEST: Final = 2.5  # a letter, or two that touch, by its height
FILLED: Final = (0.18, 0.92)  # share of a letter's box
MIN_STRENGTH: Final = 80.0  # mean contrast of a letter's strokes
MIN_ROW: Final = 5  # letters
MAX_GAP: Final = 1.1  # between letters of a row, by height
MAX_STEP: Final = 0.3  # between the middles or feet of letters of a row, by height
MAX_OTHER_HEIGHT: Final = 1.9
MAX_OTHER_GREY: Final = 30.0

MUCH_LETTERS: Final = 8  # a picture with so many letters in rows has text over it
FPS: Final = 1  # pictures a second that are looked at
MIN_SECONDS: Final = 2.0  # of text; less is a flash or a mistake
BRIDGE_SECONDS: Final = 3.0  # between two captions

Grey = npt.NDArray[np.uint8]  # [H, W]


@dataclass(frozen=True)
class Row:
    """Letters on one line: their number, and the box around them in pixels of the picture that was given."""

    letters: int
    left: float
    top: float
    right: float
    bottom: float


def find_rows(grey: Grey) -> list[Row]:
    """The rows of letters in a picture [H, W], as large as the film shows it."""
    scale = min(1.0, SHORT_SIDE / min(grey.shape))
    if scale < 1:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    rows = []
    for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        letters = _letters(grey, kind)
        for index in _chains(letters):
            box = letters[index]
            left, top = box[:, 0].min(), box[:, 1].min()
            right, bottom = (box[:, 0] + box[:, 2]).max(), (box[:, 1] + box[:, 3]).max()
            rows.append(Row(len(index), *(float(value) / scale for value in (left, top, right, bottom))))
    return rows


def count_letters(grey: Grey) -> int:
    """How many letters in rows a picture [H, W] has."""
    return sum(row.letters for row in find_rows(grey))


def find_spans(letters: Sequence[int], duration: float) -> tuple[Span, ...]:
    """Where there is text over the picture, from the letters of each second: gaps bridged, flashes dropped."""
    spans: list[Span] = []
    for second, count in enumerate(letters):
        if count < MUCH_LETTERS or second >= duration:
            continue
        start, end = second / FPS, min(duration, (second + 1) / FPS)
        if spans and start - spans[-1].end <= BRIDGE_SECONDS:
            spans[-1] = Span(spans[-1].start, end)
        else:
            spans.append(Span(start, end))
    return tuple(span for span in spans if span.duration >= min(MIN_SECONDS, duration))


def _letters(grey: Grey, kind: int) -> npt.NDArray[np.float64]:
    """What may be letters, [N, 5]: left, top, width, height, mean brightness; strokes by top-hat or black-hat."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (REACH, REACH))
    contrast = cv2.morphologyEx(grey, kind, kernel)
    strokes = (contrast > MIN_CONTRAST).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=4)
    left, top, width, height, area = stats.T.astype(np.float64)
    inside = np.flatnonzero(strokes)
    of = labels.ravel()[inside]
    mean = np.bincount(of, grey.ravel()[inside], count) / area
    strength = np.bincount(of, contrast.ravel()[inside], count) / area
    filled = area / (width * height)
    slim = 2.5 * width < height  # l, i, 1: solid boxes
    keep = (height >= HEIGHTS[0]) & (height <= HEIGHTS[1]) & (width <= WIDEST * height) & (width >= 2)
    keep &= (slim | (filled <= FILLED[1])) & (filled >= FILLED[0]) & (strength >= MIN_STRENGTH)
    keep[0] = False  # the background
    return np.asarray(np.stack([left, top, width, height, mean], axis=1)[keep], np.float64)


def _chains(letters: npt.NDArray[np.float64]) -> list[npt.NDArray[np.intp]]:
    """Indices of letters that stand in a row, for each row of at least `MIN_ROW`."""
    if len(letters) < MIN_ROW:
        return []
    letters_in = letters[:, 0].argsort(kind="stable")
    left, top, width, height, mean = letters[letters_in].T
    right, middle, foot = left + width, top + height / 2, top + height
    tall = np.maximum(height[:, None], height[None, :])
    near = left[None, :] - right[:, None]
    linked = (near <= MAX_GAP * tall) & (near >= -0.3 * tall) & (left[None, :] > left[:, None])
    linked &= tall <= MAX_OTHER_HEIGHT * np.minimum(height[:, None], height[None, :])
    level = np.minimum(abs(middle[:, None] - middle[None, :]), abs(foot[:, None] - foot[None, :]))
    linked &= level <= MAX_STEP * tall
    linked &= abs(mean[:, None] - mean[None, :]) <= MAX_OTHER_GREY
    # each letter goes on with the nearest one to its right, so that a row doesn't branch into what is around it
    distance = np.where(linked, near, np.inf)
    following = distance.argmin(axis=1)
    has = np.isfinite(distance.min(axis=1))
    chain = np.full(len(left), -1)
    for index in range(len(left)):
        if chain[index] < 0:
            chain[index] = index
        if has[index] and chain[following[index]] < 0:
            chain[following[index]] = chain[index]
    chains = [np.flatnonzero(chain == name) for name in np.unique(chain)]
    return [letters_in[index] for index in chains if len(index) >= MIN_ROW and _even(height[index])]


def _even(heights: npt.NDArray[np.float64]) -> bool:
    """Are the letters of a row about as high as each other? Small and capital letters are, leaves and stones aren't."""
    return float(heights.std() / heights.mean()) < 0.35
