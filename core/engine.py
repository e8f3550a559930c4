"""Prefill and decode loop: conditions and control tracks in, codes out. Knows no video, no notes and no audio.

Many cues are decoded side by side, one slot each; a cue's windows follow each other in its slot (each is prompted
with the end of the one before), and a slot whose cue has ended takes the next. What a cue gets depends on its own
seed alone. Where memory runs out, what is finished stays and the rest goes on in half as many slots.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from core.batch import UNKNOWN, Batch, BatchSize, WindowInput
from core.cuda_graph import StepGraphs
from core.decoder import Decoder
from core.errors import ModelError
from core.patterns import delay, undelay
from core.sampling import Sampling
from core.windows import Window

__all__ = ["Engine", "Job", "Progress", "Sampling", "one_thread"]

_SMALL = 20_000_000  # parameters up to which one thread is quicker than several

_log = logging.getLogger(__name__)
Codes = npt.NDArray[np.int64]
Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Job:
    """One cue to be written.

    condition [F, Q, out]: what `GVMGen.condition` makes of each frame (Q = 1 unless its queries are kept apart), at
    frame_times [F] s. step_seconds [S+1]; windows cover the S steps.
    control [S, channels] per step of stream 0, or None; `lagged` makes a window's sequence controls of it.
    allowed [S, K, V] bool: codes that may occur, or None. seed: the cue's own.
    given [K, P] int or None: codes of the first P steps, which the rest goes on from.
    """

    condition: npt.NDArray[np.float32]
    frame_times: npt.NDArray[np.float64]
    step_seconds: npt.NDArray[np.float64]
    windows: Sequence[Window]
    seed: int
    control: npt.NDArray[np.float32] | None = None
    lagged: Callable[[npt.NDArray[np.float32], int, int, int], npt.NDArray[np.float32]] | None = None
    allowed: npt.NDArray[np.bool_] | None = None
    given: npt.NDArray[np.int64] | None = None

    @property
    def steps(self) -> int:
        """Number of code steps S."""
        return len(self.step_seconds) - 1


class _Cue:
    """Where one job's decoding stands."""

    def __init__(self, index: int, job: Job, streams: int) -> None:
        self.index, self.job = index, job
        random = torch.Generator().manual_seed(job.seed & 0x7FFF_FFFF_FFFF_FFFF)
        self.uniform = torch.rand(job.steps, streams, generator=random)  # [S, K] random numbers of the cue
        self.codes = torch.full((streams, job.steps), UNKNOWN, dtype=torch.long)  # [K, S]
        if job.given is not None:
            self.codes[:, : job.given.shape[1]] = torch.from_numpy(job.given)
        self.window_index = 0
        self.position = 0  # the sequence step of the window that is read next
        self.steps = 0  # sequence steps of the window

    @property
    def window(self) -> Window:
        return self.job.windows[self.window_index]

    @property
    def written(self) -> int:
        """Steps so far, about: a window is a few sequence steps longer than its codes."""
        return self.window.first + self.position


