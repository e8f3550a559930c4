"""Films become a folder of pairs: speech and captions dropped, broken films listed, a killed run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import speechlike
from dataset_films import RATE, captioned, film, moving, music

from core.codecs.encodec import Encodec
from core.config import CodecConfig
from core.errors import DatasetError, DeliveryError
from core.training.codec import save_codec
from core.training.manifest import read_dataset
from gvm_plugin.cli import run
from gvm_plugin.dataset import build as building
from gvm_plugin.dataset import film as making
from gvm_plugin.dataset import fingerprints
from gvm_plugin.dataset.build import build, finish, forecast, read_all
from gvm_plugin.dataset.clips import Cut, read_cut
from gvm_plugin.dataset.options import BuildOptions
from gvm_plugin.dataset.record import Record, write_record, write_sides
from gvm_plugin.probe import probe
from tests.core.codec_fixtures import random_state

OPTIONS = BuildOptions(seconds=5, side=54, features=("descriptors",))
SETTINGS = ("--seconds", "5", "--side", "54", "--quiet", "--jobs", "1")


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three films: a plain one with music, one with captions at its end, one of the vlogs without music."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "vlogs").mkdir()
    film(folder / "a.mov", 12, music(12, 1), moving(1))
    size = (320, 180)
    film(folder / "b.mov", 16, music(16, 2), captioned(moving(2, size), [(11, 16)]), size=size)
    talk = np.stack([speechlike(np.arange(10 * RATE) / RATE)] * 2).astype(np.float32)
    film(folder / "vlogs" / "c.mov", 10, talk, moving(3))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a data set but what depends on the time it took, and where its films lay."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".gvm" not in path.parts
    }


def test_films_become_pairs(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    before = contents(films)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,type,mood\na.mov,documentary,calm\n")
    assert run(["dataset", "build", str(films), "--out", str(out), "--labels", str(labels), *SETTINGS]) == 0
    assert contents(films) == before  # originals are never touched
    data = read_dataset(out)
    spans = {(pair.source, pair.start): pair for pair in data.pairs}
    assert [key for key in spans if key[0] == "a.mov"] == [("a.mov", 0.0), ("a.mov", 5.0)]
    assert [key[1] for key in spans if key[0] == "b.mov"] == [0.0, 5.0]  # what comes after is captioned
    assert not [key for key in spans if key[0] == "vlogs/c.mov"]  # speech, no music
    first = spans["a.mov", 0.0]
    assert (first.type, first.type_by, first.labels) == ("documentary", "person", {"mood": "calm"})
    assert spans["b.mov", 0.0].type_by == "guess" and spans["b.mov", 0.0].type_confidence is not None
    assert {pair.split for pair in data.pairs} == {"train", "test"} and data.check_files() == []
    dropped = [json.loads(line) for line in (out / "dropped.jsonl").read_text().splitlines()]
    why = {(row["source"], row["why"]) for row in dropped}
    assert ("b.mov", "text over the picture") in why and ("vlogs/c.mov", "no music") in why
    page = (out / "summary.html").read_text()
    assert "4 pairs of picture and music from 2 films" in page and first.clip is not None and first.clip in page

    assert run(["dataset", "info", str(out)]) == 0
    said = capsys.readouterr().out
    assert "documentary" in said and "all files are there" in said
    (out / first.clip).unlink()
    assert run(["dataset", "info", str(out)]) == 1
    assert run(["dataset", "build", str(films), "--out", str(out), *SETTINGS]) == 0  # made again
    assert (out / first.clip).is_file()


def test_a_second_run_does_nothing_and_added_films_move_no_other(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    few = read_all("films", [films / "a.mov", films / "b.mov"], {})
    first = build(few, out, OPTIONS)
    assert (first.made, first.kept) == (2, 0)
    before = contents(out)
    again = build(few, out, OPTIONS)
    assert (again.made, again.kept) == (0, 2) and contents(out) == before
    sides = {pair.id: pair.split for pair in first.pairs}
    film(tmp_path / "d.mov", 12, music(12, 4), moving(4))
    more = build(read_all("films", [tmp_path / "d.mov"], {}), out, OPTIONS)
    assert more.made == 1 and sides.items() < {pair.id: pair.split for pair in more.pairs}.items()
    seen, times = read_dataset(out).features(more.pairs[0], "descriptors")
    assert seen.shape == (20, 33, 16) and 0 <= times[0] < 0.25 and times[-1] < 5
    with pytest.raises(DatasetError, match="films cut with other settings"):
        build(read_all("films", [tmp_path / "d.mov"], {}), out, BuildOptions(seconds=6))


def test_codes_are_those_of_the_codec(films: Path, tmp_path: Path) -> None:
    config = CodecConfig(sample_rate=16_000, codebooks=2, card=32, dimension=16, filters=2, ratios=(8, 5, 4, 2))
    state = random_state(config)
    save_codec(tmp_path / "codec", config, state)
    options = BuildOptions(seconds=5, side=54, codec=tmp_path / "codec", music=False)
    result = build(read_all("films", [films / "a.mov"], {}), tmp_path / "data", options)
    data = read_dataset(tmp_path / "data")
    assert data.codec is not None and data.codec.hop == 320 and data.codec.codes_per_second == 50
    assert data.check_files() == [] and not (tmp_path / "data" / "music").exists()
    info = replace(probe(films / "a.mov"), picture_start=0.0)
    for pair in result.pairs:
        cut = Cut(Fraction(pair.start).limit_denominator(90_000), Fraction(5), 0)
        wave = torch.from_numpy(read_cut(info, cut, 16_000, "mono"))[None]
        with torch.inference_mode():
            expected = Encodec(config, state).encode(wave)[0].numpy()
        codes = data.codes(pair)
        assert codes.shape == (2, 250)
        np.testing.assert_array_equal(codes, expected)
        assert (tmp_path / "data" / str(pair.codes)).stat().st_size < 5000
    with pytest.raises(DatasetError, match="cut with other settings"):
        build(read_all("films", [films / "b.mov"], {}), tmp_path / "data", OPTIONS)


def test_a_copy_under_another_name_is_on_the_same_side(films: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mov"
    copy.write_bytes((films / "a.mov").read_bytes())
    film(tmp_path / "again.mp4", 12, music(12, 1), moving(1, (64, 36)), size=(64, 36), crf=30, codec="aac")
    places = [films / "a.mov", films / "b.mov", copy, tmp_path / "again.mp4"]
    result = build(read_all("films", places, {}), tmp_path / "data", OPTIONS)
    assert [problem.why for problem in result.problems] == ["is the same file as a.mov; one of them is enough"]
    groups = {pair.source: pair.group for pair in result.pairs}
    assert groups["a.mov"] == groups["again.mp4"] != groups["b.mov"]
    sides = {pair.source: pair.split for pair in result.pairs}
    assert sides["a.mov"] == sides["again.mp4"] != sides["b.mov"]


def test_what_cant_be_used_is_listed_and_stops_no_other(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "films\nodd „names“ 100%"
    (folder / "x").mkdir(parents=True)
    (folder / "good #1?.mov").write_bytes((films / "a.mov").read_bytes())
    film(folder / "x" / "good #1?.mov", 11, music(11, 5), moving(5))
    (folder / "corrupt.mp4").write_bytes(b"no film at all" * 100)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    film(folder / "silent.mp4", 6, None)
    film(folder / "quiet.mov", 8, np.zeros((2, 8 * RATE), np.float32))
    film(folder / "short.mov", 2, music(2))
    out = tmp_path / "data"
    assert run(["dataset", "build", str(folder), "-o", str(out), *SETTINGS, "--no-check", "music"]) == 1
    said = capsys.readouterr().err
    for name, why in [
        ("corrupt.mp4", "no video that ffmpeg can read"), ("empty.mp4", "is empty"), ("gone.mp4", "can't be read"),
        ("silent.mp4", "has no sound"),
    ]:  # fmt: skip
        (line,) = [line for line in said.splitlines() if f": {name}: " in line]
        assert why in line
    data = read_dataset(out)
    assert {pair.source for pair in data.pairs} == {"good #1?.mov", "x/good #1?.mov"} and data.check_files() == []
    rows = [json.loads(line) for line in (out / "dropped.jsonl").read_text().splitlines()]
    assert {"short.mov", "quiet.mov", "corrupt.mp4"} <= {row["source"] for row in rows}
    assert ("quiet.mov", "silent") in {(row["source"], row["why"]) for row in rows}


def test_a_killed_run_goes_on_and_gives_the_same_folder(films: Path, tmp_path: Path) -> None:
    two = [str(films / "a.mov"), str(films / "vlogs" / "c.mov")]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = [sys.executable, "-m", "gvm_plugin", "dataset", "build", *two, *SETTINGS, "--out"]
    assert run(["dataset", "build", *two, "--out", str(whole), *SETTINGS]) == 0
    process = subprocess.Popen([*arguments, str(killed)], cwd=Path(__file__).resolve().parents[2])
    until = time.monotonic() + 60
    while not list((killed / "clips").glob("*.mp4")) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list((killed / "clips").glob("*.mp4")) and not (killed / "manifest.jsonl").exists()
    assert run(["dataset", "build", *two, "--out", str(killed), *SETTINGS]) == 0
    there = contents(killed)
    assert not [name for name in there if name.endswith(".partial")]
    assert there.keys() == contents(whole).keys()
    different = [name for name, data in contents(whole).items() if there[name] != data]
    assert different in ([], ["summary.html"])  # its title is the folder's name


def test_other_settings_leave_nothing_of_before(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A film is cut anew with other settings, that is stopped, and goes on: no file is of the first settings."""
    found, out = read_all("films", [films / "a.mov"], {}), tmp_path / "data"
    shorter = replace(OPTIONS, seconds=4, checks=())
    build(found, out, replace(OPTIONS, checks=()))
    stale = (out / str(read_dataset(out).pairs[0].music)).read_bytes()
    real, cut = making._cut_pair, []

    def stopped(*given: Any) -> Any:
        if cut:
            raise KeyboardInterrupt
        cut.append(real(*given))
        return cut[0]

    with monkeypatch.context() as patched:
        patched.setattr(making, "_cut_pair", stopped)
        with pytest.raises(KeyboardInterrupt):
            build(found, out, shorter)
    assert len(list((out / "music").iterdir())) == len(list((out / "clips").iterdir())) == 1
    assert run(["dataset", "info", str(out)]) == 1  # what its manifest tells is there no more
    result = build(found, out, shorter)
    data = read_dataset(out)
    assert [pair.seconds for pair in result.pairs] == [4, 4, 4] and data.check_files() == []
    for kind in ("clips", "music"):
        assert {f"{kind}/{path.name}" for path in (out / kind).iterdir()} == {
            getattr(pair, kind.removesuffix("s")) for pair in data.pairs
        }
    (out / str(data.pairs[0].music)).write_bytes(stale)
    (line,) = data.check_files()
    assert "lasts 5.00 s, the pair 4.00 s; build it again" in line


