"""Music made on the way: held-out windows, written by the model as it is, to be heard and looked at.

RUN/samples/step-000001000/0-ID.wav    what the model plays to the window (models with a waveform codec)
RUN/samples/step-000001000/0-ID.png    the picture, the mel spectrogram and the codes; below, the film's own music
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from core.codecs.encodec import Encodec
from core.engine import Engine, Job, Sampling
from core.model import GVMGen
from core.training.data import Batch, Draw, Examples, ScoreExamples
from core.training.pairs import PairExamples
from core.training.parts import ModelPlan
from core.training.step import Eyes
from core.vision import descriptors
from core.windows import Window

_PICTURES = 10  # in the strip above
Codes = npt.NDArray[np.int64]
Sound = npt.NDArray[np.float32]


class Sampler:
    """Plays to the first `count` held-out windows whenever it is called."""

    def __init__(self, run: Path, plan: ModelPlan, held_out: Examples, count: int, eyes: Eyes) -> None:
        self.folder, self.plan, self.held_out, self.eyes = run / "samples", plan, held_out, eyes
        self.count = min(count, len(held_out))
        self._codec: Encodec | None = None

    def __call__(self, model: GVMGen, step: int) -> tuple[Sequence[Path], Sequence[tuple[str, str]]]:
        """Writes a WAV and a PNG for each; the paths of the pictures, and (name, why) of windows that can't be read.

        The model must be in eval mode, and whole.
        """
        config, place = self.plan.config, self.folder / f"step-{step:09}"
        place.mkdir(parents=True, exist_ok=True)
        sampling = Sampling(config.guidance, config.top_k, config.temperature, config.top_p)
        read = {index: self.held_out.batch([Draw(index)]) for index in range(self.count)}
        failed = [each for batch in read.values() for each in batch.failed]
        batches = {index: batch for index, batch in read.items() if bool(batch.valid.any())}
        jobs = [self._job(model, batch, index) for index, batch in batches.items()]
        made = Engine(model.decoder, sampling, graphs=False).generate(jobs)
        drawn = []
        for (index, batch), codes in zip(batches.items(), made, strict=True):
            name = f"{index}-{re.sub(r'[^A-Za-z0-9._-]+', '-', self.held_out.name(index))[:60]}"
            real = batch.codes[0, :, batch.valid[0]].numpy()
            sounds = [self._play(each) for each in (codes, real)]
            if sounds[0] is not None:
                self._write(place / f"{name}.wav", sounds[0])
            drawn.append(draw(place / f"{name}.png", self._pictures(index, batch), sounds, [codes, real], self._rate))
        return drawn, failed

    @torch.inference_mode()
    def _job(self, model: GVMGen, batch: Batch, index: int) -> Job:
        seen = self.eyes(batch)
        there = seen.present[0].cpu()
        with torch.autocast(self.eyes.device.type, enabled=False):
            condition = model.condition(seen.patches.float())
        features = self.plan.config.features
        steps = int(batch.valid[0].sum())
        times = batch.step_times[0].numpy().astype(np.float64)
        control = None
        if isinstance(self.held_out, ScoreExamples):
            number, first, last = self.held_out.windows[index]
            control = self.held_out.pieces[number].control[first:last].astype(np.float32)
        from core.starter.controls import lagged

        return Job(
            condition=condition.view(-1, features.vectors, features.out_channels).float().cpu().numpy()[there.numpy()],
            frame_times=seen.frame_times[0].cpu().numpy().astype(np.float64)[there.numpy()],
            step_seconds=np.append(times[:steps], times[steps - 1] + (times[1] - times[0])),
            windows=[Window(0, 0, steps)],
            seed=index,
            control=control,
            lagged=lagged,
        )

    def _play(self, codes: Codes) -> Sound | None:
        """Sound [N] of codes [K, T]; None where the model writes scores, which no codec plays."""
        if self.plan.codec is None:
            return None
        if self._codec is None:
            self._codec = Encodec(self.plan.codec.config, self.plan.codec.state, self.eyes.device)
        given = torch.as_tensor(codes[None], device=self.eyes.device)
        return self._codec.decode(given)[0].mean(dim=0).float().cpu().numpy()

    @property
    def _rate(self) -> int:
        return self.plan.codec.config.sample_rate if self.plan.codec is not None else 0

    def _write(self, path: Path, sound: Sound) -> None:
        import soundfile

        soundfile.write(path, np.clip(sound, -1, 1), self._rate, subtype="PCM_16")

    def _pictures(self, index: int, batch: Batch) -> list[npt.NDArray[np.uint8]]:
        """Some pictures [H, W, 3] of the window, evenly spread; cells of colour where the film isn't there."""
        if isinstance(self.held_out, PairExamples) and (clip := self.held_out.pairs[index].clip) is not None:
            from fractions import Fraction

            from core.frames import decode_frames

            rate = Fraction(_PICTURES) / Fraction(self.held_out.window_seconds).limit_denominator(1000)
            shown = decode_frames(self.held_out.dataset.path(clip), 96, 54, rate, (0.0, self.held_out.window_seconds))
            return [rgb for _, rgb in shown][:_PICTURES]
        patches = batch.patches[0, batch.present[0]].numpy()
        return [cells(patches[at]) for at in np.linspace(0, len(patches) - 1, min(_PICTURES, len(patches))).astype(int)]


