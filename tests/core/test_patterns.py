"""The delay pattern, held against a naive reference."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.patterns import delay, undelay

SPECIAL = 99


def naive_delay(codes: torch.Tensor, delays: tuple[int, ...]) -> torch.Tensor:
    """Sequence step s of stream k holds code s - 1 - delays[k] where there is one, else the special code."""
    batch, streams, steps = codes.shape
    out = torch.full((batch, streams, steps + max(delays) + 1), SPECIAL)
    for b in range(batch):
        for k in range(streams):
            for s in range(out.shape[-1]):
                if 0 <= s - 1 - delays[k] < steps:
                    out[b, k, s] = codes[b, k, s - 1 - delays[k]]
    return out


@given(
    steps=st.integers(1, 12),
    delays=st.lists(st.integers(0, 5), min_size=1, max_size=6).map(lambda d: (0, *d)),
)
def test_delay_is_the_naive_pattern_and_undelay_its_inverse(steps: int, delays: tuple[int, ...]) -> None:
    codes = torch.arange(2 * len(delays) * steps).reshape(2, len(delays), steps) % 90
    sequence = delay(codes, delays, SPECIAL)
    assert torch.equal(sequence, naive_delay(codes, delays))
    assert torch.equal(undelay(sequence, delays), codes)


@pytest.mark.parametrize("steps", [1, 7])
def test_the_first_sequence_step_is_all_special(steps: int) -> None:
    sequence = delay(torch.zeros(1, 4, steps, dtype=torch.long), (0, 1, 2, 3), SPECIAL)
    assert (sequence[..., 0] == SPECIAL).all()
