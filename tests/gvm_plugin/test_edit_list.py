"""Edits: what is on screen when, what is read from requests, and an edit watched as if it were one film."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction as F
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from gvm_plugin import spotting
from gvm_plugin.analysis import Analysis, analyse, analyse_film
from gvm_plugin.edit_list import (
    Clip,
    Content,
    Edit,
    EditSound,
    find_picture,
    located,
    picture_of,
    read_edit,
    same_picture,
)
from gvm_plugin.edit_media import EditSource
from gvm_plugin.generators import ToneGenerator
from gvm_plugin.options import ScoreOptions
from gvm_plugin.timeline import SAMPLE_RATE, Span
from tests.clips import grey_of, numbered, rotated

ClipFactory = Callable[..., Path]
A, B = Path("/a.mp4"), Path("/b.mp4")


def watched(edit: Edit) -> Analysis:
    return analyse_film(EditSource(edit), ToneGenerator().open_encoder())


def pictures(edit: Edit) -> list[tuple[F, int]]:
    """(second, mean grey) of every picture shown."""
    source = EditSource(edit)
    with source.pictures() as shown:
        return [(seconds, round(float(frame.to_ndarray(format="gray").mean()))) for seconds, frame in shown]


def heard(edit: Edit) -> np.ndarray:
    """The edit's sound, [2, N]."""
    return np.concatenate(list(EditSource(edit).mixed()), axis=1)


# --- what is on screen -------------------------------------------------------------------------------------------


def tiles(*clips: Clip, duration: int = 10) -> list[tuple[int | float, int | float, str, float]]:
    shown = Edit(F(24), F(duration), clips).shown
    return [(float(c.start), float(c.end), c.file.stem if c.file else "", float(c.source)) for c in shown]


def test_gaps_are_black_and_ends_are_cut() -> None:
    assert tiles(Clip(F(-2), F(3), A), Clip(F(5), F(20), B, F(1))) == [
        (0, 3, "a", 2), (3, 5, "", 0), (5, 10, "b", 1),
    ]  # fmt: skip
    assert tiles() == [(0, 10, "", 0)]


def test_the_higher_layer_is_seen() -> None:
    long = Clip(F(0), F(10), A, speed=F(2))
    assert tiles(long, Clip(F(4), F(6), B, layer=1)) == [(0, 4, "a", 0), (4, 6, "b", 0), (6, 10, "a", 12)]
    assert tiles(long, Clip(F(4), F(6), B, layer=-1)) == [(0, 10, "a", 0)]


def test_backwards_the_source_is_counted_from_its_lowest_second() -> None:
    back = Clip(F(0), F(4), A, F(10), F(2), reverse=True)  # 18 down to 10
    assert tiles(back, Clip(F(1), F(2), B, layer=1), duration=4) == [
        (0, 1, "a", 16), (1, 2, "b", 0), (2, 4, "a", 10),
    ]  # fmt: skip


def test_a_soft_split_is_no_cut() -> None:
    parts = [Clip(F(0), F(3), A, F(1)), Clip(F(3), F(5), A, F(4)), Clip(F(5), F(10), A, F(6) + F(1, 10_000))]
    assert tiles(*parts) == [(0, 10, "a", 1)]
    assert Edit(F(24), F(10), tuple(parts)).cuts == ()
    assert Edit(F(24), F(10), (parts[0], replace(parts[1], source=F(5)))).cuts == (3.0, 5.0)
    back = [Clip(F(0), F(3), A, F(5), reverse=True), Clip(F(3), F(10), A, F(-2), reverse=True)]
    assert tiles(*back) == [(0, 10, "a", -2)]


def test_reading_is_exact() -> None:
    edit = read_edit(
        {"fps": "30000/1001", "duration": "1001/30", "clips": [{"file": "/a.mp4", "start": 0.1, "end": "100"}],
         "sounds": [{"file": "/a.wav", "start": 0, "end": 1, "volumes": [["1/2", 0], [0, 1]]}]}
    )  # fmt: skip
    assert (edit.fps, edit.duration) == (F(30000, 1001), F(1001, 30))
    assert (edit.clips[0].start, edit.clips[0].end) == (F(1, 10), F(100))
    assert edit.sounds[0].volumes == ((0.0, 1.0), (0.5, 0.0))


