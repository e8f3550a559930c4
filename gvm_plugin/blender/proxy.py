# SPDX-License-Identifier: GPL-3.0-or-later
"""What only Blender can show, rendered small by another Blender in the background, so that this one goes on working."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import bpy

from . import worker_client

HEIGHT = 270


class Rendering:
    """A Blender that renders stretches of a scene into `folder`. Files have their content's hash in their names."""

    def __init__(
        self, scene: Any, spans: Sequence[tuple[int, int]], folder: str, seconds_of: Callable[[int], str]
    ) -> None:
        self.spans, self.folder, self.seconds_of = list(spans), folder, seconds_of
        self._work = tempfile.mkdtemp(prefix="gvm-proxy-")
        blend = os.path.join(self._work, "edit.blend")
        bpy.data.libraries.write(blend, {scene}, path_remap="ABSOLUTE", compress=False)
        task = {"blend": blend, "scene": scene.name, "spans": self.spans, "out": self._work, "height": HEIGHT}
        with open(os.path.join(self._work, "task.json"), "w", encoding="utf-8") as file:
            json.dump(task, file)
        script = os.path.join(os.path.dirname(__file__), "proxy_render.py")
        blender = bpy.app.binary_path
        start = [blender, "-b", "--factory-startup", "--python", script, "--"] if blender else [sys.executable, script]
        with open(os.path.join(self._work, "log.txt"), "wb") as log:
            group: dict[str, Any] = {} if os.name == "nt" else {"start_new_session": True}
            self._process = subprocess.Popen(
                [*start, self._work], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._work,
                env=worker_client.clean_environment(), **group,
            )  # fmt: skip

    def running(self) -> bool:
        """Is it still rendering?"""
        return self._process.poll() is None

    def finished(self) -> tuple[list[tuple[tuple[int, int], str]], str]:
        """([(frames, file)], seconds of what couldn't be rendered); the work is put away."""
        pieces, missing = [], []
        os.makedirs(self.folder, exist_ok=True)
        for number, (first, last) in enumerate(self.spans):
            path = os.path.join(self._work, f"{number}.mp4")
            if self._process.returncode or not os.path.isfile(path):
                missing.append(f"{self.seconds_of(first)}-{self.seconds_of(last)}")
                continue
            target = os.path.join(self.folder, f"{_hash(path)}.mp4")
            shutil.move(path, target)
            pieces.append(((first, last), target))
        self._lines = self.log()
        shutil.rmtree(self._work, ignore_errors=True)
        return pieces, ", ".join(missing)

    def log(self) -> list[str]:
        """What it wrote."""
        with (
            contextlib.suppress(OSError),
            open(os.path.join(self._work, "log.txt"), encoding="utf-8", errors="replace") as file,
        ):
            return file.read().splitlines()[-30:]
        return getattr(self, "_lines", [])

    def kill(self) -> None:
        """End it at once and remove what it made."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(5)
        shutil.rmtree(self._work, ignore_errors=True)


def _hash(path: str) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]
