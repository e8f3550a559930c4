"""SPINE of the plug-in: one film in, its score out.

    score_video    analyse -> spot -> produce
    spot           analyse -> spot: the cue sheet alone
    render         read a cue sheet -> produce

    produce        generate -> choose -> assemble -> mix -> mux -> measure -> deliver

Takes and analyses are kept by content (see `cache`), so that only what changed is made again. Results appear
complete: everything is made in a work folder and moved into place at the end, the film last.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile

from core.errors import CueSheetError, DeliveryError, LicenceError, MediaError
from gvm_plugin import cuesheet, cuesheet_reader
from gvm_plugin.cache import Cache
from gvm_plugin.cuesheet import CueSheet
from gvm_plugin.delivery import Finished, deliver, provenance, report_of, signed
from gvm_plugin.identity import with_channel
from gvm_plugin.machine import give_memory_back
from gvm_plugin.models import find_model
from gvm_plugin.options import ScoreOptions, check_exports
from gvm_plugin.outputs import Outputs, check_name, outputs_of, outputs_of_sheet
from gvm_plugin.takes import TakeMaker, Takes, chosen_takes, ignored_settings, margins, say_ignored
from gvm_plugin.timeline import to_samples

if TYPE_CHECKING:
    from core.vision.picture import FrameEncoder, PictureFeatures
    from gvm_plugin.analysis import Analysis
    from gvm_plugin.choose import Choice
    from gvm_plugin.crossfade import AssembledMusic, Placement
    from gvm_plugin.generators import MusicGenerator
    from gvm_plugin.measure import Measures
    from gvm_plugin.mix import MixReport
    from gvm_plugin.models import ModelInfo
    from gvm_plugin.picking import Picked
    from gvm_plugin.report import VideoReport

log = logging.getLogger(__name__)

Progress = Callable[[str, float], None]  # (stage, share done 0..1); what it raises ends the job, leaving nothing half

_SECOND_OF_SOUND: Final = 48_000 * 2 * 4  # bytes

_MOST_MIXES: Final = 3

STAGES: Final = ("analyse", "generate", "choose", "assemble", "mix", "mux", "measure", "deliver")


@dataclass(frozen=True, eq=False)
class Score:
    """A finished score: where everything lies, what was decided, how it came out."""

    outputs: Outputs
    sheet: CueSheet
    report: VideoReport


def score_video(
    video: Path | str,
    out: Path | str | None = None,
    options: ScoreOptions | None = None,
    generator: MusicGenerator | None = None,
    progress: Progress | None = None,
) -> Score:
    """Write the film `video`, its picture untouched, with music to `out`; say what was done.

    out: a file, a folder, or None for the folder `scored` beside the film.
    """
    options = options or ScoreOptions()
    outputs = outputs_of(Path(video), None if out is None else Path(out))
    return score_into(Path(video), outputs, options, licensed(generator, options), progress)


def score_into(
    video: Path, outputs: Outputs, options: ScoreOptions, generator: MusicGenerator, progress: Progress | None = None
) -> Score:
    """`score_video` where the names of the results are decided already, and the licence was told of."""
    check_licence(generator, options.monetised)
    outputs = _in_its_container(outputs, video)
    _check_free([outputs.sheet, outputs.music if options.music_only else outputs.film], video, options.overwrite)
    job = _Job(video, outputs, generator, progress)
    analysis, sheet = _spot(job, options)
    return _produce(job, analysis, sheet)


def spot(
    video: Path | str,
    out: Path | str | None = None,
    options: ScoreOptions | None = None,
    generator: MusicGenerator | None = None,
    progress: Progress | None = None,
) -> tuple[CueSheet, Path]:
    """Write the cue sheet of `video` and nothing else; the sheet and where it lies."""
    options = options or ScoreOptions()
    outputs = _in_its_container(outputs_of(Path(video), None if out is None else Path(out)), Path(video))
    _check_free([outputs.sheet], Path(video), options.overwrite)
    job = _Job(Path(video), outputs, licensed(generator, options), progress)
    _, sheet = _spot(job, options)
    cuesheet.write(sheet, outputs.sheet)
    return sheet, outputs.sheet


def render(
    sheet_path: Path | str,
    out: Path | str | None = None,
    generator: MusicGenerator | None = None,
    progress: Progress | None = None,
    *,
    device: str = "auto",
    monetised: bool = False,
    overwrite: bool = False,
    export: tuple[str, ...] | None = None,
) -> Score:
    """Make exactly what the cue sheet says; takes made before for the same cues are used again, bit for bit.

    out: None for the sheet's own place, whose earlier result is replaced. export: formats for other editors, in the
    place of those that the sheet asks for.
    """
    path = Path(sheet_path)
    sheet = cuesheet_reader.read(path)
    if export is not None:
        check_exports(export)
        sheet = replace(sheet, settings=replace(sheet.settings, export=export))
    video = path.parent / sheet.video
    if not video.is_file():
        raise CueSheetError(f"{path}: the film {sheet.video!r} isn't there; move it back, or mend `file` under `video`")
    outputs = _in_its_container(outputs_of_sheet(path, video) if out is None else outputs_of(video, Path(out)), video)
    generator = licensed(generator, _options_of(sheet, device, monetised))
    result = outputs.music if sheet.settings.music_only else outputs.film
    _check_free([result], video, overwrite or (out is None and bool(sheet.provenance)))
    job = _Job(video, outputs, generator, progress)
    sha256 = job.cache.film_sha256(video)
    if sheet.sha256 not in ("", sha256):
        raise CueSheetError(f"{path}: the film {sheet.video!r} is another one now; run `gvm spot` on it again")
    analysis = _analyse(job, sha256)
    cuesheet_reader.check_within(path, sheet, analysis.duration)
    return _produce(job, analysis, replace(sheet, sha256=sha256), path)


def licensed(generator: MusicGenerator | None, options: ScoreOptions) -> MusicGenerator:
    """`generator`, or the one that the options name, when its licence was told of; no weights are read before."""
    tell_licence(generator or find_model(options.model), options.monetised)
    if generator is None:
        generator = open_generator(options)
        check_licence(generator, options.monetised)  # its decoder's weights may say less than the model's own
    return generator


def open_generator(options: ScoreOptions) -> MusicGenerator:
    """The generator that the options name. MediaError where their sound font is none."""
    from gvm_plugin.generators import load_generator

    if options.soundfont is not None:
        _check_soundfont(options.soundfont)
    return load_generator(
        options.model,
        options.device,
        precision=options.precision,
        decoder=options.decoder,
        nudge=not options.no_nudge,
    )


def _options_of(sheet: CueSheet, device: str, monetised: bool) -> ScoreOptions:
    """What of a sheet's settings chooses its generator, as options."""
    settings = sheet.settings
    return ScoreOptions(
        model=settings.model,
        precision=settings.precision,
        decoder=settings.decoder,
        no_nudge=settings.no_nudge,
        device=device,
        monetised=monetised,
    )


