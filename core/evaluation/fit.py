"""How well music fits a film: SPINE of the evaluation model. Windows of at most 30 s, each judged by itself.

A folder of weights: evaluator.json (config, hash, figures, scores of mismatched pairs), evaluator.safetensors.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from core.checkpoint import read_weights, sha256
from core.errors import MediaError, ModelError
from core.evaluation.config import LONGEST_SECONDS, SHORTEST_SECONDS, EvaluatorConfig
from core.evaluation.evaluator import Evaluator
from core.evaluation.front import DescriptorFront, Front, PublishedFront
from core.evaluation.listen import is_silent, to_mono
from core.memory import check_device
from core.vision.picture import FrameEncoder, PictureFeatures

WEIGHTS: Final = Path(__file__).parent / "weights"
DESCRIPTION: Final = "evaluator.json"
MODEL: Final = "evaluator.safetensors"
FORMAT: Final = 1  # of evaluator.json

_STEP_SECONDS = 15.0  # from one window to the next
_AGAIN = "reinstall gvm if it is the one that ships, else train it again (gvm train evaluator)"

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Mismatched:
    """What music that belongs to other films scores: quantiles 0, 1 .. 100 % for windows of some lengths.

    seconds [L], rising; cmr, ta [L, 101]. Empty: not known, and every percentile is no number.
    """

    seconds: tuple[float, ...] = ()
    cmr: tuple[tuple[float, ...], ...] = ()
    ta: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Mismatched:
        """As evaluator.json has it. TypeError, ValueError and KeyError for what it can't be."""
        if not data:
            return cls()
        return cls(tuple(data["seconds"]), tuple(map(tuple, data["cmr"])), tuple(map(tuple, data["ta"])))

    def percentile(self, which: str, value: float, seconds: float) -> float:
        """Share, in percent, of mismatched pairs that score below `value` over windows of that length."""
        if not self.seconds:
            return float("nan")
        table = np.asarray(getattr(self, which))
        quantiles = [float(np.interp(seconds, self.seconds, column)) for column in table.T]
        below = float(np.searchsorted(quantiles, value, side="left"))
        if not 0 < below < len(quantiles):
            return float(np.clip(below, 0, 100))
        low, high = quantiles[int(below) - 1], quantiles[int(below)]
        return float(below - 1 + (value - low) / max(high - low, 1e-9))


@dataclass(frozen=True)
class WindowFit:
    """One window: seconds of the film, CMR -1..1, TA 0..1."""

    start: float
    end: float
    cmr: float
    ta: float


