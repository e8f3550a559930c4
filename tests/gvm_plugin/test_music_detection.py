"""Music is told from what isn't: a false "music" would silence the score, so every other sound must pass as none."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from conftest import speechlike
from hypothesis import given
from hypothesis import strategies as st

from gvm_plugin.music_detection import STEP_SECONDS, MusicDetector, find_spans
from gvm_plugin.probe import probe, read_audio_blocks
from gvm_plugin.timeline import Span

RATE = 16_000
SECONDS = 20
TIMES = np.arange(RATE * SECONDS) / RATE

Wave = npt.NDArray[np.float64]


def spans_of(wave: Wave) -> tuple[Span, ...]:
    """Where `wave` is music, given in blocks."""
    detector = MusicDetector()
    for start in range(0, len(wave), 50_001):
        detector.push(wave[start : start + 50_001].astype(np.float32))
    return detector.spans(len(wave) / RATE)


def noise(colour: float, level: float = 0.1) -> Wave:
    """Noise whose power falls with the frequency to the power `colour`."""
    spectrum = np.fft.rfft(np.random.default_rng(3).normal(size=len(TIMES)))
    wave = np.fft.irfft(spectrum * np.maximum(np.fft.rfftfreq(len(TIMES), 1 / RATE), 20) ** (-colour / 2))
    return np.asarray(level * wave / wave.std())


def voice() -> Wave:
    return speechlike(np.arange(48_000 * SECONDS) / 48_000)[::3]


def harmonics(hertz: Wave | float, count: int, level: float = 0.1) -> Wave:
    """A buzz whose pitch is `hertz`, over time or constant."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, TIMES.shape)) / RATE
    return np.asarray(level * sum(np.sin(k * phase + k) / k**0.7 for k in range(1, count)))


def wandering(low: float, high: float, every: float) -> Wave:
    """A value over time that goes to a new place between low and high `every` seconds."""
    places = np.random.default_rng(5).uniform(low, high, int(SECONDS / every) + 2)
    return np.interp(TIMES, np.arange(len(places)) * every, places)


def switched(wave: Wave, on: float, off: float) -> Wave:
    return np.where(TIMES % (on + off) < on, wave, 0.0)


def played(chords: list[list[int]], seconds_each: float, partials: int = 6, vibrato: float = 0.0) -> Wave:
    """MIDI pitches, plucked one chord after another."""
    wave = np.zeros(len(TIMES) + 2 * RATE)
    times = np.arange(int(min(2.0, 2 * seconds_each) * RATE)) / RATE
    for index, chord in zip(range(int(SECONDS / seconds_each)), itertools.cycle(chords), strict=False):
        start = int(index * seconds_each * RATE)
        for pitch in chord:
            phase = 2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * times + vibrato * np.sin(2 * np.pi * 5 * times)
            note = sum(np.sin(k * phase) / k**1.5 for k in range(1, partials))
            wave[start : start + len(times)] += 0.08 * np.asarray(note) * np.exp(-3 * times)
    return wave[: len(TIMES)]


def bursts(per_second: float, length: int, decay: float) -> Wave:
    """Short noises at random moments: claps, keys, steps."""
    random, wave = np.random.default_rng(8), np.zeros(len(TIMES) + length)
    for start in random.integers(0, len(TIMES), int(per_second * SECONDS)):
        wave[start : start + length] += random.normal(size=length) * np.exp(-np.arange(length) / decay)
    return 0.2 * wave[: len(TIMES)]


