"""What a film's own music teaches: the orchestra and tempo it is nearest to, and pieces on the film's own picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.errors import MediaError, ModelError
from core.pipeline import MusicRequest, StarterModel, orchestra_of, plan
from core.starter import vocab as v
from core.starter.palettes import PALETTES
from core.starter.scenes import render_scene, sample_scene
from core.starter.taste import Taste
from core.training import lessons
from core.training.lessons import Stretch, distance, prepare, traits
from core.vision.descriptors import FEATURE_SECONDS, FPS, HEIGHT, WIDTH, describe
from core.vision.picture import PictureFeatures

SECONDS = 10.0
HABIT = Taste("acoustic", ("two guitars",), (62.0, 66.0))


def picture(seed: int) -> PictureFeatures:
    scene = sample_scene(np.random.default_rng(seed), SECONDS)
    seen = describe(render_scene(scene, float(FPS), WIDTH, HEIGHT)).astype(np.float16)
    return PictureFeatures((np.arange(len(seen)) + 0.25) * FEATURE_SECONDS, seen)


def request(seed: int, taste: Taste | None, style: str = "acoustic") -> MusicRequest:
    return MusicRequest(
        picture(seed), SECONDS, style, 0.1, 0.3, None, None, seed, seed, [], [], 0.0, round(SECONDS * 48_000),
        taste=taste,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model() -> StarterModel:
    return StarterModel()


@pytest.fixture(scope="module")
def stretches(model: StarterModel) -> list[Stretch]:
    takes = model.generate_music([request(1, HABIT), request(2, HABIT)])
    return [
        Stretch(f"film-{seed}.mp4", picture(seed), take.audio.mean(axis=0), 48_000, SECONDS, ())
        for seed, take in zip((1, 2), takes, strict=True)
    ]


def test_a_taste_decides_tempo_and_orchestra_in_its_style_alone() -> None:
    assert 60 <= plan(request(1, HABIT)).tempo_bpm <= 68
    assert orchestra_of(request(1, HABIT)).name == "two guitars"
    assert plan(request(1, None)).tempo_bpm > 80
    assert orchestra_of(request(1, HABIT, "lofi")) in PALETTES["lofi"]


def plucks(per_second: float, hz: float) -> np.ndarray:
    """12 s of decaying tones."""
    times = np.arange(12 * 22_050) / 22_050
    since = times % (1 / per_second)
    return (0.4 * np.exp(-12 * since) * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def test_twice_as_fast_with_twice_the_notes_is_two_away_and_another_sound_is_farther() -> None:
    slow, fast = traits(plucks(1.5, 330.0), 22_050), traits(plucks(3.0, 330.0), 22_050)
    wide = np.full_like(slow.timbre, 1e6)  # timbre doesn't count
    assert slow.tempo is not None and fast.tempo is not None
    assert abs(np.log2(fast.density / slow.density)) == pytest.approx(1.0, abs=0.2)
    assert distance(slow, slow, wide) == 0
    assert distance(slow, fast, wide) == pytest.approx(distance(fast, slow, wide))
    assert distance(slow, replace(slow, tempo=2 * slow.tempo), wide) == pytest.approx(1.0)
    other = traits(plucks(1.5, 2_900.0), 22_050)
    assert distance(slow, other, np.full_like(wide, 10.0)) > distance(slow, other, wide)


def test_no_pulse_and_silence_have_traits_too() -> None:
    heard = traits(np.zeros(48_000 * 4, np.float32), 48_000)
    assert heard.tempo is None
    assert np.isfinite(heard.timbre).all()
    assert isinstance(distance(heard, heard, np.ones_like(heard.timbre)), float)


def test_films_teach_their_habit(
    model: StarterModel, stretches: list[Stretch], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: PALETTES[name][:1] for name in ("acoustic", "electronic")}
    monkeypatch.setattr(lessons, "PALETTES", few)
    monkeypatch.setattr(lessons, "CANDIDATES", 2)
    monkeypatch.setattr(lessons, "KEPT", 1)
    monkeypatch.setattr(lessons, "_ORCHESTRAS", 1)
    shares: list[float] = []
    learned = prepare(model, stretches, seed=3, tell=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert learned.taste.style == "acoustic"
    assert set(learned.pieces) == {"film-1.mp4", "film-2.mp4"}
    assert [len(pieces) for pieces in learned.pieces.values()] == [1, 1]
    for pieces in learned.pieces.values():
        for piece in pieces:
            assert piece.codes.shape[0] == v.K
            assert piece.codes.shape[1] == len(piece.control) == len(piece.step_seconds) - 1


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(MediaError, match="no stretch"):
        prepare(StarterModel.__new__(StarterModel), [])


@pytest.mark.parametrize(
    "said",
    [{"style": "acoustic"}, {"style": "polka", "palettes": ["x"], "tempo": [60, 70]}, [1],
     {"style": "acoustic", "palettes": ["two guitars"], "tempo": [90, 70]}],
)  # fmt: skip
def test_a_damaged_taste_is_an_error_in_one_line(said: object) -> None:
    with pytest.raises(ModelError, match="fine-tune it again"):
        Taste.of_card({"taste": said})


def test_a_card_without_a_taste_has_none() -> None:
    assert Taste.of_card({"updates": 3}) is None
    assert Taste.of_card({"taste": HABIT.to_json()}) == HABIT
