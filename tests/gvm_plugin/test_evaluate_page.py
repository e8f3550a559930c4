"""The pages of `gvm evaluate` in a real browser: the music chosen runs in step with the picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from evaluate_fixtures import MODEL, film, music, write

from gvm_plugin.evaluate.compare import compare
from gvm_plugin.evaluate.fit import evaluate_fit
from gvm_plugin.evaluate.page import write_comparison_page, write_fit_page

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="chromium isn't installed")

IN_STEP = "Math.abs(a[{0}].currentTime - v[{1}].currentTime) < 0.15"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with comparison.html and fit.html, with two films whose names are odd and two systems."""
    folder = tmp_path_factory.mktemp("pages")
    for name in ("a#1 %", "b & <c>"):
        film(folder / "films", f"{name}.mp4")
        for system, hertz in (("one", 220.0), ("two", 330.0)):
            write(folder / system / f"{name}.wav", music(hertz=hertz))
    systems = {name: folder / name for name in ("one", "two")}
    write_comparison_page(compare(folder / "films", systems, model=MODEL), folder / "comparison.html", "films")
    fit = evaluate_fit(folder / "films" / "a#1 %.mp4", folder / "one" / "a#1 %.wav", model=MODEL)
    write_fit_page(fit, folder / "fit.html")
    return folder


@pytest.fixture
def page(tmp_path: Path) -> Iterator[chromium.Page]:
    with chromium.browser(tmp_path / "profile") as page:
        yield page
        assert page.problems == []


def name_players(page: chromium.Page) -> None:
    page.run("v = [...document.querySelectorAll('video')]; a = [...document.querySelectorAll('audio')]; 0")


def test_the_music_chosen_runs_with_the_picture(page: chromium.Page, pages: Path) -> None:
    page.open(pages / "comparison.html")
    name_players(page)
    assert page.run("v.length === 2 && a.length === 4 && a.every(each => !each.getClientRects().length)")
    page.run("document.querySelectorAll('.choice button')[0].focus()")
    page.press("Enter")
    page.wait(f"v[0].currentTime > 0.5 && !a[0].paused && a[0].currentTime > 0.3 && {IN_STEP.format(0, 0)}")
    assert page.run("v[0].muted && a[1].paused")
    page.press("2")
    page.wait(f"a[0].paused && !a[1].paused && {IN_STEP.format(1, 0)}")
    assert page.run("document.querySelectorAll('.choice button')[1].getAttribute('aria-pressed')") == "true"
    page.run("v[0].currentTime = 4")
    page.wait(f"v[0].currentTime >= 4 && a[1].currentTime >= 4 && {IN_STEP.format(1, 0)}")
    page.run("document.querySelectorAll('.choice')[1].querySelector('button').focus()")
    page.press("Enter")
    page.wait("v[0].paused && a[1].paused && !v[1].paused && !a[2].paused")
    page.run("v[1].pause()")
    page.wait("a.every(each => each.paused)")


def test_the_page_of_one_fit_plays_film_and_music_together(page: chromium.Page, pages: Path) -> None:
    page.open(pages / "fit.html")
    name_players(page)
    page.run("document.querySelector('input[type=range]').focus()")
    page.press("Space")
    page.wait(f"v[0].currentTime > 0.3 && !a[0].paused && {IN_STEP.format(0, 0)}")
    page.press("ArrowRight")
    page.press("Space")
    page.wait("v[0].paused && a[0].paused && v[0].currentTime > 1")
    at = page.run("Number(getComputedStyle(document.querySelector('.timeline')).getPropertyValue('--at'))")
    assert 0.1 < at < 1
