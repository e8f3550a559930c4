"""CLIP's image tower: equal to the published code's; frames of a film go through it a few at a time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import clips
import numpy as np
import pytest
import torch
from conftest import ClipFactory
from parity import TOLERANCE, every, parity
from safetensors.torch import save_file
from torch import Tensor

from core.config import FeatureConfig, ModelConfig, TowerConfig, published, tiny
from core.errors import ModelError
from core.features import FeatureTransformation
from core.frames import AsShown, decode_frames
from core.published.geometry import tower_config
from core.published.names import to_ours
from core.published.reader import read_gvmgen
from core.vision.build import new_tower
from core.vision.clip import ClipTower, read_clip
from core.vision.preprocess import preprocess
from core.vision.tower import BATCH, TowerFrames, best_dtype

SMALL = TowerConfig(width=128, layers=2, heads=2, patch=14, resolution=28)


def make_tower(config: TowerConfig = SMALL) -> ClipTower:
    torch.manual_seed(0)
    return ClipTower(config).eval()


def make_reader(pooling: str = "mean") -> FeatureTransformation:
    torch.manual_seed(1)
    config = FeatureConfig(128, 128, 2, queries=4, layers=2, out_channels=12, residual=True, pooling=pooling)
    return FeatureTransformation(config).eval()


def some_frames(count: int, height: int = 45, width: int = 61) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


# --- equal to the published code -----------------------------------------------------------------------------------


@every
def test_frames_are_prepared_as_published(name: str) -> None:
    fixture = parity(name)
    frames = fixture.inputs["raw_frames"].numpy()
    ours = torch.stack([preprocess(frame, fixture.meta["vit"]["resolution"]) for frame in frames])
    torch.testing.assert_close(ours, fixture.expected["raw_frames_preprocessed"], atol=1e-6, rtol=0)


@every
def test_tokens_are_those_of_the_published_tower(name: str) -> None:
    fixture = parity(name)
    checkpoint = read_gvmgen(fixture.folder / "state_dict.bin")
    tower = ClipTower(tower_config(checkpoint.state, checkpoint.path))
    vision = to_ours(checkpoint.state).vision
    tower.load_state_dict({key: value.float() for key, value in vision.items()})
    tokens = tower.place("cpu", torch.float32)(fixture.inputs["video"])
    torch.testing.assert_close(tokens, fixture.expected["vit_tokens"], atol=TOLERANCE, rtol=0)


def test_parameters_have_the_published_names_and_shapes() -> None:
    """Of ViT-L/14@336, without what comes after the queries."""
    config = published("small").tower
    assert config is not None
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in ClipTower(config).state_dict().items()}
    assert shapes["conv1.weight"] == (1024, 3, 14, 14)
    assert shapes["positional_embedding"] == (577, 1024)
    assert shapes["transformer.resblocks.23.mlp.c_proj.weight"] == (1024, 4096)
    assert not any(name.startswith(("ln_post", "proj")) for name in shapes)
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == pytest.approx(304.3e6 - 1024 * 770, rel=1e-3)


# --- half precision ------------------------------------------------------------------------------------------------


def test_half_precision_stays_close() -> None:
    frames = torch.stack([preprocess(frame, 28) for frame in some_frames(3)])
    exact = make_tower()(frames)
    tower = make_tower().place("cpu", torch.bfloat16)
    assert tower.conv1.weight.dtype == tower.transformer.resblocks[1].attn.in_proj_weight.dtype == torch.bfloat16
    assert tower.ln_pre.weight.dtype == torch.float32
    rough = tower(frames)
    assert rough.dtype == torch.float32
    assert float((rough - exact).norm() / exact.norm()) < 0.01


def test_half_precision_is_for_devices_that_multiply_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert best_dtype("cuda") == torch.float16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert best_dtype("cpu") == torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert best_dtype("cpu") == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_matrices_give_the_same_tokens(dtype: torch.dtype) -> None:
    frames = torch.stack([preprocess(frame, 28) for frame in some_frames(3)])
    plain = make_tower().place("cpu", dtype)
    packed = make_tower().place("cpu", dtype).pack().pack()
    close = 1e-5 if dtype == torch.float32 else 0.01
    assert float((packed(frames) - plain(frames)).norm() / plain(frames).norm()) < close
    assert packed.dtype == dtype


def test_the_queries_of_a_half_precision_tower_are_computed_in_it() -> None:
    """They weren't: the tower's norms, which stay single, were asked."""

    class Watching:
        seen: torch.dtype | None = None

        def per_frame(self, patches: torch.Tensor) -> torch.Tensor:
            self.seen = torch.mm(torch.eye(2), torch.eye(2)).dtype
            return patches[:, :1]

    for dtype in (torch.float32, torch.bfloat16):
        reader = Watching()
        encoder = TowerFrames(make_tower().place("cpu", dtype), reader)
        encoder.push(0.0, some_frames(1)[0])
        encoder.finish()
        assert reader.seen == dtype


@pytest.mark.gpu
def test_half_precision_on_a_gpu_stays_close() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    frames = torch.stack([preprocess(frame, 28) for frame in some_frames(3)])
    exact = make_tower()(frames)
    rough = make_tower().place("cuda", best_dtype("cuda"))(frames.cuda()).cpu()
    assert float((rough - exact).norm() / exact.norm()) < 0.01


def test_the_tower_that_a_model_asks_for_is_frozen() -> None:
    base = tiny()
    tower = new_tower(ModelConfig("clip", "score", base.features, base.decoder, tower=SMALL))
    assert isinstance(tower, ClipTower) and tower.config == SMALL
    assert not any(parameter.requires_grad for parameter in tower.parameters())


def test_a_model_without_a_tower_has_none() -> None:
    with pytest.raises(ValueError, match="no tower"):
        new_tower(tiny())


# --- the frames of a film ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pooling", "vectors"), [("mean", 1), ("none", 4)])
@pytest.mark.parametrize("count", [1, BATCH, 2 * BATCH + 3])
def test_frames_in_batches_are_as_frames_alone(pooling: str, vectors: int, count: int) -> None:
    tower, reader = make_tower(), make_reader(pooling)
    encoder = TowerFrames(tower, reader, frames_per_second=2)
    assert encoder.fps == Fraction(2) and encoder.width is None and encoder.height is None
    frames = some_frames(count)
    for index, frame in enumerate(frames):
        encoder.push(index / 2, frame)
    seen = encoder.finish()
    assert seen.times.tolist() == [index / 2 for index in range(count)]
    assert seen.values.shape == (count, vectors, 12) and seen.values.dtype == np.float32
    for index in (0, count // 2, count - 1):
        with torch.no_grad():
            alone = reader(tower(preprocess(frames[index], 28)[None])[None])[0]
        np.testing.assert_allclose(seen.values[index], alone.numpy(), atol=1e-5)


def test_the_reader_computes_in_the_towers_precision() -> None:
    frames = some_frames(4)
    exact = TowerFrames(make_tower(), make_reader())
    rough = TowerFrames(make_tower().place("cpu", torch.bfloat16), make_reader())
    for index, frame in enumerate(frames):
        exact.push(index, frame)
        rough.push(index, frame)
    want, got = exact.finish().values, rough.finish().values
    assert 0 < np.abs(got - want).max() < 0.05 * np.abs(want).max()


def test_a_film_without_frames_has_no_features() -> None:
    seen = TowerFrames(make_tower(), make_reader()).finish()
    assert len(seen.times) == len(seen.values) == 0


def test_only_a_batch_of_frames_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of film passes through; what is in memory at a time is a batch and the conditioning."""
    tower = make_tower()
    sizes: list[int] = []
    forward = tower.forward

    def count(frames: Tensor) -> Tensor:
        sizes.append(len(frames))
        return forward(frames)

    monkeypatch.setattr(tower, "forward", count)
    encoder = TowerFrames(tower, make_reader())
    for second in range(5 * BATCH + 1):
        encoder.push(second, some_frames(1)[0])
    assert len(encoder.finish().values) == 5 * BATCH + 1
    assert sizes == [BATCH] * 5 + [1]


