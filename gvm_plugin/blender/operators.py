# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons. Those that need the worker start a job and return at once."""

# (no postponed annotations here: Blender reads them when a class is registered)

from typing import Any, ClassVar

import bpy

from . import compat, jobs, place, store, work


class _Starts:
    """Starts a job; what stands in its way is told in a line."""

    bl_options: ClassVar[set[str]] = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Nothing else runs."""
        if jobs.busy():
            cls.poll_message_set("A job is running")
            return False
        return compat.scene_of(context) is not None

    def execute(self, context: Any) -> set[str]:
        """Start."""
        try:
            self.begin(context)
        except (work.NotReady, place.NotPlaced, OSError) as err:
            jobs.STATE.message, jobs.STATE.failed, jobs.STATE.remedy = str(err), True, ""
            self.report({"ERROR"}, str(err))
            return {"CANCELLED"}
        return {"FINISHED"}


class GVM_OT_score(_Starts, bpy.types.Operator):
    """Put music under the edit: cues, fades, ducking and hit points as strips, volume keys and markers"""

    bl_idname, bl_label = "gvm.score", "Score"
    what: bpy.props.EnumProperty(
        name="What", items=(("ALL", "Whole Edit", "All strips"), ("SELECTED", "Selected Strips", "Where they are"))
    )

    def begin(self, context: Any) -> None:
        """Start."""
        work.begin_score(context, self.what)


class GVM_OT_spot(_Starts, bpy.types.Operator):
    """Only propose where music would stand, as muted strips and markers to move about"""

    bl_idname, bl_label = "gvm.spot", "Spot Only"
    what: bpy.props.EnumProperty(
        name="What", items=(("ALL", "Whole Edit", "All strips"), ("SELECTED", "Selected Strips", "Where they are"))
    )

    def begin(self, context: Any) -> None:
        """Start."""
        work.begin_spot(context, self.what)


class GVM_OT_generate(_Starts, bpy.types.Operator):
    """Make the music of the proposed cues as they stand now"""

    bl_idname, bl_label = "gvm.generate", "Generate"

    def begin(self, context: Any) -> None:
        """Start."""
        work.begin_generate(context)


class GVM_OT_rescore(_Starts, bpy.types.Operator):
    """After a re-edit: music whose picture is the same stays or moves along, only the rest is made again"""

    bl_idname, bl_label = "gvm.rescore", "Re-score"

    def begin(self, context: Any) -> None:
        """Start."""
        work.begin_rescore(context)


class GVM_OT_reroll(_Starts, bpy.types.Operator):
    """Make one more take of this cue; those it has stay, muted"""

    bl_idname, bl_label = "gvm.reroll", "Re-roll"

    def begin(self, context: Any) -> None:
        """Start."""
        work.begin_cue(context, again=True)


class GVM_OT_regenerate(_Starts, bpy.types.Operator):
    """Make this cue again with these settings, and nothing else"""

    bl_idname, bl_label = "gvm.regenerate", "Make Again"

    def begin(self, context: Any) -> None:
        """Start."""
        work.begin_cue(context, again=False)


class GVM_OT_check(_Starts, bpy.types.Operator):
    """Start gvm and say what is missing and how to install it"""

    bl_idname, bl_label = "gvm.check", "Check"

    def begin(self, _context: Any) -> None:
        """Start."""
        work.begin_check()


class GVM_OT_cancel(bpy.types.Operator):
    """End the running job; the edit stays as it is"""

    bl_idname, bl_label = "gvm.cancel", "Cancel"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    def execute(self, _context: Any) -> set[str]:
        """End it."""
        jobs.cancel()
        return {"FINISHED"}


class GVM_OT_take(bpy.types.Operator):
    """Hear another take of this cue"""

    bl_idname, bl_label = "gvm.take", "Other Take"
    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}
    step: bpy.props.IntProperty(default=1)

    def execute(self, context: Any) -> set[str]:
        """Mute the take that is heard, and open the next or the one before."""
        active = compat.active_strip(context)
        if active is None or not active.get(store.TAKE):
            self.report({"ERROR"}, "select a strip of the cue first")
            return {"CANCELLED"}
        takes = store.takes(compat.scene_of(context), active[store.SCORE], active[store.CUE])
        heard = next((index for index, strip in enumerate(takes) if not strip.mute), 0)
        wanted = (heard + self.step) % len(takes)
        for index, strip in enumerate(takes):
            strip.mute = index != wanted
        self.report({"INFO"}, f"Take {takes[wanted][store.TAKE]} of {len(takes)}")
        return {"FINISHED"}


class GVM_OT_select(bpy.types.Operator):
    """Select this cue's strips"""

    bl_idname, bl_label = "gvm.select", "Select Cue"
    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}
    cue: bpy.props.StringProperty()
    score: bpy.props.StringProperty()

    def execute(self, context: Any) -> set[str]:
        """Select them, nothing else."""
        scene = compat.scene_of(context)
        mine = {strip.name for strip in store.ours(scene, self.score, self.cue)}
        for strip in compat.strips_all(scene.sequence_editor):
            strip.select = strip.name in mine
            if strip.select and (not strip.mute or not strip.get(store.TAKE)):
                scene.sequence_editor.active_strip = strip
        return {"FINISHED"}


class GVM_OT_remove(bpy.types.Operator):
    """Take gvm's music and markers out of the scene; the sound files stay"""

    bl_idname, bl_label = "gvm.remove", "Remove Music"
    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}

    def execute(self, context: Any) -> set[str]:
        """Take them out."""
        scene = compat.scene_of(context)
        score = store.current(scene, context) if scene.sequence_editor else None
        if score is None:
            self.report({"INFO"}, "there is no music of gvm in this scene")
            return {"CANCELLED"}
        place.remove_score(scene, score)
        return {"FINISHED"}


class GVM_OT_copy_log(bpy.types.Operator):
    """Copy what gvm wrote last, for a report"""

    bl_idname, bl_label = "gvm.copy_log", "Copy Log"
    bl_options: ClassVar[set[str]] = {"INTERNAL"}

    def execute(self, context: Any) -> set[str]:
        """Put it on the clipboard."""
        context.window_manager.clipboard = "\n".join(jobs.STATE.log)
        return {"FINISHED"}


CLASSES = (
    GVM_OT_score, GVM_OT_spot, GVM_OT_generate, GVM_OT_rescore, GVM_OT_reroll, GVM_OT_regenerate, GVM_OT_check,
    GVM_OT_cancel, GVM_OT_take, GVM_OT_select, GVM_OT_remove, GVM_OT_copy_log,
)  # fmt: skip


def register() -> None:
    """Make them known."""
    for one in CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    """Forget them."""
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
