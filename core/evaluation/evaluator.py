"""The evaluation model: how relevant music is to a film (CMR), and how well the two run together in time (TA).

The paper's design: both streams to one width, cross-attention between them, the attention's map over time (TA is its
diagonal), linear summaries over time, cosine (CMR). `EvaluatorConfig.exchange` tells two ways of comparing apart:

"matched" (as published): video i and music i exchange what they know first, and then all zv_i meet all zm_j. Whatever
    the music, zv_i has read music i, and zm_i has read video i: the pair can be told by that alone.
"pairs" (ours): every video meets every music, and what comes out for (i, j) depends on video i and music j alone.

Positions carry no number: where in the window a moment lies must not tell which moment it belongs to.
Legend: V videos, M musics, B pairs, T positions, E heads, H hidden, S summaries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.evaluation.config import EvaluatorConfig
from core.layers import merge_heads, split_heads

FIRST_TEMPERATURE = 0.07  # of InfoNCE, learned from there on (paper, eq. 5)

_PAIRS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Judged:
    """What comes out for B pairs: zv, zm [B, S*H], map [B, T, T] (video position x music position, rows sum to 1)."""

    zv: Tensor
    zm: Tensor
    map: Tensor

    @property
    def cmr(self) -> Tensor:
        """Cosine [B], -1..1."""
        return F.cosine_similarity(self.zv, self.zm, dim=-1)

    @property
    def curve(self) -> Tensor:
        """The map's diagonal [B, T], 0..1: how surely each moment of the picture finds its own moment of the music."""
        return self.map.diagonal(dim1=-2, dim2=-1)

    @property
    def ta(self) -> Tensor:
        """Mean of the diagonal [B], 0..1."""
        return self.curve.mean(dim=-1)


