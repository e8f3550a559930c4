"""A folder of films -> a folder of scored films: one result each, whatever happens to the others.

    collect_videos   which files are films
    score_folder     each one: skipped when finished and unchanged, else scored; errors recorded; then the page

Every film has a record, OUT/.gvm/films/KEY.json, written when work on it begins and when it ends. So a second run
knows what is finished and what a killed run left behind. A run that comes to nothing keeps the record of the last
result beside its own, so that its files are still known as ours and its sheet, if a person changes it, as theirs.
Films of one folder that share a stem get all of their name in the names of their results: a.mp4.music.wav beside
a.mov.music.wav.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import DeliveryError, GVMError, MediaError, ModelError
from gvm_plugin import __version__, cuesheet_reader, delivery
from gvm_plugin.cache import FOLDER, Cache, content_key, read_json, write_json
from gvm_plugin.identity import FILE, read_channel, with_channel
from gvm_plugin.models import ModelInfo, find_model
from gvm_plugin.options import ScoreOptions
from gvm_plugin.outputs import DEFAULT_FOLDER, Outputs, distinct_names, outputs_named
from gvm_plugin.score import Progress, open_generator, score_into, tell_licence
from gvm_plugin.workers import in_processes, usual_count

if TYPE_CHECKING:
    from gvm_plugin.generators import MusicGenerator
    from gvm_plugin.report import VideoReport

log = logging.getLogger(__name__)

VIDEO_SUFFIXES: Final = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
    *(".mxf", ".ogv", ".qt", ".ts", ".webm", ".wmv"),
)
REPORT: Final = "report.html"
_NOT_SETTINGS: Final = ("overwrite", "device", "monetised")  # options that don't change the result
UNCHANGED: Final = "finished and unchanged"

FilmProgress = Callable[[Path, str, float], None]  # (film, stage, share done)


@dataclass(frozen=True)
class Film:
    """One film of the folder. name: its path below the folder, with forward slashes."""

    video: Path
    name: str
    outputs: Outputs


@dataclass(frozen=True, eq=False)
class FilmResult:
    """What became of one film: status ok, skipped (why: error) or failed (error, remedy)."""

    film: Film
    report: VideoReport

    @property
    def failed(self) -> bool:
        """Is there no result?"""
        return self.report.status == "failed"


@dataclass(frozen=True, eq=False)
class FolderScore:
    """What became of the folder. page: the report, for a browser."""

    results: tuple[FilmResult, ...]
    page: Path

    @property
    def failed(self) -> int:
        """How many films have no result."""
        return sum(result.failed for result in self.results)


def score_folder(
    folder: Path | str,
    out: Path | str | None = None,
    options: ScoreOptions | None = None,
    *,
    recursive: bool = False,
    jobs: int | None = 1,
    generator: MusicGenerator | None = None,
    progress: FilmProgress | None = None,
    done: Callable[[FilmResult], None] | None = None,
) -> FolderScore:
    """Score every film in `folder` into `out` (FOLDER/scored unless given); one film's error doesn't stop the rest.

    jobs: films worked on at once, each in its own process (`generator` then has to be None); None: as many as cores
    and memory allow. With processes, call this under `if __name__ == "__main__":`, for they import your module anew.
    done: called with each result as it comes.
    """
    options = options or ScoreOptions()
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs is {jobs}; it must be 1 or more")
    if jobs != 1 and generator is not None:
        raise ValueError("jobs is not 1: each process loads the model itself, by its name in options")
    place = out_folder(folder, out)
    films = list_films(Path(folder), place, recursive)
    check_writable(place)
    results: dict[Film, FilmResult] = {}
    for result in _each(films, place, options, jobs, generator, progress):
        results[result.film] = result
        if done is not None:
            done(result)
    ordered = tuple(results[film] for film in films)
    page = place / REPORT
    _write_page([result.report for result in ordered], page, Path(folder))
    return FolderScore(ordered, page)


def out_folder(folder: Path | str, out: Path | str | None) -> Path:
    """Where the results of `folder` go."""
    return Path(folder) / DEFAULT_FOLDER if out is None else Path(out)


def check_writable(out: Path) -> None:
    """Make the folder `out`; DeliveryError where nothing can be written to it."""
    probe = out / FOLDER / f"{os.getpid()}.partial"
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"gvm")
        probe.unlink()
    except OSError as err:
        raise DeliveryError(f"{out}: can't be written to ({err.strerror}); choose another folder with --out") from err


def list_films(folder: Path, out: Path, recursive: bool) -> list[Film]:
    """The films of `folder` with the places of their results; sub-folders are mirrored in `out`."""
    if folder.is_file():
        raise MediaError(f"{folder}: is a file; `gvm score` is for one film")
    if out.exists() and folder.exists() and out.samefile(folder):
        raise DeliveryError(f"{out}: is the folder of the films itself; choose another with --out")
    films: list[Film] = []
    for place, videos in collect_videos(folder, out, recursive):
        names = distinct_names(videos)
        target = out / place.relative_to(folder)
        films += [
            Film(video, video.relative_to(folder).as_posix(), outputs_named(target, video, name))
            for video, name in zip(videos, names, strict=True)
        ]
    if not films:
        deeper = "" if recursive else ", or look below it with --recursive"
        raise MediaError(f"{folder}: holds no video; name another folder{deeper}")
    return films


def collect_videos(folder: Path, out: Path, recursive: bool) -> Iterator[tuple[Path, list[Path]]]:
    """Yield (folder, its films in order), without hidden ones and without what we made ourselves."""

    def fail(err: OSError) -> None:  # a folder below doesn't stop the others
        problem = f"{err.filename}: can't be read ({err.strerror}); check the name and its rights"
        if Path(err.filename) == folder:
            raise MediaError(problem) from err
        log.warning("%s", problem)

    ours = os.path.realpath(out)
    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(
            name
            for name in folders
            if recursive
            and not name.startswith(".")
            and name != DEFAULT_FOLDER
            and os.path.realpath(os.path.join(place, name)) != ours
            and not os.path.isdir(os.path.join(place, name, FOLDER, "films"))  # results of another run
        )
        videos = [
            Path(place, name)
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES and _may_be_film(place, name)
        ]
        if videos:
            yield Path(place), videos


def _may_be_film(folder: str, name: str) -> bool:
    """A file, or a link to none, which is worth a complaint; no pipe or device, which would be read for ever."""
    path = Path(folder, name)
    return path.is_file() or not path.exists()


# --- one film ----------------------------------------------------------------------------------------------------


def record_path(out: Path, film: Film) -> Path:
    """Where the record of a film lies."""
    return out / FOLDER / "films" / f"{content_key(film.name.encode('utf-8', 'surrogateescape').hex())}.json"


def settings_key(options: ScoreOptions) -> str:
    """Stands for all that the options say about the result: of a channel and a sound font what is in them, too.

    CueSheetError where the channel can't be read.
    """
    fields = {name: str(value) for name, value in asdict(options).items() if name not in _NOT_SETTINGS}
    if options.identity is not None and (options.identity / FILE).is_file():
        fields["identity"] += f" {read_channel(options.identity).key}"
    if options.soundfont is not None and options.soundfont.is_file():
        stat = options.soundfont.stat()  # its bytes may be hundreds of megabytes
        fields["soundfont"] += f" {stat.st_size} {stat.st_mtime_ns}"
    return content_key(__version__, fields)


def weights_key(model: ModelInfo | MusicGenerator) -> str:
    """Stands for all files of a model: another codec under the same name makes other music of the same weights."""
    if isinstance(model, ModelInfo):
        return content_key(model.sha256, sorted(model.files)) if model.slow else model.sha256
    return model.weights_sha256


def sheet_key(path: Path) -> str:
    """Stands for what the cue sheet at `path` asks for, however it is written; "unreadable" if a person broke it."""
    try:
        return delivery.sheet_key(cuesheet_reader.read(path))
    except GVMError:
        return "unreadable"


def _is_as_written(path: Path) -> bool:
    """Whether the cue sheet at `path` is gvm's own and no person changed it."""
    try:
        return delivery.is_as_written(cuesheet_reader.read(path))
    except GVMError:
        return False