@dataclass(frozen=True, eq=False)
class Fit:
    """How well one film's music fits it.

    cmr, ta: means over the windows, weighted by length. Percentiles 0..100: share of mismatched pairs of the held-out
    corpus that score lower. windows: those with music in them. curve_times, curve [T]: TA over film seconds, the
    mean where windows overlap; moments without music are left out.
    """

    cmr: float
    ta: float
    cmr_percentile: float
    ta_percentile: float
    windows: tuple[WindowFit, ...]
    curve_times: npt.NDArray[np.float64]
    curve: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FitModel:
    """The evaluation model with what feeds it. Holds no film; `score` may be called for any number of them."""

    model: Evaluator
    front: Front
    sha256: str
    mismatched: Mismatched
    device: str = "cpu"
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path | None = None, device: str = "cpu", model: Path | None = None) -> FitModel:
        """The evaluator in `folder`; None: the one that ships, which needs no download.

        model: for an evaluator that was trained on a published model's features, that model's folder, where it isn't
        where it was. ModelError for weights that are missing, damaged or not what their description says, and for a
        device that this machine lacks.
        """
        folder = folder or WEIGHTS
        check_device(device)
        about = _description(folder)
        try:
            config = EvaluatorConfig.from_json(about["config"])
            digest, mismatched = str(about["sha256"]), Mismatched.from_json(about.get("mismatched", {}))
        except (KeyError, TypeError, ValueError) as err:
            raise ModelError(f"{folder / DESCRIPTION} doesn't describe an evaluator of gvm ({err}): {_AGAIN}") from err
        with torch.device("meta"):
            evaluator = Evaluator(config)
        try:
            weights = read_weights(folder / MODEL, digest, evaluator.state_dict(), device, torch.float32)
        except ModelError as err:
            raise ModelError(f"{str(err).partition(': import or fetch')[0]}: {_AGAIN}") from err
        evaluator.load_state_dict(weights, assign=True)
        return cls(evaluator.eval(), _front(config, about, model, device), digest, mismatched, device, about)

    @classmethod
    def untrained(cls, seed: int = 0, config: EvaluatorConfig | None = None) -> FitModel:
        """With random weights, for tests and as the start of training."""
        config = config or EvaluatorConfig()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Evaluator(config).eval()
        return cls(model, DescriptorFront(), "untrained", Mismatched())

    def open_encoder(self) -> FrameEncoder:
        """An encoder for one film: push its frames, `finish()` gives the picture features that `score` takes."""
        return self.front.open_encoder()

    def score(
        self,
        picture: PictureFeatures,
        sound: npt.NDArray[np.floating],
        rate: int,
        span: tuple[float, float] | None = None,
    ) -> Fit:
        """CMR and TA of sound [N] or [C, N] at `rate` Hz with a picture.

        Sample 0 is film second 0. span: seconds of the film to look at; None: all that both have. Windows without
        music are passed over. MediaError where less than 6 s are in common or all is silent.
        """
        start, end = self._common(picture, sound, rate, span)
        loudest = float(np.abs(sound[..., int(start * rate) : int(end * rate)]).max(initial=0.0))
        windows, curves = [], []
        for begin, stop in plan(start, end, self.model.config.rate):
            mono = self._hear(sound, rate, begin, stop)
            if is_silent(mono, loudest):
                continue
            judged = self._judge(self.front.see(picture, begin, stop), self.front.hear(mono))
            windows.append(WindowFit(begin, stop, float(judged.cmr[0]), float(judged.ta[0])))
            curves.append(judged.curve[0].cpu().numpy().astype(np.float64))
        if not windows:
            raise MediaError(f"the music is silent from {start:.1f} s to {end:.1f} s: give music that can be heard")
        return self._summed(windows, curves)

    def matrix(
        self, pictures: Sequence[PictureFeatures], sounds: Sequence[npt.NDArray[np.floating]], rate: int
    ) -> npt.NDArray[np.float64]:
        """CMR [V, M] of every picture with every sound, over the first seconds that all have, 30 at most.

        Each entry follows from its own picture and its own sound alone. MediaError where one sound is silent over
        these seconds (`opening` says how many they are), and as in `score`.
        """
        video, music = self._rows(pictures, sounds, rate)
        with torch.inference_mode():
            return self.model.matrix(video, music).cpu().numpy().astype(np.float64)

    def matrix_ta(
        self, pictures: Sequence[PictureFeatures], sounds: Sequence[npt.NDArray[np.floating]], rate: int
    ) -> npt.NDArray[np.float64]:
        """TA [V, M], as `matrix`."""
        video, music = self._rows(pictures, sounds, rate)
        with torch.inference_mode():
            v, m = self.model.streams(video, music)
            index = torch.arange(len(m), device=v.device)
            rows = [self.model.judge_streams(v, m, torch.full_like(index, i), index).ta for i in range(len(v))]
        return torch.stack(rows).cpu().numpy().astype(np.float64)

    def opening(
        self, pictures: Sequence[PictureFeatures], sounds: Sequence[npt.NDArray[np.floating]], rate: int
    ) -> float:
        """Seconds from the start that `matrix` compares of these: what all have, 30 at most, in whole positions."""
        ends = [_picture_end(p) for p in pictures] + [s.shape[-1] / rate for s in sounds]
        return _whole(min(LONGEST_SECONDS, *ends), self.model.config.rate)

    def _rows(
        self, pictures: Sequence[PictureFeatures], sounds: Sequence[npt.NDArray[np.floating]], rate: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not pictures or not sounds:
            raise MediaError("nothing to compare: give at least one film and one piece of music")
        end = self.opening(pictures, sounds, rate)
        _check_length(0.0, end)
        video = np.stack([self.front.see(picture, 0.0, end) for picture in pictures])
        heard = [self._hear(sound, rate, 0.0, end) for sound in sounds]
        for index, mono in enumerate(heard):
            if is_silent(mono):
                raise MediaError(f"music number {index + 1} is silent: give music that can be heard")
        music = np.stack([self.front.hear(mono) for mono in heard])
        return torch.from_numpy(video).to(self.device), torch.from_numpy(music).to(self.device)

    def _common(
        self, picture: PictureFeatures, sound: npt.NDArray[np.floating], rate: int, span: tuple[float, float] | None
    ) -> tuple[float, float]:
        """The seconds that picture, sound and span have in common."""
        first = float(picture.times[0]) if len(picture.times) else 0.0
        start, end = max(0.0, _picture_start(first)), min(_picture_end(picture), sound.shape[-1] / rate)
        if span is not None:
            start, end = max(start, span[0]), min(end, span[1])
        _check_length(start, end)
        return start, end

    def _hear(self, sound: npt.NDArray[np.floating], rate: int, start: float, end: float) -> FloatArray:
        """The window's sound, mono, as long as it must be to the sample."""
        mono = to_mono(sound[..., round(start * rate) : round(end * rate)], rate, self.front.sound_rate)
        wanted = round((end - start) * self.front.sound_rate)
        return np.pad(mono[:wanted], (0, max(0, wanted - len(mono))))

    @torch.inference_mode()
    def _judge(self, video: FloatArray, music: FloatArray) -> Any:
        steps = min(len(video), len(music))
        rows = [torch.from_numpy(np.ascontiguousarray(x[None, :steps])).to(self.device) for x in (video, music)]
        return self.model.judge(*rows)

    def _summed(self, windows: list[WindowFit], curves: list[npt.NDArray[np.float64]]) -> Fit:
        lengths = [window.end - window.start for window in windows]
        kinds = [("cmr", "cmr"), ("ta", "ta")]
        percentiles = [
            [self.mismatched.percentile(kind, getattr(w, name), w.end - w.start) for w in windows]
            for kind, name in kinds
        ]
        step = 1.0 / self.model.config.rate
        sums: dict[float, list[float]] = {}
        for window, curve in zip(windows, curves, strict=True):
            for index, value in enumerate(curve):
                sums.setdefault(round(window.start + (index + 0.5) * step, 6), []).append(float(value))
        times = sorted(sums)
        return Fit(
            float(np.average([w.cmr for w in windows], weights=lengths)),
            float(np.average([w.ta for w in windows], weights=lengths)),
            float(np.average(percentiles[0], weights=lengths)),
            float(np.average(percentiles[1], weights=lengths)),
            tuple(windows),
            np.asarray(times),
            np.asarray([np.mean(sums[time]) for time in times]),
        )


def plan(start: float, end: float, rate: float) -> list[tuple[float, float]]:
    """Windows of at most 30 s, every 15 s; the last one ends with the film. Lengths are whole positions at `rate`."""
    length = _whole(min(LONGEST_SECONDS, end - start), rate)
    spare = _whole(end - start - length, rate)  # what is less than a position makes no window of its own
    count = max(1, int(np.ceil(spare / _STEP_SECONDS - 1e-9)) + 1)
    begins = [start + index * _STEP_SECONDS for index in range(count - 1)]
    last = start if count == 1 else start + _whole(end - length - start, rate)
    return [(begin, begin + length) for begin in [*begins, last]]


def save(model: Evaluator, folder: Path, about: dict[str, Any]) -> str:
    """Write evaluator.safetensors in half precision and evaluator.json; the hash of the weights is given back."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    partial, text = folder / f"{MODEL}.partial", folder / f"{DESCRIPTION}.partial"
    state = {name: value.detach().cpu().to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    save_file(state, partial)
    partial.chmod(0o644)  # safetensors writes for the owner alone
    digest = sha256(partial)
    full = {"format": FORMAT, "config": model.config.to_json(), "sha256": digest, **about}
    text.write_text(json.dumps(full, indent=1) + "\n")
    os.replace(partial, folder / MODEL)
    os.replace(text, folder / DESCRIPTION)
    return digest


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise ModelError(f"{path} is missing: {_AGAIN}") from err
    except (OSError, ValueError) as err:
        raise ModelError(f"{path} can't be read ({err}): {_AGAIN}") from err
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise ModelError(f"{path} doesn't describe an evaluator of gvm: {_AGAIN}")
    if about["format"] > FORMAT:
        raise ModelError(f"{path} was written by a later gvm (format {about['format']}): update gvm")
    return about


def _front(config: EvaluatorConfig, about: dict[str, Any], model: Path | None, device: str) -> Front:
    if config.features == "descriptors":
        return DescriptorFront()
    known = about.get("model") or {}
    front = PublishedFront(model or Path(str(known.get("folder"))), device)
    if front.sha256 != known.get("sha256"):
        raise ModelError(f"{front.folder}: is not the model whose features this evaluator learned from; give that one")
    return front


def _picture_start(first: float) -> float:
    """Films begin with their first picture; one cut out of the middle keeps its times."""
    return 0.0 if first < 1.0 else first


def _picture_end(picture: PictureFeatures) -> float:
    """Where the last frame ends: as long after its time as the one before came before it."""
    if not len(picture.times):
        return 0.0
    gap = float(np.median(np.diff(picture.times))) if len(picture.times) > 1 else 0.0
    return float(picture.times[-1]) + gap


def _whole(seconds: float, rate: float) -> float:
    return float(np.floor(seconds * rate + 1e-6)) / rate


def _check_length(start: float, end: float) -> None:
    if end - start < SHORTEST_SECONDS - 1e-6:
        raise MediaError(
            f"film and music have {max(0.0, end - start):.1f} s in common: at least {SHORTEST_SECONDS:g} s are needed"
        )
