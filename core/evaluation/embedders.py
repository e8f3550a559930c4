"""Sound -> embeddings for FAD and AudioSet labels for KLD, by networks whose weights others publish.

    vggish    16 kHz, 128 numbers per 0.96 s            torchvggish; FAD of Kilgour et al. and most papers
    clap      48 kHz, 512 numbers, 10 s windows, hop 1 s  LAION's CLAP, transformers; Gui et al., arXiv 2311.01616
    encodec   32 kHz, 128 numbers, 50 a second          EnCodec's latent before it is quantised
    ast       16 kHz, 527 labels per 10 s               Audio Spectrogram Transformer (arXiv 2104.01778), transformers

`weights` is a file or folder on this machine; nothing is fetched here. Sound is float32 mono [N] at the embedder's
rate. FAD compares only figures of the same embedder; weights other than those named give other figures.
"""

from __future__ import annotations

import difflib
import json
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from core.errors import MediaError, ModelError, brief

Float32 = npt.NDArray[np.float32]
_Maker = TypeVar("_Maker")

EMBEDDERS: Final = ("vggish", "clap", "encodec")
TAGGERS: Final = ("ast",)

CLAP_HOP_SECONDS: Final = 1.0
AST_WINDOW_SECONDS: Final = 10.0  # AudioSet's clips
_BATCH: Final = 4  # windows at once
_SHORTEST_SECONDS: Final = 0.1


@dataclass(frozen=True, eq=False)
class Embedder:
    """about: network and windows in words, for tables. dimensions: D of an embedding."""

    name: str
    about: str
    rate: int
    dimensions: int
    run: Callable[[Float32], Float32]

    def embed(self, sound: Float32) -> Float32:
        """Embeddings [n, D] of sound [N]; MediaError where it is empty or holds no numbers."""
        return self.run(checked(sound, self.rate))


@dataclass(frozen=True, eq=False)
class Tagger:
    """A classifier. labels [C]: its names for what it hears."""

    name: str
    about: str
    rate: int
    labels: tuple[str, ...]
    run: Callable[[Float32], Float32]

    def windows(self, sound: Float32) -> Float32:
        """Label probabilities [w, C] of each window of sound [N]: softmax of the logits, each row adds up to one."""
        return self.run(checked(sound, self.rate))

    def probabilities(self, sound: Float32) -> Float32:
        """Label probabilities [C] of sound [N]: mean over its windows."""
        return np.asarray(self.windows(sound).mean(0), np.float32)


def open_embedder(name: str, weights: Path, device: str = "cpu") -> Embedder:
    """The embedder `name` with weights of a file or folder; ModelError where they are missing, damaged or others."""
    return _choose(name, {"vggish": _vggish, "clap": _clap, "encodec": _encodec})(weights, device)


def open_tagger(name: str, weights: Path, device: str = "cpu") -> Tagger:
    """The tagger `name` with weights of a folder; ModelError where they are missing, damaged or others."""
    return _choose(name, {"ast": _ast})(weights, device)


def checked(sound: Float32, rate: int) -> Float32:
    """`sound` [N] as float32; MediaError where it is too short for anything or holds values that are no numbers."""
    sound = np.asarray(sound, np.float32)
    if sound.ndim != 1:
        raise ValueError(f"sound must be mono [N], not {list(sound.shape)}")
    if len(sound) < _SHORTEST_SECONDS * rate:
        raise MediaError(
            f"sound of {len(sound) / rate:.2f} s is too short to compare; give {_SHORTEST_SECONDS} s or more"
        )
    if not np.isfinite(sound).all():
        raise MediaError("the sound holds values that are no numbers; export the file again")
    return sound


