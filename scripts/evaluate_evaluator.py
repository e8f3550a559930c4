#!/usr/bin/env python3
"""How good the evaluator is: `scripts/evaluate_evaluator.py --corpus build/sound --clips FOLDER --music PATTERN ...`.

--corpus gives retrieval and time-shift figures on the held-out films of the sound corpus (its shards 0 to 7), --unseen
on all films of a corpus that nothing has learned from (scripts/make_sound_corpus.py --first). --clips and --music take
real footage: every film's picture against every film's music, CMR and TA; PATTERN says where a film's music lies,
relative to the folder ('{stem}.music.wav'), and may be given more than once. For each: rank of the own music among all
(rank 1 share, mean rank; bootstrap over films, 95 %), and what chance gives. --weights: another evaluator than the one
that ships. --baseline adds the plain correlation of the picture's activity with the music's onset strength.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from core.evaluation.fit import FitModel
from core.frames import decode_frames
from core.vision.picture import PictureFeatures

RATE = 16_000
DRAWS = 10_000


def see(path: Path, fit: FitModel) -> PictureFeatures:
    """Picture features of a film, by the evaluator's own encoder."""
    encoder = fit.open_encoder()
    for seconds, frame in decode_frames(path, encoder.width, encoder.height, encoder.fps):
        encoder.push(seconds, frame)
    return encoder.finish()


def hear(path: Path) -> npt.NDArray[np.float32]:
    """The first sound track of a file, mono at RATE."""
    parts = []
    with av.open(str(path)) as media:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        for frame in media.decode(audio=0):
            parts += [part.to_ndarray().ravel() for part in resampler.resample(frame)]
    return np.concatenate(parts)


def ranks(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rank [V] of each film's own music (the diagonal) among all, 1 the best; ties in the middle."""
    own = matrix.diagonal()[:, None]
    return np.asarray((matrix > own).sum(axis=1) + ((matrix == own).sum(axis=1) + 1) / 2)


def with_interval(values: npt.NDArray[np.float64]) -> list[float]:
    """Mean, and where 95 % of the means of films drawn again lie."""
    drawn = np.random.default_rng(0).choice(values, (DRAWS, len(values))).mean(axis=1)
    return [round(float(x), 3) for x in (values.mean(), *np.quantile(drawn, [0.025, 0.975]))]


def ranked(matrix: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Figures of one matrix [film, music]."""
    found = ranks(matrix)
    off = matrix[~np.eye(len(matrix), dtype=bool)]
    return {
        "rank1": with_interval((found <= 1).astype(np.float64)),
        "mean_rank": with_interval(found),
        "own": round(float(matrix.diagonal().mean()), 4),
        "others": round(float(off.mean()), 4),
    }


def correlation(
    pictures: list[PictureFeatures], sounds: list[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Pearson correlation [V, M] of activity and onset strength, both smoothed over half a second."""
    import librosa
    from scipy.ndimage import gaussian_filter1d

    end = min([p.times[-1] for p in pictures] + [len(s) / RATE for s in sounds]) - 0.5
    grid = np.linspace(0.5, end, 128)

    def curve(times: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        smooth = np.interp(grid, times, gaussian_filter1d(values, 0.5 / float(np.median(np.diff(times)))))
        return (smooth - smooth.mean()) / (smooth.std() + 1e-9)

    seen = [curve(p.times, p.values[:, -1, 6].astype(np.float64)) for p in pictures]
    heard = []
    for sound in sounds:
        strength = librosa.onset.onset_strength(y=sound, sr=RATE, hop_length=160).astype(np.float64)
        heard.append(curve(np.arange(len(strength)) * 160 / RATE, strength))
    return np.asarray([[float((a * b).mean()) for b in heard] for a in seen])


def out_of_step(
    fit: FitModel, pictures: list[PictureFeatures], sounds: list[npt.NDArray[np.float32]]
) -> dict[str, Any]:  # fmt: skip
    """AUC of the own music against itself turned round by 4 s or more (four times each film), over the whole film."""
    from core.training.evaluator_check import auc

    rng = np.random.default_rng(0)
    scores: dict[str, tuple[list[float], list[float]]] = {"ta": ([], []), "cmr": ([], [])}
    for picture, sound in zip(pictures, sounds, strict=True):
        seconds = len(sound) / RATE
        for index, shift in enumerate([0.0, *rng.uniform(4, seconds - 4, 4)]):
            found = fit.score(picture, np.roll(sound, round(shift * RATE)), RATE)
            for name, value in (("ta", found.ta), ("cmr", found.cmr)):
                scores[name][min(index, 1)].append(value)
    return {f"auc_{name}": round(auc(np.asarray(own), np.asarray(away)), 3) for name, (own, away) in scores.items()}


def on_footage(fit: FitModel, clips: Path, patterns: list[str], baseline: bool) -> dict[str, Any]:
    """Ranks on real films, for each pattern of where their music lies."""
    films = sorted(p for p in clips.iterdir() if p.suffix.lower() in {".mp4", ".mov", ".mkv", ".webm"})
    pictures = [see(path, fit) for path in films]
    found: dict[str, Any] = {"films": len(films), "chance": [round(1 / len(films), 3), (len(films) + 1) / 2]}
    for pattern in patterns:
        sounds = [hear(clips / pattern.format(stem=path.stem)) for path in films]
        found[pattern] = {
            "cmr": ranked(fit.matrix(pictures, list(sounds), RATE)),
            "ta": ranked(fit.matrix_ta(pictures, list(sounds), RATE)),
        }
        found[pattern]["out_of_step"] = out_of_step(fit, pictures, sounds)
        if baseline:
            found[pattern]["activity_onset_correlation"] = ranked(correlation(pictures, sounds))
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--music", action="append", default=[])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--baseline", action="store_true")
    args = parser.parse_args()
    fit = FitModel.load(args.weights)
    found: dict[str, Any] = {"sha256": fit.sha256}
    from core.training.evaluator import check_evaluator

    if args.corpus:
        found["held_out"] = check_evaluator(args.corpus, args.weights)
    if args.unseen:
        found["unseen"] = check_evaluator(args.unseen, args.weights, unseen=True)
    if args.clips:
        found["footage"] = on_footage(fit, args.clips, args.music, args.baseline)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
