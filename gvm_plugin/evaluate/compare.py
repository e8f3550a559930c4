"""SPINE of `gvm evaluate compare`: the same films, several systems' music -> whose fits best, with intervals.

match     which file of each folder belongs to which film
watch     every film once
measure   every piece of music by itself: fit, measures without a model, musical measures, impressions
sum up    over the films: means with intervals, retrieval, FAD, near duplicates, differences from a baseline
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError
from gvm_plugin.evaluate import resemblance
from gvm_plugin.evaluate.fit import hit_error_ms, measure_free, strong_cuts
from gvm_plugin.evaluate.material import MONO_RATE, SILENT, hear, learned_from_starter, watch, work_folder
from gvm_plugin.evaluate.metrics import FITTING, KLD, MUSICAL, Metric, fad_metric, kld_metric
from gvm_plugin.evaluate.statistics import Difference, Estimate, chance_rank, mean, paired, ranks, share
from gvm_plugin.evaluate.systems import Matches, films_in, match
from gvm_plugin.folder import VIDEO_SUFFIXES
from gvm_plugin.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from core.evaluation.duplicates import Fingerprint
    from core.evaluation.fit import Fit, FitModel
    from gvm_plugin.analysis import Analysis

REFERENCE: Final = "reference"  # the row of the films' real music
OPENING_SECONDS: Final = 30  # of every piece, for retrieval

Progress = Callable[[str, float], None]  # (step, share of all done 0..1)


@dataclass(frozen=True, eq=False)
class Piece:
    """What was measured of one system's music for one film. values: by metric; None where there was nothing to measure.

    note: what there is to say of its length, speech or damage.
    """

    path: Path
    seconds: float
    values: Mapping[str, float | None]
    fit: Fit
    note: str = ""


@dataclass(frozen=True)
class Retrieval:
    """Does a film find its own music among the system's music for all films, by CMR?

    first: share of films whose own music comes first. rank: mean rank of the own music. ranks: by film. pool: how
    many pieces there were, so chance is 1 / pool and (pool + 1) / 2.
    """

    first: Estimate
    rank: Estimate
    ranks: Mapping[Path, float]
    pool: int

    @property
    def chance_rank(self) -> float:
        """Mean rank where the score knows nothing."""
        return chance_rank(self.pool)


@dataclass(frozen=True, eq=False)
class System:
    """One system's music for the films. refused: films whose music couldn't be compared, with the reason.

    unranked: films that were compared but take no part in the retrieval, with the reason.
    """

    name: str
    matches: Matches
    pieces: Mapping[Path, Piece]
    refused: Mapping[Path, str]
    summary: Mapping[str, Estimate | None]
    differences: Mapping[str, Difference | None] = field(default_factory=dict)
    retrieval: Retrieval | None = None
    unranked: Mapping[Path, str] = field(default_factory=dict)
    duplicates: tuple[tuple[Path, Path, float], ...] = ()
    duplicate_rate: float | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found. films: with their analyses. systems: the reference first, if there is one, then as asked.

    unread: films that can't be read, with the reason. metrics: the columns, in order. baseline: the system from which
    differences are counted, None with one system alone. notes: one sentence each.
    """

    films: Mapping[Path, Analysis]
    systems: tuple[System, ...]
    metrics: tuple[Metric, ...]
    reference: str | None
    baseline: str | None
    notes: tuple[str, ...]
    evaluator_sha256: str
    unread: Mapping[Path, str] = field(default_factory=dict)

    @property
    def asked(self) -> tuple[Path, ...]:
        """All films that any system has music for: those that were compared, then those that can't be read."""
        return (*self.films, *self.unread)


@dataclass(eq=False)
class _Heard:
    """What is kept of a system's pieces until all are there."""

    pieces: dict[Path, Piece] = field(default_factory=dict)
    refused: dict[Path, str] = field(default_factory=dict)
    openings: dict[Path, npt.NDArray[np.float32]] = field(default_factory=dict)
    prints: dict[Path, Fingerprint] = field(default_factory=dict)
    impressions: dict[Path, resemblance.Impression] = field(default_factory=dict)