def last_result(record: Any) -> dict[str, Any] | None:
    """Of a film's record the part that tells of its last result; None where it never had one."""
    if not isinstance(record, dict):
        return None
    last = record if record.get("status") == "ok" else record.get("last")
    return last if isinstance(last, dict) else None


def reason_to_skip(film: Film, out: Path, options: ScoreOptions, weights_sha256: str) -> tuple[str, VideoReport] | None:
    """(why nothing has to be done, the report of last time), or None where there is work."""
    from gvm_plugin.report import VideoReport

    newest = read_json(record_path(out, film))
    record = last_result(newest)
    if options.overwrite or record is None:
        return None
    try:
        report = VideoReport.from_json(record["report"])
        sheet, files = film.outputs.folder / record["sheet"], record["files"]
        broken_off = newest is not record  # a later run, which may have put another sheet and music in their places
        if sheet.is_file() and sheet_key(sheet) != record["sheet_key"] and not (broken_off and _is_as_written(sheet)):
            return "its cue sheet was changed by hand; `gvm render` makes what it says, --overwrite drops it", report
        if broken_off:
            return None
        if record["settings"] != settings_key(options) or record["weights_sha256"] != weights_sha256:
            return None
        if record["sha256"] != Cache(film.outputs.folder).film_sha256(film.video):
            return None
        whole = all((film.outputs.folder / name).stat().st_size == size for name, size in files.items())
    except (KeyError, TypeError, ValueError, OSError):
        return None
    return (UNCHANGED, report) if whole else None


