"""The spine of `core` for models that speak in sound: what was seen of a cue -> codes -> its waveform.

    conditioning of the frames ─▶ windows of 30 s ─▶ engine: codes ─▶ codec ─▶ 48 kHz stereo

Such a model (GVMGen as published) is asked for nothing but pictures and a seed: it knows no style, tempo or key, and
not where the cue ends. All cues are decoded side by side; each one's sound is made when its codes are complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from core import checkpoint
from core.engine import Engine, Job, Progress, Sampling
from core.errors import ModelError
from core.memory import check_device
from core.model import GVMGen
from core.precision import Precision, best_precision, check, prepare
from core.shapes import MUSIC_RATE
from core.vision.descriptors import PatchDescriptors, relative_to_cue
from core.vision.picture import FrameEncoder, PictureFeatures
from core.vision.tower import Tower, TowerFrames, best_dtype
from core.windows import plan_windows

if TYPE_CHECKING:
    from core.codecs.diffusion import DiffusionDecoder
    from core.codecs.encodec import Encodec

BYTES: Final[dict[Precision, int]] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}  # of a weight


@dataclass(frozen=True, eq=False)
class WaveRequest:
    """One take of one cue.

    features: what the model's encoder saw (conditioning of the frames where it has a tower, patch descriptors where it
    hasn't), times in seconds after the cue's in. samples: of the whole take at 48 kHz;
    its first lies `lead_seconds` before the cue's in.
    """

    features: PictureFeatures
    lead_seconds: float
    samples: int
    seed: int


@dataclass(frozen=True)
class Work:
    """What there is to compute: multiplications and additions, and bytes of weights to be read."""

    operations: float
    bytes_read: float


@dataclass(frozen=True, eq=False)
class WaveTake:
    """What was made: audio [2, N] at 48 kHz, and the codes [K, S] behind it."""

    audio: npt.NDArray[np.float32]
    codes: npt.NDArray[np.int64]


class WaveformModel:
    """A model that writes codes of EnCodec, from its folder; it sees through a vision tower or by patch descriptors.

    Weights are read when they are first needed.

    precision: number format of the decoder's weights, "auto" for the fastest that is good here. diffusion: folder of
    MultiBandDiffusion's weights, to let it make the sound; None for the model's own codec. threads: for its matrices
    on a CPU; None leaves torch as it is. Before any weights are read, ModelError where the device isn't there, they
    wouldn't fit or are missing, MissingDependencyError where audiocraft is, which MultiBandDiffusion needs.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        precision: Precision | Literal["auto"] = "auto",
        diffusion: Path | None = None,
        threads: int | None = None,
    ) -> None:
        self.config, self.card, self.sha256 = checkpoint.read_card(folder)
        if self.config.encodec is None:
            raise ModelError(f"{folder}: its codec is {self.config.codec}, which has no waveform; use another model")
        self.device = check_device(device)
        dim = self.config.decoder.dim
        self.precision: Precision = best_precision(self.device, dim) if precision == "auto" else precision
        check(self.precision, self.device)
        # Published weights are stored in half precision: read so, nothing is lost and half the memory does.
        self._dtype = torch.float32 if self.precision == "fp32" else torch.float16
        checkpoint.check_memory(folder, self.device, self._dtype)
        if diffusion is not None:
            _check_diffusion(diffusion)
        self._folder, self._diffusion, self._threads = folder, diffusion, threads
        # "fp32" asked for means the published numbers all the way; else the tower may be as quick as it can.
        self.tower_dtype = torch.float32 if precision == "fp32" else best_dtype(self.device)
        self.step_rate = Fraction(self.config.encodec.sample_rate, self.config.encodec.hop)

    def open_encoder(self) -> FrameEncoder:
        """A fresh vision encoder for one film: its tower, and the feature transformation that reads it."""
        self._take_threads()
        if self.config.tower is None:
            return PatchDescriptors()
        return TowerFrames(self._tower, self._model.features, self.config.frames_per_second)

    def load(self) -> None:
        """Read all weights now, so that the first film needn't wait for them."""
        self._take_threads()
        _ = self._model, self._codec if self._diffusion is None else self._bands
        if self.config.tower is not None:
            _ = self._tower

    def generate_music(
        self, requests: Sequence[WaveRequest], progress: Progress | None = None
    ) -> Iterator[tuple[int, WaveTake]]:
        """Yield (number of the request, its take), each as soon as its codes are complete."""
        self._take_threads()
        _ = self._codec if self._diffusion is None else self._bands  # found damaged now rather than at the end
        config = self.config
        sampling = Sampling(config.guidance, config.top_k, config.temperature, config.top_p)
        engine = Engine(self._model.decoder, sampling)
        jobs = [self.job_of(request) for request in requests]
        for index, codes in engine.stream(jobs, progress):
            yield index, WaveTake(self.play(codes, requests[index]), codes)

    def work(self, film_seconds: float, music_seconds: float, side_by_side: int) -> Work:
        """What looking at so long a film and writing so much music for it takes, `side_by_side` cues at a time.

        From the sizes of the weights: every step reads the decoder once for all cues and computes two rows of each
        (with the picture and without). The codec's share and that of a prompt are small beside it.
        """
        files = checkpoint.read_shapes(self._folder / checkpoint.MODEL)
        decoder = sum(prod(shape) for name, shape in files.items() if name.startswith("decoder.layers."))
        tower, seen = self.config.tower, 0.0
        if tower is not None:
            tokens = film_seconds * self.config.frames_per_second * (tower.patches + 1)
            seen = tokens * 24 * tower.layers * tower.width**2
        steps = music_seconds * float(self.step_rate)
        return Work(seen + steps * 4 * decoder, steps / side_by_side * decoder * BYTES[self.precision])

    def job_of(self, request: WaveRequest) -> Job:
        """What the engine is told of a take: its code steps in the cue's time, in windows that see their own frames."""
        steps = ceil(Fraction(request.samples, MUSIC_RATE) * self.step_rate)
        step_seconds = np.arange(steps + 1) / float(self.step_rate) - request.lead_seconds
        return Job(
            condition=self._condition(request.features.values),
            frame_times=request.features.times,
            step_seconds=step_seconds,
            windows=plan_windows(step_seconds),
            seed=request.seed,
        )

    def _condition(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """What the decoder reads of the frames of a cue [F, q, out]."""
        if self.config.tower is not None:
            return np.asarray(values, np.float32)
        features, frames = self.config.features, len(values)
        if not frames:
            return np.zeros((0, features.vectors, features.out_channels), np.float32)
        patches = torch.as_tensor(relative_to_cue(values)[None], device=self.device)
        with torch.inference_mode():
            condition = self._model.condition(patches)
        return condition.reshape(frames, -1, features.out_channels).float().cpu().numpy()

    def play(self, codes: npt.NDArray[np.int64], request: WaveRequest) -> npt.NDArray[np.float32]:
        """The sound of codes [K, S]: [2, N] at 48 kHz, exactly as long as was asked for."""
        import soxr

        assert self.config.encodec is not None, "checked when it was made"
        given = torch.as_tensor(codes[None], device=self.device)
        if self._diffusion is None:
            wave = self._codec.decode(given)[0]
        else:
            wave = self._bands.decode(given, request.seed)[0]
        heard = soxr.resample(wave.float().cpu().numpy().T, self.config.encodec.sample_rate, MUSIC_RATE)
        audio = np.zeros((2, request.samples), np.float32)
        count = min(request.samples, len(heard))
        audio[:, :count] = heard[:count].T  # one channel goes to both sides
        return audio

    def _take_threads(self) -> None:
        if self._threads is not None and self.device.type == "cpu":
            torch.set_num_threads(self._threads)

    @cached_property
    def _model(self) -> GVMGen:
        model, _, _ = checkpoint.load(self._folder, self.device, self._dtype)
        model.features.float()  # what it computes in is the encoder's matter
        for module in model.decoder.modules():
            if isinstance(module, nn.LayerNorm) or module is model.decoder.condition_proj:
                module.float()
        model.decoder = prepare(model.decoder, self.precision)
        return model

    @cached_property
    def _tower(self) -> Tower:
        return checkpoint.load_tower(self._folder, self.config, self.device, self.tower_dtype)

    @cached_property
    def _codec(self) -> Encodec:
        return checkpoint.load_codec(self._folder, self.config, self.device)

    @cached_property
    def _bands(self) -> DiffusionDecoder:
        from core.codecs.diffusion import DiffusionDecoder

        assert self._diffusion is not None, "asked for by its folder"
        return DiffusionDecoder(self._codec, self._diffusion)


def _check_diffusion(folder: Path) -> None:
    """That MultiBandDiffusion can be had: its weights lie in `folder`, and audiocraft is installed."""
    from core.codecs.audiocraft_loader import load_audiocraft
    from core.codecs.diffusion import WEIGHTS

    if not (folder / WEIGHTS).is_file():
        raise ModelError(
            f"{folder / WEIGHTS} is missing, which --decoder mbd needs; `gvm models pull mbd-musicgen-32khz` fetches it"
        )
    load_audiocraft()
