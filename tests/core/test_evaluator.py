"""The evaluation model: the published one to the digit, and ours, which judges every pair by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from parity import TOLERANCE, every, parity
from torch import Tensor

from core.errors import ModelError
from core.evaluation.config import EvaluatorConfig, published_config
from core.evaluation.evaluator import Evaluator
from core.evaluation.published import from_published, load_published, to_published

SMALL = EvaluatorConfig(video_channels=5, music_channels=7, hidden=8, layers=2, heads=2, summaries=4)


def ours(config: EvaluatorConfig = SMALL) -> Evaluator:
    torch.manual_seed(0)
    return Evaluator(config).eval()


def inputs(count: int = 4, steps: int = 60, seed: int = 0) -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(seed)
    return torch.randn(count, steps, 5, generator=made), torch.randn(count, steps, 7, generator=made)


# --- the published one -------------------------------------------------------------------------------------------


@every
@torch.inference_mode()
def test_the_published_evaluator_gives_its_logits_and_its_map(name: str) -> None:
    given = parity(name)
    model = load_published(given.folder / "eval_clip.pth", given.meta["eval_kwargs"]["heads"])
    logits, maps = model.logits_as_published(given.inputs["eval_video"], given.inputs["eval_music"])
    judged = model.judge(given.inputs["eval_video"], given.inputs["eval_music"])
    assert torch.allclose(logits, given.expected["eval_logits_per_video"], atol=TOLERANCE, rtol=0)
    assert torch.allclose(maps, given.expected["eval_attention_map"], atol=TOLERANCE, rtol=0)
    assert torch.allclose(logits.softmax(-1).diagonal(), given.expected["eval_cmr"], atol=TOLERANCE, rtol=0)
    assert torch.allclose(judged.ta, given.expected["eval_ta"], atol=TOLERANCE, rtol=0)


@every
def test_its_names_go_both_ways(name: str) -> None:
    state = torch.load(parity(name).folder / "eval_clip.pth", weights_only=True)
    assert to_published(from_published(state)).keys() == state.keys()


def test_a_published_file_that_lacks_or_adds_a_tensor_is_refused_by_name(tmp_path: Path) -> None:
    state = to_published(Evaluator(published_config(6, 4, 8, 1, 1)).state_dict())
    path = tmp_path / "clip1.pth"
    torch.save({name: value for name, value in state.items() if name != "logit_scale"} | {"more": torch.ones(1)}, path)
    with pytest.raises(ModelError, match=r"clip1.pth doesn't fit: missing 1 \(logit_scale\); left over 1 \(more\)"):
        load_published(path)
    torch.save(state, path)
    assert load_published(path).config == published_config(6, 4, 8, 1, 1)


@pytest.mark.parametrize("content", [b"", b"no torch file at all", None])
def test_what_is_no_published_file_is_said_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "clip2.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_published(path)
    assert "clip2.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- ours: honest ------------------------------------------------------------------------------------------------


@torch.inference_mode()
def test_a_pairs_score_is_a_matter_of_that_pair_alone() -> None:
    """Whatever else is in the batch: the entry (i, j) stays, and the batch's order orders the matrix."""
    model, (video, music) = ours(), inputs()
    matrix = model.matrix(video, music)
    order, other = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 3, 0, 2])
    assert torch.allclose(model.matrix(video[order], music[other]), matrix[order][:, other], atol=1e-6)
    assert torch.allclose(model.matrix(video[1:2], music[3:4])[0, 0], matrix[1, 3], atol=1e-6)
    assert torch.allclose(model.judge(video, music).cmr, matrix.diagonal(), atol=1e-6)
    strangers = torch.cat([video[:1], torch.randn(3, 60, 5)])
    assert torch.allclose(model.matrix(strangers, music)[0], matrix[0], atol=1e-6)


@torch.inference_mode()
def test_the_published_way_lets_the_pair_on_the_diagonal_be_told() -> None:
    """There, what video 0 scores with music 1 changes with the music that video 0 stands beside."""
    torch.manual_seed(0)
    model = Evaluator(published_config(5, 7, 8, 2, 2)).eval()
    video, music = inputs(steps=30)
    before, _ = model.logits_as_published(video, music)
    music[0] += 1.0
    after, _ = model.logits_as_published(video, music)
    assert float((after[0, 1] - before[0, 1]).abs()) > 1e-3


@torch.inference_mode()
def test_the_map_follows_content_and_not_position() -> None:
    """Without the convolutions' surroundings, music in another order gives the same map in that order."""
    model = ours(EvaluatorConfig(video_channels=5, music_channels=7, hidden=8, heads=2, context=0))
    video, music = inputs()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    straight, mixed = model.judge(video, music).map, model.judge(video, music[:, order]).map
    assert torch.allclose(straight[..., order], mixed, atol=1e-6)
    assert torch.allclose(straight.sum(-1), torch.ones(4, 60), atol=1e-5)


@torch.inference_mode()
def test_windows_may_be_shorter() -> None:
    video, music = inputs(steps=12)
    judged = ours().judge(video, music)
    assert judged.map.shape == (4, 12, 12)
    assert torch.isfinite(judged.cmr).all()
    assert bool((judged.cmr.abs() <= 1 + 1e-6).all())
    assert bool(((judged.ta >= 0) & (judged.ta <= 1)).all())


@torch.inference_mode()
def test_many_pairs_go_through_in_pieces() -> None:
    video, music = inputs(20, 12)
    model = ours()
    matrix = model.matrix(video, music)
    assert matrix.shape == (20, 20)
    assert torch.allclose(matrix[19], model.matrix(video[19:], music)[0], atol=1e-6)


@pytest.mark.parametrize(("video", "music"), [((2, 60, 4), (2, 60, 7)), ((2, 60, 5), (2, 59, 7)), ((60, 5), (60, 7))])
def test_wrong_shapes_are_refused(video: tuple[int, ...], music: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"are not \[n, T, 5\] and \[n, T, 7\]"):
        ours().judge(torch.zeros(video), torch.zeros(music))


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": 10},
        {"layers": 0},
        {"positions": 50},
        {"dropout": 1.0},
        {"exchange": "matched"},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="evaluator: "):
        EvaluatorConfig(**wrong)  # type: ignore[arg-type]


def test_settings_survive_a_file() -> None:
    assert EvaluatorConfig.from_json(SMALL.to_json()) == SMALL
