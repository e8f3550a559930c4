"""SPINE of `gvm evaluate listening-test`: films and the systems' music -> a folder with a blind test, and its key.

    match    each film's music from each system
    level    all excerpts to one loudness
    film     the picture once per film, small; under it each system's music alone
    page     index.html with everything in it but the samples; orders balanced over listeners

What is handed out says nothing of the systems: samples have drawn names, carry no tags, have the same date and lie in
the order of their names. The key is another file, beside the folder.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from core.errors import DeliveryError, FFmpegError, MediaError
from core.frames import shown_name
from gvm_plugin.evaluate.listening_orders import sample_orders, series_orders
from gvm_plugin.evaluate.listening_sound import (
    Excerpt,
    common_loudness,
    measure_excerpt,
    sound_seconds,
    write_excerpt,
    write_sound_check,
)
from gvm_plugin.evaluate.own import holds
from gvm_plugin.evaluate.systems import films_in, match
from gvm_plugin.ffmpeg import file_url, run_ffmpeg
from gvm_plugin.probe import MediaInfo, probe

FORMAT: Final = 1  # of the key
PAGE: Final = "index.html"
MEDIA: Final = "media"
CHECK: Final = "check.m4a"
SHORTEST_SECONDS: Final = 0.4  # loudness is defined from here on
_DATE: Final = 946_684_800  # of all files handed out: 1 January 2000, so that none is known by when it was made
_OF_OURS: Final = re.compile(r"s?[0-9a-f]{12}\.mp4|" + re.escape(CHECK))  # what lies in MEDIA
_OF_NOBODY: Final = (".DS_Store", "Thumbs.db")  # what looking into a folder leaves there
_SIDE: Final = 640  # pixels, the longer side of the picture at most
_PICTURE: Final = ("-c:v", "libx264", "-preset", "medium", "-crf", "25", "-pix_fmt", "yuv420p")
_SOUND: Final = ("-c:a", "aac", "-aac_coder", "fast", "-b:a", "192k")

Progress = Callable[[float], None]


@dataclass(frozen=True)
class ListeningOptions:
    """seconds: of each sample; start: where in the film it begins. series: pieces by which richness is judged.

    listeners: for so many the orders differ; later ones get those of the first again. title: heads the page.
    """

    seconds: float = 15.0
    start: float = 0.0
    series: int = 10
    listeners: int = 60
    title: str = "Listening test"

    def __post_init__(self) -> None:
        if not self.seconds >= SHORTEST_SECONDS:
            raise ValueError(f"seconds is {self.seconds:g}; a sample has at least {SHORTEST_SECONDS:g} s")
        if not self.start >= 0:
            raise ValueError(f"start is {self.start:g}; it can't be before the film")
        if self.series < 0 or self.listeners < 1:
            raise ValueError(f"series is {self.series} and listeners {self.listeners}; at least 0 and 1")


@dataclass(frozen=True)
class ListeningTest:
    """What was written. lufs: of every sample; notes: one-line sentences for the person who made the test."""

    folder: Path
    page: Path
    key: Path
    films: int
    samples: int
    minutes: float
    lufs: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Sample:
    id: str
    film: int
    system: int
    excerpt: Excerpt


def build_listening_test(
    videos: Path,
    systems: Mapping[str, Path],
    out: Path,
    options: ListeningOptions | None = None,
    *,
    key: Path | None = None,
    patterns: Mapping[str, str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    seed: int | None = None,
) -> ListeningTest:
    """Write a test of all films in `videos` that every one of `systems` (name -> folder of music) has music for.

    out: folder to hand out; key: file that says which sample is whose, kept back (None: beside `out`). patterns: how
    a system calls its files, see `systems.match`. seed: draws names and orders again as before; who knows it and the
    systems' names can undo the blinding (None: drawn). MediaError where there is nothing to compare.
    """
    options = options or ListeningOptions()
    if len(systems) < 2:
        raise ValueError("a listening test compares; name two systems at least, with --system NAME=FOLDER each")
    place = out.resolve()  # a folder may be called . or ..; what becomes of it needs its name
    key = key or (place if out.name in ("", "..") else out).with_name(f"{place.name}.key.json")
    _check_places(out, key, overwrite)
    material, notes = _matched(videos, systems, patterns or {})
    draw = random.Random(secrets.randbits(128) if seed is None else seed)
    samples, more = _samples(material, systems, options, draw)
    lufs = common_loudness([sample.excerpt for sample in samples])
    test = _drawn_name(draw, 40)
    data = _page_data(test, len(material), len(systems), samples, options, draw.getrandbits(64))
    said = _key_text(test, list(material), list(systems), samples, data, lufs)
    with _partial_folder(place) as partial, _partial_key(key, said) as partial_key:
        _write_samples([probe(film) for film in material], samples, lufs, partial / MEDIA, progress)
        (partial / PAGE).write_text(_render(data, options.title), encoding="utf-8")
        _same_dates(partial)
        _put_in_place(partial, place, partial_key, key)
    again = [index for each in data["series"] for index in each["samples"]]
    heard = sum(sample.excerpt.seconds for sample in [*samples, *(samples[index] for index in again)])
    return ListeningTest(out, out / PAGE, key, len(material), len(samples), heard / 60, lufs, (*notes, *more))


def _check_places(out: Path, key: Path, overwrite: bool) -> None:
    if key.resolve().is_relative_to(out.resolve()):
        raise ValueError(f"the key {key} lies in the folder that is handed out; choose another place with --key")
    if out.exists() and not out.is_dir():
        raise DeliveryError(f"{out}: is a file; choose another folder with --out")
    if out.is_dir() and any(out.iterdir()):
        if not overwrite:
            raise DeliveryError(f"{out}: isn't empty; choose another folder with --out, or --overwrite")
        if strange := _strange(out):
            more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
            raise DeliveryError(
                f"{out}: holds something other than a listening test ({strange[0]}{more}); move that away, or choose "
                "another folder with --out"
            )
    if not key.parent.is_dir() and key.parent.absolute() != out.absolute().parent:
        raise DeliveryError(f"{key.parent}: there is no such folder; make it first, or choose another with --key")
    if key.exists():
        if not overwrite:
            raise DeliveryError(f"{key}: is there already; choose another with --key, or --overwrite")
        if not holds(key, '"gvm_listening_test"'):
            raise DeliveryError(
                f"{key}: is something other than the key of a listening test; choose another with --key"
            )


def _strange(out: Path) -> list[str]:
    """Names of what is in the folder `out` and isn't of a listening test: that is never replaced."""
    inside = sorted((out / MEDIA).iterdir()) if (out / MEDIA).is_dir() else []
    strange = [path for path in sorted(out.iterdir()) if path.name not in (PAGE, MEDIA)]
    strange += [path for path in inside if not (_OF_OURS.fullmatch(path.name) and path.is_file())]
    if (out / PAGE).exists() and not holds(out / PAGE, '"seriesOrders"'):
        strange.append(out / PAGE)
    if (out / MEDIA).is_file():
        strange.append(out / MEDIA)
    return [path.relative_to(out).as_posix() for path in strange if path.name not in _OF_NOBODY]


