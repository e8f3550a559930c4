"""SPINE of a clip's score: what `score` is for a film, for a clip of MoviePy. Writes nothing but temporary files.

score_into      look and listen -> spot -> takes -> one track -> mix
score_clip      the music alone, as an audio clip
ScoreClip       an audio clip that knows its cue sheet
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from moviepy import VideoClip

from core.errors import DeliveryError
from core.vision.picture import FrameEncoder, PictureFeatures
from gvm_plugin import spotting
from gvm_plugin.analysis import Analysis, analyse_film
from gvm_plugin.cache import Cache
from gvm_plugin.crossfade import Piece, assemble
from gvm_plugin.cuesheet import CueSheet
from gvm_plugin.encode import HEADROOM_DB
from gvm_plugin.generators import MusicGenerator
from gvm_plugin.identity import with_channel
from gvm_plugin.judge import Judge
from gvm_plugin.machine import give_memory_back
from gvm_plugin.mix import MixReport, MixSettings, OriginalAudio, mix
from gvm_plugin.moviepy_fx.pictures import ClipSource
from gvm_plugin.moviepy_fx.progress import Logger, Progress, Ticks
from gvm_plugin.moviepy_fx.sound import SoundClip
from gvm_plugin.options import ScoreOptions
from gvm_plugin.picking import Picked, evaluator_for, pick_takes
from gvm_plugin.picture_pass import watch
from gvm_plugin.probe import Sound
from gvm_plugin.score import bytes_needed, licensed
from gvm_plugin.takes import TakeMaker, Takes, chosen_takes, ignored_settings, margins
from gvm_plugin.timeline import to_samples

log = logging.getLogger(__name__)

_LISTENED_TWICE: Final = 2  # once for the levels, once for the mix


class ScoreClip(SoundClip):
    """The sound of a scored clip, or its music alone.

    sheet: its cue sheet. lufs: integrated loudness. speech_lufs, original_lufs: of the clip's own sound.
    warnings: one line each. music: the music alone, of a mix.
    """

    sheet: CueSheet
    lufs: float | None
    original_lufs: float | None
    speech_lufs: float | None
    warnings: tuple[str, ...]
    music: ScoreClip | None = None


@dataclass(frozen=True, eq=False)
class _Made:
    """Files of a score; they last as long as its work folder."""

    sheet: CueSheet
    mixed: MixReport
    warnings: tuple[str, ...]

    def music(self) -> ScoreClip:
        """The music alone, at its level in the mix."""
        return self._clip(self.mixed.music, self.mixed.music_lufs)

    def mix(self) -> ScoreClip:
        """Everything together."""
        music = self.music()
        try:
            clip = self._clip(self.mixed.mix, self.mixed.lufs)
        except BaseException:
            music.close()
            raise
        clip.music = music
        return clip

    def _clip(self, path: Path, lufs: float | None) -> ScoreClip:
        clip = ScoreClip.from_wav(path)
        assert isinstance(clip, ScoreClip), type(clip)
        clip.sheet, clip.warnings, clip.lufs = self.sheet, self.warnings, lufs
        clip.original_lufs, clip.speech_lufs = self.mixed.original_lufs, self.mixed.speech_lufs
        return clip


def score_clip(
    clip: VideoClip,
    options: ScoreOptions | None = None,
    generator: MusicGenerator | None = None,
    logger: Logger = "bar",
    *,
    sheet: CueSheet | None = None,
    project: str | None = None,
    folder: Path | str | None = None,
) -> ScoreClip:
    """The music for a video clip alone, as long as the clip, at its level beside the clip's own sound, not ducked.

    Its cue sheet is `.sheet`. sheet: make exactly what this one says. project, folder, logger: as in GVMScore.
    """
    options = options or ScoreOptions()
    with score_into(clip, options, generator, logger, sheet=sheet, project=project, folder=folder) as made:
        music = made.music()
    music.start = clip.start
    music.end = music.start + music.duration
    return music


@contextmanager
def score_into(
    clip: VideoClip,
    options: ScoreOptions,
    generator: MusicGenerator | None,
    logger: Logger,
    *,
    sheet: CueSheet | None = None,
    project: str | None = None,
    folder: Path | str | None = None,
) -> Iterator[_Made]:
    """Context with the finished score; what isn't made a clip in it is gone afterwards."""
    source = ClipSource(clip)
    generator = _generator_of(options) if generator is None else licensed(generator, options)
    with Progress(logger) as progress, TemporaryDirectory(prefix="gvm-") as temporary:
        work = Path(temporary)
        _check_room(source.seconds, work)
        cache = Cache(work if folder is None else Path(folder))
        # 1. What is there to see and hear?
        analysis = analyse_film(source, generator.open_encoder(), progress.part("analyse"))
        give_memory_back()

        # 2. Where is there music, and what does it mark?
        sheet = _sheet_for(analysis, with_channel(options, generator.usual_style), project, sheet)

        # 3. Every cue, as the sheet chooses it.
        maker = TakeMaker(cache, generator, analysis.features, sheet, film=project)
        takes = maker.make(progress.part("generate"))

        # 4. Which take each cue gets; others are made where none is fit to be heard.
        picked = _choose(source, analysis, maker, takes)
        sheet, takes = picked.sheet, picked.takes

        # 5. One track, ducked under the clip's own sound, at its loudness.
        mixed = _mix(source, sheet, takes, work, progress.part("mix"))
        warnings = (*sheet.warnings, *picked.notes, *ignored_settings(generator, sheet), *mixed.warnings)
        for warning in warnings:
            log.warning("%s", warning)
        yield _Made(sheet, mixed, warnings)


