"""Every example in examples/ runs, on a clip of a few seconds, and does what its first lines promise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import av
import matplotlib
import mido
import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"

ClipFactory = Callable[..., Path]

MOVIEPY_LEAVES_PIPES = pytest.mark.filterwarnings(  # of readers that came to their end, to the garbage collector
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)


def load(name: str) -> Any:
    """The example as a module, not yet run."""
    spec = spec_from_file_location(f"example_{name[:2]}", EXAMPLES / name)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_examples_are_tested_here() -> None:
    text = Path(__file__).read_text()
    scripts = [path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh", ".ipynb")]
    assert len(scripts) == 7
    assert all(f'"{name}"' in text for name in scripts)


def test_one_video(clip_factory: ClipFactory, capsys: pytest.CaptureFixture[str]) -> None:
    film = clip_factory("film", seconds=2.0, cuts=(1.0,))
    load("01_score_one_video.py").main([str(film), "--model", "tone"])
    said = capsys.readouterr().out
    scored = film.parent / "scored"
    assert f"film:  {scored / 'film.mp4'}" in said
    assert (scored / "film.mp4").is_file()
    assert (scored / "film.stems").is_dir()
    assert "cue A: 0.00 to 2.00 s" in said
    assert "the mix has -14.0 LUFS" in said


def test_a_folder(clip_factory: ClipFactory, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("one", "two"):
        clip_factory(name, seconds=1.0, cuts=()).rename(folder / f"{name}.mp4")
    (folder / "three.mp4").write_bytes(b"")
    program = tmp_path / "gvm"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gvm_plugin "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", str(EXAMPLES / "02_score_folder.sh"), str(folder), "--model", "tone"],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "GVM": str(program)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "in all about" in said, done.stderr
    assert "2 of 3 scored" in said, done.stderr
    assert "not all could be scored" in said
    assert {path.name for path in (folder / "scored").glob("*.mp4")} == {"one.mp4", "two.mp4"}
    assert f"look at {folder}/scored/report.html" in said


def test_an_edited_sheet_changes_one_cue(clip_factory: ClipFactory, capsys: pytest.CaptureFixture[str]) -> None:
    film = clip_factory("film", seconds=40.0, fps=Fraction(8), size=(64, 36), cuts=(20.0,))
    load("03_edit_cue_sheet.py").main([str(film), "--model", "tone"])
    said = capsys.readouterr().out.splitlines()
    assert said[:-1] == [f"cue {name}: as it was" for name in "ABCDEF"[: len(said) - 1]]
    assert len(said) > 1
    assert said[-1].endswith("made again")


def test_core_alone_makes_music_of_pictures(clip_factory: ClipFactory, tmp_path: Path) -> None:
    film = clip_factory("film", seconds=4.0, cuts=(2.0,))
    out = tmp_path / "music.wav"
    load("04_music_from_frames.py").main([str(film), str(out), "--seconds", "5"])
    sound, rate = soundfile.read(out)
    assert rate == 48_000
    assert len(sound) == pytest.approx(4.0 * rate, abs=0.15 * rate)  # what the film has of the 5 s
    assert np.abs(sound).max() > 0.05
    assert np.abs(sound[:, 0] - sound[:, 1]).max() > 0.01  # stereo
    tracks = mido.MidiFile(out.with_suffix(".mid")).tracks
    assert sum(message.type == "note_on" for track in tracks for message in track) > 4


@MOVIEPY_LEAVES_PIPES
def test_a_vlog_made_with_moviepy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "vlog.mp4"
    load("05_moviepy_vlog.py").main(["-o", str(out), "--seconds", "2", "--model", "tone"])
    said = capsys.readouterr().out
    assert "cue A: 0.00 to 4.00 s, acoustic, 1 hit points" in said  # the join of the two clips
    assert f"{out}: 4.00 s at -14.0 LUFS" in said
    with av.open(str(out)) as film:
        assert film.streams.video[0].frames == 100
        assert film.streams.audio[0].rate == 48_000
    assert list(tmp_path.iterdir()) == [out]  # and nothing temporary


@MOVIEPY_LEAVES_PIPES
def test_a_folder_of_clips_as_one_edit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "edit.mp4"
    load("06_moviepy_batch.py").main(["-o", str(out), "--seconds", "2", "--height", "180", "--model", "tone"])
    said = capsys.readouterr().out
    assert f"{out}: 5 clips, 10.00 s at -14.0 LUFS" in said
    assert "4 of 4 joins are marked by the music" in said
    music, rate = soundfile.read(tmp_path / "edit.music.wav")
    assert (len(music), rate) == (480_000, 48_000)
    assert "style:" in (tmp_path / "edit.cues.yaml").read_text()
    assert len(list(tmp_path.iterdir())) == 3


@MOVIEPY_LEAVES_PIPES
def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Cell by cell, as Jupyter would; only the model is the quick one."""
    matplotlib.use("agg")
    (tmp_path / "vlogs").mkdir()
    shutil.copy(EXAMPLES / "vlogs" / "making-dumplings.mp4", tmp_path / "vlogs")
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / "07_moviepy_notebook.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            source = "".join(cell["source"]).replace('MODEL = "starter"', 'MODEL = "tone"')
            exec(compile(source, f"cell {number}", "exec"), names)
    said = capsys.readouterr().out
    assert "A Span(start=0.0, end=10.0) lofi" in said
    assert "10.00 s, librosa hears" in said
    assert len(names["segment"]) == 10_000
    assert soundfile.info(tmp_path / "music.wav").frames == 480_000
    with av.open(str(tmp_path / "scored.mp4")) as film:
        assert film.streams.video[0].frames == 250
        assert len(film.streams.audio) == 1
