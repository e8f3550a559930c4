# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which gvm to run, and defaults."""

import bpy

from . import finding, jobs

PRESETS = (
    ("web", "Web", "-14 LUFS, as video platforms play it"),
    ("podcast", "Podcast", "-16 LUFS"),
    ("broadcast", "Broadcast", "-23 LUFS"),
)
DEVICES = (
    ("auto", "Automatic", "A graphics card if gvm can use it"),
    ("cpu", "Processor", "Never the graphics card"),
    ("cuda", "CUDA", "An NVIDIA graphics card"),
)
OWN = (
    "model", "device", "preset", "duck", "crossfade", "min_cue", "max_cue", "hit_markers", "render_effects",
)  # fmt: skip


class GVMPreferences(bpy.types.AddonPreferences):
    """Preferences of the add-on."""

    bl_idname = __package__

    program: bpy.props.StringProperty(
        name="gvm",
        description="The program gvm, a Python that has it, or the folder of its environment. Empty: found by itself",
        subtype="FILE_PATH",
    )
    model: bpy.props.StringProperty(name="Model", description="As `gvm models` lists them", default="starter")
    device: bpy.props.EnumProperty(name="Compute on", items=DEVICES, default="auto")
    preset: bpy.props.EnumProperty(name="Loudness", description="That the music is balanced for", items=PRESETS)
    duck: bpy.props.FloatProperty(
        name="Ducking", description="How far the music goes down under speech, in dB", default=12, min=0, max=60
    )
    crossfade: bpy.props.FloatProperty(
        name="Crossfade", description="Seconds over which one cue goes over into the next", default=0.5, min=0, max=5
    )
    min_cue: bpy.props.FloatProperty(name="Shortest Cue", description="Seconds", default=12, min=1, max=600)
    max_cue: bpy.props.FloatProperty(
        name="Longest Cue", description="Seconds; twice the shortest at least", default=120, min=2, max=3600
    )
    hit_markers: bpy.props.BoolProperty(
        name="Hit Points as Markers", description="Mark on the timeline what the music stresses", default=True
    )
    render_effects: bpy.props.BoolProperty(
        name="Render Effects",
        description="Where only Blender can show the picture (effects, scenes, several speeds), render it small in the"
        " background. Off: such places are watched as if the effect weren't there",
        default=True,
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw them."""
        layout = self.layout
        found = finding.program(self.program)
        layout.prop(self, "program")
        row = layout.row()
        row.operator("gvm.check", icon="CHECKMARK")
        row.label(text=f"Uses {found}" if found else "gvm isn't found", icon="NONE" if found else "ERROR")
        if not found:
            _wrapped(layout, finding.HOW)
        if not bpy.app.online_access:
            layout.label(text="Online access is off in Blender: gvm fetches no models", icon="INTERNET_OFFLINE")
        _draw_findings(layout)
        column = layout.column()
        for name in OWN:
            column.prop(self, name)


def _draw_findings(layout: bpy.types.UILayout) -> None:
    """What the check found; all of it where something is missing."""
    state = jobs.STATE
    if state.message and state.kind == "check":
        layout.label(text=state.message, icon="ERROR" if state.failed else "NONE")
    for finding_ in state.findings:
        if finding_["level"] != "ok":
            box = layout.box()
            box.label(
                text=f"{finding_['what']}: {finding_['detail']}",
                icon={"missing": "ERROR"}.get(finding_["level"], "INFO"),
            )
            if finding_["remedy"]:
                _wrapped(box, finding_["remedy"])


def _wrapped(layout: bpy.types.UILayout, text: str, width: int = 90) -> None:
    """Text in several lines: a label has only one."""
    import textwrap

    column = layout.column(align=True)
    column.scale_y = 0.8
    for line in textwrap.wrap(text, width):
        column.label(text=line)


def preferences() -> GVMPreferences:
    """The preferences as they are."""
    return bpy.context.preferences.addons[__package__].preferences


def register() -> None:
    """Make the class known."""
    bpy.utils.register_class(GVMPreferences)


def unregister() -> None:
    """Forget it."""
    bpy.utils.unregister_class(GVMPreferences)
