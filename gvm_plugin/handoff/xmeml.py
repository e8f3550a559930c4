"""The edit as XMEML 4, the XML of Final Cut Pro 7, which Premiere Pro and DaVinci Resolve read.

Written here and not by the OTIO adapter, which has no place for levels and writes no timecode or channels for sound.
A stereo clip is two linked clips, one a channel, on two tracks that Premiere folds into one stereo track. Levels are
linear, 1 is 0 dB, 12 dB at most.

Readers disagree whether a key's `when` counts from the clip's in or from the start of its file. So clips of music
begin with their file, where both are the same, and are silent up to where the music comes in.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from gvm_plugin.handoff.timecode import Rate
from gvm_plugin.handoff.timeline_doc import SILENT_DB, Clip, Key, Media, Timeline, lay_out, level_keys

LOUDEST: Final = 3.98107  # 12 dB


def to_xmeml(timeline: Timeline) -> str:
    """The text of the .xml file."""
    root = ET.Element("xmeml", version="4")
    sequence = ET.SubElement(root, "sequence", id="sequence-1")
    _leaf(sequence, "name", timeline.name)
    _leaf(sequence, "duration", timeline.frames)
    _add_rate(sequence, timeline.rate)
    _add_timecode(sequence, timeline.rate, timeline.start)
    media = ET.SubElement(sequence, "media")
    writer = _Writer(timeline)
    writer.add_picture(ET.SubElement(media, "video"))
    writer.add_sound(ET.SubElement(media, "audio"))
    for marker in timeline.markers:
        element = ET.SubElement(sequence, "marker")
        _leaf(element, "name", marker.name)
        _leaf(element, "comment", f"{'strong hit' if marker.strong else 'hit'}, {marker.note}")
        _leaf(element, "in", marker.frame)
        _leaf(element, "out", -1)
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n{text}\n'


class _Writer:
    """Writes tracks; a file is described where it first comes up, and named by its id from then on."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._files: dict[str, str] = {}

    def add_picture(self, video: ET.Element) -> None:
        """Fill the element of the picture."""
        timeline = self.timeline
        _add_video_format(ET.SubElement(video, "format"), timeline.width, timeline.height, timeline.rate)
        for track in timeline.of_kind("picture"):
            element = ET.SubElement(video, "track")
            for clip in track.clips:
                self._add_clip(element, clip, "picture", "video")

    def add_sound(self, audio: ET.Element) -> None:
        """Fill the element of the sound: the film's own, then the music, two tracks for each of ours."""
        _leaf(audio, "numOutputChannels", 2)
        characteristics = ET.SubElement(ET.SubElement(audio, "format"), "samplecharacteristics")
        _leaf(characteristics, "depth", 16)
        _leaf(characteristics, "samplerate", 48000)
        number = 0
        for track in self.timeline.of_kind("sound"):
            number = self._add_stereo(audio, track.clips, number)
        for kind in ("music", "takes"):
            clips = [_from_start(clip) for track in self.timeline.tracks if track.kind == kind for clip in track.clips]
            clips.sort(key=lambda clip: clip.start)
            for row in lay_out(clips):
                number = self._add_stereo(audio, tuple(row), number)

    def _add_stereo(self, audio: ET.Element, clips: tuple[Clip, ...], number: int) -> int:
        """Add two tracks, after `number` others, with the channels of `clips`; how many there are then."""
        channels = 1 if all(clip.media.channels == 1 for clip in clips) else 2
        for channel in range(channels):
            element = ET.SubElement(audio, "track")
            if channels == 2:
                element.attrib |= {
                    "currentExplodedTrackIndex": str(channel),
                    "totalExplodedTrackCount": "2",
                    "premiereTrackType": "Stereo",
                }
            for index, clip in enumerate(clips):
                ids = [f"track-{number + each + 1}-clip-{index + 1}" for each in range(channels)]
                item = self._add_clip(element, clip, ids[channel], "audio", channel + 1)
                for each in range(channels if channels > 1 else 0):
                    link = ET.SubElement(item, "link")
                    _leaf(link, "linkclipref", ids[each])
                    _leaf(link, "mediatype", "audio")
                    _leaf(link, "trackindex", number + each + 1)
                    _leaf(link, "clipindex", index + 1)
            _leaf(element, "outputchannelindex", channel + 1)
        return number + channels

    def _add_clip(self, track: ET.Element, clip: Clip, id_: str, kind: str, channel: int = 0) -> ET.Element:
        item = ET.SubElement(track, "clipitem", id=id_)
        if channel and clip.media.channels > 1:
            item.set("premiereChannelType", "stereo")
        _leaf(item, "name", clip.name)
        _leaf(item, "enabled", "TRUE" if clip.enabled else "FALSE")
        _leaf(item, "duration", clip.media.frames)
        _add_rate(item, self.timeline.rate)
        for name, frame in (("start", clip.start), ("end", clip.end)):
            _leaf(item, name, frame)
        for name, frame in (("in", clip.source), ("out", clip.source + clip.frames)):
            _leaf(item, name, frame)
        self._add_file(item, clip.media)
        if channel:
            source = ET.SubElement(item, "sourcetrack")
            _leaf(source, "mediatype", kind)
            _leaf(source, "trackindex", channel)
            _add_level(item, clip)
        return item

    def _add_file(self, item: ET.Element, media: Media) -> None:
        known = media.url in self._files
        id_ = self._files.setdefault(media.url, f"file-{len(self._files) + 1}")
        file = ET.SubElement(item, "file", id=id_)
        if known:
            return
        _leaf(file, "name", media.name)
        _leaf(file, "pathurl", _path_url(media.path))
        _add_rate(file, self.timeline.rate)
        _leaf(file, "duration", media.frames)
        _add_timecode(file, self.timeline.rate, media.start)
        element = ET.SubElement(file, "media")
        if media.has_picture:
            _add_video_format(ET.SubElement(element, "video"), media.width, media.height, self.timeline.rate)
        if media.channels:
            audio = ET.SubElement(element, "audio")
            characteristics = ET.SubElement(audio, "samplecharacteristics")
            _leaf(characteristics, "depth", 16 if media.has_picture else 24)
            _leaf(characteristics, "samplerate", media.audio_rate)
            _leaf(audio, "channelcount", media.channels)


