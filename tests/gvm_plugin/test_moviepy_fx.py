"""The effects for MoviePy: exact to the sample, at their loudness, for files and for clips that are in memory alone."""

from __future__ import annotations

import ast
import gc
import importlib
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import proglog
import pytest
import soundfile
from moviepy import (
    AudioClip,
    AudioFileClip,
    ColorClip,
    CompositeAudioClip,
    CompositeVideoClip,
    ImageClip,
    VideoClip,
    VideoFileClip,
    concatenate_audioclips,
    concatenate_videoclips,
)
from moviepy.audio.AudioClip import AudioArrayClip

from core.errors import DeliveryError, LicenceError, MediaError
from gvm_plugin.analysis import analyse
from gvm_plugin.generators import ToneGenerator
from gvm_plugin.loudness import measure_loudness
from gvm_plugin.moviepy_fx import DuckUnder, GVMScore, MatchLoudness, ScoreClip, ShotCrossfade, score_clip
from gvm_plugin.moviepy_fx.pictures import joins
from gvm_plugin.moviepy_fx.sound import SoundClip, detect_speech, read_sound
from gvm_plugin.options import ScoreOptions
from gvm_plugin.probe import probe, read_audio_blocks
from gvm_plugin.timeline import HitPoint

RATE = 48_000
TONE: dict[str, Any] = {"model": "tone", "logger": None}

ClipFactory = Callable[..., Path]

# MoviePy leaves the pipes of a reader that has come to its end to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files: an empty one of the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def opened() -> Iterator[Callable[[Path], VideoFileClip]]:
    """Function that opens a film with MoviePy; closed after the test."""
    clips: list[VideoFileClip] = []

    def open_film(path: Path) -> VideoFileClip:
        clips.append(VideoFileClip(path))
        return clips[-1]

    yield open_film
    for clip in clips:
        clip.close()


def shot(look: int, seconds: float = 2.0, fps: float = 12, size: tuple[int, int] = (96, 54)) -> VideoClip:
    """A clip in memory: its own colours, a bar that moves."""
    colour = np.random.default_rng(look).integers(30, 220, 3)

    def picture(at: float) -> np.ndarray:
        image = np.full((size[1], size[0], 3), colour, np.uint8)
        left = int(at * 20 * (1 + look % 3)) % (size[0] - 10)
        image[:, left : left + 10] = 255 - colour
        return image

    return VideoClip(picture, duration=seconds).with_fps(fps)


def noise(seconds: float, seed: int = 0, rate: int = RATE, level: float = 0.1, channels: int = 2) -> AudioArrayClip:
    samples = np.random.default_rng(seed).normal(0, level, (round(seconds * rate), channels))
    return AudioArrayClip(np.clip(samples, -1, 1), fps=rate)


def samples_of(sound: AudioClip, seconds: float | None = None) -> np.ndarray:
    """[2, n] as MoviePy itself would write it at 48 kHz."""
    seconds = sound.duration if seconds is None else seconds
    numbers = np.arange(int(seconds * RATE))
    blocks = [sound.get_frame(numbers[at : at + 2000] / RATE) for at in range(0, len(numbers), 2000)]
    return np.concatenate(blocks).astype(np.float32).T


def lufs_of(sound: AudioClip) -> float:
    measured = measure_loudness([samples_of(sound)]).integrated_lufs
    assert measured is not None
    return measured


def plucked(seconds: float) -> AudioArrayClip:
    """Music: a chord every half second."""
    times = np.arange(round(seconds * RATE)) / RATE
    beat = times % 0.5
    wave = np.zeros(len(times))
    for number, chord in enumerate([(60, 64, 67), (57, 60, 64), (53, 57, 60), (55, 59, 62)]):
        for pitch in chord:
            hertz = 440 * 2 ** ((pitch - 69) / 12)
            tones = sum(np.sin(2 * np.pi * k * hertz * beat) / k for k in range(1, 7))
            wave += 0.05 * tones * np.exp(-3 * beat) * (times // 0.5 % 4 == number)
    return AudioArrayClip(np.stack([wave, wave], axis=1), fps=RATE)


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(sound.astype(np.float64) ** 2) + 1e-20))


# --- GVMScore ----------------------------------------------------------------------------------------------------


def of_a_file(film: VideoFileClip) -> VideoClip:
    return film


def of_a_part(film: VideoFileClip) -> VideoClip:
    return film.subclipped(0.7, 2.9)


