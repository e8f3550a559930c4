"""What is handed off, and where it lies: settings, odd films, errors, cue sheet for broadcasters, command line."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import opentimelineio as otio
import pytest

from gvm_plugin import cuesheet, cuesheet_reader
from gvm_plugin.cli import run
from gvm_plugin.cuesheet import Cue
from gvm_plugin.folder import score_folder
from gvm_plugin.handoff import cue_list
from gvm_plugin.handoff.source import Film
from gvm_plugin.handoff.timecode import Rate
from gvm_plugin.handoff.timeline_doc import Clip, Key, Media, ducking_at, lay_out, level_keys
from gvm_plugin.options import EXPORTS, ScoreOptions
from gvm_plugin.score import Score, render, score_video, spot
from gvm_plugin.timeline import Span
from tests.clips import numbered
from tests.conftest import ClipFactory

ALL = ScoreOptions(model="tone", export=EXPORTS)


def exported(score: Score) -> set[str]:
    folder = score.outputs.export
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def timeline_of(score: Score) -> otio.schema.Timeline:
    return otio.adapters.read_from_file(str(score.outputs.export / f"{score.outputs.name}.otio"))


# --- what is written, and where ----------------------------------------------------------------------------------


def test_each_format_brings_its_files(clip_factory: ClipFactory) -> None:
    score = score_video(clip_factory("film"), options=ALL)
    assert exported(score) == {
        "film.otio",
        "film.fcpxml",
        "film.xml",
        "film.edl",
        "film.markers.edl",
        "film.A.take1.wav",
        "film.cue-sheet.csv",
        "film.cue-sheet.html",
    }
    assert not [path for path in score.outputs.folder.rglob("*") if "partial" in path.name or "scratch" in path.name]


def test_a_cue_sheet_alone_needs_no_takes(clip_factory: ClipFactory) -> None:
    score = score_video(clip_factory("film"), options=replace(ALL, export=("csv",)))
    assert exported(score) == {"film.cue-sheet.csv", "film.cue-sheet.html"}


def test_nothing_is_handed_off_unasked(clip_factory: ClipFactory) -> None:
    score = score_video(clip_factory("film"), options=ScoreOptions(model="tone"))
    assert not score.outputs.export.exists()


def test_a_render_writes_again_what_the_sheet_asks_for(clip_factory: ClipFactory) -> None:
    film = clip_factory("film")
    _, path = spot(film, options=replace(ALL, export=("otio", "csv")))
    assert cuesheet_reader.read(path).settings.export == ("otio", "csv")
    assert "export: otio, csv" in path.read_text("utf-8")
    assert "film.otio" in exported(render(path))


def test_a_render_without_export_leaves_what_an_editor_has_open(clip_factory: ClipFactory) -> None:
    score = score_video(clip_factory("film"), options=ALL)
    path = score.outputs.sheet
    before = {name: (score.outputs.export / name).read_bytes() for name in exported(score)}
    sheet = cuesheet_reader.read(path)
    cuesheet.write(replace(sheet, settings=replace(sheet.settings, export=())), path)
    again = render(path)
    assert {name: (again.outputs.export / name).read_bytes() for name in exported(again)} == before


def test_what_is_asked_of_a_render_replaces_all_there_was(clip_factory: ClipFactory) -> None:
    score = score_video(clip_factory("film"), options=replace(ALL, takes=2))
    mine = {"my notes.txt", "film.recut.fcpxml", "voice.wav"}
    for name in mine:
        (score.outputs.export / name).write_text("mine")
    again = render(score.outputs.sheet, export=("edl",))
    assert exported(again) == {"film.edl", "film.markers.edl", "film.A.take1.wav", "film.A.take2.wav", *mine}


def test_files_that_are_named_exist(clip_factory: ClipFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where film and folder were given relative to where one is, through a link."""
    film = clip_factory("film")
    (tmp_path / "place").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    score = score_video(Path(os.path.relpath(film)), Path("../link/out.mp4"), ALL)
    for clip in timeline_of(score).find_clips():
        url = clip.media_reference.target_url
        assert url.startswith("file:///") and ".." not in url
        assert Path(url.removeprefix("file://")).is_file()