def _from_start(clip: Clip) -> Clip:
    """The clip from its file's first frame on (from the timeline's, if the file begins before), silent up to `clip`."""
    more = min(clip.source, clip.start)
    keys = level_keys(clip) or (Key(clip.start, clip.volume_db), Key(clip.end, clip.volume_db))
    if more:
        silent = [Key(frame, SILENT_DB) for frame in {clip.start - more, clip.start - 1}]
        keys = (*sorted(silent, key=lambda key: key.frame), *keys)
    elif all(key.gain_db == clip.volume_db for key in keys):
        keys = ()
    return replace(
        clip,
        start=clip.start - more,
        frames=clip.frames + more,
        source=clip.source - more,
        keys=tuple(Key(key.frame, key.gain_db - clip.volume_db) for key in keys),
        fade_in=0,
        fade_out=0,
    )


def _add_level(item: ET.Element, clip: Clip) -> None:
    if not clip.volume_db and not clip.keys:
        return
    effect = ET.SubElement(ET.SubElement(item, "filter"), "effect")
    for name, text in (
        ("name", "Audio Levels"),
        ("effectid", "audiolevels"),
        ("effectcategory", "audiolevels"),
        ("effecttype", "audiolevels"),
        ("mediatype", "audio"),
    ):
        _leaf(effect, name, text)
    parameter = ET.SubElement(effect, "parameter", authoringApp="PremierePro")
    _leaf(parameter, "parameterid", "level")
    _leaf(parameter, "name", "Level")
    _leaf(parameter, "valuemin", 0)
    _leaf(parameter, "valuemax", LOUDEST)
    _leaf(parameter, "value", _linear(clip.volume_db))
    for key in clip.keys:
        element = ET.SubElement(parameter, "keyframe")
        _leaf(element, "when", clip.source + key.frame - clip.start)
        _leaf(element, "value", _linear(clip.volume_db + key.gain_db))


def _linear(gain_db: float) -> str:
    return "0" if gain_db <= SILENT_DB else f"{min(10 ** (gain_db / 20), LOUDEST):.5g}"


def _path_url(path: Path) -> str:
    """The address as Final Cut 7 and Premiere write it, host and all."""
    return path.absolute().as_uri().replace("file:///", "file://localhost/", 1)


def _add_video_format(parent: ET.Element, width: int, height: int, rate: Rate) -> None:
    characteristics = ET.SubElement(parent, "samplecharacteristics")
    _leaf(characteristics, "width", width)
    _leaf(characteristics, "height", height)
    _leaf(characteristics, "anamorphic", "FALSE")
    _leaf(characteristics, "pixelaspectratio", "square")
    _leaf(characteristics, "fielddominance", "none")
    _add_rate(characteristics, rate)


def _add_rate(parent: ET.Element, rate: Rate) -> None:
    element = ET.SubElement(parent, "rate")
    _leaf(element, "timebase", rate.nominal)
    _leaf(element, "ntsc", "TRUE" if rate.ntsc else "FALSE")


def _add_timecode(parent: ET.Element, rate: Rate, frame: int) -> None:
    element = ET.SubElement(parent, "timecode")
    _add_rate(element, rate)
    _leaf(element, "string", rate.timecode(frame))
    _leaf(element, "frame", frame)
    _leaf(element, "source", "source")
    _leaf(element, "displayformat", "DF" if rate.drop_frame else "NDF")


def _leaf(parent: ET.Element, name: str, text: object) -> None:
    ET.SubElement(parent, name).text = str(text)
