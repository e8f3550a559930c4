"""Starts `gvm worker` and talks to it, as docs/worker.md describes.

Standard library alone (Python 3.11 and later) and no module of gvm: editors' add-ons carry a copy of this file.

    client = WorkerClient(command_of(find_gvm()))
    client.start()
    request = client.request("score", edit={...}, project="...", folder="/music")
    for event in client.poll(): ...      # now and then, e.g. from a timer; never waits
    client.cancel(request)
    client.close()

Three threads read, write and log, so that nothing here ever waits for the worker, and the worker never for us. If it
dies, every request that is open gets an `error` of the kind `crash`, then comes `stopped`; `start` works again.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any

PROTOCOL = 1
LAST = ("result", "error", "cancelled")  # one of these ends a request
LOG_LINES = 200  # of the worker's standard error that are kept
LINE_BYTES = 16 << 20
REQUEST_BYTES = 8 << 20  # that the worker takes
BACKLOG = 10_000  # unread events from which on progress is dropped
FOREIGN = (  # variables of a host program's own Python that would break another one
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "PYTHONNOUSERSITE", "LD_LIBRARY_PATH",
    "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV",
)  # fmt: skip

Event = dict[str, Any]


class WorkerNotStarted(OSError):
    """The program can't be started; the message says which one and why."""


def find_gvm() -> str | None:
    """Path of the `gvm` program: on the search path, or where pip, pipx and uv put programs. None if it isn't there."""
    home = pathlib.Path.home()
    name = "gvm.exe" if os.name == "nt" else "gvm"
    places = [home / ".local" / "bin", home / "bin", pathlib.Path("/usr/local/bin"), pathlib.Path("/opt/homebrew/bin")]
    if os.name == "nt":
        places = [home / ".local" / "bin", *sorted((home / "AppData/Roaming/Python").glob("*/Scripts"), reverse=True)]
    found = [shutil.which("gvm"), *(str(place / name) for place in places)]
    return next((path for path in found if path and os.access(path, os.X_OK)), None)


def command_of(program: str, model: str | None = None, device: str | None = None) -> list[str]:
    """Arguments that start the worker. program: `gvm` itself, or a Python in which gvm is installed."""
    python = pathlib.PurePath(program).name.lower().startswith("python")
    command = [program, "-u", "-m", "gvm_plugin", "worker"] if python else [program, "worker"]
    command += ["--model", model] if model else []
    return command + (["--device", device] if device else [])


