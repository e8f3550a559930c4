"""Which models there are: name, licence, size, weight hash, where they lie. Reads their cards alone, never weights.

A model of its own lies in a folder NAME of `models_folder()`, or in any folder that is named by its path:

    model.json          {"config": ..., "card": ..., "sha256": of model.safetensors, "files": {file: sha256}}
    model.safetensors   what was trained; vision.safetensors and codec.safetensors: the frozen parts around it
    MODEL_CARD.md       for people

A part (fetched by `gvm models pull`: a codec, a vision tower, weights to start training from) has `source.json`
instead of `model.json` and makes no music alone.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from core.config import ModelConfig
from core.errors import DeliveryError, ModelError
from gvm_plugin.weights_file import WeightsFileError, read_shapes

log = logging.getLogger(__name__)

STARTER: Final = "starter"
TONE: Final = "tone"
FORMAT: Final = 1  # of model.json; one written by a later gvm may say more
CARD_FILE: Final = "MODEL_CARD.md"
MODEL_FILE: Final = "model.json"
PART_FILE: Final = "source.json"
WEIGHTS: Final = "model.safetensors"

# Names that mean something else where a model is named.
RESERVED: Final = frozenset({STARTER, TONE, "auto", "import", "pull", "remove", "check", "show", "list"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_WINDOWS_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)

Kind = Literal["model", "part"]


@dataclass(frozen=True)
class ModelInfo:
    """One model. folder: of its weights, None for what needs none. problem: why it can't be used, or empty.

    kind: "model" makes music, a "part" doesn't. sha256: of what was trained. parameters: of everything, as its files
    declare them; 0 where there are none. config: None for what has none, or where it can't be read. files: (name,
    sha256) of those in the folder.
    """

    name: str
    licence: str
    commercial_use: bool
    size_bytes: int
    sha256: str
    folder: Path | None
    about: str
    problem: str = ""
    kind: Kind = "model"
    source: str = ""
    parameters: int = 0
    config: ModelConfig | None = None
    files: tuple[tuple[str, str], ...] = ()

    @property
    def slow(self) -> bool:
        """Does it write sound outright, through a neural codec, which takes much longer than writing notes?"""
        return self.config is not None and self.config.codec == "encodec"


def models_folder() -> Path:
    """Where models lie that don't ship with gvm: `GVM_MODELS`, else the user's folder of data. It may not exist yet."""
    if named := os.environ.get("GVM_MODELS"):
        return Path(named).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "gvm" / "models"


def list_models() -> list[ModelInfo]:
    """All models that make music, usable or not: those that ship with gvm, then the imported ones by name."""
    return [_starter(), _tone(), *(model for model in _installed() if model.kind == "model")]


def list_parts() -> list[ModelInfo]:
    """What was fetched that makes no music alone: codecs, vision towers, weights to start training from."""
    return [model for model in _installed() if model.kind == "part"]


def find_model(name: str) -> ModelInfo:
    """The model called `name`, or that in the folder `name` where it looks like a path; ModelError if there is none.

    Its `problem` is empty where it can be used.
    """
    if _is_path(name):
        return _at_path(Path(name).expanduser())
    if name == STARTER:
        return _starter()
    if name == TONE:
        return _tone()
    folder = models_folder() / name
    if is_name(name) and folder.is_dir():
        model = _read(folder)
        if model.kind == "part" and model.problem:
            raise ModelError(f"{name} makes no music: {model.problem}")
        if model.kind == "part":
            raise ModelError(f"{name} is no model that makes music ({model.about}); `gvm models` lists those that are")
        return model
    known = [model.name for model in list_models()]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else "`gvm models import` brings in others"
    raise ModelError(f"no model is called {name!r}; known are {', '.join(known)}; {hint}")


def find_installed(name: str) -> ModelInfo:
    """Like `find_model`, but parts are found too."""
    for part in list_parts():
        if part.name == name:
            return part
    return find_model(name)


def is_name(name: str) -> bool:
    """Whether `name` can be that of a model and of its folder on any system."""
    return bool(_NAME.fullmatch(name)) and not name.endswith(".") and not _WINDOWS_DEVICES.fullmatch(name)


def check_name(name: str) -> str:
    """`name`, fit for a model of the user's own; ModelError where it can't be one, or means something else."""
    if not is_name(name):
        raise ModelError(
            f"{name!r} can't be the name of a model; take letters, digits, dots, - and _, at most 64, the first a "
            "letter or digit"
        )
    if name.lower() in RESERVED:
        raise ModelError(f"the name {name!r} is taken by gvm itself; choose another with --name")
    return name


def card_text(model: ModelInfo) -> str:
    """The model card, for reading."""
    if model.folder is not None and (card := model.folder / CARD_FILE).is_file():
        return card.read_text(encoding="utf-8", errors="replace")
    lines = [
        f"# {model.name}",
        model.about,
        f"Licence: {model.licence}. {licence_in_words(model.licence, model.commercial_use)}.",
    ]
    return "\n\n".join([*lines, *([f"Can't be used: {model.problem}."] if model.problem else [])]) + "\n"


def licence_in_words(licence: str, commercial_use: bool) -> str:
    """What a licence means for somebody who puts music under films."""
    name = licence.upper()
    if not commercial_use:
        credit = "with credit to its authors, " if "BY" in name else ""
        return f"Free {credit}for films that earn nothing; not for monetised videos, advertising or paid work"
    if name.startswith("CC0"):
        return "Free for any film, also one that earns money; no credit needed"
    return "Free for any film, also one that earns money; keep the licence where the weights are passed on"


def verify(model: ModelInfo) -> Iterator[tuple[str, int, str]]:
    """(name, bytes, what is wrong or empty) of each file of a model as its bytes are read: minutes for the largest."""
    for name, digest in model.files:
        assert model.folder is not None, model.name
        path, wrong = model.folder / name, ""
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    wrong = "not the bytes its card describes (hash differs)"
        except OSError as err:
            size, wrong = 0, f"can't be read ({err.strerror})"
        yield name, size, wrong


def remove_model(name: str) -> None:
    """Delete the folder of an imported model or a part. ModelError where there is none, or it ships with gvm."""
    if name.lower() in RESERVED:
        raise ModelError(f"{name} is part of gvm itself; only what was imported or pulled can be removed")
    folder = models_folder() / name
    if not is_name(name) or not folder.is_dir():
        raise ModelError(f"{folder} isn't there; `gvm models` lists what can be removed")
    with claimed(name):
        _delete(_set_aside(folder))


def put_in_place(new: Path, name: str) -> None:
    """Make the finished folder `new` the model `name`, instead of one that may have that name. DeliveryError.

    Call it within `claimed`.
    """
    target = models_folder() / name
    old = _set_aside(target) if target.is_dir() else None
    try:
        new.rename(target)
    except OSError as err:
        if old is not None:
            old.rename(target)
        raise DeliveryError(f"{target} can't be written ({err.strerror}); see what lies there") from err
    if old is not None:
        _delete(old)


@contextmanager
def claimed(name: str) -> Iterator[None]:
    """Context in which no other gvm writes or removes the model `name`. ModelError where another one is at it.

    The claim is a lock on a hidden file, which the system lifts however this process ends. DeliveryError where the
    folder of models can't be written.
    """
    path = models_folder() / f".{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _locked(path)
    except BlockingIOError as err:
        raise ModelError(f"another gvm is working on {name}, in {path.parent}; wait until it is done") from err
    except OSError as err:
        raise DeliveryError(
            f"{path.parent} can't be written ({err.strerror}); set GVM_MODELS to a folder of yours"
        ) from err
    try:
        yield
    finally:
        if os.name != "nt":  # where an open file can't be removed; it may stay
            path.unlink(missing_ok=True)
        file.close()


def _locked(path: Path) -> BinaryIO:
    """`path`, made if need be, locked for this process as long as it is open. BlockingIOError where another has it."""
    while True:
        file = path.open("ab")
        try:
            _lock(file)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass  # the one who had it has just removed it: what we locked has no name any more
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as err:
            raise BlockingIOError(err.errno, err.strerror) from err
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as err:  # some network drives know no locks; there it has to go without
        log.info("%s can't be locked (%s)", file.name, err.strerror)


def _set_aside(folder: Path) -> Path:
    """`folder` under a name that is no model's: gone at one stroke, so that no half of a model is left to be found."""
    doomed = folder.with_name(f".{folder.name}.removed")
    if os.path.lexists(doomed):
        _delete(doomed)
    folder.rename(doomed)
    return doomed


