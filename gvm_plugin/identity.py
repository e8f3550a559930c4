"""The identity of a channel: a folder with identity.yaml, which all its films are scored with (`--identity FOLDER`).

The file says style, orchestra, home key and motif, for a person to read and change. Where the folder has none it is
written, drawn from the folder's name: the same channel is the same on every machine.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import CueSheetError, DeliveryError, brief
from gvm_plugin.cuesheet import derive_seed, yaml_parser
from gvm_plugin.options import AUTO, MAX_SEED, STYLES, ScoreOptions, check_choice

if TYPE_CHECKING:
    from core.starter.identity import Identity

FILE: Final = "identity.yaml"
_VERSION: Final = 1
_USUAL: Final = ("acoustic", "lofi", "upbeat", "documentary", "funk")  # what a new channel gets where none is asked for
_TONICS: Final = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_HEAD: Final = """\
Identity of a channel: what the music of all its films shares. Change it, then score a film with
    gvm score film.mp4 --identity {folder}
"""
_NOTES: Final[dict[str, str]] = {
    "style": f"one of {', '.join(STYLES)}; --style overrides it for one film",
    "orchestra": "{orchestras}",
    "key": "home: cues stand in it or in a near one; their mood decides between major and minor",
    "seed": "of all that isn't said here",
    "motif": (
        "The tune that opens and closes a cue where nobody speaks: [eighth, length in eighths, semitones above the\n"
        "tonic] over two bars, eighths 0 to 15. Other metres squeeze it into two of their bars."
    ),
}


@dataclass(frozen=True, eq=False)
class Channel:
    """A channel's folder and what it says. key: stands for all that decides how its music sounds."""

    folder: Path
    identity: Identity

    @property
    def key(self) -> str:
        """Stands for the identity's content."""
        return repr(self.identity)


def with_channel(options: ScoreOptions, usual_style: str | None = None) -> ScoreOptions:
    """`options` with a style where they ask for none: of the channel they name, else the model's usual one, if any.

    Makes the channel if it is new.
    """
    style = usual_style
    if options.identity is not None:
        style = open_channel(options.identity, options.style, options.seed).identity.style
    return options if options.style != AUTO or style is None else replace(options, style=style)


def open_channel(folder: Path, style: str = AUTO, seed: int = 0) -> Channel:
    """The channel in `folder`; a new one, in `style`, where the folder has none. CueSheetError, DeliveryError."""
    path = folder / FILE
    if not path.is_file():
        _write_new(path, _draw(folder.resolve().name, style, seed))
    return Channel(folder, _read(path))


def read_channel(folder: Path) -> Channel:
    """The channel in `folder`; CueSheetError where it has none any more, as a cue sheet that names it may find."""
    if not (folder / FILE).is_file():
        raise CueSheetError(
            f"{folder / FILE}: is missing, which the cue sheet's identity names; move it back, or set identity to none"
        )
    return Channel(folder, _read(folder / FILE))


def _draw(name: str, style: str, seed: int) -> Identity:
    import numpy as np

    from core.starter.identity import Identity, draw_motif
    from core.starter.palettes import choose_palette

    own = derive_seed(seed, name, "identity")
    rng = np.random.default_rng(own)
    chosen = style if style != AUTO else str(rng.choice(list(_USUAL)))
    return Identity(own, chosen, choose_palette(chosen, own).name, int(rng.integers(12)), draw_motif(own))


