"""Fetches what others publish on the Hugging Face hub into the folder of models: SPINE `pull`.

A file is written as NAME.HASH.part, its bytes are hashed, and only what the hub's listing says gets its final name;
a part that is left lying is gone on with next time. `source.json`, written last, makes the folder a finished one. What
somebody put there by hand is taken if it is right, or, where the hub can't be reached, as it is.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from core.errors import DeliveryError, MissingDependencyError, ModelError
from gvm_plugin.models import (
    CARD_FILE,
    MODEL_FILE,
    PART_FILE,
    ModelInfo,
    claimed,
    find_installed,
    licence_in_words,
    models_folder,
)

Progress = Callable[[str, int, int], None]  # (file, bytes there, bytes of the whole file)

_SITE: Final = "https://huggingface.co"
_BLOCK: Final = 1 << 20
_ROOM: Final = 1.1  # free space wanted, of what is still to come
_TRIES: Final = 5  # in a row without a byte
_TIMEOUT_SECONDS: Final = 30.0
_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no quotas of that kind
PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Remote:
    """Something on the hub. files: what is wanted of it, each as names of which the first that is there is taken."""

    name: str
    repository: str
    files: tuple[tuple[str, ...], ...]
    licence: str
    commercial_use: bool
    about: str


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it. digest: sha256 of its bytes, or git's sha1 of it where it is a small one."""

    name: str
    size: int
    digest: str


