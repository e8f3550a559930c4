"""Several films at once: processes that have the model loaded, each working on one film at a time.

On Linux one server process imports everything once and forks the workers, which share its memory (about 370 MB of a
worker's 650 MB when it starts); elsewhere each worker imports for itself. Every worker computes with its share of the
cores. A worker that dies takes no film with it but its own: what was left is then done one by one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gvm_plugin.machine import THREAD_VARIABLES, work_beside
from gvm_plugin.options import ScoreOptions
from gvm_plugin.score import check_licence, open_generator

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

    from gvm_plugin.generators import MusicGenerator

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[str, float], None]  # (stage, share done), of one item
Work = Callable[[T, "MusicGenerator", Progress | None], R]

WORKER_BYTES: Final = 1_300_000_000  # of memory for a worker, with room
_MEMORY_SHARE: Final = 0.5  # of the machine's memory that workers may fill
_TELL_SECONDS: Final = 0.1  # between two messages of a worker about how far it is
_PRELOAD: Final = ("gvm_plugin.score", "gvm_plugin.picture_pass", "gvm_plugin.mix", "gvm_plugin.measure")
_PRELOAD_STARTER: Final = ("core.pipeline", "scipy.signal")


def usual_count(films: int, slow: bool = False) -> int:
    """How many films to work on at once unless told: one a core, as far as films and memory reach.

    slow: of the model. It keeps all cores busy by itself, and every process would hold its weights: one at a time.
    """
    if slow:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(films, cores, round(_memory_bytes() * _MEMORY_SHARE) // WORKER_BYTES))


def _memory_bytes() -> int:
    """Memory of this machine; where the system doesn't say, what two workers need."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return round(2 * WORKER_BYTES / _MEMORY_SHARE)


def in_processes(
    items: Sequence[T],
    work: Work[T, R],
    options: ScoreOptions,
    count: int,
    progress: Callable[[T, str, float], None] | None = None,
) -> Iterator[tuple[T, R | None]]:
    """Yield (item, its result) as they come, from `count` processes; None where the process died, even alone.

    work: called in a process with the item, the generator that `options` name, and what takes its progress.
    What `progress` raises, or what keeps the model from loading, ends the job.
    """
    left = dict(enumerate(items))
    try:
        with _pool(min(count, len(items)), options) as pool:
            for index, result in _results(pool, left, work, options, progress):
                yield left.pop(index), result
    except BrokenProcessPool:
        for item in left.values():
            yield item, _alone(item, work, options, progress)


def _alone(
    item: T, work: Work[T, R], options: ScoreOptions, progress: Callable[[T, str, float], None] | None
) -> R | None:
    """The result of one item in a process of its own, which may die without harm; None if it did."""
    try:
        with _pool(1, options) as pool:
            ((_, result),) = _results(pool, {0: item}, work, options, progress)
    except BrokenProcessPool:
        return None
    return result


@dataclass(frozen=True)
class _Pool:
    executor: ProcessPoolExecutor
    messages: SimpleQueue[tuple[int, str, float]]
    threads: int


def _results(
    pool: _Pool,
    items: Mapping[int, T],
    work: Work[T, R],
    options: ScoreOptions,
    progress: Callable[[T, str, float], None] | None,
) -> Iterator[tuple[int, R]]:
    """Yield (number of the item, its result) as they come; pass on progress meanwhile."""
    items = dict(items)  # what is done may be taken out of the other
    futures: dict[Future[R], int] = {}
    with _few_threads(pool.threads), _no_ctrl_c():  # the workers start with the first of these
        for index, item in items.items():
            futures[pool.executor.submit(_in_process, work, index, item, progress is not None)] = index
    while futures:
        done, _ = wait(futures, _TELL_SECONDS if progress is not None else None, FIRST_COMPLETED)
        while not pool.messages.empty():
            index, stage, share = pool.messages.get()
            if progress is not None:
                progress(items[index], stage, share)
        for future in done:
            yield futures.pop(future), future.result()


@contextmanager
def _pool(count: int, options: ScoreOptions) -> Iterator[_Pool]:
    """Context with `count` processes that have the model loaded; on Ctrl-C they drop their work and tidy up."""
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload([*_PRELOAD, *(_PRELOAD_STARTER if options.model != "tone" else ())])
    messages: SimpleQueue[tuple[int, str, float]] = context.SimpleQueue()
    executor = ProcessPoolExecutor(
        count, mp_context=context, initializer=_start_process, initargs=(options, messages, count)
    )
    try:
        yield _Pool(executor, messages, max(1, (os.cpu_count() or 1) // count))
    except BaseException:
        workers = list((executor._processes or {}).values())
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(timeout=10)
        raise
    executor.shutdown()


@contextmanager
def _few_threads(count: int) -> Iterator[None]:
    """Context in which processes are started that compute with `count` threads, unless the user says otherwise."""
    ours = [name for name in THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, str(count)))
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


@contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """Context in which Ctrl-C has to wait: processes started in it never hear it, not even while they import."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in a worker -------------------------------------------------------------------------------------------------


class _Process:
    """What a process of the pool keeps between films. failed: why the model can't be loaded."""

    generator: MusicGenerator | None = None
    failed: Exception | None = None
    messages: Any = None
    stopping = False


def _start_process(options: ScoreOptions, messages: SimpleQueue[tuple[int, str, float]], count: int) -> None:
    """Prepare a process: no Ctrl-C of its own, no life after its parent's, the model."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        signal.signal(signal.SIGTERM, _stop)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        _Process.messages = messages
        work_beside(count)
        _Process.generator = open_generator(options)
        check_licence(_Process.generator, options.monetised)
    except SystemExit:  # from `_stop`; the pool would print it with its traceback. Nothing is half done yet
        os._exit(130)
    except Exception as err:  # noqa: BLE001  told by the first film's result: an initializer's error is lost
        _Process.failed = err


def _end_with_parent() -> None:
    """End this process when its parent was killed: nobody waits for its results, and nothing half is in its place."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)


def _stop(*_: object) -> None:
    _Process.stopping = True
    raise SystemExit(130)


def _in_process(work: Work[T, R], index: int, item: T, telling: bool) -> R:
    if _Process.stopping:
        raise SystemExit(130)
    if _Process.failed is not None:
        raise _Process.failed
    assert _Process.generator is not None, "the process was not prepared"
    return work(item, _Process.generator, _Teller(index) if telling else None)


class _Teller:
    """Sends how far an item is, now and then."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._stage = ""
        self._told = 0.0

    def __call__(self, stage: str, share: float) -> None:
        now = time.monotonic()
        if stage != self._stage or now - self._told >= _TELL_SECONDS:
            self._stage, self._told = stage, now
            _Process.messages.put((self._index, stage, share))
