# SPDX-License-Identifier: GPL-3.0-or-later
"""The one job that runs, the worker behind it, and `tick`, which a timer calls while something runs.

All of it is in this module, not in Blender's data: an undo or a saved file must not bring an old state back.
Strips and scenes are never kept here, only their names and ids: a reference may dangle at the next tick.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bpy

from . import compat, proxy, worker_client
from .place import NotPlaced

INTERVAL = 0.1  # seconds between two ticks
PATIENCE = 8.0  # seconds from a cancel until the worker is ended by force
STAGES = {"load": "Loading the model", "analyse": "Watching the film", "generate": "Writing music", "mix": "Balancing"}
TAKE = re.compile(r".+-[0-9a-f]{12}\.take\d+\.wav")  # a file of the worker's
Result = dict[str, Any]


@dataclass
class Job:
    """What is being done. done: puts the worker's result into the scene and says so in a line; None: nothing to put."""

    kind: str
    title: str
    do: str
    fields: Result
    done: Callable[[Result], str] | None = None
    undo: str = ""
    proxy: proxy.Rendering | None = None
    request: int | None = None
    fraction: float = 0.0
    stage: str = "Starting"
    seconds_left: float | None = None
    cancelled: float | None = None
    new_folder: bool = False  # the folder is made for this job
    earlier: frozenset[str] = frozenset()  # what is in it before


@dataclass
class State:
    """What the panel shows. kind: of the last job."""

    job: Job | None = None
    client: worker_client.WorkerClient | None = None
    kind: str = ""
    message: str = ""
    remedy: str = ""
    failed: bool = False
    warnings: list[str] = field(default_factory=list)
    findings: list[Result] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


STATE = State()


def busy() -> bool:
    """Is a job running?"""
    return STATE.job is not None


def begin(job: Job, command: list[str], offline: bool) -> None:
    """Start a job; OSError if the worker can't be started. Returns at once."""
    if STATE.job is not None:
        raise RuntimeError("a job is running")
    client = STATE.client
    if client is not None and (client.command != command or client.offline != offline):
        client.close(0.5)
        client = None
    STATE.client = client or worker_client.WorkerClient(command, offline=offline)
    STATE.client.start()
    folder = job.fields.get("folder")
    job.new_folder = bool(folder) and not os.path.isdir(folder)
    job.earlier = frozenset(os.listdir(folder)) if folder and not job.new_folder else frozenset()
    STATE.job, STATE.kind, STATE.message, STATE.remedy, STATE.failed = job, job.kind, "", "", False
    STATE.log = []
    if job.kind == "check":
        STATE.findings = []
    if job.proxy is None:
        _ask(job)
    _watch()


def cancel() -> None:
    """End the job soon. A second time does no harm."""
    job, client = STATE.job, STATE.client
    if job is None or client is None:
        return
    if job.cancelled is None:
        job.cancelled, job.stage, job.seconds_left = time.time(), "Cancelling", None
    if job.proxy is not None:
        _end("Cancelled")
    elif job.request is not None:
        client.cancel(job.request)


def shutdown() -> None:
    """End job and worker: a file is closed, or the add-on, or Blender."""
    client, STATE.client = STATE.client, None
    if client is not None:
        client.close(2.0)
    if STATE.job is not None:
        _end("Cancelled", quiet=True)


def tick() -> None:
    """Look what the worker says and act on it. Never raises: Blender would show the person a traceback."""
    try:
        _tick()
    except Exception as err:  # noqa: BLE001  whatever it is, the job must not stay busy, nor the person see a traceback
        _note(traceback.format_exc().splitlines())
        _end(f"Something went wrong in the add-on ({type(err).__name__}: {err})", failed=True, remedy="Copy the log")


def _tick() -> None:
    job, client = STATE.job, STATE.client
    if client is None or job is None:
        return
    if job.proxy is not None:
        _render(job)
        return
    for event in client.poll():
        if STATE.job is not job:
            break
        _take(job, event)
    if STATE.job is job and job.cancelled is not None and time.time() - job.cancelled > PATIENCE:
        client.kill()
    _show()


def _render(job: Job) -> None:
    """The proxy render goes first."""
    rendering = job.proxy
    assert rendering is not None, "asked before"
    job.stage = "Rendering effects"
    job.fraction = 0.0
    if rendering.running():
        _show()
        return
    pieces, missing = rendering.finished()
    job.fields["edit"] = job.fields["edit"](pieces)
    if missing:
        STATE.warnings.append(f"effects at {missing} couldn't be rendered; the strips below are watched instead")
        _note(rendering.log())
    job.proxy = None
    _ask(job)