def _choose(name: str, makers: Mapping[str, _Maker]) -> _Maker:
    if name not in makers:
        near = difflib.get_close_matches(name, makers, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ModelError(f"there is no {name!r} to listen with; there is {', '.join(makers)}{hint}")
    return makers[name]


# --- one maker each ----------------------------------------------------------------------------------------------


def _vggish(weights: Path, device: str) -> Embedder:
    from core.evaluation.vggish import RATE, load_vggish

    model = load_vggish(_there(weights), device)
    about = "VGGish without PCA, 0.96 s windows side by side"
    return Embedder("vggish", about, RATE, model.dimensions, lambda sound: model.embed(sound, device))


def _clap(weights: Path, device: str) -> Embedder:
    import torch
    from transformers import ClapAudioModelWithProjection, ClapFeatureExtractor

    model, extractor = _pretrained(
        ClapAudioModelWithProjection, ClapFeatureExtractor, ("clap", "clap_audio_model"), weights, device
    )
    if getattr(model.config, "enable_fusion", False) or extractor.truncation == "fusion":
        raise ModelError(
            f"{weights} is a CLAP that fuses windows, whose result isn't the same twice; take laion/larger_clap_music "
            "or laion/clap-htsat-unfused"
        )
    rate, size = int(extractor.sampling_rate), int(extractor.nb_max_samples)

    @torch.inference_mode()
    def run(sound: Float32) -> Float32:
        rows = []
        for part in _batches(_windows(sound, size, round(CLAP_HOP_SECONDS * rate), size)):
            inputs = extractor(part, sampling_rate=rate, return_tensors="pt").to(device)
            rows.append(torch.nn.functional.normalize(model(**inputs).audio_embeds, dim=-1).float().cpu().numpy())
        return np.concatenate(rows)

    about = f"CLAP, {size / rate:g} s windows every {CLAP_HOP_SECONDS:g} s, unit length"
    return Embedder("clap", about, rate, int(model.config.projection_dim), run)


def _encodec(weights: Path, device: str) -> Embedder:
    import torch

    codec = _open_codec(_there(weights), device)
    config = codec.config

    def run(sound: Float32) -> Float32:
        wave = torch.from_numpy(sound)[None, None].expand(1, config.channels, -1)
        return np.asarray(codec.encode_latent(wave)[0].T.float().cpu().numpy())

    steps = config.sample_rate / config.hop
    about = f"EnCodec {config.sample_rate / 1000:g} kHz, latent before quantisation, {steps:g} a second"
    return Embedder("encodec", about, config.sample_rate, config.dimension, run)


def _open_codec(folder: Path, device: str) -> Any:
    """The codec of a model of gvm, of a Hugging Face folder, or of audiocraft's export."""
    from core.codecs.encodec import Encodec

    if (folder / "model.json").is_file():
        from core.checkpoint import load_codec, read_card

        config = read_card(folder)[0]
        if config.encodec is None:
            raise ModelError(f"{folder} is a model without an EnCodec; take encodec-32khz (gvm models pull)")
        return load_codec(folder, config, device)
    from core.published.importer import read_codec

    settings, state, _ = read_codec(folder)
    return Encodec(settings, state, device)


def _ast(weights: Path, device: str) -> Tagger:
    import torch
    from transformers import ASTFeatureExtractor, ASTForAudioClassification

    model, extractor = _pretrained(
        ASTForAudioClassification, ASTFeatureExtractor, ("audio-spectrogram-transformer",), weights, device
    )
    rate = int(extractor.sampling_rate)
    size = round(AST_WINDOW_SECONDS * rate)

    @torch.inference_mode()
    def run(sound: Float32) -> Float32:
        rows = []
        for part in _batches(_windows(sound, size, size, size // 2)):
            inputs = extractor(part, sampling_rate=rate, return_tensors="pt").to(device)
            rows.append(torch.softmax(model(**inputs).logits.double(), dim=-1).cpu().numpy())
        return np.concatenate(rows).astype(np.float32)

    labels = tuple(str(model.config.id2label[index]) for index in range(model.config.num_labels))
    about = f"AST, softmax over {len(labels)} labels, {AST_WINDOW_SECONDS:g} s windows"
    return Tagger("ast", about, rate, labels, run)


# --- windows and files -------------------------------------------------------------------------------------------


def _windows(sound: Float32, size: int, hop: int, fewest: int) -> Iterator[Float32]:
    """Stretches of `size` samples every `hop`; a shorter rest counts from `fewest` samples on, or when it is all."""
    starts = range(0, max(len(sound) - fewest, 0) + 1, hop)
    for start in starts:
        yield sound[start : start + size]


def _batches(windows: Iterator[Float32]) -> Iterator[Sequence[Float32]]:
    batch: list[Float32] = []
    for window in windows:
        batch.append(window)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _there(path: Path) -> Path:
    if not path.exists():
        raise ModelError(f"{path} isn't there; name the file or folder with the weights")
    return path


def _pretrained(
    model_class: Any, extractor_class: Any, kinds: Sequence[str], folder: Path, device: str
) -> tuple[Any, Any]:
    """(model in float32, ready to use; its feature extractor) of a folder of one of `kinds`. ModelError."""
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    remedy = "fetch the repository again (config.json, preprocessor_config.json, model.safetensors)"
    try:
        kind = json.loads((_there(folder) / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, LookupError, TypeError) as err:
        raise ModelError(f"{folder} holds no config.json that says what it is; {remedy}") from err
    if kind not in kinds:
        raise ModelError(f"{folder} is of a {brief(kind)}, where {kinds[0]} was expected; {remedy}")
    try:
        with _quietly():
            # The tower of sound alone: what the file holds of text is left where it is.
            model, found = model_class.from_pretrained(
                folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
            )
            extractor = extractor_class.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, TypeError, LookupError, AttributeError, SafetensorError,
            StrictDataclassError, pickle.UnpicklingError) as err:  # fmt: skip
        reason = " ".join(str(err).split())[:160]
        raise ModelError(f"{folder} can't be read as a {model_class.__name__} ({reason}); {remedy}") from err
    wrong = sorted([*found["missing_keys"], *(row[0] for row in found["mismatched_keys"])])
    if wrong:
        raise ModelError(
            f"{folder} lacks {len(wrong)} tensors of a {model_class.__name__} ({wrong[0]}); take the repository named "
            "in the documentation"
        )
    return model.eval().requires_grad_(False).to(device), extractor


@contextmanager
def _quietly() -> Iterator[None]:
    """Without transformers' bars and reports; what is wrong with a file is looked at and raised."""
    from transformers.utils import logging as transformers_logging

    logs: Any = transformers_logging
    verbosity, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity(logs.CRITICAL)
    logs.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # AST's mel filters: some are empty, as its authors have them
            yield
    finally:
        logs.set_verbosity(verbosity)
        if bars:
            logs.enable_progress_bar()
