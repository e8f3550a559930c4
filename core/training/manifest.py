"""The folder of a data set: pairs of picture and music, one a line, read and written. Numpy and json; no torch.

    DATA/dataset.json     {"format", "made_by", "codec": {sha256, sample_rate, hop, codebooks, card} or null, "counts"}
    DATA/manifest.jsonl   one `Pair` a line
    DATA/clips, music, codes, features/NAME    what the pairs point to, by paths relative to DATA

`gvm dataset build` writes such folders; the trainers read them. docs/dataset.md says what every field means.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import DatasetError, MediaError, brief

FORMAT: Final = 1  # raised when the meaning of a field changes
ABOUT: Final = "dataset.json"
MANIFEST: Final = "manifest.jsonl"
SPLITS: Final = ("train", "test")

# What reading a damaged .npz raises, from numpy, zipfile and the file itself.
DAMAGED: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)

_BUILD: Final = "build it again with gvm dataset build"
_TOLERANCE: Final = 0.1  # seconds by which a file may be longer or shorter than its pair


@dataclass(frozen=True)
class CodecInfo:
    """The codec that the cached codes are of. hop: samples a code stands for; card: how many values a code has."""

    sha256: str
    sample_rate: int
    hop: int
    codebooks: int
    card: int

    @property
    def codes_per_second(self) -> float:
        """How many steps of codes a second of music has."""
        return self.sample_rate / self.hop


@dataclass(frozen=True)
class Pair:
    """One span of one film: its picture and its music, exactly as long as each other.

    source: the film's name for people; source_sha256: of its bytes. start, end: seconds after its first picture.
    clip, music, codes, features (name -> path): relative to the folder of the data set; None where there is none.
    type: music video, film, vlog, animation, documentary or "" where nobody knows; type_by: "person" or "guess", with
    its type_confidence 0..1. group: the same for all copies of one film, which lie on one side of the split.
    measures: what was found in the span (shares 0..1 of speech, music, text ...).
    """

    id: str
    split: str
    source: str
    source_sha256: str
    start: float
    end: float
    clip: str | None = None
    music: str | None = None
    codes: str | None = None
    features: dict[str, str] = field(default_factory=dict)
    type: str = ""
    labels: dict[str, Any] = field(default_factory=dict)
    type_by: str = ""
    type_confidence: float | None = None
    group: str = ""
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long the pair is."""
        return self.end - self.start

    def files(self) -> Iterator[str]:
        """Paths of all its files, relative to the folder of the data set."""
        yield from (path for path in (self.clip, self.music, self.codes, *self.features.values()) if path is not None)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as its manifest tells it; arrays are read when asked for."""

    folder: Path
    codec: CodecInfo | None
    pairs: tuple[Pair, ...]
    about: dict[str, Any]

    def split(self, name: str) -> tuple[Pair, ...]:
        """The pairs of "train" or "test", in the manifest's order."""
        if name not in SPLITS:
            raise ValueError(f"split is {name!r}; it must be one of {', '.join(SPLITS)}")
        return tuple(pair for pair in self.pairs if pair.split == name)

    def hours(self, name: str | None = None) -> float:
        """Hours of all pairs, or of one split."""
        return sum(pair.seconds for pair in (self.pairs if name is None else self.split(name))) / 3600

    def path(self, relative: str) -> Path:
        """Where a file of a pair lies."""
        return self.folder / relative

    def codes(self, pair: Pair) -> npt.NDArray[np.int16]:
        """Cached codes [K, T] of a pair; DatasetError where there are none, or of another codec than the set's."""
        if pair.codes is None or self.codec is None:
            raise DatasetError(f"{self.folder}: pair {pair.id} has no cached codes; {_BUILD} --codec MODEL_FOLDER")
        path = self.path(pair.codes)
        arrays = _read_arrays(path, ("codes", "codec_sha256"))
        codes = np.asarray(arrays["codes"])
        if str(arrays["codec_sha256"]) != self.codec.sha256:
            raise DatasetError(f"{path}: is of another codec than {ABOUT} says; {_BUILD} --codec MODEL_FOLDER")
        if codes.ndim != 2 or len(codes) != self.codec.codebooks or codes.dtype.kind not in "iu" or not codes.size:
            raise DatasetError(f"{path}: holds no codes of {self.codec.codebooks} codebooks; {_BUILD}")
        if codes.min() < 0 or codes.max() >= self.codec.card:
            raise DatasetError(f"{path}: has codes outside 0..{self.codec.card - 1}; {_BUILD}")
        return codes.astype(np.int16)

    def features(self, pair: Pair, name: str) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float64]]:
        """Cached features of a pair: values [F, P, C], and times [F] in seconds after the pair's start."""
        if name not in pair.features:
            raise DatasetError(f"{self.folder}: pair {pair.id} has no {name}; {_BUILD} --features {name}")
        path = self.path(pair.features[name])
        arrays = _read_arrays(path, ("values", "times"))
        values, times = np.asarray(arrays["values"]), np.asarray(arrays["times"], np.float64)
        if values.ndim != 3 or times.shape != (len(values),) or not np.isfinite(values).all():
            raise DatasetError(f"{path}: holds no features [F, P, C] with their times [F]; {_BUILD}")
        return values.astype(np.float16), times

    def check_files(self) -> list[str]:
        """One line for every file that is missing, empty, not as long as its pair, or can't be read as what it should
        be. Of clips and music the headers are read."""
        problems = []
        for pair in self.pairs:
            for name in pair.files():
                path = self.path(name)
                if not _holds_something(path):
                    problems.append(f"{pair.id}: {name} is {'empty' if path.is_file() else 'missing'}; {_BUILD}")
            for check in (self._check_clip, self._check_music, self._check_codes, self._check_features):
                try:
                    check(pair)
                except DatasetError as err:
                    if "is missing" not in str(err):
                        problems.append(str(err))
        return problems

    def _check_clip(self, pair: Pair) -> None:
        if pair.clip is None or not _holds_something(path := self.path(pair.clip)):
            return
        from core.frames import open_media

        try:
            with open_media(path) as container:
                length = container.duration
        except MediaError as err:
            raise DatasetError(f"{path}: is damaged ({err}); delete it and {_BUILD}") from err
        if length is not None:
            _check_length(path, length / 1e6, pair)

    def _check_music(self, pair: Pair) -> None:
        if pair.music is None or not _holds_something(path := self.path(pair.music)):
            return
        import soundfile

        try:
            length = float(soundfile.info(path).duration)
        except (OSError, soundfile.LibsndfileError) as err:
            raise DatasetError(f"{path}: is damaged ({err}); delete it and {_BUILD}") from err
        _check_length(path, length, pair)

    def _check_features(self, pair: Pair) -> None:
        for name in pair.features:
            self.features(pair, name)

    def _check_codes(self, pair: Pair) -> None:
        if pair.codes is None:
            return
        codes = self.codes(pair)
        assert self.codec is not None
        steps = pair.seconds * self.codec.codes_per_second
        if abs(codes.shape[1] - steps) > 2:
            raise DatasetError(
                f"{self.path(str(pair.codes))}: has {codes.shape[1]} steps, the pair is {steps:.0f} long; {_BUILD}"
            )


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _check_length(path: Path, seconds: float, pair: Pair) -> None:
    if abs(seconds - pair.seconds) > _TOLERANCE:
        raise DatasetError(f"{path}: lasts {seconds:.2f} s, the pair {pair.seconds:.2f} s; {_BUILD}")


