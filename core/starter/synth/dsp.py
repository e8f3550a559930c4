"""Signal blocks the instrument models are built of: modes, shaped noise, envelopes, loudness. Knows no instrument.

Letters: P modes, N samples, C channels (1 mono, 2 left and right).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

RATE: Final = 48_000
TOP_HZ: Final = 20_000.0
MONO_BELOW_HZ: Final = 120.0
CURVE_STEP: Final = 16  # samples between the computed points of envelopes and pitch curves
T60_NEPERS: Final = 6.9078  # ln 1000: what an amplitude loses in one T60

Audio = NDArray[np.float32]
Real = NDArray[np.float64]
Response = Callable[[Real], Real]


def generator(*key: object) -> np.random.Generator:
    """Random numbers that depend on `key` alone, so that a sample or note sounds the same in every run."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def hertz(pitch: float) -> float:
    """Frequency of MIDI note `pitch` in equal temperament, A4 = 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def gain(decibels: float) -> float:
    """Amplitude factor of `decibels`."""
    return float(10.0 ** (decibels / 20.0))


def times(samples: int) -> Real:
    """[N] seconds of each of `samples` samples."""
    return np.arange(samples) / RATE


def curve_times(samples: int, step: int = CURVE_STEP) -> Real:
    """[P] seconds of the points of a curve over `samples` samples, every `step` samples and past the end."""
    return np.arange(0, samples + step, step) / RATE


def refine(points: Real, samples: int, step: int = CURVE_STEP) -> Real:
    """[samples] the curve through `points`, which are `step` samples apart; straight between them."""
    ramp = np.arange(step) / step
    return np.asarray(points[:-1, None] + np.diff(points)[:, None] * ramp).reshape(-1)[:samples]


def low_pass(f: Real, cutoff: float, order: float = 2.0) -> Real:
    """Amplitude of a Butterworth-like low pass at frequencies `f`; 6 dB per octave and order."""
    return np.asarray(1.0 / np.sqrt(1.0 + (f / cutoff) ** (2.0 * order)))


def high_pass(f: Real, cutoff: float, order: float = 2.0) -> Real:
    """Amplitude of a Butterworth-like high pass at frequencies `f` (0 Hz allowed)."""
    return np.asarray(1.0 / np.sqrt(1.0 + (cutoff / np.maximum(f, 1e-3)) ** (2.0 * order)))


def band(low: float, high: float, order: float = 2.0) -> Response:
    """Response of a band pass from `low` to `high` Hz."""
    return lambda f: high_pass(f, low, order) * low_pass(f, high, order)


def peaks(f: Real, resonances: tuple[tuple[float, float, float], ...]) -> Real:
    """Amplitude of 1 plus bell-shaped resonances (centre Hz, width Hz, decibels) at frequencies `f`."""
    level = np.zeros_like(f)
    for centre, width, decibels in resonances:
        level += decibels / (1.0 + ((f - centre) / (0.5 * width)) ** 2)
    return np.asarray(10.0 ** (level / 20.0))


def k_weight(f: Real) -> Real:
    """Amplitude of ITU-R BS.1770's K-weighting at frequencies `f`, to about 0.5 dB."""
    shelf = 1.0 + 0.585 * (f / 1650.0) ** 2.5 / (1.0 + (f / 1650.0) ** 2.5)
    return np.asarray(high_pass(f, 38.0, 2.0) * shelf)


def loudness(audio: Audio, seconds: float = 0.4) -> float:
    """K-weighted RMS (amplitude, not dB) of the first `seconds` of `audio` [C, N], mean over the channels."""
    n = int(seconds * RATE)
    head = audio[:, :n]
    size = fft.next_fast_len(n, real=True)
    spectrum = np.abs(fft.rfft(head, size, axis=1)) * _k_curve(size)
    return float(np.sqrt(2.0 * np.mean(np.sum(spectrum**2, axis=1)) / size / n))


@lru_cache(maxsize=8)
def _k_curve(size: int) -> Audio:
    return k_weight(fft.rfftfreq(size, 1.0 / RATE)).astype(np.float32)