def _delete(folder: Path) -> None:
    """Remove a folder and all in it, or a link to one without what it leads to."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)


# --- reading what lies there -------------------------------------------------------------------------------------


def _is_path(name: str) -> bool:
    separators = {"/", os.sep, os.altsep} - {None}
    return any(str(separator) in name for separator in separators) or name.startswith("~") or name in (".", "..")


def _at_path(path: Path) -> ModelInfo:
    if path.is_file():
        raise ModelError(f"{path} is a file, not a model folder; `gvm models import {path} --name NAME` makes one")
    if not path.is_dir():
        raise ModelError(f"{path} isn't there; name a model that `gvm models` lists, or the folder of one")
    if (path / "model" / MODEL_FILE).is_file() and not (path / MODEL_FILE).is_file():
        path = path / "model"  # the folder of a training run
    if not (path / MODEL_FILE).is_file():
        raise ModelError(f"{path} holds no {MODEL_FILE}; `gvm models import {path} --name NAME` reads published files")
    return _read(path.absolute())


def _installed() -> list[ModelInfo]:
    """Those in the folder of models, by name; folders without a file don't count."""
    try:
        names = sorted(path.name for path in models_folder().iterdir() if path.is_dir() and any(path.iterdir()))
    except OSError:
        return []
    return [_read(models_folder() / name) for name in names if is_name(name) and name.lower() not in RESERVED]


