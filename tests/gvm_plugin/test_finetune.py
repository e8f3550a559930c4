"""`gvm train finetune --data FILMS`: what the folder must hold, which films teach nothing, what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import with_sound

from core.errors import MediaError, ModelError
from core.starter.taste import Taste
from core.training import lessons as core_lessons
from core.training.data import Piece, load_pieces
from core.training.lessons import Lessons, Stretch
from gvm_plugin.cli import run
from gvm_plugin.lessons import SKIPPED, TASTE_FILE, prepare_lessons

ClipFactory = Callable[..., Path]
TASTE = Taste("acoustic", ("two guitars",), (60.0, 66.0))


def song(seconds: float) -> np.ndarray:
    """Chords of a few decaying harmonics, half a second each: music to the detector."""
    times = np.arange(round(seconds * 48_000)) / 48_000
    since, chord = times % 0.5, (times // 0.5).astype(int) % 4
    roots = np.array([220.0, 174.6, 261.6, 196.0])[chord]
    tone = sum(np.sin(2 * np.pi * roots * ratio * times) / order for order, ratio in enumerate((1, 1.25, 1.5, 2), 1))
    wave = (0.2 * tone * np.exp(-3 * since)).astype(np.float32)
    return np.stack([wave, wave])


@pytest.fixture
def films(tmp_path: Path, clip_factory: ClipFactory) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    silent = clip_factory("silent", seconds=12)
    for name in ("one", "two"):
        with_sound(silent, folder / f"{name}.mov", [(song(12.0), "stereo", 0.0)])
    silent.rename(folder / "silent.mp4")
    (folder / "broken.mp4").write_bytes(b"no film")
    return folder


def remember(seen: list[Stretch]) -> Callable[..., Lessons]:
    """Stands in for the making of pieces, which tests/core/test_lessons.py is about."""

    def prepare(model: object, stretches: list[Stretch], seed: int = 0, tell: object = None) -> Lessons:
        seen.extend(stretches)
        piece = Piece(*(np.zeros((1, 1), kind) for kind in ("f2", "f8", "i2", "f2", "f8")))
        return Lessons(TASTE, {stretch.film: [piece] * 3 for stretch in stretches}, ())

    return prepare


def test_films_with_music_teach_and_the_others_are_listed(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Stretch] = []
    said: list[str] = []
    monkeypatch.setattr(core_lessons, "prepare", remember(seen))
    made = prepare_lessons(films, "starter", tmp_path / "lessons", say=said.append)
    assert {stretch.film for stretch in seen} == {"one.mov", "two.mov"}
    assert all(8.0 <= stretch.seconds <= 30.0 for stretch in seen)
    assert all(len(stretch.sound) == round(stretch.seconds * stretch.rate) for stretch in seen)
    assert all(stretch.picture.times[0] >= 0 and stretch.picture.times[-1] < stretch.seconds for stretch in seen)
    assert json.loads((tmp_path / "lessons" / TASTE_FILE).read_text())["style"] == "acoustic"
    listed = [json.loads(line) for line in (tmp_path / "lessons" / SKIPPED).read_text().splitlines()]
    assert {row["film"] for row in listed} == {"broken.mp4", "silent.mp4"}
    assert made.films == 2 and len(made.skipped) == 2
    assert len(load_pieces(tmp_path / "lessons" / "pieces-0000.npz")) == made.pieces == 3
    assert len(load_pieces(tmp_path / "lessons" / "test-0000.npz")) == 3  # of the other film
    assert any("2 films are left out" in line for line in said)


def test_no_film_with_music_is_an_error_that_says_what_to_add(films: Path, tmp_path: Path) -> None:
    for name in ("one.mov", "two.mov"):
        (films / name).unlink()
    with pytest.raises(MediaError, match="add films with music you like"):
        prepare_lessons(films, "starter", tmp_path / "lessons")
    assert not (tmp_path / "lessons").exists()


def test_a_model_without_a_score_cannot_be_taught_so(films: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="take --model starter"):
        prepare_lessons(films, "tone", tmp_path / "lessons")


def test_a_folder_without_films_is_told_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "finetune", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 1
    assert "holds no films" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()
