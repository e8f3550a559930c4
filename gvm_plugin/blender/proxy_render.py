# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by a Blender in the background: renders stretches of a scene's sequencer, small and without sound.

The folder given as the last argument holds task.json; NUMBER.mp4 are put there. The same picture gives the same file.
"""

from __future__ import annotations

import json
import os
import sys

import bpy


def main(folder: str) -> None:
    """Render what task.json asks for."""
    with open(os.path.join(folder, "task.json"), encoding="utf-8") as file:
        task = json.load(file)
    with bpy.data.libraries.load(task["blend"]) as (found, wanted):
        wanted.scenes = [task["scene"]] if task["scene"] in found.scenes else []
    scene = wanted.scenes[0]
    bpy.context.window_manager.windows[0].scene = scene
    render = scene.render
    ratio = render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
    # strips are placed in pixels of the full size: only the percentage may shrink it
    render.resolution_percentage = max(1, min(100, round(100 * task["height"] / render.resolution_y)))
    for _ in range(100):  # H.264 wants even sides
        percent = render.resolution_percentage / 100
        if not int(render.resolution_x * percent) % 2 and not int(render.resolution_y * percent) % 2:
            break
        render.resolution_percentage += 1
    print("aspect", ratio, "percent", render.resolution_percentage)
    render.use_sequencer, render.use_compositing, render.use_file_extension = True, False, False
    for name in dir(render):  # a date in the file would make each one another
        if name.startswith("use_stamp"):
            setattr(render, name, False)
    for other in bpy.data.scenes:
        if hasattr(other, "cycles"):
            other.cycles.samples = 4
    image = render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "VIDEO"
    image.file_format = "FFMPEG"
    image.color_mode = "RGB"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.audio_codec = "MPEG4", "H264", "NONE"
    for number, (first, last) in enumerate(task["spans"]):
        scene.frame_start, scene.frame_end, scene.frame_step = first, last - 1, 1
        render.filepath = os.path.join(folder, f"{number}.part.mp4")
        bpy.ops.render.render(animation=True, scene=scene.name)
        os.replace(render.filepath, os.path.join(folder, f"{number}.mp4"))


if __name__ == "__main__":
    main(sys.argv[-1])
