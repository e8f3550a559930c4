"""Films -> a data set: SPINE of `gvm dataset build` and `import`.

    read_all     folders and readers -> sources, labelled
    build        each film watched, cut and recorded, several at once; then `finish`
    finish       copies found, sides given, manifest, list of what was dropped, page: all from the records

So a run that was killed goes on, films can be added later, and the same films give the same folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from core.errors import DatasetError, DeliveryError, GVMError
from core.training.manifest import ABOUT, MANIFEST, CodecInfo, Pair, write_dataset, write_whole
from gvm_plugin import __version__
from gvm_plugin.cache import FOLDER, Cache
from gvm_plugin.dataset import fingerprints
from gvm_plugin.dataset.film import Job, make_film
from gvm_plugin.dataset.labels import Label, label_of
from gvm_plugin.dataset.options import BuildOptions, Problem, Source
from gvm_plugin.dataset.readers import read_sources
from gvm_plugin.dataset.readers.common import Found
from gvm_plugin.dataset.record import (
    Record,
    film_key,
    is_whole,
    label_rows,
    read_record,
    read_records,
    read_sides,
    settings_key,
    write_record,
    write_sides,
)
from gvm_plugin.dataset.split import Film, assign_sides, group_films
from gvm_plugin.folder import check_writable
from gvm_plugin.options import ScoreOptions
from gvm_plugin.workers import in_processes, usual_count

DROPPED: Final = "dropped.jsonl"
PAGE: Final = "summary.html"
# Bytes a second, measured on 720p films at the defaults (side 336, crf 26) and rounded up.
CLIP_RATE: Final = 100_000
MUSIC_RATE: Final = 130_000
DESCRIPTOR_RATE: Final = 4_400
SPARE: Final = 200_000_000  # bytes left free

FilmProgress = Callable[[Source, str, float], None]


@dataclass(frozen=True)
class Result:
    """What a run did. pairs: of the whole data set; made, kept: films done now and before; problems: films without
    pairs."""

    pairs: tuple[Pair, ...]
    made: int
    kept: int
    problems: tuple[Problem, ...]
    page: Path


def read_all(kind: str, places: Sequence[Path], labels: dict[str, Label]) -> Found:
    """The films that the reader `kind` finds in all `places`, labelled, names made different."""
    sources: list[Source] = []
    problems: list[Problem] = []
    for place in places:
        if not place.exists():
            raise DatasetError(f"{place}: there is no such file or folder; check the name")
        found = read_sources(kind, place)
        several = len(places) > 1 and place.is_dir()
        sources += [replace(s, name=f"{place.name}/{s.name}") if several else s for s in found.sources]
        problems += found.problems
    labelled = [_labelled(source, label_of(labels, source.name)) for source in sources]
    return Found(tuple(_distinct(labelled)), tuple(problems))


def _labelled(source: Source, label: Label | None) -> Source:
    if label is None:
        return source
    return replace(source, type=label.type or source.type, labels={**source.labels, **label.labels})


def _distinct(sources: Iterable[Source]) -> Iterator[Source]:
    """The sources, each by its own name: two films of one name get numbers, the same file twice comes once."""
    names: dict[str, int] = {}
    seen: set[tuple[Path, Path | None]] = set()
    for source in sources:
        files = (source.picture.absolute(), source.sound)
        if files in seen:
            continue
        seen.add(files)
        names[source.name] = names.get(source.name, 0) + 1
        again = names[source.name]
        yield replace(source, name=f"{source.name} ({again})") if again > 1 else source


def build(
    found: Found,
    out: Path,
    options: BuildOptions,
    jobs: int | None = 1,
    progress: FilmProgress | None = None,
    done: Callable[[Source, Record | None], None] | None = None,
) -> Result:
    """Make the data set `out` of the films found, or go on with it; one film's error stops no other.

    done: called with each film and what became of it (None: nothing was to do). DatasetError, DeliveryError.
    """
    if out.is_file():
        raise DeliveryError(f"{out}: is a file; name a folder with --out")
    _check_place(out, found)
    check_writable(out)
    codec = None if options.codec is None else _codec(options.codec)
    settings = settings_key(options, codec)
    work, problems = _plan(found, out, settings)
    _refuse_mixture(out, settings, {job.key for job in work})
    kept, left = 0, []
    for job in work:
        before = read_record(out, job.key)
        if before is not None and is_whole(out, before, settings):
            kept += 1
            write_record(out, replace(before, source=job.source.name, pairs=label_rows(before, job.source, options)))
            if done is not None:
                done(job.source, None)
        else:
            left.append(job)
    made = [record for record in _each(left, out, options, codec, jobs, progress, done) if record.status == "ok"]
    keys = {job.key: job.source for job in work}
    failed = [record for record in read_records(out) if record.key in keys and record.status == "failed"]
    problems += [Problem(record.source, record.why) for record in failed]
    problems = sorted({(p.source, p.why): p for p in problems}.values(), key=lambda p: (p.source, p.why))
    return finish(out, options, codec, problems, len(made), kept)


def _check_place(out: Path, found: Found) -> None:
    """DeliveryError where the data set would lie among its films, or replace files that no build wrote."""
    place = out.resolve()
    if any(file.resolve().parent == place for s in found.sources for file in (s.picture, s.sound) if file is not None):
        raise DeliveryError(f"{out}: is the folder of the films itself; name another with --out")
    if (out / FOLDER / "sides.json").exists() or any(read_records(out)):
        return  # a data set that is gone on with
    if there := [name for name in (MANIFEST, ABOUT, DROPPED, PAGE) if (out / name).exists()]:
        raise DeliveryError(
            f"{out}: holds {there[0]}, which no build in this folder wrote and which would be replaced; name another "
            "folder with --out"
        )


def finish(
    out: Path, options: BuildOptions, codec: CodecInfo | None, problems: list[Problem], made: int, kept: int
) -> Result:
    """Write manifest, list of what was dropped, and page, from the records in `out`."""
    from gvm_plugin.dataset.page import write_page

    records = [record for record in read_records(out) if record.status == "ok"]
    same = _same_films(records)
    groups = group_films([record.key for record in records], same)
    films = [Film(r.key, r.sha256, r.seconds, r.split) for r in records if r.pairs]
    known = read_sides(out)
    sides = assign_sides(films, groups, known, options.test_share)
    torn = [r for r in records if r.pairs and sides[r.key] is None]
    why = "is a copy of a film in train and of one in test; it stays out, so that neither moves"
    problems = problems + [Problem(r.source, why) for r in torn]
    # What was one film through the torn ones alone is several again: the sides of those are decided.
    out_of_it = {record.key for record in torn}
    kept_keys = [record.key for record in records if record.key not in out_of_it]
    groups = group_films(kept_keys, [link for link in same if not out_of_it & {*link}])
    pairs = tuple(
        Pair(**{**row, "split": side, "group": groups[record.key]})
        for record in sorted(records, key=lambda record: (record.source, record.key))
        if (side := sides.get(record.key)) is not None
        for row in record.pairs
    )
    write_sides(out, {**known, **{key: side for key, side in sides.items() if side is not None}})
    write_whole(out / DROPPED, _dropped_lines(records, problems))
    dropped = _dropped_seconds(records)
    write_dataset(
        out, pairs, codec, f"gvm {__version__}",
        options={name: str(value) for name, value in asdict(options).items() if name != "codec"},
        dropped_seconds=dropped,
        problems=len(problems),
    )  # fmt: skip
    write_page(out, pairs, records, problems, dropped)
    return Result(pairs, made, kept, tuple(problems), out / PAGE)


@dataclass(frozen=True)
class Outlook:
    """What a build will take at most. free: bytes where it goes."""

    films: int
    seconds: float
    pairs: int
    bytes: int
    free: int
    problems: tuple[Problem, ...]


def forecast(found: Found, out: Path, options: BuildOptions) -> Outlook:
    """The most that a build of these films can become, from their headers alone."""
    from gvm_plugin.preflight import free_bytes
    from gvm_plugin.probe import probe

    seconds, pairs, problems = 0.0, 0, list(found.problems)
    for source in found.sources:
        try:
            length = options.seconds if source.picture.suffix == ".pt" else probe(source.picture).picture_duration
        except GVMError as err:
            problems.append(Problem(source.name, str(err)))
            continue
        seconds += length
        pairs += int(length // options.seconds) + (length % options.seconds >= options.least)
    rate = (CLIP_RATE * (options.side / 336) ** 2 if options.clips else 0) + MUSIC_RATE * options.music
    rate += DESCRIPTOR_RATE * len(options.features) + 400 * (options.codec is not None)
    size = round(pairs * options.seconds * rate)
    return Outlook(len(found.sources), seconds, pairs, size, free_bytes(out), tuple(problems))


def _codec(folder: Path) -> CodecInfo:
    from gvm_plugin.dataset.codes import codec_info

    return codec_info(folder)


def _plan(found: Found, out: Path, settings: str) -> tuple[list[Job], list[Problem]]:
    """What there is to do: films by their content, the same content once."""
    cache, problems = Cache(out), list(found.problems)
    work: dict[str, Job] = {}
    for source in found.sources:
        try:
            sha256 = cache.film_sha256(source.picture)
            key = film_key(sha256, cache.film_sha256(source.sound) if source.sound is not None else "")
        except GVMError as err:
            problems.append(Problem(source.name, " ".join(str(err).split())))
            continue
        if key in work:
            problems.append(Problem(source.name, f"is the same file as {work[key].source.name}; one of them is enough"))
        else:
            work[key] = Job(key, source, sha256, settings)
    return list(work.values()), problems


def _refuse_mixture(out: Path, settings: str, keys: set[str]) -> None:
    """DatasetError where `out` holds films cut otherwise that this run doesn't cut anew."""
    others = [r for r in read_records(out) if r.status == "ok" and r.settings != settings and r.key not in keys]
    if others:
        raise DatasetError(
            f"{out}: holds {len(others)} films cut with other settings, such as {others[0].source}; "
            "name those films too, or another folder with --out"
        )