class Block(nn.Module):
    """One cross-attention layer on both streams, each with its own feed-forward; one attention module for both.

    As published: the map of video on music carries the music's values to the video, and *the same map* the video's
    values to the music; no activation in the feed-forward. With `mutual` the music reads the video by the map the
    other way round, and the feed-forward has its activation.
    """

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        width = config.hidden
        self.heads, self.mutual = config.heads, config.exchange == "pairs"
        self.attn = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.ln_1, self.ln_2, self.ln_3, self.ln_4 = (nn.LayerNorm(width) for _ in range(4))
        self.mlp, self.mlp_2 = (FeedForward(width, config.dropout, self.mutual) for _ in range(2))

    def forward(self, video: Tensor, music: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Video and music [B, T, H] after having met, and the scores' softmax over music, mean over heads [B, T, T]."""
        return self.meet(video, music, *self.project(video, music))

    def project(self, video: Tensor, music: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Query and value of the video, key and value of the music: [B, T, H] each; no need to do it pair by pair."""
        q, k = self.ln_1(video), self.ln_3(music)
        w, b = self.attn.in_proj_weight.chunk(3), self.attn.in_proj_bias.chunk(3)
        return F.linear(q, w[0], b[0]), F.linear(q, w[2], b[2]), F.linear(k, w[1], b[1]), F.linear(k, w[2], b[2])

    def meet(
        self, video: Tensor, music: Tensor, query: Tensor, seen: Tensor, key: Tensor, heard: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The rest, of pairs."""
        query, key, seen, heard = (split_heads(x, self.heads) for x in (query, key, seen, heard))
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        weights = scores.softmax(dim=-1)
        back = scores.transpose(-1, -2).softmax(dim=-1) if self.mutual else weights
        video = video + self.attn.out_proj(merge_heads(weights @ heard))
        music = music + self.attn.out_proj(merge_heads(back @ seen))
        video = video + self.mlp(self.ln_2(video))
        music = music + self.mlp_2(self.ln_4(music))
        return video, music, weights.mean(dim=1)


class FeedForward(nn.Module):
    """Linear, (activation,) dropout, linear."""

    def __init__(self, width: int, dropout: float, activation: bool) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout, self.activation = nn.Dropout(dropout), activation

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, H] -> [B, T, H]."""
        x = self.c_fc(x)
        out: Tensor = self.c_proj(self.dropout(F.gelu(x) if self.activation else x))
        return out


class Context(nn.Module):
    """What is around each position: residual convolutions in time whose reach doubles; the edge goes on as it ends."""

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        width = config.hidden
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.context))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=2**i, dilation=2**i, padding_mode="replicate")
            for i in range(config.context)
        )
        self.mixes = nn.ModuleList(nn.Linear(width, width) for _ in range(config.context))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, H] -> [B, T, H]."""
        for norm, convolution, mix in zip(self.norms, self.convolutions, self.mixes, strict=True):
            around = convolution(norm(x).transpose(1, 2)).transpose(1, 2)
            x = x + mix(self.dropout(F.gelu(around)))
        return x


class Evaluator(nn.Module):
    """Both streams in, CMR and TA out. Which inputs: `EvaluatorConfig.features`."""

    video_mean: Tensor
    video_scale: Tensor
    music_mean: Tensor
    music_scale: Tensor

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.video_linear = nn.Linear(config.video_channels, hidden)
        self.music_linear = nn.Linear(config.music_channels, hidden)
        if config.context:  # ours: inputs of very different sizes, and moments that know their surroundings
            for name, channels in (("video", config.video_channels), ("music", config.music_channels)):
                self.register_buffer(f"{name}_mean", torch.zeros(channels))
                self.register_buffer(f"{name}_scale", torch.ones(channels))
            self.video_context, self.music_context = Context(config), Context(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.video_lnpos = nn.Linear(config.positions, config.summaries)
        self.music_lnpos = nn.Linear(config.positions, config.summaries)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / FIRST_TEMPERATURE)))
        if config.summaries > 1:
            for linear in (self.video_lnpos, self.music_lnpos):
                _waves(linear)

    def streams(self, video: Tensor, music: Tensor) -> tuple[Tensor, Tensor]:
        """Each stream by itself: video [V, T, C] and music [M, T, C'] -> [V, T, H] and [M, T, H]."""
        self._check(video, music)
        if not self.config.context:
            return self.video_linear(video), self.music_linear(music)
        video = ((video - self.video_mean) * self.video_scale).clamp(-5.0, 5.0)
        music = ((music - self.music_mean) * self.music_scale).clamp(-5.0, 5.0)
        if self.training and self.config.channel_dropout:
            video, music = (
                F.dropout1d(x.transpose(1, 2), self.config.channel_dropout).transpose(1, 2) for x in (video, music)
            )
        return self.video_context(self.video_linear(video)), self.music_context(self.music_linear(music))

    def judge(self, video: Tensor, music: Tensor) -> Judged:
        """Video i with music i: inputs [B, T, C] and [B, T, C']."""
        return self._judge(*self.streams(video, music))

    def judge_streams(self, video: Tensor, music: Tensor, rows: Tensor, columns: Tensor) -> Judged:
        """Video rows[b] with music columns[b], of `streams`' results [V, T, H] and [M, T, H]; rows, columns [B]."""
        first: Block = self.blocks[0]  # type: ignore[assignment]
        query, seen, key, heard = first.project(video, music)
        v, m, weights = first.meet(
            video[rows], music[columns], query[rows], seen[rows], key[columns], heard[columns]
        )  # fmt: skip
        return self._judge(v, m, 1, weights)

    def matrix(self, video: Tensor, music: Tensor) -> Tensor:
        """CMR [V, M] of every video [V, T, C] with every music [M, T, C']: each from its own two alone."""
        v, m = self.streams(video, music)
        rows, columns = (index.flatten() for index in torch.meshgrid(
            torch.arange(len(v), device=v.device), torch.arange(len(m), device=m.device), indexing="ij"
        ))  # fmt: skip
        parts = [
            self.judge_streams(v, m, rows[i : i + _PAIRS_AT_ONCE], columns[i : i + _PAIRS_AT_ONCE]).cmr
            for i in range(0, len(rows), _PAIRS_AT_ONCE)
        ]
        return torch.cat(parts).view(len(v), len(m))

    def logits_as_published(self, video: Tensor, music: Tensor) -> tuple[Tensor, Tensor]:
        """exp(logit_scale) * zv @ zm^T [B, B] without normalising, after video i met music i; and the maps [B, T, T].

        For parity and for showing what is wrong with it: the diagonal knows that it is the diagonal.
        """
        judged = self.judge(video, music)
        return self.logit_scale.exp() * judged.zv @ judged.zm.T, judged.map

    def _judge(self, v: Tensor, m: Tensor, first: int = 0, weights: Tensor | None = None) -> Judged:
        for block in self.blocks[first:]:
            v, m, weights = block(v, m)
        assert weights is not None
        return Judged(self._summary(self.video_lnpos, v), self._summary(self.music_lnpos, m), weights)

    def _summary(self, linear: nn.Linear, x: Tensor) -> Tensor:
        """[B, T, H] -> [B, S*H]; a shorter window takes the same summaries, drawn closer together."""
        weight = linear.weight
        if x.shape[1] != weight.shape[1]:
            weight = F.interpolate(weight[None], x.shape[1], mode="linear", align_corners=False)[0]
        return (torch.einsum("st,bth->bsh", weight, x) + linear.bias[:, None]).flatten(1)

    def _check(self, video: Tensor, music: Tensor) -> None:
        config, steps = self.config, video.shape[-2]
        fits = video.ndim == music.ndim == 3 and music.shape[-2] == steps and 0 < steps <= config.positions
        if not fits or (video.shape[-1], music.shape[-1]) != (config.video_channels, config.music_channels):
            raise ValueError(
                f"evaluator: video {tuple(video.shape)} and music {tuple(music.shape)} are not "
                f"[n, T, {config.video_channels}] and [n, T, {config.music_channels}] with T <= {config.positions}"
            )


def _waves(linear: nn.Linear) -> None:
    """Start the summaries as cosines over the window, slowest first (DCT-II): all that changes slowly."""
    summaries, steps = linear.weight.shape
    place = (torch.arange(steps) + 0.5) / steps
    waves = torch.cos(math.pi * torch.arange(summaries)[:, None] * place) * (2.0 / steps) ** 0.5
    with torch.no_grad():
        linear.weight.copy_(waves)
        linear.bias.zero_()
