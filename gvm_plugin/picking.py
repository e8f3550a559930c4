"""SPINE of the choice: the takes of a sheet -> which of them each cue gets.

settled_before    a sheet that was rendered before -> which of its takes a person chose, and which gvm chose and keeps
pick_takes        hear all takes -> make others where none is fit to be heard -> rank -> a sheet with every take chosen

A take that a person chose in the sheet is never overruled, only complained of; nor is one that gvm chose before for
the very same cue, whatever became of the cues beside it. Cues are settled in the order of the film, so that a take can
be heard against the one it follows.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gvm_plugin.cache import StoredTake
from gvm_plugin.choose import Choice, TakeFigures, choose, circumstances, notes, scored
from gvm_plugin.cuesheet import Cue, CueSheet
from gvm_plugin.gate import SHORTEST_JUDGED, Fault, clash, clash_fault, faults
from gvm_plugin.judge import Judge
from gvm_plugin.options import MAX_TAKES
from gvm_plugin.takes import TakeMaker, Takes, margins

if TYPE_CHECKING:
    from core.evaluation.fit import FitModel
    from core.vision.picture import FrameEncoder, PictureFeatures

log = logging.getLogger(__name__)

MOST_RETRIES: Final = 3
MOST_RETRIES_SLOWLY: Final = 1  # of a model whose takes cost minutes


@dataclass(frozen=True, eq=False)
class Picked:
    """sheet: with every sounding cue's take. takes: those to deliver. choices: one per sounding cue.

    notes: one line each for the person; extra: how many takes were made beyond those asked for.
    """

    sheet: CueSheet
    takes: Takes
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]
    extra: int = 0


def settled_before(maker: TakeMaker) -> tuple[TakeMaker, dict[str, Choice]]:
    """(`maker` with only those takes chosen that hold, those of its choices that gvm made, by the cue's id).

    A number that gvm itself wrote into the sheet holds as long as it stands for the same music and as takes are chosen
    in the same way. Otherwise the cue is open again, as it was to begin with; a person's own number always holds.
    """
    sheet = maker.sheet
    made = sheet.provenance.get("cues")
    records = {key: record for key, record in made.items() if _is_record(record)} if isinstance(made, Mapping) else {}
    same_way = sheet.provenance.get("choosing") == circumstances(sheet.settings)
    kept: dict[str, Choice] = {}
    cues: list[Cue] = []
    for cue in sheet.cues:
        if cue.take is not None:
            key = "" if cue.silent else maker.key(maker.request(cue, cue.take))
            # A cue that isn't known by its name was renamed, or copied from any other, number and all.
            same = [records[cue.id]] if cue.id in records else [r for r in records.values() if r["take"] == key]
            ours = [r["ranking"] for r in same or records.values() if _chose(r["ranking"], cue.take)]
            if ours and same and same[0]["take"] == key and same_way:
                kept[cue.id] = Choice(cue.id, cue.take, "kept", str(ours[0].get("why")))
            elif ours:
                cue = replace(cue, take=None)
        cues.append(cue)
    return replace(maker, sheet=replace(sheet, cues=tuple(cues))), kept


def _is_record(record: Any) -> bool:
    """Does a cue's part of the provenance say which take was chosen, and by whom? It lies in a file people edit."""
    ranking = record.get("ranking") if isinstance(record, Mapping) else None
    return isinstance(ranking, Mapping) and "by" in ranking and "take" in record


def _chose(ranking: Mapping[str, Any], take: int) -> bool:
    """Did gvm choose this take, and no person?"""
    return ranking.get("take") == take and ranking["by"] != "hand"


def pick_takes(
    maker: TakeMaker,
    takes: Takes,
    judge: Judge,
    tell: Callable[[float], None],
    neighbours: Sequence[Cue] | None = None,
    kept: Mapping[str, Choice] | None = None,
) -> Picked:
    """The choice among `takes`, which `maker` made. tell: takes the share done, 0..1.

    neighbours: all cues that sound, where the sheet has only some of them. kept: what `settled_before` found.
    """
    work = _Picking(maker, dict(takes), judge, neighbours or maker.sheet.sounding, kept or {})
    sheet = maker.sheet
    for index, cue in enumerate(sheet.sounding):
        work.settle(cue, partial(_part, tell, index, len(sheet.sounding)))
    chosen = {choice.cue: choice.take for choice in work.choices}
    cues = tuple(cue if cue.silent else replace(cue, take=chosen[cue.id]) for cue in sheet.cues)
    told = [line for choice in work.choices for line in notes(choice)]
    if (
        sheet.settings.pick == "best"
        and sheet.sounding
        and all(len(c.takes) < 2 and c.by != "hand" for c in work.choices)
    ):
        told.append("pick is best, but there is one take to pick from; ask for more with --takes")
    if work.extra and maker.generator.slow:
        told.append(f"{work.extra} more take{'s' * (work.extra > 1)} took {work.retry_seconds / 60:.1f} minutes")
    asked = Counter(name for name, _ in takes)
    delivered = {id: take for id, take in work.takes.items() if asked[id[0]] > 1 or id[1] == chosen[id[0]]}
    return Picked(replace(sheet, cues=cues), delivered, tuple(work.choices), tuple(told), work.extra)


@dataclass(eq=False)
class _Picking:
    """The takes so far, and what was decided."""

    maker: TakeMaker
    takes: dict[tuple[str, int], StoredTake]
    judge: Judge
    neighbours: Sequence[Cue]
    kept: Mapping[str, Choice]
    choices: list[Choice] = field(default_factory=list)
    extra: int = 0
    retry_seconds: float = 0.0

    def settle(self, cue: Cue, tell: Callable[[float], None]) -> None:
        """Decide on a cue; make other takes of it where none is fit to be heard."""
        tell(0.0)
        settings = self.maker.sheet.settings
        numbers = sorted(number for name, number in self.takes if name == cue.id)
        if cue.take is not None:
            known = scored([self._figures(cue, number, len(numbers) > 1) for number in numbers])
            settled = self.kept.get(cue.id) or Choice(cue.id, cue.take, "hand", "chosen in the cue sheet")
            self.choices.append(replace(settled, takes=known))
            return
        figures = [self._figures(cue, number, len(numbers) > 1) for number in numbers]
        slow = self.maker.generator.slow
        retries = 0 if settings.no_gate else MOST_RETRIES_SLOWLY if slow else MOST_RETRIES
        for done in range(retries):
            number = numbers[-1] + 1
            if number > MAX_TAKES or not all(take.faults for take in figures):
                break
            log.info("cue %s: %s; making take %d", cue.id, " and ".join(figures[-1].faults), number)
            started = time.monotonic()
            self.takes.update(self.maker.make(partial(_part, tell, done, retries), [(cue.id, number)]))
            self.retry_seconds += time.monotonic() - started
            numbers.append(number)
            figures.append(self._figures(cue, number, len(numbers) > 1))
            self.extra += 1
        self.choices.append(choose(cue.id, scored(figures), settings.pick))

    def _figures(self, cue: Cue, number: int, several: bool) -> TakeFigures:
        """Those of a take that its choice needs."""
        settings, take = self.maker.sheet.settings, self.takes[cue.id, number]
        reach = margins(cue, self.maker.sheet)
        found = TakeFigures(number)
        if several:
            found = self.judge.figures(number, take, cue, reach, with_fit=settings.pick == "best")
        if settings.no_gate:
            return found
        wrong = self._faults(cue, take)
        return replace(
            found,
            faults=tuple(fault.words for fault in wrong),
            severity=round(sum(fault.severity for fault in wrong), 4),
        )

    def _faults(self, cue: Cue, take: StoredTake) -> tuple[Fault, ...]:
        """What is wrong with a take where it stands."""
        sheet = self.maker.sheet
        heard = self.judge.hear(take, margins(cue, sheet))
        before, after = self._beside(cue)
        found = [*faults(heard, after is not None, cue.span.duration)]
        if before is not None and (other := self._settled(before)) is not None and _long(before, cue):
            closing = self.judge.hear(other, margins(before, sheet)).closing
            found += clash_fault(clash(closing, heard.opening), before.id)
        if after is not None and (other := self._fixed(after)) is not None and _long(cue, after):
            opening = self.judge.hear(other, margins(after, sheet)).opening
            found += clash_fault(clash(heard.closing, opening), after.id)
        return tuple(sorted(found, key=lambda fault: -fault.severity))

    def _settled(self, cue: Cue) -> StoredTake | None:
        """The take of a cue that was decided on."""
        number = next((choice.take for choice in self.choices if choice.cue == cue.id), None)
        return None if number is None else self.takes[cue.id, number]

    def _fixed(self, cue: Cue) -> StoredTake | None:
        """The take of a cue that was decided on before: by a person, or as it is kept."""
        return None if cue.take is None else self.takes.get((cue.id, cue.take))

    def _beside(self, cue: Cue) -> tuple[Cue | None, Cue | None]:
        """The cues that a cue goes over from and into."""
        ordered = sorted(self.neighbours, key=lambda other: other.span)
        index = next(n for n, other in enumerate(ordered) if other.id == cue.id)
        before = ordered[index - 1] if index else None
        after = ordered[index + 1] if index + 1 < len(ordered) else None
        sheet = self.maker.sheet
        return (
            before if before is not None and meet(before, cue, sheet) else None,
            after if after is not None and meet(cue, after, sheet) else None,
        )


def _part(tell: Callable[[float], None], index: int, count: int, share: float) -> None:
    """Tell that `share` of part `index` of `count` is done."""
    tell((index + share) / count)


def _long(*cues: Cue) -> bool:
    return all(cue.span.duration >= SHORTEST_JUDGED for cue in cues)


def meet(before: Cue, after: Cue, sheet: CueSheet) -> bool:
    """Does one cue go over into the next, as `crossfade.assemble` joins them?"""
    return after.span.start - margins(after, sheet)[0] <= before.span.end + margins(before, sheet)[1]


def evaluator_for(
    features: PictureFeatures, watch: Callable[[FrameEncoder], PictureFeatures]
) -> Callable[[], tuple[FitModel, PictureFeatures]]:
    """What gives the evaluator that ships, and the film as its encoder sees it; loads and looks once, when asked.

    features: what the generator's own encoder saw, which is used where that is of the same kind. watch: another look.
    """
    known: list[tuple[FitModel, PictureFeatures]] = []

    def evaluator() -> tuple[FitModel, PictureFeatures]:
        if not known:
            from core.evaluation.fit import FitModel

            model = FitModel.load()
            kind = model.open_encoder().finish().values.shape[1:]
            known.append((model, features if features.values.shape[1:] == kind else watch(model.open_encoder())))
        return known[0]

    return evaluator
