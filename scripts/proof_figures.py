"""Pictures of the proof: how the loss fell, what the right picture gains, and what the music looks like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

INK = {"right": "#1b6ca8", "other": "#d1495b", "none": "#8d8d8d", "train": "#9cc3e0"}
WORDS = {"right": "right picture", "other": "another scene's picture", "none": "no picture"}


@dataclass(frozen=True, eq=False)
class Heard:
    """One row of the spectrograms: a sound at `rate` and what it is; activity of its picture, 4 values a second."""

    title: str
    sound: npt.NDArray[np.float32]
    rate: int
    activity: npt.NDArray[np.float64] | None = None


def read_log(path: Path) -> list[dict[str, Any]]:
    """Rows of a run's log."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def draw_curves(log: Sequence[dict[str, Any]], table: dict[str, Any], path: Path) -> None:
    """Loss over steps; what the right picture gains over another's and over none, over steps and per codebook."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    steps = [row["step"] for row in log if "loss" in row]
    losses = [float(np.mean([float(v) for v in row["loss"]])) for row in log if "loss" in row]
    left.plot(steps, losses, color=INK["train"], lw=0.8, label="training")
    rows = [row for row in log if "held_out" in row]
    at = [row["step"] for row in rows]
    left.plot(at, [np.mean(row["held_out"]) for row in rows], color=INK["right"], lw=1.8, label="held out")
    left.set(xlabel="step", ylabel="nats, mean over codebooks", title="Cross-entropy")
    left.legend(frameon=False)
    for name, key in (("other", "other_picture"), ("none", "no_picture")):
        gains = [row[key][0] - row["held_out"][0] for row in rows]
        middle.plot(at, gains, color=INK[name], lw=1.8, marker="o", ms=3, label=f"less than with {WORDS[name]}")
    middle.axhline(0, color="black", lw=0.8)
    middle.set(xlabel="step", ylabel="nats", title="First codebook: right picture, held out")
    middle.legend(frameon=False)
    books = np.arange(len(table["right"]))
    for shift, key, name in ((-0.18, "over_other", "other"), (0.18, "over_none", "none")):
        means, low, high = np.array(table[key]).T
        right.bar(books + shift, means, 0.34, color=INK[name], label=f"less than with {WORDS[name]}")
        right.errorbar(books + shift, means, [means - low, high - means], fmt="none", ecolor="black", capsize=3, lw=1)
    right.axhline(0, color="black", lw=0.8)
    right.margins(y=0.25)
    right.set(xlabel="codebook", ylabel="nats, 95 % interval over scenes", title="At the end", xticks=books)
    right.legend(frameon=False)
    _save(figure, path)


def draw_spectrograms(rows: Sequence[Heard], path: Path) -> None:
    """Mel spectrograms of sounds, the activity of their pictures over them."""
    import librosa
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(rows), 1, figsize=(10, 1.9 * len(rows)), sharex=True, layout="constrained")
    for axis, row in zip(np.atleast_1d(axes), rows, strict=True):
        mel = librosa.feature.melspectrogram(y=row.sound, sr=row.rate, n_fft=1024, hop_length=256, n_mels=64)
        levels = 10 * np.log10(np.maximum(mel, 1e-8))
        seconds = len(row.sound) / row.rate
        axis.imshow(levels, origin="lower", aspect="auto", extent=(0, seconds, 0, 64), cmap="magma", vmin=-60, vmax=20)
        if row.activity is not None:
            curve = row.activity - row.activity.min()
            at = (np.arange(len(curve)) + 0.5) / 4
            axis.plot(at, 4 + 54 * curve / max(float(curve.max()), 1e-9), color="#7ee8fa", lw=1.4)
        axis.set(title=row.title, yticks=[], ylabel="mel", xlim=(0, seconds))
    np.atleast_1d(axes)[-1].set_xlabel("seconds")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    """Write a figure in few colours, so that it is small."""
    from io import BytesIO

    from matplotlib import pyplot as plt
    from PIL import Image

    buffer = BytesIO()
    figure.savefig(buffer, dpi=80)
    plt.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(96).save(path, optimize=True)
