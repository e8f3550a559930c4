"""Measures of one finished piece of music beside its picture and its score: those of the project's notes on music.

A piece goes in as audio, notes, codes and grid; a flat dictionary of numbers comes out. `HEALTHY` says which values
are good. Nothing here makes music or draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.evaluation.musical import FEATURE_RATE, onsets_per_second
from core.starter.composer import check_score
from core.starter.grid import Grid
from core.starter.notes import Note
from gvm_plugin.measure import measure
from gvm_plugin.timeline import HitPoint

RATE: Final = 48_000
NO_DRUMS: Final = ("ambient", "cinematic", "tension", "chinese")  # styles whose percussion is sparse
LOOSE_KEY: Final = ("ambient", "tension")

Audio = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Healthy:
    """A measure's healthy range; `exempt` styles are allowed to leave it."""

    name: str
    low: float
    high: float
    exempt: tuple[str, ...] = ()

    def missed(self, style: str, value: float) -> bool:
        """Whether `value` (nan: not measurable, not missed) lies outside for `style`."""
        return style not in self.exempt and not np.isnan(value) and not self.low <= value <= self.high


HEALTHY: Final = (
    Healthy("activity_energy_r", 0.5, 1.0),
    Healthy("cut_accent_lift", 1.6, 6.0),
    Healthy("hit_error_ms", 0.0, 40.0),
    Healthy("slope_db_octave", -6.0, -3.0),
    Healthy("band_outlier_db", 0.0, 10.0),
    Healthy("crest_db", 10.0, 18.0),
    Healthy("lra_lu", 3.0, 12.0),
    Healthy("stereo_correlation", 0.2, 0.9),
    Healthy("low_correlation", 0.9, 1.0),
    Healthy("bandwidth_hz", 12_000.0, 24_000.0),
    Healthy("timing_spread_ms", 3.0, 15.0),
    Healthy("velocity_spread", 0.08, 1.0),
    Healthy("key_clarity", 0.7, 1.0, LOOSE_KEY),
    Healthy("onset_periodicity", 0.3, 0.65, NO_DRUMS),
    Healthy("motif_returns", 2.0, 99.0),
    Healthy("longest_repeat_bars", 0.0, 8.0),
    Healthy("clash_share", 0.0, 0.05, ("tension",)),
    Healthy("silence_s", 0.0, 1.5),
    Healthy("clicks", 0.0, 0.0),
    Healthy("dc", 0.0, 1e-3),
    Healthy("second_half_db", -6.0, 9.0),
    Healthy("real_time_factor", 20.0, 1e9),
)


@dataclass(frozen=True, eq=False)
class Piece:
    """A finished piece and what it was made from. activity: of the picture at activity_times (s); cuts in seconds."""

    style: str
    picture: int
    audio: Audio
    notes: Sequence[Note]
    codes: npt.NDArray[np.int64]
    grid: Grid
    activity_times: Floats
    activity: Floats
    cuts: Sequence[float]


