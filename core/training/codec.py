"""Training of a small EnCodec on a folder of sounds: waveform -> a few codebooks a step -> waveform.

The architecture is `core.codecs.encodec_files.build`'s, so what comes out is read by `core.codecs.encodec.Encodec`.
Losses: squared error of the waveform, multi-scale mel distance, commitment. The mel distance comes in with the codes:
from the first step on it has the decoder make noise of the right colour, and within minutes nothing leads from there
to the right waveform (docs/it-learns.md). No adversarial loss: at this size it would cost half of the time, and what
it mends (a metallic sheen) isn't what this codec lacks most.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from core.checkpoint import sha256
from core.codecs.encodec import Encodec
from core.codecs.encodec_files import build
from core.config import CodecConfig
from core.errors import DeliveryError, MediaError, ModelError
from core.training.codebooks import CodebookRecipe, LearningQuantizer, perplexity
from core.training.codec_loss import mel_distance, relative_error, si_sdr, spectral_loss
from core.training.codec_sounds import Excerpts, Sound, read_sounds
from core.training.codec_start import start_from_data
from core.training.manifest import CodecInfo

SMALL_CODEC: Final = CodecConfig(
    sample_rate=16_000, codebooks=4, card=256, dimension=64, filters=8, ratios=(8, 5, 4, 2), lstm_layers=1
)  # 50 steps a second, 1.6 kbit/s
WEIGHTS: Final = "codec.safetensors"
DESCRIPTION: Final = "codec.json"

_COMMITMENT = 0.1  # weight of this loss; that of the waveform is 1
_SPECTRAL = 0.2  # likewise, once there are codes
_FLUENT = 0.3  # share of the training before anything is quantised
_GATHERED = 12  # batches whose latents k-means starts from
_MEASURED, _MEASURED_SECONDS = 32, 10  # held-out sounds, and how much of each, that the report is about

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class CodecRecipe:
    """How long and how a codec learns. It ends after `minutes` or `steps`, whichever comes first (None: no limit)."""

    minutes: float | None = 20.0
    steps: int | None = None
    batch: int = 6
    excerpt_seconds: float = 1.0
    learning_rate: float = 1e-3
    clip_norm: float = 1.0
    codebooks: CodebookRecipe = field(default_factory=CodebookRecipe)
    most_hours: float = 4.0  # of sound that are read
    seed: int = 1

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ValueError("a codec's training needs an end: minutes or steps")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise ValueError(f"minutes is {self.minutes}; a codec's training takes more than 0, and not for ever")
        if self.batch < 1 or self.excerpt_seconds <= 0 or self.learning_rate <= 0:
            raise ValueError("a codec's batch, excerpts and learning rate must be above 0")


@dataclass(frozen=True)
class CodecReport:
    """What was trained, and how good it is on sounds it hasn't heard.

    si_sdr_db, mel_db: means of held-out sounds with the first 1, 2, ... K codebooks. used, perplexity: per codebook,
    share of entries that occur and exp of the codes' entropy.
    """

    steps: int
    seconds: float
    parameters: int
    hours_heard: float
    si_sdr_db: list[float]
    mel_db: list[float]
    used: list[float]
    perplexity: list[float]
    revived: int


def train_codec(
    sounds: Path,
    folder: Path,
    config: CodecConfig = SMALL_CODEC,
    recipe: CodecRecipe | None = None,
    progress: Progress | None = None,
) -> CodecReport:
    """Train a codec on everything in the folder `sounds` (see `read_sounds`) and write it into `folder`.

    Written: codec.safetensors, codec.json (config, report), log.jsonl (a line every 50 steps). The weights so far are
    kept every two minutes. `progress` is told the share done and a line.
    DeliveryError where `folder` holds a trained codec; MediaError where there are no sounds; ModelError where the loss
    is no number.
    """
    recipe = recipe or CodecRecipe()
    _refuse_to_replace(folder)
    train, held_out = read_sounds(sounds, config.sample_rate, recipe.most_hours)
    held_out = [sound for sound in held_out if len(sound) >= config.hop]
    if not held_out:
        raise MediaError(
            f"{sounds}: none of the sounds that are held out is as long as a step of codes ({config.hop} samples at "
            f"{config.sample_rate} Hz); add longer ones"
        )
    folder.mkdir(parents=True, exist_ok=True)
    trainer = CodecTrainer(train, config, recipe)
    kept = time.monotonic()
    with (folder / "log.jsonl").open("w", encoding="utf-8") as log:
        while trainer.share < 1.0:
            row = trainer.step()
            if trainer.steps % 50 == 1:
                log.write(json.dumps(row) + "\n")
                log.flush()
                if progress is not None:
                    progress(trainer.share, f"step {trainer.steps}: waveform {row['waveform']:.3f}")
            if time.monotonic() - kept > 120:
                save_codec(folder, config, trainer.state())
                kept = time.monotonic()
    save_codec(folder, config, trainer.state())
    report = trainer.report(held_out)
    save_codec(folder, config, trainer.state(), dataclasses.asdict(report))
    return report


def _refuse_to_replace(folder: Path) -> None:
    """DeliveryError where the training of a codec in `folder` came to its end; what was stopped may be begun again."""
    try:
        about = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if isinstance(about, dict) and about.get("report"):
        raise DeliveryError(
            f"{folder}: holds a trained codec, which data sets may have been built with; name another folder (--out)"
        )


class CodecTrainer:
    """A codec in training: `step` until `share` is 1."""

    def __init__(self, sounds: list[Sound], config: CodecConfig, recipe: CodecRecipe) -> None:
        self.config, self.recipe = config, recipe
        torch.manual_seed(recipe.seed)
        self._rng = np.random.default_rng(recipe.seed)
        # Whole code steps, so that what is decoded is as long as what was encoded.
        samples = max(1, round(recipe.excerpt_seconds * config.sample_rate / config.hop)) * config.hop
        self._excerpts = Excerpts(sounds, samples)
        self._hours = sum(map(len, self._excerpts.sounds)) / config.sample_rate / 3600
        self._model: Any = build(config).train()
        start_from_data(self._model, self._excerpts.batch(recipe.batch, self._rng))
        generator = torch.Generator().manual_seed(recipe.seed)
        self._quantizer = LearningQuantizer(self._model.quantizer, recipe.codebooks, generator)
        self._optimiser = torch.optim.Adam(self._model.parameters(), lr=recipe.learning_rate, betas=(0.8, 0.99))
        self._started = time.monotonic()
        self._quantised = False
        self.steps = 0

    @property
    def share(self) -> float:
        """How much of the training is done, 0..1."""
        steps = 0.0 if self.recipe.steps is None else self.steps / self.recipe.steps
        minutes = self.recipe.minutes
        spent = 0.0 if minutes is None else (time.monotonic() - self._started) / 60 / max(minutes, 1e-9)
        return min(1.0, max(steps, spent))

    def step(self) -> dict[str, float]:
        """One update; the losses before it."""
        share = self.share
        rate = self.recipe.learning_rate * min(1.0, (self.steps + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * share))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        if not self._quantised and share >= _FLUENT:
            self._quantizer.start(self._latents())
            self._quantised = True
        sound = self._excerpts.batch(self.recipe.batch, self._rng)
        latent = self._model.encoder(sound)
        commitment = latent.new_zeros(())
        if self._quantised:
            spread = latent.detach().var(dim=2).mean()
            latent, _, commitment = self._quantizer(latent)
            commitment = commitment / spread.clamp(min=1e-6)
        made = self._model.decoder(latent)
        waveform = relative_error(made, sound)
        loss = waveform + _COMMITMENT * commitment
        spectral = loss.new_zeros(())
        if self._quantised:
            spectral = spectral_loss(made, sound, self.config.sample_rate)
            loss = loss + _SPECTRAL * spectral
        if not math.isfinite(float(loss.detach())):
            raise ModelError(f"the codec's loss is no number at step {self.steps}: lower the learning rate")
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self.recipe.clip_norm)
        self._optimiser.step()
        self.steps += 1
        return {
            "step": self.steps,
            "seconds": round(time.monotonic() - self._started, 1),
            "spectral": round(float(spectral.detach()), 4),
            "waveform": round(float(waveform.detach()), 5),
            "commitment": round(float(commitment.detach()), 4),
            "revived": self._quantizer.revived,
        }

    def state(self) -> dict[str, Tensor]:
        """The weights so far, in transformers' names."""
        return {name: value.detach().clone() for name, value in self._model.state_dict().items()}

    def report(self, held_out: list[Sound]) -> CodecReport:
        """How good the codec is now on `held_out` sounds."""
        codec = Encodec(self.config, self.state())
        some = held_out[:: max(1, len(held_out) // _MEASURED)][:_MEASURED]
        measures = measure(codec, [sound[: _MEASURED_SECONDS * self.config.sample_rate] for sound in some])
        parameters = sum(p.numel() for p in self._model.parameters())
        seconds = round(time.monotonic() - self._started, 1)
        return CodecReport(
            self.steps, seconds, parameters, round(self._hours, 2), **measures, revived=self._quantizer.revived
        )

    @torch.no_grad()
    def _latents(self) -> Tensor:
        """Latents [n, D] of some batches."""
        size = self.recipe.batch
        given = [self._model.encoder(self._excerpts.batch(size, self._rng)) for _ in range(_GATHERED)]
        return torch.cat([latent.transpose(1, 2).flatten(0, 1) for latent in given])


def measure(codec: Encodec, sounds: list[Sound]) -> dict[str, list[float]]:
    """Fields `si_sdr_db`, `mel_db`, `used` and `perplexity` of a `CodecReport` on these sounds."""
    books = codec.config.codebooks
    ratios, distances = np.zeros((len(sounds), books)), np.zeros((len(sounds), books))
    codes: list[Tensor] = []
    for row, sound in enumerate(sounds):
        given = torch.from_numpy(sound[: len(sound) // codec.config.hop * codec.config.hop] / 32768.0).float()
        given = given[None, None]
        codes.append(codec.encode(given))
        for count in range(1, books + 1):
            made = codec.decode(codes[-1][:, :count])
            ratios[row, count - 1] = float(si_sdr(made, given))
            distances[row, count - 1] = mel_distance(made, given, codec.config.sample_rate)
    usage = [perplexity(torch.cat([c[0, book] for c in codes]), codec.config.card) for book in range(books)]
    return {
        "si_sdr_db": [round(float(v), 2) for v in ratios.mean(axis=0)],
        "mel_db": [round(float(v), 2) for v in distances.mean(axis=0)],
        "used": [round(share, 3) for share, _ in usage],
        "perplexity": [round(many, 1) for _, many in usage],
    }


def save_codec(
    folder: Path, config: CodecConfig, state: dict[str, Tensor], report: dict[str, Any] | None = None
) -> None:
    """Write a codec's weights and description into `folder`, each whole or not at all."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{WEIGHTS}.partial"
    save_file({name: value.contiguous() for name, value in state.items()}, partial)
    partial.chmod(0o644)  # safetensors writes for the owner alone
    about = folder / f"{DESCRIPTION}.partial"
    about.write_text(json.dumps({"config": dataclasses.asdict(config), "report": report}, indent=2) + "\n")
    os.replace(partial, folder / WEIGHTS)
    os.replace(about, folder / DESCRIPTION)


def load_codec(folder: Path) -> tuple[CodecConfig, dict[str, Tensor]]:
    """Config and state dict, in transformers' names, of the codec that `train_codec` wrote into `folder`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        settings = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["config"]
        config = CodecConfig(**dict(settings, ratios=tuple(settings["ratios"])))
        return config, load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as err:
        reason = " ".join(str(err).split())[:160]
        raise ModelError(f"{folder} holds no trained codec ({reason}): train one (gvm train codec)") from err


def codec_info(folder: Path) -> CodecInfo:
    """What a data set says of the codec in `folder`; ModelError where there is none."""
    config, _ = load_codec(folder)
    return CodecInfo(sha256(folder / WEIGHTS), config.sample_rate, config.hop, config.codebooks, config.card)