# --- the same pictures again -------------------------------------------------------------------------------------


@pytest.fixture
def three(clip_factory: ClipFactory) -> Edit:
    """Three clips of 4 s, the second at double speed, the third backwards."""
    names = [clip_factory(f"film{n}", seconds=9, fps=F(24), cuts=(2.0 + n,)) for n in range(3)]
    clips = (
        Clip(F(0), F(4), names[0], F(1)), Clip(F(4), F(8), names[1], speed=F(2)),
        Clip(F(8), F(12), names[2], F(3), reverse=True),
    )  # fmt: skip
    return Edit(F(24), F(12), clips)


@pytest.mark.parametrize("span", [Span(0, 4), Span(1.041667, 5.5), Span(3, 9.2), Span(8.5, 11), Span(0, 12)])
def test_pictures_are_found_where_they_went(three: Edit, span: Span) -> None:
    picture = picture_of(three, span)
    later = [replace(clip, start=clip.start + F(49, 24), end=clip.end + F(49, 24)) for clip in three.clips]
    moved = Edit(F(24), F(20), tuple(later))
    (place,) = find_picture(moved, picture, span.start)
    assert place == pytest.approx(span.start + 49 / 24, abs=1e-5)
    assert find_picture(three, picture, span.start)[0] == pytest.approx(span.start, abs=1e-6)


def test_other_pictures_are_not_the_same(three: Edit) -> None:
    picture = picture_of(three, Span(2, 6))
    one, two, last = three.clips
    for other in (
        replace(one, source=F(2)), replace(one, speed=F(3, 2)), replace(one, file=two.file),
        replace(one, end=F(4) - F(1, 24)), replace(one, reverse=True), Clip(F(0), F(4)),
    ):  # fmt: skip
        edit = Edit(F(24), F(12), (other, two, last))
        assert not find_picture(edit, picture, 2.0), other
    assert not same_picture(picture, picture_of(three, Span(2, 5.9)))


def test_a_file_is_known_wherever_it_lies(three: Edit, tmp_path: Path) -> None:
    picture = picture_of(three, Span(0, 3))
    assert three.clips[0].file is not None
    elsewhere = three.clips[0].file.rename(tmp_path / "renamed.mp4")
    moved = Edit(F(24), F(12), (replace(three.clips[0], file=elsewhere), *three.clips[1:]))
    assert find_picture(moved, picture, 0.0) == [0.0]


# --- watched as one film -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fps", "container"), [(F(30000, 1001), "mp4"), (F(24), "mkv"), (F(24000, 1001), "mov")])
@pytest.mark.parametrize("split", [False, True])
def test_a_whole_file_is_seen_and_heard_as_the_file_itself(
    clip_factory: ClipFactory, fps: F, container: str, split: bool
) -> None:
    film = clip_factory("film", seconds=6, fps=fps, cuts=(2.0, 3.5), audio="speechlike", container=container)
    alone = analyse(film, ToneGenerator().open_encoder())
    end = F(alone.duration).limit_denominator(10**6)
    edges = [F(0), F(5, 2), F(5), end] if split else [F(0), end]
    clips = tuple(Clip(a, b, film, a) for a, b in pairwise(edges))
    edit = Edit(fps, end, clips, (EditSound(F(0), end, film),))
    seen = watched(edit)
    assert seen.duration == pytest.approx(alone.duration, abs=1e-6)
    np.testing.assert_array_equal(seen.features.times, alone.features.times)
    np.testing.assert_array_equal(seen.features.values, alone.features.values)
    np.testing.assert_array_equal(seen.activity_times, alone.activity_times)
    np.testing.assert_array_equal(seen.activity, alone.activity)
    assert [shot.span.start for shot in seen.shots] == [shot.span.start for shot in alone.shots]
    assert (seen.speech, seen.music, seen.original_lufs) == (alone.speech, alone.music, alone.original_lufs)
    assert len(seen.thumbnails) == len(alone.thumbnails)
    options = ScoreOptions(min_cue=1.0)
    ours, theirs = (spotting.spot(analysis, options, "f", "0") for analysis in (seen, alone))
    assert ours.cues == theirs.cues


