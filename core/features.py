"""Feature transformation: 16 music queries read each frame's patches and are pooled into one vector a frame.

The paper's spatial cross-attention. Knows nothing of time: frames are independent of each other here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import FeatureConfig


class QueryLayer(nn.Module):
    """Self-attention among the queries, cross-attention to the patches (in some layers), feed-forward.

    As published there is no residual around either attention, each attention has its own output projection *and* a
    further dense layer with LayerNorm, and the feed-forward's norm comes before its addition.
    """

    def __init__(self, config: FeatureConfig, cross: bool) -> None:
        super().__init__()
        width = config.width
        self.residual = config.residual
        self.attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.self_dense = nn.Linear(width, width)
        self.self_norm = nn.LayerNorm(width, eps=config.eps)
        self.cross_attention = nn.MultiheadAttention(width, config.heads, batch_first=True) if cross else None
        if cross:
            self.cross_dense = nn.Linear(width, width)
            self.cross_norm = nn.LayerNorm(width, eps=config.eps)
        self.intermediate = nn.Linear(width, 2 * width)
        self.output = nn.Linear(2 * width, width)
        self.output_norm = nn.LayerNorm(width, eps=config.eps)

    def forward(self, queries: Tensor, patches: Tensor) -> Tensor:
        """Queries [F, Q, W] after looking at patches [F, P, W]."""
        keep = queries if self.residual else 0.0
        attended, _ = self.attention(queries, queries, queries, need_weights=False)
        hidden: Tensor = self.self_norm(self.self_dense(attended) + keep)
        if self.cross_attention is not None:
            keep = hidden if self.residual else 0.0
            attended, _ = self.cross_attention(hidden, patches, patches, need_weights=False)
            hidden = self.cross_norm(self.cross_dense(attended) + keep)
        forward = self.output(F.gelu(self.intermediate(hidden)))
        normed: Tensor = self.output_norm(forward)
        return normed + hidden


class FeatureTransformation(nn.Module):
    """Patches of every frame -> conditioning vectors."""

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        # The published encoder's patches already have the queries' width.
        self.patch_proj = nn.Linear(config.patch_channels, width) if config.patch_channels != width else nn.Identity()
        self.query_tokens = nn.Parameter(torch.randn(config.queries, width) * 0.5)
        self.query_norm = nn.LayerNorm(width, eps=config.eps)
        self.layers = nn.ModuleList(QueryLayer(config, i % config.cross_every == 0) for i in range(config.layers))
        self.out_norm = nn.LayerNorm(width)
        self.proj = nn.Linear(width, config.out_channels, bias=False)

    def queries(self, patches: Tensor) -> Tensor:
        """The music queries [F, Q, W] after reading patches [F, P, C]."""
        patches = self.patch_proj(patches)
        hidden: Tensor = self.query_norm(self.query_tokens).expand(len(patches), -1, -1)
        for layer in self.layers:
            hidden = layer(hidden, patches)
        return hidden

    def forward(self, patches: Tensor) -> Tensor:
        """Conditioning of frames: patches [B, F, P, C] -> [B, F, out] (pooling none: [B, F * Q, out])."""
        batch, frames = patches.shape[:2]
        hidden = self.queries(patches.flatten(0, 1))
        if self.config.pooling == "mean":
            hidden = hidden.mean(dim=1, keepdim=True)
        elif self.config.pooling == "sum":
            hidden = hidden.sum(dim=1, keepdim=True)
        projected: Tensor = self.proj(self.out_norm(hidden))
        return projected.reshape(batch, frames * projected.shape[1], -1)
