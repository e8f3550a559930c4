"""`gvm worker`: one process behind all editors. Requests come in as lines, events go out as lines; docs/worker.md.

    reader thread    splits the input, answers what is answered at once, queues the rest; its end ends the worker
    main thread      one job after the other; a cancel reaches it as a signal, whatever it is doing
    writer thread    writes events

A cancelled job is one in which `Cancelled` is raised where Ctrl-C would raise KeyboardInterrupt, which the rest of gvm
is built to survive: unfinished files are removed, programs are ended. If that takes too long, the process kills itself.
"""

from __future__ import annotations

import _thread
import logging
import os
import queue
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import CueSheetError, DeliveryError, LicenceError, MediaError, MissingDependencyError
from core.errors import ModelError as ModelProblem
from gvm_plugin import __version__
from gvm_plugin.cache import FOLDER
from gvm_plugin.folder import describe
from gvm_plugin.options import PRESETS, STYLES, ScoreOptions
from gvm_plugin.progress import WEIGHTS as FILM_WEIGHTS
from gvm_plugin.worker_events import PROTOCOL, Event, EventWriter, LineError, Pace, lines, parse
from gvm_plugin.worker_jobs import FIELDS, JOBS, LONGEST_TEXT, WEIGHTS, Tools

if TYPE_CHECKING:
    from gvm_plugin.generators import MusicGenerator

log = logging.getLogger(__name__)

MOST_WAITING: Final = 64  # requests
LAST_SECONDS: Final = 3.0  # that a job may take to end when the worker has to
INSIST_SECONDS: Final = 0.05  # between two attempts to interrupt a job
_CANCEL: Final = signal.Signals["SIGUSR1" if hasattr(signal, "SIGUSR1") else "SIGBREAK"]  # not used for anything else
_HEAVY: Final = ("gvm_plugin.picture_pass", "gvm_plugin.edit_media", "gvm_plugin.edit_score", "scipy.signal")
_HEAVY_MODEL: Final[dict[str, tuple[str, ...]]] = {"tone": (), "starter": ("core.pipeline",)}
_HEAVY_OTHER: Final = ("core.waveform", "gvm_plugin.beats")
_KINDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (LicenceError, "licence"), (ModelProblem, "model"), (MediaError, "media"), (CueSheetError, "sheet"),
    (MissingDependencyError, "missing"), (DeliveryError, "delivery"), (OSError, "delivery"), (ValueError, "request"),
)  # fmt: skip


class Cancelled(BaseException):
    """Raised in the main thread to end its job."""


@dataclass(eq=False)
class _Job:
    """A request taken in. cancelled: asked to end; armed: it may be interrupted right now."""

    id: str | int
    do: str
    fields: Mapping[str, Any]
    cancelled: bool = False
    armed: bool = False
    folders: list[Path] = field(default_factory=list)


def serve(model: str, device: str) -> int:
    """Work until the input ends or somebody says so; the exit code."""
    worker = Worker(ScoreOptions(model=model, device=device))
    worker.run()
    return 0


