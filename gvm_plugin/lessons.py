"""`gvm train finetune --data FILMS`: films with the music their owner likes -> what the starter learns from.

    OUT/pieces-0000.npz    the pieces (`core.training.lessons`), test-0000.npz those held out
    OUT/taste.json         style, orchestras, tempo
    OUT/skipped.jsonl      films that taught nothing, and why

Of every film the stretches count that carry music and no speech.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from core.errors import GVMError, MediaError, ModelError
from core.frames import shown_name
from gvm_plugin.cache import write_json
from gvm_plugin.folder import VIDEO_SUFFIXES
from gvm_plugin.timeline import SAMPLE_RATE, Span

if TYPE_CHECKING:
    from core.pipeline import StarterModel
    from core.training.data import Piece
    from core.training.lessons import Stretch
    from gvm_plugin.analysis import Analysis

Say = Callable[[str], None]

TASTE_FILE: Final = "taste.json"
SKIPPED: Final = "skipped.jsonl"
HELD_OUT: Final = 0.15  # of the stretches, whole films
MOST_STRETCHES: Final = 40  # more take long and teach little
_LONGEST, _SHORTEST = 30.0, 8.0  # seconds of a stretch


@dataclass(frozen=True)
class Prepared:
    """folder: of the lessons. films, stretches: that were learned from. pieces: to learn. skipped: (film, why)."""

    folder: Path
    films: int
    stretches: int
    pieces: int
    skipped: tuple[tuple[str, str], ...]


def holds_films(folder: Path) -> bool:
    """Does `folder` hold films to learn from?"""
    return folder.is_dir() and bool(films_of(folder))


def films_of(folder: Path) -> list[Path]:
    """The films of `folder` in order."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
    )


def prepare_lessons(films: Path, model: str, out: Path, seed: int = 0, say: Say | None = None) -> Prepared:
    """Make the lessons of the films in `films` for the model called `model` in the folder `out`.

    MediaError where no film has music to learn from; ModelError where the model has no score to learn.
    """
    from core.pipeline import StarterModel
    from core.training.lessons import prepare
    from gvm_plugin.models import find_model

    info = find_model(model)
    if info.folder is None or info.slow:
        raise ModelError(f"model {info.name}: can't be fine-tuned on films like this; take --model starter")
    starter = StarterModel("cpu", info.folder)
    tell = say or (lambda line: None)
    skipped: list[tuple[str, str]] = []
    stretches: list[Stretch] = []
    for path in films_of(films):
        try:
            found = list(stretches_of(path, starter))
        except GVMError as err:
            skipped.append((path.name, str(err)))
            continue
        if not found:
            skipped.append((path.name, f"no {_SHORTEST:.0f} s of music without speech"))
        stretches += found
    if not stretches:
        first = f" (first: {skipped[0][0]}, {skipped[0][1]})" if skipped else ""
        raise MediaError(f"{films}: no film in it has music to learn from{first}; add films with music you like")
    stretches = _some(stretches, seed)
    named = len({stretch.film for stretch in stretches})
    tell(f"{len(stretches)} stretches of {named} films; {len(skipped)} films are left out" + _why(skipped))
    lessons = prepare(starter, stretches, seed)
    out.mkdir(parents=True, exist_ok=True)
    learned = _write(out, lessons.pieces)
    write_json(out / TASTE_FILE, lessons.taste.to_json())
    lines = [json.dumps({"film": name, "why": why}, ensure_ascii=False) for name, why in skipped]
    (out / SKIPPED).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    taste = lessons.taste
    tell(f"it likes {taste.style} ({', '.join(taste.palettes)}), {taste.tempo[0]:.0f} to {taste.tempo[1]:.0f} bpm")
    return Prepared(out, named, len(stretches), learned, tuple(skipped))


def stretches_of(path: Path, model: StarterModel) -> Iterator[Stretch]:
    """The stretches of the film at `path` that have music and no speech."""
    from core.training.lessons import Stretch
    from core.vision.picture import PictureFeatures
    from gvm_plugin.analysis import analyse
    from gvm_plugin.dataset.options import BuildOptions
    from gvm_plugin.dataset.spans import plan_pieces
    from gvm_plugin.spotting import hit_points

    analysis = analyse(path, model.open_encoder())
    if not analysis.info.audio:
        raise MediaError(f"{shown_name(path)}: has no sound; add films with their music")
    options = BuildOptions(seconds=_LONGEST, shortest=_SHORTEST)
    plan = plan_pieces(analysis.duration, analysis.music, analysis.speech, (), options, ("music", "speech"))
    for span in plan.pieces:
        seen = analysis.features.between(span.start, span.end)
        hits = tuple((hit.seconds - span.start, hit.strength) for hit in hit_points(analysis.shots, span))
        yield Stretch(
            path.name,
            PictureFeatures(seen.times - span.start, seen.values),
            _sound(analysis, span),
            SAMPLE_RATE,
            span.duration,
            hits,
        )


def _sound(analysis: Analysis, span: Span) -> npt.NDArray[np.float32]:
    """Mono sound [N] of a stretch."""
    from gvm_plugin.probe import read_audio_blocks

    blocks = read_audio_blocks(analysis.info, start=span.start, duration=span.duration)
    return np.concatenate([block.mean(axis=0) for block in blocks]).astype(np.float32)


def _some(stretches: list[Stretch], seed: int) -> list[Stretch]:
    """At most MOST_STRETCHES, of all films alike."""
    if len(stretches) <= MOST_STRETCHES:
        return stretches
    order = np.random.default_rng([seed, 43]).permutation(len(stretches))[:MOST_STRETCHES]
    return [stretches[index] for index in sorted(order)]


def _write(out: Path, pieces: dict[str, list[Piece]]) -> int:
    """Write the pieces of the last few films in one file, those of the others, so many, in another.

    With a single film both hold its pieces.
    """
    from core.training.data import save_pieces

    films = list(pieces)
    held = max(1, round(HELD_OUT * len(films)))
    unseen = films[-held:]
    learned = films[:-held] or films
    chosen = [piece for film in learned for piece in pieces[film]]
    save_pieces([piece for film in unseen for piece in pieces[film]], out / "test-0000.npz")
    save_pieces(chosen, out / "pieces-0000.npz")
    return len(chosen)


def _why(skipped: list[tuple[str, str]]) -> str:
    return f" ({'; '.join(f'{name}: {why}' for name, why in skipped[:3])})" if skipped else ""