def _each(
    left: Sequence[Job],
    out: Path,
    options: BuildOptions,
    codec: CodecInfo | None,
    jobs: int | None,
    progress: FilmProgress | None,
    done: Callable[[Source, Record | None], None] | None,
) -> Iterator[Record]:
    """The record of each film as it comes."""
    work = partial(_make_room, out=out, options=options, codec=codec)
    count = min(jobs or usual_count(len(left)), len(left))
    # the longest first, so that no core waits long for the last one
    ordered = sorted(left, key=lambda job: job.source.picture.stat().st_size, reverse=True)
    if count > 1:
        told = None if progress is None else partial(_tell, progress)
        # the generator that these processes keep isn't used here; the small one costs nothing
        results = in_processes(ordered, work, ScoreOptions(model="tone"), count, told)
    else:
        results = _in_turn(ordered, work, progress)
    for job, record in results:
        if record is None:
            why = f"{job.source.name}: the process that worked on it died; see whether there is enough memory"
            record = Record(job.key, "failed", job.source.name, job.sha256, job.settings, why)
            write_record(out, record)
        if record.pairs:
            record = replace(record, pairs=label_rows(record, job.source, options))
            write_record(out, record)
        if done is not None:
            done(job.source, record)
        yield record


def _in_turn(
    jobs: Sequence[Job], work: Callable[..., Record], progress: FilmProgress | None
) -> Iterator[tuple[Job, Record | None]]:
    for job in jobs:
        yield job, work(job, None, None if progress is None else partial(progress, job.source))


