"""SPINE of `gvm evaluate listening-results`: marks -> means with 95 % intervals, in the shape of the paper's Table 2.

The unit is the listener: first each listener's mean over films, then over listeners. Intervals are Student's t with
listeners - 1 degrees of freedom, so they say what other listeners would say of these films; not what these would say
of others. Differences between two systems are taken within each listener; their p values (paired t) are Holm's, over
all pairs of systems of the same question and group.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from core.errors import DeliveryError
from gvm_plugin.evaluate.listening_answers import QUESTIONS, Answers, Key, Mark, read_answers, read_key
from gvm_plugin.evaluate.own import RESULTS, check_own
from gvm_plugin.evaluate.statistics import LEVEL, Difference, Estimate
from gvm_plugin.wav import removed_on_error

_ROUNDING: Final = 1e-9  # marks are 1 to 7: means that differ by less are the same, but for how they were added up
GROUPS: Final = ("non-experts", "experts", "all")


@dataclass(frozen=True)
class Contrast:
    """`difference`: how much higher `system` was marked than `other`, on the same scale."""

    group: str
    question: str
    system: str
    other: str
    difference: Difference


@dataclass(frozen=True)
class Results:
    """What the listeners said. means: (group, question, system) -> mean; absent where nobody marked that.

    listeners: of each group.
    """

    key: Key
    answers: Answers
    listeners: dict[str, int]
    means: dict[tuple[str, str, str], Estimate]
    contrasts: tuple[Contrast, ...]


def listening_results(paths: Sequence[Path], key: Path) -> Results:
    """The results of the answers in `paths`. GVMError where key or answers can't be used."""
    known = read_key(key)
    return summarise(read_answers(paths, known), known)


def summarise(answers: Answers, key: Key) -> Results:
    """Means and differences of all groups and questions."""
    means: dict[tuple[str, str, str], Estimate] = {}
    contrasts: list[Contrast] = []
    listeners: dict[str, int] = {}
    for group in GROUPS:
        marks = [mark for mark in answers.marks if group == "all" or mark.expert == (group == "experts")]
        listeners[group] = len({mark.listener for mark in marks})
        for question in QUESTIONS:
            by_system = {system: _listener_means(marks, question, system) for system in key.systems}
            for system, values in by_system.items():
                if values:
                    means[group, question, system] = t_interval(list(values.values()))
            contrasts += _contrasts(group, question, by_system)
    return Results(key, answers, listeners, means, tuple(contrasts))


