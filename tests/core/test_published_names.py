"""Published parameter names against the full listings of the small and large models, both ways."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from parity import KEYS
from torch import Tensor

from core.config import published
from core.model import GVMGen
from core.published import names

pytestmark = pytest.mark.shared


def listed(scale: str) -> dict[str, Tensor]:
    """Name -> tensor without storage, as the listing of a model gives its shapes."""
    path = KEYS / f"lm_{scale}.txt"
    if not path.is_file():
        pytest.skip(f"{path} isn't there")
    state = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, shape = line.removesuffix("]").split(" [")
            state[name] = torch.empty([int(size) for size in shape.split(",") if size], device="meta")
    return state


@pytest.mark.parametrize("scale", ["small", "large"])
def test_every_published_parameter_has_its_place(scale: Literal["small", "large"]) -> None:
    theirs = listed(scale)
    assert len(theirs) == {"small": 707, "large": 995}[scale]
    ours = names.to_ours(theirs)
    with torch.device("meta"):
        model = GVMGen(published(scale)).state_dict()
    assert ours.unknown == []
    assert {name: value.shape for name, value in ours.model.items()} == {n: v.shape for n, v in model.items()}
    assert len(ours.model) + len(ours.vision) == len(theirs)
    back = names.to_published(ours.model, ours.vision)
    assert {name: value.shape for name, value in back.items()} == {n: v.shape for n, v in theirs.items()}


def test_a_strange_name_has_no_place() -> None:
    assert names.our_name("condition_provider.conditioners.description.output_proj.weight") is None
    assert names.our_name(f"{names.VISUAL}qformer.encoder.layer.0.gate.weight") is None
    assert names.published_name("model", "decoder.time_window.centre") is None
    with pytest.raises(ValueError, match="time_window"):
        names.to_published({"decoder.time_window.centre": torch.zeros(1)}, {})
