"""SPINE of `gvm evaluate fit`: one film and one piece of music -> how well they fit, in figures and in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from core.errors import CueSheetError, MediaError
from gvm_plugin.cuesheet import SUFFIX
from gvm_plugin.evaluate.material import MONO_RATE, Music, hear, watch, work_folder
from gvm_plugin.onsets import SEARCH_SECONDS
from gvm_plugin.timeline import HitPoint, Shot, Span

if TYPE_CHECKING:
    from core.evaluation.fit import Fit, FitModel
    from gvm_plugin.analysis import Analysis
    from gvm_plugin.measure import HitError, Measures

Progress = Callable[[str, float], None]  # (stage, share done 0..1)
Float64 = npt.NDArray[np.float64]

STRONG: Final = 0.5  # cuts from this strength up count as hit points where no cue sheet names others
WEAKEST_SHARE: Final = 0.25  # of the film, about, is named as its weakest stretch
WEAKEST_SECONDS: Final = (5.0, 15.0)
WORTH_NAMING: Final = 0.5  # standard deviations of the curve that a stretch lies under its mean


@dataclass(frozen=True, eq=False)
class FilmFit:
    """How one piece of music fits one film. Times in seconds of the film.

    music: None, the film's own sound. seconds: how much of both was compared. fit: the evaluator's figures, with
    windows and curve. measures: those that need no model. hits_from: a few words on where the hit points come from.
    weakest: the stretch where the music goes along with the picture least, None where none stands out. speech: in the
    sound that was measured. notes: what there is to say besides, one sentence each.
    """

    video: Path
    music: Path | None
    seconds: float
    fit: Fit
    measures: Measures
    hits_from: str
    weakest: Span | None
    speech: tuple[Span, ...]
    notes: tuple[str, ...]
    analysis: Analysis
    evaluator_sha256: str

    @property
    def sentence(self) -> str:
        """The result in words."""
        return in_words(self.fit, self.weakest)


def evaluate_fit(
    video: Path | str,
    music: Path | str | None = None,
    *,
    model: FitModel | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> FilmFit:
    """How well `music` (a sound file or film of any kind; None: the film's own sound) fits the film `video`.

    model: the evaluator; None: the one that ships. MediaError where there is nothing to compare.
    """
    from core.evaluation.fit import FitModel

    film, sound = Path(video), None if music is None else Path(music)
    model = FitModel.load(device=device) if model is None else model
    tell = progress or (lambda stage, share: None)
    # 1. The film: once, or what a scored folder knows of it.
    near = () if sound is None else (sound.parent,)
    analysis = watch(film, model, near, progress=lambda share: tell("watch", share))
    if sound is None and not analysis.info.audio:
        raise MediaError(f"{film.name}: has no sound of its own; name the music too: gvm evaluate fit VIDEO MUSIC")
    with work_folder() as folder:
        # 2. The music, whatever its format.
        tell("listen", 0.0)
        heard = hear(film if sound is None else sound, analysis.duration, folder)
        heard.require_enough()
        # 3. What the evaluator says, and what needs none.
        tell("measure", 0.0)
        fit = model.score(analysis.features, heard.mono, MONO_RATE, (0.0, heard.common))
        hits, hits_from, unread = hit_points_of(analysis, heard.path, heard.common)
        measures = measure_free(analysis, heard, hits)
    tell("measure", 1.0)
    return FilmFit(
        video=film,
        music=sound,
        seconds=heard.common,
        fit=fit,
        measures=measures,
        hits_from=hits_from,
        weakest=weakest_stretch(fit.curve_times, fit.curve, heard.common),
        speech=heard.speech if heard.voice_note else (),
        notes=(*_notes(heard, sound is None), *unread),
        analysis=analysis,
        evaluator_sha256=model.sha256,
    )


def measure_free(analysis: Analysis, heard: Music, hits: tuple[HitPoint, ...]) -> Measures:
    """The measures that need no model, over what film and music share."""
    from gvm_plugin.measure import measure

    inside = analysis.activity_times < heard.common
    return measure(
        heard.wav,
        activity_times=analysis.activity_times[inside],
        activity=analysis.activity[inside].astype(float),
        cuts=[shot.span.start for shot in analysis.shots[1:] if shot.span.start < heard.common],
        hits=hits,
    )


def strong_cuts(shots: tuple[Shot, ...], seconds: float) -> tuple[HitPoint, ...]:
    """The cuts that any music could mark, as spotting grades them: hard and lonely ones."""
    from gvm_plugin.spotting import hit_points

    return tuple(hit for hit in hit_points(shots, Span(0.0, seconds)) if hit.strength >= STRONG and hit.seconds > 0)


def hit_points_of(analysis: Analysis, music: Path, seconds: float) -> tuple[tuple[HitPoint, ...], str, tuple[str, ...]]:
    """(hit points before `seconds`, where they come from, notes): those of a cue sheet beside the music, else cuts."""
    from gvm_plugin import cuesheet_reader

    sheet_path = sheet_beside(music)
    notes: tuple[str, ...] = ()
    if sheet_path is not None:
        try:
            sheet = cuesheet_reader.read(sheet_path)
        except CueSheetError as err:
            notes = (f"its cue sheet can't be read, so the film's strong cuts are taken ({err})",)
        else:
            hits = [hit for cue in sheet.sounding for hit in cue.hits if hit.seconds < seconds]
            return tuple(hits), f"the cue sheet {sheet_path.name}", notes
    return strong_cuts(analysis.shots, seconds), "the film's strong cuts", notes


def sheet_beside(music: Path) -> Path | None:
    """The cue sheet that `gvm score` wrote beside its music or film, if there is one."""
    stem = music.stem.removesuffix(".music")
    sheet = music.with_name(stem + SUFFIX)
    return sheet if sheet.is_file() else None


def hit_error_ms(hits: tuple[HitError, ...]) -> float | None:
    """Mean distance of hit points from the onset that is heard, ms; one without any counts as far as was looked."""
    if not hits:
        return None
    most = SEARCH_SECONDS * 1000
    return float(np.mean([most if hit.error_ms is None else abs(hit.error_ms) for hit in hits]))


def weakest_stretch(times: npt.NDArray[np.floating], curve: npt.NDArray[np.floating], seconds: float) -> Span | None:
    """Where the curve [T] at `times` is lowest over a quarter of the film (5 to 15 s); None where it is even.

    Films under 20 s are one stretch.
    """
    length = min(max(seconds * WEAKEST_SHARE, WEAKEST_SECONDS[0]), WEAKEST_SECONDS[1])
    if seconds < 4 * WEAKEST_SECONDS[0] or len(curve) < 8:
        return None
    starts = np.arange(0.0, seconds - length + 1e-9, 0.5)
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(curve, np.float64))])
    first, last = np.searchsorted(times, starts), np.searchsorted(times, starts + length)
    means = np.where(last > first, (sums[last] - sums[first]) / np.maximum(last - first, 1), np.inf)
    best = int(np.argmin(means))
    if means[best] > float(np.mean(curve)) - WORTH_NAMING * float(np.std(curve)) or np.std(curve) < 1e-6:
        return None
    return Span(float(starts[best]), float(starts[best] + length))


def in_words(fit: Fit, weakest: Span | None) -> str:
    """The result as a sentence or two for people who have never heard of CMR."""
    from gvm_plugin.report_view import timecode

    character, moment = _rank(fit.cmr_percentile), _rank(fit.ta_percentile)
    if character and moment:
        words = f"In character the music fits {character}; from moment to moment it follows the picture {moment}."
    else:
        words = f"CMR {fit.cmr:.2f}, TA {fit.ta:.2f}; this evaluator doesn't know what other music scores."
    if weakest is not None:
        words += f" The weakest stretch is {timecode(weakest.start)}–{timecode(weakest.end)}."
    return words


def _rank(percentile: float) -> str:
    """A percentile in words; empty where it isn't known."""
    if not math.isfinite(percentile):
        return ""
    whole = min(int(percentile), 99)
    others = "music written for other films"
    return f"better than {whole} % of {others}" if whole >= 1 else f"worse than nearly all {others}"


def _notes(heard: Music, own: bool) -> tuple[str, ...]:
    notes = [note for note in (heard.length_note, heard.voice_note) if note]
    if own and not heard.voice_note:
        notes.append("measured is the film's own sound as a whole, noises and all")
    return (*notes, *heard.warnings)
