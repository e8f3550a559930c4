"""Are the styles told apart, is no piece another's twin, and does it sound more like music than plain sawtooths do?

Standard audio features (MFCC, chroma, onsets), a linear classifier cross-validated by picture, and the Fréchet
distance between sets of pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from bench_music_measures import FEATURE_RATE, RATE, Audio, Floats, mono, onset_periodicity

from core.starter import vocab
from core.starter.grid import Grid
from core.starter.notes import Note, Performance
from core.starter.palettes import INSTRUMENTS

SEGMENT_SECONDS: Final = 10.0
_HOP: Final = 512


def frame_features(audio: Audio) -> tuple[Floats, Floats, Floats]:
    """(MFCC [20, T], chroma [12, T], onset strength [T]) of a piece, 43 frames a second."""
    import librosa

    y = mono(audio)
    power = np.abs(librosa.stft(y, n_fft=2048, hop_length=_HOP)) ** 2
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=FEATURE_RATE))
    chroma = librosa.feature.chroma_stft(S=power, sr=FEATURE_RATE, tuning=0.0)
    return librosa.feature.mfcc(S=mel, n_mfcc=20), chroma, librosa.onset.onset_strength(S=mel, sr=FEATURE_RATE)


def style_features(audio: Audio) -> list[Floats]:
    """One vector for each stretch of about SEGMENT_SECONDS: how MFCC, chroma and onsets are spread."""
    mfcc, chroma, onsets = frame_features(audio)
    count = max(1, round(audio.shape[1] / RATE / SEGMENT_SECONDS))
    out = []
    for part in np.array_split(np.arange(mfcc.shape[1]), count):
        strength = np.asarray(onsets[part], np.float64)
        tones = np.sort(chroma[:, part].mean(axis=1))  # sorted: which key it is in says nothing of its style
        times = np.arange(len(part), dtype=np.float64) * (_HOP / FEATURE_RATE)
        beats = [onset_periodicity(times, strength.astype(np.float64)), float(strength.mean()), float(strength.std())]
        spreads = [mfcc[:, part].mean(axis=1), mfcc[:, part].std(axis=1), np.abs(np.diff(mfcc[:, part])).mean(axis=1)]
        out.append(np.concatenate([*spreads, tones, chroma[:, part].std(axis=1).mean(keepdims=True), beats]))
    return out


def style_accuracy(vectors: Sequence[Floats], styles: Sequence[str], pictures: Sequence[int]) -> float:
    """Share of pieces whose style a logistic regression tells that has never heard music for their picture.

    One vector for each stretch of a piece; the stretches of a piece (one a style and picture) decide together.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(len(set(pictures)), 8)
    if folds < 2 or len(set(styles)) < 2:
        return float("nan")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=2000))
    told = cross_val_predict(
        model, np.array(vectors), np.array(styles), groups=pictures, cv=GroupKFold(folds), method="predict_log_proba"
    )
    names, pieces = np.array(sorted(set(styles))), list(zip(styles, pictures, strict=True))
    votes = {piece: np.sum([told[i] for i, other in enumerate(pieces) if other == piece], axis=0) for piece in pieces}
    return float(np.mean([names[vote.argmax()] == style for (style, _), vote in votes.items()]))


def window_features(audio: Audio) -> Floats:
    """[W, 32] for each second: mean MFCC (without the first, loudness) and chroma."""
    mfcc, chroma, _ = frame_features(audio)
    per_second = round(FEATURE_RATE / _HOP)
    windows = mfcc.shape[1] // per_second
    both = np.concatenate([mfcc[1:], 10.0 * chroma])[:, : windows * per_second]
    return np.asarray(both.reshape(len(both), windows, per_second).mean(axis=2).T, np.float64)


def frechet(a: Floats, b: Floats) -> float:
    """Fréchet distance of the normal distributions of two sets of vectors [W, D]."""
    from scipy.linalg import sqrtm

    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    cross = sqrtm(cov_a @ cov_b)
    spread = float(np.trace(cov_a + cov_b - 2.0 * np.real(cross)))
    return float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)) + spread


def reference_windows(folder: Path) -> tuple[Floats, list[dict[str, float]]]:
    """Windows of every piece in `folder` that PyAV can read, and for each its slope, onset density and range."""
    import av
    from bench_music_measures import onset_strength, onsets_per_second, spectrum_slope, third_octaves

    from gvm_plugin.loudness import measure_loudness

    windows, rows = [], []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in (".m4a", ".mp3", ".wav", ".flac", ".ogg", ".mp4"):
            continue
        with av.open(str(path)) as media:
            change = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
            audio = np.concatenate([p.to_ndarray() for f in media.decode(audio=0) for p in change.resample(f)], axis=1)
        windows.append(window_features(audio))
        rows.append({
            "slope_db_octave": spectrum_slope(*third_octaves(audio)),
            "onsets_per_second": onsets_per_second(*onset_strength(audio)),
            "lra_lu": measure_loudness([audio]).range_lu or 0.0,
        })  # fmt: skip
    if not windows:
        raise ValueError(f"no music in {folder}: give a folder of .m4a, .mp3, .wav, .flac or .ogg files")
    return np.concatenate(windows), rows


def sawtooth(performance: Performance, samples: int) -> Audio:
    """[2, samples] the same notes as plain sawtooths (and bursts of noise for percussion), no room, no mix."""
    out = np.zeros(samples, np.float32)
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    for note in performance.notes:
        start = max(round(note.start * RATE), 0)
        wave = _plain(note, noise)
        n = min(len(wave), samples - start)
        if n > 0:
            out[start : start + n] += wave[:n]
    peak = float(np.abs(out).max()) or 1.0
    return np.tile(0.5 * out / peak, (2, 1)).astype(np.float32)


def _plain(note: Note, noise: Audio) -> Audio:
    n = max(round(min(note.duration, 0.9 if note.stem == "drums" else 9.0) * RATE), 480)
    t = np.arange(n, dtype=np.float32) / RATE
    if note.instrument.startswith("kit_") or note.instrument == "fx":
        return np.asarray(0.5 * note.velocity * np.resize(noise, n) * np.exp(-t / 0.05), np.float32)
    phase = t * np.float32(440.0 * 2.0 ** ((note.pitch - 69) / 12.0))
    falls = 4.0 if INSTRUMENTS[note.instrument].sustained else 0.4 * INSTRUMENTS[note.instrument].ring_seconds
    ends = np.clip(np.minimum(t, t[-1] - t) / 0.005, 0.0, 1.0)
    return np.asarray(0.3 * note.velocity * (2.0 * (phase % 1.0) - 1.0) * np.exp(-t / falls) * ends, np.float32)


def bars_of(codes: npt.NDArray[np.int64], grid: Grid) -> frozenset[bytes]:
    """The bars of a score that say anything, as they stand (all streams but ENERGY): what "the same bar" compares."""
    starts = [s for s in grid.bar_starts() if s < grid.final_step]
    parts = [codes[vocab.HARMONY :, a:b] for a, b in zip(starts, [*starts[1:], grid.final_step], strict=True)]
    return frozenset(part.astype(np.int16).tobytes() for part in parts if part.any() and part.shape[1] > 1)


def most_shared(scores: Sequence[frozenset[bytes]]) -> float:
    """Largest share of a piece's different bars that another piece has too."""
    shares = [len(a & b) / max(min(len(a), len(b)), 1) for a, b in combinations(scores, 2)]
    return max(shares, default=0.0)
