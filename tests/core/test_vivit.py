"""ViViT's video tower: tokens grouped by moment, in order; chunks of a film; weights from a folder."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import VivitConfig, VivitModel

from core.config import FeatureConfig, ModelConfig, TowerConfig, tiny
from core.errors import ModelError
from core.features import FeatureTransformation
from core.vision.build import new_tower
from core.vision.preprocess import preprocess_vivit
from core.vision.tower import TowerFrames
from core.vision.vivit import VivitTower, read_vivit

SMALL = TowerConfig(width=32, layers=2, heads=2, patch=7, resolution=14, frames_at_once=4, tubelet=2)


def make_tower(config: TowerConfig = SMALL) -> VivitTower:
    torch.manual_seed(0)
    return VivitTower(config).eval()


def make_reader() -> FeatureTransformation:
    torch.manual_seed(1)
    return FeatureTransformation(FeatureConfig(32, 32, 2, queries=4, layers=2, out_channels=12, residual=True)).eval()


def some_frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 20, 30, 3), dtype=np.uint8)


def test_a_picture_fills_the_range() -> None:
    assert preprocess_vivit(np.zeros((40, 60, 3), np.uint8), 14).unique().tolist() == [-1.0]
    assert preprocess_vivit(np.full((60, 40, 3), 255, np.uint8), 14).unique().tolist() == [1.0]
    assert preprocess_vivit(some_frames(1)[0], 14).shape == (3, 14, 14)


def test_tokens_are_those_of_transformers() -> None:
    tower = make_tower()
    frames = torch.randn(8, 3, 14, 14)
    tokens = tower(frames)
    assert tokens.shape == (4, 1 + 4, 32)
    with torch.no_grad():
        hidden = tower.model(pixel_values=frames.reshape(2, 4, 3, 14, 14)).last_hidden_state
    torch.testing.assert_close(tokens[3, 1:], hidden[1, 5:])  # second moment of the second clip
    torch.testing.assert_close(tokens[2:, 0], hidden[1, :1].expand(2, -1))


def test_tokens_of_a_moment_are_those_of_its_frames() -> None:
    """Without layers no token sees another's frames, so a changed frame shows where it belongs."""
    tower = make_tower(TowerConfig(32, 0, 2, 7, 14, frames_at_once=4, tubelet=2))
    frames = torch.randn(4, 3, 14, 14)
    changed = frames.clone()
    changed[3, :, :7, 7:] += 1  # the upper right patch of the last frame
    differs = (tower(frames) - tower(changed)).abs().amax(dim=-1) > 1e-6
    assert differs.nonzero().tolist() == [[1, 2]]


@pytest.mark.parametrize(("count", "times"), [
    (1, [0.5]), (2, [0.5]), (3, [0.5, 2.5]), (4, [0.5, 2.5]), (9, [0.5, 2.5, 4.5, 6.5, 8.5]), (0, []),
])  # fmt: skip
def test_a_film_in_chunks(count: int, times: list[float]) -> None:
    """The last chunk's missing frames are its last one repeated; moments without any frame of the film are dropped."""
    tower, reader = make_tower(), make_reader()
    encoder = TowerFrames(tower, reader)
    assert encoder.fps == Fraction(1) and encoder.width is None
    frames = some_frames(count)
    for second, frame in enumerate(frames):
        encoder.push(second, frame)
    seen = encoder.finish()
    assert seen.times.tolist() == times and len(seen.values) == len(times)
    if count == 9:
        last = torch.stack([preprocess_vivit(frames[8], 14)] * 4)
        with torch.no_grad():
            alone = reader(tower(last)[None, :1])[0]
        np.testing.assert_allclose(seen.values[4], alone.numpy(), atol=1e-5)


def test_half_precision() -> None:
    frames = torch.randn(4, 3, 14, 14)
    exact = make_tower()(frames)
    rough = make_tower().place("cpu", torch.bfloat16)(frames)
    assert rough.dtype == torch.float32
    assert 0 < float((rough - exact).norm() / exact.norm()) < 0.02


def test_a_model_may_ask_for_it() -> None:
    base = tiny()
    tower = new_tower(ModelConfig("vivit", "score", base.features, base.decoder, tower=SMALL))
    assert isinstance(tower, VivitTower)
    assert not any(parameter.requires_grad for parameter in tower.parameters())
    again = new_tower(ModelConfig("vivit", "score", base.features, base.decoder, tower=SMALL))
    again.load_state_dict(tower.state_dict())


# --- weights -----------------------------------------------------------------------------------------------------


def save_model(folder: Path, **changes: object) -> VivitModel:
    torch.manual_seed(4)
    settings: dict[str, object] = {
        "image_size": 14, "num_frames": 4, "tubelet_size": [2, 7, 7], "hidden_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 128,
    }  # fmt: skip
    model = VivitModel(VivitConfig(**settings | changes), add_pooling_layer=False).eval()
    model.save_pretrained(folder)
    return model


def test_weights_of_a_folder(tmp_path: Path) -> None:
    model = save_model(tmp_path)
    tower = read_vivit(str(tmp_path))
    assert tower.config == TowerConfig(32, 1, 2, 7, 14, frames_at_once=4, tubelet=2)
    frames = torch.randn(4, 3, 14, 14)
    with torch.no_grad():
        expected = model(pixel_values=frames[None]).last_hidden_state
    torch.testing.assert_close(tower(frames)[1, 1:], expected[0, 5:])


def test_what_isnt_vivit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no ViViT model can be read there"):
        read_vivit(str(tmp_path / "absent"))
    save_model(tmp_path / "other", intermediate_size=64)
    with pytest.raises(ModelError, match="unusual shape"):
        read_vivit(str(tmp_path / "other"))
