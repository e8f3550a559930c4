"""SPINE of an edit's score: what `score` is for a film, for a timeline that goes on being edited. Renders no film.

    spot_edit     analyse -> which cues stay, which are new
    score_edit    the same, then make the takes of what is new
    make_cues     make the takes of given cues, nothing else

A take that the gate rejects is replaced by another number if no other of its cue passes; the chosen one comes first.

What an editor gets is sound files that begin on its frames, and numbers for its own mixer: gains, fades, ducking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from core.vision.picture import FrameEncoder, PictureFeatures
from gvm_plugin.analysis import Analysis, analyse_film
from gvm_plugin.cache import Cache, content_key
from gvm_plugin.choose import Choice
from gvm_plugin.cuesheet import Cue, CueSheet, Settings, derive_seed, quantise
from gvm_plugin.ducking import Keyframe, duck
from gvm_plugin.edit_list import Edit, Picture, picture_of
from gvm_plugin.edit_media import EditSource
from gvm_plugin.edit_plan import EditCue, plan_cues
from gvm_plugin.edit_takes import EditTake, Fade, Reach, fades, write_take
from gvm_plugin.identity import with_channel
from gvm_plugin.judge import Judge
from gvm_plugin.machine import give_memory_back
from gvm_plugin.mix import FAINT_LUFS, MixSettings, measure_levels, mixed_blocks, music_level
from gvm_plugin.options import ScoreOptions
from gvm_plugin.picking import Picked, evaluator_for, pick_takes
from gvm_plugin.picture_pass import watch
from gvm_plugin.spotting import hit_points, settings_of
from gvm_plugin.takes import TakeMaker, Takes, margins
from gvm_plugin.timeline import Span, to_samples

if TYPE_CHECKING:
    from gvm_plugin.generators import MusicGenerator

Progress = Callable[[str, float], None]  # (stage, share done 0..1); what it raises ends the job, leaving nothing half

STAGES = ("analyse", "generate", "mix")


@dataclass(frozen=True)
class EditMix:
    """Levels of an edit's sound; None where there is silence or where not all of the music is at hand.

    music_gain_db: on all takes, before what a take's own file needs. to_target_db: what the whole mix lacks.
    """

    target_lufs: float
    music_gain_db: float
    original_lufs: float | None = None
    speech_lufs: float | None = None
    music_lufs: float | None = None
    mix_lufs: float | None = None
    true_peak_dbtp: float | None = None

    @property
    def to_target_db(self) -> float | None:
        """Gain on everything that would bring the mix to its loudness."""
        return None if self.mix_lufs is None else self.target_lufs - self.mix_lufs


@dataclass(frozen=True, eq=False)
class EditScore:
    """What came out. takes (the chosen one first), fades: by cue id. gone: ids of cues that have no place any more.

    choices: which take of each cue that was made is to be heard, and why.
    """

    edit: Edit
    analysis: Analysis
    cues: tuple[EditCue, ...]
    gone: tuple[str, ...] = ()
    takes: Mapping[str, Sequence[EditTake]] = field(default_factory=dict)
    fades: Mapping[str, tuple[Fade, Fade]] = field(default_factory=dict)
    ducking: tuple[Keyframe, ...] = ()
    mix: EditMix | None = None
    choices: tuple[Choice, ...] = ()


@dataclass(eq=False)
class EditJob:
    """An edit to be worked on. project: a text that stays the same through all edits of one piece of work."""

    edit: Edit
    project: str
    options: ScoreOptions
    folder: Path
    generator: MusicGenerator
    progress: Progress
    warn: Callable[[str], None]

    @cached_property
    def cache(self) -> Cache:
        """What is kept in the folder."""
        return Cache(self.folder)

    @cached_property
    def source(self) -> EditSource:
        """The edit as a film; what is missing is told once."""
        source = EditSource(self.edit)
        for warning in source.warnings:
            self.warn(warning)
        return source

    @cached_property
    def sha256(self) -> str:
        """Stands for everything seen and heard."""
        return content_key("edit", self.source.edit.content())

    @cached_property
    def analysis(self) -> Analysis:
        """What there is to see and hear, kept in the folder."""
        self.progress("analyse", 0.0)
        known_warnings = len(self.source.warnings)
        place = self.cache.analysis_path(self.sha256, self.generator.encoder_sha256)
        try:
            found = Analysis.from_file(place)
        except (OSError, ValueError, KeyError, BadZipFile):  # not there, of another version, or damaged
            encoder = self.generator.open_encoder()
            seen = analyse_film(self.source, encoder, lambda share: self.progress("analyse", share))
            found = replace(seen, warnings=(*seen.warnings, *self.source.warnings[known_warnings:]))
            self.cache.keep(found.to_file, place)
            give_memory_back()
        for warning in found.warnings:
            self.warn(warning)
        self.progress("analyse", 1.0)
        return found

    @property
    def settings(self) -> Settings:
        """The options that a cue sheet keeps."""
        return settings_of(self.options)


def spot_edit(job: EditJob, previous: Sequence[EditCue] = ()) -> EditScore:
    """The cues of the edit, without music. previous: those it had, of which what still fits stays."""
    options = with_channel(job.options, job.generator.usual_style)
    cues, gone = plan_cues(job.source.edit, job.project, options, job.analysis, previous)
    return EditScore(job.source.edit, job.analysis, cues, gone)


def score_edit(job: EditJob, previous: Sequence[EditCue] = (), music_gain_db: float | None = None) -> EditScore:
    """The cues of the edit with takes of all that don't stay. music_gain_db: to keep the level of what stays."""
    spotted = spot_edit(job, previous)
    return _make(job, spotted, music_gain_db)


