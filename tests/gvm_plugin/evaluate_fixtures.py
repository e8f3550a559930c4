"""What the tests of `gvm evaluate` share: short films, music that marks their cuts, an untrained evaluator."""

from __future__ import annotations

import json
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from core.evaluation.fit import FitModel
from gvm_plugin import cli_evaluate
from tests.conftest import write_clip

RATE = 48_000
SECONDS = 8.0
CUTS = (2.0, 5.5)

MODEL = FitModel.untrained()


def film(folder: Path, name: str, cuts: tuple[float, ...] = CUTS, seconds: float = SECONDS, **more: Any) -> Path:
    """A film of small pictures with hard cuts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    write_clip(path, seconds, Fraction(10), (64, 36), cuts, more.get("audio"))
    return path


def music(
    seconds: float = SECONDS, notes: tuple[float, ...] = CUTS, hertz: float = 220.0, rate: int = RATE
) -> npt.NDArray[np.float32]:
    """Sound [N]: a soft tone, and a struck note at each of `notes`."""
    times = np.arange(round(seconds * rate)) / rate
    wave = 0.02 * np.sin(2 * np.pi * hertz * times)
    for at in notes:
        since = times - at
        wave += np.where(since >= 0, 0.4 * np.exp(-6 * np.maximum(since, 0)), 0) * np.sin(4 * np.pi * hertz * times)
    return wave.astype(np.float32)


def write(path: Path, sound: npt.NDArray[np.float32], rate: int = RATE) -> Path:
    """A sound file of what its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate)
    return path


def use_untrained(monkeypatch: Any) -> None:
    """Let the command line evaluate with random weights."""
    monkeypatch.setattr(cli_evaluate, "_load", lambda folder, device: MODEL)


class Page(HTMLParser):
    """Tags with their attributes, and the text outside style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._skip = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._skip = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._skip = False

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """Attributes of all tags of that name."""
        return [attributes for name, attributes in self.tags if name == tag]


def no_strange_numbers(text: str) -> Any:
    """The value of JSON text that says neither NaN nor Infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)