def test_times_are_exact_to_the_frame(clip_factory: ClipFactory) -> None:
    """29.97 material in a 24 fps scene, trimmed, moved, sped up: each cut where the timeline has it."""
    film = clip_factory("film", seconds=8, cuts=(3.0, 6.0))
    clips = (
        Clip(F(0), F(50, 24), film, F(3) - F(25, 24)),  # its cut at 25/24
        Clip(F(60, 24), F(108, 24), film, F(4), F(2)),  # gap before; its cut at 60/24 + 1
        Clip(F(108, 24), F(132, 24), film, F(2), F(1, 2)),  # slow: nothing inside
    )
    seen = watched(Edit(F(24), F(150, 24), clips))
    starts = [shot.span.start for shot in seen.shots]
    wanted = [0, 25 / 24, 50 / 24, 60 / 24, 84 / 24, 108 / 24, 132 / 24]
    assert len(starts) == len(wanted)
    # the file's own cuts stand on its frames, those of the edit on the edit's
    for start, want, slack in zip(starts, wanted, [0, 0.04, 0, 0, 0.02, 0, 0], strict=True):
        assert start == pytest.approx(want, abs=slack + 1e-9)
    assert seen.duration == 150 / 24


def test_which_picture_is_shown_when(tmp_path: Path) -> None:
    """A trim begins with the picture on screen then; every picture is stamped with when it comes on the timeline."""
    film = numbered(tmp_path / "film.mp4", [k * 1001 for k in range(90)], F(1, 30000))
    start, source = F(5, 24), F(1)  # between pictures 29 (0.967 s) and 30 (1.001 s)
    seen = pictures(Edit(F(24), start + 1, (Clip(start, start + 1, film, source),)))
    shown = [(at, grey) for at, grey in seen if at >= start]
    assert shown[0][0] == start and abs(shown[0][1] - grey_of(29)) <= 2
    assert [at for at, _ in shown[1:4]] == [start + F(k * 1001, 30000) - source for k in (30, 31, 32)]
    assert all(abs(grey - grey_of(29 + k)) <= 2 for k, (_, grey) in enumerate(shown))
    assert max(at for at, _ in shown) < start + 1


@pytest.mark.parametrize("begin", [F(0), F(7)])
def test_a_trim_far_into_a_file_is_found_by_seeking(clip_factory: ClipFactory, begin: F) -> None:
    film = clip_factory("film", seconds=12, fps=F(30000, 1001), cuts=(4.0, 9.0))
    alone = analyse(film, ToneGenerator().open_encoder())
    seen = watched(Edit(F(30000, 1001), F(4), (Clip(F(0), F(4), film, begin),)))
    first = int(np.searchsorted(alone.features.times, float(begin)))
    np.testing.assert_array_equal(seen.features.values, alone.features.values[first : first + len(seen.features.times)])


def test_double_speed_shows_no_more_than_the_scene_has_frames(tmp_path: Path) -> None:
    film = numbered(tmp_path / "film.mp4", list(range(96)), F(1, 24))
    seen = pictures(Edit(F(24), F(1), (Clip(F(0), F(1), film, speed=F(4)),)))
    assert len(seen) == 24
    assert all(abs(grey - grey_of(4 * k)) <= 2 for k, (_, grey) in enumerate(seen))


def test_backwards(tmp_path: Path) -> None:
    film = numbered(tmp_path / "film.mp4", list(range(72)), F(1, 24))
    edit = Edit(F(24), F(2), (Clip(F(0), F(2), film, F(1, 2), reverse=True),))
    seen = pictures(edit)
    assert [at for at, _ in seen] == [F(k, 24) for k in range(48)]
    assert all(abs(grey - grey_of(59 - k)) <= 3 for k, (_, grey) in enumerate(seen))


