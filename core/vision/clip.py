"""CLIP's image tower (arXiv 2103.00020) through open_clip_torch: frames -> the tokens after its last block.

As published with GVMGen all tokens count, the class token first, and they aren't normed: `ln_post` and the projection
come after the music queries and are trained, so they live in `core.features`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import TowerConfig
from core.errors import ModelError
from core.packed import PackedLinear, packs
from core.vision.picture import FrameArray
from core.vision.preprocess import normalise_clip, preprocess
from core.vision.tower import Tower

HEAD_WIDTH = 64  # channels of an attention head in every CLIP vision transformer that OpenAI published
_STEEPNESS = 1.702  # of QuickGELU, z * sigmoid(1.702 z)
_HEADS_AT_ONCE = 4
_Map = Callable[[Tensor], Tensor]


class ClipTower(Tower):
    """Frames [F, 3, R, R], normalised -> tokens [F, 1 + P, W]. Parameters have open_clip's names.

    With its matrices in half precision and its norms in single, as `place` puts it, the sums over the blocks stay
    in single precision.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__(config)
        from open_clip.transformer import QuickGELU, VisionTransformer

        whole = VisionTransformer(
            config.resolution, config.patch, config.width, config.layers, config.heads, mlp_ratio=4.0,
            output_dim=1, act_layer=QuickGELU,
        )  # fmt: skip
        self.conv1: nn.Conv2d = whole.conv1
        self.class_embedding: nn.Parameter = whole.class_embedding
        self.positional_embedding: nn.Parameter = whole.positional_embedding
        self.ln_pre: nn.LayerNorm = whole.ln_pre
        self.transformer: Any = whole.transformer
        self.requires_grad_(False)

    def preprocess(self, rgb: FrameArray) -> Tensor:
        """CLIP's view [3, R, R] of a frame [H, W, 3] RGB."""
        return preprocess(rgb, self.config.resolution)

    def normalise(self, pictures: Tensor) -> Tensor:
        """CLIP's view of cropped pictures uint8 [..., 3, R, R]."""
        return normalise_clip(pictures)

    def place(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        """Itself on `device`, frozen, its matrices in `dtype`."""
        super().place(device, torch.float32)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.MultiheadAttention)):
                module.to(dtype)
        return self

    def pack(self) -> Self:
        """Itself, the matrices of its blocks packed where it is on a CPU; they are no parameters any more."""
        if self.conv1.weight.device.type == "cpu" and packs(self.dtype):
            blocks = self.transformer.resblocks
            for index, block in enumerate(blocks):  # one by one, so that they aren't held twice
                if not isinstance(block, _PackedBlock):
                    blocks[index] = _PackedBlock(block)
        return self

    @property
    def dtype(self) -> torch.dtype:
        """What its matrices multiply in."""
        return self.conv1.weight.dtype

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Tokens of frames, in the precision of its norms."""
        patches = self.conv1(frames.to(self.conv1.weight.dtype)).flatten(2).transpose(1, 2)
        x: Tensor = patches.to(self.class_embedding.dtype)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1) + self.positional_embedding
        x = self.ln_pre(x)
        for block in self.transformer.resblocks:
            x = block(x) if isinstance(block, _PackedBlock) else _block(x, *_steps(block))
        return x


class _PackedBlock(nn.Module):
    """One of open_clip's residual blocks, its matrices packed; it has no parameters any more but its norms'."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        attention, dtype = block.attn, block.attn.in_proj_weight.dtype
        self.heads = attention.num_heads
        self.norms = nn.ModuleList([block.ln_1, block.ln_2])
        pairs = [(attention.in_proj_weight, attention.in_proj_bias)]
        pairs += [(m.weight, m.bias) for m in (attention.out_proj, block.mlp.c_fc, block.mlp.c_proj)]
        self.maps = nn.ModuleList(PackedLinear(weight.detach(), dtype, bias.detach()) for weight, bias in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [F, P, W], overwritten."""
        return _block(x, self.heads, *self.norms, *self.maps)


def _steps(block: Any) -> tuple[Any, ...]:
    """Heads, norms and linear maps of one of open_clip's residual blocks, in the order of use."""
    attention, mlp = block.attn, block.mlp

    def mix(x: Tensor) -> Tensor:
        return F.linear(x.to(attention.in_proj_weight.dtype), attention.in_proj_weight, attention.in_proj_bias)

    def widen(x: Tensor) -> Tensor:
        widened: Tensor = mlp.c_fc(x.to(mlp.c_fc.weight.dtype))
        return widened

    return attention.num_heads, block.ln_1, block.ln_2, mix, attention.out_proj, widen, mlp.c_proj


def _block(x: Tensor, heads: int, norm1: _Map, norm2: _Map, mix: _Map, out: _Map, widen: _Map, narrow: _Map) -> Tensor:
    """Attention and feed-forward on tokens x [F, P, W], which it may overwrite."""
    x += out(_attend(mix(norm1(x)), heads))
    hidden = widen(norm2(x))
    # QuickGELU in place: a fresh tensor of this size costs more time than the arithmetic
    hidden = F.silu(hidden.mul_(_STEEPNESS), inplace=True).mul_(1 / _STEEPNESS)
    x += narrow(hidden)
    return x


def _attend(mixed: Tensor, heads: int) -> Tensor:
    """Self-attention [F, P, W] of queries, keys and values side by side in [F, P, 3 W]."""
    frames, tokens, width = mixed.shape[0], mixed.shape[1], mixed.shape[2] // 3
    query, key, value = mixed.view(frames, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    if mixed.device.type != "cpu" or mixed.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(frames, tokens, width)
    # On CPUs the fused kernel multiplies bfloat16 no faster than single precision; plain products take half its time.
    out = mixed.new_empty(frames, tokens, heads, width // heads)
    query = query * (width // heads) ** -0.5
    for frame in range(frames):
        for first in range(0, heads, _HEADS_AT_ONCE):
            some = slice(first, first + _HEADS_AT_ONCE)
            weights = torch.bmm(query[frame, some], key[frame, some].transpose(1, 2)).softmax(dim=-1)
            out[frame, :, some] = torch.bmm(weights, value[frame, some]).transpose(0, 1)
    return out.view(frames, tokens, width)


def read_clip(path: Path) -> tuple[ClipTower, dict[str, Tensor]]:
    """The image tower in a CLIP weights file that open_clip reads, for training from scratch, and a start for the rest.

    The second are CLIP's own norm and projection after its tower under the names `out_norm.weight`, `out_norm.bias`
    and `proj.weight` of `core.features.FeatureTransformation`. ModelError where the file is missing, isn't plain
    tensors, or holds no vision transformer.
    """
    state = _read(path)
    visual = {name[len("visual.") :]: value.float() for name, value in state.items() if name.startswith("visual.")}
    config = _geometry(visual, path)
    start = {ours: visual.pop(theirs) for ours, theirs in
             (("out_norm.weight", "ln_post.weight"), ("out_norm.bias", "ln_post.bias"), ("proj.weight", "proj"))
             if theirs in visual}  # fmt: skip
    if "proj.weight" in start:
        start["proj.weight"] = start["proj.weight"].t().contiguous()
    tower = ClipTower(config)
    try:
        missing, left_over = tower.load_state_dict(visual, strict=False)
    except RuntimeError as err:
        raise ModelError(f"{path} isn't a plain CLIP vision transformer ({_one_line(err)}); use ViT-L-14-336") from err
    if missing or left_over or len(start) < 3:
        raise ModelError(
            f"{path} isn't a plain CLIP vision transformer: missing {missing[:5]}, left over {left_over[:5]}; "
            "use ViT-L-14-336"
        )
    return tower.eval(), start


def _read(path: Path) -> dict[str, Tensor]:
    from open_clip.factory import load_state_dict
    from safetensors import SafetensorError

    if not path.is_file():
        raise ModelError(f"{path}: there is no such file; give the weights of CLIP ViT-L-14-336 as safetensors")
    try:
        state: dict[str, Tensor] = load_state_dict(str(path), device="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, StopIteration, AttributeError) as err:
        raise ModelError(
            f"{path} can't be read as plain tensors ({_one_line(err)}); take open_clip's ViT-L-14-336 as safetensors"
        ) from err
    return state


def _geometry(visual: dict[str, Tensor], path: Path) -> TowerConfig:
    """Read off the shapes, as CLIP's own loader does."""
    try:
        width, _, patch, _ = visual["conv1.weight"].shape
        grid = round((len(visual["positional_embedding"]) - 1) ** 0.5)
    except (KeyError, ValueError) as err:
        raise ModelError(f"{path} holds no CLIP vision transformer (visual.*); use ViT-L-14-336") from err
    blocks = {name.split(".")[2] for name in visual if name.startswith("transformer.resblocks.")}
    heads = max(1, width // HEAD_WIDTH)
    return TowerConfig(width, layers=len(blocks), heads=heads, patch=patch, resolution=patch * grid)


def _one_line(err: Exception) -> str:
    return " ".join(str(err).split())[:160]