def _check_soundfont(path: Path) -> None:
    """MediaError where `path` is no SF2 or SF3 file, both of which are RIFF files of the form sfbk."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as err:
        raise MediaError(f"{path}: the sound font can't be read ({err.strerror}); check the name") from err
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise MediaError(f"{path}: is no sound font; name an .sf2 or .sf3 file")


def check_licence(generator: MusicGenerator | ModelInfo, monetised: bool) -> None:
    """Raise LicenceError where a film that earns money must not have this music."""
    if monetised and not generator.commercial_use:
        raise LicenceError(
            f"model {generator.name}: its licence ({generator.licence}) forbids films that earn money; "
            "use --model starter, whose music is CC0"
        )


def tell_licence(generator: MusicGenerator | ModelInfo, monetised: bool) -> None:
    """Check the licence and say, once a run, what there is to say of it."""
    check_licence(generator, monetised)
    if not generator.commercial_use:
        log.warning("model %s: its licence (%s) forbids films that earn money", generator.name, generator.licence)


# --- one film ----------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Job:
    """What is at hand while one film is worked on."""

    video: Path
    outputs: Outputs
    generator: MusicGenerator
    progress: Progress | None
    timings: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cache = Cache(self.outputs.folder)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float], None]]:
        """Context of one stage; gives the function that takes its share done."""
        started = time.monotonic()
        self.tell(name, 0.0)
        yield lambda share: self.tell(name, share)
        self.tell(name, 1.0)
        self.timings[name] = round(self.timings.get(name, 0.0) + time.monotonic() - started, 3)

    def tell(self, stage: str, share: float) -> None:
        """Pass on how far a stage is."""
        if self.progress is not None:
            self.progress(stage, share)


def _in_its_container(outputs: Outputs, video: Path) -> Outputs:
    """The outputs with the suffix of the container that can hold this film. MediaError if it is none."""
    from gvm_plugin.mux import container_for
    from gvm_plugin.probe import probe

    check_name(outputs)
    return outputs.in_container(container_for(probe(video)).suffix)


def _check_free(results: Sequence[Path], video: Path, overwrite: bool) -> None:
    """DeliveryError where a result would take the film's own place, or that of something we may not replace."""
    for path in results:
        if path.exists() and path.samefile(video):
            raise DeliveryError(f"{path}: is the film itself, which stays as it is; choose another place with --out")
        if path.exists() and not overwrite and path.name.endswith(cuesheet.SUFFIX):
            raise DeliveryError(f"{path}: is there already; `gvm render` makes what it says, --overwrite replaces it")
        if path.exists() and not overwrite:
            raise DeliveryError(f"{path}: is there already; take another place with --out, or --overwrite")


