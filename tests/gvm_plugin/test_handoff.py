"""Films scored and handed off at every rate; what was written is read back by other people's parsers and our own.

One film of 4 s: cues A and B cross at 1.5 s, C is silent, D plays its second take; somebody speaks from 0.9 to 1.9 s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree as ET

import av
import numpy as np
import opentimelineio as otio
import pytest
import soundfile

from gvm_plugin import cuesheet, cuesheet_reader
from gvm_plugin.crossfade import equal_power
from gvm_plugin.cuesheet import Cue, CueSheet
from gvm_plugin.ducking import duck, gain_of_block
from gvm_plugin.ffmpeg import file_url, run_ffmpeg
from gvm_plugin.handoff.timecode import Rate
from gvm_plugin.options import EXPORTS, ScoreOptions
from gvm_plugin.probe import probe, read_audio_blocks
from gvm_plugin.score import Score, render, spot
from gvm_plugin.timeline import HitPoint, Span, to_samples
from tests.conftest import write_clip

NTSC = Fraction(30000, 1001)
NAME = "Süd & „Nord“ it's"  # what XML, URLs and file names have to live with
SECONDS = 4


@dataclass(frozen=True)
class Case:
    """A film: its rate, its start timecode (None: it has none), and the frame that is."""

    fps: Fraction
    timecode: str | None
    drop_frame: bool
    start: int

    @property
    def rate(self) -> Rate:
        return Rate(self.fps, self.drop_frame)


CASES = [
    Case(Fraction(24000, 1001), "01:00:00:00", False, 86_400),
    Case(Fraction(25), None, False, 0),
    Case(NTSC, None, True, 0),
    Case(NTSC, "00:59:59;28", True, 107_890),  # crosses the hour; no multiple of five, so files begin before the film
    Case(NTSC, "10:00:00:03", False, 1_080_003),
    Case(Fraction(60000, 1001), None, True, 0),
]
NAMES = ["23.976 from 1 h", "25", "29.97 drop", "29.97 drop, from 59:59;28", "29.97 non-drop", "59.94 drop"]


def divide(sheet: CueSheet) -> CueSheet:
    """The sheet with the cues that these tests are about."""
    (cue,) = sheet.cues
    hits = (HitPoint(0.5, 0.9), HitPoint(1.0, 0.3))
    return replace(
        sheet,
        cues=(
            replace(cue, id="A", span=Span(0, 1.5), hits=hits, reason='the "first" <one>'),
            replace(cue, id="B", span=Span(1.5, 2.6), seed=7, hits=(HitPoint(2.0, 0.6),)),
            Cue("C", Span(2.6, 3.0), cue.style, silent=True),
            replace(cue, id="D", span=Span(3.2, 3.7), seed=8, take=2, hits=()),
        ),
        speech=(Span(0.9, 1.9),),
    )


def hand_off(folder: Path, case: Case, audio: str | None = "tone", **options: Any) -> Score:
    """The film of a case, scored with the tone generator and handed off in every format."""
    film = folder / f"{NAME}.mp4"
    write_clip(folder / "plain.mp4", SECONDS, case.fps, (64, 36), (1.5,), audio)
    if case.timecode:
        source, target = file_url(folder / "plain.mp4"), file_url(film)
        run_ffmpeg(["-i", source, "-c", "copy", "-timecode", case.timecode, target])
    else:
        (folder / "plain.mp4").rename(film)
    usual = {"model": "tone", "takes": 2, "stems": True, "crossfade": 0.2, "lufs": -20.0, "export": EXPORTS}
    _, path = spot(film, options=ScoreOptions(**usual | options))
    cuesheet.write(divide(cuesheet_reader.read(path)), path)
    return render(path)


@pytest.fixture(scope="module", params=list(zip(CASES, NAMES, strict=True)), ids=NAMES)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Score]:
    case, _ = request.param
    return case, hand_off(tmp_path_factory.mktemp("film"), case)


def text_of(score: Score, suffix: str) -> str:
    return (score.outputs.export / f"{score.outputs.name}{suffix}").read_text(encoding="utf-8")


def path_of(url: str) -> Path:
    return Path(unquote(urlparse(url).path))


# Where things must lie, in frames, worked out from the sheet alone.


def expected(case: Case) -> dict[str, tuple[int, int]]:
    """Cue -> (first frame, frame after the last), outwards from where it sounds."""

    def frames(start: float, end: float) -> tuple[int, int]:
        samples = [Fraction(to_samples(moment), 48_000) for moment in (start, end)]
        return case.rate.frame_at(samples[0]), case.rate.frame_from(samples[1])

    # A ends at B's in; B enters 0.2 s before; B rings out for its tail; D stands alone with lead and tail.
    return {"A": frames(0, 1.5), "B": frames(1.3, 2.8), "D": frames(3.0, 3.9)}


# --- OpenTimelineIO ----------------------------------------------------------------------------------------------


def read_otio(score: Score) -> Any:
    return otio.adapters.read_from_file(str(score.outputs.export / f"{score.outputs.name}.otio"))


def test_otio_has_the_film_untouched_and_the_cues_where_they_sound(done: tuple[Case, Score]) -> None:
    case, score = done
    timeline = read_otio(score)
    assert timeline.global_start_time == otio.opentime.RationalTime(case.start, float(case.fps))
    picture, sound, *music = timeline.tracks
    assert [track.name for track in timeline.tracks][:4] == ["Picture", "Original sound", "Music A", "Music B"]
    total = round(SECONDS * case.fps)
    for track in timeline.tracks:
        assert track.duration().value == total
    for track in (picture, sound):
        (film,) = track
        assert path_of(film.media_reference.target_url) == score.outputs.folder.parent / f"{NAME}.mp4"
        assert film.source_range.start_time.value == case.start
        assert film.media_reference.available_range.duration.value == total
        assert film.enabled and not film.effects
    places = {}
    for track in music:
        for clip in track.find_clips():
            facts = clip.metadata["gvm"]
            assert clip.enabled == (facts["take"] == (2 if facts["cue"] == "D" else 1))
            at = clip.range_in_parent()
            places.setdefault(facts["cue"], set()).add((at.start_time.value, at.end_time_exclusive().value))
            there, used = clip.media_reference.available_range, clip.source_range
            assert there.start_time <= used.start_time
            assert used.end_time_exclusive() <= there.end_time_exclusive()
            # The time stamp makes media time the film's own, so source and place are the same moment.
            assert clip.source_range.start_time.value == case.start + at.start_time.value
    assert places == {cue: {place} for cue, place in expected(case).items()}


def test_otio_marks_the_hits(done: tuple[Case, Score]) -> None:
    case, score = done
    markers = read_otio(score).tracks.markers
    assert [(marker.name, marker.color) for marker in markers] == [
        ("A hit 1", "RED"),
        ("A hit 2", "YELLOW"),
        ("B hit 1", "RED"),
    ]
    frames = [marker.marked_range.start_time.value for marker in markers]
    assert frames == [round(moment * case.fps) for moment in (Fraction(1, 2), 1, 2)]


def played(score: Score, case: Case, samples: int) -> np.ndarray:
    """The music [samples, 2] as an editor that obeys the .otio plays it, at the level of the delivered mix."""
    timeline = read_otio(score)
    out = np.zeros((samples, 2))
    first = case.rate.seconds(case.start) * 48_000
    for track in timeline.tracks[2:]:
        for index, clip in enumerate(track):
            if not isinstance(clip, otio.schema.Clip) or not clip.enabled:
                continue
            with av.open(str(path_of(clip.media_reference.target_url))) as container:
                stamp = int(container.metadata["time_reference"])
            sound, _ = soundfile.read(path_of(clip.media_reference.target_url))
            at = clip.range_in_parent()
            frames = at.start_time.value, at.end_time_exclusive().value
            start, end = (min(round(float(frame / case.fps) * 48_000), len(out)) for frame in frames)
            (effect,) = clip.effects
            level = effect.metadata["gvm"]
            keys = list(level["keyframes"]) or [[0, 0.0]]
            moments = np.arange(start, end) / 48_000 * float(case.fps)
            gain_db = np.interp(moments, [key[0] for key in keys], [key[1] for key in keys]) + level["volume_db"]
            gain = 10 ** ((gain_db + timeline.metadata["gvm"]["master_gain_db"]) / 20)
            before, after = (track[i] if 0 <= i < len(track) else None for i in (index - 1, index + 1))
            if isinstance(before, otio.schema.Transition):
                fade = round(before.out_offset.to_seconds() * 48_000)
                gain[:fade] *= equal_power(fade)[0]
            if isinstance(after, otio.schema.Transition):
                fade = round(after.in_offset.to_seconds() * 48_000)
                gain[len(gain) - fade :] *= equal_power(fade)[1]
            offset = max(0, round(first) + start - stamp)
            out[start:end] += sound[offset : offset + end - start] * gain[:, None]
    return out


def test_an_editor_plays_what_gvm_mixed(done: tuple[Case, Score]) -> None:
    case, score = done
    delivered, _ = soundfile.read(score.outputs.music)
    ducked = delivered * np.asarray(gain_of_block(duck([Span(0.9, 1.9)], SECONDS, 12.0), 0, len(delivered)))[:, None]
    ours = played(score, case, len(delivered))
    assert np.sqrt(np.mean((ours - ducked) ** 2)) < 0.1 * np.sqrt(np.mean(ducked**2))  # fades and keys lie on frames
    still = slice(to_samples(0.2), to_samples(0.45))  # no fade and no ducking: to the sample
    assert np.abs(ours[still] - ducked[still]).max() < 2e-4


# --- FCPXML ------------------------------------------------------------------------------------------------------

ORDER = {  # of the children of what we write, by Apple's DTD 1.10
    "fcpxml": ["resources", "library"],
    "asset": ["media-rep"],
    "sequence": ["note", "spine"],
    "asset-clip": ["adjust-volume", "asset-clip", "marker"],
    "adjust-volume": ["param"],
    "param": ["fadeIn", "fadeOut", "keyframeAnimation"],
    "resources": ["format", "asset"],
}
REQUIRED = {
    "asset-clip": {"ref"},
    "sequence": {"format"},
    "format": {"id"},
    "asset": {"id"},
    "media-rep": {"src"},
    "marker": {"start", "value"},
    "keyframe": {"time", "value"},
    "param": {"name"},
    "fadeIn": {"duration"},
    "fadeOut": {"duration"},
}


def seconds_of(text: str) -> Fraction:
    match = re.fullmatch(r"(\d+)(?:/(\d+))?s", text)
    assert match, text
    return Fraction(int(match[1]), int(match[2] or 1))


def test_fcpxml_is_as_the_dtd_wants_it(done: tuple[Case, Score]) -> None:
    case, score = done
    text = text_of(score, ".fcpxml")
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n<fcpxml version="1.10">')
    root = ET.fromstring(text)
    ids = {element.get("id") for element in root.iter() if element.get("id")}
    for element in root.iter():
        children = [child.tag for child in element]
        if element.tag in ORDER:
            assert children == sorted(children, key=ORDER[element.tag].index), element.tag
        assert set(element.attrib) >= REQUIRED.get(element.tag, set())
        for name in ("ref", "format"):
            assert element.get(name) in {None, *ids}
        for name in ("offset", "start", "duration", "time", "tcStart", "frameDuration"):
            if element.get(name) is not None:
                assert (seconds_of(element.attrib[name]) * case.fps).denominator == 1, (element.tag, name)
        for name in ("amount", "value"):
            if element.tag in ("adjust-volume", "keyframe") and element.get(name) is not None:
                assert re.fullmatch(r"-?\d+(\.\d+)?", element.attrib[name])  # no "dB": Resolve reads only this


def test_fcpxml_places_every_clip_on_its_frame(done: tuple[Case, Score]) -> None:
    case, score = done
    root = ET.fromstring(text_of(score, ".fcpxml"))
    assets = {asset.attrib["id"]: asset for asset in root.iter("asset")}
    (sequence,) = root.iter("sequence")
    assert seconds_of(sequence.attrib["tcStart"]) == case.rate.seconds(case.start)
    assert sequence.get("tcFormat") == ("DF" if case.drop_frame else "NDF")
    (film,) = root.findall(".//spine/asset-clip")
    places: dict[str, set[tuple[Fraction, Fraction, bool]]] = {}
    for clip in film.findall("asset-clip"):
        asset = assets[clip.attrib["ref"]]
        start, length = seconds_of(clip.attrib["start"]), seconds_of(clip.attrib["duration"])
        first, all_of_it = seconds_of(asset.attrib["start"]), seconds_of(asset.attrib["duration"])
        assert first <= start and start + length <= first + all_of_it
        path = path_of(asset.find("media-rep").attrib["src"])  # type: ignore[union-attr]
        with av.open(str(path)) as container:  # the asset's start is the file's time stamp, and its length the file's
            assert first == Fraction(int(container.metadata["time_reference"]), 48_000)
            assert round(all_of_it * 48_000) == soundfile.info(path).frames
        at = seconds_of(clip.attrib["offset"]) * case.fps - case.start
        cue = re.search(r"\.([ABD])\.take(\d)$", clip.attrib["name"])
        assert cue and clip.get("audioRole") == "music" and int(clip.attrib["lane"]) < 0
        assert (clip.get("enabled") != "0") == (cue[2] == ("2" if cue[1] == "D" else "1"))
        places.setdefault(cue[1], set()).add((at, at + length * case.fps, True))
    assert places == {cue: {(*map(Fraction, place), True)} for cue, place in expected(case).items()}
    markers = [seconds_of(marker.attrib["start"]) * case.fps - case.start for marker in film.findall("marker")]
    assert markers == [round(moment * case.fps) for moment in (Fraction(1, 2), 1, 2)]


def test_fcpxml_ducks_and_fades(done: tuple[Case, Score]) -> None:
    case, score = done
    root = ET.fromstring(text_of(score, ".fcpxml"))
    volume = {
        clip.attrib["name"].rsplit(".", 2)[1]: clip.find("adjust-volume")
        for clip in root.findall(".//asset-clip/asset-clip")
        if clip.get("enabled") != "0"
    }
    for cue in "ABD":
        assert volume[cue] is not None
    level = float(volume["A"].attrib["amount"])  # type: ignore[union-attr]
    keys = [
        (seconds_of(key.attrib["time"]) * case.fps - case.start, float(key.attrib["value"]) - level)
        for key in volume["A"].iter("keyframe")  # type: ignore[union-attr]
    ]
    down = [frame for frame, gain in keys if gain == pytest.approx(-12, abs=0.01)]
    assert down[0] == round(Fraction(8, 10) * case.fps)  # a tenth before the first word
    assert keys[0][1] == 0 and keys[-1][1] == pytest.approx(-12, abs=0.01)  # still down where A ends
    assert not list(volume["D"].iter("keyframe")) or all(  # type: ignore[union-attr]
        float(key.attrib["value"]) <= level
        for key in volume["D"].iter("keyframe")  # type: ignore[union-attr]
    )
    crossing = [volume["A"].find(".//fadeOut"), volume["B"].find(".//fadeIn")]  # type: ignore[union-attr]
    shared = expected(case)["A"][1] - expected(case)["B"][0]
    assert [seconds_of(fade.attrib["duration"]) * case.fps for fade in crossing if fade is not None] == [shared] * 2


def test_the_otio_adapter_reads_the_fcpxml(done: tuple[Case, Score]) -> None:
    _, score = done
    read = otio.adapters.read_from_string(text_of(score, ".fcpxml"), "fcpx_xml")
    names = {clip.name for clip in read.find_clips()}
    assert {f"{NAME}.{cue}.take{take}" for cue in "ABD" for take in (1, 2)} <= names


# --- XMEML -------------------------------------------------------------------------------------------------------


def test_the_otio_adapter_reads_the_xmeml(done: tuple[Case, Score]) -> None:
    case, score = done
    read = otio.adapters.read_from_string(text_of(score, ".xml"), "fcp_xml")
    assert read.global_start_time.value == case.start
    assert read.global_start_time.rate == pytest.approx(float(case.fps))
    ends: dict[str, set[float]] = {}
    for track in read.tracks:
        for clip in track.find_clips():
            ends.setdefault(clip.name, set()).add(clip.range_in_parent().end_time_exclusive().value)
            assert path_of(clip.media_reference.target_url).is_file()
    assert ends[f"{NAME}.mp4"] == {round(SECONDS * case.fps)}
    for cue, (_, end) in expected(case).items():
        for take in (1, 2):
            assert ends[f"{NAME}.{cue}.take{take}"] == {end}
    assert [marker.name for marker in read.tracks.markers] == ["A hit 1", "A hit 2", "B hit 1"]


def test_xmeml_levels_count_from_the_start_of_the_file(done: tuple[Case, Score]) -> None:
    case, score = done
    root = ET.fromstring(text_of(score, ".xml"))
    for track in root.findall(".//audio/track"):
        last = 0
        for item in track.findall("clipitem"):
            start, end, into, out = (int(item.findtext(name, "")) for name in ("start", "end", "in", "out"))
            assert (end - start, 0 <= last <= start) == (out - into, True)
            last = end
            cue = re.search(r"\.([ABD])\.take\d$", item.findtext("name", ""))
            if not cue:
                continue
            assert into == 0 or start == 0  # so that nobody can take `when` for another moment
            levels = [
                (int(key.findtext("when", "")), float(key.findtext("value", ""))) for key in item.iter("keyframe")
            ]
            assert levels == sorted(levels, key=lambda level: level[0])
            assert all(0 <= value <= 3.98108 for _, value in levels)
            sounds = expected(case)[cue[1]][0] - start + into
            assert all(value == 0 for when, value in levels if when < sounds)
            assert max(value for _, value in levels) > 0


def test_xmeml_links_left_and_right(done: tuple[Case, Score]) -> None:
    _, score = done
    root = ET.fromstring(text_of(score, ".xml"))
    tracks = root.findall(".//sequence/media/audio/track")
    items = {item.attrib["id"]: item for item in root.iter("clipitem")}
    assert len(items) == len(list(root.iter("clipitem")))
    for number, track in enumerate(tracks, 1):
        for index, item in enumerate(track.findall("clipitem"), 1):
            links = {link.findtext("linkclipref", ""): link for link in item.findall("link")}
            assert item.attrib["id"] in links and len(links) == 2
            own = links[item.attrib["id"]]
            assert (own.findtext("trackindex"), own.findtext("clipindex")) == (str(number), str(index))
            channels = {items[id_].findtext("sourcetrack/trackindex") for id_ in links}
            assert channels == {"1", "2"}


# --- EDL ---------------------------------------------------------------------------------------------------------

# CMX 3600: event, reel, channels, transition, then source in and out, record in and out.
EVENT = re.compile(r"^(\d{3})  (\S{1,8}) +(\S+) +C +((?:\d\d[:;]){3}\d\d) (\S{11}) (\S{11}) (\S{11})$", re.MULTILINE)


def test_edl_lists_what_is_heard(done: tuple[Case, Score]) -> None:
    case, score = done
    text = text_of(score, ".edl")
    assert text.splitlines()[1] == f"FCM: {'DROP FRAME' if case.drop_frame else 'NON-DROP FRAME'}"
    events = EVENT.findall(text)
    assert [event[0] for event in events] == ["001", "002", "003", "004"]
    assert [event[2] for event in events] == ["AA/V", "A3", "A4", "A3"]
    assert len({event[1] for event in events}) == 4
    total = round(SECONDS * case.fps)
    for event, (first, last) in zip(events, [(0, total), *expected(case).values()], strict=True):
        frames = [case.rate.parse(timecode) - case.start for timecode in event[3:]]
        assert frames == [first, last, first, last]
    for take in ("A.take1", "B.take1", "D.take2"):
        assert f"* FROM CLIP NAME: {NAME}.{take}\n" in text
    assert "D.take1" not in text


def test_edl_markers(done: tuple[Case, Score]) -> None:
    case, score = done
    found = re.findall(r"^\* LOC: (\S+) (\w+) +(.+)$", text_of(score, ".edl"), re.MULTILINE)
    assert [(colour, name) for _, colour, name in found] == [
        ("RED", "A hit 1"),
        ("YELLOW", "A hit 2"),
        ("RED", "B hit 1"),
    ]
    frames = [round(moment * case.fps) for moment in (Fraction(1, 2), 1, 2)]
    assert [case.rate.parse(timecode) - case.start for timecode, _, _ in found] == frames
    listed = text_of(score, ".markers.edl")
    pattern = r"^\d{3}  001      V     C        (\S+) \S+ \S+ \S+\n.*\|C:ResolveColor(\w+) \|M:(.+) \|D:1$"
    again = re.findall(pattern, listed, re.MULTILINE)
    assert [(timecode, colour.upper(), name) for timecode, colour, name in again] == found


def test_the_otio_adapter_reads_the_edl(done: tuple[Case, Score]) -> None:
    case, score = done
    if case.rate.nominal > 30 or (case.fps == NTSC and not case.drop_frame):
        pytest.skip("the adapter knows no EDL of this rate")
    read = otio.adapters.read_from_string(text_of(score, ".edl"), "cmx_3600", rate=float(case.fps))
    tracks = {track.name: track for track in read.tracks}
    assert set(tracks) == {"V", "A1", "A2", "A3", "A4"}
    (film,) = tracks["V"].find_clips()
    assert film.source_range.start_time.value == case.start
    if not case.drop_frame:  # it knows no drop-frame timecode in markers
        assert [marker.name for marker in film.markers] == ["A hit 1", "A hit 2", "B hit 1"]
    assert [clip.source_range.duration.value for clip in tracks["A3"].find_clips()] == [
        end - start for cue, (start, end) in expected(case).items() if cue != "B"
    ]


# --- time stamps -------------------------------------------------------------------------------------------------


def test_stems_say_where_the_film_starts(done: tuple[Case, Score]) -> None:
    case, score = done
    stems = sorted(score.outputs.stems.glob("*.wav"))
    assert [path.name for path in stems] == ["bass.wav", "chords.wav"]
    for path in stems:
        with av.open(str(path)) as container:
            stamp = int(container.metadata["time_reference"])
            assert container.metadata["encoded_by"].startswith("gvm ")
        assert case.rate.frame_at(Fraction(stamp, 48_000)) == case.start  # not the frame before
        assert 0 <= stamp - case.rate.seconds(case.start) * 48_000 < 1


def test_take_files_begin_on_a_whole_frame(done: tuple[Case, Score]) -> None:
    case, score = done
    files = sorted(score.outputs.export.glob("*.wav"))
    assert len(files) == 6
    for path in files:
        with av.open(str(path)) as container:
            frame = Fraction(int(container.metadata["time_reference"]), 48_000) * case.fps
            assert container.metadata["time_reference"].isdigit()
        assert frame.denominator == 1
        assert soundfile.info(path).subtype == "PCM_24"


def test_everything_is_reported(done: tuple[Case, Score]) -> None:
    _, score = done
    reported = {file.path for file in score.report.outputs}
    assert {f"{score.outputs.export.name}/{path.name}" for path in score.outputs.export.iterdir()} <= reported


@pytest.mark.parametrize("fps", [Fraction(15), Fraction(359, 12)])
def test_rates_that_are_no_standard(tmp_path: Path, fps: Fraction) -> None:
    """At 29.92 no frame but the first begins on a whole sample: the music is within one of where it was."""
    case = Case(fps, None, False, 0)
    score = hand_off(tmp_path, case)
    test_otio_has_the_film_untouched_and_the_cues_where_they_sound((case, score))
    test_edl_lists_what_is_heard((case, score))
    delivered, _ = soundfile.read(score.outputs.music)
    ours = played(score, case, len(delivered))
    still = slice(to_samples(0.2), to_samples(0.4))
    assert np.abs(ours[still] - delivered[still]).max() < 0.02 * np.abs(delivered[still]).max()


def test_music_is_balanced_against_the_film_as_it_is(done: tuple[Case, Score]) -> None:
    """The film's own sound untouched and the music, raised by the gain that is named, are the delivered film's."""
    case, score = done
    original, delivered = (
        np.concatenate(list(read_audio_blocks(probe(path))), axis=1).T
        for path in (score.outputs.folder.parent / f"{NAME}.mp4", score.outputs.film)
    )
    timeline = read_otio(score)
    gain_db = timeline.metadata["gvm"]["master_gain_db"]
    assert abs(gain_db) > 1
    together = original * 10 ** (gain_db / 20) + played(score, case, len(original))
    assert np.sqrt(np.mean((together - delivered) ** 2)) < 0.1 * np.sqrt(np.mean(delivered**2))
