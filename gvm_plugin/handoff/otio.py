"""The edit as OpenTimelineIO, for Resolve, Kdenlive and whatever has an adapter.

OTIO has no levels. They stand in `metadata["gvm"]` of an effect "AudioVolume" on each clip:

    volume_db    the clip's level
    keyframes    what ducking adds: [[frame of the timeline, dB], ...], straight in dB between them

Fades are transitions between the clip and the gap beside it. Where the music comes from stands in `metadata["gvm"]`
of the clip. Markers lie on the stack of tracks, in frames of the timeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gvm_plugin.handoff.timeline_doc import Clip, Media, Timeline, Track

if TYPE_CHECKING:
    import opentimelineio

NAMESPACE: Final = "gvm"


def to_otio(timeline: Timeline) -> str:
    """The text of the .otio file."""
    import opentimelineio as otio

    rate = float(timeline.rate.fps)
    document = otio.schema.Timeline(timeline.name, global_start_time=otio.opentime.RationalTime(timeline.start, rate))
    document.metadata[NAMESPACE] = {
        "version": 1,
        "note": timeline.note,
        "master_gain_db": timeline.master_gain_db,
        "rate": str(timeline.rate.fps),
        "drop_frame": timeline.rate.drop_frame,
    }
    for track in timeline.tracks:
        document.tracks.append(_track(track, timeline))
    for marker in timeline.markers:
        colour = otio.schema.MarkerColor.RED if marker.strong else otio.schema.MarkerColor.YELLOW
        document.tracks.markers.append(
            otio.schema.Marker(
                name=marker.name,
                marked_range=_range(marker.frame, 1, rate),
                color=colour,
                metadata={NAMESPACE: {"note": marker.note}},
            )
        )
    return str(document.to_json_string(indent=1)) + "\n"


def _track(track: Track, timeline: Timeline) -> opentimelineio.schema.Track:
    """A track that is filled from the timeline's first frame to its last."""
    import opentimelineio as otio

    rate = float(timeline.rate.fps)
    kinds = otio.schema.TrackKind
    out = otio.schema.Track(track.name, kind=kinds.Video if track.kind == "picture" else kinds.Audio)
    out.metadata[NAMESPACE] = {"kind": track.kind}
    at = 0
    for clip in track.clips:
        if clip.start > at:
            out.append(otio.schema.Gap(source_range=_range(0, clip.start - at, rate)))
        if clip.fade_in:
            out.append(_fade("Fade in", 0, clip.fade_in, rate))
        out.append(_clip(clip, rate))
        if clip.fade_out:
            out.append(_fade("Fade out", clip.fade_out, 0, rate))
        at = clip.end
    if at < timeline.frames:
        out.append(otio.schema.Gap(source_range=_range(0, timeline.frames - at, rate)))
    return out


def _clip(clip: Clip, rate: float) -> opentimelineio.schema.Clip:
    import opentimelineio as otio

    out = otio.schema.Clip(
        name=clip.name,
        media_reference=_reference(clip.media, rate),
        source_range=_range(clip.media.start + clip.source, clip.frames, rate),
        metadata={NAMESPACE: dict(clip.facts)} if clip.facts else {},
    )
    out.enabled = clip.enabled
    if clip.facts:
        keyframes = [[key.frame, round(key.gain_db, 2)] for key in clip.keys]
        level: dict[str, Any] = {"volume_db": clip.volume_db, "keyframes": keyframes}
        out.effects.append(otio.schema.Effect(name="Volume", effect_name="AudioVolume", metadata={NAMESPACE: level}))
    return out


def _reference(media: Media, rate: float) -> opentimelineio.schema.ExternalReference:
    import opentimelineio as otio

    reference = otio.schema.ExternalReference(
        target_url=media.url, available_range=_range(media.start, media.frames, rate)
    )
    reference.name = media.name
    return reference


def _fade(name: str, before: int, after: int, rate: float) -> opentimelineio.schema.Transition:
    """A transition that reaches `before` frames back from a cut and `after` frames on."""
    import opentimelineio as otio

    return otio.schema.Transition(
        name=name,
        transition_type=otio.schema.TransitionTypes.SMPTE_Dissolve,
        in_offset=otio.opentime.RationalTime(before, rate),
        out_offset=otio.opentime.RationalTime(after, rate),
    )


def _range(start: int, frames: int, rate: float) -> opentimelineio.opentime.TimeRange:
    import opentimelineio as otio

    return otio.opentime.TimeRange(otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(frames, rate))
