"""Which take of a cue is used, and why. Pure: figures of takes in, a choice and its reasons out.

The score of a take is the mean of two halves, or the one that could be measured:

    fit     the evaluator's CMR and TA: how well music and picture belong together, as learned
    sync    activity against energy, accents on cuts, error of the hit points: counted, nothing learned

Figures of different kinds are made comparable by dividing them by how much each differs among takes of one cue
(SPREADS), the fixed-scale form of a z-score: the mean cancels among takes of one cue, and a scale that doesn't come
from the few takes at hand neither blows up where they are all alike nor makes a take's score hang on the others. A
figure counts only where every take of the cue has it that may be chosen: silence, say, fits nothing and is rejected
anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from gvm_plugin.cuesheet import Settings

By = Literal["hand", "kept", "first", "best", "last resort"]

# Standard deviation among takes of one cue: the starter's music for 17 real and drawn films, 160 takes
# (scripts/bench_takes.py, `spreads`); and which way is better. The starter's hit points differ by 0.3 ms, which nobody
# hears: 10 ms, about what one can, lets the error count only where it is a matter of hearing.
SPREADS: Final[dict[str, tuple[float, int]]] = {
    "cmr": (0.025, 1),
    "ta": (0.053, 1),
    "activity_energy_r": (0.07, 1),
    "cut_accent_lift": (0.4, 1),
    "hit_error_ms": (10.0, -1),
}
HALVES: Final = (("cmr", "ta"), ("activity_energy_r", "cut_accent_lift", "hit_error_ms"))


@dataclass(frozen=True)
class TakeFigures:
    """What is known of one take. None: not measured, or nothing to measure it on. faults: in words, worst first.

    severity: sum of the faults', 0 for none. score: see above; only differences between takes of one cue count.
    """

    number: int
    cmr: float | None = None
    ta: float | None = None
    activity_energy_r: float | None = None
    cut_accent_lift: float | None = None
    hit_error_ms: float | None = None
    score: float | None = None
    faults: tuple[str, ...] = ()
    severity: float = 0.0


@dataclass(frozen=True)
class Choice:
    """The take that a cue gets.

    by: who decided (a person in the sheet, gvm the last time, the first, the best, or nothing better).
    """

    cue: str
    take: int
    by: By
    why: str
    takes: tuple[TakeFigures, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for provenance; what wasn't measured is left out."""
        shown = ("number", "cmr", "ta", "activity_energy_r", "cut_accent_lift", "hit_error_ms", "score")
        takes = []
        for take in self.takes:
            said = {name: getattr(take, name) for name in shown if getattr(take, name) is not None}
            takes.append({**said, **({"rejected": ", ".join(take.faults)} if take.faults else {})})
        return {"take": self.take, "by": self.by, "why": self.why, "takes": takes}


def scored(takes: Sequence[TakeFigures], halves: Sequence[Sequence[str]] = HALVES) -> tuple[TakeFigures, ...]:
    """The takes of one cue with their scores: None where nothing could be measured on all that are without fault.

    A faulty take has one where it has all the figures that count for the others.
    """
    compared = [take for take in takes if not take.faults] or takes
    usable = [[name for name in half if _all_have(name, compared)] for half in halves]
    usable = [half for half in usable if half]
    return tuple(replace(take, score=_score(take, usable)) for take in takes)


def _all_have(name: str, takes: Sequence[TakeFigures]) -> bool:
    return all(getattr(take, name) is not None for take in takes)


def _score(take: TakeFigures, halves: Sequence[Sequence[str]]) -> float | None:
    if not halves or not all(_all_have(name, [take]) for half in halves for name in half):
        return None
    return round(fmean(_mean(take, half) for half in halves), 4)


def _mean(take: TakeFigures, names: Sequence[str]) -> float:
    return fmean(getattr(take, name) / SPREADS[name][0] * SPREADS[name][1] for name in names)


def ranked(takes: Sequence[TakeFigures]) -> list[TakeFigures]:
    """Those without faults, the best first; of equals the one with the lower number."""
    fit = [take for take in takes if not take.faults]
    return sorted(fit, key=lambda take: (-(take.score or 0.0), take.number))


def choose(cue: str, takes: Sequence[TakeFigures], pick: str) -> Choice:
    """The take of a cue that nobody chose by hand. takes: at least one, all that were made.

    Where every take is faulty it is the one that is least so.
    """
    passed = ranked(takes) if pick == "best" else sorted((t for t in takes if not t.faults), key=lambda t: t.number)
    rejected = [take for take in sorted(takes, key=lambda take: take.number) if take.faults]
    if not passed:
        least = min(takes, key=lambda take: (take.severity, take.number))
        others = "it" if len(takes) == 1 else f"none of {len(takes)} takes"
        why = f"{', '.join(least.faults)}; " + (
            "no other was made" if len(takes) == 1 else f"{others} is without fault"
        )
        return Choice(cue, least.number, "last resort", why, tuple(takes))
    chosen = passed[0]
    if pick == "best" and len(passed) > 1 and chosen.score is not None:
        why = f"the best of {len(takes)}" if len(passed) == len(takes) else f"the best of the {len(passed)} that passed"
        return Choice(cue, chosen.number, "best", why, tuple(takes))
    why = "the first that passed" if any(take.number < chosen.number for take in rejected) else "the first"
    if pick == "best" and len(takes) > 1 and len(passed) == 1:
        why = "the only one that passed"
    return Choice(cue, chosen.number, "first", why, tuple(takes))


def circumstances(settings: Settings) -> dict[str, Any]:
    """What of a sheet's settings decides which take is chosen: plain values for provenance."""
    return {"takes": settings.takes, "pick": settings.pick, "no_gate": settings.no_gate}


def notes(choice: Choice) -> tuple[str, ...]:
    """Lines for the person: what was rejected, and loudly what is used although it is faulty."""
    by_number = {take.number: take for take in choice.takes}
    used = by_number.get(choice.take)
    if choice.by == "hand":
        if used is None or not used.faults:
            return ()
        return (
            f"cue {choice.cue}: take {choice.take} was chosen in the cue sheet and is kept, although "
            f"{' and '.join(used.faults)}; with take: auto gvm chooses",
        )
    if choice.by == "kept" and used is not None and used.faults:
        return (
            f"cue {choice.cue}: take {choice.take} is kept as it was, although {' and '.join(used.faults)}; "
            "with take: auto gvm chooses again",
        )
    if choice.by == "last resort":
        tried = f"all {len(choice.takes)} takes are faulty" if len(choice.takes) > 1 else "no other take was made"
        assert used is not None
        return (
            f"cue {choice.cue}: KEPT TAKE {choice.take} ALTHOUGH {' and '.join(used.faults)} ({tried}); "
            "listen to it, and try another --seed or --style",
        )
    rejected = [take for take in choice.takes if take.faults]
    if not rejected:
        return ()
    said = "; ".join(f"take {take.number} rejected: {' and '.join(take.faults)}" for take in rejected)
    return (f"cue {choice.cue}: {said}; take {choice.take} is used",)
