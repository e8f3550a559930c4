"""MultiBandDiffusion (arXiv 2308.02560) through audiocraft: finer sound from EnCodec's codes, in far more time.

One diffusion model per frequency band makes sound of the codes' latent; its spectrum is then matched to what EnCodec
itself makes of them. audiocraft is an extra: see `core.codecs.audiocraft_loader`.
"""

from __future__ import annotations

import pickle
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from core.codecs.audiocraft_loader import load_audiocraft
from core.codecs.encodec import Encodec
from core.errors import ModelError

WEIGHTS: Final = "mbd_musicgen_32khz.th"
_FETCH = "`gvm models pull mbd-musicgen-32khz` fetches it"
# What goes through the models at once, and how much neighbours share: bounds memory.
PIECE_SECONDS = 30.0
OVERLAP_SECONDS = 1.0


@dataclass
class _Codec:
    """What audiocraft's MultiBandDiffusion asks of its codec."""

    codec: Encodec
    device: torch.device

    @property
    def sample_rate(self) -> int:
        return self.codec.config.sample_rate

    @property
    def channels(self) -> int:
        return self.codec.config.channels

    @property
    def frame_rate(self) -> float:
        return self.codec.config.sample_rate / self.codec.config.hop

    def parameters(self) -> Iterator[Tensor]:
        yield torch.empty(0, device=self.device)


class DiffusionDecoder:
    """The published mbd_musicgen_32khz.th in `folder`, decoding codes of `codec`; device: the codec's unless given.

    Raises ModelError where the weights are missing, damaged, or for another codec, MissingDependencyError where
    audiocraft isn't installed. Nothing is fetched.
    """

    def __init__(self, codec: Encodec, folder: Path, device: torch.device | str | None = None) -> None:
        path = folder / WEIGHTS
        if not path.is_file():
            raise ModelError(f"{path} isn't there, which --decoder mbd needs; {_FETCH}")
        load_audiocraft()
        from audiocraft.models.multibanddiffusion import MultiBandDiffusion

        self.codec = codec
        self.device = codec.device if device is None else torch.device(device)
        package = _read(path)
        _check_codec(package, codec, path)
        self._diffusion = MultiBandDiffusion(_bands(package, self.device, path), _Codec(codec, self.device))

    @torch.inference_mode()
    def decode(self, codes: Tensor, seed: int = 0, progress: Callable[[float], None] | None = None) -> Tensor:
        """Sound [B, C, T * hop] float32 of codes [B, K, T]; the same for the same seed on the same kind of device.

        `progress` is told the share done, 0..1.
        """
        reference = self.codec.decode(codes).to(self.device)
        latent = self.codec.latent(codes).to(self.device)
        hop, steps = self.codec.config.hop, codes.shape[-1]
        rate = self.codec.config.sample_rate
        overlap = max(1, round(OVERLAP_SECONDS * rate / hop))
        spans = _spans(steps, max(2 * overlap, round(PIECE_SECONDS * rate / hop)), overlap)
        sound = torch.zeros_like(reference)
        with _seeded(seed, self.device):
            for item in range(len(codes)):
                for index, (start, stop) in enumerate(spans):
                    here = slice(start * hop, stop * hop)
                    like = reference[item : item + 1, :, here]
                    made = self._diffusion.generate(latent[item : item + 1, :, start:stop], size=like.shape)
                    matched = self._diffusion.re_eq(made, like)[0]
                    sound[item, :, here] += matched * _fade(
                        matched, overlap * hop * (index > 0), overlap * hop * (index < len(spans) - 1)
                    )
                    if progress is not None:
                        progress((item * len(spans) + index + 1) / (len(codes) * len(spans)))
        return sound