def _drawn_name(draw: random.Random, bits: int) -> str:
    """A name of hexadecimal digits behind an s: a spreadsheet would take 12e345 and all digits for numbers."""
    return f"s{draw.getrandbits(bits):0{bits // 4}x}"


def _matched(
    videos: Path, systems: Mapping[str, Path], patterns: Mapping[str, str]
) -> tuple[dict[Path, list[Path]], list[str]]:
    """(film -> the music of each system, notes) of the films that all systems have music for."""
    films = films_in(videos)
    found = {name: match(films, folder, patterns.get(name)).files for name, folder in systems.items()}
    whole = {
        film: [files[film] for files in found.values()] for film in films if all(film in f for f in found.values())
    }
    if not whole:
        raise MediaError(
            f"{videos}: no film has music from every system ({', '.join(f'{n}: {len(f)}' for n, f in found.items())} "
            f"of {len(films)}); check the files' names, or leave a system out"
        )
    notes = [
        f"{shown_name(film)}: left out, without music from {', '.join(n for n, f in found.items() if film not in f)}"
        for film in films
        if film not in whole
    ]
    return whole, notes


def _samples(
    material: Mapping[Path, Sequence[Path]], systems: Mapping[str, Path], options: ListeningOptions, draw: random.Random
) -> tuple[list[_Sample], list[str]]:
    """All samples in the order of their drawn names, and what is to be said of them."""
    samples: list[_Sample] = []
    notes: list[str] = []
    for number, (film, music) in enumerate(material.items()):
        lengths = {"its picture": probe(film).picture_duration}
        most = options.start + options.seconds
        lengths |= {
            f"the music of {name}": sound_seconds(path, most) for name, path in zip(systems, music, strict=True)
        }
        shortest = min(lengths, key=lambda what: lengths[what])
        seconds = min(options.seconds, round(lengths[shortest] - options.start, 3))
        if seconds < min(options.seconds, max(SHORTEST_SECONDS, options.seconds / 3)):
            raise MediaError(
                f"{shown_name(film)}: {shortest} ends at {lengths[shortest]:.1f} s, too early for "
                f"{options.seconds:g} s from {options.start:g} s on; choose --start and --seconds to suit, or take "
                "the film out"
            )
        if seconds < options.seconds - 0.1:
            notes.append(f"{shown_name(film)}: {shortest} is short, so all its samples have {seconds:.1f} s")
        for system, path in enumerate(music):
            samples.append(
                _Sample(_drawn_name(draw, 48), number, system, measure_excerpt(path, options.start, seconds))
            )
    return sorted(samples, key=lambda sample: sample.id), notes