def modes(freqs: Real, t60: Real, left: NDArray[np.complex128], right: NDArray[np.complex128], seconds: float) -> Audio:
    """[2, N] sum of exponentially decaying sinusoids: Re(amplitude * exp(2 pi i f t)), starting at time 0.

    freqs [P] Hz; t60 [P] seconds to -60 dB; left, right [P] complex amplitudes. Modes over TOP_HZ are left out.
    A block of K samples further on, every mode is only multiplied by one number, so the whole sum is a matrix
    product of [blocks, P] and [P, K]; modes that die early are summed over a shorter time.
    """
    n = int(seconds * RATE)
    out = np.zeros((2, n), np.float32)
    keep = (freqs < TOP_HZ) & (freqs > 8.0)
    freqs, t60, left, right = freqs[keep], t60[keep], left[keep], right[keep]
    lasts = np.minimum(t60 * 1.2 * RATE, n)
    upper = float(n)
    while lasts.size and upper > 256:
        lower = upper / 2 if upper > 2048 else 0.0
        pick = (lasts > lower) & (lasts <= upper)
        if pick.any():
            part = _modes(freqs[pick], t60[pick], left[pick], right[pick], int(upper))
            out[:, : part.shape[1]] += part
        upper = lower
    return out


def _modes(freqs: Real, t60: Real, left: NDArray[np.complex128], right: NDArray[np.complex128], n: int) -> Audio:
    step = max(64, 1 << (int(np.sqrt(n)).bit_length() - 1))
    blocks = -(-n // step)
    exponent = (2j * np.pi * freqs - T60_NEPERS / t60) / RATE
    coarse = np.exp(np.outer(np.arange(blocks) * step, exponent))
    fine = np.exp(np.outer(exponent, np.arange(step)))
    rows = np.concatenate([coarse * left, coarse * right])
    real_rows = np.concatenate([rows.real, -rows.imag], axis=1).astype(np.float32)
    real_fine = np.concatenate([fine.real, fine.imag]).astype(np.float32)
    return (real_rows @ real_fine).reshape(2, blocks * step)[:, :n]


def stereo_amplitudes(
    amplitudes: Real, freqs: Real, width: float, random: np.random.Generator, phase: Real | float = -np.pi / 2
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """(left, right) complex amplitudes as two microphones hear them: `width` 0 same, 1 several dB and a radian apart.

    Below MONO_BELOW_HZ both are equal. phase [P] or one for all: -pi/2 starts every mode as a sine, 0 as a cosine.
    """
    spread = width * high_pass(freqs, 1.6 * MONO_BELOW_HZ, 3.0) * (freqs > MONO_BELOW_HZ)
    tilt = 0.35 * spread * random.standard_normal(freqs.size)
    turn = 0.9 * spread * random.standard_normal(freqs.size)
    base = np.asarray(amplitudes * np.exp(1j * np.asarray(phase)), np.complex128)
    apart = np.asarray(np.exp(tilt + 0.5j * turn), np.complex128)
    return np.asarray(base * apart, np.complex128), np.asarray(base / apart, np.complex128)


def noise(
    random: np.random.Generator, samples: int, response: Response, channels: int = 1, width: float = 1.0
) -> Audio:
    """[C, N] Gaussian noise with amplitude spectrum `response`, RMS 1; width 1 = independent channels, 0 = equal."""
    size = fft.next_fast_len(max(samples, 64), real=True)
    f = fft.rfftfreq(size, 1.0 / RATE)
    shape = response(f).astype(np.float32)
    shape[0] = 0.0
    spectra = random.standard_normal((channels, 2, f.size), dtype=np.float32)
    if channels == 2 and width < 1.0:
        spectra[1] = (1.0 - width) * spectra[0] + np.sqrt(1.0 - (1.0 - width) ** 2) * spectra[1]
    rms = np.sqrt(4.0 * float(np.sum(shape.astype(np.float64) ** 2))) / size
    wave = fft.irfft((spectra[:, 0] + 1j * spectra[:, 1]) * shape, size, axis=1)[:, :samples]
    return np.asarray(wave / max(rms, 1e-12), np.float32)


def decay(samples: int, t60: float) -> Audio:
    """[N] exponential from 1, losing 60 dB in `t60` seconds."""
    return np.exp(-T60_NEPERS / t60 * times(samples)).astype(np.float32)


def rise(samples: int, seconds: float) -> Audio:
    """[N] raised cosine from 0 to 1 in `seconds`, then 1."""
    n = min(max(int(seconds * RATE), 1), samples)
    out = np.ones(samples, np.float32)
    out[:n] = 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)
    return out


def fade_end(audio: Audio, seconds: float) -> Audio:
    """`audio` [C, N], changed in place: its last `seconds` fall to 0 as a raised cosine."""
    n = min(int(seconds * RATE), audio.shape[1])
    if n:
        audio[:, -n:] *= (0.5 + 0.5 * np.cos(np.pi * (np.arange(n) + 1) / n)).astype(np.float32)
    return audio


def burst(
    random: np.random.Generator, seconds: float, t60: float, response: Response, channels: int = 2, width: float = 0.5
) -> Audio:
    """[C, N] decaying noise burst with spectrum `response`; starts at about RMS 1 within half a millisecond."""
    n = int(seconds * RATE)
    return noise(random, n, response, channels, width) * decay(n, t60) * rise(n, 0.0005)


def add(target: Audio, source: Audio, amount: float = 1.0, at: int = 0) -> None:
    """Add `amount` * `source` [C, M] to `target` [C', N] in place from sample `at`; what does not fit is left out."""
    n = min(source.shape[1], target.shape[1] - at)
    if n > 0:
        target[:, at : at + n] += np.float32(amount) * source[:, :n]


def saturate(audio: Audio, drive: float) -> Audio:
    """`audio` through tanh with small-signal gain `drive`, rescaled so that full scale stays full scale.

    Twice oversampled, as the harmonics it makes would fold back otherwise.
    """
    n = audio.shape[1]
    size = fft.next_fast_len(n, real=True)
    up = fft.irfft(fft.rfft(audio, size, axis=1), 2 * size, axis=1) * np.float32(2.0 * drive)
    bent = np.tanh(up, out=up) / np.float32(np.tanh(drive))
    spectrum = fft.rfft(bent, axis=1)[:, : size // 2 + 1]
    return np.asarray(fft.irfft(spectrum, size, axis=1)[:, :n] / 2.0, np.float32)


def warp(audio: Audio, positions: Real) -> Audio:
    """[C, M] `audio` [C, N] read at fractional sample `positions` [M]; silence outside. 4-point cubic (Catmull-Rom)."""
    padded = np.pad(audio, ((0, 0), (2, 3)))
    place = np.clip(positions + 2.0, 1.0, padded.shape[1] - 3.0)
    index = place.astype(np.int64)
    x = (place - index).astype(np.float32)
    a, b, c, d = (padded[:, index + k] for k in (-1, 0, 1, 2))
    half = np.float32(0.5)
    return np.asarray(b + half * x * (c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a))), np.float32)


def bend(audio: Audio, semitones: Real) -> Audio:
    """`audio` [C, N] with the pitch curve `semitones` [M] at its start (M <= N); from sample M on only moved in time.

    The curve is stretched a trifle so that the move is a whole number of samples.
    """
    m = min(semitones.size, audio.shape[1])
    rate = 2.0 ** (semitones[:m] / 12.0)
    moved = float(np.sum(rate - 1.0))
    whole = round(moved)
    rate = 1.0 + (rate - 1.0) * (whole / moved) if whole and abs(moved) > 0.5 else np.ones(m)
    head = warp(audio, np.cumsum(rate) - rate[0])
    tail = audio[:, m + whole :]
    out = np.zeros_like(audio)
    out[:, :m] = head
    n = min(tail.shape[1], audio.shape[1] - m)
    out[:, m : m + n] = tail[:, :n]
    return out
