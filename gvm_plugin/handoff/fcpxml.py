"""The edit as FCPXML 1.10, which Final Cut Pro 10.6 and DaVinci Resolve 18 and later read.

Written here and not by the OTIO adapter, which writes version 1.8, counts 29.97 as 29 and has neither levels, fades
nor disabled clips. Final Cut refuses what isn't in the order of its DTD, so elements are put in that order:

    asset-clip    adjust-volume, connected clips, markers

Times are whole frames as fractions of a second. Volumes are numbers without "dB": Final Cut reads both, Resolve reads
only the bare ones. The film is the primary storyline; music is connected to it on lanes below, one per track.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from gvm_plugin.handoff.timeline_doc import SILENT_DB, Clip, Timeline, level_keys

VERSION: Final = "1.10"
_EQUAL_POWER: Final = "easeIn"  # what Final Cut itself writes for its usual audio fade, at either end


def to_fcpxml(timeline: Timeline) -> str:
    """The text of the .fcpxml file."""
    root = ET.Element("fcpxml", version=VERSION)
    resources = ET.SubElement(root, "resources")
    ET.SubElement(
        resources,
        "format",
        id="r1",
        frameDuration=_at(timeline, 1),
        width=str(timeline.width),
        height=str(timeline.height),
        colorSpace="1-1-1 (Rec. 709)",
    )
    ids = _add_assets(resources, timeline)
    event = ET.SubElement(ET.SubElement(root, "library"), "event", name="gvm")
    project = ET.SubElement(event, "project", name=timeline.name)
    sequence = ET.SubElement(
        project,
        "sequence",
        format="r1",
        duration=_at(timeline, timeline.frames),
        tcStart=_at(timeline, timeline.start),
        tcFormat="DF" if timeline.rate.drop_frame else "NDF",
        audioLayout="stereo",
        audioRate="48k",
    )
    if timeline.note:
        ET.SubElement(sequence, "note").text = timeline.note
    _add_film(ET.SubElement(sequence, "spine"), timeline, ids)
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{text}\n'


def _add_assets(resources: ET.Element, timeline: Timeline) -> dict[str, str]:
    """Add an asset for each file; the id of each, by address."""
    ids: dict[str, str] = {}
    for media in (clip.media for track in timeline.tracks for clip in track.clips):
        if media.url in ids:
            continue
        ids[media.url] = f"r{len(ids) + 2}"
        asset = ET.SubElement(
            resources,
            "asset",
            id=ids[media.url],
            name=media.name,
            start=_at(timeline, media.start),
            duration=_at(timeline, media.frames),
        )
        if media.has_picture:
            asset.attrib |= {"hasVideo": "1", "format": "r1", "videoSources": "1"}
        if media.channels:
            asset.attrib |= {"hasAudio": "1", "audioSources": "1"}
            asset.attrib |= {"audioChannels": str(media.channels), "audioRate": str(media.audio_rate)}
        ET.SubElement(asset, "media-rep", kind="original-media", src=media.url)
    return ids


def _add_film(spine: ET.Element, timeline: Timeline, ids: dict[str, str]) -> None:
    """Add the film with all that is connected to it. Inside it, time is the film's own timecode."""
    (film,) = (clip for track in timeline.of_kind("picture") for clip in track.clips)
    element = _add_clip(spine, film, timeline, ids)
    for sound in (clip for track in timeline.of_kind("sound") for clip in track.clips):
        element.set("audioRole", "dialogue")
        if not sound.enabled:
            ET.SubElement(element, "adjust-volume", amount=_number(SILENT_DB))
    for lane, track in enumerate(timeline.of_kind("music", "takes"), 1):
        for clip in track.clips:
            connected = _add_clip(element, clip, timeline, ids)
            connected.attrib |= {"lane": str(-lane), "audioRole": "music"}
            if not clip.enabled:
                connected.set("enabled", "0")
            _add_level(connected, clip, timeline)
    for marker in timeline.markers:
        ET.SubElement(
            element,
            "marker",
            start=_at(timeline, timeline.start + marker.frame),
            duration=_at(timeline, 1),
            value=marker.name,
            note=f"{'strong hit' if marker.strong else 'hit'}, {marker.note}",
        )


def _add_clip(parent: ET.Element, clip: Clip, timeline: Timeline, ids: dict[str, str]) -> ET.Element:
    return ET.SubElement(
        parent,
        "asset-clip",
        ref=ids[clip.media.url],
        name=clip.name,
        offset=_at(timeline, timeline.start + clip.start),
        start=_at(timeline, clip.media.start + clip.source),
        duration=_at(timeline, clip.frames),
    )


def _add_level(element: ET.Element, clip: Clip, timeline: Timeline) -> None:
    """Add the clip's volume with its fades and keys; times of keys are times of the clip's media."""
    if not (clip.volume_db or clip.keys or clip.fade_in or clip.fade_out):
        return
    volume = ET.SubElement(element, "adjust-volume", amount=_number(clip.volume_db))
    if not level_keys(clip):
        return
    parameter = ET.SubElement(volume, "param", name="amount")
    for name, frames in (("fadeIn", clip.fade_in), ("fadeOut", clip.fade_out)):
        if frames:
            ET.SubElement(parameter, name, type=_EQUAL_POWER, duration=_at(timeline, frames))
    if clip.keys:
        animation = ET.SubElement(parameter, "keyframeAnimation")
        for key in clip.keys:
            at = clip.media.start + clip.source + key.frame - clip.start
            value = _number(max(SILENT_DB, clip.volume_db + key.gain_db))
            ET.SubElement(animation, "keyframe", time=_at(timeline, at), value=value, curve="linear")


def _at(timeline: Timeline, frames: int) -> str:
    """`frames` in seconds, not reduced, so that one sees how many frames they are."""
    frame = timeline.rate.frame_seconds
    return f"{frames * frame.numerator}/{frame.denominator}s" if frames else "0s"


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:g}"
