from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import DeliveryError, MediaError, ModelError
from gvm_plugin import cuesheet, cuesheet_reader
from gvm_plugin.cache import read_json, write_json
from gvm_plugin.folder import FilmResult, FolderScore, collect_videos, list_films, record_path, score_folder
from gvm_plugin.generators import CueRequest, CueTake, ToneGenerator
from gvm_plugin.options import ScoreOptions
from gvm_plugin.preflight import forecast
from tests.conftest import heed_ctrl_c

ClipFactory = Callable[..., Path]
TONE = ScoreOptions(model="tone")


@pytest.fixture
def folder(clip_factory: ClipFactory, tmp_path: Path) -> Path:
    """Two films with one stem, one that is none, one below, a hidden one, and something else."""
    place = tmp_path / "vlogs"
    (place / "day 2").mkdir(parents=True)
    clip_factory("a", seconds=1, cuts=()).rename(place / "a.mp4")
    clip_factory("a", seconds=1, cuts=(), container="mov").rename(place / "a.mov")
    clip_factory("b", seconds=1, cuts=()).rename(place / "day 2" / "b.mp4")
    (place / "broken.mp4").write_text("no film")
    (place / ".hidden.mp4").write_text("no film")
    (place / "notes.txt").write_text("hello")
    return place


def statuses(score: FolderScore) -> dict[str, str]:
    return {result.film.name: result.report.status for result in score.results}


def test_one_bad_film_does_not_stop_the_others(folder: Path) -> None:
    score = score_folder(folder, options=TONE, recursive=True)
    assert statuses(score) == {"a.mov": "ok", "a.mp4": "ok", "broken.mp4": "failed", "day 2/b.mp4": "ok"}
    assert score.failed == 1
    out = folder / "scored"
    for name in ("a.mp4", "a.mov", "a.mp4.music.wav", "a.mov.music.wav", "day 2/b.mp4", "day 2/b.cues.yaml"):
        assert (out / name).is_file(), name
    page = score.page.read_text()
    assert "broken.mp4" in page and "day 2/b.mp4" in page
    records = [read_json(path) for path in (out / ".gvm" / "films").iterdir()]
    (failed,) = [record for record in records if record["status"] == "failed"]
    assert failed["film"] == "broken.mp4" and failed["remedy"]


def test_a_second_run_does_only_what_is_left(folder: Path, clip_factory: ClipFactory) -> None:
    first = score_folder(folder, options=TONE)
    stamps = {path: path.stat().st_mtime_ns for path in first.page.parent.glob("*.wav")}
    clip_factory("c", seconds=1, cuts=()).rename(folder / "broken.mp4")
    worked: set[str] = set()
    second = score_folder(folder, options=TONE, progress=lambda film, *_: worked.add(film.name))
    assert worked == {"broken.mp4"}
    assert second.failed == 0
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert second.page.read_text().count("a.mov") > 0


def test_other_settings_or_another_film_are_made_again_without_being_asked(
    folder: Path, clip_factory: ClipFactory
) -> None:
    score_folder(folder, options=TONE)
    worked: set[str] = set()

    def note(film: Path, *_: object) -> None:
        worked.add(film.name)

    score_folder(folder, options=replace(TONE, seed=5), progress=note)
    assert worked == {"a.mp4", "a.mov"}
    worked.clear()
    clip_factory("c", seconds=2, cuts=(1.0,)).replace(folder / "a.mp4")
    score_folder(folder, options=replace(TONE, seed=5), progress=note)
    assert worked == {"a.mp4"}


def test_a_sheet_changed_by_hand_is_not_written_over(folder: Path) -> None:
    score_folder(folder, options=TONE)
    path = folder / "scored" / "a.mp4.cues.yaml"
    sheet = cuesheet_reader.read(path)
    edited = replace(sheet, cues=(replace(sheet.cues[0], style="funk"),))
    cuesheet.write(edited, path)
    score = score_folder(folder, options=replace(TONE, seed=9))
    assert statuses(score)["a.mp4"] == "skipped"
    assert cuesheet_reader.read(path) == edited
    score = score_folder(folder, options=replace(TONE, seed=9, overwrite=True))
    assert statuses(score)["a.mp4"] == "ok"
    assert cuesheet_reader.read(path).cues[0].style != "funk"


def test_a_channel_or_sound_font_that_changed_is_heard_in_all_its_films(folder: Path, tmp_path: Path) -> None:
    (folder / "a.mov").unlink()
    font = tmp_path / "font.sf2"
    font.write_bytes(b"RIFF0000sfbk")
    options = replace(TONE, identity=tmp_path / "channel", soundfont=font)
    worked: set[str] = set()

    def work() -> set[str]:
        worked.clear()
        score_folder(folder, options=options, progress=lambda film, *_: worked.add(film.name))
        return worked & {"a.mp4"}

    assert work() == {"a.mp4"}
    assert work() == set()
    sheet = tmp_path / "channel" / "identity.yaml"
    start = sheet.read_text().index("motif:")
    sheet.write_text(sheet.read_text()[:start] + "motif:\n- [0, 2, 0]\n- [2, 2, 7]\n- [4, 8, 12]\n")
    assert work() == {"a.mp4"}
    font.write_bytes(b"RIFF0000sfbkmore")
    assert work() == {"a.mp4"}
    assert work() == set()


