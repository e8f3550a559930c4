"""Answers -> means with intervals: hand-computed, and whatever can't be counted is named."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GVMError
from gvm_plugin.cli import run
from gvm_plugin.evaluate.listening_answers import QUESTIONS, read_answers, read_key
from gvm_plugin.evaluate.listening_results import _contrasts, holm, listening_results, t_interval, to_csv, to_markdown

HEAD = [
    "test",
    "participant",
    "expert",
    "question",
    "item",
    "answer",
    "plays",
    "listened_seconds",
    "position",
    "answered_at",
]
SAMPLES = {f"{film}{system}": {"film": film, "system": system} for film in ("sea", "town") for system in ("A", "B")}
Marks = Mapping[tuple[str, str], int]  # (question, item) -> mark
Writer = Callable[..., Path]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "test.key.json"
    series = {f"series{system}": {"system": system, "films": ["sea", "town"]} for system in ("A", "B")}
    data = {"gvm_listening_test": 1, "test": "t1", "systems": ["A", "B"], "samples": SAMPLES, "series": series}
    path.write_text(json.dumps(data))
    return path


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Function that writes a listener's file, as the page does."""

    def answers(name: str, marks: Marks, musician: bool = False, **changes: str) -> Path:
        path = tmp_path / f"answers-{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HEAD)
            writer.writeheader()
            for (question, item), mark in marks.items():
                row = {"test": "t1", "participant": name, "expert": "yes" if musician else "no", "question": question,
                       "item": item, "answer": str(mark), "plays": "1"}  # fmt: skip
                writer.writerow({**row, **changes})
        return path

    return answers


def marks_of(a: Sequence[int], b: Sequence[int]) -> dict[tuple[str, str], int]:
    """All marks of a listener: for each system OMQ of sea and town, MVC of sea and town, MR."""
    marks: dict[tuple[str, str], int] = {}
    for system, values in (("A", a), ("B", b)):
        places = [("OMQ", f"sea{system}"), ("OMQ", f"town{system}"), ("MVC", f"sea{system}"), ("MVC", f"town{system}")]
        marks |= dict(zip([*places, ("MR", f"series{system}")], values, strict=True))
    return marks


def test_means_and_intervals_are_those_computed_by_hand(key: Path, write: Writer) -> None:
    files = [
        write("P1", marks_of([6, 4, 7, 7, 5], [3, 3, 2, 2, 4])),  # OMQ of A: listener means 5, 6, 7
        write("P2", marks_of([6, 6, 7, 7, 5], [4, 4, 2, 2, 4])),
        write("P3", marks_of([7, 7, 7, 7, 5], [2, 4, 2, 2, 5])),
        write("P4", marks_of([1, 3, 1, 1, 1], [1, 1, 1, 1, 1]), musician=True),
    ]
    results = listening_results(files, key)
    assert results.listeners == {"non-experts": 3, "experts": 1, "all": 4}
    quality = results.means["non-experts", "OMQ", "A"]
    assert quality.value == pytest.approx(6) and quality.n == 3
    assert quality.high is not None and quality.low is not None
    half = 4.302653 * 1 / 3**0.5  # t(0.975, 2 degrees of freedom), standard deviation 1
    assert quality.high - 6 == pytest.approx(half, abs=1e-5) == 6 - quality.low
    fit = results.means["non-experts", "MVC", "A"]
    assert (fit.value, fit.low, fit.high) == (7, 7, 7)
    alone = results.means["experts", "OMQ", "A"]
    assert (alone.value, alone.low, alone.high, alone.n) == (2, None, None, 1)
    assert results.means["all", "OMQ", "A"].value == pytest.approx(5)
    found = {(each.group, each.question): each.difference for each in results.contrasts}
    difference = found["non-experts", "OMQ"]  # within listeners: 2, 2, 4
    assert difference.estimate.value == pytest.approx(8 / 3)
    assert difference.estimate.high == pytest.approx(8 / 3 + 4.302653 * (4 / 3) ** 0.5 / 3**0.5, abs=1e-5)
    assert difference.p == pytest.approx(0.05719, abs=1e-4)  # t = 4 with 2 degrees of freedom
    assert found["experts", "MR"].p is None and found["experts", "MR"].estimate.value == 0
    text = to_markdown(results)
    assert "4 listeners: 3 non-experts, 1 experts" in text
    assert "| A | 6.00 ± 2.48 | 7.00 ± 0.00 | 5.00 ± 0.00 | 2.00 | 1.00 | 1.00 | 5.00 ±" in text
    assert "| non-experts | OMQ | A − B | +2.67 | -0.20 .. +5.54 | 0.057 | 3 |" in text
    rows = list(csv.DictReader(to_csv(results).splitlines()))
    assert {row["scale"] for row in rows} == set(QUESTIONS)
    assert next(float(row["value"]) for row in rows if row["group"] == "all" and row["other"]) == pytest.approx(2.25)


