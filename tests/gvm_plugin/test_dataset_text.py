"""Captions are seen, pictures without any aren't taken for text."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from gvm_plugin.dataset.text_overlay import MUCH_LETTERS, count_letters, find_rows, find_spans
from gvm_plugin.timeline import Span

CAPTIONS = ("we walked along the river", "NOBODY KNEW HIS NAME", "Tomorrow, at nine o'clock sharp")


def with_caption(grey: npt.NDArray[np.uint8], text: str, size: float = 0.06) -> npt.NDArray[np.uint8]:
    """A picture with an outlined caption of letters `size` of its height."""
    image = grey.copy()
    scale = size * image.shape[0] / 22
    thick = max(1, round(2 * scale))
    place = (image.shape[1] // 20, round(image.shape[0] * 0.9))
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale * 0.9, 0, thick + 4, cv2.LINE_AA)
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale * 0.9, 255, thick, cv2.LINE_AA)
    return image


def scene(seed: int, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A picture of noise at all scales with some boxes and lines: much to see, nothing to read."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape)
    for side in (4, 9, 20, 60):
        image += cv2.resize(rng.normal(0, 60 / side**0.3, (side, side)), shape[::-1], interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        a, b = rng.integers(0, shape[::-1], (2, 2)).tolist()
        cv2.rectangle(image, a, b, float(rng.uniform(-80, 80)), int(rng.choice([-1, 2, 5])))
    return np.clip(image + 120, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(360, 640), (480, 854), (1080, 1920), (1280, 720)])
@pytest.mark.parametrize("text", CAPTIONS)
def test_a_caption_is_read_as_one_row_of_letters(shape: tuple[int, int], text: str) -> None:
    letters = len(text.replace(" ", ""))
    size = 0.05 if shape[0] < shape[1] else 0.025
    rows = find_rows(with_caption(np.full(shape, 110, np.uint8), text, size))
    found = max(row.letters for row in rows)
    assert 0.6 * letters <= found <= 1.6 * letters
    best = max(rows, key=lambda row: row.letters)
    assert best.top > 0.8 * shape[0] and best.bottom < 0.97 * shape[0]


def test_captions_are_seen_over_pictures_and_pictures_are_no_captions() -> None:
    scenes = [scene(seed, (360, 640)) for seed in range(12)]
    clean = [count_letters(each) for each in scenes]
    over = [count_letters(with_caption(each, CAPTIONS[at % 3])) for at, each in enumerate(scenes)]
    assert sum(count >= MUCH_LETTERS for count in clean) == 0, clean
    assert sum(count >= MUCH_LETTERS for count in over) >= 10, over


def test_real_footage_has_no_captions(shared_media: Path) -> None:
    from core.frames import decode_frames

    counts = []
    for name in ("clip_17", "clip_30"):
        frames = decode_frames(shared_media / "clips" / f"{name}.mp4", None, None, Fraction(1, 5))
        counts += [count_letters(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)) for _, rgb in frames]
    assert len(counts) >= 6 and sum(count >= MUCH_LETTERS for count in counts) == 0, counts


def test_spans_of_text() -> None:
    much = MUCH_LETTERS
    assert find_spans([0, 0, much, much, 0, 0, much, 0, 0, 0, 0, much], 12) == (Span(2, 7),)
    assert find_spans([0] * 60, 60) == ()
    assert find_spans([much] * 5, 4.5) == (Span(0, 4.5),)
