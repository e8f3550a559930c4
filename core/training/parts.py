"""What a recipe is about: the model's settings and first weights, its frozen tower and codec, the licence of it all.

Everything that can be told from descriptions and file headers is told first (`plan_model`), before weights are read.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from core import checkpoint
from core.config import CodecConfig, DecoderConfig, FeatureConfig, ModelConfig, published, starter
from core.errors import ModelError, TrainingError
from core.model import GVMGen
from core.training.codec import DESCRIPTION as CODEC_DESCRIPTION
from core.training.manifest import CodecInfo
from core.training.recipe import ModelRecipe

if TYPE_CHECKING:
    from core.vision.tower import Tower

NON_COMMERCIAL: Final = "CC-BY-NC-4.0"  # of MusicGen's weights and of EnCodec's for it
OWN: Final = "LicenseRef-own"  # of what was trained from nothing, on one's own films


@dataclass(frozen=True)
class CodecFiles:
    """A codec as it lies on disk. digests: hashes by which data sets may know it. licence: None where nobody says."""

    path: Path
    config: CodecConfig
    digests: frozenset[str]
    licence: str | None

    @cached_property
    def state(self) -> dict[str, Tensor]:
        """Its weights, in transformers' names."""
        return _read_codec(self.path)[1]


def find_codec(path: Path) -> CodecFiles:
    """The codec in a folder of `gvm train codec`, a model folder, a Hugging Face folder, or a published file."""
    if not path.exists():
        raise ModelError(f"{path}: there is no such codec; name the one that the data set was built with (model.codec)")
    files = [path] if path.is_file() else [p for p in path.iterdir() if p.suffix in (".safetensors", ".bin")]
    digests = frozenset(checkpoint.sha256(file) for file in files if file.name != checkpoint.MODEL or not _own(path))
    if path.is_dir() and _own(path):
        config, card, _ = checkpoint.read_card(path)
        if config.encodec is None:
            raise ModelError(f"{path} is a model without a waveform codec; name one that has EnCodec (model.codec)")
        return CodecFiles(path, config.encodec, digests, card.licence)
    licence: str | None = NON_COMMERCIAL  # who publishes such files does it so
    if path.is_dir() and (path / CODEC_DESCRIPTION).is_file():
        licence = None
    elif path.is_dir() and (path / "source.json").is_file():
        licence = str(json.loads((path / "source.json").read_text(encoding="utf-8")).get("licence", licence))
    return CodecFiles(path, _read_codec(path)[0], digests, licence)


def _own(path: Path) -> bool:
    return (path / checkpoint.DESCRIPTION).is_file()


def _read_codec(path: Path) -> tuple[CodecConfig, dict[str, Tensor]]:
    if path.is_dir() and (path / CODEC_DESCRIPTION).is_file():
        from core.training.codec import load_codec

        return load_codec(path)
    if path.is_dir() and _own(path):
        config = checkpoint.read_card(path)[0].encodec
        assert config is not None, "looked at before"
        about = json.loads((path / checkpoint.DESCRIPTION).read_text(encoding="utf-8"))
        digest = str(about.get("files", {}).get(checkpoint.CODEC, ""))
        return config, checkpoint.read_weights(path / checkpoint.CODEC, digest, None, dtype=None)
    from core.published.importer import read_codec

    return read_codec(path)[:2]


@dataclass(frozen=True)
class ModelPlan:
    """A model before its weights are read. start: the model folder it goes on from."""

    recipe: ModelRecipe
    config: ModelConfig
    codec: CodecFiles | None
    start: Path | None

    def licence(self) -> tuple[str, bool]:
        """Licence of what will be trained, and whether it may earn money: the strictest of what it is made of."""
        cards = [checkpoint.read_card(self.start)[1]] if self.start else []
        licences = [(card.licence, card.commercial_use) for card in cards]
        if self.recipe.musicgen:
            licences.append((NON_COMMERCIAL, False))
        if self.codec is not None and self.codec.licence is not None:
            licences.append((self.codec.licence, "-NC" not in self.codec.licence.upper()))
        for licence, commercial in licences:
            if not commercial:
                return licence, False
        return self.recipe.licence or OWN, True


def plan_model(recipe: ModelRecipe, codec: CodecInfo | None, find: Any = Path) -> ModelPlan:
    """The model that a recipe asks for, on data with `codec` (None: the score codec). No weights are read.

    find: name or path -> path of a model, so that installed ones have names. ModelError, TrainingError.
    """
    start = find(recipe.start_from) if recipe.start_from else None
    config = checkpoint.read_card(start)[0] if start else None
    files: CodecFiles | None = None
    if codec is not None:
        named = find(recipe.codec) if recipe.codec else start if config and config.encodec else None
        if named is None:
            raise TrainingError("the recipe names no codec; add the folder the data set was built with: --codec FOLDER")
        files = find_codec(named)
        _check_codec(files, codec)
    if config is None:
        config = _scaled(recipe, files)
    changed = replace(
        config,
        features=_changed(config.features, recipe.features, "model.features"),
        decoder=_changed(config.decoder, recipe.decoder, "model.decoder"),
    )
    if start is None and changed.tower is not None and not recipe.clip:
        raise TrainingError(
            f"a model of scale {recipe.scale!r} looks through CLIP's frozen tower, whose weights it needs: "
            "gvm models pull clip-vit-l-14-336, then --init-clip clip-vit-l-14-336"
        )
    for name, path in (("musicgen", recipe.musicgen), ("clip", recipe.clip)):
        if path and not find(path).exists():
            raise TrainingError(f"{path}: there is no such file or folder (model.{name}); check the path")
    return ModelPlan(_found(recipe, find), changed, files, start)


