"""Analysis -> cue sheet: where there is music and where not, what it is like, and what it marks. Pure.

1. Where the film already has music (4 s and more), it keeps it: a silent cue.
2. What is left is divided at cuts where the picture takes on another look, into cues of min_cue..max_cue.
3. One film, one style; mood and energy follow the picture of each cue.
4. Cuts become hit points, harder and lonelier ones stronger.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from gvm_plugin.character import Character, Looks, characterise, choose_style, difference, mean_look
from gvm_plugin.cuesheet import MAJOR_MOOD, MINOR_MOOD, Cue, CueSheet, Settings, derive_seed, format_time, quantise
from gvm_plugin.options import AUTO, ScoreOptions
from gvm_plugin.timeline import HitPoint, Shot, Span

if TYPE_CHECKING:
    from gvm_plugin.analysis import Analysis

EXISTING_MUSIC: Final = 4.0  # seconds of music in the original from which on we leave it alone
SHORTEST_GAP: Final = 6.0  # a stretch between existing music that is shorter stays without a cue
ONE_CUE_FACTOR: Final = 3.0  # a stretch under so many times min_cue is one cue
NEW_LOOK: Final = 0.3  # difference of looks either side of a cut that begins a new cue
NEIGHBOURHOOD: Final = 30.0  # seconds either side that are compared; a look that doesn't last that long asks for more
HIT_SPACING: Final = 0.7  # seconds; of cuts closer than that only the hardest is marked
LONELY: Final = 2.5  # seconds to the nearest other cut from which on a cut counts fully
STRONG: Final = 0.5  # hit points from here up are played by everybody
STRONG_SPACING: Final = 2.0  # seconds between those
FAINTEST, LIGHT = 0.08, 0.2  # cuts fainter than the first are marked only when alone; what is marked is at least light
TALKING: Final = 0.3  # share of speech worth a word in the reason


def spot(
    analysis: Analysis, options: ScoreOptions, video: str = "", sha256: str = "", within: Sequence[Span] | None = None
) -> CueSheet:
    """The cue sheet of a film. video: its path as the sheet shall say it; sha256: of its bytes, seeds come from it.

    within: the only stretches that get cues (None: all of it); they don't overlap and are in order.
    """
    duration = quantise(analysis.duration)
    existing = [span for span in analysis.music if span.duration >= EXISTING_MUSIC]
    cues = []
    film = _character(analysis, Span(0.0, duration))
    talking = sum(span.duration for span in analysis.speech) / max(duration, 1e-3)
    style = choose_style(film, talking) if options.style == AUTO else options.style
    why_style = f"{style} for {film.words()}" if options.style == AUTO else f"{style} as asked"
    if talking > TALKING and options.style == AUTO:
        why_style += ", much speech"
    free = [Span(0.0, duration)] if within is None else within
    for span, sounding in (stretch for place in free for stretch in stretches(place.end, existing, place.start)):
        if not sounding:
            cues.append((span, True, "the film has music of its own here, or too little room beside it"))
            continue
        for part, why in divide(span, analysis.shots, analysis.looks, options):
            cues.append((part, False, f"{why}; {why_style}"))
    return CueSheet(
        video=video,
        sha256=sha256,
        duration=duration,
        cues=tuple(
            _cue(index, span, silent, reason, style, analysis, options, sha256)
            for index, (span, silent, reason) in enumerate(cues)
        ),
        settings=settings_of(options),
        shots=tuple(
            Shot(Span(quantise(shot.span.start), quantise(shot.span.end)), round(shot.cut_strength, 3))
            for shot in analysis.shots
        ),
        speech=tuple(_tidy(analysis.speech, duration)),
        music=tuple(_tidy(existing, duration)),
        warnings=(*analysis.warnings, *(_music_warning(span) for span in existing)),
    )


def stretches(duration: float, existing: Sequence[Span], begin: float = 0.0) -> list[tuple[Span, bool]]:
    """The film as (stretch, whether it gets music): without `existing` music and what is too short beside it."""
    edges = [begin]
    for span in sorted(existing):
        start, end = quantise(max(span.start, edges[-1])), quantise(min(span.end, duration))
        if end > start:
            edges += [start, end]
    edges.append(duration)
    result: list[tuple[Span, bool]] = []
    for index, (start, end) in enumerate(pairwise(edges)):
        sounding = index % 2 == 0 and (end - start >= SHORTEST_GAP or len(edges) == 2)
        if end <= start:
            continue
        if result and not sounding and not result[-1][1]:
            start = result.pop()[0].start
        result.append((Span(start, end), sounding))
    return result


def divide(span: Span, shots: Sequence[Shot], looks: Looks, options: ScoreOptions) -> list[tuple[Span, str]]:
    """`span` as cues with the reason of each: divided at the clearest change of look, again and again."""
    if span.duration < ONE_CUE_FACTOR * options.min_cue:
        return [(span, "short enough for one cue")]
    cuts = [shot for shot in shots if span.start + options.min_cue <= shot.span.start <= span.end - options.min_cue]

    def change(cut: Shot) -> float:
        at = cut.span.start
        before = Span(max(span.start, at - NEIGHBOURHOOD), at)
        after = Span(at, min(span.end, at + NEIGHBOURHOOD))
        contrast = difference(mean_look(before, shots, looks), mean_look(after, shots, looks))
        lasting = min(before.duration, after.duration) / NEIGHBOURHOOD
        return contrast * (0.7 + 0.3 * cut.cut_strength) * (0.4 + 0.6 * lasting)

    best = max(cuts, key=change, default=None)
    if best is not None and (change(best) >= NEW_LOOK or span.duration > options.max_cue):
        at = quantise(best.span.start)
        why = "the picture takes on another look" if change(best) >= NEW_LOOK else "a cut, as one cue would be too long"
    elif span.duration > options.max_cue:
        parts = math.ceil(span.duration / options.max_cue)
        at = quantise(span.start + span.duration / parts)
        why = "no cut near, and one cue would be too long"
    else:
        return [(span, "one look throughout")]
    first = divide(Span(span.start, at), shots, looks, options)
    (second, _), *others = divide(Span(at, span.end), shots, looks, options)
    return [*first, (second, why), *others]


def hit_points(shots: Sequence[Shot], span: Span) -> tuple[HitPoint, ...]:
    """The cuts inside `span` that music should mark, in order of time.

    strength = how hard the cut is x how far the next one is. Of cuts too close together the harder one stays; strong
    ones keep their distance too, or they would be no events any more.
    """
    cuts = [shot for shot in shots if shot.span.start > 0]
    plain = [cut.span.start for cut in cuts if cut.cut_strength >= FAINTEST]
    graded = []
    for cut in cuts:
        at = cut.span.start
        faint = cut.cut_strength < FAINTEST
        solitude = _solitude(at, [other.span.start for other in cuts] if faint else plain)
        if not faint or solitude == 1.0:
            graded.append((cut.cut_strength * math.sqrt(solitude), at))
    kept: list[HitPoint] = []
    for strength, at in sorted(graded, key=lambda item: (-item[0], item[1])):
        opening = abs(at - span.start) < 1e-3  # the cue begins on a cut: its first downbeat marks it
        if not opening and not span.start + HIT_SPACING <= at <= span.end - HIT_SPACING / 2:
            continue
        if any(abs(hit.seconds - at) < HIT_SPACING for hit in kept):
            continue
        if any(hit.strength >= STRONG and abs(hit.seconds - at) < STRONG_SPACING for hit in kept):
            strength = min(strength, STRONG - 0.05)
        kept.append(HitPoint(quantise(at), round(max(LIGHT, min(1.0, strength)), 2)))
    return tuple(sorted(kept, key=lambda hit: hit.seconds))


def _solitude(at: float, cuts: Sequence[float]) -> float:
    """0..1: how far the next of the `cuts` (in order of time, `at` perhaps among them) is, LONELY being far enough."""
    place = bisect_left(cuts, at)
    others = [*cuts[max(0, place - 1) : place], *cuts[place + (at in cuts[place : place + 1]) :][:1]]
    return min(1.0, min((abs(other - at) for other in others), default=LONELY) / LONELY)


def cue_name(index: int) -> str:
    """A, B, ... Z, A2, B2, ...: short names that can be said aloud."""
    letter = chr(ord("A") + index % 26)
    return letter if index < 26 else f"{letter}{index // 26 + 1}"


def _cue(
    index: int,
    span: Span,
    silent: bool,
    reason: str,
    style: str,
    analysis: Analysis,
    options: ScoreOptions,
    sha256: str,
) -> Cue:
    character = _character(analysis, span)
    return Cue(
        id=cue_name(index),
        span=span,
        style=style,
        mood=_mood(character, options),
        energy=round(character.energy, 2) if options.energy is None else options.energy,
        tempo=options.tempo,
        key=options.key,
        seed=derive_seed(options.seed, sha256, index),
        silent=silent,
        hits=() if silent else hit_points(analysis.shots, span),
        reason=reason,
    )


def _character(analysis: Analysis, span: Span) -> Character:
    return characterise(span, analysis.shots, analysis.looks, analysis.activity_times, analysis.activity)


def settings_of(options: ScoreOptions) -> Settings:
    """What of the options the sheet keeps."""
    return Settings(
        model=options.model,
        precision=options.precision,
        decoder=options.decoder,
        no_nudge=options.no_nudge,
        lufs=options.target_lufs,
        duck=options.duck,
        original=options.original,
        crossfade=options.crossfade,
        seed=options.seed,
        takes=options.takes,
        pick=options.pick,
        no_gate=options.no_gate,
        music_only=options.music_only,
        separate_track=options.separate_track,
        stems=options.stems,
        midi=options.midi,
        export=options.export,
        identity=None if options.identity is None else str(options.identity.absolute()),
        soundfont=None if options.soundfont is None else str(options.soundfont.absolute()),
    )


def _tidy(spans: Sequence[Span], duration: float) -> list[Span]:
    """The spans on the sheet's time grid and inside the film."""
    grid = ((quantise(max(0.0, span.start)), quantise(min(duration, span.end))) for span in spans)
    return [Span(start, end) for start, end in grid if end > start]


def _mood(character: Character, options: ScoreOptions) -> float:
    """The mood asked for, else the picture's, as far as the key asked for allows it."""
    if options.mood is not None:
        return options.mood
    mood = round(character.mood, 2)
    if options.key is None:
        return mood
    return min(mood, MINOR_MOOD) if options.key.endswith("m") else max(mood, MAJOR_MOOD)


def _music_warning(span: Span) -> str:
    start, end = (format_time(round(moment, 1)) for moment in (span.start, span.end))
    return f"music of its own from {start} to {end}: no cue there; set silent to false in the cue sheet if you want one"
