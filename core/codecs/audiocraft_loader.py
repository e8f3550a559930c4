"""Loads audiocraft 1.3.0 beside a torch that is years newer than the one it asks for, and quietly."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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
            with _any_cuda():
                importlib.import_module("torchaudio")
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
def _any_cuda() -> Iterator[None]:
    """torch says that it has no CUDA, so that torchaudio, built for another CUDA, can be imported.

    It refuses for the sake of compiled parts that audiocraft never calls.
    """
    import torch

    version = torch.version.cuda
    torch.version.cuda = None
    try:
        yield
    finally:
        torch.version.cuda = version
