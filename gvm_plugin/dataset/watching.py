"""One pass over a film for the data set: the analysis of every film that is scored, and what this adds to it.

`SeenFilm` is the film as `analysis` wants it, and looks over its shoulder: once a second a picture is also measured
for text, style and fingerprint. So no picture is decoded twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from core.vision.picture import PictureFeatures
from gvm_plugin.analysis import Analysis, analyse_film
from gvm_plugin.dataset import fingerprints, kinds, text_overlay
from gvm_plugin.film_source import FileSource, Pictures
from gvm_plugin.probe import MediaInfo, Sound, probe_sound, read_audio_blocks
from gvm_plugin.speech import Downsampler, SpeechDetector, union
from gvm_plugin.timeline import Span

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from gvm_plugin.probe import AudioTrack

Progress = Callable[[float], None]

# Lower than for ducking (`gvm_plugin.speech`): a voice that music drowns has to go, and music alone stays far below.
ENTER: Final = 0.2
LEAVE: Final = 0.12


@dataclass(frozen=True, eq=False)
class Seen:
    """What was found in a film; kept in its record, but for `features` and `thumbnail`.

    letters and hashes: one a second. picture_start: of the first picture, in the file's own time, as measured.
    """

    duration: float
    picture_start: float
    music: tuple[Span, ...]
    speech: tuple[Span, ...]
    text: tuple[Span, ...]
    traits: kinds.Traits
    hashes: str
    warnings: tuple[str, ...]
    features: PictureFeatures
    thumbnail: bytes

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        fields = {name: [[s.start, s.end] for s in getattr(self, name)] for name in ("music", "speech", "text")}
        plain = {name: getattr(self, name) for name in ("duration", "picture_start", "hashes", "warnings")}
        return {**plain, **fields, "traits": asdict(self.traits)}


class SeenFilm(FileSource):
    """A film whose pictures are also measured once a second. sound_file: where its music is, if not in it."""

    def __init__(self, path: Path, sound_file: Path | None = None) -> None:
        super().__init__(path)
        self.sound_file = sound_file
        self.letters: list[int] = []
        self.hashes: list[int] = []
        self.styles: list[kinds.Style] = []
        self._voices: list[SpeechDetector] = []

    def info(self) -> MediaInfo:
        """The film's header, with the track of the sound file where it has one."""
        info = super().info()
        if self.sound_file is None:
            return info
        from dataclasses import replace

        return replace(info, audio=probe_sound(self.sound_file).audio[:1])

    def pictures(self) -> Pictures:
        """The pictures, each second's first one measured."""
        return _Tapped(super().pictures(), self)

    def sound(self, info: MediaInfo, track: AudioTrack, warnings: list[str]) -> Iterator[Sound]:
        """Blocks of one track, from the sound file where there is one: its beginning belongs to the first picture."""
        if self.sound_file is None:
            blocks = super().sound(info, track, warnings)
        else:
            source = probe_sound(self.sound_file)
            blocks = read_audio_blocks(source, track, duration=info.picture_duration, warnings=warnings)
        low, voice = Downsampler(), SpeechDetector()
        self._voices.append(voice)
        for block in blocks:
            voice.push(low.push(block.mean(axis=0)))
            yield block

    def speech(self, duration: float) -> tuple[Span, ...]:
        """Where somebody speaks on any track, by thresholds that find voices below music. Call once, at the end."""
        return union([voice.spans(duration, ENTER, LEAVE) for voice in self._voices])

    def look(self, frame: VideoFrame) -> None:
        """Measure a picture."""
        import cv2

        rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        scale = text_overlay.SHORT_SIDE / min(rgb.shape[:2])
        if scale < 1:
            size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        self.letters.append(text_overlay.count_letters(grey))
        self.hashes.append(fingerprints.picture_hash(grey))
        self.styles.append(kinds.describe(rgb))

    def hold(self, seconds: int) -> None:
        """Note that the picture measured last was on screen for so many seconds more."""
        self.letters += self.letters[-1:] * seconds
        self.hashes += self.hashes[-1:] * seconds
        self.styles += self.styles[-1:] * seconds


class _Tapped:
    """Pictures that somebody else also looks at, once a second; a picture held for long counts for each second."""

    def __init__(self, pictures: Pictures, film: SeenFilm) -> None:
        self._pictures, self._film = pictures, film

    def __enter__(self) -> Self:
        self._pictures.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._pictures.__exit__(*exc)

    def __iter__(self) -> Iterator[tuple[Fraction, VideoFrame]]:
        film = self._film
        for seconds, frame in self._pictures:
            due = int(seconds * text_overlay.FPS) + 1
            if film.letters and len(film.letters) < due - 1:  # nothing came for a while: the last one stood
                film.hold(due - 1 - len(film.letters))
            if len(film.letters) < due:
                film.look(frame)
            yield seconds, frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pictures, name)


def watch_film(path: Path, sound_file: Path | None = None, progress: Progress | None = None) -> Seen:
    """Everything the data set wants to know of a film. MediaError where it can't be read."""
    from core.vision.descriptors import PatchDescriptors

    film = SeenFilm(path, sound_file)
    analysis = analyse_film(film, PatchDescriptors(), progress)
    text = text_overlay.find_spans(film.letters, analysis.duration)
    speech = film.speech(analysis.duration)
    return Seen(
        duration=analysis.duration,
        picture_start=analysis.info.picture_start,
        music=analysis.music,
        speech=speech,
        text=text,
        traits=_traits(analysis, film.styles, speech, text),
        hashes=fingerprints.pack(film.hashes),
        warnings=analysis.warnings,
        features=analysis.features,
        thumbnail=analysis.thumbnails[len(analysis.thumbnails) // 2][1] if analysis.thumbnails else b"",
    )


def _traits(
    analysis: Analysis, styles: list[kinds.Style], speech: tuple[Span, ...], text: tuple[Span, ...]
) -> kinds.Traits:
    lengths = {
        name: sum(span.duration for span in spans) / analysis.duration
        for name, spans in (("music", analysis.music), ("speech", speech), ("text", text))
    }
    means = {
        name: round(float(np.median([getattr(style, name) for style in styles])), 4)
        for name in ("flat", "saturation", "brightness", "bars")
    }
    return kinds.Traits(
        **means,
        cuts_per_minute=round((len(analysis.shots) - 1) * 60 / analysis.duration, 2),
        **{name: round(min(1.0, value), 4) for name, value in lengths.items()},
    )
