"""Where the weights lie that `gvm evaluate` listens with: named, pulled, or in the hub's own store. Opens nothing.

vggish    vggish-10086976.pth of torchvggish, put into the folder of models by hand (it is on no hub)
clap      laion/larger_clap_music              gvm models pull clap-music
encodec   facebook/encodec_32khz               gvm models pull encodec-32khz
ast       MIT/ast-finetuned-audioset-10-10-0.4593   gvm models pull ast-audioset
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import ModelError
from gvm_plugin.models import PART_FILE, models_folder

_VGGISH_FILE: Final = "vggish-10086976.pth"
_VGGISH_URL: Final = f"https://github.com/harritaylor/torchvggish/releases/download/v0.1/{_VGGISH_FILE}"


@dataclass(frozen=True)
class Listener:
    """part: its folder among the models. repository: on the hub, or empty where `gvm models pull` can't fetch it."""

    part: str
    repository: str


LISTENERS: Final = {
    "vggish": Listener("vggish", ""),
    "clap": Listener("clap-music", "laion/larger_clap_music"),
    "encodec": Listener("encodec-32khz", "facebook/encodec_32khz"),
    "ast": Listener("ast-audioset", "MIT/ast-finetuned-audioset-10-10-0.4593"),
}


def find_weights(name: str, given: Path | None = None) -> Path:
    """File or folder of the weights of `name`: `given`, else what was pulled, else what the hub's own store holds.

    ModelError with the remedy where they are nowhere; no connection is made.
    """
    if given is not None:
        given = given.expanduser()
        if not given.exists():
            raise ModelError(f"{given} isn't there; name the file or folder with the weights of {name}")
        return given
    if name not in LISTENERS:
        raise ModelError(f"there is no {name!r} to listen with; there is {', '.join(LISTENERS)}")
    listener = LISTENERS[name]
    folder = models_folder() / listener.part
    if listener.repository:
        if (folder / PART_FILE).is_file():
            return folder
        if (stored := _in_the_hubs_store(listener.repository)) is not None:
            return stored
        raise ModelError(f"the weights of {name} aren't here; fetch them: gvm models pull {listener.part}")
    if folder.is_dir():
        return folder
    raise ModelError(f"the weights of {name} aren't here; download {_VGGISH_URL} (275 MB) into {folder}")


def _in_the_hubs_store(repository: str) -> Path | None:
    """The newest snapshot of a repository that another program fetched; None where there is none with weights."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HF_HOME", "~/.cache/huggingface") + "/hub"
    snapshots = Path(named).expanduser() / f"models--{repository.replace('/', '--')}" / "snapshots"
    whole = [
        folder
        for folder in (snapshots.iterdir() if snapshots.is_dir() else ())
        if (folder / "config.json").is_file()
        and any((folder / weights).is_file() for weights in ("model.safetensors", "pytorch_model.bin"))
    ]
    return max(whole, key=lambda folder: folder.stat().st_mtime, default=None)
