"""Number formats of the decoder's weights for inference, and the kernels that read them fastest.

A decoding step multiplies one or a few rows by every weight of the decoder, so it takes as long as reading them:
half the bytes are twice the speed. Weights are packed once into the layout of oneDNN's kernels: the library's own
path for plain weights misses the memory's bandwidth several times over at two rows (docs/log.md).

    fp32    single precision, packed on CPUs
    bf16    weights, cached keys and values in bfloat16, packed on CPUs
    fp16    the same in half precision: for GPUs
    int8    CPUs with VNNI: weights in 8 bits with a scale per output channel, their input rounded to 8 bits with a
            scale per row at every step; cached keys and values in bfloat16

Sums of the residual stream, norms and softmax stay in single precision in all of them.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.decoder import Decoder, DecoderLayer
from core.errors import ModelError
from core.layers import StackedProjection, TimeWindow
from core.packed import PackedLinear, packs

Precision = Literal["fp32", "bf16", "fp16", "int8"]

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.bfloat16}
_SMALL_WIDTH = 512  # below, a step is all overhead and packing changes nothing but the sums' last digits


class CastLinear(nn.Module):
    """A linear map without bias in another type: x [..., in] of any type -> [..., out] of the weights'."""

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", weight.to(dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x times the weights."""
        weight = self.weight
        assert isinstance(weight, Tensor)
        return F.linear(x.to(weight.dtype), weight)


class Int8Linear(nn.Module):
    """The same with 8-bit weights and inputs, summed exactly in 32 bits: rows don't depend on each other."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        scale = (weight.abs().amax(dim=1) / 127.0).clamp(min=1e-12).float()
        rounded = (weight / scale[:, None]).round().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(rounded, None)
        # The input's scale is its row's peak / 127; the 127 is put here, the peak is multiplied in afterwards.
        self._scale = scale / 127.0
        self._zero = torch.zeros(len(scale), dtype=torch.int32)
        self._middle = torch.tensor(128.5)  # of 0..255, and half to round

    def forward(self, x: Tensor) -> Tensor:
        """x times the weights, in single precision."""
        rows = x.reshape(-1, x.shape[-1]).float()
        peak = rows.abs().amax(dim=1, keepdim=True).clamp_(min=1e-20)
        rounded = torch.addcdiv(self._middle, rows, peak, value=127.0).to(torch.uint8)
        out: Tensor = torch.ops.onednn.qlinear_pointwise(
            rounded, 1.0, 128, self._weight, self._scale, self._zero, None, 1.0, 0, torch.float32, "none", [], ""
        )
        scaled: Tensor = out * peak
        return scaled.view(*x.shape[:-1], -1)


class PreparedProjection(StackedProjection):
    """q, k and v of prepared weights: together for self-attention, q apart from k and v for cross-attention."""

    def __init__(self, source: StackedProjection, precision: Precision, device: torch.device, cross: bool) -> None:
        nn.Module.__init__(self)
        self.dim = source.dim
        weight = source.in_proj_weight.detach()
        first = self.dim if cross else 3 * self.dim
        self.first = linear(weight[:first], precision, device)
        self.rest = linear(weight[first:], precision, device) if cross else None
        self.out_proj = linear(source.out_proj.weight.detach(), precision, device)  # type: ignore[assignment]

    def query_key_value(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v of x [B, S, D], each [B, S, D]."""
        query, key, value = self.first(x).chunk(3, dim=-1)
        return query, key, value

    def query(self, x: Tensor) -> Tensor:
        """q of x [B, S, D]."""
        out: Tensor = self.first(x)
        return out

    def key_value(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """k and v of x [B, F, D]."""
        assert self.rest is not None, "a self-attention's projection is read as a whole"
        key, value = self.rest(x).chunk(2, dim=-1)
        return key, value


def linear(weight: Tensor, precision: Precision, device: torch.device) -> nn.Module:
    """The map of `weight` [out, in] for `precision` on `device`."""
    if precision == "int8":
        return Int8Linear(weight)
    dtype = _TYPES[precision]
    return PackedLinear(weight, dtype) if device.type == "cpu" and packs(dtype) else CastLinear(weight, dtype)


@torch.no_grad()
def prepare(decoder: Decoder, precision: Precision) -> Decoder:
    """`decoder`, its weights replaced by those of `precision`, layer by layer; for inference alone from here on.

    ModelError where this machine can't compute in it. fp32 leaves small decoders and GPUs as they are.
    """
    device = decoder.device
    check(precision, device)
    if precision == "fp32" and (device.type != "cpu" or decoder.config.dim < _SMALL_WIDTH):
        return decoder
    for layer in decoder.layers:
        assert isinstance(layer, DecoderLayer)
        layer.self_attn = PreparedProjection(layer.self_attn, precision, device, cross=False)
        if decoder.config.temporal_cross_attention:
            layer.cross_attention = PreparedProjection(layer.cross_attention, precision, device, cross=True)
        layer.linear1 = linear(layer.linear1.weight, precision, device)  # type: ignore[assignment]
        layer.linear2 = linear(layer.linear2.weight, precision, device)  # type: ignore[assignment]
    joint = torch.cat([head.weight for head in decoder.linears if isinstance(head, nn.Linear)])
    decoder.joint_heads = linear(joint, precision, device)
    decoder.linears = nn.ModuleList()
    for module in decoder.modules():
        if isinstance(
            module, nn.LayerNorm | nn.Linear | TimeWindow
        ):  # what isn't replaced computes in single precision
            module.float()
    decoder.emb.to(_TYPES[precision])
    decoder.keep_cache_in(_TYPES[precision])
    return decoder


def check(precision: Precision, device: torch.device) -> None:
    """ModelError, with the remedy, where `device` can't compute in `precision`."""
    if precision == "int8" and device.type != "cpu":
        raise ModelError(f"precision int8 is for CPUs, not for {device}: use bf16 or fp16 there")
    if precision == "int8" and not int8_works():
        raise ModelError(
            "precision int8 needs a CPU with AVX-512 VNNI and a torch with oneDNN: use bf16 or fp32 on this machine"
        )
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ModelError(f"{device} has no bf16: use fp16 there")


def best_precision(device: torch.device, dim: int) -> Precision:
    """The fastest format that is good on `device` for a decoder `dim` wide: what "auto" means."""
    if dim < _SMALL_WIDTH:
        return "fp32"
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device.type != "cpu":
        return "fp32"
    if int8_works():
        return "int8"
    return "bf16" if _cpu_has("_is_avx512_bf16_supported") and packs(torch.bfloat16) else "fp32"


@cache
def int8_works() -> bool:
    """Has this CPU the instructions for 8-bit sums, and this torch the kernel?

    Without VNNI the kernel adds pairs of products in 16 bits, which overflow.
    """
    if not _cpu_has("_is_vnni_supported"):
        return False
    weight, x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)), torch.linspace(-1, 1, 128).view(2, 64)
    try:
        out = Int8Linear(weight)(x)
    except (RuntimeError, AttributeError, NotImplementedError):  # not built with oneDNN, or its operators have changed
        return False
    exact = x @ weight.T
    return bool((out - exact).norm() < 0.03 * exact.norm())


def _cpu_has(test: str) -> bool:
    """What torch knows of this CPU; False where it knows nothing."""
    known = getattr(torch.cpu, test, None)
    return bool(known()) if known is not None else False