PIANO = [[48, 60, 64, 67], [72], [67], [64], [45, 57, 60, 64], [69], [72], [76]]
OTHER_SOUNDS: dict[str, Callable[[], Wave]] = {
    "silence": lambda: np.zeros_like(TIMES),
    "white noise": lambda: noise(0),
    "pink noise": lambda: noise(1),
    "room": lambda: noise(2, 0.003),
    "speech in a room": lambda: voice() + noise(2, 0.01),
    "speech in traffic": lambda: voice() + noise(1.5, 0.2) + harmonics(wandering(50, 150, 4), 10, 0.03),
    "mains hum": lambda: harmonics(50, 12) + noise(1, 0.01),
    "swelling hum": lambda: harmonics(60, 12) * (1 + 0.5 * np.sin(2 * np.pi * 0.3 * TIMES)),
    "one tone": lambda: 0.1 * np.sin(2 * np.pi * 440 * TIMES),
    "engine": lambda: harmonics(wandering(40, 120, 3), 25) + noise(2, 0.05),
    "wind": lambda: noise(2) * wandering(0.1, 2, 0.7),
    "blender": lambda: switched(harmonics(187, 30), 8, 7) + noise(1, 0.01),
    "drill": lambda: switched(harmonics(140, 30), 3, 2) + noise(1, 0.01),
    "reversing lorry": lambda: switched(0.1 * np.sign(np.sin(2 * np.pi * 1000 * TIMES)), 0.5, 0.5) + noise(1, 0.02),
    "siren": lambda: harmonics(700 + 300 * np.sin(2 * np.pi * 0.25 * TIMES), 2) + noise(1),
    "applause": lambda: bursts(120, 800, 120),
    "typing": lambda: bursts(6, 400, 40) + noise(1, 0.01),
}
MUSIC: dict[str, Callable[[], Wave]] = {
    "piano": lambda: played(PIANO, 0.4),
    "piano over noise": lambda: played(PIANO, 0.4) + noise(1, 0.03),
    "piano under speech": lambda: played(PIANO, 0.4) + 0.5 * voice(),
    "fiddle": lambda: played([[m] for m in (62, 64, 67, 69, 74, 72, 69, 67)], 0.6, 12, vibrato=0.8),
}


@pytest.mark.parametrize("name", OTHER_SOUNDS)
def test_other_sounds_are_no_music(name: str) -> None:
    assert spans_of(OTHER_SOUNDS[name]()) == ()


@pytest.mark.parametrize("name", MUSIC)
def test_music_is_found(name: str) -> None:
    assert sum(span.duration for span in spans_of(MUSIC[name]())) > 0.9 * SECONDS


def test_where_music_begins_and_ends() -> None:
    talk = voice() + noise(2, 0.01)
    (span,) = spans_of(np.concatenate([talk, played(PIANO, 0.4), talk]))
    assert span.start == pytest.approx(SECONDS, abs=5)
    assert span.end == pytest.approx(2 * SECONDS, abs=5)


def test_too_short_to_tell() -> None:
    assert spans_of(played(PIANO, 0.4)[: 2 * RATE]) == ()
    assert spans_of(np.zeros(0)) == ()


@given(st.lists(st.booleans(), max_size=60), st.floats(0.5, 70))
def test_spans_are_in_order_apart_and_inside(steps: list[bool], duration: float) -> None:
    spans = find_spans(np.array(steps, bool), duration)
    assert all(0 <= span.start < span.end <= duration for span in spans)
    assert all(one.end < other.start for one, other in itertools.pairwise(spans))


def test_short_gaps_are_bridged() -> None:
    steps = np.array([False] * 3 + [True] * 10 + [False] * 3 + [True] * 10 + [False] * 3)
    (span,) = find_spans(steps, len(steps) * STEP_SECONDS)
    assert (span.start, span.end) == pytest.approx((3 * STEP_SECONDS, 26 * STEP_SECONDS))


def test_published_music_is_music_and_the_narrated_film_has_none(shared_media: Path) -> None:
    for path in sorted((shared_media / "gvmgen_published").glob("*.m4a")):
        resampler, parts = av.AudioResampler(format="flt", layout="mono", rate=RATE), []
        with av.open(str(path)) as file:
            for frame in file.decode(audio=0):
                parts += [part.to_ndarray().ravel() for part in resampler.resample(frame)]
        wave = np.concatenate(parts).astype(np.float64)
        assert sum(span.duration for span in spans_of(wave)) > 0.9 * len(wave) / RATE, path.name
    detector = MusicDetector()
    for block in read_audio_blocks(probe(shared_media / "vlog_with_speech.mp4"), rate=RATE, layout="mono"):
        detector.push(block[0])
    assert detector.spans(120) == ()