def test_cues_that_are_called_almost_alike_have_files_of_their_own(clip_factory: ClipFactory) -> None:
    film = clip_factory("film")
    _, path = spot(film, options=ALL)
    sheet = cuesheet_reader.read(path)
    (cue,) = sheet.cues
    cues = (replace(cue, id="a/b", span=Span(0, 1), hits=()), replace(cue, id="A?b", span=Span(1, 2), hits=()))
    cuesheet.write(replace(sheet, cues=cues), path)
    score = render(path)
    files = [name for name in exported(score) if name.endswith(".wav")]
    assert len({name.casefold() for name in files}) == 2
    used = {Path(clip.media_reference.target_url).name for clip in timeline_of(score).find_clips()}
    assert used == {"film.mp4", *files}


# --- odd films ---------------------------------------------------------------------------------------------------


def test_a_silent_film_has_no_track_of_its_own_sound(clip_factory: ClipFactory) -> None:
    score = score_video(clip_factory("film"), options=ALL)
    timeline = timeline_of(score)
    assert [track.name for track in timeline.tracks] == ["Picture", "Music"]
    (clip,) = timeline.tracks[1].find_clips()
    assert clip.effects[0].metadata["gvm"]["volume_db"] == 0  # nothing to be balanced against
    root = ET.fromstring((score.outputs.export / "film.fcpxml").read_text("utf-8"))
    film = next(asset for asset in root.iter("asset") if asset.get("hasVideo"))
    assert "hasAudio" not in film.attrib
    assert "001  FILM     V     C" in (score.outputs.export / "film.edl").read_text("utf-8")


def test_a_film_whose_cues_are_all_silent_is_handed_off_as_it_is(clip_factory: ClipFactory) -> None:
    film = clip_factory("film", audio="tone")
    _, path = spot(film, options=ALL)
    sheet = cuesheet_reader.read(path)
    cuesheet.write(replace(sheet, cues=tuple(replace(cue, silent=True) for cue in sheet.cues)), path)
    score = render(path)
    timeline = timeline_of(score)
    assert [track.name for track in timeline.tracks] == ["Picture", "Original sound"]
    assert not [name for name in exported(score) if name.endswith(".wav")]
    (head,) = csv.reader(io.StringIO((score.outputs.export / "film.cue-sheet.csv").read_text("utf-8-sig")))
    assert head == list(cue_list.COLUMNS)
    assert "No music." in (score.outputs.export / "film.cue-sheet.html").read_text("utf-8")


def test_a_replaced_sound_is_there_but_off(clip_factory: ClipFactory) -> None:
    score = score_video(clip_factory("film", audio="tone"), options=replace(ALL, original="replace"))
    timeline = timeline_of(score)
    assert [clip.enabled for track in timeline.tracks for clip in track.find_clips()] == [True, False, True]
    root = ET.fromstring((score.outputs.export / "film.fcpxml").read_text("utf-8"))
    film = root.find(".//spine/asset-clip")
    assert film is not None and film.find("adjust-volume").get("amount") == "-96"  # type: ignore[union-attr]


def test_music_alone_is_ducked_in_the_edit_all_the_same(clip_factory: ClipFactory) -> None:
    film = clip_factory("film", audio="tone")
    _, path = spot(film, options=replace(ALL, music_only=True))
    sheet = cuesheet_reader.read(path)
    cuesheet.write(replace(sheet, speech=(Span(1, 2),)), path)
    timeline = timeline_of(render(path))
    sound, music = timeline.tracks[1:]
    assert [clip.enabled for clip in sound.find_clips()] == [True]
    level = next(iter(music.find_clips())).effects[0].metadata["gvm"]
    assert level["volume_db"] == 0
    assert min(key[1] for key in level["keyframes"]) == -12