class Worker:
    """The process. defaults: options that requests don't give."""

    def __init__(self, defaults: ScoreOptions) -> None:
        self._defaults = defaults
        self._events = EventWriter()
        self._lock = threading.Lock()  # of the two below; never held while anything waits
        self._waiting: dict[str | int, _Job] = {}
        self._running: _Job | None = None
        self._queue: queue.SimpleQueue[str | int | None] = queue.SimpleQueue()
        self._stopping = False
        self._generators: dict[tuple[str, ...], MusicGenerator] = {}

    def run(self) -> None:
        """Read, work, answer, until stopped."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_end)
        signal.signal(_CANCEL, self._on_cancel)
        self._say_hello()
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while not self._stopping and (request := self._queue.get()) is not None:
            with self._lock:
                job = self._running = self._waiting.pop(request, None)
            if job is not None:
                answer = self._do(job)
                with self._lock:
                    self._running = None
                self._events.put(**answer)
        signal.signal(_CANCEL, signal.SIG_IGN)  # a late one would kill Python on its way out
        self._events.put("bye")
        self._events.close(1.0)

    # --- in the reader thread ---

    def _read(self) -> None:
        try:
            for line in lines(0):
                self._take(line)
        except OSError as err:
            log.info("the input can't be read: %s", err)
        self.stop()

    def _take(self, line: bytes | LineError) -> None:
        try:
            if isinstance(line, LineError):
                raise line
            request = parse(line)
        except LineError as err:
            self._events.put("error", dispensable=True, id=None, kind="line", message=str(err), remedy="")
            return
        own = request.get("id")
        try:
            if not (type(own) is int or (isinstance(own, str) and len(own) <= LONGEST_TEXT)):
                own = None
                raise ValueError("a request needs an `id`; give a text or a whole number")
            self._answer_or_queue(own, request)
        except ValueError as err:
            self._events.put("error", dispensable=own is None, id=own, kind="request", message=str(err), remedy="")

    def _answer_or_queue(self, own: str | int, request: Mapping[str, Any]) -> None:
        do = request.get("do")
        if do == "ping":
            with self._lock:
                state = {"busy": self._running.id if self._running else None, "waiting": list(self._waiting)}
            self._events.put("result", id=own, result=state)
        elif do == "cancel":
            target = request.get("target")
            self._events.put("result", id=own, result={"target": target, "was": self._cancel(target)})
        elif do == "shutdown":
            self._events.put("result", id=own, result={})
            self.stop()
        elif not isinstance(do, str) or do not in JOBS:
            known = ", ".join(("ping", "cancel", "shutdown", *JOBS))
            raise ValueError(f"there is no request {str(do)[:40]!r}; there are {known}")
        else:
            if unknown := sorted(set(request) - FIELDS[do] - {"id", "do"}):
                raise ValueError(f"{do} has no field {unknown[0]!r}; it has {', '.join(sorted(FIELDS[do]))}")
            with self._lock:
                if own in self._waiting or (self._running is not None and self._running.id == own):
                    raise ValueError(f"the id {own!r} is in use; give every request another one")
                if len(self._waiting) >= MOST_WAITING:
                    raise ValueError(f"{MOST_WAITING} requests are waiting already; send this one later")
                self._waiting[own] = _Job(own, do, request)
            self._queue.put(own)

    def _cancel(self, target: Any) -> str:
        """What the request was doing that is now to end."""
        with self._lock:
            if not isinstance(target, str | int):
                return "unknown"
            if self._waiting.pop(target, None) is not None:
                self._events.put("cancelled", id=target)
                return "waiting"
            if self._running is None or self._running.id != target:
                return "unknown"
            self._running.cancelled = True
            self._interrupt(self._running)
        return "running"

    def stop(self) -> None:
        """End the worker: cancel everything, and make sure that it does end."""
        with self._lock:
            self._stopping = True
            waiting, self._waiting = list(self._waiting), {}
            running = self._running
            if running is not None:
                running.cancelled = True
        for own in waiting:
            self._events.put("cancelled", id=own)
        self._queue.put(None)
        watch = threading.Timer(LAST_SECONDS, self._end_at_once)
        watch.daemon = True
        watch.start()
        if running is not None:
            self._interrupt(running)

    def _interrupt(self, job: _Job) -> None:
        """Let the main thread run its signal handler soon, also while it waits for a program.

        Again and again until it has: a signal that comes just before a thread begins to wait doesn't wake it.
        """

        def insist() -> None:
            while self._running is job and job.armed:
                _interrupt_main()
                time.sleep(INSIST_SECONDS)

        threading.Thread(target=insist, name="cancel", daemon=True).start()

    def _end_at_once(self) -> None:
        """The main thread doesn't end: tidy up in its place and take the programs it started along."""
        running = self._running
        if running is not None:
            _tidy(running.folders)
        if hasattr(os, "getpgrp") and os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)

    # --- in the main thread ---

    def _on_cancel(self, *_: object) -> None:
        job = self._running
        if job is not None and job.cancelled and job.armed:
            job.armed = False  # once: a second cancel must not disturb the tidying up
            raise Cancelled

    def _on_end(self, *_: object) -> None:
        """On SIGTERM and Ctrl-C. The lock may be held by this very thread, so another one has to stop us."""
        threading.Thread(target=self.stop, daemon=True).start()

    def _do(self, job: _Job) -> Event:
        """The last event of a request."""
        warnings: list[str] = []

        def warn(message: str) -> None:
            if message not in warnings:
                warnings.append(message)
                self._events.put("warning", id=job.id, message=message)

        pace = Pace(self._events, job.id, WEIGHTS.get(job.do) or {"load": 0.05, **FILM_WEIGHTS})

        def progress(stage: str, share: float) -> None:
            if job.cancelled:
                job.armed = False
                raise Cancelled
            pace(stage, share)

        tools = Tools(
            self._defaults, lambda options: self._generator(job, options, progress, warn), progress, warn, job.folders
        )
        try:
            try:
                job.armed = True
                progress("load", 0.0)
                with _warnings_of_log(warn):
                    answer = JOBS[job.do](job.fields, tools)
            finally:
                job.armed = False
        except Cancelled:
            _tidy(job.folders)
            return {"event": "cancelled", "id": job.id}
        except Exception as err:  # noqa: BLE001  the worker outlives whatever a job meets, and says what it was
            _tidy(job.folders)
            return _error(job.id, err)
        if job.do in ("analyse", "score", "cue"):
            answer["warnings"] = warnings
        return {"event": "result", "id": job.id, "result": answer}

    def _generator(
        self, job: _Job, options: ScoreOptions, progress: Callable[[str, float], None], warn: Callable[[str], None]
    ) -> MusicGenerator:
        """The generator that `options` name, the last one kept. Not to be interrupted: half imported is broken."""
        from gvm_plugin.models import find_model
        from gvm_plugin.score import check_licence, open_generator, tell_licence

        # what a generator is made of; the rest of the options doesn't touch it
        key = tuple(str(getattr(options, name, "")) for name in ("model", "device", "precision", "decoder", "no_nudge"))
        tell_licence(find_model(options.model), options.monetised)
        job.armed = False
        for name in (*_HEAVY, *_HEAVY_MODEL.get(options.model, _HEAVY_OTHER)):
            import_module(name)
        if key not in self._generators:
            self._generators.clear()
            self._generators[key] = open_generator(options)
        elif options.soundfont is not None:
            open_generator(replace(options, model="tone"))  # checks the file alone
        generator = self._generators[key]
        check_licence(generator, options.monetised)
        job.armed = True
        progress("load", 1.0)
        return generator

    def _say_hello(self) -> None:
        from gvm_plugin.models import list_models

        models = [
            {"name": m.name, "licence": m.licence, "commercial_use": m.commercial_use, "problem": m.problem}
            for m in list_models()
        ]
        plain = {f.name: getattr(self._defaults, f.name) for f in fields(ScoreOptions)}
        self._events.put(
            "hello",
            protocol=PROTOCOL,
            gvm=__version__,
            pid=os.getpid(),
            model=self._defaults.model,
            models=models,
            styles=list(STYLES),
            presets=dict(PRESETS),
            defaults={name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()},
        )


