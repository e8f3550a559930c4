# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept in the blend file: on each of our strips what it plays, on the scene what was scored.

Strips are always looked up by these properties, never by name and never kept: an undo makes old references dangle.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from . import compat

SCORE, CUE, TAKE, DATA = "gvm_score", "gvm_cue", "gvm_take", "gvm_data"  # on a strip; take 0 is a placeholder
SCORES = "gvm_scores"  # on a scene: JSON of {score's id: Record}

Record = dict[str, Any]  # number, what, first, last, fps, gain_db, options, cues, markers, spotted


def new_id() -> str:
    """An id for a score."""
    return uuid.uuid4().hex[:16]


def is_ours(strip: Any) -> bool:
    """Did the add-on make this strip?"""
    return bool(strip.get(SCORE))


def scores(scene: Any) -> dict[str, Record]:
    """What was scored in a scene, by id."""
    try:
        found = json.loads(scene.get(SCORES) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def keep(scene: Any, score: str, record: Record | None) -> None:
    """Keep a score's record, or forget it (None)."""
    every = scores(scene)
    every.pop(score, None)
    if record is not None:
        every[score] = record
    if every:
        scene[SCORES] = json.dumps(every)
    elif SCORES in scene:
        del scene[SCORES]


def current(scene: Any, context: Any = None) -> str | None:
    """The score meant: that of the active strip, else the newest that still has strips."""
    known = scores(scene)
    active = compat.active_strip(context) if context is not None else None
    if active is not None and active.get(SCORE) in known:
        return str(active[SCORE])
    used = {strip[SCORE] for strip in ours(scene)}
    return next((score for score in reversed(known) if score in used), None)


def ours(scene: Any, score: str | None = None, cue: str | None = None) -> Iterator[Any]:
    """Our strips in a scene, of one score and one cue if given."""
    editor = scene.sequence_editor
    for strip in compat.strips_all(editor) if editor else ():
        if is_ours(strip) and score in (None, strip[SCORE]) and cue in (None, strip.get(CUE)):
            yield strip


def takes(scene: Any, score: str, cue: str) -> list[Any]:
    """The strips of a cue's takes, by number."""
    return sorted((strip for strip in ours(scene, score, cue) if strip.get(TAKE)), key=lambda strip: int(strip[TAKE]))


def write(strip: Any, score: str, cue: Record, take: Record | None, keys: Any) -> None:
    """Note on a strip what it is. keys: of its volume as we set them."""
    strip[SCORE], strip[CUE], strip[TAKE] = score, cue["id"], int(take["number"]) if take else 0
    own = {name: value for name, value in cue.items() if name != "takes"}
    strip[DATA] = json.dumps({"cue": own, "take": take, "keys": keys})


def data(strip: Any) -> Record:
    """What was noted on a strip: cue, take, keys."""
    try:
        found = json.loads(strip.get(DATA) or "{}")
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def cues(scene: Any, score: str) -> list[Record]:
    """A score's cues as they are now, with the takes that still have strips; those without strips are left out."""
    record = scores(scene).get(score, {})
    found = []
    for cue in record.get("cues", ()):
        mine = list(ours(scene, score, cue["id"]))
        if mine or cue.get("silent"):
            made = [entry["take"] for strip in mine if (entry := data(strip)).get("take")]
            found.append({**cue, "takes": sorted(made, key=lambda take: int(take["number"]))})
    return found