def clean_environment(offline: bool = False, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for the worker: without what belongs to the host's own Python.

    offline: no model is fetched. given: the variables to begin with, None for those of this process.
    """
    variables = os.environ if given is None else given
    environment = {name: value for name, value in variables.items() if name not in FOREIGN}
    environment["PYTHONUNBUFFERED"] = "1"
    if offline:
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return environment


class WorkerClient:
    """One worker process. Use it from one thread; none of its methods waits but `wait`, `close` and `restart`.

    command: see `command_of`. offline: it must not use the network. cwd: a folder to start in.
    """

    def __init__(self, command: Sequence[str], *, offline: bool = False, cwd: str | None = None) -> None:
        self.command = list(command)
        self.offline = offline
        self.cwd = cwd
        self.hello: Event | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._session: _Session | None = None
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._set_aside: collections.deque[Event] = collections.deque()  # by `wait`, for `poll`
        self._number = 0

    @property
    def running(self) -> bool:
        """Is the process alive?"""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process number of the worker, None if it never ran."""
        return None if self._process is None else self._process.pid

    @property
    def log(self) -> list[str]:
        """The last lines that the worker wrote to standard error."""
        return [] if self._session is None else list(self._session.log)

    @property
    def open_requests(self) -> list[int]:
        """Requests that have no answer yet."""
        return [] if self._session is None else self._session.open_numbers()

    def start(self) -> None:
        """Start the process if it doesn't run. WorkerNotStarted where it can't be."""
        if self.running:
            return
        group: dict[str, Any] = {"start_new_session": True}
        if os.name == "nt":
            group = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | _no_window()}
        try:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=clean_environment(self.offline),
                cwd=self.cwd,
                **group,
            )
        except OSError as err:
            raise WorkerNotStarted(f"{self.command[0]}: can't be started ({err.strerror or err})") from err
        self.hello = None
        self._process = process
        self._session = _Session(process, self._events)
        _started.add(self)

    def request(self, do: str, **fields: Any) -> int:
        """Ask for something; the request's number, which its events carry as `id`. Starts the worker if need be.

        ValueError or TypeError where the fields are no JSON.
        """
        self.start()
        assert self._session is not None, "started above"
        self._number += 1
        self._session.send({"id": self._number, "do": do, **fields}, _folders(fields), job=do not in _AT_ONCE)
        return self._number

    def cancel(self, request: int) -> None:
        """End a request: it will say `cancelled`, unless it is done. Does nothing if it is not open."""
        if self.running and request in self.open_requests:
            self.request("cancel", target=request)

    def poll(self, most: int = 500) -> list[Event]:
        """Events that came since the last call, `most` at most; never waits."""
        events: list[Event] = []
        while len(events) < most:
            try:
                event = self._set_aside.popleft() if self._set_aside else self._events.get_nowait()
            except queue.Empty:
                break
            if event.get("event") == "hello":
                self.hello = event
            events.append(event)
        return events

    def wait(self, request: int, seconds: float = 600.0, tell: Callable[[Event], None] | None = None) -> Event:
        """The last event of a request, for scripts that have nothing else to do. tell: takes its other events.

        Events of other requests are kept for `poll`. TimeoutError after `seconds`.
        """
        until = time.monotonic() + seconds
        others: list[Event] = []
        try:
            while True:
                try:
                    if self._set_aside:
                        event = self._set_aside.popleft()
                    else:
                        event = self._events.get(timeout=max(0.0, until - time.monotonic()))
                except queue.Empty:
                    raise TimeoutError(f"the worker hasn't answered request {request} in {seconds:g} s") from None
                if event.get("event") == "hello":
                    self.hello = event
                if event.get("id") != request or "event" not in event:
                    others.append(event)
                elif event["event"] in LAST:
                    return event
                elif tell is not None:
                    tell(event)
        finally:
            self._set_aside.extendleft(reversed(others))

    def close(self, seconds: float = 5.0) -> None:
        """End the process: kindly, after `seconds` by force, with all it started. What is unread stays for `poll`."""
        session, process = self._session, self._process
        if session is None or process is None:
            return
        session.close_input()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        _kill(process)
        session.finish()
        _started.discard(self)

    def kill(self) -> None:
        """End the process by force at once, with all it started."""
        if self._process is not None:
            _kill(self._process)

    def restart(self, seconds: float = 5.0) -> None:
        """Close and start again; open requests end with an error."""
        self.close(seconds)
        self.start()


_AT_ONCE = ("cancel", "ping", "shutdown")
_started: weakref.WeakSet[WorkerClient] = weakref.WeakSet()


