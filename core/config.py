"""Settings of the model as frozen dataclasses, checked when made, with named presets; to and from JSON."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from core.shapes import ENCODEC_RATE
from core.starter import vocab

Pooling = Literal["mean", "sum", "none"]


@dataclass(frozen=True)
class TowerConfig:
    """The frozen vision transformer of a model that has one.

    frames_at_once, tubelet: pictures that it reads together and how many of them share a token in time; 1 and 1 for
    CLIP's image tower, which sees each picture alone, 32 and 2 for ViViT (arXiv 2103.15691).
    """

    width: int
    layers: int
    heads: int
    patch: int
    resolution: int
    frames_at_once: int = 1
    tubelet: int = 1

    def __post_init__(self) -> None:
        if self.width % self.heads or self.resolution % self.patch or self.frames_at_once % self.tubelet:
            raise ValueError(
                f"vision tower: width {self.width}, resolution {self.resolution} and {self.frames_at_once} frames must "
                f"be multiples of heads {self.heads}, patch {self.patch} and tubelet {self.tubelet}"
            )

    @property
    def patches(self) -> int:
        """Tokens of one moment without the class token."""
        return (self.resolution // self.patch) ** 2


@dataclass(frozen=True)
class CodecConfig:
    """EnCodec (arXiv 2210.13438): waveform <-> `codebooks` codes of `card` per step. Defaults: MusicGen's, 32 kHz."""

    sample_rate: int = ENCODEC_RATE
    channels: int = 1
    codebooks: int = 4
    card: int = 2048
    dimension: int = 128
    filters: int = 64
    residual_layers: int = 1
    ratios: tuple[int, ...] = (8, 5, 4, 4)
    lstm_layers: int = 2
    kernel_size: int = 7
    residual_kernel_size: int = 3
    last_kernel_size: int = 7
    dilation_base: int = 2
    compress: int = 2
    pad_mode: Literal["constant", "reflect"] = "constant"
    true_skip: bool = True

    def __post_init__(self) -> None:
        if self.codebooks < 1 or self.card < 2 or not self.ratios:
            raise ValueError(f"codec: {self.codebooks} codebooks of {self.card} at strides {self.ratios} make no codec")

    @property
    def hop(self) -> int:
        """Samples of one code step."""
        return math.prod(self.ratios)