def _write_samples(
    films: Sequence[MediaInfo], samples: Sequence[_Sample], lufs: float, folder: Path, progress: Progress | None
) -> None:
    """Write MEDIA/ID.mp4 for each sample, and the sound check."""
    folder.mkdir()
    done = 0
    with tempfile.TemporaryDirectory(prefix="gvm-listening-") as name:
        work = Path(name)
        for number, film in enumerate(films):
            mine = [sample for sample in samples if sample.film == number]
            _write_picture(film, mine[0].excerpt, work / "picture.mp4")
            for sample in mine:
                write_excerpt(sample.excerpt, lufs, work / "sound.wav")
                _join(work / "picture.mp4", work / "sound.wav", folder / f"{sample.id}.mp4")
                done += 1
                if progress is not None:
                    progress(done / len(samples))
        write_sound_check(lufs, work / "check.wav")
        run_ffmpeg(["-i", file_url(work / "check.wav"), *_SOUND, *_ANONYMOUS, file_url(folder / CHECK)])


_ANONYMOUS: Final = ("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact",
                     "-flags:a", "+bitexact", "-movflags", "+faststart")  # fmt: skip


def _write_picture(film: MediaInfo, excerpt: Excerpt, path: Path) -> None:
    """The excerpt's picture, silent and small, from the first frame on; the last frame stands if it is short."""
    size = f"scale=w='min({_SIDE},iw)':h='min({_SIDE},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2"
    square = "scale='trunc(iw*sar/2)*2':ih,setsar=1"
    filters = f"{square},{size},fps=fps='min(30,source_fps)',tpad=stop=-1:stop_mode=clone,setpts=PTS-STARTPTS"
    seek = ["-ss", f"{excerpt.start:.6f}"] if excerpt.start else []
    run_ffmpeg([
        *seek, "-i", file_url(film.path), "-map", f"0:{film.video_index}", "-t", f"{excerpt.seconds:.6f}",
        "-vf", filters, "-an", *_PICTURE, *_ANONYMOUS, file_url(path),
    ])  # fmt: skip