def faster(film: VideoFileClip) -> VideoClip:
    return film.with_speed_scaled(1.5)


def composed(film: VideoFileClip) -> VideoClip:
    return CompositeVideoClip([film, ImageClip(np.zeros((20, 60, 3), np.uint8), duration=1.0).with_start(0.5)])


def put_together(film: VideoFileClip) -> VideoClip:
    return concatenate_videoclips([film.subclipped(2, 3), film.subclipped(0, 1.333)])


@pytest.mark.parametrize("made", [of_a_file, of_a_part, faster, composed, put_together])
def test_the_sound_is_exactly_as_long_as_the_clip(
    made: Callable[[VideoFileClip], VideoClip], clip_factory: ClipFactory, opened: Callable[[Path], VideoFileClip]
) -> None:
    clip = made(opened(clip_factory("film", seconds=3.2, cuts=(1.0,), audio="tone")))
    scored = clip.with_effects([GVMScore(**TONE)])
    assert isinstance(scored.audio, ScoreClip)
    assert (scored.duration, scored.fps, scored.size) == (clip.duration, clip.fps, clip.size)
    wanted = round(clip.duration * RATE)
    assert int(scored.audio.duration * RATE) == wanted  # what MoviePy writes
    assert scored.audio.fps == RATE
    heard = samples_of(scored.audio, clip.duration + 1.0)
    assert np.abs(heard[:, wanted - 2400 : wanted - 1200]).max() > 1e-3  # sounds up to the end
    assert not heard[:, wanted:].any()  # and not beyond: no block is repeated there
    assert lufs_of(scored.audio) == pytest.approx(-14, abs=0.5)
    assert scored.audio.lufs == pytest.approx(lufs_of(scored.audio), abs=0.1)
    assert scored.audio.music.duration == scored.audio.duration


def test_the_music_alone_at_its_level_in_the_mix() -> None:
    clip = concatenate_videoclips([shot(1), shot(2)]).with_audio(noise(4.0, level=0.05))
    music = score_clip(clip, ScoreOptions(model="tone", seed=5), logger=None)
    scored = clip.with_effects([GVMScore(seed=5, **TONE)])
    np.testing.assert_array_equal(samples_of(music), samples_of(scored.audio.music))
    mix, alone = samples_of(scored.audio).ravel(), samples_of(music).ravel()
    own = samples_of(clip.audio).ravel()
    (gain, share), residue, *_ = np.linalg.lstsq(np.stack([own, alone], axis=1), mix, rcond=None)
    assert share == pytest.approx(1.0, abs=0.02)
    assert float(residue[0]) / float(np.sum(mix**2)) < 1e-3  # the clip's own sound has one gain, and nothing else
    assert 20 * np.log10(gain) > 0
    assert music.lufs == pytest.approx(lufs_of(music), abs=0.3)
    assert music.sheet.sounding[0].span.end == 4.0


def test_a_clip_in_memory_gets_hit_points_at_its_joins() -> None:
    clip = concatenate_videoclips([shot(1, 2.5), shot(2, 3.0), shot(3, 2.5)])
    music = score_clip(clip, ScoreOptions(model="tone"), logger=None)
    hits = [hit.seconds for cue in music.sheet.cues for hit in cue.hits]
    assert hits == pytest.approx([2.5, 5.5], abs=1e-3)


def test_joins_are_known_only_where_nothing_was_done_to_the_clip_since() -> None:
    three = concatenate_videoclips([shot(1, 2.0), shot(2, 3.0), shot(3, 2.0)])
    assert joins(three) == (2.0, 5.0)
    assert joins(CompositeVideoClip([three, ColorClip((20, 10), color=(0, 0, 0), duration=1).with_start(1)])) == (2, 5)
    assert joins(concatenate_videoclips([shot(1, 1.0), three], method="compose")) == (1, 3, 6)  # a clip in a clip
    for changed in (three.subclipped(1, 6), three.with_speed_scaled(2)):
        assert joins(changed) == ()
    music = score_clip(three.subclipped(1, 6), ScoreOptions(model="tone"), logger=None)  # seen all the same
    assert [hit.seconds for cue in music.sheet.cues for hit in cue.hits] == pytest.approx([1.0, 4.0], abs=1e-3)