_NC: Final = "CC-BY-NC-4.0"
_AUDIOCRAFT: Final = (("state_dict.bin",), ("compression_state_dict.bin",))
_TRANSFORMERS: Final = (("config.json",), ("preprocessor_config.json",), ("model.safetensors", "pytorch_model.bin"))
REMOTES: Final = (
    Remote("musicgen-small", "facebook/musicgen-small", _AUDIOCRAFT, _NC, False,
           "MusicGen small, 24 layers x 1024: weights from which training starts"),
    Remote("musicgen-medium", "facebook/musicgen-medium", _AUDIOCRAFT, _NC, False,
           "MusicGen medium, 48 layers x 1536: weights from which training starts"),
    Remote("encodec-32khz", "facebook/encodec_32khz",
           (("config.json",), ("model.safetensors", "pytorch_model.bin")), _NC, False,
           "EnCodec 32 kHz, 4 x 2048: the codec of MusicGen and GVMGen, for gvm models import --codec"),
    Remote("clip-vit-l-14-336", "timm/vit_large_patch14_clip_336.openai",
           (("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),), "MIT", True,
           "CLIP ViT-L/14 at 336 pixels, OpenAI's weights: the vision tower, for training"),
    Remote("mbd-musicgen-32khz", "facebook/multiband-diffusion", (("mbd_musicgen_32khz.th",),), _NC, False,
           "MultiBandDiffusion for EnCodec 32 kHz: another decoder of the same codes, for --decoder mbd"),
    Remote("clap-music", "laion/larger_clap_music", _TRANSFORMERS, "Apache-2.0", True,
           "CLAP trained on music: embeddings for FAD, for gvm evaluate compare"),
    Remote("ast-audioset", "MIT/ast-finetuned-audioset-10-10-0.4593", _TRANSFORMERS, "BSD-3-Clause", True,
           "Audio Spectrogram Transformer, 527 labels of AudioSet: for KLD, for gvm evaluate compare"),
)  # fmt: skip


def find_remote(name: str) -> Remote:
    """What `gvm models pull name` fetches; ModelError with a near name if there is nothing of that name."""
    for remote in REMOTES:
        if remote.name == name:
            return remote
    names = [remote.name for remote in REMOTES]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else "a model in the published format comes in with `gvm models import`"
    raise ModelError(f"{name!r} can't be pulled; what can is {', '.join(names)}; {hint}")


def pull(name: str, progress: Progress | None = None, overwrite: bool = False) -> ModelInfo:
    """Fetch `name` from the hub, or what of it is missing; what then lies there.

    Raises ModelError (unknown, refused, no connection, wrong bytes, being fetched already) or DeliveryError (no room,
    no right to write).
    Interrupted, it can be called again and goes on.
    """
    remote = find_remote(name)
    _endpoint()  # huggingface_hub can't even be imported with some wrong ones
    folder = models_folder() / name
    with claimed(name), _writing(folder):
        if (folder / PART_FILE).is_file() and not overwrite:
            raise ModelError(f"{name} is there already, in {folder}; --overwrite fetches it again where it changed")
        if (folder / MODEL_FILE).exists():
            raise ModelError(f"a model of your own has the name {name}, in {folder}; rename that folder first")
        folder.mkdir(parents=True, exist_ok=True)
        _fetch_missing(remote, folder, progress)
    return find_installed(name)


def _fetch_missing(remote: Remote, folder: Path, progress: Progress | None) -> None:
    """Complete the folder: by what the hub lists now, or, where it can't be reached, by what was put there."""
    try:
        commit, files = _listing(remote, folder)
    except _NoConnection as err:
        if not _complete(remote, folder):
            raise
        _finish(remote, folder, f"put there by hand, not compared with the hub ({err.reason})", "")
        return
    missing = [file for file in files if not _is_right(folder / file.name, file)]
    _check_room(folder, sum(file.size - _part_size(folder, file) for file in missing), remote)
    if missing:
        (folder / PART_FILE).unlink(missing_ok=True)
    for file in missing:
        _fetch(remote, commit, file, folder, progress)
    _finish(remote, folder, f"{_page(remote)}/tree/{commit}", commit)


class _NoConnection(ModelError):
    def __init__(self, remote: Remote, folder: Path, reason: str) -> None:
        self.reason = reason
        files = ", ".join(" or ".join(f"{_page(remote)}/resolve/main/{name}" for name in names)
                          for names in remote.files)  # fmt: skip
        super().__init__(
            f"{remote.name} can't be fetched ({reason}); with a connection run this again, or download by hand {files} "
            f"into {folder} and run it again"
        )


# --- the hub -----------------------------------------------------------------------------------------------------


def _listing(remote: Remote, folder: Path) -> tuple[str, list[RemoteFile]]:
    """(commit, the wanted files) as the hub lists them now."""
    api, error = _hub()
    with _hub_errors(remote, folder, error):
        info = api(endpoint=_endpoint()).model_info(remote.repository, files_metadata=True, timeout=_TIMEOUT_SECONDS)
    there = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    files = []
    for names in remote.files:
        found = next((there[name] for name in names if name in there), None)
        if found is None:
            raise ModelError(f"{_page(remote)} holds no {' or '.join(names)} any more; update gvm")
        digest, size = (found.lfs.sha256, found.lfs.size) if found.lfs else (found.blob_id, found.size)
        if digest is None or size is None or info.sha is None:
            raise ModelError(f"{_page(remote)} doesn't say size and hash of {found.rfilename}; check HF_ENDPOINT")
        files.append(RemoteFile(found.rfilename, size, digest))
    return str(info.sha), files


def _fetch(remote: Remote, commit: str, file: RemoteFile, folder: Path, progress: Progress | None) -> None:
    """Get `file` under its name in `folder`, from where an earlier part of it ended."""
    part = _part(folder, file)
    for old in folder.glob(f"{file.name}.*.part"):  # of another revision
        if old != part:
            old.unlink()
    tries = 0
    while (had := _part_size(folder, file)) < file.size:
        try:
            _stream(remote, commit, file, part, folder, progress)
        except _NoConnection:
            tries = 0 if _part_size(folder, file) > had else tries + 1
            if tries >= _TRIES:
                raise
            time.sleep(PAUSE_SECONDS)
    if part.stat().st_size != file.size or not _has_digest(part, file.digest):
        part.unlink()
        raise ModelError(
            f"{file.name} of {remote.name} came with other bytes than {_page(remote)} lists (its hash differs), and "
            "was removed; run this again"
        )
    os.replace(part, folder / file.name)


def _stream(remote: Remote, commit: str, file: RemoteFile, part: Path, folder: Path, progress: Progress | None) -> None:
    """Append to `part` what the hub sends of the rest; _NoConnection where it ends too early."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # its manual names them, its __all__ doesn't
        build_hf_headers,
        hf_raise_for_status,
    )

    _, error = _hub()
    had = _part_size(folder, file)
    url = hf_hub_url(remote.repository, file.name, revision=commit, endpoint=_endpoint())
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={had}-"}
    with _hub_errors(remote, folder, error), get_session().stream(
        "GET", url, headers=headers, timeout=_TIMEOUT_SECONDS
    ) as answer:  # fmt: skip
        hf_raise_for_status(answer)
        if answer.status_code != 206:  # the whole of it, whatever was asked for
            had = 0
        with part.open("r+b" if part.exists() else "wb") as output:
            output.truncate(had)
            output.seek(had)
            for block in answer.iter_bytes():  # as they come: larger blocks would be lost with the connection
                output.write(block)
                had += len(block)
                if had > file.size:
                    break  # it can't be the file; its hash will say so
                if progress is not None:
                    progress(file.name, had, file.size)
    if had < file.size:
        raise _NoConnection(remote, folder, "the connection broke")


def _hub() -> tuple[type[Any], type[Exception]]:
    """The hub's client, and what it raises when it reaches nobody."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # its HTTP library's, of any name
    except ImportError as err:
        raise MissingDependencyError("huggingface_hub isn't installed; pip install huggingface_hub") from err
    return HfApi, HTTPError


def _endpoint() -> str | None:
    """Asked anew each time: huggingface_hub reads the variable once, when it is imported."""
    named = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/")
    try:
        address = urlsplit(named)
        good = not named or (address.scheme in ("http", "https") and address.hostname and address.port != 0)
    except ValueError:  # from the port, or brackets
        good = False
    if not good:
        raise ModelError(f"HF_ENDPOINT is {named!r}, which is no address of a hub; unset it, or write https://...")
    return named or None


@contextmanager
def _hub_errors(remote: Remote, folder: Path, error: type[Exception]) -> Iterator[None]:
    """What can go wrong on the way to the hub, as our errors."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except OfflineModeIsEnabled as err:
        raise _NoConnection(remote, folder, "HF_HUB_OFFLINE is set") from err
    except HfHubHTTPError as err:
        status = err.response.status_code
        if isinstance(err, GatedRepoError) or status in (401, 403):
            raise ModelError(
                f"the hub keeps {remote.name} for those it knows (HTTP {status}); accept the licence on {_page(remote)}"
                " and set HF_TOKEN to a token of yours that is valid"
            ) from err
        if status == 404:
            raise ModelError(f"{_page(remote)} isn't there any more (HTTP 404); update gvm") from err
        raise _NoConnection(remote, folder, f"the hub answers HTTP {status}") from err
    except error as err:
        raise _NoConnection(remote, folder, f"no connection: {type(err).__name__} {err}".strip()) from err
    except (ValueError, KeyError, TypeError) as err:
        raise _NoConnection(remote, folder, "what answers isn't a hub; check HF_ENDPOINT and the network") from err


# --- the folder --------------------------------------------------------------------------------------------------


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Trouble with the disk, as our errors."""
    try:
        yield
    except OSError as err:
        if err.errno in _FULL:
            raise DeliveryError(
                f"{folder}: the disk is full; make room, or set GVM_MODELS to a folder elsewhere, and run this again: "
                "it goes on where it stopped"
            ) from err
        raise DeliveryError(
            f"{err.filename or folder} can't be written ({err.strerror or err}); set GVM_MODELS to a folder of yours"
        ) from err


def _check_room(folder: Path, needed: int, remote: Remote) -> None:
    free = shutil.disk_usage(folder).free
    if needed * _ROOM > free:
        raise DeliveryError(
            f"{remote.name} needs {needed * _ROOM / 1e9:.2f} GB and {folder} has {free / 1e9:.2f} GB free; make room, "
            "or set GVM_MODELS to a folder elsewhere"
        )


def _part(folder: Path, file: RemoteFile) -> Path:
    return folder / f"{file.name}.{file.digest[:12]}.part"


def _part_size(folder: Path, file: RemoteFile) -> int:
    try:
        return _part(folder, file).stat().st_size
    except FileNotFoundError:
        return 0


def _is_right(path: Path, file: RemoteFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and _has_digest(path, file.digest)


def _has_digest(path: Path, digest: str) -> bool:
    """Whether the file has that hash: 64 digits are its sha256, 40 git's (sha1 of "blob SIZE NUL" and the bytes)."""
    with path.open("rb") as file:
        if len(digest) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
        git = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        while block := file.read(_BLOCK):
            git.update(block)
        return git.hexdigest() == digest


def _complete(remote: Remote, folder: Path) -> bool:
    return all(any((folder / name).is_file() for name in names) for names in remote.files)


def _finish(remote: Remote, folder: Path, source: str, commit: str) -> None:
    """Write the card and, last, the file that says what lies here."""
    files = {}
    for names in remote.files:
        name = next(name for name in names if (folder / name).is_file())
        with (folder / name).open("rb") as file:
            files[name] = hashlib.file_digest(file, "sha256").hexdigest()
    about = {
        "name": remote.name,
        "about": remote.about,
        "licence": remote.licence,
        "commercial_use": remote.commercial_use,
        "repository": remote.repository,
        "revision": commit,
        "source": source,
        "files": files,
    }
    words = licence_in_words(remote.licence, remote.commercial_use)
    rows = "\n".join(f"| {name} | `{digest}` |" for name, digest in files.items())
    card = (
        f"# {remote.name}\n\n{remote.about}.\n\n| | |\n|---|---|\n| source | {source} |\n"
        f"| repository | {_page(remote)} |\n| licence | {remote.licence}. {words}. |\n\n"
        f"| file | sha256 |\n|---|---|\n{rows}\n"
    )
    _write(folder / CARD_FILE, card)
    _write(folder / PART_FILE, json.dumps(about, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _page(remote: Remote) -> str:
    return f"{_SITE}/{remote.repository}"
