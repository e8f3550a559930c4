"""The ten styles are well-formed data, and listing them is light."""

import subprocess
import sys

import pytest

from core.starter.style import Metre, Style
from core.starter.styles import STYLES
from core.starter.theory import MODES, parse_progression

LEVELS = set("0123456789abcdef.")


def test_the_ten_styles() -> None:
    assert set(STYLES) == {
        "cinematic", "documentary", "acoustic", "lofi", "upbeat", "electronic", "ambient", "chinese", "funk", "tension",
    }  # fmt: skip
    assert all(style.name == name for name, style in STYLES.items())


@pytest.mark.parametrize("style", STYLES.values(), ids=lambda style: style.name)
def test_harmony_is_spelled_right(style: Style) -> None:
    for colour in style.colours:
        assert colour.mode in MODES
        for line in (*colour.home, *colour.away, colour.cadence, colour.tonic):
            assert parse_progression(line)
        assert parse_progression(colour.tonic)[0][0] == 0, "pieces end on the tonic"
    assert min(c.valence for c in style.colours) < 0 < max(c.valence for c in style.colours)


@pytest.mark.parametrize(
    "metre", [m for style in STYLES.values() for m in style.metres], ids=lambda metre: f"{metre.steps}"
)
def test_patterns_fill_their_bar(metre: Metre) -> None:
    grooves = [text for g in metre.grooves for text in (g.kick, g.snare, g.tom, g.ghost, *(p for _, p in g.perc))]
    for when in (*grooves, *(f.when for f in metre.figures), *(b.when for b in metre.basses), *metre.tunes):
        assert len(when) in (0, metre.steps), when
        assert set(when) <= LEVELS | {"-"}, when
    assert all(set(text) <= LEVELS for text in grooves), "drums can't rest"
    for figure in metre.figures:
        assert len(figure.play) == metre.steps
        assert set(figure.play) | set(figure.thick) <= set("1234LHBSDUTRO.")
        assert figure.play[0] != "."
    for bass in metre.basses:
        assert len(bass.play) == metre.steps
        assert set(bass.play) <= set("r5o3a.")


@pytest.mark.parametrize("style", STYLES.values(), ids=lambda style: style.name)
def test_tunes_have_a_motif_of_three_to_seven_notes(style: Style) -> None:
    for metre in style.metres:
        for tune in metre.tunes:
            assert 3 <= sum(c in "01234567" for c in tune) <= 7, tune


@pytest.mark.parametrize("style", STYLES.values(), ids=lambda style: style.name)
def test_ranges_are_sensible(style: Style) -> None:
    assert 40 <= style.tempo[0] < style.tempo[1] <= 160
    assert 0.5 <= style.swing <= 0.62
    assert set(style.steps_per_bar) <= {8, 12, 16}
    assert 0 <= style.lead[0] < style.lead[1] - 12 <= 35 - 12


def test_listing_styles_imports_neither_numpy_nor_torch() -> None:
    code = "import sys, core.starter.styles; print({'numpy', 'torch'} & set(sys.modules) or 'light')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "light"
