"""The edit as CMX 3600 lists: one of the events, and one of the markers in the form that Resolve imports.

An EDL knows cuts, names and comments, one picture track and a few of sound; it has no levels, fades or disabled clips.
Only what is heard is listed. As the take files carry the film's timecode, every event has the same times on both
sides: source and record. Written here and not by the OTIO adapter, which takes one track and writes no FCM line.
"""

from __future__ import annotations

import re
from typing import Final

from gvm_plugin.handoff.timeline_doc import Clip, Timeline

_REEL: Final = 8  # characters


def to_edl(timeline: Timeline) -> str:
    """The text of the .edl file: the film, then the cues; hit points as `* LOC:` of the film's event."""
    (film,) = (clip for track in timeline.of_kind("picture") for clip in track.clips)
    sounds = [clip for track in timeline.of_kind("sound") for clip in track.clips if clip.enabled]
    channels = {0: "V", 1: "B"}.get(film.media.channels, "AA/V") if sounds else "V"
    blocks = [_event(1, _reel_of(film), channels, film, timeline) + _locators(timeline)]
    music = [(clip, row) for row, track in enumerate(timeline.of_kind("music")) for clip in track.clips]
    for number, (clip, row) in enumerate(sorted(music, key=lambda each: each[0].start), 2):
        reel, channel = f"GVM{number - 1:03d}", f"A{row + 3}"
        blocks.append(_event(number, reel, channel, clip, timeline) + _levels(clip, reel, channel, timeline))
    return _head(timeline) + "\n".join("".join(f"{line}\n" for line in block) for block in blocks)


def to_marker_edl(timeline: Timeline) -> str:
    """The text of the list of markers: an event of one frame each, its colour and name as Resolve writes them."""
    blocks = []
    for number, marker in enumerate(timeline.markers, 1):
        begin, end = timeline.timecode(marker.frame), timeline.timecode(marker.frame + 1)
        colour = "ResolveColorRed" if marker.strong else "ResolveColorYellow"
        blocks.append(
            f"{number:03d}  001      V     C        {begin} {end} {begin} {end}\n"
            f"{_plain(marker.note)} |C:{colour} |M:{_plain(marker.name)} |D:1\n"
        )
    return _head(timeline) + "\n".join(blocks)


def _head(timeline: Timeline) -> str:
    counting = "DROP FRAME" if timeline.rate.drop_frame else "NON-DROP FRAME"
    return f"TITLE: {_plain(timeline.name)}\nFCM: {counting}\n\n"


def _event(number: int, reel: str, channels: str, clip: Clip, timeline: Timeline) -> list[str]:
    source = clip.media.start + clip.source
    begin, end = timeline.rate.timecode(source), timeline.rate.timecode(source + clip.frames)
    record = f"{timeline.timecode(clip.start)} {timeline.timecode(clip.end)}"
    return [
        f"{number:03d}  {reel:{_REEL}} {channels:5} C        {begin} {end} {record}",
        f"* FROM CLIP NAME: {_plain(clip.name)}",
        f"* SOURCE FILE: {_plain(str(clip.media.path))}",
    ]


def _locators(timeline: Timeline) -> list[str]:
    return [
        f"* LOC: {timeline.timecode(marker.frame)} {'RED' if marker.strong else 'YELLOW':7} {_plain(marker.name)}"
        for marker in timeline.markers
    ]


def _levels(clip: Clip, reel: str, channel: str, timeline: Timeline) -> list[str]:
    """What an EDL can't say but a person can read: the levels, as comments."""
    keys = [(key.frame, clip.volume_db + key.gain_db) for key in clip.keys] or [(clip.start, clip.volume_db)]
    return [
        f"* AUDIO LEVEL AT {timeline.timecode(frame)} IS {level:+.2f} DB  (REEL {reel} {channel})"
        for frame, level in keys
    ]


def _reel_of(clip: Clip) -> str:
    return re.sub(r"[^A-Z0-9]", "", clip.media.path.stem.upper())[:_REEL] or "AX"


def _plain(text: str) -> str:
    """`text` on one line, without what separates fields."""
    return " ".join(text.replace("|", "/").split())