def measures(piece: Piece) -> dict[str, float]:
    """Every measure of HEALTHY but the speed of rendering, by name; nan where there is nothing to measure."""
    audio = piece.audio
    hits = tuple(HitPoint(hit.seconds, hit.strength) for hit in piece.grid.hits if hit.seconds > 0.3)
    found = measure(
        audio, activity_times=piece.activity_times, activity=piece.activity, cuts=piece.cuts, hits=hits,
    )  # fmt: skip
    score = check_score(piece.codes.astype(np.int16), piece.grid)
    levels = third_octaves(audio)
    half = audio.shape[1] // 2
    times, strength = onset_strength(audio)
    return {
        "activity_energy_r": _number(found.activity_energy_r),
        "cut_accent_lift": _number(found.cut_accent_lift),
        "hit_error_ms": _number(found.median_hit_error_ms),
        "slope_db_octave": spectrum_slope(*levels),
        "band_outlier_db": band_outlier(*levels),
        "crest_db": decibels(float(np.abs(audio).max())) - decibels(rms(audio)),
        "lra_lu": _number(found.lra),
        "stereo_correlation": _number(found.stereo_correlation),
        "low_correlation": low_correlation(audio),
        "bandwidth_hz": _number(found.bandwidth_hz),
        "timing_spread_ms": timing_spread(piece.notes, piece.grid),
        "velocity_spread": velocity_spread(piece.notes),
        "key_clarity": key_clarity(audio),
        "onset_periodicity": onset_periodicity(times, strength),
        "onsets_per_second": onsets_per_second(times, strength),
        "motif_returns": score["motif_returns"],
        "longest_repeat_bars": score["longest_repeat"],
        "clash_share": score["clash_share"],
        "silence_s": found.longest_silence_seconds,
        "clicks": float(len(found.clicks)),
        "dc": float(np.abs(audio.mean(axis=1)).max()),
        "second_half_db": decibels(rms(audio[:, half:])) - decibels(rms(audio[:, :half])),
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def decibels(amplitude: float) -> float:
    """`amplitude` in dB, at least -180."""
    return float(20.0 * np.log10(max(amplitude, 1e-9)))


def rms(audio: Audio) -> float:
    """Root mean square of all samples."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def third_octaves(audio: Audio) -> tuple[Floats, Floats]:
    """(centres [B] in Hz, power density [B] in dB) of the third-octave bands from 63 Hz to 12.5 kHz."""
    from scipy.signal import welch

    f, power = welch(audio, RATE, nperseg=16_384, axis=1)
    density = power.mean(axis=0)
    centres = 1000.0 * 2.0 ** (np.arange(-12, 12) / 3.0)
    levels = [float(density[(f >= centre * 2 ** (-1 / 6)) & (f < centre * 2 ** (1 / 6))].mean()) for centre in centres]
    return centres, 10.0 * np.log10(np.maximum(levels, 1e-15))


def spectrum_slope(centres: Floats, levels: Floats) -> float:
    """Slope of the straight line through the long-term spectrum, dB per octave."""
    return float(np.polyfit(np.log2(centres), levels, 1)[0])


def band_outlier(centres: Floats, levels: Floats) -> float:
    """Largest distance of a band from the smooth (cubic) curve through all, dB."""
    x = np.log2(centres / 1000.0)
    return float(np.abs(levels - np.polyval(np.polyfit(x, levels, 3), x)).max())


def low_correlation(audio: Audio) -> float:
    """Correlation of left and right under 120 Hz."""
    from scipy.signal import butter, sosfilt

    left, right = sosfilt(butter(4, 120.0, fs=RATE, output="sos"), audio, axis=1).astype(np.float64)
    size = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / size if size > 1e-9 else float("nan")


def timing_spread(notes: Sequence[Note], grid: Grid) -> float:
    """How loosely notes are played, ms: mean over stems of the deviation from where that stem plays its step's kind.

    A stem's swing and lateness are its habit, not looseness, so the median of each (stem, place in a beat) is taken
    off. Ornaments and strums further than 35 ms from any step are left out.
    """
    groups: dict[tuple[str, int], list[float]] = {}
    starts = np.asarray(grid.seconds, np.float64)
    for note in notes:
        step = int(np.abs(starts - note.start).argmin())
        away = note.start - float(starts[step])
        if note.stem != "hits" and abs(away) < 0.035:
            groups.setdefault((note.stem, grid.position_in_bar(step) % 4), []).append(away)
    spreads = [(len(g), float(np.std(np.asarray(g) - np.median(g)))) for g in groups.values() if len(g) >= 4]
    if not spreads:
        return float("nan")
    return 1e3 * sum(count * spread for count, spread in spreads) / sum(count for count, _ in spreads)


def velocity_spread(notes: Sequence[Note]) -> float:
    """Standard deviation of velocity over its mean, mean over stems."""
    stems: dict[str, list[float]] = {}
    for note in notes:
        stems.setdefault(note.stem, []).append(note.velocity)
    shares = [float(np.std(v) / np.mean(v)) for v in stems.values() if len(v) >= 4]
    return float(np.mean(shares)) if shares else float("nan")


def mono(audio: Audio) -> Audio:
    """[N] both sides together at FEATURE_RATE."""
    import soxr

    return np.asarray(soxr.resample(audio.mean(axis=0), RATE, FEATURE_RATE), np.float32)


def onset_strength(audio: Audio) -> tuple[Floats, Floats]:
    """(times [T] s, onset strength [T]) as the project measures it everywhere."""
    from core.evaluation import musical

    return musical.onset_strength(audio.mean(axis=0), RATE)


def key_clarity(audio: Audio) -> float:
    """Largest correlation of the piece's mean chroma with the profile of any major or minor key."""
    from core.evaluation.musical import best_key, chromagram

    return best_key(chromagram(audio.mean(axis=0), RATE).mean(axis=1))[1]


def onset_periodicity(times: Floats, strength: Floats) -> float:
    """Highest autocorrelation of onset strength at lags of 0.25 to 2 s; 1 is a metronome."""
    step = float(times[1] - times[0])
    x = strength - strength.mean()
    spectrum = np.fft.rfft(x, 2 * len(x))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(x)]
    first, last = round(0.25 / step), min(round(2.0 / step), len(x) - 1)
    overlap = len(x) / (len(x) - np.arange(len(x)))
    return float((correlation * overlap)[first:last].max() / max(float(correlation[0]), 1e-12))
