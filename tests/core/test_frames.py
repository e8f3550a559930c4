"""Pictures come by time stamp, upright and small, from any film; what is no film is named with its remedy."""

from __future__ import annotations

import os
import tempfile
from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest
from conftest import ClipFactory
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MediaError
from core.frames import FrameGrid, PictureStream, decode_frames, open_media, shown_name

RATES = [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(25)]


def shown_numbers(path: Path, fps: Fraction, count: int) -> list[int]:
    """Which picture of a numbered film is given at each moment."""
    greys = np.array([clips.grey_of(number) for number in range(count)])
    return [int(np.argmin(np.abs(greys - rgb.mean()))) for _, rgb in decode_frames(path, 16, 8, fps)]


@given(
    fps=st.fractions(Fraction(1, 4), 60, max_denominator=1001),
    steps=st.lists(st.fractions(0, 2, max_denominator=1001), max_size=30),
)
def test_grid_gives_every_moment_once_and_in_order(fps: Fraction, steps: list[Fraction]) -> None:
    grid, now, given_out = FrameGrid(fps), Fraction(0), []
    for step in steps:
        now += step
        due = grid.due_before(now)
        assert all(moment < now for moment in due)
        given_out += due
    assert given_out == [Fraction(k) / fps for k in range(len(given_out))]
    assert len(given_out) == -((-now * fps) // 1)


def test_grid_rejects_a_rate_of_zero() -> None:
    with pytest.raises(ValueError, match="fps"):
        FrameGrid(Fraction(0))


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_the_picture_on_screen_is_given_at_each_moment(rate: Fraction, tmp_path: Path) -> None:
    path = clips.numbered(tmp_path / "film.mp4", [k * rate.denominator for k in range(40)], Fraction(1, rate.numerator))
    fps = Fraction(8)
    wanted = [int(k / fps * rate) for k in range(-int(-40 / rate * fps // 1))]
    assert shown_numbers(path, fps, 40) == wanted


def test_variable_rate_holds_a_picture_as_long_as_its_stamps_say(tmp_path: Path) -> None:
    path = clips.numbered(tmp_path / "film.mp4", [0, 100, 130, 900, 1000, 1040, 2000], Fraction(1, 1000))
    numbers = shown_numbers(path, Fraction(10), 7)
    assert numbers[:21] == [0, 1, *[2] * 7, 3, 4, *[5] * 9, 6]


def test_time_begins_with_the_first_picture(tmp_path: Path) -> None:
    path = clips.numbered(tmp_path / "film.mkv", [5000 + 40 * k for k in range(20)], Fraction(1, 1000))
    with PictureStream(path) as pictures:
        seconds = [float(at) for at, _ in pictures]
    assert pictures.start == 5
    assert np.allclose(seconds, np.arange(20) * 0.04, atol=1e-9)
    assert [at for at, _ in decode_frames(path, 16, 8, Fraction(5))] == [0.0, 0.2, 0.4, 0.6]


def test_pictures_come_in_order_of_showing_though_stored_otherwise(clip_factory: ClipFactory) -> None:
    with PictureStream(clip_factory("film")) as pictures:
        seconds = [at for at, _ in pictures]
    assert seconds == [Fraction(1001 * k, 30000) for k in range(90)]
    assert pictures.end == Fraction(1001 * 90, 30000)
    assert not pictures.variable


def test_a_span_gives_what_the_whole_film_gives_there(clip_factory: ClipFactory) -> None:
    path = clip_factory("film")
    whole = {at: rgb for at, rgb in decode_frames(path, 32, 18, Fraction(6)) if 1.0 <= at < 2.25}
    part = dict(decode_frames(path, 32, 18, Fraction(6), (1.0, 2.25)))
    assert part.keys() == whole.keys()
    assert all(np.array_equal(part[at], whole[at]) for at in part)


def test_a_film_filmed_upright_is_given_upright(clip_factory: ClipFactory, tmp_path: Path) -> None:
    level = clip_factory("level")
    portrait = clips.rotated(level, tmp_path / "portrait.mp4", -90)
    _, lying = next(decode_frames(level, 64, 36, Fraction(1)))
    _, upright = next(decode_frames(portrait, 36, 64, Fraction(1)))
    turned = np.rot90(lying, -1)  # a display matrix of -90 degrees means clockwise
    assert upright.shape == (64, 36, 3)
    assert np.abs(upright.astype(int) - turned).max() <= 2


def test_odd_sizes(tmp_path: Path) -> None:
    path = clips.numbered(tmp_path / "film.mkv", list(range(30)), Fraction(1, 30), size=(127, 71))
    assert shown_numbers(path, Fraction(30), 30) == list(range(30))


def test_damaged_packets_are_passed_over_in_silence(
    clip_factory: ClipFactory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = clips.damaged(clip_factory("film"), tmp_path / "damaged.mp4")
    with PictureStream(path) as pictures:
        seconds = [at for at, _ in pictures]
    assert pictures.damaged > 0
    assert 20 < len(seconds) < 90
    assert seconds[-1] > 2.5
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("missing", "no such file"),
        ("folder", "score-folder"),
        ("empty", "0 bytes"),
        ("text", "convert it"),
        ("no index", "moov"),
        ("only sound", "no picture"),
    ],
)
def test_what_is_no_film_is_named_with_its_remedy(
    kind: str, remedy: str, tmp_path: Path, clip_factory: ClipFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    path = clips.bad_file(kind, tmp_path, clip_factory)
    with pytest.raises(MediaError, match=remedy) as caught, PictureStream(path):
        pass
    assert str(caught.value).startswith("film.mp4: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_may_not_be_read_is_named(clip_factory: ClipFactory) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        path.write_bytes(clip_factory("whole").read_bytes())
        path.chmod(0)
        os.chmod(folder, 0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # root may read everything
        try:
            with pytest.raises(MediaError, match="may not be read"):
                open_media(path)
        finally:
            os.seteuid(user)


@pytest.mark.parametrize(
    "name", ["two words", 'it\'s "quoted"', "🎬 café", "-dash", "100%d %s", "line\nbreak", "a:b", "x" * 200]
)
def test_any_name_will_do(name: str, clip_factory: ClipFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip_factory(name, seconds=1, fps=Fraction(24))
    monkeypatch.chdir(path.parent)
    assert len(list(decode_frames(Path(path.name), 16, 8, Fraction(4)))) == 4
    assert "\n" not in shown_name(path)