@settings(deadline=None)  # the first draw loads scipy
@given(st.integers(1, 12), st.lists(st.integers(0, 60), min_size=2, max_size=6), st.integers(-6, 6))
def test_listeners_who_agree_to_the_mark_leave_nothing_to_test(films: int, extra: list[int], apart: int) -> None:
    """Sums over films that lie equally far apart; their means do so up to rounding only."""
    ours = {f"P{n}": (films + apart + each) / films for n, each in enumerate(extra)}
    theirs = {f"P{n}": (films + each) / films for n, each in enumerate(extra)}
    (contrast,) = _contrasts("all", "OMQ", {"A": ours, "B": theirs})
    assert contrast.difference.p == (None if apart else 1.0)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    draw = random.Random(1)
    inside = 0
    for _ in range(600):
        found = t_interval([draw.gauss(4, 1) for _ in range(8)])
        assert found.low is not None and found.high is not None
        inside += found.low <= 4 <= found.high
    assert 0.92 < inside / 600 < 0.98


def test_holm_is_holms() -> None:
    assert holm([0.01, 0.04, 0.03, None]) == [pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06), None]
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"test": "t2"}, r"of another test \('t2', the key is for t1\)"),
        ({"participant": " "}, "no participant"),
        ({"expert": "perhaps"}, "expert is 'perhaps', not yes or no"),
        ({"question": "OMG"}, "'OMG' is none of OMQ, MVC, MR"),
        ({"item": "seaC"}, "there is no sample 'seaC'"),
        ({"answer": ""}, "P2 gave no mark for"),
        ({"answer": "8"}, "the mark '8' is none of 1 to 7"),
        ({"answer": "5.5"}, "the mark '5.5' is none"),
        ({"answer": "٣"}, "the mark '٣' is none of 1 to 7"),
        ({"plays": "0"}, "P2 didn't hear it to its end"),
        ({"plays": "-1"}, "P2 didn't hear it to its end"),
    ],
)
def test_rows_that_cant_be_counted_are_named_with_file_and_line(
    key: Path, write: Writer, changes: dict[str, str], said: str
) -> None:
    good = write("P1", marks_of([6, 4, 7, 7, 5], [3, 3, 2, 2, 4]))
    bad = write("P2", {("OMQ", "seaA"): 3, ("MVC", "seaA"): 3}, **changes)
    answers = read_answers([good, bad], read_key(key))
    assert {mark.listener for mark in answers.marks} == {"P1"} and len(answers.rejected) == 2
    assert re.match(f"answers-P2.csv line 2: {said}", answers.rejected[0])