def make_cues(job: EditJob, cues: Sequence[EditCue], music_gain_db: float | None = None) -> EditScore:
    """Takes of the cues exactly as given; one that makes none is a neighbour only. ValueError if two overlap."""
    duration = quantise(job.analysis.duration)
    ready: list[EditCue] = []
    for cue in sorted(cues, key=lambda cue: cue.cue.span):
        span = cue.cue.span
        if span.end > duration + 1e-3 or span.start < 0:
            raise ValueError(f"cue {cue.cue.id} lies outside the edit, which ends at {duration:g} s")
        if ready and ready[-1].cue.span.end > span.start + 1e-4:
            raise ValueError(f"cues {ready[-1].cue.id} and {cue.cue.id} overlap; move one of them")
        ready.append(_filled(job, replace(cue, cue=replace(cue.cue, span=Span(span.start, min(span.end, duration))))))
    return _make(job, EditScore(job.source.edit, job.analysis, tuple(ready)), music_gain_db)


def _filled(job: EditJob, cue: EditCue) -> EditCue:
    """A cue with the seed and hits that weren't given, and what is shown during it."""
    picture: Picture = picture_of(job.source.edit, cue.cue.span)
    made = cue.cue
    if cue.seed_open:
        made = replace(made, seed=derive_seed(job.options.seed, job.project, content_key(picture)))
    if cue.hits_open and not made.silent:
        made = replace(made, hits=hit_points(job.analysis.shots, made.span))
    return replace(cue, cue=made, picture=picture)