def _spot(job: _Job, options: ScoreOptions) -> tuple[Analysis, CueSheet]:
    """Analysis and cue sheet of the film."""
    from gvm_plugin import spotting

    options, wanted = with_channel(options, job.generator.usual_style), options
    sha256 = job.cache.film_sha256(job.video)
    analysis = _analyse(job, sha256)
    relative = Path(os.path.relpath(job.video.absolute(), job.outputs.folder.absolute())).as_posix()
    sheet = spotting.spot(analysis, options, relative, sha256)
    default = ScoreOptions()
    asked = [name for name in ("style", "mood", "energy") if getattr(wanted, name) != getattr(default, name)]
    return analysis, replace(sheet, warnings=(*sheet.warnings, *say_ignored(job.generator, asked)))


def _analyse(job: _Job, sha256: str) -> Analysis:
    """What there is to know of the film, from the cache or one pass over it."""
    from gvm_plugin.analysis import Analysis, analyse

    with job.stage("analyse") as tell:
        place = job.cache.analysis_path(sha256, job.generator.encoder_sha256)
        try:
            known = Analysis.from_file(place)
        except (OSError, ValueError, KeyError, BadZipFile):  # not there, of another version, or damaged
            analysis = analyse(job.video, job.generator.open_encoder(), tell)
            job.cache.keep(analysis.to_file, place)
            give_memory_back()
            return analysis
        return replace(known, info=replace(known.info, path=job.video))


