"""Linear maps with weights in oneDNN's own layout: what torch offers for inference on CPUs beside `F.linear`.

For single precision `F.linear` calls another library, which on some processors takes twice the time at a thousand rows
and four times at two (docs/log.md); in bfloat16 a tenth more.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

USUAL_ROWS = 16  # oneDNN chooses the layout for about so many rows; the choice makes no difference from 2 up


class PackedLinear(nn.Module):
    """x [..., in] of any type -> [..., out] in `dtype`, fp32 or bf16, on CPUs. weight [out, in], bias [out]."""

    def __init__(self, weight: Tensor, dtype: torch.dtype, bias: Tensor | None = None) -> None:
        super().__init__()
        self.dtype = dtype
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous(), USUAL_ROWS)
        self._bias = None if bias is None else bias.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x times the weights, plus the bias."""
        x = x.to(self.dtype)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return out


@cache
def packs(dtype: torch.dtype) -> bool:
    """Has this torch the packed kernels for weights of `dtype`?"""
    weight, x = torch.eye(32), torch.arange(64.0).view(2, 32)
    try:
        out = PackedLinear(weight, dtype, torch.ones(32))(x)
    except (RuntimeError, AttributeError, NotImplementedError):  # not built with oneDNN, or its operators have changed
        return False
    return bool(torch.equal(out.float(), x + 1))
