# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender calls things, 4.2 to 5.2, in one place. Nothing else in the add-on asks for a version."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import bpy


def scene_of(context: Any) -> Any:
    """The scene that the sequencer shows."""
    return getattr(context, "sequencer_scene", None) or context.scene


def strips(owner: Any) -> Any:
    """The strips of an editor or of a meta strip."""
    return owner.strips if hasattr(owner, "strips") else owner.sequences


def strips_all(editor: Any) -> Any:
    """The strips of an editor with those inside meta strips."""
    return editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def strip_type() -> Any:
    """The class all strips are of."""
    return getattr(bpy.types, "Strip", None) or bpy.types.Sequence


def active_strip(context: Any) -> Any:
    """The strip clicked last, or None."""
    editor = scene_of(context).sequence_editor
    return None if editor is None else editor.active_strip


def start(strip: Any) -> int:
    """First frame that is seen or heard."""
    return int(strip.left_handle if hasattr(strip, "left_handle") else strip.frame_final_start)


def end(strip: Any) -> int:
    """First frame after it."""
    return int(strip.right_handle if hasattr(strip, "right_handle") else strip.frame_final_end)


def set_extent(strip: Any, first: int, last: int) -> None:
    """Move the handles: what is seen or heard is first..last, last exclusive."""
    names = (
        ("left_handle", "right_handle") if hasattr(strip, "left_handle") else ("frame_final_start", "frame_final_end")
    )
    setattr(strip, names[1], last)
    setattr(strip, names[0], first)


def content_start(strip: Any) -> Fraction:
    """Frame of the timeline at which the whole content would begin."""
    value = strip.content_start if hasattr(strip, "content_start") else strip.frame_start
    return simple(value)


def simple(value: float) -> Fraction:
    """The simplest fraction that Blender's single precision can't tell from `value`: 1.001 is 1001/1000."""
    for bound in (1, 10, 100, 1001, 10_000, 100_000):
        found = Fraction(value).limit_denominator(bound)
        if abs(found - Fraction(value)) <= abs(Fraction(value)) / 8_000_000:
            return found
    return Fraction(value).limit_denominator(1_000_000)


def content_frames(strip: Any) -> int:
    """Frames of the timeline that the whole content would take."""
    return int(strip.content_duration if hasattr(strip, "content_duration") else strip.frame_duration)


def trimmed(strip: Any) -> tuple[int, int]:
    """Pictures of the file that are cut off for good at its beginning and at its end."""
    if hasattr(strip, "content_trim_start"):
        return int(strip.content_trim_start), int(strip.content_trim_end)
    return int(strip.animation_offset_start), int(strip.animation_offset_end)


def shift(strip: Any, frames: int) -> None:
    """Move a strip in time."""
    if hasattr(strip, "content_start"):
        strip.content_start += frames
    else:
        strip.frame_start += frames


def retimed(strip: Any) -> list[int]:
    """Frames of its retiming keys."""
    return [int(key.timeline_frame) for key in getattr(strip, "retiming_keys", ())]


def new_effect(
    owner: Any, name: str, kind: str, channel: int, first: int, last: int, inputs: tuple[Any, ...] = ()
) -> Any:
    """A new effect strip over first..last, last exclusive."""
    collection = strips(owner)
    known = collection.bl_rna.functions["new_effect"].parameters.keys()
    fields = {"length": last - first} if "length" in known else {"frame_end": last}
    names = ("input1", "input2") if "input1" in known else ("seq1", "seq2")
    fields.update(zip(names, inputs, strict=False))
    return collection.new_effect(name=name, type=kind, channel=channel, frame_start=first, **fields)


def fcurves(block: Any) -> list[tuple[Any, Any]]:
    """(f-curve, the collection it is in) of a data block's action."""
    animation = block.animation_data
    action = animation.action if animation else None
    if action is None:
        return []
    if hasattr(action, "fcurves"):
        return [(curve, action.fcurves) for curve in action.fcurves]
    return [
        (curve, bag.fcurves)
        for layer in action.layers
        for strip in layer.strips
        for bag in strip.channelbags
        for curve in bag.fcurves
    ]


def new_fcurve(scene: Any, path: str, name: str) -> Any:
    """The f-curve for `path`, made if it isn't there. name: of the action, where the scene has none yet."""
    animation = scene.animation_data_create()
    if animation.action is None:
        animation.action = bpy.data.actions.new(name)
    action = animation.action
    if hasattr(action, "fcurve_ensure_for_datablock"):
        return action.fcurve_ensure_for_datablock(scene, path)
    return action.fcurves.find(path) or action.fcurves.new(path)


def sequencer_areas() -> Iterator[Any]:
    """All sequencers on screen."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                yield area