def _join(picture: Path, sound: Path, path: Path) -> None:
    run_ffmpeg([
        "-i", file_url(picture), "-i", file_url(sound), "-map", "0:v", "-map", "1:a", "-c:v", "copy", *_SOUND,
        *_ANONYMOUS, file_url(path),
    ])  # fmt: skip


def _page_data(
    test: str, films: int, systems: int, samples: Sequence[_Sample], options: ListeningOptions, seed: int
) -> dict[str, Any]:
    """What the page knows: samples by drawn names, series, and the orders as places in those lists."""
    place = {(sample.film, sample.system): index for index, sample in enumerate(samples)}
    draw = random.Random(seed)
    pieces = sorted(draw.sample(range(films), min(films, options.series)))
    shuffled = draw.sample(range(systems), systems)  # the place of a series in the list says nothing either
    series = [
        {"id": _drawn_name(draw, 48), "samples": [place[film, system] for film in pieces]}
        for system in (shuffled if pieces else [])
    ]
    return {
        "test": test,
        "samples": [{"id": sample.id, "seconds": round(sample.excerpt.seconds, 3)} for sample in samples],
        "orders": [
            [place[film, shuffled[system]] for film, system in order]
            for order in sample_orders(films, systems, options.listeners, seed)
        ],
        "series": series,
        "seriesOrders": series_orders(systems, options.listeners, seed) if series else [],
    }


def _render(data: Mapping[str, Any], title: str) -> str:
    from jinja2 import Environment, StrictUndefined

    folder = files("gvm_plugin").joinpath("evaluate")
    parts = {name: folder.joinpath(f"listening_page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    template = folder.joinpath("listening_page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(data=data, title=title, **parts)


def _key_text(
    test: str, films: Sequence[Path], systems: Sequence[str], samples: Sequence[_Sample], data: Mapping[str, Any],
    lufs: float,
) -> str:  # fmt: skip
    """The key: which sample and which series is whose."""
    whose = {sample.id: {"film": films[sample.film].stem, "system": systems[sample.system]} for sample in samples}
    series = {
        each["id"]: {
            "system": whose[samples[each["samples"][0]].id]["system"],
            "films": [whose[samples[index].id]["film"] for index in each["samples"]],
        }
        for each in data["series"]
    }
    return json.dumps(
        {"gvm_listening_test": FORMAT, "test": test, "systems": list(systems), "lufs": round(lufs, 2),
         "samples": whose, "series": series},
        indent=1, ensure_ascii=False,
    ) + "\n"  # fmt: skip


def _same_dates(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (_DATE, _DATE))


@contextmanager
def _partial_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` to fill; it is gone afterwards, with what is left in it."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
    except FFmpegError as err:
        if not err.disk_reason:
            raise
        raise DeliveryError(f"{out}: can't be written ({err.disk_reason}); make room and run again") from err
    except OSError as err:
        raise DeliveryError(f"{out}: can't be written ({err.strerror or err}); check folder and disk space") from err
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _partial_key(key: Path, text: str) -> Iterator[Path]:
    """A file with `text` beside `key`, written before the long work: where that can't be, it is known at once."""
    partial = key.with_name(f"{key.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
    except OSError as err:
        partial.unlink(missing_ok=True)
        raise DeliveryError(f"{key}: can't be written ({err.strerror}); choose another place with --key") from err
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _put_in_place(partial: Path, out: Path, partial_key: Path, key: Path) -> None:
    """Move page, samples and key to their places, instead of those of an old test; where one can't, all stay as before.

    The folder itself remains, so that who stands in it still does.
    """
    aside = partial / "replaced"
    aside.mkdir()
    is_new = not out.exists()
    moved: list[tuple[Path, Path]] = []
    try:
        out.mkdir(exist_ok=True)
        for name in (MEDIA, PAGE):
            for source, target in ((out / name, aside / name), (partial / name, out / name)):
                if source.exists():
                    os.replace(source, target)
                    moved.append((source, target))
        os.replace(partial_key, key)
    except BaseException:
        for source, target in reversed(moved):
            os.replace(target, source)
        if is_new:
            out.rmdir()
        raise