def test_files_that_are_none_are_named_and_the_others_count(key: Path, write: Writer, tmp_path: Path) -> None:
    good = write("P1", marks_of([6, 4, 7, 7, 5], [3, 3, 2, 2, 4]))
    texts = {"shopping.csv": b"milk,eggs\n1,12\n", "empty.csv": b"", "picture.csv": b"\x89PNG\xff\xfe\x00\x01"}
    for name, content in texts.items():
        (tmp_path / name).write_bytes(content)
    answers = read_answers([good, *(tmp_path / name for name in texts)], read_key(key))
    assert len(answers.marks) == 10
    assert answers.rejected == (
        "shopping.csv: isn't a file of answers (no column 'test')",
        "empty.csv: isn't a file of answers (no column 'test')",
        "picture.csv: isn't text in UTF-8; ask for the file as the browser saved it",
    )
    with pytest.raises(
        GVMError, match=r"shopping\.csv: no answers that can be counted \(the first of 2: shopping\.csv"
    ):
        read_answers([tmp_path / "shopping.csv", tmp_path / "empty.csv"], read_key(key))
    with pytest.raises(GVMError, match=r"absent\.csv: can't be read"):
        read_answers([tmp_path / "absent.csv"], read_key(key))


def test_a_spreadsheets_semicolons_and_byte_order_mark_do_no_harm(key: Path, write: Writer) -> None:
    path = write("p1", marks_of([6, 4, 7, 7, 5], [3, 3, 2, 2, 4]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b",", b";"))
    answers = read_answers([path], read_key(key))
    assert len(answers.marks) == 10 and answers.rejected == ()
    assert {mark.listener for mark in answers.marks} == {"P1"}  # as the page writes codes


def test_a_film_counts_only_with_all_systems_and_the_first_mark_of_two(key: Path, write: Writer) -> None:
    marks = marks_of([6, 4, 7, 7, 5], [3, 3, 2, 2, 4])
    one = write("P1", {place: mark for place, mark in marks.items() if place != ("OMQ", "townB")})
    first = one.rename(one.with_name("first.csv"))
    again = write("P1", {("MVC", "seaA"): 1})
    answers = read_answers([first, again], read_key(key))
    assert answers.rejected == (
        "answers-P1.csv line 2: P1 marked this before; the first mark counts",
        "P1: OMQ of film town was marked for 1 of 2 systems; left out",
    )
    assert [mark.value for mark in answers.marks if mark.question == "MVC" and mark.film == "sea"] == [7, 2]
    assert answers.odd == ("P1: 8 of 10 marks count",)


def test_who_marks_everything_alike_is_pointed_out(key: Path, write: Writer) -> None:
    answers = read_answers([write("P9", marks_of([4] * 5, [4] * 5))], read_key(key))
    assert answers.odd == ("P9: gave 4 every time; counts, but tells systems apart in nothing",)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"gvm_listening_test": 1}', '{"gvm_listening_test": 9}'])
def test_a_key_that_is_none_is_said_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "wrong.key.json"
    path.write_text(content)
    with pytest.raises(GVMError, match=r"^wrong.key.json: (is no key|a key of format)") as caught:
        read_key(path)
    assert "\n" not in str(caught.value)


def test_the_command_prints_tables_and_keeps_them(
    key: Path, write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[Any]
) -> None:
    files = [write(f"P{n}", marks_of([6, 4, 7, 7, n], [3, 3, 2, 2, 4]), musician=n > 2) for n in (1, 2, 3, 4)]
    out = tmp_path / "results"
    command = ["evaluate", "listening-results", *map(str, files), "--key", str(key), "--out", str(out)]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert run(command) == 0 and capsys.readouterr().out == said
    assert "| System | OMQ, non-experts | MVC, non-experts | MR, non-experts | OMQ, experts |" in said
    assert (out / "results.md").read_text() == said
    assert len((out / "results.csv").read_text().splitlines()) == 1 + 3 * 3 * 3
    (out / "results.csv").write_text("mine")
    assert run(command) == 1 and (out / "results.csv").read_text() == "mine"
    assert capsys.readouterr().err.startswith(f"error: {out / 'results.csv'}: isn't a file that gvm wrote")
    assert run(["evaluate", "listening-results", str(files[0]), "--key", str(files[1])]) == 1
    assert capsys.readouterr().err.startswith(
        "error: answers-P2.csv: is no key of a listening test; name the .key.json"
    )
