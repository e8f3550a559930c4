"""The page of a folder: complete in itself, true to its figures, unharmed by odd names, small for long films."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DeliveryError
from gvm_plugin.choose import Choice, TakeFigures
from gvm_plugin.cuesheet import Cue
from gvm_plugin.ducking import Keyframe
from gvm_plugin.measure import Curve, HitError, Measures
from gvm_plugin.report import OutputFile, VideoReport, curve, write_report
from gvm_plugin.report_view import MOST_FRAME_BYTES, Lanes, figures, film_frames, href, spell_duration, timecode
from gvm_plugin.timeline import HitPoint, Shot, Span

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4


class Page(HTMLParser):
    """Tags with their attributes, ids, and the text outside style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "link", "input", "br", "path", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> with nothing open"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def all(self, tag: str, of_class: str = "") -> list[dict[str, str]]:
        return [a for name, a in self.tags if name == tag and (not of_class or of_class in a.get("class", "").split())]


def film(name: str = "market.mp4", shots: int = 4, duration: float = 20.0) -> VideoReport:
    """A film scored with two cues, the second silent; one hit point early, one late, one not heard."""
    edges = np.linspace(0, duration, shots + 1)
    cut = duration / 2
    return VideoReport(
        name,
        outputs=(
            OutputFile("video", name),
            OutputFile("music", "market.music.wav"),
            OutputFile("sheet", "market.cues.yaml"),
        ),
        duration=duration,
        picture="1280 × 720, 29.97 fps",
        thumbnails=tuple((float(a) + 0.1, JPEG + bytes([n % 256])) for n, a in enumerate(edges[:-1])),
        shots=tuple(Shot(Span(float(a), float(b)), 0.5) for a, b in pairwise(edges)),
        cues=(
            Cue(
                "c01",
                Span(0, cut),
                "cinematic",
                0.3,
                0.6,
                92.0,
                "Dm",
                7,
                2,
                hits=(HitPoint(5.0, 0.9),),
                reason="harbour",
            ),
            Cue("c02", Span(cut, duration), "ambient", silent=True),
        ),
        speech=(Span(2, 4),),
        music=(Span(15, 18),),
        ducking=(Keyframe(1.7, 0.0), Keyframe(2.0, -12.0), Keyframe(4.0, -12.0), Keyframe(5.5, 0.0)),
        activity=Curve(0.125, 0.125, tuple(float(v) for v in np.abs(np.sin(np.arange(150) / 9)))),
        measures=Measures(
            duration,
            activity_energy_r=0.62,
            cut_accent_lift=1.8,
            hits=(HitError(5.0, 0.9, -12.0), HitError(7.0, 0.3, 61.0), HitError(9.0, 0.9, None)),
            median_hit_error_ms=36.5,
            energy=Curve(0.0, 0.1, tuple(float(v) for v in 1 + np.cos(np.arange(200) / 20))),
            lufs=-14.04,
            lra=6.1,
            true_peak_dbtp=-1.0,
            music_lufs=-18.0,
            ducking_depth_db=11.9,
            clicks=(),
            bandwidth_hz=17_200.0,
            stereo_correlation=0.55,
        ),
        target_lufs=-14.0,
        model="starter",
        licence="CC0-1.0",
        weights_sha256="ab12" * 16,
        timings={"analyse": 1.5, "generate": 2.5},
    )


def written(tmp_path: Path, *films: VideoReport, title: str = "vlogs") -> Page:
    write_report(films, tmp_path / "report.html", title)
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_a_report_survives_being_kept_as_json() -> None:
    report = replace(film("na\udcffme.mp4"), warnings=("the picture stands still",))
    again = VideoReport.from_json(report.to_json())
    assert again == report
    assert isinstance(again.cues[0], Cue)
    assert again.thumbnails[0][1] == report.thumbnails[0][1]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 99}', '{"format": 1}', '{"format": 1, "name": 3}'])
def test_json_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        VideoReport.from_json(text)


def test_the_page_asks_nothing_of_the_network(tmp_path: Path) -> None:
    page = written(tmp_path, film(), film("second.mp4"))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "http:" not in html
    assert "https:" not in html
    sources = [value for _, attrs in page.tags for name, value in attrs.items() if name in {"src", "href", "poster"}]
    assert all(re.match(r"\./|#|data:", source) for source in sources)
    assert set(re.findall(r"url\((.{5})", html)) == {"data:"}


def test_the_page_is_well_formed_and_names_itself(tmp_path: Path) -> None:
    page = written(tmp_path, film(), VideoReport("broken.mp4", "failed", error="no index", remedy="Copy it again."))
    assert page.open == []
    assert page.all("html")[0]["lang"] == "en"
    assert "vlogs" in page.text
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert targets == ["film-1", "film-2"]
    assert set(targets) <= set(ids)
    assert all(svg.get("aria-hidden") == "true" for svg in page.all("svg"))


