"""Where a film's sound already is music, by rule and without weights. A false "music" would silence the score, so
it says so only of stretches that pass every test; what it misses (song over loud traffic, drums alone, music far
under speech) is scored over, as if there were none.

Music holds notes: partials that stay on one pitch for a third of a second, sit on a common tuning, change together
and hardly ever stop. Speech glides, noise has no partials, hum and machines don't change, horns and bells stop.
Over windows of 8 s, moved by 1 s, four figures are taken of the held partials between 100 Hz and 3.6 kHz:

    count    held partials per spectrum              (published music 8..18, speech 1..3, noise 0)
    share    of the spectra that have one            (music 0.93..1, speech 0.4..0.8)
    tuning   length of the mean of exp(2 pi i pitch in semitones): 1 if all pitches are whole semitones apart
                                                     (music 0.55..0.9, speech 0..0.3, gliding engines 0..0.1)
    change   mean distance of successive seconds' note histograms, 1 - cosine   (music 0.2..0.6, machines 0..0.15)

Partials present in three quarters of the 15 s around them are hum and don't count. The figures in brackets were
measured while the rules were made, on the sounds that `tests/gvm_plugin/test_music_detection.py` builds and others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gvm_plugin.timeline import Span

RATE: Final = 16_000
WINDOW: Final = 4096  # samples of a spectrum, 256 ms: 3.9 Hz per bin
HOP: Final = 1024  # 64 ms
LOW_HZ, HIGH_HZ = 100.0, 3600.0
PROMINENCE_DB: Final = 12.0  # of a partial above the median spectrum around it
RANGE_DB: Final = 45.0  # below the strongest partial of its spectrum
FLOOR_DB: Final = -75.0  # below full scale
MEDIAN_BINS: Final = 32  # 125 Hz

BINS_PER_OCTAVE: Final = 48  # quarter semitones, for following partials
PITCH_BINS: Final = int(np.ceil(np.log2(HIGH_HZ / LOW_HZ) * BINS_PER_OCTAVE))
SEMITONES: Final = PITCH_BINS // 4 + 1
HELD: Final = 5  # spectra in a row that a partial has to last, 320 ms
HUM_REACH: Final = 115  # spectra either side, 7.4 s
HUM_SHARE: Final = 0.75
CHUNK: Final = 1024  # spectra worked on at once when all is heard

STEP: Final = 16  # spectra per step, 1.024 s
STEP_SECONDS: Final = STEP * HOP / RATE
STEPS: Final = 8  # per window
MIN_STEPS: Final = 4  # of a film that can be judged

MIN_COUNT: Final = 3.3
MIN_SHARE: Final = 0.65
MIN_TUNING: Final = 0.45
MIN_CHANGE: Final = 0.18
BRIDGE_SECONDS: Final = 4.0
MIN_SECONDS: Final = 6.0

Floats = npt.NDArray[np.float32]
Partials = npt.NDArray[np.float32]  # [3, N]: number of the spectrum, Hz, dB of full scale; in order of spectra


@dataclass(frozen=True, eq=False)
class Figures:
    """Sums over held partials per step of 1.024 s.

    count [S]: partials. filled [S]: spectra that have one. vector [S]: sum of weight * exp(2 pi i semitones).
    weight [S]: sum of weights. notes [S, SEMITONES]: partials per semitone above 100 Hz.
    """

    count: Floats
    filled: Floats
    vector: npt.NDArray[np.complex64]
    weight: Floats
    notes: Floats


class MusicDetector:
    """Hears 16 kHz mono in blocks of any size, then tells where there was music. Keeps about 4 kB per second."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._frames = 0
        self._found: list[Partials] = []

    def push(self, samples: Floats) -> None:
        """Take the next samples, [n]."""
        sound = np.concatenate([self._rest, samples])
        count = max(0, (len(sound) - WINDOW) // HOP + 1)
        if count:
            partials = find_partials(np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP][:count])
            partials[0] += self._frames
            self._found.append(partials)
            self._frames += count
        self._rest = sound[count * HOP :]

    def spans(self, duration: float) -> tuple[Span, ...]:
        """Where there was music, in seconds, in order, none beyond `duration`."""
        return find_spans(is_music(self.figures()), duration)

    def figures(self) -> Figures:
        """What was measured, per step."""
        partials = np.concatenate([np.zeros((3, 0), np.float32), *self._found], axis=1)
        held = [np.zeros((3, 0), np.float32)]
        for start in range(0, self._frames, CHUNK):
            held.append(keep_held(partials, start, min(start + CHUNK, self._frames)))
        return sum_up(np.concatenate(held, axis=1), -(-self._frames // STEP))


def find_partials(frames: Floats) -> Partials:
    """Peaks that stand out of the spectra of frames [F, WINDOW] of sound."""
    from scipy.fft import rfft

    low, high = (round(hertz * WINDOW / RATE) for hertz in (LOW_HZ, HIGH_HZ))
    window = np.hanning(WINDOW).astype(np.float32)
    spectrum = np.abs(rfft(frames * window, axis=1)[:, low:high]) * np.float32(2 / window.sum())
    level = 20 * np.log10(spectrum + np.float32(1e-7))
    bands = level.shape[1] // MEDIAN_BINS
    medians = np.median(level[:, : bands * MEDIAN_BINS].reshape(len(level), bands, MEDIAN_BINS), axis=2)
    place = np.clip((np.arange(level.shape[1]) - (MEDIAN_BINS - 1) / 2) / MEDIAN_BINS, 0, bands - 1.001)
    band, share = place.astype(int), (place % 1).astype(np.float32)
    around = medians[:, band] * (1 - share) + medians[:, band + 1] * share
    middle = level[:, 1:-1]
    peak = (middle > level[:, :-2]) & (middle >= level[:, 2:]) & (middle > around[:, 1:-1] + PROMINENCE_DB)
    peak &= middle > np.maximum(level.max(axis=1, keepdims=True) - RANGE_DB, FLOOR_DB)
    frame, index = np.nonzero(peak)
    before, at, after = (level[frame, index + step] for step in range(3))
    # the top of the parabola through three levels lies this far from the middle one
    offset = 0.5 * (before - after) / (before - 2 * at + after - 1e-9)
    hertz = (low + 1 + index + offset) * RATE / WINDOW
    return np.stack([frame, hertz, at]).astype(np.float32)


def keep_held(partials: Partials, start: int, end: int) -> Partials:
    """The partials of spectra start..end that last as notes do: long enough, and not as long as hum."""
    first, inner, outer, last = np.searchsorted(
        partials[0], [start - HUM_REACH, start, end, end + HUM_REACH], side="left"
    )
    near = partials[:, first:last]
    rows = (near[0] - (start - HUM_REACH)).astype(int)
    columns = np.clip(np.log2(near[1] / LOW_HZ) * BINS_PER_OCTAVE, 0, PITCH_BINS - 1).astype(int)
    there = np.zeros((end - start + 2 * HUM_REACH, PITCH_BINS), np.uint8)
    there[rows, columns] = 1
    there[:, 1:] |= there[:, :-1].copy()  # a quarter semitone up or down is the same partial
    there[:, :-1] |= there[:, 1:].copy()
    sums = np.cumsum(np.pad(there, ((1, 0), (0, 0))), axis=0, dtype=np.int32)
    runs = sums[HELD:] - sums[:-HELD] == HELD
    held = np.zeros(there.shape, bool)
    for step in range(HELD):
        held[step : step + len(runs)] |= runs
    mine = slice(inner - first, outer - first)
    rows, columns = rows[mine], columns[mine]
    # the sound before its beginning and after its end counts as absent: a hum is recognised a little later there
    hum = sums[rows + HUM_REACH, columns] - sums[rows - HUM_REACH, columns] > HUM_SHARE * 2 * HUM_REACH
    return near[:, mine][:, held[rows, columns] & ~hum]


def sum_up(held: Partials, steps: int) -> Figures:
    """Sums of held partials over each of `steps` steps."""
    frame, hertz, level = held[0].astype(int), held[1].astype(np.float64), held[2]
    step = frame // STEP
    semitones = 12 * np.log2(hertz / LOW_HZ)
    weight = np.sqrt(np.maximum(level - FLOOR_DB, 0.0))
    vector = np.zeros(steps, np.complex128)
    np.add.at(vector, step, weight * np.exp(2j * np.pi * semitones))
    notes = np.zeros((steps, SEMITONES), np.float32)
    np.add.at(notes, (step, np.clip(np.round(semitones), 0, SEMITONES - 1).astype(int)), 1)
    return Figures(
        count=np.bincount(step, minlength=steps).astype(np.float32),
        filled=np.bincount(np.unique(frame) // STEP, minlength=steps).astype(np.float32),
        vector=vector.astype(np.complex64),
        weight=np.bincount(step, weight, minlength=steps).astype(np.float32),
        notes=notes,
    )


def is_music(figures: Figures) -> npt.NDArray[np.bool_]:
    """Whether each step is music: at least half the windows over it pass every test."""
    steps = len(figures.count)
    if steps < MIN_STEPS:
        return np.zeros(steps, bool)
    size = min(STEPS, steps)
    votes, windows = np.zeros(steps), np.zeros(steps)
    for start in range(steps - size + 1):
        window = slice(start, start + size)
        windows[window] += 1
        votes[window] += passes(figures, window)
    return np.asarray(votes >= 0.5 * windows)


def passes(figures: Figures, window: slice) -> bool:
    """Whether the steps of `window` together have held partials as music has them; see the module's docstring."""
    spectra = STEP * (window.stop - window.start)
    weight = float(figures.weight[window].sum())
    if figures.count[window].sum() < MIN_COUNT * spectra or figures.filled[window].sum() < MIN_SHARE * spectra:
        return False
    tuning = abs(complex(figures.vector[window].sum())) / max(weight, 1e-9)
    notes = figures.notes[window]
    length = np.linalg.norm(notes, axis=1)
    both = (length[1:] > 0) & (length[:-1] > 0)
    alike = (notes[1:] * notes[:-1]).sum(axis=1)[both] / (length[1:] * length[:-1])[both]
    change = 1 - float(alike.mean()) if both.any() else 0.0
    return tuning >= MIN_TUNING and change >= MIN_CHANGE


def find_spans(music: npt.NDArray[np.bool_], duration: float) -> tuple[Span, ...]:
    """Spans of the steps that are music: short gaps bridged, short spans dropped, the film's ends taken along."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], music, [False]]).astype(np.int8)))
    spans: list[Span] = []
    for first, last in edges.reshape(-1, 2).tolist():
        start = 0.0 if first == 0 else min(duration, first * STEP_SECONDS)
        end = duration if last == len(music) else min(duration, last * STEP_SECONDS)
        if spans and start - spans[-1].end <= BRIDGE_SECONDS:
            spans[-1] = Span(spans[-1].start, end)
        else:
            spans.append(Span(start, end))
    return tuple(span for span in spans if span.duration >= MIN_SECONDS)