def _ask(job: Job) -> None:
    if callable(job.fields.get("edit")):
        job.fields["edit"] = job.fields["edit"]([])
    assert STATE.client is not None, "made in begin"
    job.request = STATE.client.request(job.do, **job.fields)


def _take(job: Job, event: Result) -> None:
    """One event of the worker."""
    what = event["event"]
    if what == "stopped":
        _note(event.get("log", ()))
    elif event.get("id") != job.request and not (what == "error" and event.get("id") is None):
        return
    elif what == "progress":
        job.fraction, job.seconds_left = float(event.get("fraction") or 0), event.get("seconds_left")
        if job.cancelled is None:
            job.stage = STAGES.get(event.get("stage", ""), str(event.get("stage", "")).capitalize())
    elif what == "warning":
        STATE.warnings.append(str(event["message"]))
    elif what == "cancelled":
        _end("Cancelled")
    elif what == "error":
        _note(STATE.client.log if STATE.client else ())
        if job.cancelled is not None:
            _end("Cancelled")
        else:
            _end(str(event["message"]), failed=True, remedy=str(event.get("remedy") or ""))
    elif what == "result":
        _finish(job, event["result"])


def _finish(job: Job, result: Result) -> None:
    """Put a result into the scene."""
    if job.cancelled is not None:
        _end("Cancelled")
        return
    try:
        message = job.done(result) if job.done is not None else ""
    except NotPlaced as err:
        _end(str(err), failed=True)
        return
    if job.undo:
        _push_undo(job.undo)
    _end(message, placed=True)


def _end(message: str, failed: bool = False, remedy: str = "", quiet: bool = False, placed: bool = False) -> None:
    job, STATE.job = STATE.job, None
    STATE.message, STATE.failed, STATE.remedy = message, failed, remedy
    if job is not None:
        if job.proxy is not None:
            job.proxy.kill()
        if not placed:
            _tidy(job)
    if not quiet:
        _show()


def _tidy(job: Job) -> None:
    """After a job that came to nothing: takes that it has made already go, and the folder if it was made for it."""
    folder = job.fields.get("folder")
    if not folder:
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if TAKE.fullmatch(name) and name not in job.earlier:
                os.remove(os.path.join(folder, name))
        if job.new_folder and set(os.listdir(folder)) <= {".gvm"}:
            shutil.rmtree(folder, ignore_errors=True)


def _push_undo(message: str) -> None:
    windows = bpy.context.window_manager.windows
    with bpy.context.temp_override(window=windows[0]) if len(windows) else contextlib.nullcontext():
        bpy.ops.ed.undo_push(message=message)


def _note(lines: Any) -> None:
    STATE.log = [*STATE.log, *lines][-200:]


# --- what is seen ------------------------------------------------------------------------------------------------


def status() -> str:
    """The job in a line: stage, share, time left."""
    job = STATE.job
    if job is None:
        return ""
    left = "" if job.seconds_left is None else f", {clock(job.seconds_left)} left"
    return f"{job.stage} {round(100 * job.fraction)} %{left}"


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _show() -> None:
    """Redraw the panel and say it in the status bar."""
    if bpy.app.background:
        return
    text = f"gvm: {status()}" if STATE.job is not None else None
    for window in bpy.context.window_manager.windows:
        window.workspace.status_text_set(text)
    for area in compat.sequencer_areas():
        area.tag_redraw()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()


def _watch() -> None:
    if not bpy.app.timers.is_registered(_timer):
        bpy.app.timers.register(_timer, first_interval=INTERVAL, persistent=True)


def _timer() -> float | None:
    tick()
    return INTERVAL if STATE.job is not None else None


@bpy.app.handlers.persistent
def _file_closes(*_: Any) -> None:
    shutdown()


def register() -> None:
    """Watch for files being closed."""
    bpy.app.handlers.load_pre.append(_file_closes)


def unregister() -> None:
    """End everything."""
    shutdown()
    if bpy.app.timers.is_registered(_timer):
        bpy.app.timers.unregister(_timer)
    if _file_closes in bpy.app.handlers.load_pre:
        bpy.app.handlers.load_pre.remove(_file_closes)
