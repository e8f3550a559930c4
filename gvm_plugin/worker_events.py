"""The lines of `gvm worker` (docs/worker.md): requests read, events written, how long a request still takes.

Standard output belongs to `EventWriter` alone: it keeps the real one for itself and turns file descriptor 1 into
standard error, so that whatever a library prints goes to the log.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

log = logging.getLogger(__name__)

PROTOCOL: Final = 1
MAX_LINE: Final = 8 << 20  # bytes
TELL_SECONDS: Final = 0.1  # between two progress events of a request
BACKLOG: Final = 1000  # unwritten events from which on those nobody waits for are left out
GUESS_FROM: Final = 0.03  # share done from which on one can say how long the rest takes
_CHUNK: Final = 1 << 16

Event = dict[str, Any]


class LineError(ValueError):
    """A line that is no request."""


class EventWriter:
    """Writes events, each a whole line, from a thread of its own: no thread that has work ever waits for the reader.

    It may be called from anywhere, even while a signal interrupts another call.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._file = os.dup(1)  # not inherited by programs that are started
        os.dup2(2, 1)
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="events", daemon=True)
        self._thread.start()

    def put(self, event: str, dispensable: bool = False, **fields: Any) -> None:
        """Write an event soon; a dispensable one only if the reader keeps up."""
        if not dispensable or self._events.qsize() < BACKLOG:
            self._events.put({"event": event, **fields})

    def close(self, seconds: float) -> None:
        """Write what is left, for `seconds` at most."""
        self._events.put(None)
        self._thread.join(seconds)

    def _write(self) -> None:
        while (event := self._events.get()) is not None:
            line = json.dumps(event, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"
            try:
                while line:
                    line = line[os.write(self._file, line) :]
            except OSError as err:  # the reader is gone; the end of the input will tell the others
                log.info("events can't be written: %s", err)
                return


def lines(file: int) -> Iterator[bytes | LineError]:
    """Lines of the open file descriptor `file`, or what is wrong with one; what isn't ended by a line break is none."""
    held = b""
    skipping = False
    while chunk := os.read(file, _CHUNK):
        *whole, held = (held + chunk).split(b"\n")
        for line in whole:
            if skipping:
                skipping = False
            elif line.strip():
                yield line
        if len(held) > MAX_LINE:
            if not skipping:
                yield LineError(f"a line has more than {MAX_LINE >> 20} MB; send less at once")
            held, skipping = b"", True


def parse(line: bytes) -> dict[str, Any]:
    """The JSON object of a line. LineError where it is none."""
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:
        raise LineError(f"a line is no JSON in UTF-8 ({str(err)[:80]}); send one object a line") from err
    if not isinstance(value, dict):
        raise LineError("a line is no JSON object; send one object a line")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


class Pace:
    """Progress of one request as events: one share for all its stages, never falling, and the time left.

    weights: share of the whole that each stage takes, in their order.
    """

    def __init__(self, writer: EventWriter, request: Any, weights: Mapping[str, float]) -> None:
        self._writer, self._request, self._weights = writer, request, weights
        self._started = time.monotonic()
        self._told = 0.0
        self._stage = ""
        self._done = 0.0

    def __call__(self, stage: str, share: float) -> None:
        """Tell that `share` (0..1) of `stage` is done."""
        before = 0.0
        for name, weight in self._weights.items():
            if name == stage:
                break
            before += weight
        done = before + self._weights.get(stage, 0.0) * min(1.0, max(0.0, share))
        self._done = max(self._done, min(1.0, done / sum(self._weights.values())))
        now = time.monotonic()
        if stage == self._stage and now - self._told < TELL_SECONDS:
            return
        self._stage, self._told = stage, now
        left = None
        if self._done >= GUESS_FROM:
            left = round((now - self._started) * (1 - self._done) / self._done, 1)
        self._writer.put(
            "progress",
            dispensable=True,
            id=self._request,
            stage=stage,
            fraction=round(self._done, 4),
            seconds_left=left,
        )