def _write_new(path: Path, identity: Identity) -> None:
    """Write the file unless another process was quicker."""
    partial = path.with_name(f".{FILE}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(to_yaml(identity, path.parent), encoding="utf-8")
        with suppress(FileExistsError):
            _appear(partial, path)
    except OSError as err:
        raise DeliveryError(
            f"{path}: can't be written ({err.strerror}); choose another folder with --identity"
        ) from err
    finally:
        with suppress(OSError):
            partial.unlink()


def _appear(partial: Path, path: Path) -> None:
    """Give the file at `partial` the name `path`, unless another has it: FileExistsError."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links, as sticks and cards are
        path.touch(exist_ok=False)
        os.replace(partial, path)


def to_yaml(identity: Identity, folder: Path) -> str:
    """The text of an identity, with a comment on every field."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    from core.starter.palettes import PALETTES

    notes = CommentedSeq()
    for note in identity.motif.notes:
        row = CommentedSeq([note.onset, note.length, note.pitch])
        row.fa.set_flow_style()
        notes.append(row)
    document = CommentedMap(
        gvm_identity=_VERSION,
        style=identity.style,
        orchestra=identity.palette,
        key=_TONICS[identity.tonic],
        seed=identity.seed,
        motif=notes,
    )
    document.yaml_set_start_comment(_HEAD.format(folder=folder.resolve().name))
    names = "; ".join(palette.name for palette in PALETTES[identity.style])
    for field in ("style", "orchestra", "key", "seed"):
        document.yaml_add_eol_comment(
            _NOTES[field].format(orchestras=f"of {identity.style}: {names}"), field, column=28
        )
    document.yaml_set_comment_before_after_key("motif", before="\n" + _NOTES["motif"])
    buffer = io.StringIO()
    yaml_parser().dump(document, buffer)
    return buffer.getvalue()


def _read(path: Path) -> Identity:
    from ruamel.yaml.error import YAMLError

    from core.starter.identity import Identity, Motif, MotifNote
    from core.starter.palettes import palette_named

    try:
        document = yaml_parser().load(path.read_text(encoding="utf-8"))
    # ValueError: no UTF-8, or a date that there is not. The rest: what the parser makes of tags in the wrong place.
    except (OSError, ValueError, YAMLError, AttributeError, TypeError, LookupError) as err:
        first = str(getattr(err, "problem", None) or getattr(err, "strerror", None) or err).splitlines()[0]
        raise CueSheetError(f"{path}: can't be read ({first}); mend it, or delete it and a new one is drawn") from err
    try:
        version = document.get("gvm_identity") if isinstance(document, Mapping) else None
        if isinstance(version, int) and version > _VERSION:
            raise CueSheetError(f"{path}: was written by a newer gvm, this one reads version {_VERSION}; update gvm")
        if not isinstance(document, Mapping) or version != _VERSION:
            raise ValueError(f"it needs the line `gvm_identity: {_VERSION}`")
        unknown = set(document) - {"gvm_identity", "style", "orchestra", "key", "seed", "motif"}
        if unknown:
            raise ValueError(f"unknown field {min(map(str, unknown))!r}; it has style, orchestra, key, seed and motif")
        style, key, seed = str(document.get("style")), str(document.get("key")), document.get("seed")
        check_choice("style", style, STYLES)
        if key not in _TONICS:
            raise ValueError(f"key is {key!r}; choose one of {', '.join(_TONICS)}")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
            raise ValueError(f"seed is {brief(seed)}; write a whole number")
        rows = document.get("motif")
        if not isinstance(rows, list):
            raise ValueError(f"motif is {brief(rows)}; write a list of notes, each [eighth, length, semitones]")
        motif = Motif(tuple(MotifNote(*_three(row)) for row in rows))
        palette = palette_named(style, str(document.get("orchestra")))
    except ValueError as err:
        raise CueSheetError(f"{path}: {err}; mend it, or delete the file and a new one is drawn") from err
    return Identity(int(seed), style, palette.name, _TONICS.index(key), motif)


def _three(row: Any) -> tuple[int, int, int]:
    if (
        not isinstance(row, Sequence)
        or len(row) != 3
        or any(isinstance(n, bool) or not isinstance(n, int) for n in row)
    ):
        raise ValueError(f"a note of the motif is {brief(row)}; write [eighth, length, semitones]")
    return row[0], row[1], row[2]
