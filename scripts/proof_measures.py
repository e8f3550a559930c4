"""What is measured of a trained model on scenes it hasn't seen: loss with and without the picture, and its music.

Everything with an interval is bootstrapped over scenes (95 %, 2000 draws): windows of one scene aren't independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from core.codecs.encodec import Encodec
    from core.model import GVMGen
    from core.training.data import Batch
    from core.training.pairs import PairExamples

Floats = npt.NDArray[np.float64]
PIECE_SECONDS = 2.0  # of sound that one spectral embedding describes
CURVE_RATE = 4  # values of activity and energy a second, as many as there are features


@dataclass(frozen=True, eq=False)
class Losses:
    """Cross-entropy in nats [scenes, K] of held-out windows: right picture, another scene's, none."""

    right: Floats
    other: Floats
    none: Floats


def held_out_losses(
    model: GVMGen, examples: PairExamples, places: Sequence[float] = (0.0, 0.7), most: int | None = None
) -> Losses:
    """Losses of every held-out scene (at most so many), mean over windows at `places` (0..1) of it."""
    import torch

    from core.training.data import Draw

    count = min(len(examples), most or len(examples))
    found = {field.name: np.zeros((count, model.config.decoder.streams)) for field in fields(Losses)}
    torch.set_num_threads(1)
    with torch.inference_mode():
        for place in places:
            for first in range(0, count, 8):
                rows = range(first, min(first + 8, count))
                # The row before the first lends its picture to it, so that no batch ends in a picture of its own.
                batch = examples.batch([Draw(i, place=place) for i in [(first - 1) % count, *rows]])
                for kind, seen in (("right", batch), ("other", batch.with_others_pictures()), ("none", batch.blind())):
                    for at, index in enumerate(rows, 1):
                        found[kind][index] += window_loss(model, seen, at) / len(places)
    return Losses(**found)


def window_loss(model: GVMGen, batch: Batch, row: int) -> Floats:
    """Mean cross-entropy [K] of one row of a batch."""
    from core.training.data import Batch
    from core.training.step import arithmetic

    one = replace(batch, **{f.name: v[row : row + 1] for f in fields(Batch)
                            if (v := getattr(batch, f.name)) is not None and hasattr(v, "shape")})  # fmt: skip
    with arithmetic(one.codes.device, "bf16"):
        losses = model.loss(one.patches, one.frame_times, one.present, one.codes, one.valid, one.control,
                            one.step_times)  # fmt: skip
    return losses.double().numpy()


def interval(values: npt.NDArray[Any], draws: int = 2000) -> list[float]:
    """[mean, lower, upper] of values [n]: the mean, and where 95 % of means of n values drawn from them lie."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return [round(float(value), 5) for value in (values.mean(), low, high)]


def loss_table(losses: Losses) -> dict[str, Any]:
    """Means per codebook, and what the right picture gains over another one and over none, with intervals."""
    gains = {"over_other": losses.other - losses.right, "over_none": losses.none - losses.right}
    return {
        "scenes": len(losses.right),
        **{f.name: np.round(getattr(losses, f.name).mean(axis=0), 4).tolist() for f in fields(Losses)},
        **{name: [interval(gain[:, book]) for book in range(gain.shape[1])] for name, gain in gains.items()},
        **{f"{name}_mean": interval(gain.mean(axis=1)) for name, gain in gains.items()},
        **{f"{name}_share": round(float((gain.mean(axis=1) > 0).mean()), 3) for name, gain in gains.items()},
    }


def generate(
    model: GVMGen, examples: PairExamples, indices: Sequence[int], guidance: float, seed: int = 0
) -> list[npt.NDArray[np.int64]]:
    """Codes [K, T] that the model writes for the first window of these held-out scenes."""
    import torch

    from core.engine import Engine, Job, Sampling
    from core.training.data import Draw
    from core.windows import Window

    jobs = []
    steps = examples.steps
    for index in indices:
        batch = examples.batch([Draw(index)])
        seen = batch.present[0]
        with torch.inference_mode():
            condition = model.condition(batch.patches[:, seen])[0]
        vectors = model.config.features.vectors
        jobs.append(
            Job(
                condition=condition.view(-1, vectors, condition.shape[-1]).numpy(),
                frame_times=batch.frame_times[0, seen].double().numpy(),
                step_seconds=np.arange(steps + 1) / examples.rate,
                windows=[Window(0, 0, steps)],
                seed=seed * 100_003 + index,
            )
        )
    sampling = Sampling(guidance=guidance, top_k=model.config.top_k, temperature=model.config.temperature)
    return Engine(model.decoder, sampling, slots=16).generate(jobs)


def play(codec: Encodec, codes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Sound [N] of codes [K, T], at the codec's rate."""
    import torch

    return codec.decode(torch.from_numpy(codes.astype(np.int64))[None])[0, 0].numpy()


