"""Effects on a channel or the whole mix, each a stream processor: chorus, tremolo, echo, side chain, bus compressor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import signal

from core.starter.synth import dsp
from core.starter.synth.dsp import Audio, Real

_HISTORY: Final = 2048


class Chorus:
    """A second, slowly moving copy on each side, above the mono lows."""

    def __init__(self) -> None:
        self._past = np.zeros((2, _HISTORY), np.float32)
        self._sos = signal.butter(2, 250.0, "highpass", fs=dsp.RATE, output="sos")
        self._state = np.zeros((1, 2, 2))

    def process(self, block: Audio, first_sample: int) -> Audio:
        """[2, N] `block` with its chorus; first_sample: where it stands in the cue, as the movement follows the cue."""
        n = block.shape[1]
        whole = np.concatenate([self._past, block], axis=1)
        t = (first_sample + np.arange(n)) / dsp.RATE
        moved = np.empty_like(block)
        for side in range(2):
            delay = (0.011 + 0.0028 * np.sin(2 * np.pi * 0.55 * t + np.pi * side)) * dsp.RATE
            place = _HISTORY + np.arange(n) - delay
            index = place.astype(np.int64)
            x = (place - index).astype(np.float32)
            moved[side] = whole[side, index] * (1 - x) + whole[side, index + 1] * x
        self._past = whole[:, -_HISTORY:]
        moved, self._state = signal.sosfilt(self._sos, moved, axis=1, zi=self._state)
        return np.asarray(0.85 * block + 0.5 * moved, np.float32)


def tremolo(block: Audio, first_sample: int, rate: float = 4.1, depth: float = 0.16) -> Audio:
    """[2, N] `block` swinging slowly between left and right, as an electric piano's amplifier does."""
    t = (first_sample + np.arange(block.shape[1])) / dsp.RATE
    swing = (depth * np.sin(2 * np.pi * rate * t)).astype(np.float32)
    return block * np.stack([1 + swing, 1 - swing])


class Echo:
    """Echoes of `seconds` that change sides and grow duller."""

    def __init__(self, seconds: float, feedback: float = 0.42) -> None:
        self._step = max(int(seconds * dsp.RATE), 64)
        self._line = np.zeros((2, self._step), np.float32)
        self._place = 0
        self._feedback = np.float32(feedback)
        self._sos = signal.butter(1, (300.0, 4500.0), "bandpass", fs=dsp.RATE, output="sos")
        self._state = np.zeros((self._sos.shape[0], 2, 2))

    def process(self, block: Audio) -> Audio:
        """[2, N] the echoes alone, of `block` and of what came before."""
        out = np.empty_like(block)
        at = 0
        while at < block.shape[1]:
            n = min(self._step - self._place, block.shape[1] - at)
            line = self._line[:, self._place : self._place + n]
            heard, self._state = signal.sosfilt(self._sos, line, axis=1, zi=self._state)
            heard = np.asarray(heard, np.float32)
            out[:, at : at + n] = heard
            line[:] = block[:, at : at + n] * np.array([[1.0], [0.0]], np.float32) * np.float32(0.5)
            line[0] += np.float32(0.5) * block[1, at : at + n]
            line += self._feedback * heard[::-1]
            self._place = (self._place + n) % self._step
            at += n
        return out


def side_chain(kicks: Sequence[float], depth_db: float, first_sample: int, samples: int) -> Audio:
    """[N] gain that falls by `depth_db` at each of `kicks` (seconds, sorted) and comes back within 0.25 s."""
    if not kicks:
        return np.ones(samples, np.float32)
    t = first_sample / dsp.RATE + dsp.curve_times(samples)
    times = np.asarray(kicks)
    last = np.searchsorted(times, t, side="right") - 1
    since = np.where(last >= 0, t - times[np.maximum(last, 0)], 9.0)
    back: Real = np.clip(since / 0.25, 0.0, 1.0)
    fade = (0.5 + 0.5 * np.cos(np.pi * back)) * np.clip(since / 0.004, 0.0, 1.0)
    return dsp.refine(10.0 ** (-depth_db * fade / 20.0), samples).astype(np.float32)


class BusCompressor:
    """Gentle levelling: gain curves of at most `most_db`, slow enough to be unheard; the same gain for every stem."""

    def __init__(self, threshold_db: float = -21.0, ratio: float = 1.6, most_db: float = 2.0) -> None:
        self._threshold = threshold_db
        self._slope = 1.0 - 1.0 / ratio
        self._most = most_db
        self._level = 0.0  # mean square, smoothed
        self._gain_db = 0.0
        self._hop = 512

    def gains(self, block: Audio) -> Audio:
        """[N] the gain for `block` [2, N]; N must be a multiple of 512."""
        hop = self._hop
        power = np.mean(block.reshape(2, -1, hop) ** 2, axis=(0, 2))
        points = [self._gain_db]
        for value in power.tolist():
            step = hop / dsp.RATE
            self._level += (value - self._level) * min(1.0, step / 0.12)
            loud = 10.0 * np.log10(self._level + 1e-12)
            wanted = -min(max(loud - self._threshold, 0.0) * self._slope, self._most)
            speed = step / (0.06 if wanted < self._gain_db else 0.45)
            self._gain_db += (wanted - self._gain_db) * speed
            points.append(self._gain_db)
        curve = np.interp(np.arange(block.shape[1]), np.arange(len(points)) * hop, points)
        return (10.0 ** (curve / 20.0)).astype(np.float32)


def round_peaks(block: Audio, knee: float = 0.15, ceiling: float = 0.40) -> Audio:
    """[N] gain that rounds what rises over `knee` towards `ceiling`, as tape does; 1 elsewhere.

    A gain rather than a curve on each signal, so that it applies to stems as to their sum.
    """
    peak = np.max(np.abs(block), axis=0)
    if float(peak.max()) <= knee:
        return np.ones(block.shape[1], np.float32)
    over = np.maximum(peak - knee, 0.0) / (ceiling - knee)
    wanted = np.where(over > 0, (knee + (ceiling - knee) * np.tanh(over)) / np.maximum(peak, 1e-6), 1.0)
    return np.asarray(wanted, np.float32)
