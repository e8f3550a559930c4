"""Everything a person may hand us that can't be scored, or not easily: one line that names file and remedy, no harm."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
from clips import bad_file, cut_in_the_middle, damaged

from gvm_plugin import score as score_module
from gvm_plugin.cli import run
from gvm_plugin.folder import FolderScore, score_folder
from gvm_plugin.options import ScoreOptions
from gvm_plugin.score import score_video

ClipFactory = Callable[..., Path]
TONE = ScoreOptions(model="tone")
ONE_LINE = r"error: {}: [^\n]+; [^\n]+\n"
NAMES = (
    "with space.mp4", "it's \"quoted\".mp4", "emoji 🎬.mp4", "-dash.mp4", "--help.mp4", "100% %d %03d.mp4",
    "new\nline.mp4", "a:b.mp4", "#x?y=1&z.mp4", "back\\slash.mp4", "<b>.mp4", "$HOME `ls`;.mp4", "concat:a|b.mp4",
    "no: yaml - # x.mp4", "日本語.MP4", "ü" * 120 + ".mp4", "x" * 250 + "1.mp4", "x" * 250 + "2.mp4", "*.mp4",
)  # fmt: skip


def command(*arguments: str | Path) -> int:
    return run([*map(str, arguments), "--model", "tone"])


def results(place: Path) -> set[str]:
    return {path.name for path in place.rglob("*") if path.is_file() and ".gvm" not in path.parts}


def ok_names(score: FolderScore) -> list[str]:
    return [result.film.name for result in score.results if not result.failed]


@pytest.fixture
def film(clip_factory: ClipFactory) -> Path:
    return clip_factory("film", seconds=1, cuts=())


KINDS = {
    "empty": "is empty",
    "text": "no video",
    "no index": "unfinished",
    "only sound": "no picture",
    "no picture": "no picture|no video|unfinished",
    "short": "0.5 s",
}


def test_bad_films_are_told_in_a_line_each_and_do_not_stop_the_good_one(
    film: Path, clip_factory: ClipFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = film.parent / "vlogs"
    folder.mkdir()
    film.rename(folder / "good.mp4")
    for kind in KINDS:
        bad_file(kind, folder, clip_factory, f"{kind}.mp4")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.mp4")  # read, it would wait for ever
    assert command("score-folder", folder, "-q", "--jobs", "1") == 1
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines(keepends=True)
    assert len(lines) == len(KINDS) + 1
    for kind, problem in {**KINDS, "gone": "no such file"}.items():
        (line,) = [line for line in lines if line.startswith(f"error: {kind}.mp4")]
        assert re.fullmatch(ONE_LINE.format(re.escape(f"{kind}.mp4")), line)
        assert re.search(problem, line)
    assert results(folder / "scored") == {"good.mp4", "good.music.wav", "good.cues.yaml", "report.html"}
    page = (folder / "scored" / "report.html").read_text()
    assert all(f"{kind}.mp4" in page for kind in KINDS)


@pytest.mark.parametrize("verb", ["score", "spot"])
@pytest.mark.parametrize("kind", ["missing", "folder", *KINDS])
def test_one_bad_film_alone(
    verb: str, kind: str, tmp_path: Path, clip_factory: ClipFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bad_file(kind, tmp_path, clip_factory)
    assert command(verb, path, "-q", "--out", tmp_path / "o") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(ONE_LINE.format(r"film\.mp4"), said.err)
    assert results(tmp_path / "o") == set()


def test_what_is_damaged_or_cut_off_is_scored_as_far_as_it_goes(clip_factory: ClipFactory, tmp_path: Path) -> None:
    whole = clip_factory("talk", seconds=3, cuts=(1.0,), audio="tone")
    broken = score_video(damaged(whole, tmp_path / "broken.mp4"), options=TONE)
    assert any("damaged" in warning for warning in broken.report.warnings)
    assert broken.report.duration == pytest.approx(3.0, abs=0.1)
    cut = score_video(cut_in_the_middle(whole, tmp_path / "cut.mp4", 0.6), options=TONE)
    assert any("cut off" in warning for warning in cut.report.warnings)
    assert 0.5 < cut.report.duration < 2.9
    for made in (broken, cut):
        assert soundfile.info(made.outputs.music).frames == round(made.report.duration * 48_000)


def test_every_name_a_file_can_have(film: Path) -> None:
    folder = film.parent / "vlogs"
    folder.mkdir()
    for name in NAMES:
        shutil.copyfile(film, folder / name)
    score = score_folder(folder, options=TONE)
    assert score.failed == 0
    page = score.page.read_text()
    links = {html.unescape(link) for link in re.findall(r'(?:href|src)="(\./[^"]*)"', page)}
    assert len(links) == 3 * len(NAMES)
    assert all((score.page.parent / urllib.parse.unquote(link)).is_file() for link in links)
    again = score_folder(folder, options=TONE, progress=lambda *_: pytest.fail("was finished"))
    assert len(ok_names(again)) == len(NAMES)


def test_names_with_line_breaks_stay_on_their_line(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = film.parent / "vlogs"
    folder.mkdir()
    (folder / "two\nlines.mp4").write_text("no film")
    assert command("score-folder", folder, "-q") == 1
    assert re.fullmatch(ONE_LINE.format(r"two\\nlines\.mp4"), capsys.readouterr().err)
    assert command("score-folder", folder, "--dry-run") == 0
    assert any(line.startswith("two\\nlines.mp4") for line in capsys.readouterr().out.splitlines())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are always text")
def test_a_name_that_is_no_text_does_not_stop_the_others(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = film.parent / "vlogs"
    folder.mkdir()
    shutil.copyfile(film, folder / "good.mp4")
    try:
        shutil.copyfile(film, os.fsencode(folder) + b"/caf\xe9.mp4")
    except OSError:
        pytest.skip("this file system takes text only")
    assert command("score-folder", folder, "-q", "--jobs", "1") == 1
    assert "rename the film" in capsys.readouterr().err
    assert "good.mp4" in results(folder / "scored")


def test_the_film_itself_is_never_written_over(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = film.read_bytes()
    (film.parent / "link.mp4").symlink_to(film.name)
    for out in (film, film.parent, film.with_suffix(".txt"), film.parent / "link.mp4"):
        assert command("score", film, "--overwrite", "--out", out) == 1
        assert "is the film itself" in capsys.readouterr().err
    assert film.read_bytes() == before


def test_results_inside_the_folder_of_the_films_are_no_films(film: Path) -> None:
    folder = film.parent / "vlogs"
    folder.mkdir()
    film.rename(folder / "a.mp4")
    for out in ("results", "results/again", "x"):
        score = score_folder(folder, folder / out, TONE, recursive=True)
        assert ok_names(score) == ["a.mp4"]


def test_a_sheet_that_waits_for_render_is_not_written_over(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("spot", film, "-q") == 0
    assert command("score", film, "-q") == 1
    assert "gvm render" in capsys.readouterr().err


def test_wrong_usage_says_where_to_look(tmp_path: Path, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "score-folder" in capsys.readouterr().err
    assert run(["score", "--nonsense", "a.mp4"]) == 2
    assert "`gvm score --help`" in capsys.readouterr().err
    assert command("score-folder", film) == 1
    assert "`gvm score`" in capsys.readouterr().err
    assert run(["render", str(film)]) == 1
    assert "`gvm spot`" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("score",), ("score", "--dry-run"), ("spot",)])
def test_what_is_no_sound_font_is_told_at_once(
    arguments: tuple[str, ...], film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for font in (film, film.parent / "absent.sf2"):
        assert command(*arguments, film, "--soundfont", font) == 1
        assert re.fullmatch(r"error: .*sound font.*; .*\n", capsys.readouterr().err)
    assert not (film.parent / "scored").exists()


def test_too_little_room_is_told_before_the_work(
    film: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(score_module.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**5))
    assert command("score", film, "-q") == 1
    assert re.fullmatch(
        r"error: .*scored: has 0 MB of room, film\.mp4 needs .*; make room, .*\n", capsys.readouterr().err
    )
    assert results(film.parent / "scored") == set()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1.5 MB; skips where one can't be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(place)], capture_output=True)
    except OSError:
        pytest.skip("no mount")
    if done.returncode:
        pytest.skip("may not mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up_meanwhile(
    film: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(score_module, "bytes_needed", lambda *_: 0)  # as if there had been room
    for seconds_of_room in (0, 1, 2, 3):
        filler = small_disk / "filler"
        filler.write_bytes(bytes(max(0, 1_400_000 - seconds_of_room * 390_000)))
        assert command("score", film, "-q", "--overwrite", "--out", small_disk / "film.mp4") == 1
        assert re.fullmatch(r"error: [^\n]+; make room[^\n]*\n", capsys.readouterr().err)
        filler.unlink()
        assert results(small_disk) <= {"film.music.wav", "film.cues.yaml"}
        assert not [path for path in small_disk.rglob("*") if "partial" in path.name]


@pytest.fixture
def as_nobody(film: Path) -> Iterator[Path]:
    """A folder that everybody may read, and no rights of root's from here on."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    shutil.copyfile(film, place / "film.mp4")
    root = os.geteuid() == 0
    if root:
        score_folder(film.parent, film.parent / "warm", TONE)  # imports what nobody may not be able to read
        os.seteuid(65534)
    yield place
    if root:
        os.seteuid(0)
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights work otherwise there")
def test_what_may_not_be_read_or_written(as_nobody: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = as_nobody
    euid = os.geteuid()
    os.seteuid(os.getuid())
    (folder / "secret").mkdir()
    shutil.copyfile(folder / "film.mp4", folder / "secret" / "film.mp4")
    (folder / "secret" / "film.mp4").chmod(0)
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    (folder / "closed").mkdir()
    (folder / "closed").chmod(0o555)
    os.seteuid(euid)
    assert command("score-folder", folder / "secret", "--out", folder / "open", "-q", "--jobs", "1") == 1
    assert re.fullmatch(ONE_LINE.format(r"film\.mp4"), capsys.readouterr().err)
    for verb in ("score", "spot"):
        assert command(verb, folder / "film.mp4", "--out", folder / "closed", "-q") == 1
        assert re.fullmatch(ONE_LINE.format(r".*closed"), capsys.readouterr().err)
    assert command("score-folder", folder, "--out", folder / "closed", "-q", "--jobs", "1") == 1
    assert "--out" in capsys.readouterr().err
    assert list((folder / "closed").iterdir()) == []
