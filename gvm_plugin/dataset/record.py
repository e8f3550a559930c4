"""What is kept of each film beside the data: enough to go on after a kill, and to write the manifest again.

DATA/.gvm/films/KEY.json        one film: working, ok, failed; what was found, its pairs, what was dropped
DATA/.gvm/thumbnails/KEY.jpg    its picture on the summary page
DATA/.gvm/sides.json            key of a film -> train or test, once that was decided
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from core.training.manifest import CodecInfo, Pair
from gvm_plugin import __version__
from gvm_plugin.cache import FOLDER, content_key, read_json, write_json
from gvm_plugin.dataset.options import BuildOptions, Source

FORMAT: Final = 1  # raised when records of before can't be used any more
_NOT_OF_A_FILM: Final = ("test_share", "type")  # settings that don't change what is cut


@dataclass(frozen=True)
class Record:
    """One film. status: working, ok or failed (why). settings: `settings_key` it was cut under.

    pairs: rows of the manifest, their split still open. seen: see `watching.Seen.to_json`; dropped: [start, end, why].
    """

    key: str
    status: str
    source: str
    sha256: str
    settings: str
    why: str = ""
    split: str | None = None
    group: str | None = None
    pairs: tuple[dict[str, Any], ...] = ()
    seen: Mapping[str, Any] | None = None
    dropped: tuple[tuple[float, float, str], ...] = ()
    took: float = 0.0

    @property
    def seconds(self) -> float:
        """Of all its pairs."""
        return float(sum(pair["end"] - pair["start"] for pair in self.pairs))


def settings_key(options: BuildOptions, codec: CodecInfo | None) -> str:
    """Stands for all that is cut in some way and no other."""
    fields = {name: value for name, value in asdict(options).items() if name not in (*_NOT_OF_A_FILM, "codec")}
    return content_key(FORMAT, __version__, {name: str(value) for name, value in fields.items()}, str(codec))


def film_key(sha256: str, sound_sha256: str) -> str:
    """Stands for one film with its sound."""
    return content_key(sha256, sound_sha256)[:20]


def record_path(out: Path, key: str) -> Path:
    """Where the record of a film lies."""
    return out / FOLDER / "films" / f"{key}.json"


def thumbnail_path(out: Path, key: str) -> Path:
    """Where the thumbnail of a film lies."""
    return out / FOLDER / "thumbnails" / f"{key}.jpg"


def read_record(out: Path, key: str) -> Record | None:
    """The record of a film; None where there is none, or none that can be used."""
    fields = read_json(record_path(out, key))
    try:
        return Record(
            **{**fields, "pairs": tuple(fields["pairs"]), "dropped": tuple(tuple(row) for row in fields["dropped"])}
        )
    except (TypeError, KeyError):
        return None


def write_record(out: Path, record: Record) -> None:
    """Keep a record, whole or not at all."""
    write_json(record_path(out, record.key), asdict(record))


def read_records(out: Path) -> Iterator[Record]:
    """All records of a data set, in order of their keys."""
    for path in sorted((out / FOLDER / "films").glob("*.json")):
        record = read_record(out, path.stem)
        if record is not None:
            yield record


def is_whole(out: Path, record: Record, settings: str) -> bool:
    """Is there nothing to do for this film: finished under these settings, all its files there?"""
    if record.status != "ok" or record.settings != settings:
        return False
    pairs = [Pair(**{**row, "split": "train"}) for row in record.pairs]
    return all((out / name).is_file() and (out / name).stat().st_size for pair in pairs for name in pair.files())


def discard_files(out: Path, key: str) -> None:
    """Delete what was cut of a film: its clips, music, codes and features."""
    for kind in ("clips", "music", "codes", "features/*"):
        for path in out.glob(f"{kind}/{key}-*"):
            path.unlink(missing_ok=True)


def read_sides(out: Path) -> dict[str, str]:
    """Key of a film -> the side that was decided before."""
    sides = read_json(out / FOLDER / "sides.json")
    return {str(key): str(side) for key, side in sides.items()} if isinstance(sides, dict) else {}


def write_sides(out: Path, sides: Mapping[str, str]) -> None:
    """Keep the sides."""
    write_json(out / FOLDER / "sides.json", dict(sorted(sides.items())))


def label_rows(record: Record, source: Source, options: BuildOptions) -> tuple[dict[str, Any], ...]:
    """The pairs of a film as it is called and labelled now: that may change without cutting it again."""
    from gvm_plugin.dataset.kinds import Traits, guess

    said = options.type or source.type
    sure: float | None = None
    kind, by = said or "", "person" if said else ""
    if said is None and record.seen is not None:
        found = guess(Traits(**record.seen["traits"]))
        kind, by, sure = found.type, "guess", found.confidence
    more = {"source": source.name, "labels": dict(source.labels), "type": kind, "type_by": by}
    return tuple({**row, **more, "type_confidence": sure} for row in record.pairs)
