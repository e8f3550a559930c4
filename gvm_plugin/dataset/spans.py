"""Which stretches of a film become pairs: those that carry music and neither speech nor much text. Pure.

    music     only inside the spans that `music_detection` found
    speech    not within `SPEECH_MARGIN` of a span of speech of at least `SPEECH_SECONDS`; shorter ones are blips of
              the detector (singing, a shout), of which a pair may have `MAX_BLIPS` of its time
    text      not where `text_overlay` found text for at least `TEXT_SECONDS`; a short title may stay

What remains is cut into pairs from its beginning on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gvm_plugin.dataset.options import CHECKS, BuildOptions
from gvm_plugin.timeline import Span

SPEECH_SECONDS: Final = 0.4
SPEECH_MARGIN: Final = 0.25
MAX_BLIPS: Final = 0.02
TEXT_SECONDS: Final = 3.0
ROOM: Final = 0.25  # seconds left at the end of a pair, for it may begin as late as with the next picture

NO_MUSIC, SPEECH, TEXT, TOO_SHORT = "no music", "speech", "text over the picture", "too short"


@dataclass(frozen=True)
class Dropped:
    """A stretch that is in no pair, and why."""

    span: Span
    why: str


@dataclass(frozen=True)
class Plan:
    """What becomes of a film: `pieces` and `dropped` together tile it."""

    pieces: tuple[Span, ...]
    dropped: tuple[Dropped, ...]


def plan_pieces(
    duration: float,
    music: Sequence[Span],
    speech: Sequence[Span],
    text: Sequence[Span],
    options: BuildOptions,
    checks: Iterable[str] = CHECKS,
) -> Plan:
    """The pieces of a film of `duration` seconds that pass the checks, and what is dropped."""
    checks = set(checks)
    whole = (Span(0.0, duration),)
    dropped: list[Dropped] = []
    usable = intersect(whole, music) if "music" in checks else whole
    dropped += [Dropped(span, NO_MUSIC) for span in subtract(whole, usable)]
    if "speech" in checks:
        long = [span for span in speech if span.duration >= SPEECH_SECONDS]
        wide = [Span(max(0.0, s.start - SPEECH_MARGIN), s.end + SPEECH_MARGIN) for s in long]
        spoken = subtract(whole, subtract(whole, wide))  # merged where the margins touch, and inside the film
        dropped += [Dropped(span, SPEECH) for span in intersect(usable, spoken)]
        usable = subtract(usable, spoken)
    if "text" in checks:
        written = [span for span in text if span.duration >= TEXT_SECONDS]
        dropped += [Dropped(span, TEXT) for span in intersect(usable, written)]
        usable = subtract(usable, written)
    pieces: list[Span] = []
    for span in usable:
        at = span.start
        while span.end - at >= options.least + (ROOM if span.end < duration - ROOM else 0.0):
            piece = Span(at, min(at + options.seconds, span.end))
            at = piece.end
            blips = sum(piece.overlap(each) for each in speech) if "speech" in checks else 0.0
            if blips > MAX_BLIPS * piece.duration:
                dropped.append(Dropped(piece, SPEECH))
            else:
                pieces.append(piece)
        if span.end - at > 1e-6:
            dropped.append(Dropped(Span(at, span.end), TOO_SHORT))
    return Plan(tuple(pieces), tuple(sorted(dropped, key=lambda each: each.span)))


def intersect(spans: Sequence[Span], others: Sequence[Span]) -> tuple[Span, ...]:
    """What lies in one of `spans` and in one of `others`; each in order and without overlap."""
    both = (Span(max(a.start, b.start), min(a.end, b.end)) for a in spans for b in others if a.overlap(b) > 0)
    return tuple(sorted(both))


def subtract(spans: Sequence[Span], others: Sequence[Span]) -> tuple[Span, ...]:
    """What lies in one of `spans` and in none of `others`; each in order and without overlap."""
    left: list[Span] = []
    for span in spans:
        at = span.start
        for other in sorted(others):
            if other.end <= at or other.start >= span.end:
                continue
            if other.start > at:
                left.append(Span(at, other.start))
            at = max(at, other.end)
        if at < span.end:
            left.append(Span(at, span.end))
    return tuple(left)


def share(span: Span, of: Sequence[Span]) -> float:
    """Share of `span`, 0..1, that the spans `of` cover; those don't overlap each other."""
    return min(1.0, sum(span.overlap(each) for each in of) / span.duration) if span.duration else 0.0