class Broken(ToneGenerator):
    """Fails where its music is to be made."""

    def generate(self, requests: Sequence[CueRequest], progress: object = None) -> Iterator[CueTake]:
        raise ModelError("the model is ill; come back tomorrow")


def test_after_a_run_that_failed_the_next_one_knows_its_own_results(folder: Path) -> None:
    (folder / "broken.mp4").unlink()
    score_folder(folder, options=TONE)
    other = replace(TONE, seed=5)
    for _ in range(2):
        assert score_folder(folder, options=other, generator=Broken()).failed == 2
    assert statuses(score_folder(folder, options=other)) == {"a.mov": "ok", "a.mp4": "ok"}
    assert cuesheet_reader.read(folder / "scored" / "a.mp4.cues.yaml").settings.seed == 5


@pytest.mark.parametrize("how", ["failed", "interrupted"])
def test_a_sheet_changed_by_hand_survives_the_run_after_a_broken_one(folder: Path, how: str) -> None:
    (folder / "a.mov").unlink()
    score_folder(folder, options=TONE)
    other = replace(TONE, seed=9)

    def interrupt(film: Path, stage: str, share: float) -> None:
        if film.name == "a.mp4" and stage == "mix":
            raise KeyboardInterrupt

    if how == "failed":
        score_folder(folder, options=other, generator=Broken())
    else:
        with pytest.raises(KeyboardInterrupt):
            score_folder(folder, options=other, progress=interrupt)
    path = folder / "scored" / "a.cues.yaml"
    sheet = cuesheet_reader.read(path)
    cuesheet.write(replace(sheet, cues=(replace(sheet.cues[0], style="funk"),)), path)
    edited = path.read_bytes()
    for _ in range(2):
        assert statuses(score_folder(folder, options=other))["a.mp4"] == "skipped"
        assert path.read_bytes() == edited


def test_a_sheet_that_a_person_made_after_a_broken_first_run_is_theirs(folder: Path) -> None:
    def interrupt(film: Path, stage: str, share: float) -> None:
        if stage == "mix":
            raise KeyboardInterrupt

    (folder / "a.mov").unlink()
    with pytest.raises(KeyboardInterrupt):
        score_folder(folder, options=TONE, progress=interrupt)
    path = folder / "scored" / "a.cues.yaml"
    path.write_text("mine")
    (result, _) = score_folder(folder, options=TONE).results
    assert result.failed and "gvm render" in result.report.remedy
    assert path.read_text() == "mine"


@pytest.mark.parametrize("edited", [False, True], ids=["as gvm wrote it", "changed by hand"])
def test_a_first_run_killed_before_its_record_was_kept_is_taken_up_again(folder: Path, edited: bool) -> None:
    """All results lay there already, and the next run said that they were somebody's."""
    (folder / "a.mov").unlink()
    (result, _) = score_folder(folder, options=TONE).results
    out, film = folder / "scored", result.film
    write_json(record_path(out, film), {"status": "working", "film": film.name, "last": None})
    sheet = film.outputs.sheet
    if edited:
        sheet.write_text(sheet.read_text().replace("seed: ", "seed: 1", 1))
    before = sheet.read_text()
    (again, _) = score_folder(folder, options=TONE).results
    assert again.failed == edited
    if edited:
        assert "gvm render" in again.report.remedy and sheet.read_text() == before


@pytest.mark.parametrize("edited", [False, True], ids=["as gvm wrote it", "changed by hand"])
def test_a_later_run_killed_before_its_record_was_kept_is_taken_up_again(folder: Path, edited: bool) -> None:
    """The sheet is another one than the last record tells of: gvm's own, unless a person changed it since."""
    (folder / "a.mov").unlink()
    (result, _) = score_folder(folder, options=TONE).results
    first = read_json(record_path(folder / "scored", result.film))
    again = replace(TONE, style="ambient", seed=5)
    score_folder(folder, options=again)
    write_json(
        record_path(folder / "scored", result.film), {"status": "working", "film": result.film.name, "last": first}
    )
    sheet = result.film.outputs.sheet
    if edited:
        sheet.write_text(sheet.read_text().replace("seed: 5", "seed: 15", 1))
    (third, _) = score_folder(folder, options=again).results
    assert third.report.status == ("skipped" if edited else "ok")


def test_what_others_put_there_is_not_replaced_unasked(folder: Path) -> None:
    (folder / "scored").mkdir()
    (folder / "scored" / "a.mp4").write_text("mine")
    score = score_folder(folder, options=TONE)
    assert statuses(score)["a.mp4"] == "failed"
    assert (folder / "scored" / "a.mp4").read_text() == "mine"