class _Session:
    """One life of the process: its three threads and the requests it has to answer."""

    def __init__(self, process: subprocess.Popen[bytes], events: queue.SimpleQueue[Event]) -> None:
        self.log: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
        self._process = process
        self._events = events
        self._lock = threading.Lock()
        self._open: dict[int, bool] = {}  # whether it is a job
        self._folders: set[str] = set()
        self._closing = False
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=target, name=f"gvm worker {name}", daemon=True)
            for name, target in (("requests", self._write), ("log", self._read_log), ("events", self._read))
        ]
        for thread in self._threads:
            thread.start()

    def send(self, request: Event, folders: Iterable[str], job: bool) -> None:
        """Write a request soon. job: it isn't answered at once. ValueError where it is no JSON, or too long."""
        line = json.dumps(request, allow_nan=False).encode("ascii") + b"\n"
        if len(line) > REQUEST_BYTES:
            raise ValueError(f"a request may have {REQUEST_BYTES >> 20} MB; this one has {len(line) >> 20}")
        with self._lock:
            self._open[request["id"]] = job
            self._folders.update(folders)
        self._lines.put(line)
        if not self._threads[-1].is_alive():  # it died meanwhile
            self._give_up("the worker isn't running")

    def open_numbers(self) -> list[int]:
        """Jobs without an answer."""
        with self._lock:
            return [number for number, job in self._open.items() if job]

    def close_input(self) -> None:
        """Tell the worker to end."""
        self._closing = True
        self._lines.put(None)

    def finish(self) -> None:
        """Wait for the threads, which end with the process."""
        for thread in self._threads:
            thread.join(2.0)

    # --- threads ---

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None, "asked for"
        with contextlib.suppress(OSError, ValueError):  # the process is gone, which the other threads tell
            while (line := self._lines.get()) is not None:
                pipe.write(line)
                pipe.flush()
        with contextlib.suppress(OSError, ValueError):
            pipe.close()

    def _read_log(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None, "asked for"
        for line in _pieces(pipe):
            self.log.append(line.decode("utf-8", "replace").rstrip())
        pipe.close()

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None, "asked for"
        for line in _pieces(pipe):
            event = _parsed(line)
            if event is None:
                self.log.append("(on standard output) " + line[:500].decode("utf-8", "replace").rstrip())
                continue
            if event["event"] in LAST:
                with self._lock:
                    self._open.pop(event.get("id"), None)  # type: ignore[arg-type]
            if event["event"] == "hello" and event.get("protocol") != PROTOCOL:
                self._events.put(_wrong_protocol(event))
            if event["event"] != "progress" or self._events.qsize() < BACKLOG:
                self._events.put(event)
        pipe.close()
        code = self._process.wait()
        self._lines.put(None)
        self._threads[1].join(1.0)  # its last words
        _kill(self._process)  # what it started may live on
        _sweep(self._process.pid, self._folders)
        what = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._give_up(f"the worker has stopped ({what})")
        self._events.put({"event": "stopped", "code": code, "regular": self._closing, "log": list(self.log)[-20:]})

    def _give_up(self, message: str) -> None:
        """Answer all that is open."""
        with self._lock:
            left, self._open = self._open, {}
        said = [line for line in self.log if line.strip()]
        if said:
            message += f": {said[-1][:200]}"
        for number in left:
            self._events.put(
                {
                    "event": "cancelled" if self._closing else "error",
                    "id": number,
                    "kind": "crash",
                    "message": message,
                    "remedy": "try again; if it happens again, look at the log",
                }
            )


def _pieces(pipe: IO[bytes]) -> Iterable[bytes]:
    """Lines of `pipe` until it ends, very long ones in pieces."""
    with contextlib.suppress(OSError, ValueError):
        while line := pipe.readline(LINE_BYTES):
            yield line


def _parsed(line: bytes) -> Event | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("event"), str) else None


def _wrong_protocol(hello: Event) -> Event:
    return {
        "event": "error",
        "id": None,
        "kind": "protocol",
        "message": f"gvm {hello.get('gvm')} speaks protocol {hello.get('protocol')}, this client {PROTOCOL}",
        "remedy": "install the gvm and the add-on of the same version",
    }


def _folders(fields: Mapping[str, Any]) -> list[str]:
    """Folders in which a request's files are made."""
    folders = []
    for name in ("folder", "out", "film", "sheet"):
        path = fields.get(name)
        if isinstance(path, str):
            folders += [path, os.path.dirname(path), os.path.join(os.path.dirname(path), "scored")]
    return folders


def _sweep(pid: int, folders: Iterable[str]) -> None:
    """Remove what the process left unfinished: all of it has its number in its name."""
    for folder in folders:
        store = pathlib.Path(folder) / ".gvm"
        with contextlib.suppress(OSError):
            for path in [
                *store.glob(f"work/{pid}-*"),
                *store.glob(f"*.{pid}.partial"),
                *store.glob(f"*/*.{pid}.partial"),
            ]:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    if os.name == "nt":
        if process.poll() is None:
            taskkill = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
            with contextlib.suppress(OSError):
                subprocess.run(taskkill, capture_output=True, creationflags=_no_window(), check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads its own group, which outlives it if children do
    if process.poll() is None:
        process.kill()


def _no_window() -> int:
    return int(getattr(subprocess, "CREATE_NO_WINDOW", 0))


@atexit.register
def _close_all() -> None:
    for client in list(_started):
        client.close(2.0)
