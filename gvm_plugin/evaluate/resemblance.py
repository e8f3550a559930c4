"""Does generated music resemble the reference: FAD on embeddings, KLD on labels, by networks others trained.

Their weights aren't part of gvm. Where none were asked for, those that are on this machine are used and it is said
which are not, and how to get them; one that was asked for by name and isn't there is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from gvm_plugin.evaluate.statistics import Difference, Estimate, of_sets
from gvm_plugin.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from core.evaluation.embedders import Embedder, Tagger
    from core.evaluation.frechet import Gaussian

Floats = npt.NDArray[np.floating]

_RESAMPLES: Final = 300
_WIDE, _RESAMPLES_WIDE = 256, 150  # embeddings of more dimensions take seconds for a distance


@dataclass(frozen=True, eq=False)
class Ears:
    """The networks at hand. notes: which are missing, and the remedy."""

    embedders: tuple[Embedder, ...] = ()
    taggers: tuple[Tagger, ...] = ()
    notes: tuple[str, ...] = ()

    def listen(self, mono: npt.NDArray[np.float32]) -> Impression:
        """What they make of sound [N] at 48 kHz."""
        import soxr

        rates = {each.rate for each in self.embedders} | {each.rate for each in self.taggers}
        sounds = {rate: mono if rate == SAMPLE_RATE else soxr.resample(mono, SAMPLE_RATE, rate) for rate in rates}
        return Impression(
            {each.name: each.embed(sounds[each.rate]) for each in self.embedders},
            {each.name: each.windows(sounds[each.rate]) for each in self.taggers},
        )


@dataclass(frozen=True, eq=False)
class Impression:
    """Of one piece: embeddings [n, d] by embedder, label probabilities of its windows [w, c] by tagger."""

    embeddings: Mapping[str, Floats]
    labels: Mapping[str, Floats]


def open_ears(embedders: Sequence[str], labels: Sequence[str], device: str = "cpu") -> Ears:
    """The networks that were asked for, each NAME or NAME=WEIGHTS; with none asked for, all that are here.

    ValueError for a name that doesn't exist or is there twice, ModelError for weights that were asked for and aren't
    here.
    """
    from core.evaluation.embedders import EMBEDDERS, TAGGERS, open_embedder, open_tagger
    from gvm_plugin.evaluate_weights import find_weights

    wanted = [_named(text, EMBEDDERS, "embedder") for text in embedders]
    tags = [_named(text, TAGGERS, "labels") for text in labels]
    for option, given in (("embedder", wanted), ("labels", tags)):
        for name, times in Counter(name for name, _ in given).items():
            if times > 1:
                raise ValueError(f"--{option} {name} is given twice, and has one column; take one of its weights a run")
    asked = bool(wanted or tags)
    notes: list[str] = []

    def at_hand(names: Sequence[str]) -> list[tuple[str, Path]]:
        found = []
        for name in names:
            try:
                found.append((name, find_weights(name)))
            except ModelError as err:
                notes.append(f"{'KLD' if name in TAGGERS else 'FAD'} ({name}) is left out: {err}")
        return found

    places = [(name, find_weights(name, given)) for name, given in wanted] if asked else at_hand(EMBEDDERS)
    tag_places = [(name, find_weights(name, given)) for name, given in tags] if asked else at_hand(TAGGERS)
    return Ears(
        tuple(open_embedder(name, place, device) for name, place in places),
        tuple(open_tagger(name, place, device) for name, place in tag_places),
        tuple(notes),
    )


def _named(text: str, names: Sequence[str], option: str) -> tuple[str, Path | None]:
    name, equals, place = text.partition("=")
    if name not in names:
        raise ValueError(f"--{option} {name!r} isn't known; choose from {', '.join(names)}")
    return name, Path(place) if equals else None


class Sets:
    """Embeddings of pieces, so summed up that the Gaussian of any choice of pieces is quickly had."""

    def __init__(self, pieces: Sequence[Floats]) -> None:
        whole = np.concatenate([np.asarray(piece, np.float64) for piece in pieces])
        self._middle = whole.mean(0)  # taken off first: sums of squares of large numbers lose digits
        self._counts = np.array([len(piece) for piece in pieces], np.float64)
        centred = [np.asarray(piece, np.float64) - self._middle for piece in pieces]
        self._sums = np.stack([piece.sum(0) for piece in centred])
        self._squares = np.stack([piece.T @ piece for piece in centred])
        self.dimensions = whole.shape[1]
        self.size = len(whole)

    def gaussian(self, chosen: npt.NDArray[np.intp]) -> Gaussian:
        """The Gaussian of the pieces with these indices; a piece that is there twice counts twice."""
        from core.evaluation.frechet import gaussian_of

        weights = np.bincount(chosen, minlength=len(self._counts)).astype(np.float64)
        count = float(weights @ self._counts)
        mean = weights @ self._sums / count
        spread = np.tensordot(weights, self._squares, 1) - count * np.outer(mean, mean)
        return gaussian_of(self._middle + mean, spread / (count - 1), round(count))


def fad(reference: Sequence[Floats], system: Sequence[Floats]) -> Estimate | None:
    """Fréchet distance of the embeddings of pieces of the same films, with an interval over the films.

    None where there are fewer than two embeddings on a side, which have no spread. Films without any don't count.
    """
    from core.evaluation.frechet import gaussian_distance

    reference, system = _with_any(reference, system)
    if not _spread(reference, system):
        return None
    ours, theirs = Sets(system), Sets(reference)
    return of_sets(
        lambda chosen: gaussian_distance(theirs.gaussian(chosen), ours.gaussian(chosen)),
        len(system),
        _RESAMPLES if ours.dimensions <= _WIDE else _RESAMPLES_WIDE,
        least=0.0,
    )


def fad_difference(
    reference: Sequence[Floats], system: Sequence[Floats], baseline: Sequence[Floats]
) -> Difference | None:
    """How much larger the distance of `system` is than that of `baseline`, over the same films; no test of it.

    None where `fad` gives none of either.
    """
    from core.evaluation.frechet import gaussian_distance

    reference, system, baseline = _with_any(reference, system, baseline)
    if not _spread(reference, system, baseline):
        return None
    real, ours, theirs = Sets(reference), Sets(system), Sets(baseline)

    def difference(chosen: npt.NDArray[np.intp]) -> float:
        target = real.gaussian(chosen)
        return gaussian_distance(target, ours.gaussian(chosen)) - gaussian_distance(target, theirs.gaussian(chosen))

    return Difference(
        of_sets(difference, len(system), _RESAMPLES if ours.dimensions <= _WIDE else _RESAMPLES_WIDE), None
    )


def _with_any(*sides: Sequence[Floats]) -> list[list[Floats]]:
    """The pieces of the films of which each side has an embedding: whatever is drawn of them, there is something."""
    films = [pieces for pieces in zip(*sides, strict=True) if all(map(len, pieces))]
    return [[pieces[side] for pieces in films] for side in range(len(sides))]


def _spread(*sides: Sequence[Floats]) -> bool:
    return all(sum(map(len, pieces)) > 1 for pieces in sides)


def kld(reference: Impression, system: Impression, tagger: str) -> float | None:
    """KL divergence of the labels of one film's two pieces, window by window; None where either has no window."""
    from core.evaluation.divergence import kl_divergence

    p, q = reference.labels[tagger], system.labels[tagger]
    count = min(len(p), len(q))
    return kl_divergence(p[:count], q[:count]) if count else None


def small_sets(reference: Sequence[Floats], system: Sequence[Floats]) -> str:
    """What there is to say of distances from so few embeddings; empty where there are enough."""
    from core.evaluation.frechet import small_sample_note

    ours, theirs = sum(map(len, system)), sum(map(len, reference))
    return small_sample_note((ours, theirs), system[0].shape[1])