def _make(job: EditJob, spotted: EditScore, music_gain_db: float | None) -> EditScore:
    """`spotted` with its takes made and its mix worked out."""
    duration = quantise(job.analysis.duration)
    to_make = [cue for cue in spotted.cues if cue.makes and not cue.cue.silent]
    sheet = CueSheet(
        video="edit",
        sha256=job.sha256,
        duration=duration,
        cues=tuple(cue.cue for cue in to_make),
        settings=job.settings,
        shots=job.analysis.shots,
        speech=job.analysis.speech,
    )
    numbers = {cue.cue.id: cue.makes for cue in to_make}
    maker = TakeMaker(job.cache, job.generator, job.analysis.features, sheet, film=job.project, numbers=numbers)
    job.progress("generate", 0.0)
    takes = maker.make(lambda share: job.progress("generate", share))
    sounding = [cue for cue in spotted.cues if not cue.cue.silent]
    picked = _choose(job, maker, takes, [cue.cue for cue in sounding])
    sheet, takes = picked.sheet, picked.takes
    job.progress("generate", 1.0)
    reaches = {cue.cue.id: cue.reach or Reach(*margins(cue.cue, sheet)) for cue in sounding}
    cues = {cue.id: cue for cue in sheet.cues}
    chosen = {(cue.id, cue.take) for cue in sheet.cues}
    for (name, _), take in takes.items():
        reaches[name] = Reach(*margins(cues[name], sheet), take.fade_seconds)
    alone = any(not cue.makes for cue in sounding)
    with job.cache.work_folder(job.project) as work:
        mix, ducking = _mix(job, sheet, takes, work, music_gain_db, whole=not alone)
        written: dict[str, list[EditTake]] = {cue.cue.id: [] for cue in to_make}
        heard_first = sorted(takes, key=lambda id: (id[0], id not in chosen, id[1]))
        for number, take_id in enumerate(heard_first):
            take = takes[take_id]
            job.progress("mix", 0.7 + 0.3 * number / len(takes))
            cue = cues[take_id[0]]
            file = write_take(take, take_id[1], cue, reaches[cue.id], spotted.edit.fps, job.folder, work)
            written[cue.id].append(replace(file, gain_db=file.gain_db + mix.music_gain_db))
    job.progress("mix", 1.0)
    return replace(
        spotted,
        takes=written,
        fades=fades([cue.cue for cue in sounding], reaches, duration, job.options.crossfade),
        ducking=ducking,
        mix=mix,
        choices=picked.choices,
    )


def _choose(job: EditJob, maker: TakeMaker, takes: Takes, sounding: Sequence[Cue]) -> Picked:
    """The take of each cue that is made; what there is to tell of the choice is told."""

    def look(encoder: FrameEncoder) -> PictureFeatures:
        return watch(job.source, encoder, job.analysis.duration, None).features

    judge = Judge.of_film(job.analysis, evaluator_for(job.analysis.features, look))
    picked = pick_takes(maker, takes, judge, lambda share: job.progress("generate", 1.0), sounding)
    for note in picked.notes:
        job.warn(note)
    return picked


def _mix(
    job: EditJob, sheet: CueSheet, takes: Takes, work: Path, music_gain_db: float | None, whole: bool
) -> tuple[EditMix, tuple[Keyframe, ...]]:
    """(levels of the edit's mixer, ducking). whole: all of the music is in `sheet`, so that the mix can be measured."""
    from gvm_plugin.crossfade import Piece, assemble
    from gvm_plugin.loudness import decibels, measure_loudness

    options, samples = job.options, to_samples(sheet.duration)
    heard = job.analysis.original_lufs
    beside = heard is not None and heard >= FAINT_LUFS
    ducking = duck(sheet.speech, sheet.duration, options.duck) if beside else ()
    if not sheet.cues or (music_gain_db is not None and not whole):
        return EditMix(options.target_lufs, music_gain_db or 0.0, heard), ducking

    def pieces() -> Iterator[Piece]:
        for cue in sheet.cues:
            take = takes[cue.id, cue.take or 1]
            yield Piece(cue.span, take.load()[0], *margins(cue, sheet), fade_seconds=take.fade_seconds)

    job.progress("mix", 0.0)
    music = assemble(pieces(), samples, work / "music.wav", crossfade_seconds=options.crossfade).path
    original = (lambda: job.source.mixed(sheet.duration)) if beside else None
    levels = measure_levels(music, original, sheet.speech, samples)
    job.progress("mix", 0.3)
    if music_gain_db is None:
        wanted = music_level(levels, MixSettings(lufs=options.target_lufs, duck_db=options.duck))
        music_gain_db = wanted - levels.music if levels.music is not None else 0.0
    music_lufs = None if levels.music is None else levels.music + music_gain_db
    mix = EditMix(options.target_lufs, music_gain_db, levels.original, levels.speech, music_lufs)
    if not whole:
        return mix, ducking
    blocks = mixed_blocks(music, original, decibels(music_gain_db), ducking, samples)
    loudness = measure_loudness(blocks, true_peak=True)
    job.progress("mix", 0.7)
    return replace(mix, mix_lufs=loudness.integrated_lufs, true_peak_dbtp=loudness.true_peak_dbtp), ducking
