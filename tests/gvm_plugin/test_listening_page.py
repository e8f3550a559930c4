"""The page of the listening test in a real browser, by keys alone, from a file:// folder."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import chromium
import numpy as np
import pytest
import soundfile

from gvm_plugin.evaluate.listening import ListeningOptions, ListeningTest, build_listening_test
from gvm_plugin.evaluate.listening_results import listening_results
from tests.conftest import sound_of, write_clip

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="chromium isn't installed")

HEARD = "document.getElementById('heard').textContent.startsWith('heard')"


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> ListeningTest:
    """Two films of half a second with two systems' music."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "films").mkdir()
    for name in ("a", "b"):
        write_clip(folder / "films" / f"{name}.mp4", 0.6, Fraction(25), (64, 36), (), None)
        for system, gain in (("one", 1.0), ("two", 0.3)):
            (folder / system).mkdir(exist_ok=True)
            soundfile.write(folder / system / f"{name}.wav", gain * sound_of("tone", 0.6).T.astype(np.float32), 48_000)
    systems = {name: folder / name for name in ("one", "two")}
    return build_listening_test(folder / "films", systems, folder / "test", ListeningOptions(seconds=0.5, series=2))


@pytest.fixture
def page(blind: ListeningTest, tmp_path: Path) -> Iterator[chromium.Page]:
    with chromium.browser(tmp_path / "profile") as page:
        page.downloads_to(tmp_path)
        page.open(blind.page)
        yield page
        assert page.problems == []


def begin(page: chromium.Page, code: str, expert: bool = True) -> None:
    """From the start page on: the code, the question, and Begin."""
    page.run(f"document.getElementById('code').value = {json.dumps(code)}; document.getElementById('code').focus()")
    page.press("Tab")
    page.press("ArrowRight" if not expert else "Space")
    if not expert:
        assert page.run("document.querySelector('[name=expert]:checked').value") == "no"
    page.press("Enter")
    page.wait("!document.getElementById('test').hidden")


def text(page: chromium.Page, name: str) -> str:
    return str(page.run(f"document.getElementById('{name}').textContent"))


def hear(page: chromium.Page) -> None:
    page.press("Space")
    page.wait(HEARD)


def test_a_listener_goes_through_the_test_by_keys_and_saves_answers_that_can_be_counted(
    page: chromium.Page, blind: ListeningTest, tmp_path: Path
) -> None:
    page.type("p07")  # the code has the focus from the first
    page.press("Tab")
    page.press("Space")
    page.press("Enter")
    page.wait("!document.getElementById('test').hidden")
    page.press("5")
    assert "hear it to its end first" in text(page, "status")
    page.press("ArrowRight")
    assert text(page, "place") == "Sample 1 of 4"
    for number, (quality, fit) in enumerate([(5, 6), (2, 3), (7, 1), (4, 4)], 1):
        assert text(page, "place") == f"Sample {number} of 4"
        hear(page)
        if number == 1:  # the second question first, then corrected
            page.press("ArrowDown")
            page.press("1")
            page.press(str(quality))
            page.press("ArrowDown")
        else:
            page.press(str(quality))
        page.press(str(fit))
        page.press("ArrowRight" if number % 2 else "Enter")
    for number, richness in enumerate((3, 6), 1):
        assert text(page, "place").startswith(f"Series {number} of 2, film 1 of 2")
        hear(page)
        page.press(str(richness))
        page.press("ArrowRight")
    page.run("document.getElementById('comment').value = 'Fine, \"really\"'; "
             "document.getElementById('comment').dispatchEvent(new Event('input'))")  # fmt: skip
    page.press("Enter")  # Save has the focus
    end = time.monotonic() + 10
    while not (saved := list(tmp_path.glob("answers-*-P07.csv"))):
        assert time.monotonic() < end
        time.sleep(0.05)
    with saved[0].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["answer"] for row in rows] == ["5", "6", "2", "3", "7", "1", "4", "4", "3", "6", 'Fine, "really"']
    assert {row["participant"] for row in rows} == {"P07"} and {row["expert"] for row in rows} == {"yes"}
    assert all(float(row["listened_seconds"]) == pytest.approx(0.5, abs=0.15) for row in rows[:8])
    results = listening_results(saved, blind.key)
    assert results.answers.rejected == results.answers.odd == () and results.listeners["experts"] == 1
    whose = json.loads(blind.key.read_text())["samples"]
    for system in ("one", "two"):
        marks = [int(r["answer"]) for r in rows if r["question"] == "OMQ" and whose[r["item"]]["system"] == system]
        assert results.means["experts", "OMQ", system].value == sum(marks) / 2


def test_who_comes_back_goes_on_and_another_listener_begins(page: chromium.Page, blind: ListeningTest) -> None:
    begin(page, "P1", expert=False)
    first = page.run("document.getElementById('film').src")
    hear(page)
    page.press("3")
    page.press("4")
    page.press("ArrowRight")
    page.wait("document.getElementById('place').textContent === 'Sample 2 of 4'")
    page.open(blind.page)  # as after closing the browser: only localStorage is left
    begin(page, " p1 ")
    assert text(page, "place") == "Sample 2 of 4"
    page.press("ArrowLeft")
    assert page.run("document.getElementById('film').src") == first
    assert page.run("[...document.querySelectorAll('[aria-pressed=true]')].map((b) => b.dataset.mark).join()") == "3,4"
    assert text(page, "play") == "Play again"
    page.open(blind.page)
    begin(page, "P2")
    assert text(page, "place") == "Sample 1 of 4" and text(page, "heard") == "not heard to the end yet"


def test_what_is_pressed_can_be_named_and_skipping_is_not_hearing(page: chromium.Page) -> None:
    begin(page, "Kim")
    unnamed = "[...document.querySelectorAll('#test button, #test video, #test progress')].filter((e) => "
    unnamed += "e.ariaHidden !== 'true' && !(e.ariaLabel || e.textContent.trim())).length"
    assert page.run(unnamed) == 0
    assert page.run("document.querySelector('.marks button').ariaLabel") == "Overall music quality: 1 of 7, very poor"
    assert page.run("document.activeElement.id") == "question-OMQ"
    assert page.run("document.getElementById('film').controls") is False
    page.wait("document.getElementById('film').readyState >= 3")
    hear(page)
    page.press("Tab")
    assert page.run("document.activeElement.dataset.mark") == "1"  # Tab goes through the marks in order
    page.press("Space")  # plays, also on a button
    page.wait("document.getElementById('heard').textContent === 'heard 2 times'")
    page.press("Enter")
    assert page.run("document.querySelector('[aria-pressed=true]').dataset.mark") == "1"
