# SPDX-License-Identifier: GPL-3.0-or-later
"""gvm in Blender's sequencer: music for strips. Talks to `gvm worker`; needs bpy and the standard library alone.

compat        what Blender calls things, 4.2 to 5.2
keys          a cue's gain, fades and ducking -> volume keys
store         what is kept on strips and scenes
edit          strips -> the edit that the worker reads
proxy         what the worker can't show, rendered by a Blender in the background (proxy_render.py)
finding       where gvm is on this computer
place         what the worker answers -> strips and markers
jobs          the one job that runs, its worker, and tick()
work          what the buttons ask of the worker
preferences, properties, operators, panels     what is seen
"""

from __future__ import annotations

from . import jobs, operators, panels, preferences, properties

_PARTS = (preferences, properties, operators, panels, jobs)


def register() -> None:
    """Called by Blender when the add-on is switched on."""
    for part in _PARTS:
        part.register()


def unregister() -> None:
    """Called by Blender when the add-on is switched off, and when it quits."""
    for part in reversed(_PARTS):
        part.unregister()
