"""What a film holds is told from its header; its sound comes in blocks that begin with the first picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest
from conftest import ClipFactory, sound_of
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MediaError
from gvm_plugin.probe import MediaInfo, probe, read_audio_blocks
from gvm_plugin.timeline import to_samples


def whole_sound(info: MediaInfo, **options: object) -> np.ndarray:
    return np.concatenate(list(read_audio_blocks(info, **options)), axis=1)  # type: ignore[arg-type]


def ramp(seconds: float, channels: int = 1) -> np.ndarray:
    """Sound that tells its own time: rises from -0.9 to 0.9 over 10 s."""
    return np.tile(np.linspace(-0.9, 0.9, 480_000, dtype=np.float32)[: to_samples(seconds)], (channels, 1))


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(25)])
def test_rates_are_exact(rate: Fraction, clip_factory: ClipFactory) -> None:
    info = probe(clip_factory("film", fps=rate, seconds=2))
    assert info.average_rate == rate
    assert not info.variable_rate
    assert info.picture_duration == pytest.approx(float(round(2 * rate) / rate), abs=1e-6)
    assert info.audio == ()
    assert info.main_audio is None
    assert (info.video_codec, info.width, info.height, info.rotation) == ("h264", 128, 72, 0)


def test_a_portrait_film_is_shown_upright(clip_factory: ClipFactory, tmp_path: Path) -> None:
    info = probe(clips.rotated(clip_factory("level"), tmp_path / "portrait.mp4", -90))
    assert info.rotation == 270
    assert info.shown_size == (72, 128)


def test_tracks_are_listed_and_the_default_one_is_the_main_one(clip_factory: ClipFactory, tmp_path: Path) -> None:
    tone = sound_of("tone", 1)
    path = clips.with_sound(clip_factory("film"), tmp_path / "two.mkv", [(tone, "stereo", 0), (tone[:1], "mono", 0.5)])
    info = probe(path)
    assert [(track.channels, track.rate, track.codec) for track in info.audio] == [
        (2, 48_000, "pcm_s16le"),
        (1, 48_000, "pcm_s16le"),
    ]
    assert info.audio[1].start == pytest.approx(0.5, abs=0.002)
    assert info.main_audio == info.audio[0]


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
def test_sound_has_exactly_the_length_of_the_picture(container: str, clip_factory: ClipFactory) -> None:
    info = probe(clip_factory("film", audio="tone", container=container))
    sound = whole_sound(info)
    assert sound.shape == (2, to_samples(info.picture_duration))
    middle = slice(24_000, 96_000)
    assert np.abs(sound[:, middle]).max() == pytest.approx(0.2, abs=0.02)


def test_samples_stay_where_they_are(clip_factory: ClipFactory, tmp_path: Path) -> None:
    path = clips.with_sound(clip_factory("film"), tmp_path / "film.mov", [(ramp(3, 2), "stereo", 0)])
    info = probe(path)
    assert np.abs(whole_sound(info)[:, :140_000] - ramp(3, 2)[:, :140_000]).max() < 1e-4


def test_a_track_that_begins_late_is_padded(clip_factory: ClipFactory, tmp_path: Path) -> None:
    path = clips.with_sound(clip_factory("film"), tmp_path / "film.mkv", [(ramp(1), "mono", 0.5)])
    sound = whole_sound(probe(path))
    assert not sound[:, :23_900].any()
    assert sound[0, 24_100] == pytest.approx(ramp(1)[0, 100], abs=0.01)
    assert not sound[:, 72_200:].any()


def test_what_is_heard_before_the_first_picture_is_cut(tmp_path: Path) -> None:
    late = clips.numbered(tmp_path / "late.mkv", [1000 + 40 * k for k in range(40)], Fraction(1, 1000))
    info = probe(clips.with_sound(late, tmp_path / "film.mkv", [(ramp(3), "mono", 0)]))
    assert info.picture_start == 1
    assert info.audio[0].start == -1
    sound = whole_sound(info)
    assert sound.shape[1] == to_samples(info.picture_duration)
    assert sound[0, 1000] == pytest.approx(ramp(3)[0, 49_000], abs=1e-3)


def test_mono_keeps_its_level_in_both_channels(clip_factory: ClipFactory, tmp_path: Path) -> None:
    path = clips.with_sound(clip_factory("film"), tmp_path / "film.mkv", [(sound_of("tone", 3)[:1], "mono", 0)])
    sound = whole_sound(probe(path))
    assert np.array_equal(sound[0], sound[1])
    assert np.abs(sound).max() == pytest.approx(0.2, abs=0.001)


def test_surround_is_mixed_down_with_its_centre_in_both_channels(clip_factory: ClipFactory, tmp_path: Path) -> None:
    centre = np.zeros((6, 48_000), np.float32)
    centre[2] = sound_of("tone", 1)[0]
    path = clips.with_sound(clip_factory("film"), tmp_path / "film.mkv", [(centre, "5.1", 0)])
    sound = whole_sound(probe(path))
    assert np.allclose(sound[0], sound[1], atol=1e-6)
    assert np.abs(sound).max() > 0.05


@settings(max_examples=15, deadline=None)
@given(block=st.floats(0.05, 4), duration=st.floats(0.5, 5))
def test_blocks_add_up_whatever_their_size(
    block: float, duration: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "blocks"
    path = folder / "film.mov"
    if not path.exists():
        folder.mkdir()
        picture = clips.numbered(folder / "picture.mp4", list(range(90)), Fraction(1, 30))
        clips.with_sound(picture, path, [(ramp(3), "mono", 0)])
    info = probe(path)
    blocks = list(read_audio_blocks(info, block_seconds=block, duration=duration))
    assert {part.shape[1] for part in blocks[:-1]} <= {to_samples(block)}
    whole = np.concatenate(blocks, axis=1)
    wanted = np.pad(ramp(3, 2), ((0, 0), (0, 96_000)))[:, : to_samples(duration)]
    assert whole.shape == wanted.shape
    assert np.abs(whole - wanted).max() < 1e-4


def test_another_rate_and_layout(clip_factory: ClipFactory) -> None:
    info = probe(clip_factory("film", audio="tone"))
    mono = whole_sound(info, rate=16_000, layout="mono")
    assert mono.shape == (1, to_samples(info.picture_duration, 16_000))


def test_damaged_sound_is_told(clip_factory: ClipFactory, tmp_path: Path) -> None:
    info = probe(clips.damaged(clip_factory("film", audio="tone"), tmp_path / "film.mp4", 0.1, 0.95))
    warnings: list[str] = []
    assert whole_sound(info, warnings=warnings).shape[1] == to_samples(info.picture_duration)
    assert warnings and warnings[0].startswith("film.mp4: ")


def test_a_film_without_sound_has_none_to_read(clip_factory: ClipFactory) -> None:
    with pytest.raises(ValueError, match="no sound"):
        next(read_audio_blocks(probe(clip_factory("film"))))


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "no index", "only sound"])
def test_what_is_no_film_is_named(kind: str, tmp_path: Path, clip_factory: ClipFactory) -> None:
    with pytest.raises(MediaError, match=r"^film\.mp4: "):
        probe(clips.bad_file(kind, tmp_path, clip_factory))