def _read(folder: Path) -> ModelInfo:
    """What the cards in `folder` say of the model there, and what is wrong with it."""
    if not (folder / MODEL_FILE).exists():
        return _read_part(folder) if (folder / PART_FILE).exists() else _unfinished(folder)
    about, problem = _json(folder / MODEL_FILE, "import it again, or `gvm models remove` it")
    card = about.get("card")
    card = card if isinstance(card, dict) else {}
    config, problem = (None, problem) if problem else _config(about, folder)
    problem = problem or _card_problem(about, card, folder) or _parts_problem(about, config, folder)
    files = {WEIGHTS: about.get("sha256"), **about.get("files", {})} if not problem else {}
    sizes, parameters, problem = _files(folder, list(files), problem)
    return ModelInfo(
        name=folder.name,
        licence=str(card.get("licence", "unknown")),
        commercial_use=card.get("commercial_use") is True,  # what isn't said isn't allowed
        size_bytes=sizes,
        sha256=str(about.get("sha256", "")) if not problem else "",
        folder=folder,
        about=describe(config) if config is not None else "",
        problem=problem,
        source=str(card.get("source", "")),
        parameters=parameters,
        config=config,
        files=tuple(files.items()),
    )


def _unfinished(folder: Path) -> ModelInfo:
    """What a pull that was interrupted leaves, or somebody who made a folder by hand."""
    problem = (
        f"{folder} holds neither {MODEL_FILE} nor {PART_FILE}, so it isn't finished; `gvm models pull {folder.name}` "
        f"goes on where it stopped, `gvm models remove {folder.name}` removes it"
    )
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return ModelInfo(folder.name, "unknown", False, size, "", folder, "unfinished", problem, "part")


def _read_part(folder: Path) -> ModelInfo:
    about, problem = _json(folder / PART_FILE, f"fetch it again: gvm models pull {folder.name} --overwrite")
    files = about.get("files")
    if not problem and not _are_files(files):
        problem = f"{folder / PART_FILE} is damaged; fetch it again: gvm models pull {folder.name} --overwrite"
    sizes = 0
    for name in files if isinstance(files, dict) and not problem else ():
        try:
            sizes += (folder / name).stat().st_size
        except OSError:
            problem = f"{folder / name} is missing; fetch it again: gvm models pull {folder.name} --overwrite"
            break
    return ModelInfo(
        name=folder.name,
        licence=str(about.get("licence", "unknown")),
        commercial_use=about.get("commercial_use") is True,
        size_bytes=sizes,
        sha256="",
        folder=folder,
        about=str(about.get("about", "")),
        problem=problem,
        kind="part",
        source=str(about.get("source", "")),
        files=tuple(files.items()) if isinstance(files, dict) and not problem else (),
    )


