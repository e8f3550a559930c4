"""A take is measured over its own cue, once, and what it was measured with decides whether that still holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.evaluation.fit import FitModel
from core.vision.descriptors import PatchDescriptors
from core.vision.picture import FrameEncoder, PictureFeatures
from gvm_plugin.cache import Cache, StoredTake
from gvm_plugin.cuesheet import Cue
from gvm_plugin.generators import CueTake
from gvm_plugin.judge import Judge
from gvm_plugin.picking import evaluator_for
from gvm_plugin.timeline import SAMPLE_RATE as RATE
from gvm_plugin.timeline import HitPoint, Shot, Span

CUE = Cue("A", Span(10.0, 18.0), "cinematic", hits=(HitPoint(12.0, 0.8), HitPoint(15.0, 0.8)))
MARGINS = (0.5, 0.25)
CUTS = (3.0, 10.0, 12.0, 15.0, 25.0)


class Evaluator:
    """Remembers what it was asked."""

    sha256 = "one"

    def __init__(self) -> None:
        self.asked: list[tuple[PictureFeatures, int, int]] = []

    def score(self, picture: PictureFeatures, sound: np.ndarray, rate: int, span: object) -> Any:
        self.asked.append((picture, sound.shape[1], rate))
        return type("Fit", (), {"cmr": 0.25, "ta": 0.5})


@pytest.fixture
def take(tmp_path: Path) -> StoredTake:
    """Struck chords on the cue's cuts, 20 ms late, and a rumble."""
    t = np.arange(round(8.75 * RATE)) / RATE - MARGINS[0] + CUE.span.start
    rng = np.random.default_rng(0)
    wave = 0.003 * rng.normal(size=len(t))
    for at in (12.02, 15.02):
        ring = np.where(t >= at, np.exp(-8 * np.maximum(t - at, 0)), 0)
        wave += 0.2 * ring * sum(np.sin(2 * np.pi * hertz * (t - at)) for hertz in (262, 330, 1046, 2100))
    return Cache(tmp_path).store_take("key", CueTake(np.tile(wave, (2, 1)).astype(np.float32)))


def judge(evaluator: Evaluator) -> Judge:
    times = np.arange(0, 30, 0.125)
    activity = sum(np.exp(-(((times - at) / 0.5) ** 2)) for at in CUTS)
    shots = [Shot(Span(a, b)) for a, b in zip((0.0, *CUTS), (*CUTS, 30.0), strict=True)]
    seen = PictureFeatures(np.arange(0, 30, 0.25), np.arange(120, dtype=np.float32).reshape(120, 1, 1))
    return Judge(times, np.asarray(activity), shots, lambda: (evaluator, seen))  # type: ignore[arg-type,return-value]


def test_figures_are_of_the_cue_in_its_own_time(take: StoredTake) -> None:
    evaluator = Evaluator()
    figures = judge(evaluator).figures(3, take, CUE, MARGINS, with_fit=True)
    assert figures.number == 3 and (figures.cmr, figures.ta) == (0.25, 0.5)
    assert figures.activity_energy_r is not None and figures.activity_energy_r > 0.7
    assert figures.cut_accent_lift is not None and figures.cut_accent_lift > 3
    assert figures.hit_error_ms == pytest.approx(20, abs=6)
    ((picture, samples, rate),) = evaluator.asked
    assert (samples, rate) == (8 * RATE, RATE)
    assert picture.times[0] == 0.0 and picture.times[-1] == 7.75
    assert picture.values[:, 0, 0].tolist() == list(range(40, 72))


def test_what_was_measured_is_not_measured_again_until_something_else_is_asked(take: StoredTake) -> None:
    evaluator = Evaluator()
    first = judge(evaluator)
    before = first.fit(take, CUE, MARGINS), first.sync(take, CUE, MARGINS), first.hear(take, MARGINS)
    (take.folder / "music.wav").rename(take.folder / "away.wav")  # whoever listens now fails
    again = judge(evaluator)
    assert (again.fit(take, CUE, MARGINS), again.sync(take, CUE, MARGINS), again.hear(take, MARGINS)) == before
    assert len(evaluator.asked) == 1
    (take.folder / "away.wav").rename(take.folder / "music.wav")

    evaluator.sha256 = "two"
    again.fit(take, CUE, MARGINS)
    assert len(evaluator.asked) == 2
    moved = replace(CUE, hits=(HitPoint(12.5, 0.8),))
    assert again.sync(take, moved, MARGINS) != before[1]
    (take.folder / "judged.json").write_text("{broken")
    assert again.hear(take, MARGINS) == before[2]


def test_a_short_cue_is_not_shown_to_the_evaluator(take: StoredTake) -> None:
    evaluator = Evaluator()
    short = replace(CUE, span=Span(10.0, 15.9))
    assert judge(evaluator).fit(take, short, MARGINS) == {"cmr": None, "ta": None}
    assert evaluator.asked == []


def test_the_film_is_looked_at_again_only_where_the_model_saw_something_else() -> None:
    looked: list[FrameEncoder] = []

    def watch(encoder: FrameEncoder) -> PictureFeatures:
        looked.append(encoder)
        return own

    own = PictureFeatures(np.arange(4) / 4, np.zeros((4, 33, 16), np.float16))
    evaluator = evaluator_for(own, watch)
    model, features = evaluator()
    assert isinstance(model, FitModel) and features is own and not looked
    assert evaluator()[0] is model
    others = evaluator_for(PictureFeatures(np.arange(4) / 2, np.zeros((4, 12, 3), np.float32)), watch)
    others(), others()
    assert [type(encoder) for encoder in looked] == [PatchDescriptors]
