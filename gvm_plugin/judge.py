"""What is measured of one take: whether it is fit to be heard, how well it keeps to the picture, how well it fits.

What was measured is kept beside the take, under what it was measured with, so that it is measured once. A take is
judged by itself, at full level, over its cue alone: neither the mix nor its neighbours have a part in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError
from core.vision.picture import PictureFeatures
from gvm_plugin import gate
from gvm_plugin.cache import StoredTake, content_key, read_json, write_json
from gvm_plugin.choose import TakeFigures
from gvm_plugin.cuesheet import Cue
from gvm_plugin.gate import Heard
from gvm_plugin.measure import activity_energy_r, cut_accent_lift
from gvm_plugin.onsets import AudioSource, OnsetStrength, find_onset
from gvm_plugin.timeline import SAMPLE_RATE, Shot, to_samples

if TYPE_CHECKING:
    from core.evaluation.fit import FitModel
    from gvm_plugin.analysis import Analysis

SHORTEST_FIT: Final = 6.0  # seconds of a cue, under which the evaluator isn't asked
_VERSION: Final = 1  # of what is measured here: raise it when the same take gets other figures
_FILE: Final = "judged.json"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judge:
    """Measures takes of one film.

    activity [A] at activity_times [A] and shots: as the analysis has them, film seconds. evaluator: gives the model
    and what its encoder saw of the film; asked only when a take has to be judged by it.
    """

    activity_times: Floats
    activity: Floats
    shots: Sequence[Shot]
    evaluator: Callable[[], tuple[FitModel, PictureFeatures]]

    @classmethod
    def of_film(cls, analysis: Analysis, evaluator: Callable[[], tuple[FitModel, PictureFeatures]]) -> Judge:
        """A judge for takes of the film that was analysed."""
        return cls(analysis.activity_times, analysis.activity.astype(np.float64), analysis.shots, evaluator)

    def hear(self, take: StoredTake, margins: tuple[float, float]) -> Heard:
        """What the gate wants to know of a take. margins: seconds before and after its cue."""

        def listen() -> dict[str, Any]:
            return asdict(gate.listen(take.load()[0], *margins, take.fade_seconds))

        kept = _kept(take, f"gate {gate.VERSION}", {field.name for field in fields(Heard)}, listen)
        chromas = {name: tuple(kept[name]) for name in ("opening", "closing")}
        return Heard(**{**kept, **chromas})

    def sync(self, take: StoredTake, cue: Cue, margins: tuple[float, float]) -> dict[str, float | None]:
        """How well a take keeps to the picture: the figures of `measure`, over its cue alone."""
        cuts = [shot.span.start - cue.span.start for shot in self.shots[1:]]
        hits = [hit.seconds - cue.span.start for hit in cue.hits]

        def measure() -> dict[str, Any]:
            sound = _of_cue(take, margins)
            strength = OnsetStrength()
            strength.push(sound)
            times, onsets = strength.finish()
            source = AudioSource(sound)
            heard = [(find_onset(source, hit), hit) for hit in hits]
            errors = [abs(onset - hit) * 1000 for onset, hit in heard if onset is not None]
            moments = self.activity_times - cue.span.start
            shown = (moments >= 0) & (moments < cue.span.duration)
            return {
                "activity_energy_r": activity_energy_r(moments[shown], self.activity[shown], times, onsets),
                "cut_accent_lift": cut_accent_lift(cuts, times, onsets),
                "hit_error_ms": round(float(np.median(errors)), 1) if errors else None,
            }

        names = {"activity_energy_r", "cut_accent_lift", "hit_error_ms"}
        key = content_key(_VERSION, self._activity, cue.span.start, cue.span.end, cuts, hits)
        return _kept(take, f"sync {key}", names, measure)

    def fit(self, take: StoredTake, cue: Cue, margins: tuple[float, float]) -> dict[str, float | None]:
        """The evaluator's CMR and TA of a take with the pictures of its cue; None for a short or silent one."""
        if cue.span.duration < SHORTEST_FIT:
            return {"cmr": None, "ta": None}
        model, features = self.evaluator()
        seen = features.between(cue.span.start, cue.span.end)

        def measure() -> dict[str, Any]:
            picture = PictureFeatures(seen.times - cue.span.start, seen.values)
            try:
                judged = model.score(picture, _of_cue(take, margins), SAMPLE_RATE, None)
            except MediaError:  # silent, or too short for it: the gate says so where that is a fault
                return {"cmr": None, "ta": None}
            return {"cmr": round(judged.cmr, 4), "ta": round(judged.ta, 4)}

        digest = hashlib.sha256(np.ascontiguousarray(seen.values).tobytes()).hexdigest()
        return _kept(take, f"fit {content_key(_VERSION, model.sha256, digest, cue.span.start)}", {"cmr", "ta"}, measure)

    def figures(
        self, number: int, take: StoredTake, cue: Cue, margins: tuple[float, float], with_fit: bool
    ) -> TakeFigures:
        """All of them; the score comes when the others of the cue are known."""
        fit: Mapping[str, float | None] = self.fit(take, cue, margins) if with_fit else {}
        sync = self.sync(take, cue, margins)
        return TakeFigures(
            number,
            cmr=fit.get("cmr"),
            ta=fit.get("ta"),
            activity_energy_r=sync["activity_energy_r"],
            cut_accent_lift=sync["cut_accent_lift"],
            hit_error_ms=sync["hit_error_ms"],
        )

    @cached_property
    def _activity(self) -> str:
        return hashlib.sha256(self.activity_times.tobytes() + self.activity.tobytes()).hexdigest()


def _of_cue(take: StoredTake, margins: tuple[float, float]) -> npt.NDArray[np.float32]:
    """The take without its lead and tail, [2, N]."""
    audio, _ = take.load()
    lead, tail = (to_samples(seconds) for seconds in margins)
    return audio[:, lead : audio.shape[1] - tail]


def _kept(take: StoredTake, under: str, names: set[str], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was measured of a take before under this key, else what `measure` gives now, which is then kept."""
    path = take.folder / _FILE
    everything = read_json(path)
    if not isinstance(everything, dict):
        everything = {}
    known = everything.get(under)
    if isinstance(known, dict) and set(known) == names:
        return known
    found = measure()
    kind = under.partition(" ")[0]
    others = {key: value for key, value in everything.items() if key.partition(" ")[0] != kind}
    write_json(path, {**others, under: found})
    return found