def read_dataset(folder: Path) -> Dataset:
    """The data set in `folder`, its manifest checked; DatasetError, with file and line, where it can't be right.

    Checked are: the format, every field of every pair, that ids are unique, that paths stay inside the folder, that
    each pair has picture and music, and that no film is on both sides of the split. The files aren't opened.
    """
    about = _read_about(folder)
    codec = about.get("codec")
    try:
        info = None if codec is None else CodecInfo(**codec)
    except TypeError as err:
        raise DatasetError(f"{folder / ABOUT}: its codec is not as gvm writes it ({err}); {_BUILD}") from err
    pairs = tuple(_read_pairs(folder / MANIFEST))
    check_pairs(pairs, folder / MANIFEST)
    return Dataset(folder, info, pairs, about)


def write_dataset(folder: Path, pairs: Sequence[Pair], codec: CodecInfo | None, made_by: str, **more: Any) -> None:
    """Write manifest and description of `folder`, each whole or not at all; what pairs point to must lie there.

    more: further fields of dataset.json. DatasetError where a film would be on both sides.
    """
    check_pairs(pairs, folder / MANIFEST)
    lines = [json.dumps(asdict(pair), ensure_ascii=False, sort_keys=True) for pair in pairs]
    about = {
        "format": FORMAT,
        "made_by": made_by,
        "codec": None if codec is None else asdict(codec),
        "counts": count(pairs),
        **more,
    }
    write_whole(folder / MANIFEST, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))
    write_whole(folder / ABOUT, (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def count(pairs: Iterable[Pair]) -> dict[str, Any]:
    """Pairs, films and hours, in all and per split; pairs per type."""
    pairs = tuple(pairs)
    numbers: dict[str, Any] = {}
    for name in ("all", *SPLITS):
        mine = [pair for pair in pairs if name in ("all", pair.split)]
        numbers[name] = {
            "pairs": len(mine),
            "films": len({pair.source_sha256 for pair in mine}),
            "hours": round(sum(pair.seconds for pair in mine) / 3600, 4),
        }
    numbers["types"] = dict(sorted(Counter(pair.type or "unknown" for pair in pairs).items()))
    return numbers


def write_codes(path: Path, codes: npt.NDArray[np.integer[Any]], codec: CodecInfo) -> None:
    """Keep codes [K, T] of one pair, whole or not at all."""
    assert codes.shape[0] == codec.codebooks and codec.card <= 2**15, (codes.shape, codec)
    _write_arrays(path, {"codes": codes.astype(np.int16), "codec_sha256": np.array(codec.sha256)})


def write_features(path: Path, values: npt.NDArray[np.floating[Any]], times: npt.NDArray[np.float64]) -> None:
    """Keep features [F, P, C] of one pair at times [F] (seconds after its start), whole or not at all."""
    assert values.ndim == 3 and times.shape == (len(values),), (values.shape, times.shape)
    _write_arrays(path, {"values": values.astype(np.float16), "times": times.astype(np.float64)})


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then give it its own. OSError where there is no room or no right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_pairs(pairs: Sequence[Pair], path: Path) -> None:
    """DatasetError where the pairs together can't be right: an id given twice, or a film on both sides of the split."""
    ids = Counter(pair.id for pair in pairs)
    if twice := [name for name, times in ids.items() if times > 1]:
        raise DatasetError(f"{path}: has {len(twice)} ids more than once, such as {twice[0]}; {_BUILD}")
    sides: dict[str, str] = {}
    for pair in pairs:
        for film in {pair.source_sha256, pair.group or pair.source_sha256}:
            if sides.setdefault(film, pair.split) != pair.split:
                raise DatasetError(f"{path}: film {pair.source} is in train and in test; {_BUILD}")


def _read_about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise DatasetError(f"{folder}: is no data set ({ABOUT} is missing); make one with gvm dataset build") from err
    except (OSError, ValueError) as err:
        raise DatasetError(f"{path}: can't be read ({err}); {_BUILD}") from err
    form = about.get("format") if isinstance(about, dict) else None
    if not isinstance(form, int):
        raise DatasetError(f"{path}: is not the description of a data set; {_BUILD}")
    if form > FORMAT:
        raise DatasetError(f"{path}: was written by a later gvm (format {form}, this one reads {FORMAT}); update gvm")
    return dict(about)


def _read_pairs(path: Path) -> Iterator[Pair]:
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
    except OSError as err:
        raise DatasetError(f"{path}: can't be read ({err.strerror}); {_BUILD}") from err
    except UnicodeDecodeError as err:
        raise DatasetError(f"{path}: is no text; {_BUILD}") from err
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield _pair(json.loads(line))
        except (ValueError, TypeError) as err:
            raise DatasetError(
                f"{path}, line {number}: {' '.join(str(err).split())}; mend the line, or {_BUILD}"
            ) from err


def _pair(row: Any) -> Pair:
    """A pair from what JSON gave; ValueError where it says something impossible. Fields unknown to us are let be."""
    if not isinstance(row, dict):
        raise ValueError(f"{brief(row)} is no pair")
    known = {each.name for each in fields(Pair)}
    pair = Pair(**{name: value for name, value in row.items() if name in known})
    for name in ("id", "source", "source_sha256", "split", "type", "type_by", "group"):
        if not isinstance(getattr(pair, name), str):
            raise ValueError(f"{name} is {brief(getattr(pair, name))}, no text")
    if not pair.id or pair.split not in SPLITS:
        raise ValueError(f"split is {brief(pair.split)}; it must be one of {', '.join(SPLITS)}" if pair.id else "no id")
    numbers = (pair.start, pair.end)
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in numbers) or pair.end <= pair.start:
        raise ValueError(f"start {brief(pair.start)} and end {brief(pair.end)} are no span")
    if not all(isinstance(value, dict) for value in (pair.features, pair.labels, pair.measures)):
        raise ValueError("features, labels and measures must be objects")
    for name in pair.files():
        if not isinstance(name, str) or not _stays_inside(name):
            raise ValueError(f"{brief(name)} is no path inside the data set")
    if not (pair.clip or pair.features) or not (pair.codes or pair.music):
        raise ValueError(f"pair {pair.id} lacks {'music' if pair.clip or pair.features else 'a picture'}")
    return pair


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and ":" not in name


def _read_arrays(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except FileNotFoundError as err:
        raise DatasetError(f"{path}: is missing; {_BUILD}") from err
    except DAMAGED as err:
        raise DatasetError(f"{path}: is damaged ({' '.join(str(err).split())}); delete it and {_BUILD}") from err


def _write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