def _skipped(film: Film, out: Path, options: ScoreOptions, weights_sha256: str) -> FilmResult | None:
    """The result of a film for which nothing has to be done; None where there is work."""
    try:
        skip = reason_to_skip(film, out, options, weights_sha256)
    except GVMError:  # the work will say what is wrong
        return None
    if skip is None:
        return None
    why, last = skip
    return FilmResult(film, last if why == UNCHANGED else replace(last, status="skipped", error=why))


def _score_film(
    film: Film, generator: MusicGenerator, progress: Progress | None, *, out: Path, options: ScoreOptions, weights: str
) -> FilmResult:
    """What becomes of one film; all that goes wrong is in the result and in the film's record."""
    from gvm_plugin.report import VideoReport

    try:
        return FilmResult(film, _score_anew(film, generator, progress, out, options, weights))
    except Exception as err:  # noqa: BLE001  the one place where nothing may stop the others
        error, remedy = describe(err)
        if not isinstance(err, GVMError):
            log.debug("%s", traceback.format_exc())
        report = VideoReport(name=film.name, status="failed", error=error, remedy=remedy)
        last = last_result(read_json(record_path(out, film)))
        _keep_record(
            film, out, {"status": "failed", "error": error, "remedy": remedy, "trace": _trace(err), "last": last}
        )
        return FilmResult(film, report)