def test_a_file_seen_through_moviepy_has_the_cuts_of_the_file(
    clip_factory: ClipFactory, opened: Callable[[Path], VideoFileClip]
) -> None:
    film = clip_factory("film", seconds=4.0, cuts=(1.0, 2.3), audio="speechlike")
    itself = analyse(film, ToneGenerator().open_encoder())
    sheet = score_clip(opened(film), ScoreOptions(model="tone"), logger=None).sheet
    starts = [shot.span.start for shot in sheet.shots]
    assert starts == pytest.approx([shot.span.start for shot in itself.shots], abs=1e-3)
    assert len(starts) == 3
    assert [span.start for span in sheet.speech] == pytest.approx([span.start for span in itself.speech], abs=0.1)


def test_pictures_one_after_the_other() -> None:
    stills = [ImageClip(np.full((40, 60, 3), 60 * number, np.uint8), duration=1.0) for number in range(4)]
    scored = concatenate_videoclips(stills).with_effects([GVMScore(**TONE)])
    assert len(scored.audio.sheet.shots) == 4
    assert int(scored.audio.duration * RATE) == 4 * RATE


def test_the_same_seed_gives_the_same_music() -> None:
    clip = concatenate_videoclips([shot(1), shot(2)])

    def music(**changes: Any) -> np.ndarray:
        return samples_of(clip.with_effects([GVMScore(**{**TONE, "seed": 3, **changes})]).audio)

    first = music()
    np.testing.assert_array_equal(first, music())
    assert not np.array_equal(first, music(seed=4))


def test_a_project_keeps_its_music_through_a_trim() -> None:
    clip = concatenate_videoclips([shot(1), shot(2)])
    whole, part = (
        each.with_effects([GVMScore(project="my film", **TONE)]).audio.sheet.cues[0]
        for each in (clip, clip.subclipped(0, 3))
    )
    assert whole.seed == part.seed
    other = clip.with_effects([GVMScore(project="another", **TONE)]).audio.sheet.cues[0]
    assert other.seed != whole.seed


def test_music_goes_down_under_speech(clip_factory: ClipFactory, opened: Callable[[Path], VideoFileClip]) -> None:
    talk = opened(clip_factory("talk", seconds=4.0, audio="speechlike")).subclipped(0, 4)
    clip = concatenate_videoclips([shot(1, 4.0), talk.with_effects([]), shot(2, 5.0)], method="compose")
    scored = clip.with_effects([GVMScore(duck=12, **TONE)])
    (speech,) = scored.audio.sheet.speech
    assert 3.8 < speech.start < 4.6 and 7.4 < speech.end < 8.3
    mix, music = samples_of(scored.audio), samples_of(scored.audio.music)
    own = np.concatenate(list(read_sound(clip.audio, clip.duration)), axis=1)

    def music_share(first: float, last: float) -> float:
        """Of the music in the mix, dB."""
        part = slice(round(first * RATE), round(last * RATE))
        parts = np.stack([own[:, part].ravel(), music[:, part].ravel()], axis=1)
        return float(20 * np.log10(np.linalg.lstsq(parts, mix[:, part].ravel(), rcond=None)[0][1]))

    assert music_share(5.0, 7.0) == pytest.approx(-12, abs=0.5)
    assert music_share(1.0, 3.0) == pytest.approx(0, abs=0.5)
    assert music_share(11.0, 12.5) == pytest.approx(0, abs=0.5)


def test_the_original_can_be_replaced() -> None:
    clip = shot(1, 2.0).with_audio(noise(2.0))
    scored = clip.with_effects([GVMScore(original="replace", lufs=-20, **TONE)])
    np.testing.assert_allclose(samples_of(scored.audio), samples_of(scored.audio.music), atol=1e-5)
    assert lufs_of(scored.audio) == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (22_050, 2), (RATE, 2)])