def test_a_varying_rate_is_said_and_a_usual_one_taken(tmp_path: Path) -> None:
    stamps = [0, 33, 67, 100, 170, 200, 233, 300, 333, 367, 400, 467, 500, 533, 600, 633, 667, 700, 760, 800, 833, 900]
    film = numbered(tmp_path / "phone.mp4", stamps, Fraction(1, 1000))
    score = score_video(film, options=ALL)
    assert any("the frame rate varies" in warning for warning in score.report.warnings)
    rate = timeline_of(score).global_start_time.rate
    assert min(abs(rate - usual) for usual in (24, 25, 30, 24000 / 1001, 30000 / 1001)) < 1e-6


# --- the model of an edit ----------------------------------------------------------------------------------------

MEDIA = Media(Path("/a.wav"), 0, 1000, channels=2, audio_rate=48_000)


def test_neighbours_lie_on_two_tracks_in_turn_and_no_two_overlap() -> None:
    places = [(0, 10), (9, 20), (20, 30), (25, 28), (26, 40), (50, 60)]
    rows = lay_out([Clip(str(start), MEDIA, start, end - start) for start, end in places])
    for row in rows:
        assert all(before.end <= after.start for before, after in pairwise(row))
    assert len(rows) == 3
    assert (rows[0][0].name, rows[1][0].name) == ("0", "9")


def test_levels_are_fades_on_top_of_ducking() -> None:
    clip = Clip("a", MEDIA, 100, 100, volume_db=-3, keys=(Key(100, 0), Key(200, -10)), fade_in=8, fade_out=8)
    levels = {key.frame: key.gain_db for key in level_keys(clip)}
    assert levels[100] == levels[200] == -96
    assert levels[104] == pytest.approx(-3 - 0.4 - 3.01, abs=0.01)  # half way in, equal power is 3 dB down
    assert levels[108] == pytest.approx(-3 - 0.8, abs=0.01)
    assert ducking_at(clip.keys, 150) == -5
    assert ducking_at(clip.keys, 99) == 0 and ducking_at(clip.keys, 201) == -10


# --- cue sheet for broadcasters ----------------------------------------------------------------------------------

FILM = Film(Path("/films/Süd.mp4"), Rate(Fraction(25)), 90_000, 25 * 60, 64, 36, 2, 48_000)


def lines_of() -> list[cue_list.Entry]:
    sheet = cuesheet.CueSheet(
        video="Süd.mp4",
        sha256="",
        duration=60.0,
        cues=(
            Cue("A", Span(1.0, 21.5), "lofi"),
            Cue("B", Span(30.0, 40.0), "lofi", silent=True),
            Cue("=C", Span(50, 60), "funk"),
        ),
        music=(Span(30.0, 40.0),),
    )
    return cue_list.entries(sheet, FILM, "starter", "CC0-1.0")


def test_every_piece_of_music_is_listed_in_order_with_timecode() -> None:
    assert [(line.number, line.begin, line.end, line.duration, line.usage) for line in lines_of()] == [
        ("A", "01:00:01:00", "01:00:21:13", "0:00:20", "BI"),
        ("film 1", "01:00:30:00", "01:00:40:00", "0:00:10", "to be filled in"),
        ("=C", "01:00:50:00", "01:01:00:00", "0:00:10", "BI"),
    ]


