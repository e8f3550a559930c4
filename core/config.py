"""Settings of the model as frozen dataclasses, checked when made, with named presets; to and from JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from core.starter import vocab

Pooling = Literal["mean", "sum", "none"]


@dataclass(frozen=True)
class FeatureConfig:
    """The feature transformation: music queries that read each frame's patches by spatial cross-attention.

    patch_channels: C of the vision encoder. layers, cross_every: cross-attention in every `cross_every`-th layer,
    the first included (paper: 6, 2). residual: an ordinary residual around each attention; the published model has
    none (see its forward semantics), which makes small models slow to train, so the starter has it.
    out_channels: width after the projection.
    """

    patch_channels: int
    width: int
    heads: int
    queries: int = 16
    layers: int = 6
    cross_every: int = 2
    pooling: Pooling = "mean"
    out_channels: int = 768
    residual: bool = False
    eps: float = 1e-12

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"features: width {self.width} is not a multiple of heads {self.heads}")
        if self.queries < 1 or self.layers < 1 or self.cross_every < 1:
            raise ValueError("features: queries, layers and cross_every must be at least 1")


@dataclass(frozen=True)
class DecoderConfig:
    """The temporal cross-attention decoder.

    streams, card: K and V. delays: steps by which each stream lags in the delay pattern.
    position: "sinusoidal" (published: added to the input, cosine half first) or "rotary" (starter: in self-attention).
    temporal_position: the decoder knows *when* each frame is: every cross-attention head weighs frames by a learned
    Gaussian of their distance in time. The published model has none: its frames are an unordered set.
    control_channels: width of the per-step control track (bar position, hit points, time to the end, style ...),
    0 = none as published.
    """

    dim: int
    heads: int
    layers: int
    streams: int = 4
    card: int = 2048
    delays: tuple[int, ...] = (0, 1, 2, 3)
    hidden_scale: int = 4
    position: Literal["sinusoidal", "rotary"] = "sinusoidal"
    temporal_position: bool = False
    control_channels: int = 0
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise ValueError(f"decoder: dim {self.dim} is not a multiple of heads {self.heads}")
        if len(self.delays) != self.streams or min(self.delays) != 0:
            raise ValueError(f"decoder: {self.streams} streams need as many delays, the least 0, not {self.delays}")

    @property
    def special(self) -> int:
        """The code that stands where the delay pattern has no code yet: row `card` of each embedding."""
        return self.card

    @property
    def longest_delay(self) -> int:
        """Sequence steps a window is longer than its codes."""
        return max(self.delays)


@dataclass(frozen=True)
class ModelConfig:
    """A whole GVMGen: which frozen vision encoder and codec, and the sizes of the trained parts between."""

    vision: Literal["descriptors", "clip"]
    codec: Literal["score", "encodec"]
    features: FeatureConfig
    decoder: DecoderConfig
    guidance: float = 3.0  # coefficient of classifier-free guidance
    top_k: int = 250
    temperature: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> ModelConfig:
        """The config that `to_json` wrote."""
        decoder = dict(data["decoder"], delays=tuple(data["decoder"]["delays"]))
        rest = {key: value for key, value in data.items() if key not in ("features", "decoder")}
        return ModelConfig(features=FeatureConfig(**data["features"]), decoder=DecoderConfig(**decoder), **rest)


def published(scale: Literal["small", "large"]) -> ModelConfig:
    """The published GVMGen: MusicGen-size decoder on CLIP ViT-L/14@336 (1024 channels) and EnCodec (4 x 2048)."""
    dim, heads, layers = {"small": (1024, 16, 24), "large": (1536, 24, 48)}[scale]
    features = FeatureConfig(patch_channels=1024, width=1024, heads=16)
    return ModelConfig("clip", "encodec", features, DecoderConfig(dim, heads, layers))


def starter(patch_channels: int, control_channels: int) -> ModelConfig:
    """The starter model: the same architecture on patch descriptors and the score codec's streams.

    Delays: intensity first, then harmony and form, then the rhythm section, then what is played over it; streams
    that share a delay are written together (see `core.starter.vocab`).
    """
    features = FeatureConfig(
        patch_channels, width=64, heads=4, layers=2, out_channels=128, residual=True, eps=1e-5
    )
    decoder = DecoderConfig(
        dim=224, heads=7, layers=5, streams=vocab.K, card=vocab.CARD, delays=(0, 1, 1, 2, 2, 3, 3, 4, 5),
        position="rotary", temporal_position=True, control_channels=control_channels,
    )  # fmt: skip
    return ModelConfig("descriptors", "score", features, decoder, guidance=1.5, top_k=24, temperature=0.9)


def tiny(patch_channels: int = 8, control_channels: int = 0, position: Literal["sinusoidal", "rotary"] = "sinusoidal",
         temporal_position: bool = False) -> ModelConfig:  # fmt: skip
    """A model of a few thousand parameters, for tests."""
    features = FeatureConfig(patch_channels, width=16, heads=2, queries=4, layers=2, out_channels=12)
    decoder = DecoderConfig(
        dim=32, heads=4, layers=2, card=20, position=position, temporal_position=temporal_position,
        control_channels=control_channels,
    )  # fmt: skip
    return ModelConfig("descriptors", "score", features, decoder)
