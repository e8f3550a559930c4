"""Prefill and decode loop: pictures and control tracks in, codes out. Knows no video, no notes and no audio.

Many cues are decoded side by side, one slot each; a cue's windows follow each other in its slot (each is prompted
with the end of the one before), and a slot whose cue has ended takes the next. Every slot has two rows in the batch,
with the picture and without it, for classifier-free guidance. What a cue gets depends on its own seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.decoder import Decoder, Picture
from core.patterns import delay, undelay
from core.sampling import choose, guide
from core.windows import Window

UNKNOWN = -1
Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Job:
    """One cue to be written.

    condition [F, Q, out]: what `GVMGen.condition` makes of each frame (Q = 1 unless its queries are kept apart), at
    frame_times [F] s. step_seconds [S+1]; windows cover the S steps.
    control [S, channels] per step of stream 0, or None; `lagged` makes a window's sequence controls of it.
    allowed [S, K, V] bool: codes that may occur, or None. seed: the cue's own.
    """

    condition: npt.NDArray[np.float32]
    frame_times: npt.NDArray[np.float64]
    step_seconds: npt.NDArray[np.float64]
    windows: Sequence[Window]
    seed: int
    control: npt.NDArray[np.float32] | None = None
    lagged: Callable[[npt.NDArray[np.float32], int, int, int], npt.NDArray[np.float32]] | None = None
    allowed: npt.NDArray[np.bool_] | None = None

    @property
    def steps(self) -> int:
        """Number of code steps S."""
        return len(self.step_seconds) - 1


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn; guidance 1 = without classifier-free guidance."""

    guidance: float = 3.0
    top_k: int = 250
    temperature: float = 1.0


@dataclass
class _Slot:
    """Where one cue's decoding stands."""

    job_index: int
    job: Job
    codes: Tensor  # [K, S], UNKNOWN where not yet written
    uniform: Tensor  # [S, K] random numbers of the cue
    window_index: int = 0
    sequence: Tensor = field(default_factory=lambda: torch.empty(0))  # [K, T + longest delay + 1] of this window
    times: Tensor = field(default_factory=lambda: torch.empty(0))  # [T + longest delay] of its sequence steps
    control: Tensor | None = None  # [T + longest delay, ...]
    position: int = 0  # the sequence step that is read next

    @property
    def window(self) -> Window:
        return self.job.windows[self.window_index]