def _found(recipe: ModelRecipe, find: Any) -> ModelRecipe:
    musicgen, clip = (str(find(name)) if name else "" for name in (recipe.musicgen, recipe.clip))
    return replace(recipe, musicgen=musicgen, clip=clip)


def _check_codec(files: CodecFiles, wanted: CodecInfo) -> None:
    """TrainingError where the data set's codes are of another codec."""
    config = files.config
    have = (config.sample_rate, config.hop, config.codebooks, config.card)
    need = (wanted.sample_rate, wanted.hop, wanted.codebooks, wanted.card)
    if have != need:
        raise TrainingError(
            f"{files.path} is not the data set's codec: it has {have[2]} codebooks of {have[3]} every {have[1]} "
            f"samples at {have[0]} Hz, the codes are {need[2]} of {need[3]} every {need[1]} at {need[0]} Hz; name the "
            "codec the data set was built with (--codec), or build it again with this one"
        )
    if files.digests and wanted.sha256 not in files.digests:
        raise TrainingError(
            f"{files.path} is as large as the data set's codec but has other weights (hash differs); name the one it "
            "was built with (--codec), or build the data set again"
        )


def _scaled(recipe: ModelRecipe, codec: CodecFiles | None) -> ModelConfig:
    """The model of a scale, for the data's codec."""
    if recipe.scale == "starter":
        if codec is not None:
            raise TrainingError("the starter writes scores, and the data set holds sound; take --model-scale waveform")
        from core.starter.controls import CHANNELS
        from core.vision.descriptors import CHANNELS as PATCH_CHANNELS

        lags = max(starter(1, 1).decoder.delays) + 1
        return starter(PATCH_CHANNELS, CHANNELS * lags)
    if codec is None:
        raise TrainingError(f"scale {recipe.scale!r} writes sound, and pieces are scores; take --model-scale starter")
    if recipe.scale == "waveform":
        return waveform(codec.config)
    size = published("small" if recipe.scale == "small" else "large")
    books, card = codec.config.codebooks, codec.config.card
    decoder = replace(size.decoder, streams=books, card=card, delays=tuple(range(books)))
    return replace(size, encodec=codec.config, decoder=decoder)


def waveform(codec: CodecConfig) -> ModelConfig:
    """A small model that sees patch descriptors, knows when each was seen, and writes codes of any codec."""
    from core.vision.descriptors import CHANNELS, FEATURE_SECONDS

    features = FeatureConfig(CHANNELS, width=64, heads=4, layers=2, out_channels=128, residual=True, eps=1e-5)
    decoder = DecoderConfig(
        dim=256, heads=8, layers=6, streams=codec.codebooks, card=codec.card, delays=tuple(range(codec.codebooks)),
        position="rotary", temporal_position=True,
    )  # fmt: skip
    seen = round(1 / FEATURE_SECONDS)
    return ModelConfig("descriptors", "encodec", features, decoder, encodec=codec, frames_per_second=seen)


def _changed(config: Any, settings: dict[str, Any], name: str) -> Any:
    """`config` with other settings; ValueError where it has none of that name."""
    known = {field.name for field in dataclasses.fields(config)}
    if unknown := settings.keys() - known:
        raise ValueError(f"{name}.{sorted(unknown)[0]} is no setting; there are {', '.join(sorted(known))}")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    return replace(config, **given)


@dataclass(frozen=True)
class Built:
    """A model ready to train. fresh: names of what starts from random numbers; taken: from a file."""

    model: GVMGen
    tower: Tower | None
    fresh: list[str]
    taken: list[str]


def build_model(plan: ModelPlan, seed: int) -> Built:
    """Read or draw the first weights. Random numbers follow from the seed."""
    torch.manual_seed(seed)
    if plan.start is not None:
        return _go_on(plan, plan.start)
    from core.published.initial import initial_weights

    musicgen, clip = (Path(p) if p else None for p in (plan.recipe.musicgen, plan.recipe.clip))
    first = initial_weights(plan.config, musicgen, clip)
    return Built(first.model.train(), first.tower, first.fresh, first.taken)


def _go_on(plan: ModelPlan, start: Path) -> Built:
    """The model of a folder; where settings were changed, what still fits is taken and the rest drawn."""
    kept, _, _ = checkpoint.load(start)
    model = GVMGen(plan.config)
    own, given = model.state_dict(), kept.state_dict()
    taken = [name for name, value in own.items() if name in given and given[name].shape == value.shape]
    with torch.no_grad():
        for name in taken:
            own[name].copy_(given[name])
    tower = checkpoint.load_tower(start, plan.config) if plan.config.tower is not None else None
    return Built(model.train(), tower, sorted(own.keys() - set(taken)), taken)
