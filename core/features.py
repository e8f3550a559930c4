"""Feature transformation: 16 music queries read each frame's patches and are pooled into one vector a frame.

The paper's spatial cross-attention. Knows nothing of time: frames are independent of each other here.
Legend: B batch, F frames, P patches of a frame, C their channels, Q queries, W width, q vectors a frame (1 or Q).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import FeatureConfig, Pooling
from core.layers import merge_heads, split_heads


class QueryLayer(nn.Module):
    """Self-attention among the queries, cross-attention to the patches (in some layers), feed-forward.

    As published there is no residual around either attention, each attention has its own output projection *and* a
    further dense layer with LayerNorm, and the feed-forward's norm comes before its addition.
    """

    def __init__(self, config: FeatureConfig, cross: bool) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.residual = config.residual
        self.attention = nn.MultiheadAttention(width, config.heads, dropout, batch_first=True)
        self.self_dense = nn.Linear(width, width)
        self.self_norm = nn.LayerNorm(width, eps=config.eps)
        self.cross_attention = nn.MultiheadAttention(width, config.heads, dropout, batch_first=True) if cross else None
        if cross:
            self.cross_dense = nn.Linear(width, width)
            self.cross_norm = nn.LayerNorm(width, eps=config.eps)
        self.intermediate = nn.Linear(width, 2 * width)
        self.output = nn.Linear(2 * width, width)
        self.output_norm = nn.LayerNorm(width, eps=config.eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor, patches: Tensor) -> Tensor:
        """Queries [F, Q, W] after looking at patches [F, P, W]."""
        keep = queries if self.residual else 0.0
        attended = attend(self.attention, queries, queries)
        hidden: Tensor = self.dropout(self.self_norm(self.self_dense(attended) + keep))
        if self.cross_attention is not None:
            keep = hidden if self.residual else 0.0
            attended = attend(self.cross_attention, hidden, patches)
            hidden = self.dropout(self.cross_norm(self.cross_dense(attended) + keep))
        forward = self.output(F.gelu(self.intermediate(hidden)))
        out: Tensor = self.dropout(self.output_norm(forward) + hidden)
        return out


def attend(attention: nn.MultiheadAttention, queries: Tensor, source: Tensor) -> Tensor:
    """What queries [F, Q, W] take from source [F, P, W].

    torch's own forward pass turns its inputs round, and in half precision on a CPU then copies the weights once per
    token: sixteen times slower than single precision.
    """
    weight, bias, width = attention.in_proj_weight, attention.in_proj_bias, attention.embed_dim
    query = F.linear(queries, weight[:width], bias[:width])
    key, value = F.linear(source, weight[width:], bias[width:]).chunk(2, dim=-1)
    query, key, value = (split_heads(part, attention.num_heads) for part in (query, key, value))
    dropout = attention.dropout if attention.training else 0.0
    mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    out: Tensor = attention.out_proj(merge_heads(mixed))
    return out


class FeatureTransformation(nn.Module):
    """Patches of every frame -> conditioning vectors; without queries (the paper's ablation) one token's projection."""

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        # The published encoder's patches already have the queries' width.
        self.patch_proj = nn.Linear(config.patch_channels, width) if config.patch_channels != width else nn.Identity()
        if config.transformation == "queries":
            self.query_tokens = nn.Parameter(torch.randn(config.queries, width) * 0.5)
            self.query_norm = nn.LayerNorm(width, eps=config.eps)
            self.dropout = nn.Dropout(config.dropout)
            self.layers = nn.ModuleList(QueryLayer(config, i % config.cross_every == 0) for i in range(config.layers))
        self.out_norm = nn.LayerNorm(width)
        self.proj = nn.Linear(width, config.out_channels, bias=False)

    def queries(self, patches: Tensor) -> Tensor:
        """The music queries [F, Q, W] after reading patches [F, P, C]."""
        patches = self.patch_proj(patches)
        hidden: Tensor = self.dropout(self.query_norm(self.query_tokens).expand(len(patches), -1, -1))
        for layer in self.layers:
            hidden = layer(hidden, patches)
        return hidden

    def per_frame(self, patches: Tensor) -> Tensor:
        """Conditioning [F, q, out] of patches [F, P, C], q = config.vectors."""
        if self.config.transformation == "none":
            hidden = self.patch_proj(patches[:, self.config.class_token, None])
        else:
            hidden = pool(self.queries(patches), self.config.pooling)
        projected: Tensor = self.proj(self.out_norm(hidden))
        return projected

    def forward(self, patches: Tensor) -> Tensor:
        """Conditioning of frames: patches [B, F, P, C] -> [B, F * q, out]."""
        batch, frames = patches.shape[:2]
        condition = self.per_frame(patches.flatten(0, 1))
        return condition.reshape(batch, frames * self.config.vectors, -1)


def pool(hidden: Tensor, pooling: Pooling) -> Tensor:
    """Queries [F, Q, W] -> [F, 1, W], or as they are for pooling none."""
    if pooling == "mean":
        return hidden.mean(dim=1, keepdim=True)
    if pooling == "sum":
        return hidden.sum(dim=1, keepdim=True)
    return hidden
