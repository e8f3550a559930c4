"""The pitch contour of music: what a listener would hum along. For pictures, not for transcription.

Most music is several notes at once, for which pYIN and other trackers of one voice find little. So, after Salamon and
Gómez (IEEE Transactions on Audio, Speech and Language Processing 20(6), 2012), in small:

    constant-Q spectrum ─▶ harmonic part,  ─▶ salience: the note itself, ─▶ the path of most ─▶ where it stands
    3 bins a semitone      as the ear          and the sum of its          salience           out: a contour
                           weighs it (A)       harmonics 1..5              (Viterbi)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

PITCH_RATE: Final = 22_050  # Hz, of the sound analysed
HOP: Final = 512  # samples: 23 ms
LOWEST_HZ: Final = 130.8  # C3; below is bass, which the ear takes for the tune only when it is alone
OCTAVES: Final = 4
BINS_PER_SEMITONE: Final = 3
HARMONICS: Final = (1, 2, 3, 4, 5)
WEIGHTS: Final = (1.0, 0.8, 0.64, 0.51, 0.41)  # 0.8 per harmonic
STANDS_OUT: Final = 0.2  # of the greatest salience; fainter isn't heard as a tune
LEAP_COST: Final = 0.03  # of the greatest salience per semitone: a tune moves in small steps
_MOST_LEAP: Final = 12.0  # semitones beyond which leaps cost no more

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contour:
    """times [T] in seconds, midi [T]: pitch as MIDI number (69 is 440 Hz), NaN where nothing stands out."""

    times: Float64
    midi: Float64


def pitch_contour(sound: Float32, rate: int) -> Contour:
    """The pitch contour of `sound` [N], mono."""
    import librosa

    mono = librosa.resample(sound, orig_sr=rate, target_sr=PITCH_RATE, res_type="soxr_hq")
    per_octave = 12 * BINS_PER_SEMITONE
    if len(mono) < HOP * 8 or float(np.abs(mono).max()) < 1e-5:
        return Contour(np.zeros(0), np.zeros(0))
    bins = per_octave * (OCTAVES + 2)  # the harmonics of the highest notes too
    spectrum = np.abs(
        librosa.cqt(mono, sr=PITCH_RATE, hop_length=HOP, fmin=LOWEST_HZ, n_bins=bins, bins_per_octave=per_octave)
    )
    frequencies = librosa.cqt_frequencies(bins, fmin=LOWEST_HZ, bins_per_octave=per_octave)
    weighed = librosa.decompose.hpss(spectrum)[0] * librosa.db_to_amplitude(librosa.A_weighting(frequencies))[:, None]
    salience = _salience(np.sqrt(weighed), per_octave)
    path = _smoothest(salience)
    strength = salience[path, np.arange(salience.shape[1])]
    midi = librosa.hz_to_midi(LOWEST_HZ) + path / BINS_PER_SEMITONE
    heard = strength >= STANDS_OUT * float(np.quantile(strength, 0.98))
    times = librosa.frames_to_time(np.arange(len(path)), sr=PITCH_RATE, hop_length=HOP)
    return Contour(times, np.where(heard, midi, np.nan))


def _salience(spectrum: npt.NDArray[np.floating], per_octave: int) -> Float64:
    """Salience [pitches, T] of each pitch of OCTAVES octaves, from a spectrum [bins, T]: its harmonics, weighted."""
    pitches = OCTAVES * per_octave
    salience = np.zeros((pitches, spectrum.shape[1]))
    for harmonic, weight in zip(HARMONICS, WEIGHTS, strict=True):
        shift = round(per_octave * np.log2(harmonic))
        part = spectrum[shift : shift + pitches]
        salience[: len(part)] += weight * part
    # The root of both: an octave below a note there are harmonics too, but no note; and chords sum up to roots.
    return np.sqrt(spectrum[:pitches] * salience)


def _smoothest(salience: Float64) -> npt.NDArray[np.intp]:
    """The path [T] through `salience` with the highest sum, less what its leaps cost (Viterbi)."""
    count, length = salience.shape
    distance = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) / BINS_PER_SEMITONE
    cost = LEAP_COST * float(salience.max()) * np.minimum(distance, _MOST_LEAP)
    best = salience[:, 0].copy()
    came_from = np.zeros((length, count), np.intp)
    for at in range(1, length):
        reached = best[:, None] - cost
        came_from[at] = reached.argmax(axis=0)
        best = reached[came_from[at], np.arange(count)] + salience[:, at]
    path = np.zeros(length, np.intp)
    path[-1] = int(best.argmax())
    for at in range(length - 1, 0, -1):
        path[at - 1] = came_from[at, path[at]]
    return path