def cells(patches: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """What the descriptors [P, C] of a frame know of its colours: [rows, columns, 3] RGB."""
    import cv2

    lab = patches[: descriptors.GLOBAL, :3] * [50, 64, 64] + [50, 0, 0]
    grid = lab.reshape(descriptors.ROWS, descriptors.COLUMNS, 3).astype(np.float32)
    return np.asarray(np.clip(cv2.cvtColor(grid, cv2.COLOR_LAB2RGB) * 255, 0, 255)).astype(np.uint8)


def draw(
    path: Path,
    pictures: Sequence[npt.NDArray[np.uint8]],
    sounds: Sequence[Sound | None],
    codes: Sequence[Codes],
    rate: int,
) -> Path:
    """A PNG: the pictures, then mel spectrogram and codes of what was made and of what the film has."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heard = sounds[0] is not None
    figure: Any = Figure(figsize=(11, 8 if heard else 5), layout="constrained")
    strip, *rows = figure.subfigures(5 if heard else 3, 1, height_ratios=[0.7] + [1] * (4 if heard else 2))
    for number, picture in enumerate(pictures):
        axes = strip.add_subplot(1, max(1, len(pictures)), number + 1)
        axes.imshow(picture, interpolation="nearest")
        axes.set_axis_off()
    row, highest = iter(rows), max(int(each.max()) for each in codes)
    for title, sound, written in zip(("made", "the film's own"), sounds, codes, strict=True):
        if sound is not None:
            axes = next(row).subplots()
            axes.imshow(mel(sound, rate), aspect="auto", origin="lower", extent=(0, len(sound) / rate, 0, 1))
            axes.set(title=f"{title}: mel spectrogram", yticks=[], xlabel="seconds")
        axes = next(row).subplots()
        axes.imshow(written, aspect="auto", interpolation="nearest", cmap="viridis", vmin=0, vmax=highest)
        axes.set(title=f"{title}: codes", ylabel="stream", xlabel="step")
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=80)
    return path


def mel(sound: Sound, rate: int) -> npt.NDArray[np.float32]:
    """Mel spectrogram [bands, T] in dB, 60 dB deep."""
    import librosa

    bands = 64 if rate >= 8000 else 16
    power = librosa.feature.melspectrogram(y=sound, sr=rate, n_fft=min(1024, rate // 8), n_mels=bands)
    return np.asarray(librosa.power_to_db(power, ref=np.max, top_db=60), np.float32)
