"""Delivered files, end to end, checked by other means than our own: ffmpeg's loudness meter, packets, samples."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from conftest import sound_of

from gvm_plugin import ScoreOptions, render, score_folder, score_video, spot
from gvm_plugin.ffmpeg import ffmpeg_exe, file_url, run_ffmpeg
from gvm_plugin.score import Score

ClipFactory = Callable[..., Path]
TONE = ScoreOptions(model="tone")


def packets(path: Path, kind: str = "video", index: int = 0) -> list[bytes]:
    with av.open(str(path)) as film:
        stream = film.streams.get({kind: index})[0]
        return [bytes(packet) for packet in film.demux(stream) if packet.size]


def sound(path: Path, index: int = 0) -> npt.NDArray[np.float32]:
    """[N, 2] as a player hears it: by the ffmpeg program, which obeys what the container says of padding."""
    argv = [ffmpeg_exe(), "-v", "error", "-i", file_url(path), "-map", f"0:a:{index}"]
    argv += ["-f", "f32le", "-ac", "2", "-ar", "48000", "-"]
    return np.frombuffer(subprocess.run(argv, capture_output=True, check=True).stdout, np.float32).reshape(-1, 2)


def loudness(path: Path) -> tuple[float, float]:
    """(LUFS, true peak in dBTP) by ffmpeg's ebur128."""
    argv = [ffmpeg_exe(), "-hide_banner", "-nostats", "-i", file_url(path), "-map", "0:a:0"]
    argv += ["-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stderr.rpartition("Summary:")[2]
    lufs, peak = re.search(r"I:\s+(\S+) LUFS", said), re.search(r"Peak:\s+(\S+) dBFS", said)
    assert lufs and peak, said
    return float(lufs[1]), float(peak[1])


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm", "ts", "avi"])
def test_picture_copied_sound_as_long_loudness_met(container: str, clip_factory: ClipFactory, tmp_path: Path) -> None:
    made = "mp4" if container in ("ts", "avi") else container
    film = clip_factory("film", seconds=3, cuts=(1.0,), audio="tone", container=made)
    if container != made:
        other = tmp_path / f"film.{container}"
        run_ffmpeg(["-i", file_url(film), "-c:v", "copy", "-c:a", "mp2", file_url(other)])
        film = other
    score = score_video(film, options=TONE)
    assert score.outputs.film.suffix == (".mkv" if container == "avi" else film.suffix)
    if container not in ("ts", "avi"):  # ffmpeg reads these into units of another cut
        assert packets(score.outputs.film) == packets(film)
    samples = round(score.report.duration * 48_000)
    assert soundfile.info(score.outputs.music).frames == samples
    heard = len(sound(score.outputs.film))
    assert heard == samples or (container == "ts" and samples < heard < samples + 0.05 * 48_000)
    lufs, peak = loudness(score.outputs.film)
    assert lufs == pytest.approx(-14, abs=0.2)
    assert peak <= -1.0


@pytest.mark.parametrize(
    ("options", "lufs"),
    [
        ({"preset": "podcast"}, -16),
        ({"preset": "broadcast"}, -23),
        ({"lufs": -19.5}, -19.5),
        ({"original": "replace"}, -14),
        ({"duck": 0.0}, -14),
    ],
)
def test_loudness_asked_for(options: dict[str, object], lufs: float, clip_factory: ClipFactory) -> None:
    film = clip_factory("film", seconds=3, cuts=(1.0,), audio="speechlike")
    score = score_video(film, options=replace(TONE, **options))  # type: ignore[arg-type]
    assert loudness(score.outputs.film)[0] == pytest.approx(lufs, abs=0.2)


def test_music_alone_has_the_loudness_asked_for_by_itself(clip_factory: ClipFactory) -> None:
    film = clip_factory("film", seconds=3, cuts=(1.0,), audio="speechlike")
    score = score_video(film, options=replace(TONE, music_only=True))
    assert not score.outputs.film.exists()
    lufs, peak = loudness(score.outputs.music)
    assert lufs == pytest.approx(-14, abs=0.2) and peak <= -1.0


@pytest.fixture
def talk(clip_factory: ClipFactory, tmp_path: Path) -> Path:
    """Eight seconds with speech from 2 to 5, over faint noise."""
    silent = clip_factory("silent", seconds=8, cuts=(3.0,))
    noise = np.random.default_rng(0).normal(0, 0.003, (2, 8 * 48_000)).astype(np.float32)
    noise[:, 96_000:240_000] += 0.7 * sound_of("speechlike", 3)
    return clips.with_sound(silent, tmp_path / "talk.mov", [(noise, "stereo", 0.0)])


def test_speech_keeps_one_gain_and_the_music_goes_down_under_it(talk: Path) -> None:
    score = score_video(talk, options=TONE)
    (speech,) = score.sheet.speech
    assert speech.start == pytest.approx(2, abs=0.3) and speech.end == pytest.approx(5, abs=0.3)
    mix, original, music = sound(score.outputs.film), sound(talk), soundfile.read(score.outputs.music)[0]

    def gains(start: float, end: float) -> tuple[float, float]:
        """dB of (the film's own sound, the music) in the mix, by least squares."""
        part = slice(round(start * 48_000), round(end * 48_000))
        both = np.stack([original[part].ravel(), music[part].ravel()], axis=1)
        found, *_ = np.linalg.lstsq(both, mix[part].ravel(), rcond=None)
        return tuple(20 * np.log10(np.abs(found)))  # type: ignore[return-value]

    under = np.array([gains(at, at + 0.5) for at in np.arange(2.5, 4.5, 0.5)])
    between = np.array([gains(at, at + 0.5) for at in (0.5, 1.0, 6.5, 7.0)])
    assert np.ptp(under[:, 0]) < 0.5  # one gain, but for the codec and rare peaks
    assert np.median(between[:, 1]) - np.median(under[:, 1]) >= 9
    assert np.median(between[:, 1]) == pytest.approx(0, abs=0.1)  # music.wav is the music at its level in the mix


def test_other_tracks_stay_as_they_are(talk: Path, tmp_path: Path) -> None:
    film = tmp_path / "two.mkv"
    second = ["-f", "lavfi", "-i", "sine=500:d=8", "-map", "0:v", "-map", "0:a", "-map", "1:a"]
    run_ffmpeg(["-i", file_url(talk), *second, "-c:v", "copy", "-c:a", "flac", file_url(film)])
    mixed = score_video(film, options=TONE).outputs.film
    assert packets(mixed, "audio", 1) == packets(film, "audio", 1)
    apart = score_video(film, tmp_path / "apart.mkv", replace(TONE, separate_track=True)).outputs.film
    for index in (0, 1):
        assert packets(apart, "audio", index) == packets(film, "audio", index)
    assert np.abs(sound(apart, 2)).max() > 0.01
    assert packets(mixed) == packets(apart) == packets(film)


def test_music_of_its_own_gets_no_cue(shared_media: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    streams = [shared_media / "clips" / "clip_28.mp4", shared_media / "gvmgen_published" / "clip_28.m4a"]
    inputs = [part for path in streams for part in ("-i", file_url(path))]
    run_ffmpeg([*inputs, "-map", "0:v", "-map", "1:a", "-c", "copy", file_url(film)])
    score = score_video(film, options=TONE)
    assert score.sheet.sounding == ()
    assert any("music of its own" in warning for warning in score.report.warnings)
    assert loudness(score.outputs.film)[0] == pytest.approx(-14, abs=0.2)


@pytest.mark.parametrize(("key", "low", "high"), [("Am", -1.0, -0.3), ("Bb", 0.2, 1.0)])
def test_a_key_says_minor_or_major(key: str, low: float, high: float, clip_factory: ClipFactory) -> None:
    film = clip_factory("film", seconds=1, cuts=())
    sheet, _ = spot(film, options=replace(TONE, key=key))
    assert all(cue.key == key and cue.mood is not None and low <= cue.mood <= high for cue in sheet.cues)
    sheet, _ = spot(film, options=replace(TONE, key=key, mood=0.7, overwrite=True))
    assert all(cue.mood == 0.7 for cue in sheet.cues)
    assert all(cue.valence == (-0.3 if key == "Am" else 0.7) for cue in sheet.cues)


def test_the_four_functions_as_a_program_uses_them(clip_factory: ClipFactory, tmp_path: Path) -> None:
    film = clip_factory("film", seconds=2, fps=Fraction(25), cuts=(1.0,))
    scored = score_video(str(film), tmp_path / "o" / "scored.mp4", TONE)
    assert isinstance(scored, Score) and (tmp_path / "o" / "scored.music.wav").is_file()
    _, path = spot(film, tmp_path / "s", TONE)
    before = path.read_text()
    path.write_text(before.replace("energy: ", "energy: 0.9 # was "))
    rendered = render(path)
    assert rendered.outputs.film == tmp_path / "s" / "film.mp4"
    assert rendered.sheet.cues[0].energy == 0.9
    assert "# was" in path.read_text()
    (tmp_path / "vlogs" / "day 2").mkdir(parents=True)
    film.rename(tmp_path / "vlogs" / "day 2" / "film.mp4")
    folder = score_folder(tmp_path / "vlogs", options=TONE, recursive=True)
    assert folder.failed == 0
    page = folder.page.read_text()
    assert 'src="./day%202/film.mp4"' in page and 'href="./day%202/film.music.wav"' in page
