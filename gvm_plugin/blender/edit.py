# SPDX-License-Identifier: GPL-3.0-or-later
"""Strips -> the edit that `gvm worker` reads (docs/worker.md). What it can't show is listed for a proxy render.

Time is counted in frames of the timeline here, and told as exact fractions of a second.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from . import compat, store

Window = tuple[int, int]  # frames, the last exclusive
PICTURES = ("MOVIE", "IMAGE", "COLOR", "META", "SCENE", "MOVIECLIP", "MASK")
OPAQUE = ("REPLACE", "ALPHA_OVER")
SMALL = 0.85  # of the picture's sides: what is smaller and lies on another picture is a picture in the picture
VOLUME_POINTS = 12  # between two keys of an animated volume


@dataclass
class Reading:
    """What was found. rendered: (frames, why) that only Blender can show; notes: what is left out, for the person."""

    first: int
    last: int
    fps: Fraction
    clips: list[tuple[tuple[int, ...], Window, dict[str, Any]]] = field(default_factory=list)
    sounds: list[dict[str, Any]] = field(default_factory=list)
    rendered: list[tuple[Window, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    size: tuple[int, int] = (1920, 1080)

    def seconds(self, frame: Fraction | float) -> str:
        """A frame of the timeline as exact seconds of the edit."""
        return str((Fraction(frame) - self.first) / self.fps)

    def length(self, frames: Fraction | float) -> str:
        """So many frames in seconds."""
        return str(Fraction(frames) / self.fps)

    def request(self, proxies: Sequence[tuple[Window, str]] = ()) -> dict[str, Any]:
        """The edit as JSON. proxies: (frames, file) that were rendered: on top of everything."""
        order = {layer: number for number, layer in enumerate(sorted({layer for layer, _, _ in self.clips}))}
        clips = [{**clip, "layer": order[layer], **self._span(window)} for layer, window, clip in self.clips]
        clips += [{"file": path, "layer": len(order), **self._span(window)} for window, path in proxies]
        return {
            "fps": str(self.fps), "size": list(self.size), "duration": self.length(self.last - self.first),
            "clips": clips, "sounds": self.sounds,
        }  # fmt: skip

    def _span(self, window: Window) -> dict[str, str]:
        return {"start": self.seconds(window[0]), "end": self.seconds(window[1])}

    def spans_to_render(self) -> list[Window]:
        """The frames in `rendered`, joined where they meet."""
        joined: list[Window] = []
        for first, last in sorted(window for window, _ in self.rendered):
            if joined and first <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(last, joined[-1][1])
            else:
                joined.append((first, last))
        return joined


def frame_rate(render: Any) -> Fraction:
    """The scene's rate, exact: 30 by 1.001 is 30000/1001."""
    return Fraction(render.fps) / compat.simple(render.fps_base)


def extent(scene: Any, selected: bool = False) -> Window | None:
    """Frames from the first picture strip that plays to the last, of all or of the selected ones; None without any."""
    editor = scene.sequence_editor
    if editor is None:
        return None
    found = [
        strip
        for strip in compat.strips(editor)
        if _plays(strip, editor) and (strip.type in PICTURES or _has_input(strip)) and (strip.select or not selected)
    ]
    if not found:
        return None
    return min(compat.start(strip) for strip in found), max(compat.end(strip) for strip in found)


def read(scene: Any, window: Window, path_of: Callable[..., str], unpack: Callable[[Any], str | None]) -> Reading:
    """All that is seen and heard in `window`. path_of: bpy.path.abspath; unpack: a packed sound -> a file."""
    render = scene.render
    reading = Reading(*window, frame_rate(render), size=(int(render.resolution_x), int(render.resolution_y)))
    reader = _Reader(scene, reading, path_of, unpack)
    reader.collect(scene.sequence_editor, window, (), 1.0)
    reader.look_for_small_pictures()
    return reading


