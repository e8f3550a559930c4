"""The two sides of scripts/bench_decode.py: audiocraft's language model and ours, the same random weights in both.

Both answer to `seek` (caches filled with noise up to a position, so that position 1400 costs no 1400 steps) and
`step` (one guided, sampled step of every item at that position).
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

import torch
from torch import Tensor

from core.batch import UNKNOWN, Batch, BatchSize, WindowInput
from core.config import DecoderConfig
from core.cuda_graph import StepGraphs
from core.decoder import Decoder
from core.patterns import delay
from core.precision import Precision, prepare
from core.sampling import Sampling

FRAMES = 30  # condition vectors of a window
WINDOW_CODES = 1500  # codes of 30 s
_PROBE = 5  # steps read to see how audiocraft keeps its state; no other of its dimensions is 5


class Side(Protocol):
    """What is measured."""

    def seek(self, position: int) -> None:
        """Go to a position."""

    def step(self) -> None:
        """One step there."""


class Ours:
    """Our decoder in a batch of `items` windows."""

    def __init__(self, decoder: Decoder, items: int, codes: int = WINDOW_CODES, graphs: bool = True) -> None:
        config, device = decoder.config, decoder.device
        steps = codes + config.longest_delay
        self._graphs = StepGraphs(device, graphs)
        self._batch = Batch(decoder, Sampling(), items, BatchSize(steps, FRAMES, 0, False), self._graphs)
        unknown = torch.full((1, config.streams, codes), UNKNOWN)
        random = torch.Generator().manual_seed(0)
        window = WindowInput(
            sequence=delay(unknown, config.delays, config.special)[0].to(device),
            uniform=torch.rand(steps, config.streams, generator=random).to(device),
            forbidden=None,
            times=torch.arange(steps, device=device) / 50,
            control=None,
            condition=torch.randn(FRAMES, decoder.condition_proj.in_features, generator=random).to(device),
            frame_times=torch.arange(FRAMES, device=device).float(),
            prompt=0,
        )
        self._items, self._position = items, 0
        for item in range(items):
            self._batch.open(item, window)

    def seek(self, position: int) -> None:
        """Fill the cache and go to a position."""
        self._batch.seek(position)
        for cache in self._batch.cache:
            cache.keys.copy_(noise(cache.keys))
            cache.values.copy_(noise(cache.values))
        self._position = position

    def step(self) -> None:
        """One step of every item."""
        self._batch.seek(self._position)
        self._batch.step(self._items, self._position)


class Audiocraft:
    """audiocraft's LMModel with `items` items."""

    def __init__(self, lm: Any, items: int, dim: int) -> None:
        from audiocraft_lm import condition_tensors

        self._lm = lm
        some = next(lm.parameters())
        condition = torch.randn(items, FRAMES, dim, device=some.device, dtype=some.dtype)
        self._conditions = condition_tensors(condition)
        self._tokens = torch.zeros(items, lm.num_codebooks, 1, dtype=torch.long, device=some.device)

    def seek(self, position: int) -> None:
        """Fill the streaming state as if `position` steps had been read."""
        self._lm._set_streaming(True)
        self._lm.reset_streaming()
        rows = torch.cat([self._tokens, self._tokens]).expand(-1, -1, _PROBE)
        self._lm(rows, conditions=[], condition_tensors=self._conditions)
        state = self._lm.get_streaming_state()
        for name in list(state):
            value = state[name]
            if name.endswith(("past_keys", "past_values")):
                state[name] = noise(value.new_empty([position if size == _PROBE else size for size in value.shape]))
            elif name.endswith("offsets"):
                state[name] = torch.full_like(value, position)
        self._lm.set_streaming_state(state)

    def step(self) -> None:
        """One step of every item; the state grows by it."""
        self._lm._sample_next_token(
            self._tokens, self._conditions, {}, use_sampling=True, temp=1.0, top_k=250, cfg_coef=3.0
        )

    def close(self) -> None:
        """Forget the state."""
        self._lm.reset_streaming()
        self._lm._set_streaming(False)


def noise(like: Tensor) -> Tensor:
    """Random numbers as many as `like` has; the same million again and again, which is quickly made."""
    block = torch.randn(2**20, device=like.device).to(like.dtype)
    return block.repeat(like.numel() // len(block) + 1)[: like.numel()].view(like.shape)


def our_decoder(config: DecoderConfig, weights: dict[str, Tensor] | None = None) -> Decoder:
    """Our decoder with audiocraft's `weights` (LMModel.state_dict()) or its own; its condition is as wide as it is."""
    decoder = Decoder(config, config.dim).eval()
    if weights is None:
        return decoder
    renamed = {name.removeprefix("transformer."): value for name, value in weights.items()}
    identity = {"condition_proj.weight": torch.eye(config.dim), "condition_proj.bias": torch.zeros(config.dim)}
    decoder.load_state_dict({k: v for k, v in renamed.items() if not k.startswith("condition_provider.")} | identity)
    return decoder


def prepared(decoder: Decoder, precision: Precision, device: str) -> Decoder:
    """A copy of `decoder` in `precision` on `device`."""
    return prepare(copy.deepcopy(decoder).to(device), precision)
