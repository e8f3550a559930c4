"""The feature transformation: equal to the published one; every setting of it gives its shape and learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from parity import TOLERANCE, every, parity
from torch import Tensor

from core.config import FeatureConfig, Pooling, published
from core.features import FeatureTransformation, pool
from core.published.geometry import feature_config
from core.published.names import to_ours
from core.published.reader import read_gvmgen

BASE = FeatureConfig(patch_channels=10, width=16, heads=2, queries=4, layers=3, out_channels=12)


def make(config: FeatureConfig) -> FeatureTransformation:
    torch.manual_seed(0)
    return FeatureTransformation(config)


def patches(frames: int = 5, channels: int = 10) -> Tensor:
    return torch.randn(2, frames, 9, channels, generator=torch.Generator().manual_seed(3))


def as_published(name: str) -> FeatureTransformation:
    checkpoint = read_gvmgen(parity(name).folder / "state_dict.bin")
    features = FeatureTransformation(feature_config(checkpoint))
    state = {key: value.float() for key, value in to_ours(checkpoint.state).model.items()}
    features.load_state_dict(
        {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
    )
    return features.eval()


# --- equal to the published code -----------------------------------------------------------------------------------


@every
@torch.no_grad()
def test_the_first_layer_is_the_published_one(name: str) -> None:
    expected, features = parity(name).expected, as_published(name)
    tokens = expected["vit_tokens"]
    first = features.layers[0](features.query_norm(features.query_tokens).expand(len(tokens), -1, -1), tokens)
    torch.testing.assert_close(first, expected["qformer_layer0_out"], atol=TOLERANCE, rtol=0)


@every
@torch.no_grad()
def test_queries_and_their_pooling_are_the_published_ones(name: str) -> None:
    expected, features = parity(name).expected, as_published(name)
    queries = features.queries(expected["vit_tokens"])
    torch.testing.assert_close(queries, expected["qformer_out"], atol=TOLERANCE, rtol=0)
    pooled = pool(queries, features.config.pooling)[:, 0]
    torch.testing.assert_close(pooled, expected["pooled_pre_ln"], atol=TOLERANCE, rtol=0)


@every
@torch.no_grad()
def test_conditioning_is_the_published_one(name: str) -> None:
    """Of both videos, from their frames' tokens on."""
    from core.published.geometry import tower_config
    from core.vision.clip import ClipTower

    fixture, features = parity(name), as_published(name)
    checkpoint = read_gvmgen(fixture.folder / "state_dict.bin")
    tower = ClipTower(tower_config(checkpoint.state, checkpoint.path))
    tower.load_state_dict({key: value.float() for key, value in to_ours(checkpoint.state).vision.items()})
    tokens = torch.stack([tower.eval()(fixture.inputs[video]) for video in ("video", "video_b")])
    torch.testing.assert_close(features(tokens), fixture.expected["pooled"], atol=TOLERANCE, rtol=0)


def test_the_fixtures_differ_where_it_matters() -> None:
    """So that the tests above hold for every way the published settings can be."""
    seen = [as_published(name).config for name in ("mean16", "one", "sum4")]
    assert [config.queries for config in seen] == [16, 1, 4]
    assert [config.pooling for config in seen] == ["mean", "mean", "sum"]
    assert [config.cross_every for config in seen] == [2, 1, 2]
    assert len({config.eps for config in seen}) == 2


# --- every setting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "sum", "none"])
@pytest.mark.parametrize("queries", [1, 4, 8, 16, 32])
def test_shape_and_gradient(queries: int, pooling: Pooling, residual: bool) -> None:
    config = replace(BASE, queries=queries, pooling=pooling, residual=residual)
    features = make(config)
    out = features(patches())
    assert config.vectors == (queries if pooling == "none" else 1)
    assert out.shape == (2, 5 * config.vectors, 12)
    out.square().mean().backward()
    grads = {name: parameter.grad for name, parameter in features.named_parameters()}
    assert all(grad is not None and bool(grad.isfinite().all()) for grad in grads.values())
    assert float(grads["query_tokens"].abs().max()) > 0
    assert float(grads["layers.0.cross_attention.in_proj_weight"].abs().max()) > 0


def test_frames_are_read_apart() -> None:
    features, seen = make(BASE).eval(), patches()
    with torch.no_grad():
        whole = features(seen)
        torch.testing.assert_close(features(seen[:, 2:3]), whole[:, 2:3])
        torch.testing.assert_close(features(seen.flip(1)), whole.flip(1))


def test_vectors_of_a_frame_lie_together() -> None:
    features = make(replace(BASE, pooling="none")).eval()
    with torch.no_grad():
        whole = features(patches())
        torch.testing.assert_close(whole.reshape(2, 5, 4, 12)[1, 3], features.per_frame(patches()[1, 3:4])[0])


def test_cross_attention_is_in_every_second_layer_the_first_included() -> None:
    layers = make(replace(BASE, layers=6)).layers
    assert [layer.cross_attention is not None for layer in layers] == [True, False] * 3


@pytest.mark.parametrize("token", [0, 8, -1])
def test_without_transformation_one_token_is_projected(token: int) -> None:
    features = make(replace(BASE, transformation="none", class_token=token, pooling="none")).eval()
    assert features.config.vectors == 1
    assert {name.split(".")[0] for name, _ in features.named_parameters()} == {"patch_proj", "out_norm", "proj"}
    seen = patches()
    out = features(seen)
    assert out.shape == (2, 5, 12)
    torch.testing.assert_close(out, features.proj(features.out_norm(features.patch_proj(seen[:, :, token]))))
    out.square().mean().backward()
    assert all(parameter.grad is not None for parameter in features.parameters())


# --- dropout ---------------------------------------------------------------------------------------------------------


def test_dropout_is_in_training_alone() -> None:
    with_dropout, without = make(replace(BASE, dropout=0.1)), make(BASE)
    seen = patches()
    with torch.no_grad():
        torch.testing.assert_close(with_dropout.eval()(seen), without.eval()(seen))
        with_dropout.train(), without.train()
        assert not torch.equal(with_dropout(seen), with_dropout(seen))
        torch.testing.assert_close(without(seen), without(seen))


def test_dropout_differs_from_frame_to_frame() -> None:
    features = make(replace(BASE, dropout=0.5)).train()
    alike = patches(frames=1).expand(2, 4, -1, -1)
    with torch.no_grad():
        out = features(alike)
    assert not torch.equal(out[0, 0], out[0, 1])


def test_the_published_preset_has_the_published_dropout() -> None:
    assert published("small").features.dropout == 0.1
    with pytest.raises(ValueError, match="dropout"):
        replace(BASE, dropout=1.0)
