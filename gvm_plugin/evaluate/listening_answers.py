"""Answers of a listening test: CSV files and the key -> marks that can be counted; the others are named, with reasons.

    read_key      which sample and which series is whose
    read_answers  rows that are what the page writes, each once, heard to the end

A film counts for a listener only where the listener marked it with every system: otherwise who skipped one system's
music for the dull film would make that system look better.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from core.errors import GVMError, brief
from core.frames import shown_name
from gvm_plugin.evaluate.listening import FORMAT

QUESTIONS: Final = ("OMQ", "MVC", "MR")
SERIES_QUESTION: Final = "MR"
COMMENT: Final = "comment"
HIGHEST: Final = 7
COLUMNS: Final = ("test", "participant", "expert", "question", "item", "answer", "plays")
ALIKE: Final = 8  # from so many marks on it is odd that all are the same
_LARGEST_BYTES: Final = 4_000_000  # far more than a listener can write


@dataclass(frozen=True)
class Key:
    """What the key says. samples: drawn name -> (film, system). series: drawn name -> system."""

    test: str
    systems: tuple[str, ...]
    samples: Mapping[str, tuple[str, str]]
    series: Mapping[str, str]


@dataclass(frozen=True)
class Mark:
    """One mark, 1..7. film: "" for a series."""

    listener: str
    expert: bool
    question: str
    film: str
    system: str
    value: int


@dataclass(frozen=True)
class Answers:
    """What can be counted. rejected: a line for everything that can't; odd: for what counts but should be looked at.

    comments: (listener, text).
    """

    marks: tuple[Mark, ...]
    rejected: tuple[str, ...]
    odd: tuple[str, ...]
    comments: tuple[tuple[str, str], ...]


def read_key(path: Path) -> Key:
    """The key of a test. GVMError where the file is none."""
    remedy = "name the .key.json that `gvm evaluate listening-test` wrote"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["gvm_listening_test"] != FORMAT:
            raise GVMError(f"{shown_name(path)}: a key of format {brief(data['gvm_listening_test'])}, made by another "
                           "version of gvm; use that one")  # fmt: skip
        samples = {name: (str(whose["film"]), str(whose["system"])) for name, whose in data["samples"].items()}
        series = {name: str(whose["system"]) for name, whose in data["series"].items()}
        systems = tuple(str(name) for name in data["systems"])
        if {system for _, system in samples.values()} != set(systems) or not set(series.values()) <= set(systems):
            raise GVMError(f"{shown_name(path)}: its samples aren't those of its systems; {remedy}")
        return Key(str(data["test"]), systems, samples, series)
    except OSError as err:
        raise GVMError(f"{path}: can't be read ({err.strerror}); {remedy}") from err
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise GVMError(f"{shown_name(path)}: is no key of a listening test; {remedy}") from err


def read_answers(paths: Sequence[Path], key: Key) -> Answers:
    """All marks in the files `paths` that can be counted. GVMError where there is none at all."""
    marks: dict[tuple[str, str, str], Mark] = {}
    rejected: list[str] = []
    comments: dict[str, str] = {}
    experts: dict[str, bool] = {}
    for path in paths:
        for where, row in _rows(path, rejected):
            found = _read_row(row, key)
            if isinstance(found, str):
                rejected.append(f"{where}: {found}")
                continue
            listener, expert, text = found
            if text is not None:
                comments[listener] = text
                continue
            mark = _mark(row, listener, expert, key)
            if experts.setdefault(listener, expert) != expert:
                rejected.append(f"{where}: {listener} is an expert in one row and none in another")
            elif marks.setdefault((listener, mark.question, row["item"]), mark) is not mark:
                rejected.append(f"{where}: {listener} marked this before; the first mark counts")
    whole, partly = _whole_films(list(marks.values()), key)
    if not whole:
        why = f" (the first of {len(rejected)}: {rejected[0]})" if rejected else ""
        raise GVMError(
            f"{shown_name(paths[0])}: no answers that can be counted{why}; name the files that listeners saved"
        )
    return Answers(tuple(whole), (*rejected, *partly), tuple(_odd(whole, key)), tuple(comments.items()))


def _rows(path: Path, rejected: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(where it stands, row) of all rows of a file; a file that isn't one of answers goes to `rejected`."""
    name = shown_name(path)
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            rejected.append(f"{name}: too large for the answers of a listener; not read")
            return
        text = path.read_text(encoding="utf-8-sig")
    except OSError as err:
        raise GVMError(f"{path}: can't be read ({err.strerror}); check the name") from err
    except UnicodeDecodeError:
        rejected.append(f"{name}: isn't text in UTF-8; ask for the file as the browser saved it")
        return
    lines = text.splitlines()
    separator = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","  # as some spreadsheets save it
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=separator, restval="", restkey="more")
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            rejected.append(f"{name}: isn't a file of answers (no column {missing[0]!r})")
            return
        for row in reader:
            yield f"{name} line {reader.line_num}", {name: str(value).strip() for name, value in row.items()}
    except csv.Error as err:
        rejected.append(f"{name}: breaks off at line {reader.line_num} ({err})")