def _produce(job: _Job, analysis: Analysis, sheet: CueSheet, edited: Path | None = None) -> Score:
    """Make what the sheet says and deliver it. edited: the file of a person's sheet, which keeps its text."""
    from gvm_plugin.encode import HEADROOM_DB, MARGIN_DB, peak_excess
    from gvm_plugin.picking import settled_before

    _check_room(job, sheet)
    asked = {cue.id: cue.take for cue in sheet.cues}
    maker, kept = settled_before(TakeMaker(job.cache, job.generator, analysis.features, sheet))
    with job.cache.work_folder(job.outputs.name) as work:
        # 1. Every cue, every take: from the cache, or made now and kept there.
        with job.stage("generate") as tell:
            takes = maker.make(tell)

        # 2. Which of them each cue gets; others are made where none is fit to be heard.
        with job.stage("choose") as tell:
            picked = _choose(job, analysis, maker, takes, tell, kept)
            sheet, takes = picked.sheet, picked.takes

        # 3. The chosen takes as one track, crossfaded where they meet.
        with job.stage("assemble") as tell:
            music = _assemble(sheet, takes, to_samples(analysis.duration), work, tell)

        # 4. Under the film's own sound, ducked, at its loudness; then with the untouched picture. Where the codec
        #    threw peaks over the ceiling, again with more room for them.
        headroom = HEADROOM_DB
        for _ in range(_MOST_MIXES):
            with job.stage("mix"):
                mixed = _mix(sheet, analysis, music, work, headroom)
            with job.stage("mux"):
                film, lost = _mux(job, analysis, sheet, mixed, work)
                excess = 0.0 if film is None or sheet.settings.separate_track else peak_excess(film)
            if excess <= 0:
                break
            headroom += excess + MARGIN_DB

        # 5. How did it come out?
        with job.stage("measure"):
            measures = _measure(sheet, analysis, mixed)

        # 6. Film, music, sheet and the rest into place.
        with job.stage("deliver"):
            made = replace(sheet, provenance=provenance(sheet, takes, job.generator, picked.choices))
            if edited is None:
                made = signed(made)
            finished = Finished(made, takes, mixed, film, edited, choices=picked.choices, asked=asked)
            finished, told = _hand_off(job, analysis, finished, music.placed, work)
            files = deliver(finished, job.outputs)

    warnings = (*sheet.warnings, *picked.notes, *ignored_settings(job.generator, sheet), *mixed.warnings, *lost, *told)
    report = report_of(job.video, analysis, finished, measures, job.generator, files, warnings, job.timings)
    return Score(job.outputs, made, report)


def _choose(
    job: _Job,
    analysis: Analysis,
    maker: TakeMaker,
    takes: Takes,
    tell: Callable[[float], None],
    kept: Mapping[str, Choice],
) -> Picked:
    """The take of each cue, and what there is to tell of the choice."""
    from gvm_plugin.film_source import FileSource
    from gvm_plugin.judge import Judge
    from gvm_plugin.picking import evaluator_for, pick_takes
    from gvm_plugin.picture_pass import watch

    def look(encoder: FrameEncoder) -> PictureFeatures:
        return watch(FileSource(job.video), encoder, analysis.duration, None).features

    judge = Judge.of_film(analysis, evaluator_for(analysis.features, look))
    return pick_takes(maker, takes, judge, tell, kept=kept)


def bytes_needed(seconds: float, film_bytes: int, takes: int = 1, stems: bool = False) -> int:
    """Room that scoring a film takes while it is worked on: takes, sound on its way to the mix, results."""
    return round(seconds * _SECOND_OF_SOUND * (1 + 4 * stems) * (takes + 4)) + film_bytes


def _check_room(job: _Job, sheet: CueSheet) -> None:
    """DeliveryError where the disk has too little room for the work, told before the long part of it."""
    from core.frames import shown_name

    settings = sheet.settings
    takes = settings.takes * (2 if settings.export else 1)
    needed = bytes_needed(sheet.duration, job.video.stat().st_size, takes, settings.stems)
    free = shutil.disk_usage(job.outputs.folder).free
    if free < needed:
        raise DeliveryError(
            f"{job.outputs.folder}: has {free / 1e6:.0f} MB of room, {shown_name(job.video)} needs about "
            f"{needed / 1e6:.0f} MB; make room, or choose another folder with --out"
        )


def _mux(
    job: _Job, analysis: Analysis, sheet: CueSheet, mixed: MixReport, work: Path
) -> tuple[Path | None, Sequence[str]]:
    """(the film with its score, still in the work folder, what of the source couldn't be kept)."""
    from gvm_plugin.mux import mux

    settings = sheet.settings
    if settings.music_only:
        return None, ()
    report = mux(
        analysis.info,
        mixed.mix,
        work / f"film{job.outputs.film.suffix}",
        keep_original=settings.original == "keep",
        separate_track=settings.separate_track,
    )
    return report.path, report.warnings


