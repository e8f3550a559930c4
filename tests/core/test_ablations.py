"""Every switch of the paper's ablation table, and our temporal position: the model builds, learns and writes codes.

Published as in the paper's Table 5: number of queries, how they are pooled, the temporal cross-attention, the feature
transformation, the vision encoder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from core.config import DecoderConfig, ModelConfig, TowerConfig, starter, tiny
from core.engine import Engine, Job, Sampling
from core.model import GVMGen
from core.vision.build import new_tower
from core.vision.tower import TowerFrames
from core.windows import plan_windows

FRAMES, STEPS, PATCHES = 5, 12, 6
CLIP = TowerConfig(width=8, layers=1, heads=1, patch=7, resolution=14)
VIVIT = TowerConfig(width=8, layers=1, heads=1, patch=7, resolution=14, frames_at_once=4, tubelet=2)

BASE = tiny()


def features(**changes: object) -> ModelConfig:
    return replace(BASE, features=replace(BASE.features, **changes))


def decoder(**changes: object) -> ModelConfig:
    return replace(BASE, decoder=replace(BASE.decoder, **changes))


SWITCHES = {
    "4 queries": features(queries=4),
    "8 queries": features(queries=8),
    "16 queries": features(queries=16),
    "32 queries": features(queries=32),
    "mean": features(pooling="mean"),
    "sum": features(pooling="sum"),
    "no pooling": features(pooling="none"),
    "no temporal cross-attention": decoder(temporal_cross_attention=False),
    "no feature transformation": features(transformation="none"),
    "CLIP": replace(BASE, vision="clip", tower=CLIP),
    "ViViT": replace(BASE, vision="vivit", tower=VIVIT),
    "temporal position": decoder(temporal_position=True),
    "temporal position, no pooling": replace(features(pooling="none"), decoder=decoder(temporal_position=True).decoder),
    "no pooling, no temporal cross-attention": replace(
        features(pooling="none"), decoder=decoder(temporal_cross_attention=False).decoder
    ),
}
every_switch = pytest.mark.parametrize("config", SWITCHES.values(), ids=SWITCHES.keys())


def make(config: ModelConfig) -> GVMGen:
    torch.manual_seed(0)
    return GVMGen(config)


def seen() -> Tensor:
    """Patches [2, F, P, C] of two films."""
    return torch.randn(2, FRAMES, PATCHES, 8, generator=torch.Generator().manual_seed(1))


def loss_of(model: GVMGen, patches: Tensor) -> Tensor:
    """Cross-entropy per stream of fixed codes under these pictures, one frame missing in the second film."""
    config = model.config.decoder
    random = torch.Generator().manual_seed(2)
    codes = torch.randint(0, config.card, (2, config.streams, STEPS), generator=random)
    times = torch.arange(FRAMES).expand(2, -1).float()
    present = torch.tensor([[True] * FRAMES, [True] * (FRAMES - 1) + [False]])
    step_times = torch.linspace(0, FRAMES, STEPS + config.longest_delay).expand(2, -1)
    return model.loss(patches, times, present, codes, torch.ones(2, STEPS, dtype=torch.bool), None, step_times)


def write(model: GVMGen, condition: np.ndarray, times: np.ndarray) -> np.ndarray:
    seconds = np.linspace(0, FRAMES, STEPS + 1)
    job = Job(condition, times, seconds, plan_windows(seconds, 3.0, 1.0), seed=3)
    (codes,) = Engine(model.decoder, Sampling(guidance=2.0, top_k=5)).generate([job])
    return codes


@every_switch
def test_it_learns(config: ModelConfig) -> None:
    """Its loss is a number, every parameter has a gradient, and following it lowers the loss."""
    model = make(config)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(4):
        loss = loss_of(model, seen()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert [name for name, grad in grads.items() if grad is None or not bool(grad.isfinite().all())] == []


@every_switch
def test_its_settings_go_through_json(config: ModelConfig) -> None:
    again = ModelConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config
    make(again).load_state_dict(make(config).state_dict())


@every_switch
def test_it_writes_codes(config: ModelConfig) -> None:
    model = make(config).eval()
    with torch.no_grad():
        condition = model.condition(seen()[:1])[0].reshape(FRAMES, config.features.vectors, -1)
    codes = write(model, condition.numpy(), np.arange(FRAMES, dtype=np.float64))
    assert codes.shape == (config.decoder.streams, STEPS)
    assert codes.min() >= 0 and codes.max() < config.decoder.card
    other = write(model, 3 - 4 * condition.numpy(), np.arange(FRAMES, dtype=np.float64))
    assert not np.array_equal(codes, other), "the picture doesn't matter"


@pytest.mark.parametrize("name", ["CLIP", "ViViT"])
@pytest.mark.parametrize("change", [{}, {"pooling": "none"}, {"transformation": "none"}], ids=str)
def test_from_a_films_frames_to_codes(name: str, change: dict[str, str]) -> None:
    config = SWITCHES[name]
    config = replace(config, features=replace(config.features, **change))
    model = make(config).eval()
    encoder = TowerFrames(new_tower(config).eval(), model.features, config.frames_per_second)
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 20, 30, 3), dtype=np.uint8)
    for second, frame in enumerate(frames):
        encoder.push(second, frame)
    pictures = encoder.finish()
    assert pictures.values.shape == (len(pictures.times), config.features.vectors, config.features.out_channels)
    assert write(model, pictures.values, pictures.times).shape == (config.decoder.streams, STEPS)


# --- what the switches mean ------------------------------------------------------------------------------------------


def logits_of(model: GVMGen, change: Callable[[Tensor], Tensor] = lambda patches: patches) -> Tensor:
    """Losses under the pictures changed, all frames present: a fingerprint of the logits."""
    config = model.config.decoder
    codes = torch.randint(0, config.card, (2, config.streams, STEPS), generator=torch.Generator().manual_seed(2))
    times = torch.arange(FRAMES).expand(2, -1).float()
    valid, present = torch.ones(2, STEPS, dtype=torch.bool), torch.ones(2, FRAMES, dtype=torch.bool)
    step_times = torch.linspace(0, FRAMES, STEPS + config.longest_delay).expand(2, -1)
    with torch.no_grad():
        return model.loss(change(seen()), times, present, codes, valid, None, step_times)


@pytest.mark.parametrize("name", ["mean", "no pooling", "no temporal cross-attention"])
def test_frames_are_an_unordered_set_as_published(name: str) -> None:
    model = make(SWITCHES[name]).eval()
    torch.testing.assert_close(logits_of(model, lambda patches: patches.flip(1)), logits_of(model))
    assert not torch.allclose(logits_of(model, lambda patches: 2 * patches), logits_of(model))


@pytest.mark.parametrize("name", ["temporal position", "temporal position, no pooling"])
def test_with_temporal_position_their_order_counts(name: str) -> None:
    model = make(SWITCHES[name]).eval()
    assert not torch.allclose(logits_of(model, lambda patches: patches.flip(1)), logits_of(model))


def test_without_temporal_cross_attention_there_are_no_weights_of_it() -> None:
    names = [name for name, _ in make(SWITCHES["no temporal cross-attention"]).decoder.named_parameters()]
    assert not any("cross" in name for name in names)
    with pytest.raises(ValueError, match="temporal position"):
        DecoderConfig(32, 4, 2, temporal_cross_attention=False, temporal_position=True)


def test_the_starter_has_temporal_position_and_the_published_models_have_none() -> None:
    from core.config import published

    assert starter(16, 4).decoder.temporal_position
    assert not published("small").decoder.temporal_position and not published("large").decoder.temporal_position