def _tell(progress: FilmProgress, job: Job, stage: str, share: float) -> None:
    progress(job.source, stage, share)


def _make_room(
    job: Job,
    generator: object,
    progress: Callable[[str, float], None] | None,
    *,
    out: Path,
    options: BuildOptions,
    codec: CodecInfo | None,
) -> Record:
    """Make a film, if the disk has room for what it may become."""
    needed = forecast(Found((job.source,)), out, options).bytes
    free = shutil.disk_usage(out).free
    if free < needed + SPARE:
        raise DeliveryError(
            f"{out}: {free / 1e9:.1f} GB are free, {job.source.name} may take {needed / 1e9:.1f} GB and "
            f"{SPARE / 1e9:.1f} GB stay free; make room, then run it again: it goes on where it was"
        )
    return make_film(job, generator, progress, out=out, options=options, codec=codec)


def _same_films(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Pairs of keys of records that are one film: by their bytes, by a reader's group, or by what they show."""
    same: list[tuple[str, str]] = []
    first: dict[str, str] = {}
    for record in records:
        for name in (f"bytes {record.sha256}", f"group {record.group}" if record.group else ""):
            if name and first.setdefault(name, record.key) != record.key:
                same.append((first[name], record.key))
    hashed = [(r.key, fingerprints.unpack(r.seen["hashes"])) for r in records if r.seen is not None and r.pairs]
    for number, (key, hashes) in enumerate(hashed):
        same += [(key, other) for other, others in hashed[number + 1 :] if fingerprints.same_film(hashes, others)]
    return same


def _dropped_lines(records: Sequence[Record], problems: Sequence[Problem]) -> bytes:
    rows = [{"source": problem.source, "why": problem.why} for problem in problems]
    for record in sorted(records, key=lambda record: (record.source, record.key)):
        rows += [
            {"source": record.source, "start": round(start, 3), "end": round(end, 3), "why": why}  # type: ignore[dict-item]
            for start, end, why in record.dropped
        ]
    return "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows).encode()


def _dropped_seconds(records: Sequence[Record]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for record in records:
        for start, end, why in record.dropped:
            seconds[why] = seconds.get(why, 0.0) + end - start
    return {why: round(value, 1) for why, value in sorted(seconds.items())}
