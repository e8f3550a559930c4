"""Names of the published GVMGen's parameters and ours, both ways.

Nothing is dropped or made up here: a name that the tables don't know comes back as None, and the importer lists it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Part = Literal["model", "vision"]

CONDITIONER = "condition_provider.conditioners.visual_content."
VISUAL = f"{CONDITIONER}clip.visual."

# Published beginning of a name -> our file and beginning. The first that fits counts.
_BEGINNINGS: tuple[tuple[str, Part, str], ...] = (
    (f"{VISUAL}query_tokens", "model", "features.query_tokens"),
    (f"{VISUAL}qformer.layernorm.", "model", "features.query_norm."),
    (f"{VISUAL}qformer.encoder.layer.", "model", "features.layers."),
    (f"{VISUAL}ln_post.", "model", "features.out_norm."),
    (f"{VISUAL}proj", "model", "features.proj.weight"),
    (f"{VISUAL}conv1.", "vision", "conv1."),
    (f"{VISUAL}class_embedding", "vision", "class_embedding"),
    (f"{VISUAL}positional_embedding", "vision", "positional_embedding"),
    (f"{VISUAL}ln_pre.", "vision", "ln_pre."),
    (f"{VISUAL}transformer.resblocks.", "vision", "transformer.resblocks."),
    (f"{CONDITIONER}output_proj.", "model", "decoder.condition_proj."),
    ("emb.", "model", "decoder.emb."),
    ("transformer.layers.", "model", "decoder.layers."),
    ("out_norm.", "model", "decoder.out_norm."),
    ("linears.", "model", "decoder.linears."),
)
# Within a layer of the query transformer; decoder layers have the same names on both sides.
_QUERY_LAYER = {
    "attention.": "attention.",
    "self_output.dense.": "self_dense.",
    "self_output.LayerNorm.": "self_norm.",
    "crossattention.": "cross_attention.",
    "cross_output.dense.": "cross_dense.",
    "cross_output.LayerNorm.": "cross_norm.",
    "intermediate_query.dense.": "intermediate.",
    "output_query.dense.": "output.",
    "output_query.LayerNorm.": "output_norm.",
}


@dataclass(frozen=True)
class Renamed:
    """A published state dict under our names.

    model: state dict of GVMGen (features.*, decoder.*). vision: that of the frozen tower, without ln_post and proj,
    which are trained and so belong to the features. unknown: published names that have no place in ours.
    """

    model: dict[str, Tensor]
    vision: dict[str, Tensor]
    unknown: list[str]


def our_name(published: str) -> tuple[Part, str] | None:
    """File and name that a published parameter has with us; None where it has none."""
    for beginning, part, ours in _BEGINNINGS:
        if published.startswith(beginning):
            name = ours + published.removeprefix(beginning)
            return _inside_query_layer(part, name, _QUERY_LAYER)
    return None


def published_name(part: Part, ours: str) -> str | None:
    """What a parameter of ours is called in the published checkpoint; None where that has no such parameter."""
    renamed = _inside_query_layer(part, ours, {theirs: our for our, theirs in _QUERY_LAYER.items()})
    if renamed is None:
        return None
    for beginning, kind, our_beginning in _BEGINNINGS:
        if kind == part and renamed[1].startswith(our_beginning):
            return beginning + renamed[1].removeprefix(our_beginning)
    return None


def to_ours(state: Mapping[str, Tensor]) -> Renamed:
    """A published state dict under our names and in our layout; values are views, never copies."""
    renamed = Renamed({}, {}, [])
    for name, value in state.items():
        place = our_name(name)
        if place is None:
            renamed.unknown.append(name)
        else:
            getattr(renamed, place[0])[place[1]] = _layout(place[1], value)
    return renamed


def to_published(model: Mapping[str, Tensor], vision: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dicts under the published names and in their layout; ValueError for what they can't hold."""
    state = {}
    for part, values in (("model", model), ("vision", vision)):
        for name, value in values.items():
            theirs = published_name("model" if part == "model" else "vision", name)
            if theirs is None:
                raise ValueError(f"{name} has no place in the published format")
            state[theirs] = value.t() if name == "features.proj.weight" else value
    if f"{VISUAL}query_tokens" in state:
        state[f"{VISUAL}query_tokens"] = state[f"{VISUAL}query_tokens"][None]
    return state


def _inside_query_layer(part: Part, name: str, table: Mapping[str, str]) -> tuple[Part, str] | None:
    """The name with its part inside a query layer replaced, where it lies in one."""
    match = re.fullmatch(r"(features\.layers\.\d+\.)(.+)", name)
    if not match:
        return part, name
    for beginning, other in table.items():
        if match[2].startswith(beginning):
            return part, match[1] + other + match[2].removeprefix(beginning)
    return None


def _layout(name: str, value: Tensor) -> Tensor:
    """Published tensors in our layout: the projection is applied as x @ proj there, the queries carry a batch of 1."""
    if name == "features.proj.weight" and value.ndim == 2:
        return value.t()
    if name == "features.query_tokens" and value.ndim == 3 and len(value) == 1:
        return value[0]
    return value