def compare(
    videos: Path | str,
    systems: Mapping[str, Path],
    *,
    reference: Path | str | None = None,
    patterns: Mapping[str, str] | None = None,
    baseline: str | None = None,
    embedders: Sequence[str] = (),
    labels: Sequence[str] = (),
    model: FitModel | None = None,
    device: str = "cpu",
    keep: Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Measure the music that each of `systems` (name -> folder) made for the films in the folder `videos`.

    reference: folder of the films' real music, for FAD and KLD. patterns: by system, how its files are called, with
    {stem} for the film's name. baseline: the system from which differences are counted (None: the first). embedders,
    labels: for FAD and KLD, NAME or NAME=WEIGHTS; none: those whose weights are here. keep: a folder in which what
    was seen of the films is kept for next time. A film or piece that can't be read is refused and the others go on;
    MediaError where none is left.
    """
    tell = progress or (lambda step, share: None)
    # 1. Who is who: all that can be wrong with names is said before any work.
    films = films_in(Path(videos))
    folders = _folders(systems, reference, patterns or {}, baseline)
    matched = {name: match(films, folder, (patterns or {}).get(name)) for name, folder in folders.items()}
    ears = _ears(embedders, labels, device, reference is not None)
    model = _evaluator(device) if model is None else model
    # 2. The films, those that any system wrote for.
    wanted = [film for film in films if any(film in each.files for each in matched.values())]
    work = len(wanted) * (1 + len(folders))
    analyses: dict[Path, Analysis] = {}
    unread: dict[Path, str] = {}
    for number, film in enumerate(wanted):
        tell(f"watch {film.name}", number / work)
        try:
            analyses[film] = watch(film, model, [*folders.values()], keep)
        except MediaError as err:
            unread[film] = str(err)
    if not analyses:
        film, reason = next(iter(unread.items()))
        raise MediaError(f"{videos}: none of its {len(unread)} films can be compared; {film.name}: {reason}")
    # 3. Every piece by itself.
    heard = {
        name: _Heard(refused={film: reason for film, reason in unread.items() if film in found.files})
        for name, found in matched.items()
    }
    for place, (name, found) in enumerate(matched.items()):
        for number, (film, path) in enumerate(found.files.items()):
            tell(f"{name}: {path.name}", (len(wanted) * (1 + place) + number) / work)
            if film in analyses:
                _take_in(heard[name], film, path, analyses[film], model, ears)
        if not heard[name].pieces:
            film, reason = next(iter(heard[name].refused.items()))
            raise MediaError(f"{name}: none of its {len(found.files)} pieces can be compared; {film.name}: {reason}")
    # 4. Over the films.
    tell("sum up", 1.0)
    real = heard.get(REFERENCE) if reference is not None else None
    if real is not None:
        _add_kld(heard, real, ears)
    base = baseline or next((name for name in systems if len(folders) > 1), None)
    metrics = _metrics(ears, real)
    summed = {name: _summed(name, matched[name], heard[name], analyses, metrics, model, real) for name in folders}
    finished = [_with_differences(summed[name], heard, real, base, summed, metrics) for name in folders]
    return Comparison(
        films=analyses,
        systems=tuple(finished),
        metrics=metrics,
        reference=REFERENCE if reference is not None else None,
        baseline=base,
        notes=(*_notes(finished, heard, real, ears, unread), *_bias(model)),
        evaluator_sha256=model.sha256,
        unread=unread,
    )


def _bias(model: FitModel) -> tuple[str, ...]:
    """What the evaluator that ships leans to."""
    if not learned_from_starter(model):
        return ()
    return (
        "CMR and TA: this evaluator learned how pictures are followed from the starter's own composer, which favours "
        "music that follows them so; set the measures without a model, and listeners, beside them",
    )


def _evaluator(device: str) -> FitModel:
    from core.evaluation.fit import FitModel

    return FitModel.load(device=device)


def _folders(
    systems: Mapping[str, Path], reference: Path | str | None, patterns: Mapping[str, str], baseline: str | None
) -> dict[str, Path]:
    """Folders by name, the reference first. ValueError for names that can't be."""
    if not systems:
        raise ValueError("no system is named; name at least one: --system ours=FOLDER")
    if REFERENCE in systems:
        raise ValueError(f"a system can't be called {REFERENCE!r}; say --reference FOLDER, or choose another name")
    first = {} if reference is None else {REFERENCE: Path(reference)}
    folders = {**first, **systems}
    for what, names in (("pattern", list(patterns)), ("baseline", [baseline] if baseline else [])):
        for name in names:
            if name not in folders:
                raise ValueError(f"--{what} names {name!r}, which is no system; there is {', '.join(folders)}")
    return folders


def _ears(embedders: Sequence[str], labels: Sequence[str], device: str, reference: bool) -> resemblance.Ears:
    if reference:
        return resemblance.open_ears(embedders, labels, device)
    if embedders or labels:
        raise ValueError("FAD and KLD compare with the films' real music; name its folder with --reference")
    return resemblance.Ears()


def _take_in(
    heard: _Heard, film: Path, path: Path, analysis: Analysis, model: FitModel, ears: resemblance.Ears
) -> None:
    """Measure one piece; what can't be compared is put down as refused, with the reason."""
    from core.evaluation.duplicates import fingerprint
    from core.evaluation.musical import musical_measures

    with work_folder() as folder:
        try:
            # a film's sound may hold voices; where they are is a matter of the film, not of pure music
            music = hear(path, analysis.duration, folder, speech=path.suffix.lower() in VIDEO_SUFFIXES)
            music.require_enough()
            fit = model.score(analysis.features, music.mono, MONO_RATE, (0.0, music.common))
        except MediaError as err:
            heard.refused[film] = str(err)
            return
        measures = measure_free(analysis, music, strong_cuts(analysis.shots, music.common))
        whole = music.whole()
        musical = musical_measures(whole, SAMPLE_RATE)
        heard.impressions[film] = ears.listen(whole)
    values: dict[str, float | None] = {
        "cmr": fit.cmr,
        "ta": fit.ta,
        "activity_energy_r": measures.activity_energy_r,
        "cut_accent_lift": measures.cut_accent_lift,
        "hit_error_ms": hit_error_ms(measures.hits),
        **{metric.key: getattr(musical, metric.key) for metric in MUSICAL},
    }
    told = [music.length_note, music.voice_note, *music.warnings]
    heard.pieces[film] = Piece(path, music.common, values, fit, "; ".join(note for note in told if note))
    heard.openings[film] = music.mono[: OPENING_SECONDS * MONO_RATE]
    heard.prints[film] = fingerprint(music.mono, MONO_RATE)


def _add_kld(heard: Mapping[str, _Heard], real: _Heard, ears: resemblance.Ears) -> None:
    """Put each film's KL divergence from the reference among the values of its pieces."""
    for each in heard.values():
        if each is real:
            continue
        for film, piece in each.pieces.items():
            if film in real.pieces:
                given = real.impressions[film], each.impressions[film]
                found = {f"{KLD}{tagger.name}": resemblance.kld(*given, tagger.name) for tagger in ears.taggers}
                each.pieces[film] = Piece(piece.path, piece.seconds, {**piece.values, **found}, piece.fit, piece.note)


def _metrics(ears: resemblance.Ears, real: _Heard | None) -> tuple[Metric, ...]:
    like: list[Metric] = []
    if real is not None:
        like += [fad_metric(each.name, each.about) for each in ears.embedders]
        like += [kld_metric(each.name, each.about) for each in ears.taggers]
    return (*like, *FITTING, *MUSICAL)


def _summed(
    name: str,
    matches: Matches,
    heard: _Heard,
    analyses: Mapping[Path, Analysis],
    metrics: Sequence[Metric],
    model: FitModel,
    real: _Heard | None,
) -> System:
    """What a system's pieces come to, but for differences."""
    summary: dict[str, Estimate | None] = {}
    for metric in metrics:
        if metric.embedder:
            summary[metric.key] = _fad(metric.embedder, heard, real)
        else:
            summary[metric.key] = mean([piece.values.get(metric.key) for piece in heard.pieces.values()])
    pairs = near_duplicates(heard.prints)
    from core.evaluation.duplicates import near_duplicate_rate

    order = list(heard.prints)
    numbers = [(order.index(a), order.index(b), likeness) for a, b, likeness in pairs]
    retrieval, unranked = _retrieval(heard, analyses, model)
    return System(
        name=name,
        matches=matches,
        pieces=heard.pieces,
        refused=heard.refused,
        summary=summary,
        retrieval=retrieval,
        unranked=unranked,
        duplicates=pairs,
        duplicate_rate=near_duplicate_rate(len(order), numbers) if len(order) > 1 else None,
    )


def near_duplicates(prints: Mapping[Path, Fingerprint]) -> tuple[tuple[Path, Path, float], ...]:
    """Pairs of films that got nearly the same music, with how alike it is."""
    from core.evaluation.duplicates import duplicates_of

    order = list(prints)
    return tuple((order[i], order[j], likeness) for i, j, likeness in duplicates_of([*prints.values()]))


def _fad(embedder: str, heard: _Heard, real: _Heard | None) -> Estimate | None:
    if real is None or heard is real:
        return None
    both = [film for film in heard.pieces if film in real.pieces]
    if not both:
        return None
    return resemblance.fad(
        [real.impressions[film].embeddings[embedder] for film in both],
        [heard.impressions[film].embeddings[embedder] for film in both],
    )


def _retrieval(
    heard: _Heard, analyses: Mapping[Path, Analysis], model: FitModel
) -> tuple[Retrieval | None, dict[Path, str]]:
    """(retrieval, films left out of it with the reason). None for fewer than two films.

    All are compared over what the shortest has, so very short ones are left out, and so are those silent so far.
    """
    lengths = {film: min(piece.seconds, OPENING_SECONDS) for film, piece in heard.pieces.items()}
    usual = float(np.median(list(lengths.values())))
    out = {
        film: f"with {seconds:.1f} s much shorter than the others"
        for film, seconds in lengths.items()
        if seconds < usual / 2
    }
    films = [film for film in lengths if film not in out]
    opening = model.opening([analyses[film].features for film in films], [heard.openings[film] for film in films],
                            MONO_RATE)  # fmt: skip
    for film in films:
        if float(np.abs(heard.openings[film][: round(opening * MONO_RATE)]).max(initial=0.0)) < SILENT:
            out[film] = f"silent in the first {opening:g} s, over which all are compared"
    films = [film for film in films if film not in out]
    if len(films) < 2:
        return None, out
    scores = model.matrix(
        [analyses[film].features for film in films], [heard.openings[film] for film in films], MONO_RATE
    )
    places = ranks(scores)
    first, rank = share([bool(place == 1.0) for place in places]), mean([float(place) for place in places])
    assert first is not None
    assert rank is not None
    return Retrieval(first, rank, dict(zip(films, map(float, places), strict=True)), len(films)), out


def _with_differences(
    system: System,
    heard: Mapping[str, _Heard],
    real: _Heard | None,
    base: str | None,
    summed: Mapping[str, System],
    metrics: Sequence[Metric],
) -> System:
    """`system` with its differences from the baseline, film by film."""
    if base is None or system.name == base:
        return system
    other = summed[base]
    differences: dict[str, Difference | None] = {}
    films = [film for film in system.pieces if film in other.pieces]
    for metric in metrics:
        if metric.embedder:
            differences[metric.key] = _fad_difference(metric.embedder, films, heard[system.name], heard[base], real)
        else:
            ours, theirs = ([each.pieces[film].values.get(metric.key) for film in films] for each in (system, other))
            differences[metric.key] = paired(ours, theirs)
    if system.retrieval is not None and other.retrieval is not None and system.retrieval.pool == other.retrieval.pool:
        both = [film for film in system.retrieval.ranks if film in other.retrieval.ranks]
        differences["rank"] = paired(
            [system.retrieval.ranks[film] for film in both], [other.retrieval.ranks[film] for film in both]
        )
    return System(**{**vars(system), "differences": differences})


def _fad_difference(
    embedder: str, films: Sequence[Path], ours: _Heard, theirs: _Heard, real: _Heard | None
) -> Difference | None:
    if real is None or real in (ours, theirs):
        return None
    films = [film for film in films if film in real.pieces]
    if not films:
        return None
    return resemblance.fad_difference(
        *([each.impressions[film].embeddings[embedder] for film in films] for each in (real, ours, theirs))
    )


def _notes(
    systems: Sequence[System],
    heard: Mapping[str, _Heard],
    real: _Heard | None,
    ears: resemblance.Ears,
    unread: Mapping[Path, str],
) -> tuple[str, ...]:
    """What there is to say of the comparison as a whole."""
    notes = [f"{film.name}: left out for every system, since the film can't be compared ({reason})"
             for film, reason in unread.items()]  # fmt: skip
    if real is None:
        notes.append("FAD and KLD are left out: they compare with the films' real music; name it with --reference")
    notes += ears.notes
    for system in systems:
        if system.matches.missing:
            missing = system.matches.missing
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            names = ", ".join(film.stem for film in missing[:3])
            notes.append(f"{system.name}: no music for {names}{more}")
        refused = {film: reason for film, reason in system.refused.items() if film not in unread}
        if refused:
            told = "; ".join(f"{film.stem}: {reason}" for film, reason in refused.items())
            notes.append(f"{system.name}: {len(refused)} refused ({told})")
        if system.unranked:
            told = "; ".join(f"{film.stem}: {reason}" for film, reason in system.unranked.items())
            notes.append(f"{system.name}: rank-1 and mean rank are without {len(system.unranked)} ({told})")
        lengths = [f"{film.stem}: {piece.note}" for film, piece in system.pieces.items() if piece.note]
        if lengths:
            more = f" (and {len(lengths) - 1} more)" if len(lengths) > 1 else ""
            notes.append(f"{system.name}: {lengths[0]}{more}")
    if len({frozenset(system.pieces) for system in systems}) > 1:
        common = frozenset.intersection(*(frozenset(system.pieces) for system in systems))
        notes.append(
            f"not every system has all films, so rows are over different films; {len(common)} are common to all"
        )
    if real is not None:
        for system in systems:
            ours, films = heard[system.name], [film for film in system.pieces if film in real.pieces]
            if ours is real or not films:
                continue
            for each in ears.embedders:
                if system.summary[fad_metric(each.name, each.about).key] is None:
                    notes.append(
                        f"FAD ({each.name}) of {system.name} is left out: too few embeddings; more music helps"
                    )
                    continue
                small = resemblance.small_sets(
                    [real.impressions[film].embeddings[each.name] for film in films],
                    [ours.impressions[film].embeddings[each.name] for film in films],
                )
                if small:
                    notes.append(f"FAD ({each.name}) of {system.name} is {small}")
    fewest = min(len(system.pieces) for system in systems)
    if fewest < 10:
        notes.append(
            f"{fewest} films are few: the intervals are too narrow by some; take ten or more to decide anything"
        )
    return tuple(notes)
