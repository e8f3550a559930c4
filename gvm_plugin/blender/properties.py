# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings on scenes and strips. What a job is doing is not here: it would be saved into the file."""

from typing import Any

import bpy

from . import compat

STYLES = (
    ("cinematic", "Cinematic", "Wide and orchestral"),
    ("documentary", "Documentary", "Clear and attentive"),
    ("acoustic", "Acoustic", "Guitars and piano"),
    ("lofi", "Lo-fi", "Slow, soft beats"),
    ("upbeat", "Upbeat", "Bright and quick"),
    ("electronic", "Electronic", "Synthesisers and a straight beat"),
    ("ambient", "Ambient", "Slow surfaces, no beat"),
    ("chinese", "Chinese", "Plucked strings and flute, five tones"),
    ("funk", "Funk", "Syncopated bass and drums"),
    ("tension", "Tension", "Dark and driving"),
)
AUTO = ("auto", "From the Picture", "gvm chooses")


class _Wishes:
    """What is asked of music; the same for a score and for a cue."""

    use_mood: bpy.props.BoolProperty(name="Set Mood", description="Off: it comes from the picture")
    mood: bpy.props.FloatProperty(name="Mood", description="-1 sad or dark, 1 happy or bright", min=-1, max=1)
    use_energy: bpy.props.BoolProperty(name="Set Energy", description="Off: it comes from the picture")
    energy: bpy.props.FloatProperty(name="Energy", description="0 calm, 1 driving", default=0.5, min=0, max=1)
    use_tempo: bpy.props.BoolProperty(name="Set Tempo", description="Off: it comes from the picture")
    tempo: bpy.props.FloatProperty(name="Tempo", description="Beats per minute", default=100, min=40, max=200)


class GVMScene(_Wishes, bpy.types.PropertyGroup):
    """What is asked of a score."""

    style: bpy.props.EnumProperty(name="Style", items=(AUTO, *STYLES))
    takes: bpy.props.IntProperty(name="Takes", description="Alternatives of each cue", default=1, min=1, max=16)
    pick: bpy.props.EnumProperty(
        name="Use",
        description="Which of several takes is heard; the others lie beside it, muted",
        items=(
            ("first", "First Take", "The first that has no fault"),
            ("best", "Best Take", "The one that fits the picture best, by gvm's evaluator and its own measures"),
        ),
    )
    seed: bpy.props.IntProperty(name="Seed", description="Another number, other music", min=0)


class GVMCue(_Wishes, bpy.types.PropertyGroup):
    """What is asked of one cue."""

    style: bpy.props.EnumProperty(name="Style", items=STYLES)


NAMES = ("mood", "energy", "tempo")


def wishes(group: Any) -> dict[str, Any]:
    """Style, mood, energy and tempo as the worker reads them."""
    values = {name: round(float(getattr(group, name)), 4) if getattr(group, f"use_{name}") else None for name in NAMES}
    return {"style": group.style, **values}


def set_wishes(group: Any, cue: dict[str, Any]) -> None:
    """Show what was asked of a cue."""
    if cue.get("style") in {name for name, _, _ in STYLES}:
        group.style = cue["style"]
    for name in NAMES:
        value = cue.get(name)
        setattr(group, f"use_{name}", value is not None)
        if value is not None:
            setattr(group, name, value)


def register() -> None:
    """Make the groups known and hang them up."""
    for group in (GVMScene, GVMCue):
        bpy.utils.register_class(group)
    bpy.types.Scene.gvm = bpy.props.PointerProperty(type=GVMScene)
    compat.strip_type().gvm = bpy.props.PointerProperty(type=GVMCue)


def unregister() -> None:
    """Forget them; what was set stays in the file."""
    del compat.strip_type().gvm
    del bpy.types.Scene.gvm
    for group in (GVMCue, GVMScene):
        bpy.utils.unregister_class(group)