@dataclass(frozen=True)
class FeatureConfig:
    """The feature transformation: music queries that read each frame's patches by spatial cross-attention.

    patch_channels: C of the vision encoder. layers, cross_every: cross-attention in every `cross_every`-th layer,
    the first included (paper: 6, 2). residual: an ordinary residual around each attention; the published model has
    none (see its forward semantics), which makes small models slow to train, so the starter has it.
    out_channels: width after the projection. dropout: share of what is dropped in training, where the published
    query transformer has it; none otherwise. transformation "none" is the paper's ablation without the module: the
    token numbered `class_token` of each frame is normed and projected as it is.
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
    transformation: Literal["queries", "none"] = "queries"
    class_token: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_whole(
            self, "features", "patch_channels", "width", "heads", "queries", "layers", "cross_every", "out_channels"
        )
        if self.width % self.heads:
            raise ValueError(f"features: width {self.width} is not a multiple of heads {self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"features: dropout {self.dropout} isn't a share below 1")

    @property
    def vectors(self) -> int:
        """Conditioning vectors of one frame."""
        return self.queries if self.pooling == "none" and self.transformation == "queries" else 1


@dataclass(frozen=True)
class DecoderConfig:
    """The temporal cross-attention decoder.

    streams, card: K and V. delays: steps by which each stream lags in the delay pattern.
    position: "sinusoidal" (published: added to the input, cosine half first) or "rotary" (starter: in self-attention).
    temporal_position: the decoder knows *when* each frame is: every cross-attention head weighs frames by a learned
    Gaussian of their distance in time. The published model has none: its frames are an unordered set.
    control_channels: width of the per-step control track (bar position, hit points, time to the end, style ...),
    0 = none as published. temporal_cross_attention False is the paper's ablation: the mean over the frames is added
    to every step instead.
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
    temporal_cross_attention: bool = True
    eps: float = 1e-5

    def __post_init__(self) -> None:
        _check_whole(self, "decoder", "dim", "heads", "layers", "streams", "card", "hidden_scale")
        _check_whole(self, "decoder", "control_channels", least=0)
        if not isinstance(self.delays, tuple) or not all(isinstance(lag, int) for lag in self.delays):
            raise ValueError(f"decoder: delays is {self.delays!r}; it must be a list of whole numbers")
        if self.dim % self.heads:
            raise ValueError(f"decoder: dim {self.dim} is not a multiple of heads {self.heads}")
        if len(self.delays) != self.streams or min(self.delays) != 0:
            raise ValueError(f"decoder: {self.streams} streams need as many delays, the least 0, not {self.delays}")
        if self.temporal_position and not self.temporal_cross_attention:
            raise ValueError("decoder: temporal position is one of the temporal cross-attention, which is switched off")

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
    """A whole GVMGen: which frozen vision encoder and codec, and the sizes of the trained parts between.

    tower: geometry of the vision encoder, None for "descriptors", which has none. encodec: likewise of the codec.
    frames_per_second: pictures the vision encoder sees.
    """

    vision: Literal["descriptors", "clip", "vivit"]
    codec: Literal["score", "encodec"]
    features: FeatureConfig
    decoder: DecoderConfig
    guidance: float = 3.0  # coefficient of classifier-free guidance
    top_k: int = 250
    temperature: float = 1.0
    top_p: float = 0.0  # 0: top-k instead
    tower: TowerConfig | None = None
    encodec: CodecConfig | None = None
    frames_per_second: int = 1

    def __post_init__(self) -> None:
        if (self.vision == "descriptors") != (self.tower is None):
            raise ValueError(f"model: vision {self.vision!r} with tower {self.tower}")
        if (self.codec == "score") != (self.encodec is None):
            raise ValueError(f"model: codec {self.codec!r} with {self.encodec}")
        if self.encodec is not None and (self.encodec.codebooks, self.encodec.card) != (
            self.decoder.streams,
            self.decoder.card,
        ):
            raise ValueError(
                f"model: its codec has {self.encodec.codebooks} codebooks of {self.encodec.card}, its decoder "
                f"{self.decoder.streams} of {self.decoder.card}"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> ModelConfig:
        """The config that `to_json` wrote."""
        decoder = dict(data["decoder"], delays=tuple(data["decoder"]["delays"]))
        tower, encodec = data.get("tower"), data.get("encodec")
        rest = {key: value for key, value in data.items() if key not in ("features", "decoder", "tower", "encodec")}
        return ModelConfig(
            features=FeatureConfig(**data["features"]),
            decoder=DecoderConfig(**decoder),
            tower=None if tower is None else TowerConfig(**tower),
            encodec=None if encodec is None else CodecConfig(**dict(encodec, ratios=tuple(encodec["ratios"]))),
            **rest,
        )


def _check_whole(part: object, what: str, *names: str, least: int = 1) -> None:
    """ValueError where a size is no whole number, or below `least`."""
    for name in names:
        value = getattr(part, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{what}: {name} is {value!r}; it must be a whole number, at least {least}")


def published(scale: Literal["small", "large"]) -> ModelConfig:
    """The published GVMGen: MusicGen-size decoder on CLIP ViT-L/14@336 (1024 channels) and EnCodec (4 x 2048)."""
    dim, heads, layers = {"small": (1024, 16, 24), "large": (1536, 24, 48)}[scale]
    features = FeatureConfig(patch_channels=1024, width=1024, heads=16, dropout=0.1)
    tower = TowerConfig(width=1024, layers=24, heads=16, patch=14, resolution=336)
    return ModelConfig(
        "clip", "encodec", features, DecoderConfig(dim, heads, layers), tower=tower, encodec=CodecConfig()
    )


def starter(patch_channels: int, control_channels: int) -> ModelConfig:
    """The starter model: the same architecture on patch descriptors and the score codec's streams.

    Delays: intensity first, then harmony and form, then the rhythm section, then what is played over it; streams
    that share a delay are written together (see `core.starter.vocab`).
    """
    features = FeatureConfig(patch_channels, width=64, heads=4, layers=2, out_channels=128, residual=True, eps=1e-5)
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