def record_of(key: str, hashes: list[int]) -> Record:
    """A film of one pair that shows pictures with these hashes, one a second."""
    pair = {"id": key, "source": f"{key}.mp4", "source_sha256": key, "start": 0.0, "end": 10.0}
    traits = dict.fromkeys(("flat", "saturation", "brightness", "bars", "cuts_per_minute", "speech", "text"), 0.0)
    seen = {"hashes": fingerprints.pack(hashes), "traits": {**traits, "music": 1.0}, "duration": 20.0}
    spans: dict[str, Any] = {"music": [], "speech": [], "text": []}
    row = {**pair, "clip": f"clips/{key}.mp4", "music": f"music/{key}.flac"}
    return Record(key, "ok", f"{key}.mp4", key, "settings", pairs=(row,), seen={**seen, **spans})


def test_a_copy_of_films_on_both_sides_stays_out_for_good(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one, other, third = ([int(value) for value in rng.integers(1, 2**63, 20)] for _ in range(3))
    for key, hashes in (("a", one), ("b", other)):
        write_record(tmp_path, record_of(key, hashes))
    write_sides(tmp_path, {"a": "train", "b": "test"})
    write_record(tmp_path, record_of("both", one + other))
    for films in (["a", "b"], ["a", "b", "c"]):  # a later build finds one more film
        result = finish(tmp_path, BuildOptions(), None, [], 1, 2)
        assert [(pair.source[0], pair.group) for pair in result.pairs] == [(film, film) for film in films]
        assert [pair.split for pair in result.pairs[:2]] == ["train", "test"]
        (problem,) = result.problems
        assert problem.source == "both.mp4" and "a copy of a film in train and of one in test" in problem.why
        write_record(tmp_path, record_of("c", third))


def test_a_data_set_replaces_nothing_that_no_build_wrote(films: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    found = read_all("films", [films / "a.mov"], {})
    with pytest.raises(DeliveryError, match="is the folder of the films itself; name another"):
        build(found, films, OPTIONS)
    for name in ("manifest.jsonl", "summary.html"):
        (mine / name).write_text("my own")
        with pytest.raises(DeliveryError, match=rf"holds {name}, which no build in this folder wrote.*--out"):
            build(found, mine, OPTIONS)
        assert contents(mine) == {name: b"my own"} and not (mine / ".gvm").exists()
        (mine / name).unlink()
    assert not (films / ".gvm").exists()


def test_a_full_disk_ends_the_run_in_one_line(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gvm_plugin.dataset.film.clips.write_music", full)
    out = tmp_path / "data"
    assert run(["dataset", "build", str(films / "a.mov"), "--out", str(out), *SETTINGS]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "No space left on device" in said and "make room" in said
    assert not (out / "manifest.jsonl").exists() and not list(out.rglob("*.partial"))
    monkeypatch.undo()
    monkeypatch.setattr(building, "SPARE", 10**18)
    with pytest.raises(DeliveryError, match=r"are free, a\.mov may take"):
        build(read_all("films", [films / "a.mov"], {}), out, OPTIONS)


def test_a_forecast_comes_from_the_headers_alone(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outlook = forecast(read_all("films", [films], {}), tmp_path, OPTIONS)
    assert outlook.films == 3 and outlook.pairs == 2 + 3 + 2 and 37 < outlook.seconds < 39
    assert run(["dataset", "build", str(films), "--out", str(tmp_path / "none"), "--dry-run"]) == 0
    assert "3 films" in capsys.readouterr().out and not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["build", "nowhere", "--out", "x"], 1, "there is no such file"),
        (["build", ".", "--out", "x"], 1, "holds no film"),
        (["build", ".", "--out", "x", "--seconds", "0"], 2, "a pair lasts"),
        (["build", ".", "--out", "x", "--no-music"], 2, "name a codec"),
        (["import", "symmv", ".", "--out", "x"], 1, "no SymMV.csv"),
        (["info", "."], 1, "is no data set"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["dataset", *arguments]) == code
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


@pytest.fixture(autouse=True)
def _no_leftovers(tmp_path: Path) -> Iterator[None]:
    yield
    assert not [path for path in tmp_path.rglob("*.partial") if path.is_file()]