class _Reader:
    def __init__(
        self, scene: Any, reading: Reading, path_of: Callable[..., str], unpack: Callable[..., str | None]
    ) -> None:
        self.scene, self.reading, self.path_of, self.unpack = scene, reading, path_of, unpack
        self.curves = {curve.data_path: curve for curve, _ in compat.fcurves(scene)}
        self.small: list[tuple[tuple[int, ...], Window]] = []

    def collect(self, owner: Any, window: Window, layer: tuple[int, ...], volume: float) -> None:
        """The strips of an editor or of a meta strip, cut by `window`. volume: of the meta strips around."""
        for strip in sorted(compat.strips(owner), key=lambda strip: strip.channel):
            part = max(window[0], compat.start(strip)), min(window[1], compat.end(strip))
            if part[0] >= part[1] or not _plays(strip, owner):
                continue
            where = (*layer, int(strip.channel))
            if not layer and strip.type != "SOUND":
                self.reading.sources.append(strip.name)
            if strip.type == "SOUND":
                self.sound(strip, part, volume)
            elif strip.type == "META":
                self.meta(strip, part, where, volume)
            elif strip.type != "TEXT":
                self.picture(strip, part, where)

    def meta(self, strip: Any, part: Window, where: tuple[int, ...], volume: float) -> None:
        if compat.retimed(strip):
            self.render(part, f"{strip.name} has its speed changed as a whole")
        self.blending(strip, part)
        self.collect(strip, part, where, volume * float(getattr(strip, "volume", 1.0)))

    def picture(self, strip: Any, part: Window, where: tuple[int, ...]) -> None:
        """What one strip shows during `part`, on the layer `where`."""
        if strip.type == "COLOR":
            self.add(where, part, {"colour": [round(float(value), 4) for value in strip.color]})
        elif strip.type == "IMAGE" and len(strip.elements) == 1:
            path = os.path.join(self.path_of(strip.directory), strip.elements[0].filename)
            self.add(where, part, {"file": os.path.normpath(path), "still": True})
        elif strip.type == "MOVIE" and self.one_speed(strip, part):
            self.movie(strip, part, where)
        elif strip.type == "IMAGE":
            self.render(part, f"{strip.name} is a sequence of pictures")
        elif strip.type != "MOVIE":
            self.render(part, f"{strip.name} is an effect" if _has_input(strip) else f"{strip.name} is made by Blender")
        self.blending(strip, part)
        if strip.type in ("MOVIE", "IMAGE") and _is_small(strip, self.reading.size):
            self.small.append((where, part))

    def movie(self, strip: Any, part: Window, where: tuple[int, ...]) -> None:
        """A film of one speed."""
        begin, frames, reading = compat.content_start(strip), compat.content_frames(strip), self.reading
        clip: dict[str, Any] = {"file": os.path.normpath(self.path_of(strip.filepath))}
        if strip.use_reverse_frames:
            clip["reverse"] = True
        held = min(part[1], int(begin))
        if part[0] < held:  # the handle was drawn out before the content: its first picture stands
            self.add(where, (part[0], held), {"file": clip["file"], "still": True})
            part = held, part[1]
        if part[0] < part[1]:
            content: dict[str, Any] = {"seconds": reading.length(frames), "offset": reading.length(part[0] - begin)}
            if any(compat.trimmed(strip)):
                content["trimmed"] = list(compat.trimmed(strip))
            self.add(where, part, {**clip, "content": content})

    def one_speed(self, strip: Any, part: Window) -> bool:
        """Can its speed be told from its length? Blender doesn't tell what a retiming key stands for."""
        keys = compat.retimed(strip)
        if len(keys) <= 2 and not (keys and any(compat.trimmed(strip))):
            return True
        self.render(part, f"{strip.name} has several speeds")
        return False

    def blending(self, strip: Any, part: Window) -> None:
        """Where a strip lets others show through."""
        if strip.blend_type not in OPAQUE:
            self.render(part, f"{strip.name} is blended")
            return
        curve = self.curve(strip, "blend_alpha")
        if curve is None:
            if strip.blend_alpha < 0.999:
                self.render(part, f"{strip.name} is transparent")
            return
        begin = None
        for frame in range(part[0], part[1] + 1):
            through = frame < part[1] and curve.evaluate(frame) < 0.999
            if through and begin is None:
                begin = frame
            elif not through and begin is not None:
                self.render((begin, frame), f"{strip.name} fades")
                begin = None

    def look_for_small_pictures(self) -> None:
        """Pictures in pictures: only a render shows both."""
        for layer, window in self.small:
            for other, below, _ in self.reading.clips:
                both = max(window[0], below[0]), min(window[1], below[1])
                if other < layer and both[0] < both[1]:
                    self.render(both, "a small picture lies on another")

    def sound(self, strip: Any, part: Window, volume: float) -> None:
        """What a sound strip plays during `part`, at `volume` times its own."""
        reading, sound = self.reading, strip.sound
        path = os.path.normpath(self.path_of(sound.filepath)) if sound is not None else ""
        if sound is not None and sound.packed_file is not None and not os.path.isfile(path):
            path = self.unpack(sound) or ""
        if not path:
            return
        begin, keys = compat.content_start(strip), compat.retimed(strip)
        entry: dict[str, Any] = {"file": path, "start": reading.seconds(part[0]), "end": reading.seconds(part[1])}
        if keys:
            entry["content"] = {
                "seconds": reading.length(compat.content_frames(strip)),
                "offset": reading.length(max(Fraction(0), part[0] - begin)),
            }
            if len(keys) > 2:
                reading.notes.append(f"{strip.name} has several speeds; it is heard at their average")
        else:
            source = (part[0] - begin) / reading.fps - Fraction(getattr(strip, "sound_offset", 0.0)).limit_denominator(
                10**6
            )
            if source < 0:
                entry["start"] = str(Fraction(entry["start"]) - source)
            if Fraction(entry["start"]) >= Fraction(entry["end"]):
                return
            entry["source"] = str(max(Fraction(0), source))
        curve = self.curve(strip, "volume")
        entry["volume"] = volume if curve is not None else round(volume * float(strip.volume), 6)
        if curve is not None:
            entry["volumes"] = [
                [reading.seconds(frame), round(max(0.0, curve.evaluate(frame)), 4)] for frame in _moments(curve, part)
            ]
        reading.sounds.append(entry)

    def curve(self, strip: Any, name: str) -> Any:
        return self.curves.get(strip.path_from_id(name)) if self.curves else None

    def add(self, where: tuple[int, ...], part: Window, clip: dict[str, Any]) -> None:
        self.reading.clips.append((where, part, clip))

    def render(self, part: Window, why: str) -> None:
        self.reading.rendered.append((part, why))


