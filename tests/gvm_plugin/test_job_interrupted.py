"""Ctrl-C and SIGKILL at any moment: nothing half done under a final name, and the next run finishes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
import soundfile

from tests.conftest import heed_ctrl_c

ClipFactory = Callable[..., Path]
NAMES = ("a.mp4", "b.mov", "c.mp4")
SAMPLES = 72_000  # of each film
WHOLE = {
    *NAMES, "report.html", *(f"{name[0]}.music.wav" for name in NAMES), *(f"{name[0]}.cues.yaml" for name in NAMES),
    *(f"{name[0]}.stems/{stem}.wav" for name in NAMES for stem in ("bass", "chords")),
    *(f"{name[0]}.midi/A.mid" for name in NAMES), *(f"{name[0]}.takes/A.take{n}.wav" for name in NAMES for n in (1, 2)),
}  # fmt: skip


@pytest.fixture
def folder(clip_factory: ClipFactory, tmp_path: Path) -> Path:
    place = tmp_path / "vlogs"
    place.mkdir()
    for name in NAMES:
        clip = clip_factory(name, seconds=1.5, fps=Fraction(24), cuts=(0.75,), audio="tone", container=name[-3:])
        clip.rename(place / name)
    return place


def start(folder: Path, jobs: int) -> subprocess.Popen[str]:
    options = ["--model", "tone", "--stems", "--midi", "--takes", "2", "--jobs", str(jobs)]
    program = "from gvm_plugin.cli import main; print('begins', flush=True); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "score-folder", str(folder), *options],
        preexec_fn=heed_ctrl_c,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"  # Python itself has started, which on a busy machine takes long
    return process


def results(out: Path) -> dict[str, Path]:
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path for name, path in files.items() if not name.startswith(".gvm")}


def check_whole(path: Path) -> None:
    """Everything under a final name is complete."""
    if path.suffix == ".wav":
        assert len(soundfile.read(path)[0]) >= SAMPLES
    elif path.suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>")
    elif path.suffix == ".yaml":
        assert "weights_sha256" in path.read_text()
    elif path.suffix == ".mid":
        assert path.read_bytes().endswith(b"\xff\x2f\x00")
    else:
        with av.open(str(path)) as film:
            assert sum(1 for _ in film.decode(video=0)) == 36
        with av.open(str(path)) as film:
            assert sum(frame.samples for frame in film.decode(audio=0)) >= SAMPLES


def left_over(out: Path) -> list[str]:
    """Temporary files and work folders."""
    found = [path for path in out.rglob("*") if "partial" in path.name or path.parent.name == "work"]
    return [str(path) for path in found]


def finish(folder: Path, jobs: int) -> None:
    process = start(folder, jobs)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    out = folder / "scored"
    assert set(results(out)) == WHOLE
    for path in results(out).values():
        check_whole(path)
    assert left_over(out) == []


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_at_any_moment(folder: Path, jobs: int) -> None:
    chance = random.Random(jobs)
    for _ in range(4):
        process = start(folder, jobs)
        time.sleep(chance.uniform(0.05, 1.1))
        process.kill()  # with two jobs the workers outlive it, and have to notice
        process.wait()
        process.communicate()  # which ends when they are gone
        for path in results(folder / "scored").values():
            if not path.name.startswith(".gvm-"):
                check_whole(path)
    finish(folder, jobs)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_at_any_moment(folder: Path, jobs: int) -> None:
    chance = random.Random(10 + jobs)
    for _ in range(3):
        process = start(folder, jobs)
        time.sleep(chance.uniform(0.05, 1.0))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everyone in the foreground
        said, _ = process.communicate(timeout=300)
        assert process.returncode in (130, 0)  # 0: it was finished
        assert "Traceback" not in said
        if process.returncode == 130:
            assert said.splitlines()[-1].startswith("error: interrupted")
        for path in results(folder / "scored").values():
            check_whole(path)
        assert left_over(folder / "scored") == []
    finish(folder, jobs)