def test_sounds_of_all_kinds_keep_their_pitch_and_place(rate: int, channels: int) -> None:
    times = np.arange(round(2.0 * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 5000 * times) * (times >= 1.0)
    clip = shot(1, 2.0).with_audio(AudioArrayClip(np.stack([wave] * channels, axis=1), fps=rate))
    heard = np.concatenate(list(read_sound(clip.audio, 2.0)), axis=1)
    wanted = 0.3 * np.sin(2 * np.pi * 5000 * np.arange(2 * RATE) / RATE)
    assert heard.shape == (2, 2 * RATE)
    late = slice(round(1.1 * RATE), round(1.9 * RATE))
    assert level_db(heard[:, late] - wanted[late]) < level_db(wanted[late]) - 60
    assert level_db(heard[:, : round(0.99 * RATE)]) < -60
    scored = clip.with_effects([GVMScore(**TONE)])
    assert lufs_of(scored.audio) == pytest.approx(-14, abs=0.5)


def test_the_clip_and_the_effect_stay_as_they_were() -> None:
    clip = shot(1, 2.0).with_audio(noise(2.0))
    sound, effect = clip.audio, GVMScore(**TONE)
    before, settings = samples_of(sound), dict(vars(effect))
    first, second = clip.with_effects([effect]), clip.with_effects([effect])
    assert clip.audio is sound and first.audio is not second.audio
    np.testing.assert_array_equal(samples_of(clip.audio), before)
    np.testing.assert_array_equal(samples_of(first.audio), samples_of(second.audio))
    assert vars(effect) == settings


def test_it_can_be_written_and_composed_again(tmp_path: Path) -> None:
    scored = concatenate_videoclips([shot(1), shot(2)]).with_start(1.5).with_effects([GVMScore(**TONE)])
    whole = CompositeVideoClip([scored, ColorClip((96, 54), color=(0, 0, 0), duration=6).with_layer_index(-1)])
    heard = samples_of(whole.audio, 6.0)
    assert not heard[:, : round(1.5 * RATE)].any()
    np.testing.assert_allclose(heard[:, round(1.5 * RATE) : round(5.5 * RATE)], samples_of(scored.audio), atol=1e-6)
    out = tmp_path / "out.mp4"
    whole.with_fps(12).write_videofile(
        out, audio_fps=RATE, audio_codec="aac", preset="ultrafast", temp_audiofile_path=tmp_path, logger=None
    )
    with av.open(str(out)) as film:
        assert film.streams.video[0].frames == 72
        sound = film.streams.audio[0]
        assert sound.rate == RATE
        assert float(sound.duration * sound.time_base) == pytest.approx(5.5, abs=0.05)  # where the music ends


def test_a_cue_sheet_is_obeyed() -> None:
    clip = concatenate_videoclips([shot(1), shot(2)])
    sheet = score_clip(clip, ScoreOptions(model="tone"), logger=None).sheet
    cue = replace(sheet.cues[0], tempo=90.0, hits=(HitPoint(1.0, 0.9),))
    again = clip.with_effects([GVMScore(sheet=replace(sheet, cues=(cue,)), **TONE)])
    assert again.audio.sheet.cues == (cue,)
    with pytest.raises(ValueError, match=r"the cue sheet is for 4\.00 s, the clip lasts 3\.00 s; spot it again"):
        clip.subclipped(0, 3).with_effects([GVMScore(sheet=sheet, **TONE)])


def test_takes_are_kept_where_a_folder_is_given(tmp_path: Path) -> None:
    clip = concatenate_videoclips([shot(1), shot(2)])
    first = clip.with_effects([GVMScore(folder=tmp_path / "kept", **TONE)])
    (take,) = (tmp_path / "kept" / ".gvm" / "cues").iterdir()
    made = (take / "music.wav").stat().st_mtime_ns
    again = clip.with_effects([GVMScore(folder=tmp_path / "kept", **TONE)])
    assert (take / "music.wav").stat().st_mtime_ns == made
    np.testing.assert_array_equal(samples_of(first.audio), samples_of(again.audio))


def test_its_settings_are_those_of_every_score() -> None:
    options = {field.name: field.default for field in fields(ScoreOptions)}
    settings = {field.name: field.default for field in fields(GVMScore) if field.name in options}
    assert settings == {name: options[name] for name in settings}
    elsewhere = {"music_only", "stems", "midi", "export", "separate_track", "overwrite"}  # about files
    assert set(options) - set(settings) == elsewhere


class Forbidding(ToneGenerator):
    commercial_use = False


def test_what_cant_be_scored_is_said_in_one_line() -> None:
    with pytest.raises(ValueError, match="style is 'jazz'; choose one of auto, cinematic"):
        GVMScore(style="jazz")
    with pytest.raises(ValueError, match=r"duration is None; give it one with clip\.with_duration"):
        ColorClip((32, 32), color=(9, 9, 9)).with_effects([GVMScore(**TONE)])
    with pytest.raises(ValueError, match="AudioArrayClip has no picture to score; give a video clip"):
        noise(1.0).with_effects([GVMScore(**TONE)])
    with pytest.raises(LicenceError, match=r"tone: its licence .* forbids films that earn money"):
        shot(1).with_effects([GVMScore(generator=Forbidding(), monetised=True, logger=None)])
    with pytest.raises(MediaError, match=r"the clip: lasts 0\.25 s; films from 0\.5 s up can be scored"):
        shot(1, 0.25).with_effects([GVMScore(**TONE)])


def test_a_closed_clip_and_a_sound_font_that_is_none(clip_factory: ClipFactory, tmp_path: Path) -> None:
    clip = VideoFileClip(clip_factory("film", seconds=1.0))
    (tmp_path / "font.sf2").write_bytes(b"no")
    with pytest.raises(MediaError, match=r"font\.sf2: is no sound font; name an \.sf2 or \.sf3 file"):
        clip.with_effects([GVMScore(soundfont=str(tmp_path / "font.sf2"), logger=None)])
    clip.close()
    with pytest.raises(ValueError, match="the clip was closed; open its file again"):
        clip.with_effects([GVMScore(**TONE)])


def test_a_clip_that_has_music_gets_none(caplog: pytest.LogCaptureFixture) -> None:
    once = concatenate_videoclips([shot(1, 6.0), shot(2, 6.0)]).with_audio(plucked(12.0))
    with caplog.at_level(logging.WARNING):
        twice = once.with_effects([GVMScore(**TONE)])
    assert [cue.silent for cue in twice.audio.sheet.cues] == [True]
    assert not samples_of(twice.audio.music).any()
    assert twice.audio.warnings == tuple(caplog.messages)
    assert any("music" in warning for warning in twice.audio.warnings)
    assert lufs_of(twice.audio) == pytest.approx(-14, abs=0.5)


def test_too_little_room_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    usage = type(shutil.disk_usage(temporary))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**6))
    with pytest.raises(DeliveryError, match="has 1 MB of room for temporary files, the clip needs about 4 MB"):
        shot(1).with_effects([GVMScore(**TONE)])