def _plays(strip: Any, owner: Any) -> bool:
    """Is it neither muted, alone or with its channel, nor one of ours?"""
    channels = getattr(owner, "channels", None)
    muted = strip.mute or (channels is not None and strip.channel < len(channels) and channels[strip.channel].mute)
    return not muted and not store.is_ours(strip)


def _has_input(strip: Any) -> bool:
    return getattr(strip, "input_count", 0) > 0 or strip.type in ("ADJUSTMENT", "MULTICAM")


def _is_small(strip: Any, size: tuple[int, int]) -> bool:
    """Does it leave room beside it both ways?"""
    element = strip.elements[0] if len(strip.elements) else None
    if element is None or not element.orig_width:
        return False
    crop, transform = strip.crop, strip.transform
    wide = (element.orig_width - crop.min_x - crop.max_x) * abs(transform.scale_x)
    high = (element.orig_height - crop.min_y - crop.max_y) * abs(transform.scale_y)
    return bool(wide < SMALL * size[0] and high < SMALL * size[1])


def _moments(curve: Any, part: Window) -> Iterable[int]:
    """Frames that tell an f-curve: its keys, and some between where it isn't straight."""
    keys = [(round(key.co[0]), key.interpolation) for key in curve.keyframe_points]
    moments = {part[0], part[1], *(frame for frame, _ in keys)}
    for (first, way), (last, _) in itertools.pairwise(keys):
        if way == "CONSTANT":
            moments.add(last - 1)
        elif way != "LINEAR":
            step = max(1, (last - first) // VOLUME_POINTS)
            moments |= set(range(first, last, step))
    return sorted(frame for frame in moments if part[0] <= frame <= part[1])
