"""MultiBandDiffusion: a tiny checkpoint in the published format goes through audiocraft; what is missing is said."""

from __future__ import annotations

import pickle
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from importlib import util
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from codec_fixtures import TINY, random_state
from tiny_published import CONFIG, write_tiny
from torch import Tensor

from core.codecs import diffusion
from core.codecs.audiocraft_loader import load_audiocraft
from core.codecs.diffusion import WEIGHTS, DiffusionDecoder
from core.codecs.encodec import Encodec
from core.errors import MissingDependencyError, ModelError
from core.published.importer import import_checkpoint
from core.vision.picture import PictureFeatures
from core.waveform import WaveformModel, WaveRequest

needs_audiocraft = pytest.mark.skipif(
    util.find_spec("audiocraft") is None, reason="audiocraft isn't installed (`make audiocraft`)"
)


def write_checkpoint(
    folder: Path, changes: Mapping[Any, Any] = MappingProxyType({}), dimension: int = TINY.dimension
) -> Path:
    """A checkpoint as audiocraft's authors publish it, settings as omegaconf's objects, with tiny random models."""
    load_audiocraft()
    from audiocraft.models import builders
    from omegaconf import OmegaConf

    torch.manual_seed(2)
    package: dict[Any, Any] = {"n_bands": 2, "sample_rate": TINY.sample_rate}
    for band in range(2):
        cfg = OmegaConf.create(
            {
                "channels": 1,
                "num_steps": 1000,
                "schedule": {"beta_t0": 1e-5, "beta_t1": 0.03, "beta_exp": 7.5, "num_steps": "${num_steps}",
                    "variance": "beta", "clip": 5.0, "rescale": 1.0, "repartition": "power", "n_bands": None,
                    "noise_scale": 1.0},
                "diffusion_unet": {"hidden": 4, "depth": 2, "res_blocks": 1, "norm_groups": 4, "kernel": 8,
                    "stride": 4, "growth": 2, "max_channels": 100, "dropout": 0.0, "emb_all_layers": True,
                    "bilstm": True, "codec_dim": dimension, "transformer": False, "cross_attention": False},
                "processor": {"name": "multi_band_processor", "use": band > 0, "n_bands": 4, "num_samples": 10,
                    "power_std": 0.4},
            }
        )  # fmt: skip
        processor = builders.get_processor(cfg.processor, sample_rate=TINY.sample_rate)
        processor.project_sample(torch.randn(12, 1, 4000))  # where it's used, it fits its levels, as training does
        model_state = builders.get_diffusion_model(cfg).state_dict()
        package[band] = {"cfg": cfg, "model_state": model_state, "processor_state": processor.state_dict()}
    package.update(changes)
    torch.save(package, folder / WEIGHTS)
    return folder


@pytest.fixture(scope="module")
def codec() -> Encodec:
    return Encodec(TINY, random_state(TINY))


@pytest.fixture(scope="module")
def decoder(codec: Encodec, tmp_path_factory: pytest.TempPathFactory) -> DiffusionDecoder:
    return DiffusionDecoder(codec, write_checkpoint(tmp_path_factory.mktemp("mbd")))


def random_codes(batch: int, steps: int) -> Tensor:
    return torch.randint(TINY.card, (batch, TINY.codebooks, steps), generator=torch.Generator().manual_seed(4))


@needs_audiocraft
@pytest.mark.parametrize("steps", [1, 7, 40])
def test_it_makes_sound_of_the_codes_length(decoder: DiffusionDecoder, steps: int) -> None:
    told: list[float] = []
    sound = decoder.decode(random_codes(2, steps), progress=told.append)
    assert sound.shape == (2, 1, steps * TINY.hop)
    assert bool(sound.isfinite().all())
    assert told == [0.5, 1.0]


@needs_audiocraft
def test_the_seed_decides_and_leaves_others_dice_alone(decoder: DiffusionDecoder) -> None:
    codes = random_codes(1, 40)
    torch.manual_seed(99)
    first = decoder.decode(codes, seed=5)
    drawn = torch.rand(3)
    torch.manual_seed(99)
    assert torch.equal(torch.rand(3), drawn)
    assert torch.equal(decoder.decode(codes, seed=5), first)
    assert not torch.allclose(decoder.decode(codes, seed=6), first)


@needs_audiocraft
def test_it_is_audiocrafts_own_result(codec: Encodec, decoder: DiffusionDecoder, tmp_path: Path) -> None:
    """The same file loaded by audiocraft's own loader, the same dice, a codec that decodes as ours does."""
    from audiocraft.models.loaders import load_diffusion_models
    from audiocraft.models.multibanddiffusion import DiffusionProcess, MultiBandDiffusion
    from audiocraft.modules.diffusion_schedule import NoiseSchedule
    from omegaconf import base, dictconfig, nodes

    theirs = [dictconfig.DictConfig, base.ContainerMetadata, base.Metadata, nodes.AnyNode, Any]
    theirs += [defaultdict, dict, int, float, str, bool]
    with torch.serialization.safe_globals(theirs):
        loaded = load_diffusion_models(write_checkpoint(tmp_path) / WEIGHTS)
    processes = [
        DiffusionProcess(model.eval(), NoiseSchedule(**cfg.schedule, sample_processor=processor, device="cpu"))
        for model, processor, cfg in zip(*loaded, strict=True)
    ]
    stand_in = SimpleNamespace(
        sample_rate=TINY.sample_rate, parameters=lambda: iter([torch.empty(0)]), decode=codec.decode,
        decode_latent=codec.latent,
    )  # fmt: skip
    codes = random_codes(1, 40)
    torch.manual_seed(5)
    expected = MultiBandDiffusion(processes, stand_in).tokens_to_wav(codes)
    assert float((decoder.decode(codes, seed=5) - expected).abs().max()) < 1e-6


