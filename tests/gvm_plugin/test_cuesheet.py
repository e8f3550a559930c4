from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import CueSheetError, DeliveryError
from gvm_plugin.cuesheet import Cue, CueSheet, Settings, format_time, parse_time, to_yaml, update, write
from gvm_plugin.cuesheet_reader import from_yaml, read
from gvm_plugin.options import ORIGINALS, STYLES
from gvm_plugin.timeline import HitPoint, Shot, Span

MICROS = st.integers(0, 7_200_000_000)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.just("\n"), min_size=1, max_size=30)
STRENGTH = st.floats(0, 1, allow_nan=False)
KEYS = st.none() | st.sampled_from(["C", "F#", "Bbm", "Am"])

SHEET = CueSheet(
    video="../film.mp4",
    sha256="ab" * 32,
    duration=63.211,
    cues=(
        Cue("A", Span(0, 30.5), "lofi", 0.2, None, 96.0, "F#m", 4, 1, hits=(HitPoint(4.13, 0.8),), reason="one: # two"),
        Cue("B", Span(30.5, 63.211), "lofi", silent=True),
    ),
    shots=(Shot(Span(0, 4.13)), Shot(Span(4.13, 63.211), 0.7)),
    speech=(Span(1.5, 2.25),),
)


@given(MICROS)
def test_a_written_time_is_read_back_exactly(micros: int) -> None:
    assert parse_time(format_time(micros / 1_000_000)) == micros / 1_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1:02.5", 62.5), ("1:01:02.25", 3662.25), ("62.5", 62.5), (62.5, 62.5), (3, 3.0), ("0:07", 7)],
)
def test_times_as_people_type_them(text: object, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["soon", "1:75.0", "1:62:03", -2, "nan", True, None, "1:2:3:4", [1]])
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_time(text)


@st.composite
def sheets(draw: st.DrawFn) -> CueSheet:
    times = sorted(draw(st.sets(st.integers(1, 7_200_000_000), min_size=2, max_size=9)))
    seconds = [t / 1_000_000 for t in times]
    duration = seconds[-1]
    cues = []
    for index, (start, end) in enumerate(pairwise(seconds)):
        if draw(st.integers(0, 3)) == 0:
            continue
        hits = tuple(HitPoint(t, draw(STRENGTH)) for t in {start, end})
        cues.append(
            Cue(
                id=draw(TEXT) + str(index),
                span=Span(start, end),
                style=draw(st.sampled_from(STYLES)),
                mood=draw(st.none() | st.floats(-1, 1)),
                energy=draw(st.none() | STRENGTH),
                tempo=draw(st.none() | st.floats(40, 200)),
                key=draw(KEYS),
                seed=draw(st.integers(0, 2**63 - 1)),
                take=draw(st.integers(1, 16)),
                silent=draw(st.booleans()),
                hits=tuple(sorted(hits, key=lambda hit: hit.seconds)),
                reason=draw(st.just("") | TEXT),
            )
        )
    return CueSheet(
        video=draw(TEXT),
        sha256=draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        duration=duration,
        cues=tuple(cues),
        settings=Settings(
            model=draw(TEXT),
            lufs=draw(st.floats(-40, -5)),
            original=draw(st.sampled_from(ORIGINALS)),
            takes=draw(st.integers(1, 16)),
            stems=draw(st.booleans()),
            soundfont=draw(st.none() | TEXT.filter(lambda text: text != "none")),
        ),
        shots=tuple(Shot(Span(a, b), draw(STRENGTH)) for a, b in pairwise(seconds)),
        speech=tuple(Span(a, b) for a, b in zip(seconds[::2], seconds[1::2], strict=False)),
        warnings=tuple(draw(st.lists(TEXT, max_size=2))),
        provenance=draw(st.dictionaries(TEXT, TEXT | st.integers() | st.booleans(), max_size=3)),
    )


@settings(max_examples=60, deadline=None)
@given(sheets())
def test_what_is_written_is_read_back(sheet: CueSheet) -> None:
    assert from_yaml(to_yaml(sheet), "film.cues.yaml") == sheet


def test_a_film_name_cannot_break_out_of_the_comment() -> None:
    assert from_yaml(to_yaml(SHEET, "x\ncues: []\n.cues.yaml"), "x") == SHEET


