"""One film into pairs: watched, planned, cut, recorded. What goes wrong with it is in its record, and stops no other.

The SPINE of a film is `_make`. A run that was killed left a record that says "working" with what was found; the next
run goes on with the pairs that aren't there yet.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import DeliveryError, GVMError, MediaError
from core.training.manifest import CodecInfo, Pair, write_codes, write_features, write_whole
from core.vision.picture import PictureFeatures
from gvm_plugin.dataset import clips, record, spans
from gvm_plugin.dataset.clips import Cut
from gvm_plugin.dataset.options import BuildOptions, Source
from gvm_plugin.dataset.record import Record
from gvm_plugin.timeline import Span

if TYPE_CHECKING:
    from gvm_plugin.dataset.watching import Seen
    from gvm_plugin.probe import MediaInfo

WATCHING_SHARE: Final = 0.5  # of the time of a film
SILENT_PEAK: Final = 10 ** (-60 / 20)  # below this a pair has no sound at all
MISMATCH_SECONDS: Final = 2.0  # by which a picture and its sound file may differ in length, or by
MISMATCH_SHARE: Final = 0.03  # of the picture's
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
STAGES: Final = ("watch", "cut")

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Job:
    """One film to do. sha256: of its picture's file; settings: see `record.settings_key`."""

    key: str
    source: Source
    sha256: str
    settings: str


def make_film(
    job: Job,
    _generator: object,
    progress: Progress | None,
    *,
    out: Path,
    options: BuildOptions,
    codec: CodecInfo | None,
) -> Record:
    """What becomes of a film. DeliveryError where `out` can't be written: then no other film could be, either."""
    began = time.monotonic()
    failed = Record(job.key, "failed", job.source.name, job.sha256, job.settings)
    try:
        done = _make(job, out, options, codec, progress)
    except DeliveryError:
        raise
    except GVMError as err:
        done = replace(failed, why=" ".join(str(err).split()))
    except OSError as err:
        if err.errno in FULL or str(out) in str(err.filename):
            raise _cant_write(out, err) from err
        done = replace(failed, why=f"{job.source.name}: {err.strerror or err}; check rights and the disk")
    except MemoryError:
        done = replace(failed, why=f"{job.source.name}: not enough memory for this film; use --jobs 1")
    except Exception as err:  # noqa: BLE001  a film out of thousands must not end the run
        done = replace(failed, why=f"{job.source.name}: unexpected {type(err).__name__}: {err}; please report it")
    done = replace(done, took=round(time.monotonic() - began, 2))
    record.write_record(out, done)
    return done


def _make(job: Job, out: Path, options: BuildOptions, codec: CodecInfo | None, progress: Progress | None) -> Record:
    """Watch the film, plan its pieces, cut each."""
    source = job.source
    if source.picture.suffix.lower() == ".pt":
        return _make_published(job, out, options, codec)
    from gvm_plugin.dataset.watching import watch_film

    told = None if progress is None else partial(progress, "watch")
    _check_sound(source)
    _check_lengths(source)
    seen = watch_film(source.picture, source.sound, told)
    if seen.thumbnail:
        write_whole(record.thumbnail_path(out, job.key), seen.thumbnail)
    checks = [name for name in options.checks if name not in source.trusted]
    duration = seen.duration if source.sound is None else min(seen.duration, _sound_seconds(source.sound))
    plan = spans.plan_pieces(duration, seen.music, seen.speech, seen.text, options, checks)
    base = Record(
        job.key, "working", source.name, job.sha256, job.settings,
        split=source.split, group=source.group, seen=seen.to_json(),
        dropped=tuple((each.span.start, each.span.end, each.why) for each in plan.dropped),
    )  # fmt: skip
    going_on = _begin(out, base)
    sound = clips.sound_of(source.picture, source.sound, seen.picture_start)
    rows, silent = [], []
    for number, piece in enumerate(plan.pieces):
        row = _cut_pair(job, piece, seen, sound, out, options, codec, going_on)
        if row is None:
            silent.append((piece.start, piece.end, "silent"))
        else:
            rows.append(row)
        if progress is not None:
            progress("cut", (number + 1) / len(plan.pieces))
    return replace(base, status="ok", pairs=tuple(rows), dropped=tuple(sorted((*base.dropped, *silent))))


def _begin(out: Path, base: Record) -> bool:
    """Note that work on a film begins; was it begun with the same settings before?

    If it wasn't, files of before are deleted first: they may be cut otherwise, and a run that is stopped would leave
    them beside new ones under the same names.
    """
    before = record.read_record(out, base.key)
    if before is not None and before.status == "working" and before.settings == base.settings:
        record.write_record(out, base)
        return True
    record.discard_files(out, base.key)
    record.write_record(out, base)
    return False


