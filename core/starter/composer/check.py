"""Measures of a score, and a picture of it: what a composer would hear, in numbers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.starter import vocab
from core.starter.composer.tune import sounding_pitches
from core.starter.grid import Grid
from core.starter.theory import Chord, clashes
from core.starter.vocab import FIGURE_BLOCK, HOLD, LEVELS, LOUD, PITCHES, REST

Codes = npt.NDArray[np.int16]
FloatArray = npt.NDArray[np.float64]

SMOOTH_SECONDS = 0.5  # standard deviation of the smoothing, as the picture-sync measure has it
# How much of the spectrum an event wakes, by ear and by librosa's onset strength of single synthesised notes.
_DRUM_WEIGHTS = {vocab.KICK: 0.5, vocab.SNARE: 1.0, vocab.TOM: 0.6, vocab.CYMBAL: 1.2, vocab.GHOST: 0.4}
_PERC_WEIGHTS = (0, 0.45, 0.7, 0.7, 0.45, 0.65, 0.5, 0.6, 0.35, 0.5, 0.6, 0.9, 0.4, 0.5, 0.3, 0.2)
_FIGURE_WEIGHTS = (0.35, 0.35, 0.35, 0.35, 0.45, 0.45, 0.7, 0.8, 0.9, 0.8, 0.7, 0.6, 0.45)
_BASS_WEIGHT, _MELODY_WEIGHT, _COUNTER_WEIGHT = 0.3, 0.4, 0.3


def onset_salience(codes: Codes) -> FloatArray:
    """[S] how strongly an onset each step makes: a rough stand-in for the onset strength of the finished audio."""
    sums = np.zeros(codes.shape[1])
    drums = codes[vocab.DRUMS].astype(int)
    for bit, weight in _DRUM_WEIGHTS.items():
        sums += np.where(drums & bit, weight, 0.0)
    sums *= np.where(drums & LOUD, 1.5, 1.0)
    sums += np.asarray(_PERC_WEIGHTS)[codes[vocab.PERC]]
    figures = np.clip((codes[vocab.ACCOMP] - 2) // vocab.REGISTERS, 0, len(_FIGURE_WEIGHTS) - 1)
    sums += np.where(codes[vocab.ACCOMP] > REST, np.asarray(_FIGURE_WEIGHTS)[figures], 0.0)
    for stream, weight in (
        (vocab.BASS, _BASS_WEIGHT), (vocab.MELODY, _MELODY_WEIGHT), (vocab.COUNTER, _COUNTER_WEIGHT)
    ):  # fmt: skip
        sums += np.where(codes[stream] > REST, weight, 0.0)
    level = (codes[vocab.ENERGY] % LEVELS) / (LEVELS - 1)
    return np.asarray((sums * (0.5 + 0.5 * level)) ** 0.8, dtype=np.float64)


def check_score(codes: Codes, grid: Grid) -> dict[str, float]:
    """Measures of `codes` [K, S] on `grid`; NaN where there is nothing to measure.

    energy_r: correlation of onset salience with the ENERGY level, both smoothed. hit_lift: salience at hits, over the
    mean of the strongest within 80 ms of any time. step_share: melodic intervals of a step (of the scale, up to
    three semitones in five-note tunes). rest_share: of the melody's time. clash_share: strong beats on which the
    melody sounds a semitone from the chord. motif_returns: bars of tune like an earlier one, per 30 s.
    longest_repeat: bars that follow each other and came before in the same order. onsets_per_second. melody_range:
    semitones. chords: how many different ones.
    """
    final = min(grid.final_step, grid.steps - 1)
    chords = _sounding_chords(codes[vocab.HARMONY])
    tune = sounding_pitches(codes[vocab.MELODY].tolist(), 2, PITCHES)
    onsets = np.flatnonzero(codes[vocab.MELODY] > REST)
    notes = np.array([tune[step] for step in onsets], dtype=int)
    intervals = np.abs(np.diff(notes))
    intervals = intervals[intervals > 0]
    widest_step = 3 if len({pitch % 12 for pitch in notes.tolist()}) <= 5 else 2
    body = tune[int(onsets[0]) : final] if len(onsets) else []
    beat = 6 if grid.steps_per_bar == 12 else 8
    strong = [s for s in range(final + 1) if grid.position_in_bar(s) % beat == 0 and tune[s] >= 0]
    clashing = [s for s in strong if (chord := chords[s]) is not None and clashes(tune[s], chord)]
    played = (codes[vocab.BASS :] > REST).any(axis=0) | (codes[vocab.DRUMS] > 0) | (codes[vocab.PERC] > 0)
    return {
        "energy_r": _energy_r(codes, grid, final),
        "hit_lift": _hit_lift(codes, grid, final),
        "step_share": float((intervals <= widest_step).mean()) if len(intervals) else np.nan,
        "rest_share": float(np.mean([pitch < 0 for pitch in body])) if body else np.nan,
        "clash_share": len(clashing) / len(strong) if strong else np.nan,
        "motif_returns": _motif_returns(codes, grid, final) * 30.0 / max(float(grid.seconds[final]), 1.0),
        "longest_repeat": float(_longest_repeat(codes, grid)),
        "onsets_per_second": float(played.sum() / max(float(grid.seconds[-1]), 1e-6)),
        "melody_range": float(np.ptp(notes)) if len(notes) else np.nan,
        "chords": float(len({chord for chord in chords if chord is not None})),
    }


def _sounding_chords(harmony: npt.NDArray[np.int16]) -> list[Chord | None]:
    out: list[Chord | None] = []
    for code in harmony.tolist():
        out.append((out[-1] if out else None) if code == HOLD else vocab.chord_of(code))
    return out


def _smoothed(values: FloatArray, grid: Grid, rate: float = 32.0) -> FloatArray:
    """Events at the steps' times, summed on a clock of `rate` a second and smoothed by a Gaussian."""
    clock = np.zeros(int(grid.seconds[-1] * rate) + 1)
    np.add.at(clock, (grid.seconds[:-1] * rate).astype(int), values)
    reach = np.arange(-int(4 * SMOOTH_SECONDS * rate), int(4 * SMOOTH_SECONDS * rate) + 1)
    kernel = np.exp(-0.5 * (reach / (SMOOTH_SECONDS * rate)) ** 2)
    weight = np.convolve(np.ones(len(clock)), kernel, "full")[len(reach) // 2 :][: len(clock)]
    return np.asarray(np.convolve(clock, kernel, "full")[len(reach) // 2 :][: len(clock)] / weight)


def _energy_r(codes: Codes, grid: Grid, final: int) -> float:
    level = (codes[vocab.ENERGY] % LEVELS).astype(np.float64)
    stop = int(grid.seconds[final] * 32.0)
    a, b = _smoothed(onset_salience(codes), grid)[:stop], _smoothed(level, grid)[:stop]
    if stop < 64 or a.std() < 1e-9 or b.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _hit_lift(codes: Codes, grid: Grid, final: int) -> float:
    hits = [hit.step for hit in grid.hits if 0 < hit.step <= final]
    if not hits:
        return float("nan")
    salience, times = onset_salience(codes), grid.seconds[:-1]
    anywhere = np.linspace(0.5, max(float(grid.seconds[final]), 0.6), 200)
    near = np.abs(times[None, :] - anywhere[:, None]) <= 0.08
    usual = np.where(near, salience[None, :], 0.0).max(axis=1).mean()
    return float(salience[hits].mean() / max(usual, 1e-6))


def _motif_returns(codes: Codes, grid: Grid, final: int) -> int:
    """Bars of melody that share at least half of their notes' places, and their contour, with an earlier bar."""
    bars: list[dict[int, int]] = []
    for start in grid.bar_starts():
        stop = min(start + grid.steps_per_bar, final)
        cell = {s - start: (int(codes[vocab.MELODY, s]) - 2) % PITCHES for s in range(start, stop)
                if codes[vocab.MELODY, s] > REST}  # fmt: skip
        if len(cell) >= 3:
            bars.append(cell)
    return sum(any(_alike(earlier, bar) for earlier in bars[:index]) for index, bar in enumerate(bars))


def _alike(one: dict[int, int], other: dict[int, int]) -> bool:
    common = sorted(one.keys() & other.keys())
    if len(common) < 3 or 2 * len(common) < min(len(one), len(other)):
        return False
    ways = [(np.sign(one[b] - one[a]), np.sign(other[b] - other[a])) for a, b in pairwise(common)]
    same = sum(a == b for a, b in ways)
    mirrored = sum(a == -b for a, b in ways)
    return bool(max(same, mirrored) >= 0.6 * len(ways))


def _longest_repeat(codes: Codes, grid: Grid) -> int:
    """Bars of the longest stretch that is the same, in every stream but ENERGY and FORM, as an earlier one."""
    streams = [k for k in range(vocab.K) if k not in (vocab.ENERGY, vocab.FORM)]
    bars = [codes[streams, s : s + grid.steps_per_bar].tobytes() for s in grid.bar_starts() if s < grid.final_step]
    best = 0
    lengths = [0] * (len(bars) + 1)
    for i in range(1, len(bars)):
        row = [0] * (len(bars) + 1)
        for j in range(i):
            row[j + 1] = lengths[j] + 1 if bars[i] == bars[j] else 0
            best = max(best, min(row[j + 1], i - j))
        lengths = row
    return best


def draw_score(codes: Codes, grid: Grid, path: Path, title: str = "") -> None:
    """Write a piano roll of `codes` to the picture file `path`: voices by colour, drums below, energy and hits."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    steps = np.arange(grid.steps)
    figure, (roll, kit, curve) = plt.subplots(3, 1, figsize=(18, 10), sharex=True, height_ratios=(5, 2.4, 1.6))
    for stream, first, modulus, lift, colour in (
        (vocab.BASS, 14, 0, 0, "tab:brown"), (vocab.COUNTER, 2, PITCHES, 24, "tab:green"),
        (vocab.MELODY, 2, PITCHES, 36, "tab:red"),
    ):  # fmt: skip
        _draw_voice(roll, codes[stream].tolist(), first, modulus, lift, colour)
    for step in steps[codes[vocab.ACCOMP] > REST]:
        figure_, register = divmod(int(codes[vocab.ACCOMP, step]) - 2, vocab.REGISTERS)
        height = 22 + 6 * register + (figure_ if figure_ < 4 else 2)
        roll.plot(step, height, marker="o" if figure_ < FIGURE_BLOCK else "s", ms=3 + (figure_ >= FIGURE_BLOCK) * 3,
                  color="tab:blue")  # fmt: skip
    for step in steps[codes[vocab.HARMONY] > HOLD]:
        root, quality = divmod(int(codes[vocab.HARMONY, step]) - 1, len(vocab.QUALITIES))
        roll.text(step, 74, f"{root}{vocab.QUALITIES[quality][0]}", fontsize=6, rotation=60)
    for start in grid.bar_starts():
        roll.axvline(start - 0.5, color="0.85", lw=0.7, zorder=0)
        code = int(codes[vocab.FORM, start])
        if code:
            kit.text(start, 6.2, f"{vocab.SECTIONS[(code - 1) // 4][:5]}{(code - 1) % 4}", fontsize=6)
    for row, bit in enumerate(_DRUM_WEIGHTS):
        on = (codes[vocab.DRUMS] & bit) > 0
        kit.scatter(steps[on], np.full(on.sum(), row), s=8 + 22 * ((codes[vocab.DRUMS][on] & LOUD) > 0), color="k")
    on = codes[vocab.PERC] > 0
    kit.scatter(steps[on], np.full(on.sum(), 5), c=codes[vocab.PERC][on], cmap="tab20", s=10, vmin=0, vmax=15)
    kit.set_yticks(range(6), ["kick", "snare", "tom", "cymbal", "ghost", "perc"], fontsize=6)
    curve.step(steps, codes[vocab.ENERGY] % LEVELS, where="post")
    curve.plot(steps, 5 * onset_salience(codes), color="tab:orange", lw=0.6)
    for hit in grid.hits:
        curve.axvline(hit.step, color="r", lw=0.5 + hit.strength)
    roll.set(title=title, ylim=(-8, 80))
    figure.tight_layout()
    figure.savefig(path, dpi=70)
    plt.close(figure)


def _draw_voice(axes: Any, row: list[int], first: int, modulus: int, lift: int, colour: str) -> None:
    start, pitch = -1, 0
    for step, code in enumerate([*row, REST]):
        if code == HOLD:
            continue
        if start >= 0:
            axes.plot([start, step - 0.15], [pitch + lift] * 2, color=colour, lw=3)
        start, pitch = (step, (code - first) % modulus if modulus else code - first) if code > REST else (-1, 0)
