"""The decoding batch: everything a step reads and writes, laid out on the device before the first step of a window.

One item per slot. With guidance an item has two rows in the decoder, with the picture and without it. A step is a few
index operations, the decoder and the draw; no Python runs per item, and nothing is copied back until a window ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.cuda_graph import StepGraphs
from core.decoder import Decoder
from core.sampling import Sampling, choose, guide

UNKNOWN = -1
_GROWTH = 128  # sequence steps by which the cache grows on a CPU, where reading what is empty costs most


@dataclass(frozen=True)
class BatchSize:
    """What the longest of all windows needs: sequence `steps` read, condition `vectors`, `control` channels (0 = none).

    restricted: do some windows say which codes are allowed?
    """

    steps: int
    vectors: int
    control: int
    restricted: bool


@dataclass(frozen=True)
class WindowInput:
    """What one window brings, of S sequence steps read one after the other.

    sequence [K, S + 1], UNKNOWN where a code is to be written; uniform [S, K] in 0..1, and forbidden [S, K, V] or
    None, of the codes that step s decides; times [S] s; control [S, channels] or None. condition [F, out] shown at
    frame_times [F] s. prompt: how many of the first steps are wholly known.
    """

    sequence: Tensor
    uniform: Tensor
    forbidden: Tensor | None
    times: Tensor
    control: Tensor | None
    condition: Tensor
    frame_times: Tensor
    prompt: int


class Batch:
    """Room for `items` windows that are decoded side by side."""

    def __init__(self, decoder: Decoder, sampling: Sampling, items: int, size: BatchSize, graphs: StepGraphs) -> None:
        self._decoder, self._sampling, self._graphs = decoder, sampling, graphs
        device, streams = decoder.device, decoder.config.streams
        self.items = items
        self._per = 2 if sampling.guidance != 1 else 1
        self._limit = size.steps
        # A CUDA graph is recorded for fixed addresses.
        self._growth = min(_GROWTH, size.steps) if device.type == "cpu" else size.steps
        self.cache = decoder.new_cache(items * self._per, self._growth)
        self._picture = decoder.new_picture(items, max(size.vectors, 1))
        self._positions = torch.zeros(items, dtype=torch.long, device=device)
        self._index = torch.arange(items, device=device)
        self._sequence = torch.zeros(items, size.steps + 1, streams, dtype=torch.long, device=device)
        self._wanted = torch.zeros(items, size.steps, streams, dtype=torch.bool, device=device)
        self._uniform = torch.zeros(items, size.steps, streams, device=device)
        self._times = torch.zeros(items, size.steps, device=device)
        self._control = torch.zeros(items, size.steps, size.control, device=device) if size.control else None
        card = decoder.config.card
        self._forbidden = (
            torch.zeros(items, size.steps, streams, card, dtype=torch.bool, device=device) if size.restricted else None
        )

    def open(self, item: int, window: WindowInput) -> None:
        """Lay out a window and read its prompt."""
        steps = len(window.times)
        known = window.sequence.t()
        self._sequence[item, : steps + 1] = known
        self._wanted[item, :steps] = known[1:] == UNKNOWN
        self._uniform[item, :steps] = window.uniform
        self._times[item, :steps] = window.times
        if self._control is not None and window.control is not None:
            self._control[item, :steps] = window.control
        if self._forbidden is not None:
            self._forbidden[item] = False
            if window.forbidden is not None:
                self._forbidden[item, :steps] = window.forbidden
        self._show(item, window)
        self._positions[item] = 0
        if window.prompt:
            self._prefill(item, window.prompt)

    def step(self, active: int, furthest: int) -> None:
        """Read one step of each of the first `active` items, of which none is beyond step `furthest`, and write on."""
        self._make_room(furthest + 1)
        self._graphs.run((id(self), active), lambda: self._step(active))

    def sequence(self, item: int, steps: int) -> Tensor:
        """[K, steps + 1] as written so far."""
        return self._sequence[item, : steps + 1].t()

    def seek(self, position: int) -> None:
        """Let every item go on from sequence step `position`, whatever the cache holds before it: for measuring."""
        self._make_room(position + 1)
        self._positions.fill_(position)
        self._sequence[:, position] = 0

    def move(self, source: int, target: int) -> None:
        """Item `target` goes on as a copy of `source`."""
        optional = [t for t in (self._control, self._forbidden, self._picture.added) if t is not None]
        buffers = [self._positions, self._sequence, self._wanted, self._uniform, self._times]
        shown = [self._picture.frame_times, self._picture.present, *self._picture.keys, *self._picture.values]
        for buffer in (*buffers, *shown, *optional):
            buffer[target] = buffer[source]
        for cache in self.cache:
            cache.move(self._rows(source), self._rows(target))

    def _make_room(self, steps: int) -> None:
        """Let the cache hold `steps` steps."""
        if steps > self.cache[0].steps:
            for cache in self.cache:
                cache.grow(min(-(-steps // self._growth) * self._growth, self._limit))

    def _rows(self, item: int) -> slice:
        return slice(item * self._per, (item + 1) * self._per)

    def _show(self, item: int, window: WindowInput) -> None:
        """Cross-attention keys and values of the window's own frames."""
        mine = self._picture.items(slice(item, item + 1))
        for buffer in (*mine.values, mine.present, *([] if mine.added is None else [mine.added])):
            buffer.zero_()
        count = len(window.frame_times)
        if not count:
            return
        times = window.frame_times[None]
        shown = self._decoder.picture(window.condition[None], times, torch.ones_like(times, dtype=torch.bool))
        for keys, new in zip(mine.keys, shown.keys, strict=True):
            keys[..., :count] = new
        for values, new in zip(mine.values, shown.values, strict=True):
            values[:, :, :count] = new
        mine.frame_times[:, :count] = times
        mine.present[:, :count] = True
        if mine.added is not None and shown.added is not None:
            mine.added.copy_(shown.added)

    def _prefill(self, item: int, prompt: int) -> None:
        """Read the steps that are wholly known, so that `step` goes on from there."""

        def rows(values: Tensor) -> Tensor:
            return values[item : item + 1, :prompt].expand(self._per, *([-1] * (values.dim() - 1)))

        self._make_room(prompt)
        positions = torch.arange(prompt, device=self._positions.device).expand(self._per, prompt)
        self._decoder.advance(
            rows(self._sequence).transpose(1, 2), self._picture.items(slice(item, item + 1)),
            None if self._control is None else rows(self._control), rows(self._times), positions, self.cache,
            self._rows(item),
        )  # fmt: skip
        self._positions[item] = prompt

    def _step(self, active: int) -> None:
        item, at, per = self._index[:active], self._positions[:active], self._per

        def rows(values: Tensor) -> Tensor:
            return values[item, at].repeat_interleave(per, dim=0)[:, None]

        logits = self._decoder.advance(
            rows(self._sequence).transpose(1, 2), self._picture.items(slice(0, active)),
            None if self._control is None else rows(self._control), rows(self._times),
            at.repeat_interleave(per)[:, None], self.cache, slice(0, active * per),
        ).float()  # fmt: skip
        sampling = self._sampling
        if per == 2:
            logits = guide(logits[0::2], logits[1::2], sampling.guidance)
        if self._forbidden is not None:
            logits = logits.masked_fill(self._forbidden[item, at], float("-inf"))
        drawn = choose(logits, self._uniform[item, at], sampling.top_k, sampling.temperature, sampling.top_p)
        following = at + 1
        here = self._sequence[item, following]
        self._sequence[item, following] = torch.where(self._wanted[item, at], drawn, here)
        at += 1