def test_spreadsheets_read_the_table() -> None:
    text = cue_list.to_csv(lines_of(), FILM.path.stem)
    assert text.startswith("\ufeffProduction,Cue,Title,In,Out,Duration,")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["Production"] for row in rows] == ["Süd"] * 3
    assert rows[0]["Seconds"] == "20.50"
    assert re.fullmatch(r"generated by gvm [\d.]+, model starter", rows[0]["Origin"])
    assert (rows[0]["Licence"], rows[0]["Publisher"]) == ("CC0-1.0", "none")
    assert rows[1]["Composer"] == "to be filled in"
    assert rows[2]["Cue"] == "'=C"  # else a spreadsheet would take it for a formula


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        self._inside = tag == "td"
        if self._inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "td"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def test_the_page_says_the_same_and_asks_nothing_of_the_network() -> None:
    page = cue_list.to_html(lines_of(), replace(FILM, path=Path("/<b>.mp4")), 60.0, "2026-11-21", "ab12")
    cells = _Cells()
    cells.feed(page)
    assert [row[0] for row in cells.rows if row] == ["A", "film 1", "=C"]
    assert next(row[2:5] for row in cells.rows if row) == ["01:00:01:00", "01:00:21:13", "0:00:20"]
    assert "@page" in page and "http" not in page
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert "0:00:30" in page  # of our music in all; the film's own isn't counted


# --- command line ------------------------------------------------------------------------------------------------


def test_an_unknown_format_is_one_line_with_those_there_are(
    clip_factory: ClipFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    film = clip_factory("film")
    assert run(["score", str(film), "--model", "tone", "--export", "otio,aaf"]) == 2
    said = capsys.readouterr().err
    assert said == "error: export is 'aaf'; choose one of otio, fcpxml, xmeml, edl, csv\n"
    assert not (film.parent / "scored").exists()


def test_a_wrong_format_in_the_sheet_names_its_line(
    clip_factory: ClipFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    _, path = spot(clip_factory("film"), options=ALL)
    text = path.read_text("utf-8")
    path.write_text(re.sub(r"export: .*?(?= #|$)", "export: otio, fcxml", text, count=1, flags=re.MULTILINE), "utf-8")
    assert run(["render", str(path)]) == 1
    said = capsys.readouterr().err
    assert re.search(r"line \d+: export: 'fcxml' is unknown; did you mean fcpxml\?", said)
    assert run(["render", str(path.with_name("x")), "--export", "aaf"]) != 0


def test_a_string_in_python_is_told_apart_from_a_tuple() -> None:
    with pytest.raises(ValueError, match="tuple of formats"):
        ScoreOptions(export="otio")  # type: ignore[arg-type]


@pytest.mark.shared
def test_a_real_film_end_to_end(shared_media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`gvm score --export otio,fcpxml,edl,csv --takes 2 --stems`, then all of it again from the cue sheet."""
    film = shared_media / "clips" / "clip_12.mp4"
    out = tmp_path / "out"
    arguments = ["--export", "otio,fcpxml,edl,csv", "--takes", "2", "--stems", "--model", "tone"]
    assert run(["score", str(film), "-o", str(out), *arguments]) == 0
    said = capsys.readouterr().out
    folder = out / "clip_12.export"
    for suffix in (".otio", ".fcpxml", ".edl", ".markers.edl", ".cue-sheet.csv", ".cue-sheet.html", ".A.take2.wav"):
        assert (folder / f"clip_12{suffix}").is_file(), suffix
        assert f"clip_12.export/clip_12{suffix}" in said
    timeline = otio.adapters.read_from_file(str(folder / "clip_12.otio"))
    clips = list(timeline.find_clips())
    assert {clip.media_reference.target_url for clip in clips} == {
        film.resolve().as_uri(),
        *(path.as_uri() for path in folder.glob("*.wav")),
    }
    first = {path.name: path.read_bytes() for path in folder.glob("*.edl")}
    assert run(["render", str(out / "clip_12.cues.yaml"), "-q"]) == 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.edl")} == first


def test_a_folder_is_handed_off_once(clip_factory: ClipFactory) -> None:
    """An export asked for later is made, and not made again."""
    folder = clip_factory("one").parent
    clip_factory("two", audio="tone")
    score_folder(folder, options=ScoreOptions(model="tone"))
    stamps = []
    for _ in range(2):
        assert not score_folder(folder, options=replace(ALL, export=("edl",))).failed
        lists = [folder / "scored" / f"{name}.export" / f"{name}.edl" for name in ("one", "two")]
        stamps.append([path.stat().st_mtime_ns for path in lists])
    assert stamps[0] == stamps[1]
