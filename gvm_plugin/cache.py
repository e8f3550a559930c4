"""Finished work under its content: what was made once from the same things is never made again.

    OUT/.gvm/analysis/KEY.*       what the decode pass found; KEY from the film's bytes and the encoder
    OUT/.gvm/cues/KEY/            one take: music.wav (float), STEM.wav, notes.mid, take.json
    OUT/.gvm/hashes/KEY.json      sha256 of a film by its path, size and time of change
    OUT/.gvm/work/PID-NAME/       what is being made; removed at the end, or by the next run if that was killed

Every entry is made under another name and renamed when complete, so one can trust what lies there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import DeliveryError, MediaError
from gvm_plugin.generators import Audio, CueTake

log = logging.getLogger(__name__)

FOLDER: Final = ".gvm"
_MUSIC, _MIDI, _INFO = "music.wav", "notes.mid", "take.json"
_CHUNK: Final = 1 << 20
_LONGEST_JOB: Final = 2 * 86_400  # seconds


def content_key(*parts: Any) -> str:
    """32 hex digits that stand for `parts` (JSON values): the same parts, the same key."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """sha256 of the bytes of `path`, as `sha256sum` prints it."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as err:
        raise MediaError(f"{path}: can't be read ({err.strerror}); check the name and its rights") from err
    return digest.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path`, complete or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(value, indent=1, ensure_ascii=True), encoding="ascii")
        os.replace(partial, path)
    except OSError as err:
        raise _cant_write(path, err) from err
    finally:
        _discard(partial)


def _cant_write(path: Path, err: OSError) -> DeliveryError:
    """The error to raise where `path`, in an output folder's FOLDER, can't be written; it names that folder."""
    place = next((above.parent for above in (path, *path.parents) if above.name == FOLDER), path)
    remedy = "make room" if err.errno in (errno.ENOSPC, errno.EDQUOT) else "check your rights there"
    return DeliveryError(
        f"{place}: can't be written to ({err.strerror}); {remedy}, or choose another folder with --out"
    )


def read_json(path: Path) -> Any:
    """The value in `path`; None where there is none or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class StoredTake:
    """A take on disk. info: everything of it but sound and MIDI, see `Cache.store_take`."""

    folder: Path
    info: Mapping[str, Any]

    @property
    def music(self) -> Path:
        """The music as float WAV."""
        return self.folder / _MUSIC

    @property
    def stems(self) -> dict[str, Path]:
        """The stems as float WAV."""
        return {name: self.folder / f"stem-{index}.wav" for index, name in enumerate(self.info["stems"])}

    @property
    def fade_seconds(self) -> float:
        """Over which it is to be faded out where no other cue follows at once; 0: it has an ending of its own."""
        return float(self.info.get("fade", 0.0))

    @property
    def midi(self) -> bytes | None:
        """The notes as a standard MIDI file."""
        path = self.folder / _MIDI
        return path.read_bytes() if path.exists() else None

    def load(self) -> tuple[Audio, dict[str, Audio]]:
        """(music [2, N], stems), exactly the samples that were made."""
        return _load(self.music), {name: _load(path) for name, path in self.stems.items()}


class Cache:
    """The finished work of one output folder."""

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER

    def film_sha256(self, film: Path) -> str:
        """sha256 of the film's bytes; read again only when its size or time of change are others than last time."""
        index = self.folder / "hashes" / f"{content_key(os.fsencode(film.absolute()).hex())}.json"
        try:
            stat = film.stat()
        except OSError as err:
            raise MediaError(f"{film.name!r}: can't be read ({err.strerror}); check the name and its rights") from err
        mark = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = read_json(index)
        if isinstance(known, dict) and known.get("mark") == mark:
            return str(known["sha256"])
        sha256 = file_sha256(film)
        write_json(index, {"mark": mark, "sha256": sha256})
        return sha256

    def analysis_path(self, sha256: str, encoder: str) -> Path:
        """Where the analysis of the film with these bytes is kept, without suffix."""
        folder = self._make("analysis")
        return folder / content_key(sha256, encoder)

    def keep(self, write: Callable[[Path], None], place: Path) -> None:
        """Let `write` write to `place`; DeliveryError where it can't."""
        try:
            write(place)
        except OSError as err:
            raise _cant_write(self.folder, err) from err

    def find_take(self, key: str) -> StoredTake | None:
        """The take made under `key`; None where there is none, or only a damaged one (which is removed)."""
        folder = self.folder / "cues" / key
        if not folder.is_dir():
            return None
        info = read_json(folder / _INFO)
        take = StoredTake(folder, info) if isinstance(info, dict) else None
        if take is not None and _whole(take):
            os.utime(folder)
            return take
        log.warning("a take in the cache is damaged and will be made again: %s", folder)
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def store_take(self, key: str, take: CueTake) -> StoredTake:
        """`take` on disk, under `key`."""
        from gvm_plugin.wav import write_wav

        samples = take.audio.shape[1]
        info = {
            "samples": samples,
            "stems": list(take.stems),
            "tempo": take.tempo_bpm,
            "key": take.key,
            "bar_times": [round(float(t), 6) for t in take.bar_times],
            "hits": [[float(asked), float(played)] for asked, played in take.hits],
            "fade": take.fade_seconds,
            "notes": take.notes,
        }
        target = self._make("cues") / key
        partial = target.with_name(f"{key}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            write_wav(partial / _MUSIC, [take.audio], samples)
            for index, stem in enumerate(take.stems.values()):
                write_wav(partial / f"stem-{index}.wav", [stem], samples)
            if take.midi is not None:
                (partial / _MIDI).write_bytes(take.midi)
            write_json(partial / _INFO, info)
            try:
                os.replace(partial, target)
            except OSError:  # it is there: made meanwhile by another process (two equal films), or damaged
                other = self.find_take(key)
                if other is not None:
                    return other
                shutil.rmtree(target, ignore_errors=True)
                os.replace(partial, target)
        except OSError as err:
            raise _cant_write(self.folder, err) from err
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return StoredTake(target, info)

    @contextmanager
    def work_folder(self, name: str) -> Iterator[Path]:
        """Context with an empty folder for what is being made; it is gone afterwards, whatever happens."""
        work = self._make("work")
        _remove_dead(work)
        _remove_partial(self.folder)
        folder = work / f"{os.getpid()}-{content_key(name)[:8]}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _make(self, name: str) -> Path:
        folder = self.folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise _cant_write(folder, err) from err
        return folder


def _whole(take: StoredTake) -> bool:
    """Are the files of a take there and as long as they should be?"""
    from gvm_plugin.wav import count_samples

    try:
        return all(count_samples(path) == take.info["samples"] for path in (take.music, *take.stems.values()))
    except (MediaError, KeyError, TypeError):
        return False


def _load(path: Path) -> Audio:
    from gvm_plugin.wav import count_samples, read_blocks

    (block,) = read_blocks(path, count_samples(path))
    return np.asarray(block, np.float32)


def _remove_dead(work: Path) -> None:
    """Remove the work folders of processes that no longer live: they were killed."""
    for folder in work.iterdir():
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and int(pid) != os.getpid() and not _alive(int(pid), folder):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_partial(folder: Path) -> None:
    """Remove what processes that no longer live left half written below `folder`: NAME.PID.partial."""
    for path in (*folder.glob("*.partial"), *folder.glob("*/*.partial")):
        pid = path.name.split(".")[-2]
        if pid.isdigit() and int(pid) != os.getpid() and not _alive(int(pid), path):
            _discard(path)


def _discard(path: Path) -> None:
    """Remove a file or folder, if that can be."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _alive(pid: int, folder: Path) -> bool:
    if os.name == "nt":  # there os.kill(pid, 0) is no question but a Ctrl-C
        return time.time() - folder.stat().st_mtime < _LONGEST_JOB
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
