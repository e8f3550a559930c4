# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab in the sequencer's sidebar."""

from __future__ import annotations

from typing import Any

import bpy

from . import compat, jobs, properties, store


class _Tab:
    bl_space_type, bl_region_type, bl_category = "SEQUENCE_EDITOR", "UI", "Music"


class GVM_PT_score(_Tab, bpy.types.Panel):
    """What to score, and how far it is."""

    bl_label = "gvm Score"

    def draw(self, context: Any) -> None:
        """Draw it."""
        layout, scene = self.layout, compat.scene_of(context)
        if scene is None:
            layout.label(text="No scene in this sequencer", icon="INFO")
            return
        if jobs.busy():
            _draw_job(layout)
        else:
            _draw_buttons(layout, context, scene)
        _draw_message(layout)


class GVM_PT_wishes(_Tab, bpy.types.Panel):
    """What is asked of the next score."""

    bl_label, bl_parent_id = "New Music", "GVM_PT_score"

    def draw(self, context: Any) -> None:
        """Draw it."""
        scene = compat.scene_of(context)
        if scene is not None:
            _draw_wishes(self.layout, scene.gvm)
            column = self.layout.column(align=True)
            column.use_property_split, column.use_property_decorate = True, False
            column.prop(scene.gvm, "takes")
            row = column.row()
            row.active = scene.gvm.takes > 1
            row.prop(scene.gvm, "pick")
            column.prop(scene.gvm, "seed")


class GVM_PT_cues(_Tab, bpy.types.Panel):
    """The cues of the score, one a row."""

    bl_label = "Cues"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There is a score."""
        scene = compat.scene_of(context)
        return scene is not None and scene.sequence_editor is not None and store.SCORES in scene

    def draw(self, context: Any) -> None:
        """Draw it."""
        scene = compat.scene_of(context)
        score = store.current(scene, context)
        if score is None:
            self.layout.label(text="Its strips were deleted", icon="INFO")
            return
        record = store.scores(scene)[score]
        active = compat.active_strip(context)
        column = self.layout.column(align=True)
        for cue in record["cues"]:
            mine = list(store.ours(scene, score, cue["id"]))
            if mine:
                _draw_row(column, score, cue, mine, active is not None and active.get(store.CUE) == cue["id"])
        self.layout.operator("gvm.remove", icon="TRASH")


class GVM_PT_cue(_Tab, bpy.types.Panel):
    """The cue that is selected."""

    bl_label = "Selected Cue"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A strip of ours is active."""
        scene = compat.scene_of(context)
        active = compat.active_strip(context) if scene is not None else None
        return active is not None and store.is_ours(active)

    def draw(self, context: Any) -> None:
        """Draw it."""
        layout, active = self.layout, compat.active_strip(context)
        noted = store.data(active)
        take = noted.get("take")
        if take:
            takes = store.takes(compat.scene_of(context), active[store.SCORE], active[store.CUE])
            heard = next((strip[store.TAKE] for strip in takes if not strip.mute), 0)
            row = layout.row(align=True)
            row.enabled = len(takes) > 1
            row.operator("gvm.take", text="", icon="TRIA_LEFT").step = -1
            row.label(text=f"  Take {heard} of {len(takes)}" if heard else "  All takes are muted")
            row.operator("gvm.take", text="", icon="TRIA_RIGHT").step = 1
            column = layout.column(align=True)
            column.scale_y = 0.85
            column.label(text=f"{take['tempo']:.0f} bpm, {take['key']}", icon="SOUND")
        reason = str(noted.get("cue", {}).get("reason", ""))
        if reason:
            _lines(layout, reason[:1].upper() + reason[1:], "INFO")
        _draw_wishes(layout, active.gvm)
        if take:
            row = layout.row(align=True)
            row.scale_y = 1.2
            row.operator("gvm.regenerate", icon="FILE_REFRESH")
            row.operator("gvm.reroll", icon="ADD")


def _draw_job(layout: Any) -> None:
    job = jobs.STATE.job
    if hasattr(layout, "progress"):
        layout.progress(factor=job.fraction, type="BAR", text=jobs.status())
    else:
        layout.label(text=jobs.status())
    layout.operator("gvm.cancel", icon="X")


def _draw_buttons(layout: Any, context: Any, scene: Any) -> None:
    score = store.current(scene, context) if scene.sequence_editor else None
    record = store.scores(scene).get(score) if score else None
    column = layout.column(align=True)
    column.scale_y = 1.3
    if record and record.get("spotted"):
        column.operator("gvm.generate", icon="PLAY_SOUND")
    elif record:
        column.operator("gvm.rescore", icon="FILE_REFRESH")
    column.operator("gvm.score", text="Score Selected Strips", icon="RESTRICT_SELECT_OFF").what = "SELECTED"
    column.operator("gvm.score", text="Score Whole Edit", icon="SEQUENCE").what = "ALL"
    row = layout.row(align=True)
    row.operator("gvm.spot", text="Spot Selected").what = "SELECTED"
    row.operator("gvm.spot", text="Spot Edit").what = "ALL"


def _draw_message(layout: Any) -> None:
    state = jobs.STATE
    if state.message and not jobs.busy() and state.kind != "check":
        _lines(layout, state.message, "ERROR" if state.failed else "CHECKMARK")
        if state.remedy:
            _lines(layout, state.remedy, "INFO")
    for warning in state.warnings[:4]:
        _lines(layout, warning, "INFO")
    if state.failed and state.log:
        layout.operator("gvm.copy_log", icon="COPYDOWN")


def _lines(layout: Any, text: str, icon: str) -> None:
    """Text in as many lines as the sidebar needs: a label has one."""
    import textwrap

    column = layout.column(align=True)
    column.scale_y = 0.85
    for number, line in enumerate(textwrap.wrap(text, 34)[:6]):
        column.label(text=line, icon="BLANK1" if number else icon)


def _draw_wishes(layout: Any, group: Any) -> None:
    column = layout.column(align=True)
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(group, "style")
    for name in properties.NAMES:
        row = column.row(align=True, heading=name.capitalize())
        row.prop(group, f"use_{name}", text="")
        value = row.row(align=True)
        value.active = getattr(group, f"use_{name}")
        value.prop(group, name, text="", slider=name != "tempo")


def _draw_row(column: Any, score: str, cue: store.Record, mine: list[Any], active: bool) -> None:
    heard = [strip for strip in mine if not strip.mute]
    takes = [strip for strip in mine if strip.get(store.TAKE)]
    span = f"{jobs.clock(cue['in'])} - {jobs.clock(cue['out'])}"
    text = f"{cue['id']}   {span}   {cue['style']}"
    if takes:
        text += f"   {heard[0].get(store.TAKE) if heard else '-'}/{len(takes)}"
    button = column.operator("gvm.select", text=text, depress=active)
    button.cue, button.score = cue["id"], score


CLASSES = (GVM_PT_score, GVM_PT_wishes, GVM_PT_cue, GVM_PT_cues)


def register() -> None:
    """Make them known."""
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    """Forget them."""
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