def test_it_says_what_was_scored_what_failed_and_why(tmp_path: Path) -> None:
    page = written(
        tmp_path,
        film(),
        film("second.mp4", duration=100.0),
        VideoReport("broken.mp4", "failed", error="its index is missing", remedy="Copy it from the camera again."),
        VideoReport("talk.mp4", "skipped", error="No picture in it."),
    )
    words = " ".join(page.text.split())
    assert "2 films scored, 1 failed, 1 skipped – 2 min of picture" in words
    assert "Failed. its index is missing" in words
    assert "Copy it from the camera again." in words
    assert "Skipped. No picture in it." in words
    assert "starter (ab12ab12ab12). Licence: CC0-1.0." in words


def test_weights_that_may_not_earn_money_are_named_as_such(tmp_path: Path) -> None:
    page = written(tmp_path, replace(film(), licence="CC-BY-NC-4.0", commercial_use=False))
    assert "CC-BY-NC-4.0 – not for films that earn money" in page.text


def test_cues_hits_speech_and_ducking_lie_where_they_belong(tmp_path: Path) -> None:
    page = written(tmp_path, film())
    first, second = page.all("div", "cue")
    assert "left:0%;width:50%" in first["style"]
    assert first["title"] == "c01 0:00.0–0:10.0 · cinematic · 92 bpm · Dm · mood +0.3 · energy 0.6 · harbour"
    assert "silent" in second["class"]
    ticks = [(a["class"], a["style"]) for a in page.all("i") if "hit point" in a.get("title", "")]
    assert ticks == [("good strong", "left:25%"), ("fair light", "left:35%"), ("none strong", "left:45%")]
    assert "12 ms early" in page.text
    assert "61 ms late" in page.text
    assert "left:10%;width:10%" in page.all("i", "speech")[0]["style"]
    assert "left:75%;width:15%" in page.all("i", "own")[0]["style"]
    paths = [path["d"] for path in page.all("path")]
    assert "M0.0 12.0L85.0 12.0L100.0 88.0L200.0 88.0L275.0 12.0L1000.0 12.0" in paths
    assert "M250.0 0V100M500.0 0V100M750.0 0V100" in paths


def test_players_and_links_reach_files_with_odd_names(tmp_path: Path) -> None:
    names = [
        "100% #1?.mp4",
        "a \"b\" & 'c'.mp4",
        "-x.mp4",
        "two\nlines.mp4",
        "🎬 café.mp4",
        "c:d.mp4",
        "na\udcffme.mp4",
        "a\\b.mp4",
    ]
    page = written(tmp_path, *(replace(film(name), outputs=(OutputFile("video", name),)) for name in names))
    sources = [video["src"] for video in page.all("video")]
    assert [os.fsdecode(unquote(source[2:], errors="surrogateescape")) for source in sources] == names
    assert all(re.fullmatch(r"\./[\w%.~/-]+", source, re.ASCII) for source in sources)
    assert "two↵lines.mp4" in page.text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_every_name_comes_back_out_of_its_link(name: str) -> None:
    assert unquote(href(name)[2:]) == name
    assert re.fullmatch(r"\./[\w%.~/-]+", href(name), re.ASCII)


def test_names_and_words_of_others_stay_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'.mp4"
    report = replace(
        film(evil),
        warnings=(evil,),
        picture=evil,
        model=evil,
        licence=evil,
        timings={evil: 1.0},
        cues=(Cue(evil, Span(0, 20), evil, key=evil, reason=evil),),
        outputs=(OutputFile("video", evil, evil), OutputFile("stem", evil, evil), OutputFile("stem", "b", evil)),
    )
    failed = VideoReport(evil, "failed", error=evil, remedy=evil)
    page = written(tmp_path, report, failed, title=evil)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert page.text.count("<script>alert(1)</script>") >= 12


def test_an_hour_with_five_hundred_shots_stays_small(tmp_path: Path) -> None:
    long = film("hour.mp4", shots=500, duration=3600.0)
    assert long.measures is not None
    long = replace(
        long,
        thumbnails=tuple((at, JPEG * 8) for at, _ in long.thumbnails),
        activity=curve(np.arange(28_800) / 8, np.random.default_rng(0).random(28_800)),
        measures=replace(long.measures, hits=tuple(HitError(float(at), 0.8, 5.0) for at in range(0, 3600, 8))),
        cues=tuple(Cue(f"c{n}", Span(n * 60.0, n * 60.0 + 60), "lofi", tempo=80) for n in range(60)),
        speech=tuple(Span(at, at + 6.0) for at in range(0, 3600, 20)),
        ducking=tuple(Keyframe(float(at), -6.0 * (at % 3)) for at in range(0, 3600, 5)),
    )
    written(tmp_path, long)
    assert (tmp_path / "report.html").stat().st_size < 420_000