def test_a_file_that_ends_early_holds_its_last_picture(tmp_path: Path) -> None:
    film = numbered(tmp_path / "film.mp4", list(range(24)), F(1, 24))
    edit = Edit(F(24), F(3), (Clip(F(0), F(3), film),))
    source = EditSource(edit)
    seen = analyse_film(source, ToneGenerator().open_encoder())
    assert seen.duration == 3.0 and len(seen.shots) == 1
    assert "ends 2.0 s before a clip of it does" in source.warnings[0]
    assert pictures(edit)[-1][0] > 2.8
    beyond = Edit(F(24), F(2), (Clip(F(0), F(2), film, F(5)),))
    assert {grey for _, grey in pictures(beyond)} <= {0, grey_of(23), grey_of(23) - 1, grey_of(23) + 1}


def test_pictures_of_several_shapes_are_fitted_in(clip_factory: ClipFactory, tmp_path: Path) -> None:
    wide, tall = clip_factory("wide", seconds=1), clip_factory("tall", seconds=1, size=(72, 128))
    turned = rotated(wide, tmp_path / "turned.mp4", 90)
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), np.full((64, 64, 3), 200, np.uint8))
    clips = tuple(Clip(F(n), F(n + 1), path, still=path == still) for n, path in enumerate([wide, tall, turned, still]))
    edit = Edit(F(30), F(5), (*clips, Clip(F(4), F(5), colour=(1.0, 0.0, 0.0))), size=(1920, 1080))
    shown = {}
    with EditSource(edit).pictures() as source:
        for seconds, frame in source:
            shown.setdefault(int(seconds), frame.to_ndarray(format="rgb24"))
    assert {image.shape for image in shown.values()} == {(540, 960, 3)}
    dark = [float((image[270, :, :].max(axis=1) < 8).mean()) for _, image in sorted(shown.items())]
    upright = 1 - (9 / 16) ** 2
    assert dark == pytest.approx([0, upright, upright, 1 - 9 / 16, 0], abs=0.02)
    assert tuple(shown[4][0, 0]) == (255, 0, 0)
    assert abs(int(shown[3][270, 480, 0]) - 200) < 3


# --- sound -------------------------------------------------------------------------------------------------------


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """A file of 20 s whose every sample says when it is played: a ramp from 0 to 1 second by second."""
    path = tmp_path / "ramp.wav"
    times = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    soundfile.write(path, np.stack([times / 20, times / 20], axis=1), SAMPLE_RATE, subtype="FLOAT")
    return path


def test_sounds_lie_where_the_timeline_has_them(ramp: Path) -> None:
    sounds = (
        EditSound(F(1), F(2), ramp, F(12), volume=0.5), EditSound(F(3, 2), F(5, 2), ramp, F(1)),
        EditSound(F(-1), F(1, 2), ramp, F(3)),
    )  # fmt: skip
    sound = heard(Edit(F(24), F(3), (), sounds))
    assert sound.shape == (2, 3 * SAMPLE_RATE)

    def at(seconds: float) -> float:
        return float(sound[0, round(seconds * SAMPLE_RATE)] * 20)

    assert at(0.25) == pytest.approx(4.25, abs=1e-3)
    assert at(0.75) == 0.0
    assert at(1.25) == pytest.approx(12.25 / 2, abs=1e-3)
    assert at(1.75) == pytest.approx(12.75 / 2 + 1.25, abs=1e-3)
    assert at(2.25) == pytest.approx(1.75, abs=1e-3) and at(2.75) == 0.0


def test_volume_points_mute_and_speed(ramp: Path) -> None:
    points = ((0.0, 0.0), (1.0, 1.0))
    sound = heard(Edit(F(24), F(2), (), (EditSound(F(0), F(2), ramp, F(10), volumes=points),)))
    half = round(0.5 * SAMPLE_RATE)
    assert sound[0, half] * 20 == pytest.approx(10.5 / 2, abs=1e-3)
    fast = heard(Edit(F(24), F(2), (), (EditSound(F(0), F(2), ramp, F(2), F(2)),)))
    assert fast[0, half] * 20 == pytest.approx(3.0, abs=1e-2)
    silent = Edit(F(24), F(2), (), (EditSound(F(0), F(2), ramp, mute=True), EditSound(F(0), F(2), ramp, volume=0.0)))
    assert silent.audible == () and EditSource(silent).info().audio == ()


