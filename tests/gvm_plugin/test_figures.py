"""Figures of several systems' music for one film: what is on them, in which formats, and what can't be drawn."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from core.errors import DeliveryError, MediaError, MissingDependencyError
from gvm_plugin.cli import run
from gvm_plugin.evaluate import figures
from gvm_plugin.evaluate.pitch import pitch_contour
from tests.conftest import write_clip

pytest.importorskip("matplotlib")

CUTS = (1.2, 2.4)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_clip(path, 4.0, Fraction(25), (128, 72), CUTS, None)
    return path


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("music")
    paths = {"ours": folder / "ours.wav", "theirs at $5, 第二": folder / "theirs.wav"}
    for number, path in enumerate(paths.values()):
        wave = melody([60 + 5 * number, 67, 72, 64], 1.0, 32_000)
        soundfile.write(path, wave, 32_000)
    return paths


def melody(notes: list[int], seconds: float, rate: int, chord: tuple[int, ...] = (48, 52, 55)) -> np.ndarray:
    """One note after the other over a held, softer chord; each with harmonics."""
    times = np.arange(round(len(notes) * seconds * rate)) / rate
    wave = np.zeros(len(times))
    for index, note in enumerate(notes):
        inside = (times >= index * seconds) & (times < (index + 1) * seconds)
        wave[inside] += tone(note, times[inside])
    for note in chord:
        wave += 0.25 * tone(note, times)
    return (0.2 * wave).astype(np.float32)


def tone(note: int, times: np.ndarray) -> np.ndarray:
    pitch = 440 * 2 ** ((note - 69) / 12)
    return np.asarray(sum(np.sin(2 * np.pi * pitch * part * times) / part for part in range(1, 7)))


def drawn(film: Path, music: Mapping[str, Path], out: Path, monkeypatch: pytest.MonkeyPatch) -> figures.Figure:  # type: ignore[name-defined]
    """The figure that was saved to `out`."""
    kept = []
    save = figures._save
    monkeypatch.setattr(figures, "_save", lambda figure, path: (kept.append(figure), save(figure, path)))
    figures.draw_figures(film, music, out)
    return kept[0]


def test_a_figure_shows_every_system_the_film_and_its_cuts(
    film: Path, music: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = drawn(film, music, tmp_path / "f.png", monkeypatch)
    assert len(figure.axes) == 2 * len(music) + 4  # spectrograms, their colour bar; strip, contours, level, activity
    above, below = figure.subfigs
    titles = [axis.get_title() for axis in above.axes if axis.images]
    assert titles == ["ours", r"theirs at \$5, 第二"]
    for axis in above.axes[: len(music)]:
        mel = axis.images[0].get_array()
        assert mel.max() == 0 and mel.min() >= -figures._RANGE_DB - 1e-4 and mel.std() > 5
    strip, *contours, level, activity = below.axes
    assert strip.images[0].get_array().std() > 10
    for axis in (*contours, level, activity):
        across = {round(float(line.get_xdata()[0]), 1) for line in axis.lines if len(set(line.get_xdata())) == 1}
        assert set(CUTS) <= across
    assert len(level.lines) >= len(music) and activity.collections
    with av.open(str(tmp_path / "f.png")) as picture:
        image = next(picture.decode(video=0)).to_ndarray(format="rgb24")
    assert image.shape[1] == 1440 and image.std() > 20 and [path.name for path in tmp_path.iterdir()] == ["f.png"]


@pytest.mark.parametrize(("name", "head"), [("f.svg", b"<?xml"), ("f.PDF", b"%PDF")])
def test_the_name_chooses_the_format_and_no_date_is_in_it(
    film: Path, music: dict[str, Path], tmp_path: Path, name: str, head: bytes
) -> None:
    figures.draw_figures(film, {"ours": music["ours"]}, tmp_path / name, start=0.5, seconds=2)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(head) and b"CreationDate" not in content and b"dc:date" not in content


def test_the_contour_is_the_tune_above_the_chord() -> None:
    notes = [72, 76, 79, 74]
    contour = pitch_contour(melody(notes, 1.0, 32_000), 32_000)
    for index, note in enumerate(notes):
        inside = (contour.times > index + 0.25) & (contour.times < index + 0.75)
        assert np.nanmedian(contour.midi[inside]) == pytest.approx(note, abs=0.4)
        assert np.isfinite(contour.midi[inside]).mean() > 0.9


def test_a_contour_has_gaps_where_nothing_plays_and_is_empty_for_silence() -> None:
    sound = np.concatenate([melody([72], 1.0, 22_050), np.zeros(22_050, np.float32), melody([74], 1.0, 22_050)])
    contour = pitch_contour(sound, 22_050)
    assert np.isnan(contour.midi[(contour.times > 1.3) & (contour.times < 1.7)]).all()
    assert len(pitch_contour(np.zeros(44_100, np.float32), 22_050).times) == 0


def test_what_cant_be_drawn_is_said_in_a_line(film: Path, music: dict[str, Path], tmp_path: Path) -> None:
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(160_000, np.float32), 32_000)
    one, out = {"ours": music["ours"]}, tmp_path / "f.png"
    for error, systems, place, start, said in (
        (ValueError, {}, out, 0, "--system NAME=FILE"),
        (ValueError, {str(number): silent for number in range(7)}, out, 0, "too many for one figure; 6 at most"),
        (ValueError, one, tmp_path / "f.jpeg", 0, r"f\.jpeg: a figure ends in \.png, \.svg, \.pdf"),
        (ValueError, one, out, -1, "before the film"),
        (DeliveryError, one, tmp_path / "absent" / "f.png", 0, "there is no such folder"),
        (MediaError, one, out, 3.5, r"film\.mp4: is 4\.0 s long; from 3\.5 s on there is too little"),
        (MediaError, {"s": silent}, out, 0, r"silent\.wav: is silent from 0 s to 4 s"),
        (MediaError, {"s": film}, out, 0, r"film\.mp4: has no sound"),
    ):
        with pytest.raises(error, match=said) as caught:
            figures.draw_figures(film, systems, place, start=start)
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["silent.wav"]


def test_without_matplotlib_the_remedy_is_said(
    film: Path, music: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'gvm\[evaluation\]'"):
        figures.draw_figures(film, music, tmp_path / "f.png")


def test_the_command_draws(
    film: Path, music: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, copy = tmp_path / "f.svg", tmp_path / "a=b.wav"
    shutil.copyfile(music["ours"], copy)
    assert run(["evaluate", "figures", str(film), "--system", f"ours={copy}", "-o", str(out), "--seconds", "2"]) == 0
    assert capsys.readouterr().out == f"look at {out}\n" and out.stat().st_size > 10_000
    assert run(["evaluate", "figures", str(film), "--system", "ours", "-o", str(out)]) == 2
    assert "error: system 'ours' isn't NAME=" in capsys.readouterr().err