def test_thumbnails_cover_the_film_in_order_within_their_budget() -> None:
    for shots, size in ((1, 1), (7, 1), (200, 1), (200, 40), (3, 400)):
        report = film(shots=shots)
        report = replace(report, thumbnails=tuple((at, image * size) for at, image in report.thumbnails))
        frames = film_frames(report)
        lefts = [float(frame["left"]) for frame in frames]
        ends = [left + float(frame["width"]) for left, frame in zip(lefts, frames, strict=True)]
        assert lefts[0] == 0
        assert ends == pytest.approx([*lefts[1:], 100], abs=0.01)
        assert len(frames) <= 24
        assert sum(len(frame["image"]) for frame in frames) < MOST_FRAME_BYTES * 1.4 or len(frames) == 1
    assert film_frames(replace(film(), thumbnails=())) == []


def test_figures_out_of_their_healthy_range_are_marked() -> None:
    fine = film()
    assert fine.measures is not None
    assert [figure.name for figure in figures(fine) if figure.amiss] == []
    bad = replace(
        fine.measures,
        lufs=-14.3,
        true_peak_dbtp=-0.7,
        median_hit_error_ms=55.0,
        ducking_depth_db=6.0,
        clicks=(3.5,),
        longest_silence_seconds=2.0,
        bandwidth_hz=9000.0,
        stereo_correlation=1.0,
    )
    names = {figure.name for figure in figures(replace(fine, measures=bad)) if figure.amiss}
    assert names == {
        *("Loudness", "True peak", "Hit points, median", "Music under speech"),
        *("Clicks", "Longest silence", "Bandwidth", "Stereo correlation"),
    }
    values = {figure.name: figure.value for figure in figures(fine)}
    assert values["Loudness"] == "−14.0 LUFS"
    assert values["Music under speech"] == "−11.9 dB"
    assert figures(replace(fine, measures=None)) == []


def test_a_take_is_blamed_for_its_own_faults_alone(tmp_path: Path) -> None:
    takes = (TakeFigures(1, faults=("it is silent for 3.0 s",)), TakeFigures(2, faults=("it clicks",)), TakeFigures(3))
    choices = [Choice("c01", n, "hand", "chosen in the cue sheet", takes) for n in (3, 2)]
    choices.append(Choice("c02", 2, "kept", "it clicks; none of 3 takes is without fault", takes))
    words = " ".join(written(tmp_path, replace(film(), choices=tuple(choices))).text.split())
    assert "used: chosen in the cue sheet" in words
    assert words.count("chosen in the cue sheet; although it clicks") == words.count("; although") == 1


def test_what_was_not_measured_is_not_on_the_page(tmp_path: Path) -> None:
    bare = VideoReport("bare.mp4", duration=3.0, measures=Measures(3.0), outputs=(OutputFile("video", "bare.mp4"),))
    page = written(tmp_path, bare, replace(bare, duration=0.0), VideoReport("nothing.mp4"))
    assert "None" not in page.text
    assert "nan" not in page.text
    assert len(page.all("div", "timeline")) == 1


def test_a_page_that_can_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"report\.html"):
        write_report([film()], tmp_path / "missing" / "report.html")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(DeliveryError):
        write_report([film()], tmp_path / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


@given(st.lists(st.floats(0, 1e3), min_size=2, max_size=3000))
def test_curves_keep_their_span_and_stay_within_their_values(values: list[float]) -> None:
    times = np.arange(len(values)) / 8
    short = curve(times, values)
    assert short is not None
    assert 2 <= len(short.values) <= 600
    assert 0 <= short.start <= short.start + short.step * (len(short.values) - 1) <= times[-1] + 1e-6
    assert min(values) * 0.999 - 1e-9 <= min(short.values) <= max(short.values) <= max(values) * 1.001 + 1e-9
    numbers = [float(part) for part in re.findall(r"[\d.]+", Lanes(float(times[-1])).line(short))]
    assert all(0 <= x <= 1000 for x in numbers[::2])
    assert all(0 <= y <= 100 for y in numbers[1::2])


def test_times_read_like_a_spotting_sheet() -> None:
    assert [timecode(at, 2) for at in (0, 59.999, 61.234, 3723.4)] == ["0:00.00", "1:00.00", "1:01.23", "1:02:03.40"]
    assert [spell_duration(at) for at in (12.2, 60, 285, 3600, 3725)] == [
        "12 s",
        "1 min",
        "4 min 45 s",
        "1 h",
        "1 h 2 min",
    ]