def _spans(steps: int, length: int, overlap: int) -> list[tuple[int, int]]:
    """Equal spans of at most `length` steps that cover `steps`, neighbours sharing exactly `overlap`."""
    if steps == 0:
        return []
    count = max(1, -(-(steps - overlap) // (length - overlap)))
    edges = [round(index * (steps - overlap) / count) for index in range(count + 1)]
    return [(first, last + overlap) for first, last in pairwise(edges)] if count > 1 else [(0, steps)]


def _fade(sound: Tensor, rising: int, falling: int) -> Tensor:
    """Weights [N] that rise over the first and fall over the last samples; those of neighbours add up to one."""
    weights = sound.new_ones(sound.shape[-1])
    if rising:
        weights[:rising] = (torch.arange(rising, device=sound.device) + 0.5) / rising
    if falling:
        weights[-falling:] = 1 - (torch.arange(falling, device=sound.device) + 0.5) / falling
    return weights


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """torch's own generators start at `seed`, and are as they were afterwards: audiocraft draws from them."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed & 0x7FFF_FFFF_FFFF_FFFF)
        yield


class _Stored:
    """Stands in for omegaconf's objects in a file: keeps what was stored and does nothing."""

    _content: Any
    _val: Any


_SETTINGS = ("dictconfig.DictConfig", "listconfig.ListConfig", "base.ContainerMetadata", "base.Metadata")
_VALUES = ("AnyNode", "StringNode", "IntegerNode", "FloatNode", "BooleanNode")
_LET_IN: Final[list[Any]] = [
    *((_Stored, f"omegaconf.{name}") for name in _SETTINGS),
    *((_Stored, f"omegaconf.nodes.{name}") for name in _VALUES),
    (_Stored, "typing.Any"),
    *(defaultdict, dict, list, tuple, int, float, str, bool),
]


def _read(path: Path) -> dict[Any, Any]:
    """The package in `path`: tensors and plain data. Settings, stored as omegaconf's objects, become dicts."""
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_LET_IN):
            warnings.simplefilter("ignore")  # torch's remarks on pickle protocols
            package = _plain(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as err:
        raise ModelError(
            f"{path} holds more than weights and settings, or is damaged, and was refused; delete it, {_FETCH} anew"
        ) from err
    except (RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, OSError) as err:
        raise ModelError(f"{path} is damaged or cut off; delete it, {_FETCH} anew") from err
    if not isinstance(package, dict) or not {"n_bands", "sample_rate", 0} <= package.keys():
        raise ModelError(f"{path} isn't MultiBandDiffusion's; {_FETCH}")
    return package


def _plain(value: Any) -> Any:
    """`value` with omegaconf's objects as the dicts, lists and values they hold."""
    if isinstance(value, _Stored):
        held = vars(value)
        return _plain(held["_content"] if "_content" in held else held.get("_val"))
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _check_codec(package: dict[Any, Any], codec: Encodec, path: Path) -> None:
    """ModelError where the diffusion models were trained for codes of another codec."""
    if package["sample_rate"] != codec.config.sample_rate:
        raise ModelError(
            f"{path} is for a codec of {package['sample_rate']} Hz, this model's has {codec.config.sample_rate}; "
            "leave --decoder mbd out"
        )
    try:
        widths = {package[band]["cfg"]["diffusion_unet"]["codec_dim"] for band in range(package["n_bands"])}
    except (LookupError, TypeError) as err:
        raise ModelError(f"{path} lacks the settings of its bands; delete it, {_FETCH} anew") from err
    if widths != {codec.config.dimension}:
        raise ModelError(
            f"{path} is for a codec whose latent is {', '.join(map(str, widths))} wide, this model's is "
            f"{codec.config.dimension}; leave --decoder mbd out"
        )


def _bands(package: dict[Any, Any], device: torch.device, path: Path) -> list[Any]:
    """audiocraft's diffusion process of each band, its weights loaded."""
    from audiocraft.models import builders
    from audiocraft.models.multibanddiffusion import DiffusionProcess
    from audiocraft.modules.diffusion_schedule import NoiseSchedule
    from omegaconf import OmegaConf

    processes = []
    for band in range(package["n_bands"]):
        try:
            cfg = OmegaConf.create(package[band]["cfg"])
            model = builders.get_diffusion_model(cfg)
            model.load_state_dict(package[band]["model_state"])
            processor = builders.get_processor(cfg.processor, sample_rate=package["sample_rate"])
            processor.load_state_dict(package[band]["processor_state"])
            schedule = NoiseSchedule(**cfg.schedule, sample_processor=processor.to(device), device=device)
        except (RuntimeError, LookupError, AttributeError, TypeError, ValueError, AssertionError) as err:
            said = str(err).splitlines()[0] if str(err) else type(err).__name__
            raise ModelError(f"{path}: band {band} can't be loaded ({said}); delete it, {_FETCH} anew") from err
        model.requires_grad_(False).eval().to(device)
        processes.append(DiffusionProcess(model=model, noise_schedule=schedule))
    return processes