class Engine:
    """Decodes jobs with a decoder in eval mode, `slots` cues at a time.

    graphs: record steps as CUDA graphs where there is CUDA.
    """

    def __init__(self, decoder: Decoder, sampling: Sampling, slots: int = 8, graphs: bool = True) -> None:
        self.decoder = decoder
        self.config = decoder.config
        self.sampling = sampling
        self.slots = slots
        self.device = decoder.device
        self._graphs = StepGraphs(self.device, graphs)

    def generate(self, jobs: Sequence[Job], progress: Progress | None = None) -> list[npt.NDArray[np.int64]]:
        """Codes [K, S] of every job, in order. `progress` is told the share done, 0..1.

        ModelError if not even one cue at a time fits the memory.
        """
        done = dict(self.stream(jobs, progress))
        return [done[index] for index in range(len(jobs))]

    def stream(self, jobs: Sequence[Job], progress: Progress | None = None) -> Iterator[tuple[int, Codes]]:
        """Yields (number of the job, its codes [K, S]) as jobs are finished; otherwise as `generate`."""
        finished = self._generate(jobs, progress)
        small = sum(parameter.numel() for parameter in self.decoder.parameters()) <= _SMALL
        while True:
            with one_thread(self.device) if small else nullcontext(), torch.inference_mode():
                found = next(finished, None)
            if found is None:
                return
            yield found

    def _generate(self, jobs: Sequence[Job], progress: Progress | None) -> Iterator[tuple[int, Codes]]:
        waiting = [_Cue(index, job, self.config.streams) for index, job in enumerate(jobs)][::-1]
        slots: list[_Cue] = []
        report = _Report(jobs, progress)
        while waiting:
            together = min(self.slots, len(waiting))
            try:
                yield from self._decode(waiting, slots, report)
            except RuntimeError as err:
                if not _is_out_of_memory(err):
                    raise
                if together == 1:
                    raise ModelError(
                        f"not enough memory on {self.device} to decode a single cue: close other programs, use a "
                        "smaller model, or a lower precision"
                    ) from err
                self.slots = together // 2
                _log.warning("out of memory on %s: going on with %d cues at a time", self.device, self.slots)
                waiting += slots[::-1]  # their windows that were under way start again
                slots.clear()
            finally:
                self._graphs.clear()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _decode(self, waiting: list[_Cue], slots: list[_Cue], report: _Report) -> Iterator[tuple[int, Codes]]:
        """Write all `waiting` cues; `waiting` and `slots` always tell what isn't finished."""
        size = self._size([cue.job for cue in waiting])
        batch = Batch(self.decoder, self.sampling, min(self.slots, len(waiting)), size, self._graphs)
        while waiting or slots:
            while waiting and len(slots) < batch.items:
                slots.append(waiting.pop())
                self._open(batch, len(slots) - 1, slots[-1])
            batch.step(len(slots), max(cue.position for cue in slots))
            for cue in slots:
                cue.position += 1
            for item in reversed(range(len(slots))):
                cue = slots[item]
                if cue.position == cue.steps:
                    self._close(batch, item, slots)
                    if cue not in slots:
                        report.finished += cue.job.steps
                        yield cue.index, cue.codes.numpy()
            report.tell(slots)

    def _size(self, jobs: Sequence[Job]) -> BatchSize:
        """What the longest windows of `jobs` need."""
        frames = max(max(_frames(job, window)[1] - _frames(job, window)[0] for window in job.windows) for job in jobs)
        return BatchSize(
            steps=max(window.last - window.first for job in jobs for window in job.windows) + self.config.longest_delay,
            vectors=frames * max(job.condition.shape[1] for job in jobs),
            control=self.config.control_channels,
            restricted=any(job.allowed is not None for job in jobs),
        )

    def _open(self, batch: Batch, item: int, cue: _Cue) -> None:
        """Start the cue's window in a slot."""
        window = self._window_input(cue)
        cue.position, cue.steps = window.prompt, len(window.times)
        batch.open(item, window)

    def _close(self, batch: Batch, item: int, slots: list[_Cue]) -> None:
        """Keep the codes of a finished window; go on with the cue's next, or give up the slot."""
        cue = slots[item]
        sequence = batch.sequence(item, cue.steps)
        cue.codes[:, cue.window.first : cue.window.last] = undelay(sequence[None], self.config.delays)[0].cpu()
        if cue.window_index + 1 < len(cue.job.windows):
            cue.window_index += 1
            self._open(batch, item, cue)
            return
        assert int(cue.codes.min()) >= 0, "a code was left unwritten"
        last = slots.pop()  # the last slot's cue moves into the gap, so that no step computes what nobody reads
        if item < len(slots):
            slots[item] = last
            batch.move(len(slots), item)

    def _window_input(self, cue: _Cue) -> WindowInput:
        """Sequence, random numbers, restrictions, controls and condition of the cue's present window."""
        job, window, lag, device = cue.job, cue.window, self.config.longest_delay, self.device
        sequence = delay(cue.codes[None, :, window.first : window.last], self.config.delays, self.config.special)[0]
        seconds = job.step_seconds[window.first : window.last]
        times = np.concatenate([seconds, np.full(lag, seconds[-1])])
        control = None
        if job.control is not None:
            assert job.lagged is not None
            control = torch.as_tensor(job.lagged(job.control, window.first, window.last, lag), device=device)
        # The code of stream k that step s decides is that of step s - delays[k] within the window.
        decided = np.arange(len(times))[:, None] - np.array(self.config.delays)
        at, streams = np.clip(window.first + decided, 0, job.steps - 1), np.arange(self.config.streams)
        forbidden = None
        if job.allowed is not None:
            forbidden = torch.from_numpy(~job.allowed[at, streams]).to(device)
        first, last = _frames(job, window)
        condition = torch.as_tensor(job.condition[first:last], dtype=torch.float32, device=device)
        frame_times = torch.as_tensor(job.frame_times[first:last], dtype=torch.float32, device=device)
        known = (sequence != UNKNOWN).all(dim=0).long().cumprod(dim=0).sum()  # sequence step 0 is always known
        return WindowInput(
            sequence=sequence.to(device),
            uniform=cue.uniform[torch.from_numpy(at), torch.from_numpy(streams)].to(device),
            forbidden=forbidden,
            times=torch.as_tensor(times, dtype=torch.float32, device=device),
            control=control,
            condition=condition.flatten(0, 1),
            frame_times=frame_times.repeat_interleave(condition.shape[1]),
            prompt=min(int(known) - 1, len(times) - 1),
        )


class _Report:
    """Tells how much of the jobs is written; never less than before."""

    def __init__(self, jobs: Sequence[Job], progress: Progress | None) -> None:
        self._progress = progress
        self._total, self._furthest = sum(job.steps for job in jobs), 0.0
        self.finished = 0  # steps of the jobs that are finished

    def tell(self, slots: Sequence[_Cue]) -> None:
        """Report the present share."""
        if self._progress is None:
            return
        written = self.finished + sum(cue.written for cue in slots)
        self._furthest = max(self._furthest, min(1.0, written / self._total))
        self._progress(self._furthest)


def _is_out_of_memory(err: RuntimeError) -> bool:
    """Is it one of torch's two ways to say so? On the CPU it is a plain RuntimeError."""
    return isinstance(err, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(err)


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