def test_an_unforeseen_error_is_recorded_and_the_job_goes_on(folder: Path) -> None:
    class Crashing(ToneGenerator):
        def generate(self, requests: Sequence[CueRequest], progress: object = None) -> Iterator[CueTake]:
            if requests[0].span.end == 0:
                return super().generate(requests)
            raise ZeroDivisionError("oh")

    score = score_folder(folder, options=TONE, generator=Crashing())
    assert score.failed == 3
    assert "ZeroDivisionError" in score.results[0].report.error
    assert "report it" in score.results[0].report.remedy


def test_results_and_hidden_things_are_no_films(folder: Path) -> None:
    out = folder / "results"
    for place in (out, folder / "scored", folder / ".trash"):
        place.mkdir()
        (place / "x.mp4").write_text("x")
    found = [video for _, videos in collect_videos(folder, out, recursive=True) for video in videos]
    assert [video.relative_to(folder).as_posix() for video in found] == ["a.mov", "a.mp4", "broken.mp4", "day 2/b.mp4"]


def test_impossible_folders_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="folder of the films itself"):
        score_folder(folder, folder, TONE)
    with pytest.raises(MediaError, match="can't be read"):
        score_folder(tmp_path / "absent", options=TONE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="--recursive"):
        score_folder(tmp_path / "empty", options=TONE)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DeliveryError, match="--out"):
        score_folder(folder, tmp_path / "file", TONE)


def test_breaking_off_leaves_only_what_is_whole_and_the_next_run_finishes(folder: Path) -> None:
    seen: list[FilmResult] = []

    def interrupt(film: Path, stage: str, share: float) -> None:
        if seen and stage == "mix":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_folder(folder, options=TONE, progress=interrupt, done=seen.append)
    out = folder / "scored"
    assert {path.name for path in out.iterdir()} == {".gvm", "a.mov", "a.mov.music.wav", "a.mov.cues.yaml"}
    assert not list((out / ".gvm" / "work").iterdir())
    assert statuses(score_folder(folder, options=TONE))["a.mp4"] == "ok"


def test_a_killed_run_is_taken_up_again(folder: Path) -> None:
    """SIGKILL between two moves of the delivery: what lies there is known as ours, and its work folder goes."""
    program = (
        "import os, signal; from pathlib import Path\n"
        "from gvm_plugin import delivery; from gvm_plugin.folder import score_folder\n"
        "from gvm_plugin.options import ScoreOptions\n"
        "delivery.cuesheet.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"score_folder({str(folder)!r}, options=ScoreOptions(model='tone'))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    out = folder / "scored"
    assert list((out / ".gvm" / "work").iterdir())
    assert not (out / "a.mov").exists()
    score = score_folder(folder, options=TONE)
    assert statuses(score)["a.mov"] == "ok"
    assert not list((out / ".gvm" / "work").iterdir())
    assert not [path for path in out.rglob("*") if "partial" in path.name]


@pytest.mark.slow
def test_several_processes_make_the_same(folder: Path, tmp_path: Path) -> None:
    score = score_folder(folder, tmp_path / "two", TONE, recursive=True, jobs=2)
    assert statuses(score) == {"a.mov": "ok", "a.mp4": "ok", "broken.mp4": "failed", "day 2/b.mp4": "ok"}
    single = score_folder(folder, tmp_path / "one", TONE, recursive=True)
    for name in ("a.mp4.music.wav", "day 2/b.music.wav"):
        assert (single.page.parent / name).read_bytes() == (score.page.parent / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_with_130_and_nothing_half(clip_factory: ClipFactory, tmp_path: Path, jobs: str) -> None:
    place = tmp_path / "many"
    place.mkdir()
    for index in range(12):
        clip_factory(f"f{index}", seconds=3, cuts=(1.0,)).rename(place / f"f{index}.mp4")
    command = [sys.executable, "-m", "gvm_plugin", "score-folder", str(place), "--model", "tone", "--jobs", jobs]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True,
                               preexec_fn=heed_ctrl_c)  # fmt: skip
    records = place / "scored" / ".gvm" / "films"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (records.is_dir() and any(records.iterdir())):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("error: interrupted")
    assert "Traceback" not in errors
    out = place / "scored"
    assert not list((out / ".gvm" / "work").iterdir()) if (out / ".gvm" / "work").exists() else True
    assert not [path for path in out.rglob("*") if "partial" in path.name]


def test_a_forecast_writes_nothing_and_says_what_is_skipped(folder: Path) -> None:
    out = folder / "scored"
    films = list_films(folder, out, recursive=False)
    outlook = {item.film.name: item for item in forecast(films, out, TONE, ToneGenerator())}
    assert not out.exists()
    assert "no video" in outlook["broken.mp4"].skip
    assert outlook["a.mp4"].cues == 1 and outlook["a.mp4"].minutes > 0 and outlook["a.mp4"].disk_bytes > 500_000
    score_folder(folder, options=TONE)
    outlook = {item.film.name: item for item in forecast(films, out, TONE, ToneGenerator())}
    assert outlook["a.mp4"].skip == "finished and unchanged"
    outlook = {item.film.name: item for item in forecast(films, out, replace(TONE, seed=3), ToneGenerator())}
    assert outlook["a.mp4"].exact