def _json(path: Path, remedy: str) -> tuple[dict[str, Any], str]:
    """(object in the file, what is wrong)."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, f"{path} is missing; {remedy}"
    except (OSError, ValueError, RecursionError):
        return {}, f"{path} is damaged; {remedy}"
    return (about, "") if isinstance(about, dict) else ({}, f"{path} is damaged; {remedy}")


def _config(about: dict[str, Any], folder: Path) -> tuple[ModelConfig | None, str]:
    """(config, what is wrong)."""
    path, form = folder / MODEL_FILE, about.get("format", FORMAT)
    if isinstance(form, int) and form > FORMAT:
        return None, f"{path} was written by a later gvm (format {form}, this one reads {FORMAT}); update gvm"
    try:
        return ModelConfig.from_json(about["config"]), ""
    except TypeError as err:
        if "unexpected keyword" in str(err):
            unknown = str(err).rpartition("argument ")[2]
            return None, f"{path} was written by a later gvm (this one doesn't know the setting {unknown}); update gvm"
        return None, f"{path} describes no model of gvm; import it again, or `gvm models remove` it"
    except (KeyError, ValueError, AttributeError) as err:
        reason = " ".join(str(err).split())
        return None, f"{path} describes no model of gvm ({reason}); import it again, or `gvm models remove` it"


def _card_problem(about: dict[str, Any], card: dict[str, Any], folder: Path) -> str:
    files, damaged = about.get("files", {}), ""
    if not isinstance(card.get("licence"), str) or not isinstance(card.get("commercial_use"), bool):
        damaged = "its licence isn't said"
    elif not isinstance(about.get("sha256"), str) or not _SHA256.fullmatch(about["sha256"]):
        damaged = "the hash of its weights isn't said"
    elif not _are_files(files):
        damaged = "its list of files can't be read"
    return f"{folder / MODEL_FILE} is damaged ({damaged}); import it again, or `gvm models remove` it" * bool(damaged)


def _parts_problem(about: dict[str, Any], config: ModelConfig | None, folder: Path) -> str:
    """What of the frozen parts that the settings ask for isn't among the files."""
    assert config is not None, "said before"
    needed = {"vision.safetensors": config.tower is not None, "codec.safetensors": config.encodec is not None}
    for name in (name for name, wanted in needed.items() if wanted and name not in about.get("files", {})):
        return f"{folder / MODEL_FILE} names no {name}, which its settings ask for; import the model again"
    return ""


def _files(folder: Path, names: list[str], problem: str) -> tuple[int, int, str]:
    """(bytes, parameters, what is wrong) of the files of a model; their headers are read, no weights."""
    sizes = parameters = 0
    for name in names:
        path = folder / name
        try:
            sizes += path.stat().st_size
            if path.suffix == ".safetensors":
                parameters += read_shapes(path).parameters
        except FileNotFoundError:
            problem = problem or f"{path} is missing; import the model again"
        except WeightsFileError as err:
            problem = problem or f"{path} is damaged ({err}); import the model again"
        except OSError as err:
            problem = problem or f"{path} can't be read ({err.strerror}); check its rights"
    return sizes, parameters, problem


def _are_files(files: Any) -> bool:
    """Whether `files` is {name of a file in the folder itself: sha256}."""
    return isinstance(files, dict) and all(
        isinstance(digest, str) and _SHA256.fullmatch(digest) and name not in ("", ".", "..")
        and not set(name) & {"/", "\\", "\0"}
        for name, digest in files.items()
    )  # fmt: skip


def describe(config: ModelConfig) -> str:
    """What a model is made of, in one line."""
    decoder, features = config.decoder, config.features
    eyes = {"descriptors": "patch descriptors", "clip": "CLIP", "vivit": "ViViT"}[config.vision]
    if config.tower is not None:
        eyes += f" {config.tower.layers} layers, {config.tower.resolution} pixels"
    queries = f"{features.queries} quer{'y' if features.queries == 1 else 'ies'}"
    reads = queries if features.transformation == "queries" else "no feature transformation"
    voice = "score codec and synthesiser"
    if config.encodec is not None:
        codec = config.encodec
        voice = f"EnCodec {codec.sample_rate / 1000:g} kHz, {codec.codebooks} x {codec.card}"
    return f"{eyes} -> {reads} -> decoder {decoder.layers} layers x {decoder.dim}, {decoder.heads} heads -> {voice}"


def _starter() -> ModelInfo:
    spec = find_spec("core")
    assert spec is not None and spec.origin is not None, "core is part of gvm"
    about = "Ships with gvm: patch descriptors -> GVMGen -> score codec and synthesiser, ten styles, stems and MIDI."
    model = replace(_read(Path(spec.origin).parent / "starter" / "weights"), name=STARTER, about=about)
    if not model.problem:
        return model
    what = model.problem.partition("; ")[0]
    remedy = "install gvm again, or train it: python scripts/train_starter.py"
    return replace(model, licence="CC0-1.0", commercial_use=True, problem=f"{what}; {remedy}")


def _tone() -> ModelInfo:
    """Said here and not asked of `generators`, which looks models up here; a test holds the two together."""
    about = "Sine chords on a steady beat, for tests: needs no weights and no torch."
    digest = hashlib.sha256(b"tone 3").hexdigest()
    return ModelInfo(TONE, "CC0-1.0", True, 0, digest, None, about)