def _interrupt_main() -> None:
    if hasattr(signal, "pthread_kill"):
        main = threading.main_thread().ident
        assert main is not None, "the main thread runs"
        signal.pthread_kill(main, _CANCEL)
    else:
        _thread.interrupt_main(_CANCEL)


def _error(own: str | int, err: Exception) -> Event:
    kind = next((kind for type_, kind in _KINDS if isinstance(err, type_)), "bug")
    log.info("request %s failed", own, exc_info=err)
    if kind == "bug":
        message, remedy = f"unexpected {type(err).__name__}: {err}", "please report it with the log"
    else:
        message, remedy = describe(err)
    return {"event": "error", "id": own, "kind": kind, "message": " ".join(message.split()), "remedy": remedy}


def _tidy(folders: list[Path]) -> None:
    """Remove what this process left unfinished in the stores of these folders."""
    for folder in folders:
        store = folder / FOLDER
        for path in (*store.glob(f"work/{os.getpid()}-*"), *store.glob(f"**/*.{os.getpid()}.partial")):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


class _ToWarning(logging.Handler):
    """Hands on warnings of our own modules, which a person should read."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._warn = warn

    def emit(self, record: logging.LogRecord) -> None:
        self._warn(record.getMessage())


@contextmanager
def _warnings_of_log(warn: Callable[[str], None]) -> Iterator[None]:
    """Context in which what our modules log as a warning becomes an event."""
    handler = _ToWarning(warn)
    loggers = [logging.getLogger(name) for name in ("gvm_plugin", "core")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