def test_a_long_edit_is_mixed_in_blocks_without_seams(ramp: Path) -> None:
    edit = Edit(F(24), F(45), (), tuple(EditSound(F(n), F(n + 15), ramp, F(1)) for n in (0, 15, 30)))
    blocks = list(EditSource(edit).mixed())
    assert [block.shape[1] // SAMPLE_RATE for block in blocks] == [10, 10, 10, 10, 5]
    sound = np.concatenate(blocks, axis=1)[0] * 20
    times = np.arange(45 * SAMPLE_RATE) / SAMPLE_RATE
    np.testing.assert_allclose(sound, 1 + times % 15, atol=1e-3)


def test_sound_far_into_a_compressed_file_is_that_of_the_whole(clip_factory: ClipFactory) -> None:
    film = clip_factory("film", seconds=12, audio="speechlike")
    whole = heard(Edit(F(24), F(12), (), (EditSound(F(0), F(12), film),)))
    part = heard(Edit(F(24), F(4), (), (EditSound(F(0), F(4), film, F(7)),)))
    there = whole[:, 7 * SAMPLE_RATE : 11 * SAMPLE_RATE]
    # AAC fills quiet bands with noise of the decoder's own, other noise after a seek; a sample beside it is far worse
    error, beside = (np.sqrt(np.mean((part - other) ** 2)) for other in (there, np.roll(there, 1, axis=1)))
    assert error < 0.02 * np.sqrt(np.mean(there**2)) and error < 0.1 * beside


# --- clips told by their length on the timeline ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "rate", "fps", "frames_shown", "speed"),
    [
        (450, F(30), F(24), 450, F(4, 5)),  # picture for picture
        (450, F(30), F(24), 360, F(1)),  # in time
        (179, F(30000, 1001), F(24), 143, F(1)),  # rounded down by the editor
        (179, F(30000, 1001), F(24), 179, F(24) * F(1001, 30000)),
        (450, F(30), F(24), 226, F(8, 5)),  # twice as fast as picture for picture, rounded up
        (450, F(30), F(24), 180, F(2)),
        (450, F(30), F(30), 271, F(166, 100)),
    ],
)
def test_the_speed_of_a_clip_comes_from_its_length(frames: int, rate: F, fps: F, frames_shown: int, speed: F) -> None:
    content = Content(frames_shown / fps, 12 / fps)
    clip = located(Clip(F(3), F(5), A, content=content), fps, frames / rate, rate)
    assert (clip.speed, clip.source, clip.content) == (speed, 12 / fps * speed, None)


def test_a_content_that_was_trimmed_for_good() -> None:
    content = Content(F(390, 24), F(1), (30, 30))
    clip = located(Clip(F(0), F(4), A, content=content), F(24), F(450, 30), F(30))
    assert (clip.speed, clip.source) == (F(4, 5), 1 + F(4, 5))
    back = located(Clip(F(0), F(4), A, content=content, reverse=True), F(24), F(450, 30), F(30))
    assert (back.speed, back.source) == (F(4, 5), 1 + (F(390, 24) - 1 - 4) * F(4, 5))


def test_an_edit_by_lengths_is_watched_like_one_by_speeds(tmp_path: Path) -> None:
    file = numbered(tmp_path / "a.mp4", range(60), F(1, 30))
    whole = {"seconds": "60/24", "offset": "12/24"}
    told = {"fps": 24, "duration": 1, "clips": [{"file": str(file), "start": 0, "end": 1, "content": whole}]}
    speeds = {**told["clips"][0], "source": "0.4", "speed": "0.8"}  # type: ignore[dict-item]
    del speeds["content"]
    assert pictures(read_edit(told)) == pictures(read_edit(told | {"clips": [speeds]}))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"content": {"seconds": 0}}, "above 0"),
        ({"content": {"seconds": 3}, "speed": 2}, "both content and speed"),
        ({"content": {"seconds": 3, "trimmed": [1]}}, "two numbers"),
        ({"content": {"second": 3}}, "no field"),
    ],
)
def test_impossible_contents(fields: dict[str, object], complaint: str) -> None:
    clip = {"file": "/a.mp4", "start": 0, "end": 1, **fields}
    with pytest.raises(ValueError, match=complaint):
        read_edit({"fps": 24, "duration": 1, "clips": [clip]})