def _read_row(row: Mapping[str, str], key: Key) -> tuple[str, bool, str | None] | str:
    """(listener, expert, comment or None) of a row that is right; otherwise what is wrong with it."""
    listener, question = row["participant"].upper(), row["question"]
    if row["test"] != key.test:
        return f"of another test ({brief(row['test'])}, the key is for {key.test})"
    if not listener:
        return "no participant"
    if row["expert"] not in ("yes", "no"):
        return f"expert is {brief(row['expert'])}, not yes or no"
    if question == COMMENT:
        return listener, row["expert"] == "yes", row["answer"]
    if question not in QUESTIONS:
        return f"{brief(question)} is none of {', '.join(QUESTIONS)}"
    known: Mapping[str, Any] = key.series if question == SERIES_QUESTION else key.samples
    if row["item"] not in known:
        return f"there is no {'series' if question == SERIES_QUESTION else 'sample'} {brief(row['item'])}"
    if not row["answer"]:
        return f"{listener} gave no mark for {question}"
    if row["answer"] not in map(str, range(1, HIGHEST + 1)):
        return f"the mark {brief(row['answer'])} is none of 1 to {HIGHEST}"
    if not row["plays"].isdecimal() or int(row["plays"]) < 1:
        return f"{listener} didn't hear it to its end"
    return listener, row["expert"] == "yes", None


def _mark(row: Mapping[str, str], listener: str, expert: bool, key: Key) -> Mark:
    question = row["question"]
    film, system = ("", key.series[row["item"]]) if question == SERIES_QUESTION else key.samples[row["item"]]
    return Mark(listener, expert, question, film, system, int(row["answer"]))


def _whole_films(marks: Sequence[Mark], key: Key) -> tuple[list[Mark], list[str]]:
    """The marks of films (or series) that a listener marked with all systems; a line for each of the others."""
    kept: list[Mark] = []
    lines: list[str] = []

    def group(mark: Mark) -> tuple[str, str, str]:
        return mark.listener, mark.question, mark.film

    for (listener, question, film), found in groupby(sorted(marks, key=group), key=group):
        some = list(found)
        if len(some) == len(key.systems):
            kept += some
        else:
            what = f"film {film}" if film else "the series"
            lines.append(
                f"{listener}: {question} of {what} was marked for {len(some)} of {len(key.systems)} systems; left out"
            )
    return kept, lines


def _odd(marks: Sequence[Mark], key: Key) -> Iterator[str]:
    """A line for each listener who marked everything alike, or far from everything."""
    each = {listener: [mark for mark in marks if mark.listener == listener] for listener in _listeners(marks)}
    wanted = 2 * len(key.samples) + len(key.series)
    for listener, mine in each.items():
        if len(mine) >= ALIKE and len({mark.value for mark in mine}) == 1:
            yield f"{listener}: gave {mine[0].value} every time; counts, but tells systems apart in nothing"
        if len(mine) < wanted:
            yield f"{listener}: {len(mine)} of {wanted} marks count"


def _listeners(marks: Sequence[Mark]) -> list[str]:
    return sorted({mark.listener for mark in marks})