# --- progress, temporary files -----------------------------------------------------------------------------------


class Listening(proglog.ProgressBarLogger):
    """Notes what it is told; raises at a step, if asked to."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.steps: list[int] = []
        self.messages: list[str] = []
        self._stop_at = stop_at

    def callback(self, **changes: Any) -> None:
        self.messages += [changes["message"]] if "message" in changes else []

    def bars_callback(self, bar: str, attr: str, value: int, old_value: int | None = None) -> None:
        if attr == "index":
            assert bar == "score" and self.bars[bar]["total"] == 100
            self.steps.append(value)
            if self._stop_at is not None and value >= self._stop_at:
                raise KeyboardInterrupt


def test_progress_is_told_as_moviepy_does(capsys: pytest.CaptureFixture[str]) -> None:
    listening = Listening()
    clip = concatenate_videoclips([shot(1), shot(2)]).with_audio(noise(4.0))
    clip.with_effects([GVMScore(model="tone", logger=listening)])
    assert listening.steps == sorted(set(listening.steps))
    assert listening.steps[-1] == 100 and len(listening.steps) > 5
    assert listening.messages == ["gvm - Scoring the clip.", "gvm - Done."]
    assert capsys.readouterr() == ("", "")
    clip.with_effects([GVMScore(model="tone")])  # "bar", as MoviePy has it
    said = capsys.readouterr()
    assert said.out.splitlines() == listening.messages
    assert "score:" in said.err


@pytest.mark.parametrize("stop_at", [1, 50, 86, 92, 100])
def test_a_logger_that_raises_ends_it_and_nothing_stays(stop_at: int, temporary: Path) -> None:
    clip = concatenate_videoclips([shot(1), shot(2)]).with_audio(noise(4.0))
    sound = clip.audio
    with pytest.raises(KeyboardInterrupt):
        clip.with_effects([GVMScore(model="tone", logger=Listening(stop_at))])
    gc.collect()
    assert list(temporary.iterdir()) == []
    assert clip.audio is sound


def test_temporary_files_go_with_the_last_copy_of_the_clip(temporary: Path) -> None:
    scored = shot(1).with_effects([GVMScore(**TONE)])
    copy = scored.subclipped(0.5, 1.5)
    assert len(list(temporary.iterdir())) == 2  # mix and music, no folder
    del scored
    gc.collect()
    assert samples_of(copy.audio).any()
    del copy
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_closing_removes_them_too(temporary: Path) -> None:
    music = score_clip(shot(1), ScoreOptions(model="tone"), logger=None)
    assert len(list(temporary.iterdir())) == 1
    music.close()
    music.close()
    assert list(temporary.iterdir()) == []
    with pytest.raises(ValueError, match="this clip's sound was closed"):
        music.get_frame(0.5)


# --- sound in and out --------------------------------------------------------------------------------------------


def test_moviepys_reader_beyond_its_end(tmp_path: Path) -> None:
    """Longer than the file, in blocks: what is in the file, then silence. Not the end again, and no error."""
    samples = np.random.default_rng(3).normal(0, 0.1, (round(1.3 * 44_100), 2)).clip(-0.9, 0.9)
    soundfile.write(tmp_path / "noise.wav", samples, 44_100, "PCM_16")
    with AudioFileClip(tmp_path / "noise.wav") as sound:
        heard = np.concatenate(list(read_sound(sound.with_duration(3.0), 3.5)), axis=1)
    assert heard.shape == (2, round(3.5 * RATE))
    end = round(1.3 * RATE)
    assert level_db(heard[:, end - 480 : end]) > -25
    assert level_db(heard[:, end + 100 :]) < -100


def test_silence_as_people_write_it_in_moviepy() -> None:
    silent = shot(1).with_audio(AudioClip(lambda t: [0, 0], duration=2.0, fps=RATE))
    assert not np.concatenate(list(read_sound(silent.audio, 2.0)), axis=1).any()


def test_the_end_of_a_film_is_heard_once(clip_factory: ClipFactory, opened: Callable[[Path], VideoFileClip]) -> None:
    """MoviePy's samples of a compressed track against our own decoder's, up to the last."""
    film = clip_factory("film", seconds=3.0, audio="speechlike")
    ours = np.concatenate(list(read_audio_blocks(probe(film))), axis=1)
    clip = opened(film)
    theirs = np.concatenate(list(read_sound(clip.audio, clip.duration)), axis=1)
    count = ours.shape[1]
    assert abs(count - theirs.shape[1]) < RATE / 25
    for first, last in ((0, RATE), (RATE, 2 * RATE), (count - RATE // 2, count - 500)):
        part = slice(first + 100, last)
        assert level_db(theirs[:, part] - ours[:, part]) < level_db(ours[:, part]) - 40
    assert np.abs(theirs[:, count:]).max(initial=0.0) < 1e-3


def test_two_clips_dont_sound_together_where_they_meet() -> None:
    """MoviePy plays both at the sample of the join; a constant shows it."""
    ones = [AudioArrayClip(np.full((3 * RATE, 2), 0.5), fps=RATE).subclipped(1, 2.0625) for _ in range(3)]
    heard = np.concatenate(list(read_sound(concatenate_audioclips(ones), 3.1875)), axis=1)
    np.testing.assert_array_equal(heard, np.full((2, round(3.1875 * RATE)), 0.5, np.float32))


def test_sound_on_disk_is_exact_and_interpolated_between() -> None:
    wave = 0.5 * np.sin(2 * np.pi * 9000 * np.arange(RATE) / RATE).astype(np.float32)
    clip = SoundClip(iter(np.split(np.stack([wave, -wave]), [100, 30_000], axis=1)))
    assert clip.duration == 1.0 and clip.nchannels == 2
    np.testing.assert_array_equal(samples_of(clip), np.stack([wave, -wave]))
    assert clip.get_frame(0.25).shape == (2,)
    assert not clip.get_frame(-0.1).any() and not clip.get_frame(1.0).any()
    times = np.arange(2000, 42_000) / 44_100  # as MoviePy writes by default
    wanted = 0.5 * np.sin(2 * np.pi * 9000 * times)
    assert level_db(clip.get_frame(times)[:, 0] - wanted) < level_db(wanted) - 70
    assert clip.to_soundarray(fps=44_100).shape == (44_100, 2)


# --- MatchLoudness -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lufs", [-14.0, -23.0])
def test_loudness_is_matched_for_sounds_and_films(lufs: float) -> None:
    quiet = noise(3.0, level=0.01, rate=44_100)
    film = shot(1, 3.0).with_audio(quiet)
    for matched in (
        quiet.with_effects([MatchLoudness(lufs)]),
        film.with_effects([MatchLoudness(lufs)]).audio,
    ):
        assert lufs_of(matched) == pytest.approx(lufs, abs=0.2)
        assert int(matched.duration * RATE) == 3 * RATE
    assert film.audio.clips if isinstance(film.audio, CompositeAudioClip) else level_db(samples_of(film.audio)) < -35


def test_peaks_stay_under_the_ceiling() -> None:
    sound = samples_of(noise(3.0, level=0.02))
    sound[:, RATE : RATE + 20] = 0.9
    matched = AudioArrayClip(sound.T, fps=RATE).with_effects([MatchLoudness(-16, true_peak=-3)])
    measured = measure_loudness([samples_of(matched)], true_peak=True)
    assert measured.true_peak_dbtp is not None and measured.true_peak_dbtp <= -2.95
    assert measured.integrated_lufs == pytest.approx(-16, abs=0.5)


def test_silence_stays_silent_and_a_silent_film_as_it_is() -> None:
    silence = AudioArrayClip(np.zeros((RATE, 2)), fps=RATE).with_effects([MatchLoudness()])
    assert not samples_of(silence).any()
    assert shot(1).with_effects([MatchLoudness()]).audio is None
    with pytest.raises(ValueError, match="lufs is 3; it must lie between -60 and -5"):
        MatchLoudness(lufs=3)


# --- DuckUnder ---------------------------------------------------------------------------------------------------


def test_music_ducks_under_spans() -> None:
    music = noise(10.0)
    ducked = music.with_effects([DuckUnder([(3.0, 5.0)], db=10, attack=0.5, release=1.0)])
    before, after = samples_of(music), samples_of(ducked)
    assert ducked.duration == music.duration

    def change(first: float, last: float) -> float:
        part = slice(round(first * RATE), round(last * RATE))
        return level_db(after[:, part]) - level_db(before[:, part])

    assert change(3.0, 5.0) == pytest.approx(-10, abs=0.05)
    assert change(0.0, 2.3) == pytest.approx(0, abs=0.01)
    assert change(6.5, 10.0) == pytest.approx(0, abs=0.01)
    assert -9 < change(2.5, 2.8) < -1  # on its way
    film = shot(1, 10.0).with_audio(music).with_effects([DuckUnder([(3.0, 5.0)], db=10, attack=0.5, release=1.0)])
    np.testing.assert_allclose(samples_of(film.audio), after, atol=1e-6)


def test_music_ducks_under_the_speech_of_a_clip(
    clip_factory: ClipFactory, opened: Callable[[Path], VideoFileClip]
) -> None:
    talk = opened(clip_factory("talk", seconds=3.0, audio="speechlike"))
    (span,) = detect_speech(talk.audio)
    assert span.duration > 2.5
    music = noise(9.0)
    later = music.with_effects([DuckUnder(talk.with_start(4.0))])  # where it stands in the edit counts
    gain = samples_of(later) / samples_of(music)
    assert 20 * np.log10(gain[0, round(5.5 * RATE)]) == pytest.approx(-12, abs=0.05)
    assert gain[0, round(3.0 * RATE)] == pytest.approx(1.0, abs=1e-4)
    assert music.with_effects([DuckUnder(shot(1))]).get_frame(0.5) == pytest.approx(music.get_frame(0.5))
    with pytest.raises(ValueError, match=r"attack and release are -1 and 1\.5 s"):
        DuckUnder([], attack=-1)


# --- ShotCrossfade -----------------------------------------------------------------------------------------------


def power_around(sound: np.ndarray, at: float, seconds: float = 0.01) -> float:
    middle, half = round(at * RATE), round(seconds * RATE / 2)
    return level_db(sound[:, middle - half : middle + half])


def test_the_sound_goes_over_with_equal_power_where_the_files_go_on() -> None:
    parts = [noise(6.0, seed).subclipped(1, 4) for seed in (1, 2)]  # both have more than is shown
    edit = concatenate_videoclips([shot(n, 3.0).with_audio(part) for n, part in enumerate(parts)])
    faded = edit.with_effects([ShotCrossfade(0.4)])
    assert (faded.duration, faded.audio.duration) == (6.0, 6.0)
    heard, before = samples_of(faded.audio), samples_of(edit.audio)
    for at in (2.7, 2.81, 2.9, 3.0, 3.1, 3.19, 3.3):
        assert power_around(heard, at, 0.04) == pytest.approx(-20, abs=0.5), at
    outside = np.r_[0 : round(2.79 * RATE), round(3.21 * RATE) : 6 * RATE]
    np.testing.assert_allclose(heard[:, outside], before[:, outside], atol=1e-6)
    first = samples_of(noise(6.0, 1))[:, round(3.9 * RATE) : round(4.2 * RATE)]  # and the handle behind its trim
    window = heard[:, round(2.9 * RATE) : round(3.2 * RATE)]
    angle = (np.arange(first.shape[1]) / RATE + 0.1) / 0.4 * np.pi / 2
    left = window - np.cos(angle) * first
    second = samples_of(noise(6.0, 2))[:, round(0.9 * RATE) : round(1.2 * RATE)]
    np.testing.assert_allclose(left, np.sin(angle) * second, atol=2e-3)
    assert edit.with_effects([ShotCrossfade(0.4)]).get_frame(1.0).shape == (54, 96, 3)


def test_without_anything_beyond_the_cut_it_fades_out_and_in() -> None:
    """Whole files: no click, no repeated block, and away from the cut nothing changes."""
    constant = [AudioArrayClip(np.full((2 * RATE, 2), level), fps=RATE) for level in (0.5, -0.5)]
    heard = samples_of(concatenate_audioclips(constant).with_effects([ShotCrossfade(0.2)]))
    assert np.abs(np.diff(heard[0])).max() < 0.001  # from 0.5 to -0.5 without a step
    assert abs(heard[0, 2 * RATE]) < 0.01
    np.testing.assert_allclose(heard[:, : round(1.89 * RATE)], 0.5, atol=1e-6)
    np.testing.assert_allclose(heard[:, round(2.11 * RATE) :], -0.5, atol=1e-6)


def test_beside_silence_it_fades_but_not_at_the_ends_of_the_film() -> None:
    talking = shot(1, 2.0).with_audio(AudioArrayClip(np.full((2 * RATE, 2), 0.5), fps=RATE))
    edit = concatenate_videoclips([talking, shot(2, 1.0), talking])
    heard = samples_of(edit.with_effects([ShotCrossfade(0.2)]).audio)
    assert heard[0, 0] == pytest.approx(0.5) and heard[0, -1] == pytest.approx(0.5)
    assert np.abs(np.diff(heard[0])).max() < 0.001
    assert not heard[:, round(2.01 * RATE) : round(2.99 * RATE)].any()


def test_what_has_no_clips_cant_be_crossfaded() -> None:
    edit = concatenate_videoclips([shot(1).with_audio(noise(2.0)), shot(2).with_audio(noise(2.0))])
    for wrong in (edit.subclipped(1, 3), shot(1).with_audio(noise(2.0))):
        with pytest.raises(ValueError, match="apply it to what concatenate_videoclips or CompositeVideoClip gave"):
            wrong.with_effects([ShotCrossfade()])
    assert shot(1).with_effects([ShotCrossfade()]).audio is None
    with pytest.raises(ValueError, match="seconds is 0; it must lie between 0 and 10"):
        ShotCrossfade(0)


def test_all_effects_together_on_files_of_odd_rates(
    clip_factory: ClipFactory, opened: Callable[[Path], VideoFileClip]
) -> None:
    films = [
        opened(clip_factory(name, seconds=2.0, fps=fps, audio="tone", cuts=()))
        for name, fps in (("a", Fraction(30_000, 1001)), ("b", Fraction(25)))
    ]
    edit = concatenate_videoclips([films[0].subclipped(0.2, 1.7), films[1].subclipped(0.1, 1.6)])
    scored = edit.with_effects([ShotCrossfade(0.3), GVMScore(**TONE), MatchLoudness(-16)])
    assert int(scored.audio.duration * RATE) == round(edit.duration * RATE)
    assert lufs_of(scored.audio) == pytest.approx(-16, abs=0.3)


# --- the model that ships, the page --------------------------------------------------------------------------------


def test_the_line_of_the_readme_with_the_model_that_ships() -> None:
    clip = concatenate_videoclips([shot(1, 1.5), shot(2, 1.5)]).with_audio(noise(3.0, level=0.01))
    scored = clip.with_effects([GVMScore(style="cinematic", seed=3, logger=None)])
    assert int(scored.audio.duration * RATE) == 3 * RATE
    assert scored.audio.lufs == pytest.approx(-14, abs=0.5)
    assert [cue.style for cue in scored.audio.sheet.cues] == ["cinematic"]
    assert level_db(samples_of(scored.audio.music)) > -30


def test_the_page_tells_of_every_setting_and_its_python_is_python() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "moviepy.md").read_text(encoding="utf-8")
    names = [field.name for kind in (GVMScore, ShotCrossfade, MatchLoudness, DuckUnder) for field in fields(kind)]
    assert [name for name in names if not re.search(rf"\b{name}\b", page)] == []
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names)
