"""Loads audiocraft 1.3.0 beside a torch that is years newer than the one it asks for, and quietly."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from core.errors import MissingDependencyError

INSTALL = (
    "install it with `make audiocraft`, or `pip install 'gvm[audiocraft]'` and then "
    "`pip install --no-deps audiocraft==1.3.0 xformers==0.0.35`"
)


def load_audiocraft() -> None:
    """Imports audiocraft, so that its modules can be imported like any other afterwards.

    Raises MissingDependencyError where it, or something it needs, isn't installed.
    """
    try:
        with _quietly():
            # Before the stand-in is there: transformers looks for torchaudio once and remembers.
            importlib.import_module("transformers.processing_utils")
            with _without_torchaudio():
                importlib.import_module("audiocraft.models")
    except (ImportError, OSError) as err:
        raise MissingDependencyError(f"audiocraft can't be loaded ({err}); {INSTALL}") from err


@contextmanager
def _quietly() -> Iterator[None]:
    """Without notices of deprecation in packages from 2023, nor xformers' that its attention is for another torch.

    audiocraft uses torch's own attention unless told otherwise.
    """
    xformers = logging.getLogger("xformers")
    level = xformers.level
    xformers.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        xformers.setLevel(level)


@contextmanager
def _without_torchaudio() -> Iterator[None]:
    """Stand-ins for torchaudio and its transforms, where audiocraft would import them.

    torchaudio is no longer built for each new torch, and refuses those of another CUDA; installed beside such a torch
    it even keeps transformers from loading. audiocraft needs it for training losses and melody conditioning alone.
    """
    names = ("torchaudio", "torchaudio.transforms")
    if names[0] in sys.modules:
        yield
        return
    package, transforms = (ModuleType(name) for name in names)
    transforms.__getattr__ = _stand_in  # type: ignore[method-assign]
    package.transforms = transforms  # type: ignore[attr-defined]
    sys.modules.update({names[0]: package, names[1]: transforms})
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _stand_in(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {"__init__": _missing})


def _missing(*_: object, **__: object) -> None:
    raise MissingDependencyError("this part of audiocraft needs torchaudio, which isn't used here")
