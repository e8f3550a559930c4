"""Film -> Analysis: what there is to see and hear. One pass through the pictures, a light one through the sound.

    picture_pass.watch    model frames, activity, cuts, looks, thumbnails, exact length
    listen                speech on any track; loudness and music of the main track, the one that players play

Everything is in seconds after the first picture. The result can be kept in a pair of files, NAME.json and NAME.npz.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.vision.picture import FrameEncoder, PictureFeatures
from gvm_plugin.film_source import FileSource, FilmSource
from gvm_plugin.probe import AudioTrack, MediaInfo
from gvm_plugin.timeline import SAMPLE_RATE, Shot, Span
from gvm_plugin.wav import removed_on_error

log = logging.getLogger(__name__)

FORMAT: Final = 1  # of the kept files; raise when their meaning changes
CUT_OFF_SECONDS: Final = 1.0  # a film shorter than its header says by more than this gets a warning
PICTURE_SHARE: Final = 0.9  # of the time; the rest is the sound

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is known of a film before spotting.

    info: as `probe` gives, its start, length and kind of rate as measured. duration: until the last picture ends.
    features: what the model's encoder saw. activity [A] at activity_times [A]: mean absolute difference of grey
    64 x 36 pictures, 0..1, 8 a second. shots tile 0..duration. looks [S, 69]: per shot mean red, green, blue,
    brightness, saturation (0..1), then a 4 x 4 x 4 RGB histogram. thumbnails: (seconds, JPEG), one per shot at most.
    speech: on any track. music: on the main track already. original_lufs: its loudness, None if there is no sound.
    warnings: one-line sentences for the person.
    """

    info: MediaInfo
    duration: float
    features: PictureFeatures
    activity_times: npt.NDArray[np.float64]
    activity: npt.NDArray[np.float32]
    shots: tuple[Shot, ...]
    looks: npt.NDArray[np.float32]
    thumbnails: tuple[tuple[float, bytes], ...]
    speech: tuple[Span, ...]
    music: tuple[Span, ...]
    original_lufs: float | None
    warnings: tuple[str, ...]

    def to_file(self, base: Path) -> None:
        """Keep this as `base` + .npz and .json; the .json comes last, so a pair with one is complete."""
        arrays: dict[str, Any] = {
            "feature_times": self.features.times,
            "feature_values": self.features.values,
            "activity_times": self.activity_times,
            "activity": self.activity,
            "looks": self.looks,
            "thumbnail_times": np.array([seconds for seconds, _ in self.thumbnails], np.float64),
            "thumbnail_sizes": np.array([len(jpeg) for _, jpeg in self.thumbnails], np.int64),
            "thumbnails": np.frombuffer(b"".join(jpeg for _, jpeg in self.thumbnails), np.uint8),
        }
        fields = {
            "format": FORMAT,
            "info": _info_to_json(self.info),
            "duration": self.duration,
            "shots": [[shot.span.start, shot.span.end, shot.cut_strength] for shot in self.shots],
            "speech": [[span.start, span.end] for span in self.speech],
            "music": [[span.start, span.end] for span in self.music],
            "original_lufs": self.original_lufs,
            "warnings": self.warnings,
        }
        npz, text = _pair(base)
        with removed_on_error(_partial(npz), _partial(text)):
            with _partial(npz).open("wb") as file:
                np.savez(file, **arrays)
            os.replace(_partial(npz), npz)
            _partial(text).write_text(json.dumps(fields), encoding="utf-8")
            os.replace(_partial(text), text)

    @classmethod
    def from_file(cls, base: Path) -> Analysis:
        """What `to_file` kept. FileNotFoundError if nothing is there, ValueError if it is of another version."""
        npz, text = _pair(base)
        fields = json.loads(text.read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            raise ValueError(f"{text.name} was kept by another version")
        with np.load(npz, allow_pickle=False) as arrays:
            ends = np.cumsum(arrays["thumbnail_sizes"])
            jpegs = [part.tobytes() for part in np.split(arrays["thumbnails"], ends[:-1])] if len(ends) else []
            return cls(
                info=_info_from_json(fields["info"]),
                duration=fields["duration"],
                features=PictureFeatures(arrays["feature_times"], arrays["feature_values"]),
                activity_times=arrays["activity_times"],
                activity=arrays["activity"],
                shots=tuple(Shot(Span(start, end), strength) for start, end, strength in fields["shots"]),
                looks=arrays["looks"],
                thumbnails=tuple(zip(arrays["thumbnail_times"].tolist(), jpegs, strict=True)),
                speech=tuple(Span(*pair) for pair in fields["speech"]),
                music=tuple(Span(*pair) for pair in fields["music"]),
                original_lufs=fields["original_lufs"],
                warnings=tuple(fields["warnings"]),
            )


@dataclass(frozen=True)
class Heard:
    """What one pass through the sound found; see `Analysis`."""

    speech: tuple[Span, ...]
    music: tuple[Span, ...]
    lufs: float | None
    warnings: tuple[str, ...]


def analyse(path: Path, encoder: FrameEncoder, progress: Progress | None = None) -> Analysis:
    """All that can be seen and heard in the file `path`; see `analyse_film`."""
    return analyse_film(FileSource(path), encoder, progress)


def analyse_film(film: FilmSource, encoder: FrameEncoder, progress: Progress | None = None) -> Analysis:
    """All that can be seen and heard in `film`. MediaError where there is nothing to score.

    progress is called with the share done, 0..1. What is damaged but can be scored becomes a warning.
    """
    from gvm_plugin.picture_pass import watch

    info = film.info()
    seen = watch(film, encoder, info.picture_duration, _part_of(progress, 0.0, PICTURE_SHARE if info.audio else 1.0))
    warnings = _picture_warnings(film.name, info, seen.duration, seen.damaged)
    info = replace(info, picture_start=seen.start, picture_duration=seen.duration, variable_rate=seen.variable)
    heard = listen(film, info, _part_of(progress, PICTURE_SHARE, 1.0))
    shots = cut_into_shots(seen.cuts, seen.duration)
    if progress is not None:
        progress(1.0)
    return Analysis(
        info=info,
        duration=seen.duration,
        features=seen.features,
        activity_times=seen.activity_times,
        activity=seen.activity,
        shots=shots,
        looks=mean_looks(shots, seen.look_times, seen.looks),
        thumbnails=tuple(seen.thumbnails),
        speech=heard.speech,
        music=heard.music,
        original_lufs=heard.lufs,
        warnings=(*warnings, *heard.warnings),
    )


def listen(film: FilmSource, info: MediaInfo, progress: Progress | None = None) -> Heard:
    """Speech, music and loudness of a film's sound, read in blocks, track by track. info: of the film, as measured."""
    from gvm_plugin.loudness import LoudnessMeter
    from gvm_plugin.music_detection import MusicDetector
    from gvm_plugin.speech import Downsampler, SpeechDetector, union

    warnings: list[str] = []
    speech: list[tuple[Span, ...]] = []
    music: tuple[Span, ...] = ()
    lufs: float | None = None
    for number, track in enumerate(info.audio):
        main = track == info.main_audio
        voice, tunes, meter, low = SpeechDetector(), MusicDetector(), LoudnessMeter(), Downsampler()
        done = 0
        for block in film.sound(info, track, warnings):
            mono = low.push(block.mean(axis=0))
            voice.push(mono)
            if main:
                tunes.push(mono)
                meter.push(block)
            done += block.shape[1]
            if progress is not None:
                progress(min(1.0, (number + done / SAMPLE_RATE / max(info.picture_duration, 1e-3)) / len(info.audio)))
        speech.append(voice.spans(info.picture_duration))
        if main:
            lufs = meter.result().integrated_lufs
            music = tunes.spans(info.picture_duration)
    if len(info.audio) > 1 and info.main_audio is not None:
        number = info.audio.index(info.main_audio) + 1
        warnings.append(
            f"{film.name}: has {len(info.audio)} audio tracks; number {number} is mixed, speech was sought on all"
        )
    return Heard(union(speech), music, lufs, tuple(warnings))


def cut_into_shots(cuts: Sequence[tuple[float, float]], duration: float) -> tuple[Shot, ...]:
    """Shots that tile 0..duration, from cuts (seconds, strength) in order."""
    inside = [(at, strength) for at, strength in cuts if 0 < at < duration]
    starts = [(0.0, 0.0), *inside]
    ends = [*(at for at, _ in inside), duration]
    return tuple(Shot(Span(start, end), strength) for (start, strength), end in zip(starts, ends, strict=True))


def mean_looks(
    shots: Sequence[Shot], times: npt.NDArray[np.float64], looks: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Mean look of each shot, [S, 69], from looks [L, 69] at times [L]; the nearest one for a shot that has none."""
    means = []
    for shot in shots:
        first, last = np.searchsorted(times, [shot.span.start - 1e-6, shot.span.end - 1e-6])
        if first == last:
            first = int(np.argmin(np.abs(times - (shot.span.start + shot.span.end) / 2)))
            last = first + 1
        means.append(looks[first:last].mean(axis=0))
    return np.array(means, np.float32)


def _picture_warnings(name: str, info: MediaInfo, duration: float, damaged: int) -> list[str]:
    warnings = []
    if damaged:
        warnings.append(f"{name}: is damaged; {damaged} packets of picture were skipped; copy it again if it matters")
    if duration < info.picture_duration - CUT_OFF_SECONDS:
        warnings.append(
            f"{name}: is cut off; {duration:.1f} s of {info.picture_duration:.1f} s can be read, and those are scored"
        )
    return warnings


def _part_of(progress: Progress | None, start: float, end: float) -> Progress | None:
    """Tells `progress` of a part of the whole that reports 0..1 itself."""
    if progress is None:
        return None
    return lambda share: progress(start + (end - start) * share)


def _pair(base: Path) -> tuple[Path, Path]:
    return base.with_name(base.name + ".npz"), base.with_name(base.name + ".json")


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def _info_to_json(info: MediaInfo) -> dict[str, Any]:
    fields = asdict(info)
    fields["path"] = str(info.path)
    fields["average_rate"], fields["pixel_aspect"] = str(info.average_rate), str(info.pixel_aspect)
    return fields


def _info_from_json(fields: dict[str, Any]) -> MediaInfo:
    return MediaInfo(
        **{
            **fields,
            "path": Path(fields["path"]),
            "average_rate": Fraction(fields["average_rate"]),
            "pixel_aspect": Fraction(fields["pixel_aspect"]),
            "audio": tuple(AudioTrack(**track) for track in fields["audio"]),
            "other_streams": tuple(fields["other_streams"]),
        }
    )