@needs_audiocraft
def test_its_spectrum_is_that_of_the_codecs_sound(codec: Encodec, decoder: DiffusionDecoder) -> None:
    codes = random_codes(1, 400)
    level = decoder.decode(codes).std() / codec.decode(codes).std()
    assert 0.8 < float(level) < 1.25


@needs_audiocraft
def test_long_codes_go_through_in_pieces(decoder: DiffusionDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of bounded length; together they cover all, and nowhere is there a gap."""
    monkeypatch.setattr(diffusion, "PIECE_SECONDS", 100 * TINY.hop / TINY.sample_rate)
    monkeypatch.setattr(diffusion, "OVERLAP_SECONDS", 10 * TINY.hop / TINY.sample_rate)
    lengths: list[int] = []
    monkeypatch.setattr(
        decoder._diffusion, "generate", lambda latent, size: lengths.append(latent.shape[-1]) or torch.ones(size)
    )
    monkeypatch.setattr(decoder._diffusion, "re_eq", lambda made, like: made)
    told: list[float] = []
    sound = decoder.decode(random_codes(1, 333), progress=told.append)
    assert max(lengths) <= 100
    assert sum(lengths) == 333 + 10 * (len(lengths) - 1)
    assert len(told) == len(lengths) == 4
    assert torch.allclose(sound, torch.ones_like(sound))


@needs_audiocraft
def test_a_model_sounds_with_it(tmp_path: Path) -> None:
    """Of the same codes the two decoders make sound of the same length that isn't the same."""
    folder = import_checkpoint(write_tiny(tmp_path / "published"), tmp_path / "tiny", "tiny").folder
    codec = CONFIG.encodec
    assert codec is not None
    diffusion = write_checkpoint(tmp_path, dimension=codec.dimension)
    codes = np.random.default_rng(0).integers(0, codec.card, (codec.codebooks, 30))
    features = PictureFeatures(np.zeros(0), np.zeros((0, 1, 24), np.float32))
    request = WaveRequest(features, lead_seconds=0.0, samples=28_000, seed=3)
    own = WaveformModel(folder, precision="fp32").play(codes, request)
    finer = WaveformModel(folder, precision="fp32", diffusion=diffusion).play(codes, request)
    assert own.shape == finer.shape == (2, 28_000)
    assert np.isfinite(finer).all()
    assert float(finer.std()) > 0
    assert not np.allclose(own, finer)


# --- what is missing or wrong is said ------------------------------------------------------------------------------


def complaint(caught: pytest.ExceptionInfo[Any]) -> str:
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_without_weights(codec: Encodec, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gvm models pull mbd-musicgen-32khz") as caught:
        DiffusionDecoder(codec, tmp_path)
    assert str(tmp_path / WEIGHTS) in complaint(caught)


def test_without_audiocraft(codec: Encodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "audiocraft.models", None)
    with pytest.raises(MissingDependencyError, match="make audiocraft") as caught:
        DiffusionDecoder(codec, tmp_path)
    complaint(caught)


@needs_audiocraft
def test_damaged_weights(codec: Encodec, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path) / WEIGHTS
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ModelError, match="damaged") as caught:
        DiffusionDecoder(codec, tmp_path)
    complaint(caught)
    torch.save({"something": 1}, path)
    with pytest.raises(ModelError, match="isn't MultiBandDiffusion's") as caught:
        DiffusionDecoder(codec, tmp_path)
    complaint(caught)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(Malicious.target),)

    target = ""


@needs_audiocraft
@pytest.mark.parametrize("form", ["archive", "bare"])
def test_code_in_the_file_is_not_run(codec: Encodec, tmp_path: Path, form: str) -> None:
    Malicious.target = str(tmp_path / "ran")
    if form == "archive":
        torch.save({"n_bands": 1, "sample_rate": 32000, 0: Malicious()}, tmp_path / WEIGHTS)
    else:
        (tmp_path / WEIGHTS).write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ModelError, match=r"refused|damaged") as caught:
        DiffusionDecoder(codec, tmp_path)
    complaint(caught)
    assert not (tmp_path / "ran").exists()


@needs_audiocraft
@pytest.mark.parametrize(
    ("changes", "said"),
    [({"sample_rate": 24000}, "24000 Hz"), ({"n_bands": 5}, "lacks the settings"), ({1: {}}, "lacks the settings")],
)
def test_weights_for_something_else(codec: Encodec, tmp_path: Path, changes: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        DiffusionDecoder(codec, write_checkpoint(tmp_path, changes))
    complaint(caught)


@needs_audiocraft
def test_weights_for_another_latent_or_with_a_tensor_missing(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    wider = replace(TINY, dimension=8)
    with pytest.raises(ModelError, match=r"latent is 6 wide.*is 8") as caught:
        DiffusionDecoder(Encodec(wider, random_state(wider)), tmp_path)
    complaint(caught)
    package = torch.load(tmp_path / WEIGHTS, weights_only=False)  # our own, from above
    del package[0]["model_state"]["embedding.weight"]
    torch.save(package, tmp_path / WEIGHTS)
    with pytest.raises(ModelError, match="band 0 can't be loaded") as caught:
        DiffusionDecoder(Encodec(TINY, random_state(TINY)), tmp_path)
    complaint(caught)