def spectral_embeddings(sounds: Sequence[npt.NDArray[np.float32]], rate: int) -> Floats:
    """Embeddings [n, 40] of every 2 s of sounds: mean and standard deviation of 20 MFCC over it, in dB.

    MFCC of 64 mel bands, windows of 64 ms every 16 ms, levels no lower than -80 dB of full scale.
    """
    import librosa

    piece = round(PIECE_SECONDS * rate)
    rows = []
    for sound in sounds:
        for start in range(0, len(sound) - piece + 1, piece):
            mel = librosa.feature.melspectrogram(
                y=sound[start : start + piece], sr=rate, n_fft=round(0.064 * rate), hop_length=round(0.016 * rate),
                n_mels=64,
            )  # fmt: skip
            levels = 10 * np.log10(np.maximum(mel, 1e-8))
            mfcc = librosa.feature.mfcc(S=levels, n_mfcc=20)
            rows.append(np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)]))
    return np.asarray(rows, np.float64)


def energy_curve(sound: npt.NDArray[np.float32], rate: int) -> Floats:
    """Level in dB of sound, `CURVE_RATE` values a second, smoothed over a second."""
    from scipy.ndimage import gaussian_filter1d

    size = rate // CURVE_RATE
    blocks = sound[: len(sound) // size * size].reshape(-1, size).astype(np.float64)
    level = 10 * np.log10(np.maximum((blocks**2).mean(axis=1), 1e-7))
    return np.asarray(gaussian_filter1d(level, CURVE_RATE / 2, mode="nearest"))


def activity_curve(patches: npt.NDArray[Any]) -> Floats:
    """How much moves in descriptors [F, 33, 16], smoothed over a second."""
    from scipy.ndimage import gaussian_filter1d

    from core.vision.descriptors import GLOBAL

    return np.asarray(gaussian_filter1d(patches[:, GLOBAL, 6].astype(np.float64), CURVE_RATE / 2, mode="nearest"))


def correspondence(activities: Sequence[Floats], energies: Sequence[Floats]) -> dict[str, Any]:
    """Correlation of each sound's energy with its own picture's activity, and with all others', with intervals.

    Pictures or sounds that don't vary are left out.
    """
    curves = [(a[: min(len(a), len(e))], e[: min(len(a), len(e))]) for a, e in zip(activities, energies, strict=True)]
    curves = [(a, e) for a, e in curves if a.std() > 1e-6 and e.std() > 1e-6]
    length = min(len(a) for a, _ in curves)
    table = np.corrcoef([a[:length] for a, _ in curves], [e[:length] for _, e in curves])
    table = table[: len(curves), len(curves) :]  # [pictures, sounds]
    own = np.diag(table)
    others = (table.sum(axis=0) - own) / max(1, len(curves) - 1)
    return {
        "windows": len(curves),
        "own": interval(own),
        "others": interval(others),
        "difference": interval(own - others),
    }


def scores_of(unseen: Any, indices: Sequence[int], written: Sequence[Any], codec: Encodec) -> dict[str, Any]:
    """CMR and TA, with intervals, of codes written for the first windows of these held-out scenes.

    By the evaluator that ships (`gvm evaluate fit`), which has learned from other scenes of the same corpus.
    """
    from core.evaluation.fit import FitModel
    from core.vision.picture import PictureFeatures

    fit = FitModel.load()
    dataset = getattr(unseen, "inner", unseen).dataset
    scores = []
    for index, codes in zip(indices, written, strict=True):
        values, times = dataset.features(unseen.pairs[index], "descriptors")
        sound = play(codec, codes)
        end = len(sound) / codec.config.sample_rate
        score = fit.score(PictureFeatures(times, values), sound, codec.config.sample_rate, (0.0, end))
        scores.append((score.cmr, score.ta))
    cmr, ta = np.array(scores).T
    return {"cmr": interval(cmr), "ta": interval(ta)}