def _check_room(seconds: float, work: Path) -> None:
    """DeliveryError where there is too little room for temporary files."""
    needed, free = bytes_needed(seconds, film_bytes=0), shutil.disk_usage(work).free
    if free < needed:
        raise DeliveryError(
            f"{work.parent}: has {free / 1e6:.0f} MB of room for temporary files, the clip needs about "
            f"{needed / 1e6:.0f} MB; make room, or set TMPDIR to another folder"
        )


_kept: dict[ScoreOptions, MusicGenerator] = {}  # that of the last clip: the next one mostly wants the same


def _generator_of(options: ScoreOptions) -> MusicGenerator:
    """The generator that the options name. LicenceError where they forbid it."""
    names = ("model", "device", "precision", "decoder", "no_nudge", "soundfont")
    key = ScoreOptions(**{name: getattr(options, name) for name in names})
    generator = licensed(_kept.get(key), options)
    _kept.clear()
    _kept[key] = generator
    return generator


def _sheet_for(analysis: Analysis, options: ScoreOptions, project: str | None, given: CueSheet | None) -> CueSheet:
    """The cue sheet of a clip: spotted now, or the one given if it is for a clip as long as this one.

    Seeds come from the project's name, else from what is seen.
    """
    seen = _sha256(analysis)
    if given is None:
        seed_of = seen if project is None else hashlib.sha256(project.encode()).hexdigest()
        return replace(spotting.spot(analysis, options, "clip", seed_of), sha256=seen)
    if abs(given.duration - analysis.duration) > 1e-3:
        raise ValueError(
            f"the cue sheet is for {given.duration:.2f} s, the clip lasts {analysis.duration:.2f} s; spot it again"
        )
    return replace(given, sha256=seen)


def _sha256(analysis: Analysis) -> str:
    """Stands for what is seen in the clip."""
    digest = hashlib.sha256(repr(analysis.duration).encode())
    for values in (analysis.features.times, analysis.features.values):
        digest.update(values.tobytes())
    return digest.hexdigest()


def _choose(source: ClipSource, analysis: Analysis, maker: TakeMaker, takes: Takes) -> Picked:
    """The take of each cue. The evaluator, if asked, looks at the clip once more where the model saw other features."""

    def look(encoder: FrameEncoder) -> PictureFeatures:
        return watch(source, encoder, analysis.duration, None).features

    return pick_takes(maker, takes, Judge.of_film(analysis, evaluator_for(analysis.features, look)), lambda share: None)


def _mix(source: ClipSource, sheet: CueSheet, takes: Takes, work: Path, tell: Ticks) -> MixReport:
    """The mix and the music in the work folder."""
    settings, samples = sheet.settings, to_samples(source.seconds)

    def pieces() -> Iterator[Piece]:
        for cue, take in chosen_takes(sheet, takes):
            yield Piece(cue.span, take.load()[0], *margins(cue, sheet), fade_seconds=take.fade_seconds)

    music = assemble(pieces(), samples, work / "assembled.wav", crossfade_seconds=settings.crossfade).path
    return mix(
        music,
        None if source.clip.audio is None else _told(source, samples, tell),
        sheet.speech,
        MixSettings(
            lufs=settings.lufs,
            duck_db=settings.duck,
            original="replace" if settings.original == "replace" else "keep",
            codec_headroom_db=HEADROOM_DB,
        ),
        work / "mix.wav",
        work / "music.wav",
    )


def _told(source: ClipSource, samples: int, tell: Ticks) -> OriginalAudio:
    """The clip's own sound, which tells how much of it was read."""
    read = 0

    def blocks() -> Iterator[Sound]:
        nonlocal read
        for block in source.own_sound():
            yield block
            read += block.shape[1]
            tell(read / samples / _LISTENED_TWICE)

    return blocks