def _cut_pair(
    job: Job,
    piece: Span,
    seen: Seen,
    sound: MediaInfo,
    out: Path,
    options: BuildOptions,
    codec: CodecInfo | None,
    going_on: bool,
) -> dict[str, Any] | None:
    """Write the files of one pair; its row of the manifest, its split still open. None where it is silent."""
    name = f"{job.key}-{round(piece.start * 1000):08d}"
    clip = f"clips/{name}.mp4" if options.clips else None
    wanted = out / clip if clip else None
    there = going_on and wanted is not None and wanted.is_file()  # files get their names when they are whole
    cut = clips.cut_pictures(
        job.source.picture, piece, seen.picture_start, None if there else wanted, options.side, options.crf
    )
    wave = clips.read_cut(sound, cut)
    if float(abs(wave).max(initial=0.0)) < SILENT_PEAK:
        if wanted is not None:
            wanted.unlink(missing_ok=True)
        return None
    music = f"music/{name}.flac" if options.music else None
    if music is not None and not (going_on and (out / music).is_file()):
        clips.write_music(wave, out / music)
    codes = _write_codes(name, sound, cut, out, options, codec, going_on)
    start, end = float(cut.start), float(cut.start + cut.seconds)
    features = {each: f"features/{each}/{name}.npz" for each in options.features}
    for path in features.values():
        _write_descriptors(seen.features, start, end, out / path)
    span = Span(start, end)
    shares = {which: round(spans.share(span, getattr(seen, which)), 4) for which in ("music", "speech", "text")}
    pair = Pair(
        id=name, split="", source=job.source.name, source_sha256=job.sha256, start=round(start, 6), end=round(end, 6),
        clip=clip, music=music, codes=codes, features=features, measures=shares,
    )  # fmt: skip
    return _row(pair)


def _write_codes(
    name: str,
    sound: MediaInfo,
    cut: Cut,
    out: Path,
    options: BuildOptions,
    codec: CodecInfo | None,
    going_on: bool = False,
) -> str | None:
    if codec is None or options.codec is None:
        return None
    from gvm_plugin.dataset.codes import encode

    path = f"codes/{name}.npz"
    if not (going_on and (out / path).is_file()):
        write_codes(out / path, encode(options.codec, sound, cut), codec)
    return path


def _write_descriptors(features: PictureFeatures, start: float, end: float, path: Path) -> None:
    part = features.between(start, end)
    write_features(path, part.values, part.times - start)


def _make_published(job: Job, out: Path, options: BuildOptions, codec: CodecInfo | None) -> Record:
    """A frame tensor of the published layout and its wav: made a clip of one picture a second, as it was."""
    from gvm_plugin.dataset.tensors import read_pictures, write_clip

    source = job.source
    assert source.sound is not None, "a tensor has no sound"
    pictures = read_pictures(source.picture)
    seconds = min(float(len(pictures)), _sound_seconds(source.sound), options.seconds)
    if seconds < options.least:
        raise MediaError(f"{source.name}: lasts {seconds:.1f} s; a pair takes {options.least:g}")
    name = f"{job.key}-{0:08d}"
    cut = Cut(Fraction(0), Fraction(seconds).limit_denominator(1000), len(pictures))
    base = Record(
        job.key, "working", source.name, job.sha256, job.settings, split=source.split, group=source.group
    )  # fmt: skip
    _begin(out, base)
    write_clip(pictures[: -int(-seconds // 1)], cut.seconds, out / f"clips/{name}.mp4", options.side, options.crf)
    sound = clips.sound_of(source.picture, source.sound, 0.0)
    music = f"music/{name}.flac" if options.music else None
    if music is not None:
        clips.write_music(clips.read_cut(sound, cut), out / music)
    codes = _write_codes(name, sound, cut, out, options, codec)
    pair = Pair(
        id=name, split="", source=source.name, source_sha256=job.sha256, start=0.0, end=float(cut.seconds),
        clip=f"clips/{name}.mp4", music=music, codes=codes,
    )  # fmt: skip
    return replace(base, status="ok", pairs=(_row(pair),))


def _row(pair: Pair) -> dict[str, Any]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(pair).items() if name not in ("split", "group")}


def _check_sound(source: Source) -> None:
    """MediaError where there is nothing to hear, before the pictures are watched for nothing."""
    from gvm_plugin.probe import probe

    if source.sound is None and probe(source.picture).main_audio is None:
        raise MediaError(f"{source.name}: has no sound; a pair takes music")


def _check_lengths(source: Source) -> None:
    """MediaError where picture and sound, each in a file of its own, can't belong to each other."""
    from gvm_plugin.probe import probe

    if source.sound is None or "length" in source.trusted:
        return
    picture, sound = probe(source.picture).picture_duration, _sound_seconds(source.sound)
    if abs(picture - sound) > max(MISMATCH_SECONDS, MISMATCH_SHARE * picture):
        raise MediaError(
            f"{source.name}: its picture lasts {picture:.1f} s, its sound {source.sound.name} {sound:.1f} s; "
            "they are no pair: cut them alike, or take them out"
        )


def _sound_seconds(path: Path) -> float:
    from gvm_plugin.probe import probe_sound

    return probe_sound(path).duration


def _cant_write(out: Path, err: OSError) -> DeliveryError:
    remedy = "make room" if err.errno in (errno.ENOSPC, errno.EDQUOT) else "check your rights there"
    return DeliveryError(
        f"{out}: can't be written to ({err.strerror}); {remedy}, then run it again: it goes on where it was"
    )