@pytest.mark.parametrize(
    ("old", "new", "line_of", "says"),
    [
        ("tempo: 96.0", "tempo: fast", "tempo: fast", "40 and 200"),
        ("tempo: 96.0", "temppo: 96.0", "temppo", "did you mean 'tempo'"),
        ("out: 0:30.500", "out: 0:40.500", "id: B", "overlap"),
        ("out: 1:03.211", "out: 1:04.000", "out: 1:04.000", "film ends at 1:03.211"),
        ("out: 0:30.500", "out: 0:00.000", "out: 0:00.000", "not after in"),
        ("style: lofi", "style: lofy", "style: lofy", "did you mean lofi"),
        ("style: lofi", "style: polka", "style: polka", "cinematic"),
        ("id: B", "id: A", "id: A\n  in: 0:30", "two cues"),
        ("mood: 0.2", "mood: 7", "mood: 7", "-1 and 1"),
        ("take: 1\n", "take: one\n", "take: one", "whole number"),
        ("silent: true", "silent: maybe", "silent: maybe", "neither true nor false"),
        ("key: F#m", "key: H", "key: H", "A..G"),
        ("[0:04.130, 0.8]", "[0:04.130]", "[0:04.130]\n", "moment, strength"),
        ("[0:04.130, 0.8]", "[0:44.130, 0.8]", "[0:44.130", "after the end"),
        ("  seed: 4", "\tseed: 4", "\tseed", "tab"),
        ("  seed: 4", "  seed: 4\n  seed: 5", "seed: 5", "keep one"),
        ("in: 0:30.500\n", "in 0:30.500\n", "in 0:30.500", "lines around"),
        ("original: keep", "original: mute", "original: mute", "keep, replace"),
        ("gvm_cue_sheet: 1", "gvm_cue_sheet: 9", "gvm_cue_sheet: 9", "version 1"),
    ],
)
def test_a_bad_edit_is_named_with_its_line_and_remedy(old: str, new: str, line_of: str, says: str) -> None:
    text = to_yaml(SHEET)
    assert old in text
    edited = text.replace(old, new, 1)
    line = edited[: edited.index(line_of)].count("\n") + 1
    with pytest.raises(CueSheetError) as caught:
        from_yaml(edited, "film.cues.yaml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.line is not None and abs(caught.value.line - line) <= 1
    assert f"line {caught.value.line}:" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b\n",
        "cues: !!set x",
        "cues: !!float x",
        "hello",
        "gvm_cue_sheet: 1\n",
        "cues: 3\ngvm_cue_sheet: 1\nvideo: x\n",
    ],
)
def test_what_is_no_sheet_is_refused(text: str) -> None:
    with pytest.raises(CueSheetError, match=r"x\.yaml"):
        from_yaml(text, "x.yaml")


def test_a_sheet_with_only_the_necessary_gets_defaults() -> None:
    text = "gvm_cue_sheet: 1\nvideo: {file: a.mp4, duration: 20}\ncues:\n- {id: 1, in: 0, out: 19.5}\n"
    sheet = from_yaml(text, "x")
    assert sheet.settings == Settings()
    assert sheet.cues == (Cue("1", Span(0, 19.5), STYLES[0]),)


def test_a_time_rounded_over_the_end_is_taken_as_the_end() -> None:
    text = "gvm_cue_sheet: 1\nvideo: {file: a.mp4, duration: 20.0333}\ncues:\n- {id: A, in: 0, out: 20.034}\n"
    assert from_yaml(text, "x").cues[0].span.end == 20.0333


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "film.cues.yaml"
    write(SHEET, path)
    assert read(path) == SHEET
    assert [p.name for p in tmp_path.iterdir()] == ["film.cues.yaml"]
    with pytest.raises(DeliveryError, match="folder"):
        write(SHEET, tmp_path / "absent" / "film.cues.yaml")


def test_provenance_is_updated_and_a_persons_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "film.cues.yaml"
    path.write_text(to_yaml(SHEET).replace("  tempo: 96.0", "  tempo: 96.0  # as the song before"))
    assert update(path, {"model": "tone"}) == ""
    assert "# as the song before" in path.read_text()
    assert read(path).provenance == {"model": "tone"}
    assert read(path).cues == SHEET.cues


@pytest.mark.parametrize("layout", ["block", "flow"])
def test_the_chosen_take_is_written_where_it_was_open(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "film.cues.yaml"
    cues = "- {id: 1, in: 0, out: 9}\n- {id: B, in: 9, out: 20}\n- {id: C, in: 20, out: 30, take: auto}\n"
    if layout == "block":
        cues = (
            "- id: 1  # the lake\n  in: 0\n  out: 9  # a slow one\n\n# the harbour\n- id: B\n  in: 9\n  out: 20\n"
            "- id: C\n  in: 20\n  out: 30\n  take: auto  # as gvm likes\n"
        )
    path.write_text(f"gvm_cue_sheet: 1\nvideo: {{file: a.mp4, duration: 30}}\ncues:\n{cues}")
    assert update(path, {}, {"1": (None, 2), "B": (None, 1), "C": (None, 3), "gone": (None, 1)}) == ""
    assert [cue.take for cue in read(path).cues] == [2, 1, 3]
    assert update(path, {}, {"1": (2, 1), "B": (7, 4), "C": (3, None)}) == ""  # B was changed by a person meanwhile
    assert [cue.take for cue in read(path).cues] == [1, 1, None]
    for comment in ("# the lake", "# a slow one", "# the harbour\n- id: B", "auto  # as gvm likes"):
        assert layout == "flow" or comment in path.read_text()


@pytest.mark.parametrize("text", ["cues: [", "hello", "cues:\n- {in: 3}\n", "\tcues:", "", None])
def test_a_sheet_that_broke_while_it_was_rendered_stays_as_it_is(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "film.cues.yaml"
    if text is not None:
        path.write_text(text)
    line = update(path, {"model": "tone"}, {"A": (None, 1)})
    assert line.startswith(f"{path}: was changed while it was rendered") and "gvm render" in line
    assert (path.read_text() if path.exists() else None) == text


def test_unreadable_sheets_are_named(tmp_path: Path) -> None:
    with pytest.raises(CueSheetError, match=r"absent\.yaml"):
        read(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"\xff\xfe\xe9")
    with pytest.raises(CueSheetError, match="UTF-8"):
        read(tmp_path / "latin.yaml")
