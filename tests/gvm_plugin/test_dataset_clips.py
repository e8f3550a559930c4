"""A click and a flash at the same instant stay together in the clip and its music, at any rate of pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from dataset_films import RATE, SIZE, film

from core.errors import MediaError
from gvm_plugin.dataset.clips import Cut, cut_pictures, read_cut, sound_of, write_music
from gvm_plugin.timeline import Span

SECONDS = 12
FLASHES = (5.2, 7.0, 8.9)  # about when; each is moved to the beginning of the picture it falls into
RATES = {
    "23.976": [Fraction(number * 1001, 24_000) for number in range(SECONDS * 24)],
    "29.97": [Fraction(number * 1001, 30_000) for number in range(SECONDS * 30)],
    "25": [Fraction(number, 25) for number in range(SECONDS * 25)],
    "variable": [
        Fraction(number, 30) + bool(number) * Fraction(int(np.random.default_rng(number).integers(0, 900)), 90_000)
        for number in range(SECONDS * 30)
        if number % 7 != 3 and number % 11 != 5
    ],
}


def flashes_of(stamps: list[Fraction]) -> list[Fraction]:
    return [max(stamp for stamp in stamps if stamp <= at) for at in FLASHES]


def make(path: Path, stamps: list[Fraction]) -> list[Fraction]:
    """A film with a white picture and a click at the beginning of it, three times; when."""
    flashes = flashes_of(stamps)
    sound = np.zeros((2, SECONDS * RATE), np.float32)
    for at in flashes:
        sound[:, round(at * RATE)] = 0.9
    tick = Fraction(1, 90_000)

    def draw(seconds: float) -> npt.NDArray[np.uint8]:
        white = any(abs(seconds - float(at)) < 1e-4 for at in flashes)
        return np.full((SIZE[1], SIZE[0], 3), 240 if white else 30, np.uint8)

    film(path, SECONDS, sound, draw, stamps=[round(stamp / tick) * tick for stamp in stamps])
    return flashes


def pictures_of(path: Path) -> tuple[list[Fraction], list[float], Fraction]:
    """(stamps, brightnesses, when the last picture ends) of a clip, as a plain reader sees them."""
    stamps, bright, end = [], [], Fraction(0)
    with av.open(str(path)) as clip:
        video = clip.streams.video[0]
        assert video.time_base is not None and not video.codec_context.has_b_frames
        for packet in clip.demux(video):
            for frame in packet.decode():
                assert frame.pts is not None
                stamps.append(frame.pts * video.time_base)
                bright.append(float(frame.to_ndarray(format="gray").mean()))
        end = Fraction(video.duration or 0) * video.time_base
    return stamps, bright, end


@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize("start", [0.0, 4.61])
def test_click_and_flash_stay_together(tmp_path: Path, kind: str, start: float) -> None:
    source = tmp_path / "film.mov"
    stamps = RATES[kind]
    flashes = make(source, stamps)
    out = tmp_path / "data" / "clip.mp4"
    cut = cut_pictures(source, Span(start, start + 5.0), 0.0, out, 54, 20)
    sound = read_cut(sound_of(source, None, 0.0), cut)
    write_music(sound, tmp_path / "clip.flac")

    assert cut.seconds == 5 and 0 <= cut.start - Fraction(start) < Fraction(1, 10)
    expected = [stamp - cut.start for stamp in stamps if cut.start <= stamp < cut.start + 5]
    seen, bright, end = pictures_of(out)
    assert cut.pictures == len(seen)
    assert len(seen) == pytest.approx(len(expected), abs=1)
    assert seen[0] == 0 and abs(end - 5) < Fraction(1, 1000)
    assert all(min(abs(stamp - each) for each in expected) <= Fraction(1, 10_000) for stamp in seen)

    inside = [at - cut.start for at in flashes if cut.start <= at < cut.start + 5]
    white = [stamp for stamp, value in zip(seen, bright, strict=True) if value > 120]
    assert len(white) == len(inside) and all(abs(a - b) < Fraction(1, 5000) for a, b in zip(white, inside, strict=True))
    music, rate = soundfile.read(tmp_path / "clip.flac")
    assert rate == RATE and music.shape == (5 * RATE, 2)
    clicks = np.flatnonzero(music[:, 0] > 0.5)
    assert len(clicks) == len(inside)
    assert all(abs(int(click) - float(at * RATE)) <= 1 for click, at in zip(clicks, inside, strict=True))


def test_a_picture_held_for_long_is_on_screen_at_the_beginning(tmp_path: Path) -> None:
    slides = [Fraction(0), Fraction(4), Fraction(9)]
    source = film(
        tmp_path / "slides.mov", 12, np.zeros((2, 12 * RATE), np.float32),
        lambda seconds: np.full((SIZE[1], SIZE[0], 3), 40 + 15 * int(seconds), np.uint8), stamps=slides,
    )  # fmt: skip
    cut = cut_pictures(source, Span(5.0, 11.0), 0.0, tmp_path / "clip.mp4", 54, 20)
    stamps, bright, _ = pictures_of(tmp_path / "clip.mp4")
    assert cut.start == 5 and stamps == [0, 4]
    assert bright[0] < bright[1]


def test_clips_are_small_and_keep_their_shape(tmp_path: Path) -> None:
    source = film(tmp_path / "tall.mp4", 3, None, size=(120, 200))
    cut_pictures(source, Span(0, 2), 0.0, tmp_path / "clip.mp4", 60, 26)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert (clip.streams.video[0].width, clip.streams.video[0].height) == (60, 100)


def test_the_same_span_gives_the_same_bytes(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", 6, None)
    for name in ("a", "b"):
        cut_pictures(source, Span(1, 5), 0.0, tmp_path / f"{name}.mp4", 54, 26)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_nothing_half_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = film(tmp_path / "film.mp4", 4, None)
    out = tmp_path / "out"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gvm_plugin.dataset.clips.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        cut_pictures(source, Span(0, 3), 0.0, out / "clip.mp4", 54, 26)
    with pytest.raises(OSError, match="No space"):
        write_music(np.zeros((2, 100), np.float32), out / "music.flac")
    assert list(out.iterdir()) == []


def test_a_span_beyond_the_film_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "none.mp4"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        output.start_encoding()
    with pytest.raises(MediaError, match=r"none.mp4"):
        cut_pictures(source, Span(0, 3), 0.0, tmp_path / "clip.mp4", 54, 26)
    assert Cut(Fraction(0), Fraction(1), 0).pictures == 0
