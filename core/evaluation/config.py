"""Settings of the evaluation model as frozen dataclasses, checked when made; to and from JSON."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["descriptors", "published"]

LONGEST_SECONDS: Final = 30.0  # of a window, as in the paper
SHORTEST_SECONDS: Final = 6.0  # below it there is too little to compare


@dataclass(frozen=True)
class EvaluatorConfig:
    """The evaluation model (paper, section "Evaluation Model").

    features: what it is told: "descriptors" (the starter's picture features and `core.evaluation.listen`) or
    "published" (768 numbers of picture and 128 of EnCodec a second). video_channels, music_channels: a position's
    numbers. rate: positions a second. positions: those of a window of 30 s. hidden, layers, heads: of the
    cross-attention. summaries: vectors that each stream is summed up in over time.
    context: convolutions in time before the cross-attention, so that a position knows what is around it; 0 as
    published. exchange: "matched", the published way: video i and music i meet *before* all are compared, which gives
    the matched pair away; "pairs": every video meets every music, and each pair is judged by itself alone.
    channel_dropout: share of the inputs' numbers that a film or a music goes without in training, all the time through.
    """

    features: Kind = "descriptors"
    video_channels: int = 58
    music_channels: int = 86
    rate: float = 2.0
    positions: int = 60
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    summaries: int = 32
    context: int = 3
    dropout: float = 0.1
    channel_dropout: float = 0.0
    exchange: Literal["pairs", "matched"] = "pairs"

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ValueError(f"evaluator: hidden {self.hidden} is not a multiple of heads {self.heads}")
        if min(self.layers, self.summaries, self.positions, self.video_channels, self.music_channels) < 1:
            raise ValueError("evaluator: layers, summaries, positions and channels must be at least 1")
        if not math.isclose(self.positions, LONGEST_SECONDS * self.rate):
            raise ValueError(f"evaluator: {self.positions} positions are not {LONGEST_SECONDS:g} s at {self.rate} a s")
        if self.exchange == "matched" and (self.context or self.summaries != 1):
            raise ValueError("evaluator: the published variant has one summary and no context")
        if not (0 <= self.dropout < 1 and 0 <= self.channel_dropout < 1):
            raise ValueError(f"evaluator: dropout {self.dropout}, {self.channel_dropout} isn't a share below 1")

    def to_json(self) -> dict[str, Any]:
        """All fields, for a file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EvaluatorConfig:
        """What `to_json` gave. TypeError for fields that don't exist, ValueError for what can't be."""
        return cls(**data)


def published_config(video_channels: int, music_channels: int, hidden: int, layers: int, heads: int) -> EvaluatorConfig:
    """The published design: a position a second, one linear summary, video i and music i exchanged before comparing."""
    return EvaluatorConfig(
        "published", video_channels, music_channels, 1.0, 30, hidden, layers, heads,
        summaries=1, context=0, exchange="matched",
    )  # fmt: skip
