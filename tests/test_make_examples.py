"""The example videos' script: places are drawn the same twice and move, films have the length and turn they say."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

SCRIPTS = str(Path(__file__).parents[1] / "scripts")
sys.path.insert(0, SCRIPTS)

import example_places  # noqa: E402
import example_scenes  # noqa: E402
import make_examples  # noqa: E402
from example_sounds import RATE, narration, seaside  # noqa: E402

PLACES = sorted({shot.place for film in make_examples.FILMS for shot in film.shots}, key=lambda place: place.__name__)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_place_moves_and_is_the_same_for_the_same_seed(place: example_scenes.Place) -> None:
    draw, again = (place((160, 90), np.random.default_rng(3)) for _ in range(2))
    now, later = draw(1.0), draw(1.6)
    assert now.shape == (90, 160, 3)
    assert now.dtype == np.uint8
    assert np.array_equal(now, again(1.0))
    assert not np.array_equal(now, later)


def test_every_place_is_used() -> None:
    modules = (example_scenes, example_places)
    defined = {
        name for module in modules for name, thing in vars(module).items() if getattr(thing, "__name__", "") == name
    }
    takes_rng = {place.__name__ for place in PLACES}
    assert takes_rng <= defined
    assert len(takes_rng) >= 15


def test_a_shot_s_clock_runs_at_its_speeds() -> None:
    shot = make_examples.Shot(example_scenes.hills, 4.0, ((0.0, 1.0), (1.0, 3.0)))
    assert shot.clock(0.0) == 0.0
    assert shot.clock(4.0) == pytest.approx(8.0, abs=0.01)  # mean speed 2
    assert shot.clock(2.0) == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize("upright", [False, True])
def test_a_film_is_written_with_its_length_title_sound_and_turn(tmp_path: Path, upright: bool) -> None:
    shots = (make_examples.Shot(example_scenes.lake, 0.3), make_examples.Shot(example_scenes.ride, 0.3))
    film = make_examples.Film("a", "A film", Fraction(25), shots, upright=upright, sound=seaside)
    path = tmp_path / "a.mp4"
    make_examples.write(film, path)
    with av.open(str(path)) as media:
        assert media.metadata["title"] == "A film"
        pictures = list(media.decode(video=0))
    assert len(pictures) == 15 == round(film.seconds * 25)
    assert pictures[0].rotation == (-90 if upright else 0)
    with av.open(str(path)) as media:
        assert sum(frame.samples for frame in media.decode(audio=0)) >= 0.6 * RATE


def test_narration_has_phrases_and_pauses() -> None:
    voice = narration(12.0, np.random.default_rng(1))
    assert voice.shape == (1, 12 * RATE)
    assert np.abs(voice).max() < 1.0
    level = np.sqrt((voice[0].reshape(-1, RATE // 10) ** 2).mean(1))
    assert 0.4 < (level > 0.02).mean() < 0.9