def _hand_off(
    job: _Job, analysis: Analysis, finished: Finished, placed: Sequence[Placement], work: Path
) -> tuple[Finished, Sequence[str]]:
    """(`finished` with time stamps in its stems and the files for other editors, what there is to tell of those)."""
    settings, mixed = finished.sheet.settings, finished.mixed
    if not (settings.export or mixed.stems):
        return finished, ()
    from gvm_plugin.handoff.build import Scored
    from gvm_plugin.handoff.export import Target, export, stamp_stems
    from gvm_plugin.handoff.source import describe_film

    film = describe_film(analysis.info, analysis.duration)
    source = finished.sheet.provenance
    mixed = replace(mixed, stems=stamp_stems(mixed.stems, film, job.generator.licence, source))
    sheet = finished.sheet
    if "style" in job.generator.ignores:  # what it didn't know isn't said of its music
        sheet = replace(sheet, cues=tuple(replace(cue, style="") for cue in sheet.cues))
    scored = Scored(sheet, finished.takes, placed, mixed, job.generator.name, job.generator.licence)
    folder = work / "export"
    folder.mkdir()
    files = export(scored, film, Target(job.outputs.export, job.outputs.name, folder), source)
    return replace(finished, mixed=mixed, exported=files), film.warnings if settings.export else ()


def _assemble(
    sheet: CueSheet,
    takes: Takes,
    samples: int,
    work: Path,
    tell: Callable[[float], None],
) -> AssembledMusic:
    from gvm_plugin.crossfade import Piece, assemble

    def pieces() -> Iterator[Piece]:
        for cue, take in chosen_takes(sheet, takes):
            tell(cue.span.start / sheet.duration)
            audio, stems = take.load()
            lead, tail = margins(cue, sheet)
            yield Piece(cue.span, audio, lead, tail, stems, take.fade_seconds)

    folder = work / "stems"
    folder.mkdir()
    return assemble(
        pieces(),
        samples,
        work / "assembled.wav",
        crossfade_seconds=sheet.settings.crossfade,
        stem_folder=folder if sheet.settings.stems else None,
    )


def _mix(sheet: CueSheet, analysis: Analysis, music: AssembledMusic, work: Path, headroom_db: float) -> MixReport:
    from gvm_plugin.mix import MixSettings, mix
    from gvm_plugin.probe import read_audio_blocks

    settings, info = sheet.settings, analysis.info
    stem_paths = {name: work / f"{name}.stem.wav" for name in music.stems}
    return mix(
        music.path,
        (lambda: read_audio_blocks(info, duration=analysis.duration)) if info.audio else None,
        sheet.speech,
        MixSettings(
            lufs=settings.lufs,
            duck_db=settings.duck,
            # with no film to go under, the music has the loudness asked for by itself
            original="replace" if settings.original == "replace" or settings.music_only else "keep",
            separate_track=settings.separate_track,
            codec_headroom_db=headroom_db,
        ),
        work / "mix.wav",
        work / "music.wav",
        stems=music.stems,
        stem_paths=stem_paths,
    )


def _measure(sheet: CueSheet, analysis: Analysis, mixed: MixReport) -> Measures:
    from gvm_plugin.measure import measure

    return measure(
        mixed.music,
        activity_times=analysis.activity_times,
        activity=analysis.activity.astype(float),
        cuts=[shot.span.start for shot in sheet.shots[1:]],
        hits=[hit for cue in sheet.sounding for hit in cue.hits],
        cues=[cue.span for cue in sheet.sounding],
        speech=sheet.speech,
        ducking=[(key.seconds, key.gain_db) for key in mixed.keyframes],
        mix=mixed.loudness,
    )
