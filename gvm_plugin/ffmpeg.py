"""The only module that starts a program: ffmpeg, as MoviePy brings it. Knows nothing of films."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.errors import FFmpegError, MissingDependencyError

log = logging.getLogger(__name__)

OVERRIDE: Final = "GVM_FFMPEG"  # environment variable naming another ffmpeg
_SPEAKER: Final = re.compile(r"^(\[[^\]]* @ 0x[0-9a-f]+\] )+")  # which part of ffmpeg says it, and where that lies
TAIL: Final = 2000  # characters of ffmpeg's messages that an error keeps


def ffmpeg_exe() -> str:
    """Path of the ffmpeg to use: the one $GVM_FFMPEG names, else the one that imageio-ffmpeg brings."""
    override = os.environ.get(OVERRIDE)
    if override:
        if not os.access(override, os.X_OK):
            raise MissingDependencyError(f"{OVERRIDE}={override}: is no program; unset it or name an ffmpeg")
        return override
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError) as err:
        raise MissingDependencyError(
            f"no ffmpeg found; `pip install imageio-ffmpeg`, or set {OVERRIDE} to the path of one"
        ) from err


def file_url(path: Path) -> str:
    """Argument that ffmpeg takes for exactly this file, whatever the name holds (leading dash, colon, percent)."""
    return f"file:{path.absolute()}"


def run_ffmpeg(arguments: Sequence[str], timeout_seconds: float | None = None) -> str:
    """What ffmpeg said (warnings and errors) while it did what `arguments` ask; FFmpegError if it failed.

    Name files by `file_url`. Existing outputs are overwritten. The child ends with us, also on Ctrl-C.
    """
    argv = [ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "warning", "-y", *arguments]
    log.debug("%s", shlex.join(argv))
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=timeout_seconds
        )
    except OSError as err:
        raise FFmpegError(f"ffmpeg can't be started ({err.strerror}); run `gvm doctor`", argv, "") from err
    except subprocess.TimeoutExpired as err:
        tail = (err.stderr or b"").decode(errors="replace")[-TAIL:]
        raise FFmpegError(f"ffmpeg took longer than {timeout_seconds:g} s; try again", argv, tail) from err
    messages = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        lines = [line for line in messages.splitlines() if line.strip()]
        last = _SPEAKER.sub("", lines[-1].strip()) if lines else "no message"
        raise FFmpegError(f"ffmpeg failed ({done.returncode}): {last}", argv, messages[-TAIL:])
    return messages


def ffmpeg_version() -> str:
    """First line of what `ffmpeg -version` says, for `gvm doctor`."""
    argv = [ffmpeg_exe(), "-version"]
    log.debug("%s", shlex.join(argv))
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as err:
        raise FFmpegError(f"{argv[0]} doesn't run; run `gvm doctor`", argv, str(err)) from err
    return done.stdout.partition("\n")[0].strip()