class Engine:
    """Decodes jobs with a decoder in eval mode, `slots` cues at a time."""

    def __init__(self, decoder: Decoder, sampling: Sampling, slots: int = 8) -> None:
        self.decoder = decoder
        self.config = decoder.config
        self.sampling = sampling
        self.slots = slots
        self.device = next(decoder.parameters()).device

    @torch.inference_mode()
    def generate(self, jobs: Sequence[Job], progress: Progress | None = None) -> list[npt.NDArray[np.int64]]:
        """Codes [K, S] of every job, in order. `progress` is told the share done, 0..1."""
        if not jobs:
            return []
        with one_thread(self.device):
            return self._generate(jobs, progress)

    def _generate(self, jobs: Sequence[Job], progress: Progress | None) -> list[npt.NDArray[np.int64]]:
        done: dict[int, npt.NDArray[np.int64]] = {}
        waiting = list(enumerate(jobs))[::-1]
        self._allocate(jobs)
        slots: list[_Slot | None] = [None] * self.rows
        total, furthest = sum(job.steps for job in jobs), 0.0
        while waiting or any(slots):
            for row, slot in enumerate(slots):
                if slot is None and waiting:
                    slots[row] = self._open(row, *waiting.pop())
            self._step(slots)
            for row, slot in enumerate(slots):
                if slot is not None and slot.position == slot.sequence.shape[-1] - 1:
                    slots[row] = self._close(row, slot, done)
            if progress is not None:
                written = sum(d.shape[-1] for d in done.values()) + sum(s.window.first + s.position for s in slots if s)
                # A window is a few sequence steps longer than its codes, so the sum overshoots at its end.
                furthest = max(furthest, min(1.0, written / total))
                progress(furthest)
        return [done[index] for index in range(len(jobs))]

    # -- slots ---------------------------------------------------------------------------------------------------

    def _allocate(self, jobs: Sequence[Job]) -> None:
        """Buffers for the longest window among `jobs`, once."""
        self.rows = min(self.slots, len(jobs))
        rows = self.rows * (2 if self.sampling.guidance != 1 else 1)
        longest = max(window.last - window.first for job in jobs for window in job.windows)
        frames = max(max(_frames(job, window)[1] - _frames(job, window)[0] for window in job.windows) for job in jobs)
        vectors = frames * max(job.condition.shape[1] for job in jobs)
        self.cache = self.decoder.new_cache(rows, longest + self.config.longest_delay + 1)
        width = self.config.dim // self.config.heads
        weight = self.decoder.linears[0].weight
        assert isinstance(weight, Tensor)
        blank = [weight.new_zeros(rows, self.config.heads, max(vectors, 1), width) for _ in self.decoder.layers]
        self.picture = Picture(
            blank, [b.clone() for b in blank], weight.new_zeros(rows, max(vectors, 1)),
            torch.zeros(rows, max(vectors, 1), dtype=torch.bool, device=self.device),
        )  # fmt: skip

    def _open(self, row: int, job_index: int, job: Job) -> _Slot:
        """Start `job` in slot `row`."""
        random = torch.Generator().manual_seed(job.seed & 0x7FFF_FFFF_FFFF_FFFF)
        uniform = torch.rand(job.steps, self.config.streams, generator=random).to(self.device)
        codes = torch.full((self.config.streams, job.steps), UNKNOWN, dtype=torch.long, device=self.device)
        slot = _Slot(job_index, job, codes, uniform)
        self._open_window(row, slot)
        return slot

    def _close(self, row: int, slot: _Slot, done: dict[int, npt.NDArray[np.int64]]) -> _Slot | None:
        """Keep the codes of a finished window; go on with the cue's next, or free the slot."""
        window = slot.window
        slot.codes[:, window.first : window.last] = undelay(slot.sequence[None], self.config.delays)[0]
        if slot.window_index + 1 < len(slot.job.windows):
            slot.window_index += 1
            self._open_window(row, slot)
            return slot
        assert int(slot.codes.min()) >= 0, "a code was left unwritten"
        done[slot.job_index] = slot.codes.cpu().numpy()
        return None

    def _open_window(self, row: int, slot: _Slot) -> None:
        """Lay out the window's sequence, its controls and its picture, and read its prompt."""
        job, window, lag = slot.job, slot.window, self.config.longest_delay
        known = slot.codes[None, :, window.first : window.last]
        slot.sequence = delay(known, self.config.delays, self.config.special)[0]
        seconds = job.step_seconds[window.first : window.last]
        times = np.concatenate([seconds, np.full(lag, seconds[-1])])
        slot.times = torch.as_tensor(times, dtype=torch.float32, device=self.device)
        if job.control is not None:
            assert job.lagged is not None
            track = job.lagged(job.control, window.first, window.last, lag)
            slot.control = torch.as_tensor(track, device=self.device)
        self._show(row, job, window)
        slot.position = 0
        if window.prompt:
            self._prefill(row, slot, window.prompt)

    def _show(self, row: int, job: Job, window: Window) -> None:
        """Cross-attention keys and values of the window's own frames, written to the slot's row."""
        first, last = _frames(job, window)
        self.picture.present[row] = False
        if last == first:
            return
        condition = torch.as_tensor(job.condition[first:last], dtype=torch.float32, device=self.device)
        times = torch.as_tensor(job.frame_times[first:last], dtype=torch.float32, device=self.device)
        times = times.repeat_interleave(condition.shape[1])[None]
        shown = self.decoder.picture(condition.flatten(0, 1)[None], times, torch.ones_like(times, dtype=torch.bool))
        count = times.shape[1]
        for target, source in zip(self.picture.keys + self.picture.values, shown.keys + shown.values, strict=True):
            target[row, :, :count] = source[0]
        self.picture.frame_times[row, :count] = times[0]
        self.picture.present[row, :count] = True

    # -- steps ---------------------------------------------------------------------------------------------------

    def _prefill(self, row: int, slot: _Slot, prompt: int) -> None:
        """Read the sequence steps that are wholly known, so that `_step` goes on from there."""
        known = slice(0, prompt)
        for at in (row, row + self.rows) if self.sampling.guidance != 1 else (row,):
            rows = slice(at, at + 1)
            positions = torch.arange(prompt, device=self.device)[None]
            control = None if slot.control is None else slot.control[None, known]
            self.decoder.advance(
                slot.sequence[None, :, known], self.picture.rows(rows), control, slot.times[None, known], positions,
                self.cache, rows,
            )  # fmt: skip
        slot.position = prompt

    def _step(self, slots: Sequence[_Slot | None]) -> None:
        """One sequence step of every slot (an empty slot's row computes what nobody reads)."""
        some = next(slot for slot in slots if slot is not None)
        full = [slot if slot is not None else some for slot in slots]
        twice = 2 if self.sampling.guidance != 1 else 1
        tokens = torch.stack([s.sequence[:, s.position] for s in full])[..., None].repeat(twice, 1, 1)
        times = torch.stack([s.times[s.position] for s in full])[:, None].repeat(twice, 1)
        positions = torch.tensor([[s.position] for s in full] * twice, device=self.device)
        control = None
        if some.control is not None:
            lines = [s.control[s.position] for s in full if s.control is not None]
            control = torch.stack(lines)[:, None].repeat(twice, 1, 1)
        logits = self.decoder.advance(tokens, self.picture, control, times, positions, self.cache, slice(None))
        if twice == 2:
            logits = guide(logits[: self.rows], logits[self.rows :], self.sampling.guidance)
        self._draw(full, logits.float())
        for slot in slots:
            if slot is not None:
                slot.position += 1

    def _draw(self, slots: Sequence[_Slot], logits: Tensor) -> None:
        """Write the codes that this step's logits [R, K, V] decide, where the pattern has one and none is given."""
        streams = torch.arange(self.config.streams, device=self.device)
        delays = torch.tensor(self.config.delays, device=self.device)
        uniform = torch.zeros(len(slots), self.config.streams, device=self.device)
        wanted = torch.zeros_like(uniform, dtype=torch.bool)
        for row, slot in enumerate(slots):
            window = slot.window
            step = slot.position - delays  # of each stream, within the window
            inside = (step >= 0) & (step < window.last - window.first)
            at = (window.first + step).clamp(0, slot.job.steps - 1)
            uniform[row] = slot.uniform[at, streams]
            wanted[row] = inside & (slot.sequence[:, slot.position + 1] == UNKNOWN)
            if slot.job.allowed is not None:
                allowed = torch.as_tensor(slot.job.allowed[at.cpu().numpy(), np.arange(self.config.streams)])
                logits[row] = logits[row].masked_fill(~allowed.to(self.device), float("-inf"))
        drawn = choose(logits, uniform, self.sampling.top_k, self.sampling.temperature)
        for row, slot in enumerate(slots):
            here = slot.sequence[:, slot.position + 1]
            slot.sequence[:, slot.position + 1] = torch.where(wanted[row], drawn[row], here)


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Context in which torch computes on the CPU in one thread.

    A step's matrices are small, so threads mostly wait for each other: on two busy cores decoding took 25 times the
    CPU time with two of them. It also gives the same sums on any machine.
    """
    before = torch.get_num_threads()
    try:
        if device.type == "cpu":
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)


def _frames(job: Job, window: Window) -> tuple[int, int]:
    """First and last (exclusive) index of the frames that a window sees."""
    start, end = job.step_seconds[window.first], job.step_seconds[window.last]
    first, last = np.searchsorted(job.frame_times, [start - 1e-9, end - 1e-9])
    return int(first), int(last)