# --- frames as large as the film shows them ------------------------------------------------------------------------


def test_frames_come_as_large_as_the_film(clip_factory: ClipFactory) -> None:
    path = clip_factory("level", seconds=1.9, size=(96, 54))
    shown = list(decode_frames(path, None, None, Fraction(1)))
    assert [rgb.shape for _, rgb in shown] == [(54, 96, 3)] * 2
    small = [rgb for _, rgb in decode_frames(path, 96, 54, Fraction(1))]
    np.testing.assert_allclose(shown[1][1].astype(int), small[1].astype(int), atol=12)


@pytest.mark.parametrize(
    ("rotation", "aspect", "size"),
    [(0, Fraction(1), (32, 20)), (0, Fraction(4, 3), (43, 20)), (0, Fraction(1, 2), (32, 40)),
     (90, Fraction(1), (20, 32)), (-90, Fraction(4, 3), (20, 43)), (180, Fraction(1), (32, 20))],
)  # fmt: skip
def test_frames_are_asked_for_upright_with_square_pixels(
    rotation: int, aspect: Fraction, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def recorder(width: int, height: int, interpolation: str) -> object:
        asked.append((width, height))
        return lambda frame: frame

    monkeypatch.setattr("core.frames.Scaler", recorder)
    scale = AsShown(aspect)
    frame: Any = SimpleNamespace(width=32, height=20, rotation=rotation)
    assert scale(frame) is scale(frame) is frame
    assert asked == [size]


def test_a_film_held_upright_comes_upright(clip_factory: ClipFactory, tmp_path: Path) -> None:
    level = clip_factory("level", seconds=1, size=(96, 54))
    (_, lying), *_ = decode_frames(level, None, None, Fraction(1))
    (_, upright), *_ = decode_frames(clips.rotated(level, tmp_path / "portrait.mp4", -90), None, None, Fraction(1))
    np.testing.assert_array_equal(np.rot90(upright), lying)


def test_an_edit_of_two_shapes_keeps_both() -> None:
    scale = AsShown(Fraction(1))
    sizes = [(32, 20), (20, 32), (32, 20)]
    frames = [av.VideoFrame.from_ndarray(np.zeros((h, w, 3), np.uint8), format="rgb24") for w, h in sizes]
    assert [scale(frame).shape for frame in frames] == [(20, 32, 3), (32, 20, 3), (20, 32, 3)]


# --- CLIP's own weights file ---------------------------------------------------------------------------------------


def clip_file(folder: Path, kind: str = "safetensors", **changes: Tensor) -> Path:
    """A weights file as open_clip writes it: both towers, names below `visual.` and text names beside them."""
    from open_clip.model import CLIP

    torch.manual_seed(2)
    vision = {"image_size": 28, "layers": 2, "width": 128, "patch_size": 14}
    text = {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1}
    state = CLIP(12, vision, text, quick_gelu=True).state_dict() | changes
    path = folder / f"clip.{kind}"
    if kind == "safetensors":
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    else:
        torch.save({"state_dict": state}, path)
    return path


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_weights_of_clip_start_a_training(tmp_path: Path, kind: str) -> None:
    """Tower, norm and projection together compute what open_clip's own model computes."""
    from open_clip.model import CLIP

    path = clip_file(tmp_path, kind)
    tower, start = read_clip(path)
    assert tower.config == SMALL
    torch.manual_seed(2)
    whole = CLIP(
        12, {"image_size": 28, "layers": 2, "width": 128, "patch_size": 14},
        {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1}, quick_gelu=True,
    ).eval()  # fmt: skip
    features = FeatureTransformation(FeatureConfig(128, 128, 2, out_channels=12, transformation="none")).eval()
    assert features.load_state_dict(start) is not None
    frames = torch.stack([preprocess(frame, 28) for frame in some_frames(2)])
    with torch.no_grad():
        torch.testing.assert_close(features(tower(frames)[None])[0], whole.encode_image(frames), atol=1e-5, rtol=0)


def test_what_isnt_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_clip(tmp_path / "absent.safetensors")
    text = tmp_path / "text.safetensors"
    save_file({"positional_embedding": torch.zeros(3, 4)}, text)
    with pytest.raises(ModelError, match="no CLIP vision transformer"):
        read_clip(text)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not tensors at all")
    with pytest.raises(ModelError, match="can't be read as plain tensors"):
        read_clip(broken)
    other = clip_file(tmp_path, **{"visual.strange.weight": torch.zeros(2)})
    with pytest.raises(ModelError, match=r"left over \['strange.weight'\]"):
        read_clip(other)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    import os

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "clip.pt"
    torch.save({"visual.conv1.weight": Bomb()}, path)
    with pytest.raises(ModelError, match="plain tensors"):
        read_clip(path)
    assert not (tmp_path / "ran").exists()