def _score_anew(
    film: Film, generator: MusicGenerator, progress: Progress | None, out: Path, options: ScoreOptions, weights: str
) -> VideoReport:
    """Score the film and keep its record."""
    before = read_json(record_path(out, film))
    last = last_result(before)
    killed = isinstance(before, dict) and before.get("status") == "working"
    # What lies there was made by us; but a sheet of which no record tells is somebody's, unless it says itself that it
    # isn't: the run may have been killed after it was written.
    sheet = film.outputs.sheet
    ours = last is not None or (killed and (not sheet.exists() or _is_as_written(sheet)))
    write_json(record_path(out, film), {"status": "working", "film": film.name, "last": last})
    with_channel(options)  # made if it is new, and so part of the key
    settings = settings_key(options)
    score = score_into(
        film.video,
        film.outputs,
        replace(options, overwrite=options.overwrite or ours),
        generator,
        progress,
    )
    below = film.outputs.folder.relative_to(out)
    files = {file.path: (film.outputs.folder / file.path).stat().st_size for file in score.report.outputs}
    report = replace(
        score.report,
        name=film.name,
        outputs=tuple(replace(file, path=(below / file.path).as_posix()) for file in score.report.outputs),
    )
    record = {
        "status": "ok",
        "film": film.name,
        "sha256": score.sheet.sha256,
        "settings": settings,
        "weights_sha256": weights,
        "files": files,
        "sheet": score.outputs.sheet.name,
        "sheet_key": sheet_key(score.outputs.sheet),
        "report": report.to_json(),
    }
    write_json(record_path(out, film), record)
    return report


def describe(err: BaseException) -> tuple[str, str]:
    """(what is wrong, what to do about it) of an error, each one line."""
    if isinstance(err, GVMError | ValueError):
        problem, _, remedy = " ".join(str(err).split()).rpartition("; ")
        return (problem, remedy) if problem else (remedy, "")
    if isinstance(err, OSError):
        return f"{err.filename or 'a file'}: {err.strerror or err}", "check rights and free space"
    if isinstance(err, MemoryError):
        return "not enough memory for this film", "close other programs, or use --jobs 1"
    return f"unexpected {type(err).__name__}: {err}", "please report it with the record in .gvm/films"


def _trace(err: BaseException) -> str:
    return "".join(traceback.format_exception(err)) if not isinstance(err, GVMError) else ""


def _keep_record(film: Film, out: Path, record: dict[str, Any]) -> None:
    """Keep the record if one can: where `out` is not writable the result alone must do."""
    try:
        write_json(record_path(out, film), {"film": film.name, **record})
    except DeliveryError as err:
        log.info("%s", err)


def _write_page(reports: Sequence[VideoReport], page: Path, folder: Path) -> None:
    from gvm_plugin.report import write_report

    if page.parent.is_dir():
        write_report(reports, page, folder.resolve().name)


# --- one after the other, or several at once ---------------------------------------------------------------------


def _each(
    films: Sequence[Film],
    out: Path,
    options: ScoreOptions,
    jobs: int | None,
    generator: MusicGenerator | None,
    progress: FilmProgress | None,
) -> Iterator[FilmResult]:
    """Yield the result of each film as it comes; where nothing has to be done, no model is loaded either."""
    model = generator or find_model(options.model)
    if isinstance(model, ModelInfo) and model.problem:
        raise ModelError(f"model {model.name}: {model.problem}")
    tell_licence(model, options.monetised)
    weights = weights_key(model)
    left = []
    for film in films:
        skipped = _skipped(film, out, options, weights)
        if skipped is None:
            left.append(film)
        else:
            yield skipped
    count = min(jobs or usual_count(len(left), model.slow), len(left))
    if count > 1:
        work = partial(_score_film, out=out, options=options, weights=weights)
        left.sort(key=_file_size, reverse=True)  # the longest first, so that no core waits long for the last one
        tell = None if progress is None else partial(_tell, progress)
        for film, result in in_processes(left, work, options, count, tell):
            yield result or _died(film)
    elif left:
        generator = generator or open_generator(options)
        for film in left:
            each = partial(progress, film.video) if progress is not None else None
            yield _score_film(film, generator, each, out=out, options=options, weights=weights)


def _tell(progress: FilmProgress, film: Film, stage: str, share: float) -> None:
    progress(film.video, stage, share)


def _died(film: Film) -> FilmResult:
    from gvm_plugin.report import VideoReport

    error, remedy = "the process that worked on it died", "see whether there is enough memory, then run again"
    return FilmResult(film, VideoReport(name=film.name, status="failed", error=error, remedy=remedy))


def _file_size(film: Film) -> int:
    try:
        return film.video.stat().st_size
    except OSError:
        return 0
