"""Copies of a film are known under other names; types are guessed and said; labels are read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from dataset_films import moving

from core.errors import DatasetError
from gvm_plugin.dataset.fingerprints import EMPTY, pack, picture_hash, same_film, unpack
from gvm_plugin.dataset.kinds import MAX_SURE, Traits, describe, guess, parse_type, type_of_folder
from gvm_plugin.dataset.labels import label_of, read_labels

PLAIN = Traits(
    flat=0.05, saturation=0.3, brightness=0.5, bars=0.0, cuts_per_minute=6, music=0.5, speech=0.0, text=0.0
)  # fmt: skip


def hashes(
    seed: int, seconds: int = 40, first: int = 0, size: tuple[int, int] = (96, 54), noise: float = 0
) -> np.ndarray:
    draw, rng = moving(seed), np.random.default_rng(1)
    values = []
    for second in range(first, first + seconds):
        grey = cv2.cvtColor(draw(second + 0.02), cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(float) + rng.normal(0, noise, size[::-1])
        values.append(picture_hash(np.clip(grey, 0, 255).astype(np.uint8)))
    return unpack(pack(values))


def test_copies_scaled_noisy_or_trimmed_are_the_same_film() -> None:
    film = hashes(1)
    assert same_film(film, film)
    assert same_film(film, hashes(1, size=(64, 36), noise=4))
    assert same_film(film, hashes(1, seconds=20, first=12, noise=2))
    assert same_film(hashes(1, seconds=20, first=12), film)


def test_other_films_are_others() -> None:
    films = [hashes(seed) for seed in range(6)]
    assert not any(same_film(films[a], films[b]) for a in range(6) for b in range(a))


def test_black_pictures_tell_nothing() -> None:
    assert picture_hash(np.zeros((54, 96), np.uint8)) == EMPTY
    black = unpack(pack([EMPTY] * 60))
    assert not same_film(black, black)
    still = unpack(pack([picture_hash(cv2.cvtColor(moving(3)(0), cv2.COLOR_RGB2GRAY))] * 60))
    assert not same_film(still, still)  # one picture for a minute could be any title card


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"flat": 0.5, "saturation": 0.5}, "animation"),
        ({"music": 1.0, "cuts_per_minute": 40}, "music video"),
        ({"speech": 0.6, "music": 0.3, "cuts_per_minute": 8}, "vlog"),
        ({"bars": 0.12, "brightness": 0.2, "music": 0.6}, "film"),
        ({"cuts_per_minute": 3, "music": 0.6}, "documentary"),
    ],
)
def test_types_are_guessed_never_for_sure(change: dict[str, float], kind: str) -> None:
    found = guess(Traits(**{**PLAIN.__dict__, **change}))
    assert found.type == kind and 0 < found.confidence <= MAX_SURE


def test_what_a_picture_looks_like() -> None:
    flat = np.zeros((180, 320, 3), np.uint8)
    flat[30:150, :] = (200, 40, 40)
    style = describe(flat)
    assert style.flat > 0.9 and style.saturation > 0.7 and style.bars == pytest.approx(1 / 6, abs=0.02)
    noisy = np.random.default_rng(0).integers(0, 255, (180, 320, 3), np.uint8)
    assert describe(noisy).flat < 0.05 and describe(noisy).bars == 0


def test_folders_say_types() -> None:
    top = Path("/home/x/films")
    assert type_of_folder(top / "Music_Videos" / "a.mp4", top) == "music video"
    assert type_of_folder(top / "a.mp4", top) is None
    assert type_of_folder(Path("/home/vlogs/deep/a.mp4"), Path("/home/vlogs")) == "vlog"
    assert type_of_folder(Path("/vlogs/films/a.mp4"), Path("/vlogs/films")) is None
    assert parse_type("Documentaries") is None and parse_type("ANIME") == "animation" and parse_type("movies") == "film"


def test_labels_from_csv_and_jsonl(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text('\ufefffile,type,mood,rating\na.mp4,vlog,calm,3\nsub/b.mov,,"sad, slow",\n', "utf-8")
    labels = read_labels(table)
    first = label_of(labels, "deep/a.mp4")
    assert first is not None and first.type == "vlog" and first.labels == {"mood": "calm", "rating": "3"}
    second = label_of(labels, "sub/b.mov")
    assert second is not None and second.type is None and second.labels == {"mood": "sad, slow"}
    assert label_of(labels, "c.mp4") is None
    lines = tmp_path / "labels.jsonl"
    lines.write_text('{"file": "a", "type": "Music Video", "tags": ["x"]}\n\n')
    found = label_of(read_labels(lines), "x/a.mkv")
    assert found is not None and found.type == "music video" and found.labels == {"tags": ["x"]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "name,type\na,vlog\n", "no column called file"),
        ("a.csv", "file,type\na.mp4,opera\n", "line 2: there is no type"),
        ("a.csv", "file,type\na.mp4,vlog,x\n", "more fields"),
        ("a.csv", "file\na\na\n", "line 3: 'a' was there before"),
        ("a.csv", "file,type\n,vlog\n", "has no file"),
        ("a.jsonl", "{\n", "line 1: is no JSON"),
        ("a.jsonl", "[1]\n", "line 1: is no object"),
        ("a.jsonl", None, "no such file"),
    ],
)
def test_labels_that_cant_be_understood(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_labels(tmp_path / name)