def t_interval(values: Sequence[float]) -> Estimate:
    """Mean of `values` with Student's interval; without one for a single value."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Estimate(mean, None, None, count)
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, count - 1)) * _standard_error(values, mean)
    return Estimate(mean, mean - half, mean + half, count)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """`p_values` adjusted for being several (Holm, Scandinavian Journal of Statistics 6, 1979); None stays None."""
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        adjusted[index] = highest
    return adjusted


def _listener_means(marks: Sequence[Mark], question: str, system: str) -> dict[str, float]:
    """listener -> mean mark over films."""
    values: dict[str, list[int]] = {}
    for mark in marks:
        if (mark.question, mark.system) == (question, system):
            values.setdefault(mark.listener, []).append(mark.value)
    return {listener: sum(each) / len(each) for listener, each in values.items()}


def _contrasts(group: str, question: str, by_system: dict[str, dict[str, float]]) -> list[Contrast]:
    pairs = [(one, other) for one, other in combinations(by_system, 2) if by_system[one] and by_system[other]]
    found = [[by_system[one][who] - by_system[other][who] for who in by_system[one]] for one, other in pairs]
    adjusted = holm([_p_value(values) for values in found])
    return [
        Contrast(group, question, one, other, Difference(t_interval(values), p))
        for (one, other), values, p in zip(pairs, found, adjusted, strict=True)
    ]


def _p_value(differences: Sequence[float]) -> float | None:
    """Two-sided, paired t test; None where there are too few to say."""
    if len(differences) < 2:
        return None
    mean = math.fsum(differences) / len(differences)
    error = _standard_error(differences, mean)
    if error <= _ROUNDING:  # all listeners with the very same difference: no spread to test against
        return 1.0 if abs(mean) <= _ROUNDING else None
    from scipy.stats import t

    return float(2 * t.sf(abs(mean) / error, len(differences) - 1))


def _standard_error(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


# --- as text -----------------------------------------------------------------------------------------------------


def to_markdown(results: Results) -> str:
    """The tables and all that is to be said of them."""
    known = [question for question in QUESTIONS if any(question == key[1] for key in results.means)]
    groups = [group for group in GROUPS if results.listeners[group]]
    if len(groups) == 2:  # one kind of listener: all of them are the same again
        groups.remove("all")
    lines = [
        f"{results.listeners['all']} listeners: {results.listeners['non-experts']} non-experts, "
        f"{results.listeners['experts']} experts. Means of marks from 1 to 7, ± half the 95 % interval: Student's t "
        "over listeners, of each listener's mean over films. OMQ: overall music quality, MVC: music-video "
        "correspondence, MR: music richness of a series.",
        "",
        "| System | " + " | ".join(f"{question}, {group}" for group in groups for question in known) + " |",
        "|---|" + "--:|" * (len(groups) * len(known)),
    ]
    for system in results.key.systems:
        cells = [_cell(results.means.get((group, question, system))) for group in groups for question in known]
        lines.append(f"| {_escaped(system)} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Differences within listeners:",
        "",
        "| Group | Scale | Systems | Difference | 95 % interval | p (Holm) | Listeners |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    for each in (contrast for contrast in results.contrasts if contrast.group in groups):
        difference, p = each.difference.estimate, each.difference.p
        between = "-" if difference.low is None else f"{difference.low:+.2f} .. {difference.high:+.2f}"
        lines.append(
            f"| {each.group} | {each.question} | {_escaped(each.system)} − {_escaped(each.other)} | "
            f"{difference.value:+.2f} | {between} | {_p_text(p)} | {difference.n} |"
        )
    for title, said in (("Left out", results.answers.rejected), ("To look at", results.answers.odd)):
        if said:
            lines += ["", f"{title}:", "", *(f"- {line}" for line in said)]
    if results.answers.comments:
        lines += [
            "",
            "Comments:",
            "",
            *(f"- {who}: {' '.join(text.split())}" for who, text in results.answers.comments),
        ]
    return "\n".join(lines) + "\n"


def to_csv(results: Results) -> str:
    """All figures, one a row. other: the system that the difference is to, empty for a mean."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["group", "scale", "system", "other", "value", "low", "high", "p_holm", "listeners"])
    for (group, question, system), mean in results.means.items():
        writer.writerow([group, question, system, "", *_figures(mean), "", mean.n])
    for each in results.contrasts:
        p = "" if each.difference.p is None else f"{each.difference.p:.6g}"
        estimate = each.difference.estimate
        writer.writerow([each.group, each.question, each.system, each.other, *_figures(estimate), p, estimate.n])
    return text.getvalue()


def _cell(mean: Estimate | None) -> str:
    if mean is None:
        return "-"
    return f"{mean.value:.2f}" if mean.high is None else f"{mean.value:.2f} ± {mean.high - mean.value:.2f}"


def _figures(estimate: Estimate) -> list[str]:
    return ["" if value is None else f"{value:.6g}" for value in (estimate.value, estimate.low, estimate.high)]


def _p_text(p: float | None) -> str:
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def write_results(results: Results, folder: Path) -> None:
    """Write results.md and results.csv to `folder`. DeliveryError where that can't be, or would replace others'."""
    check_own(folder, RESULTS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("results.md", to_markdown(results)), ("results.csv", to_csv(results))):
            partial = folder / f"{name}.partial"
            with removed_on_error(partial):
                partial.write_text(text, encoding="utf-8")
                os.replace(partial, folder / name)
    except OSError as err:
        raise DeliveryError(f"{folder}: can't be written ({err.strerror}); choose another folder with --out") from err
