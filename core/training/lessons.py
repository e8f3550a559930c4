"""Films with the music their owner likes -> a taste, and pieces for the starter to learn from.

Nothing is transcribed. For each stretch of film the model makes many pieces itself: with the orchestras that sound
most like what the films have, at the tempo that is heard, at half and at twice that (a beat tracker can't tell), and
more or less lively. Those that come nearest to the film's own music are what it learns from, on the film's own
picture: reward-ranked fine-tuning (Dong et al. 2023, arXiv 2304.06767).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError
from core.evaluation.musical import best_key, chromagram, onset_strength, onsets_per_second, tempo_of
from core.pipeline import MusicRequest, MusicTake, StarterModel
from core.shapes import MUSIC_RATE
from core.starter.controls import control_track
from core.starter.palettes import PALETTES
from core.starter.styles import STYLES
from core.starter.taste import Taste
from core.training.data import Piece
from core.vision.descriptors import relative_to_cue
from core.vision.picture import PictureFeatures

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

CANDIDATES: Final = 8  # pieces made for each stretch of film,
KEPT: Final = 3  # of which so many are learned from
_ORCHESTRAS: Final = 2  # that sound most like the films, tried on every stretch
_AUDITIONS: Final = 3  # stretches that every orchestra plays to; with one, chance decides which sounds nearest
_AUDITION_SECONDS: Final = 12.0
_TEMPOS: Final = (42.0, 180.0)
_ENERGIES: Final = (0.1, 0.3, 0.5, 0.7, 0.9)
_BEND: Final = 0.03  # share by which a tempo may be bent so that the cuts fall on beats
_RATE: Final = 22_050
_MFCC: Final = 19
_SILENT: Final = 1e-4  # of full scale (-80 dBFS)
# How much it counts to be twice as fast, to have twice as many notes, to sound as unlike as two orchestras mostly do.
_OCTAVE_OF_TEMPO: Final = 1.0
_TWICE_AS_DENSE: Final = 1.0
_UNLIKE: Final = 0.5
_DENSE_AUDITION: Final = 0.3  # the picture decides most of how many notes there are


@dataclass(frozen=True, eq=False)
class Stretch:
    """Up to 30 s of a film with music and no speech.

    film: its name. picture: descriptors, times from the stretch's start. sound [N] mono at `rate`. hits: (s, strength).
    """

    film: str
    picture: PictureFeatures
    sound: Float32
    rate: int
    seconds: float
    hits: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Traits:
    """What a piece sounds like. tempo in bpm, None without a clear pulse; notes a second; timbre [3 * 19]: mean,
    spread and movement of the mel cepstrum; bright: -1 minor .. 1 major."""  # fmt: skip

    tempo: float | None
    density: float
    timbre: Floats
    bright: float


@dataclass(frozen=True, eq=False)
class Lessons:
    """taste: of all films. pieces: those learned from, by film. traits: of each stretch's own music."""

    taste: Taste
    pieces: dict[str, list[Piece]]
    traits: tuple[Traits, ...]


def prepare(
    model: StarterModel, stretches: Sequence[Stretch], seed: int = 0, tell: Callable[[float], None] | None = None
) -> Lessons:
    """What `model` can learn from the stretches. tell: takes the share done. MediaError where there are none."""
    if not stretches:
        raise MediaError("there is no stretch of film to learn from")
    report = tell or (lambda share: None)
    rng = np.random.default_rng([seed, 41])
    wanted = tuple(traits(stretch.sound, stretch.rate) for stretch in stretches)
    # 1. Which orchestras sound like these films, and at which of the tempos that the beats allow?
    tempos = possible_tempos(wanted)
    auditions = audition(model, stretches, wanted, tempos, rng)
    scale = np.std([heard.timbre for several in auditions.values() for heard in several], axis=0) + 1e-6
    parts = nearest_parts(wanted, auditions, scale)
    report(0.3)
    # 2. Many pieces for every stretch; the nearest stay.
    kept: list[tuple[MusicRequest, MusicTake]] = []
    pieces: dict[str, list[Piece]] = {}
    for index, (stretch, own) in enumerate(zip(stretches, wanted, strict=True)):
        requests = [_candidate(stretch, own, parts, rng) for _ in range(CANDIDATES)]
        made: list[tuple[float, int, MusicRequest, MusicTake]] = []
        for request, take in zip(requests, model.generate_music(requests), strict=True):
            heard = traits(take.audio.mean(axis=0), MUSIC_RATE)
            made.append((distance(own, heard, scale), len(made), request, take))
        for _, _, request, take in sorted(made, key=lambda item: item[:2])[:KEPT]:
            kept.append((request, take))
            pieces.setdefault(stretch.film, []).append(_piece(request, take))
        report(0.3 + 0.7 * (index + 1) / len(stretches))
    # 3. What they have in common isn't written by the decoder: it is the taste.
    return Lessons(_taste(kept), pieces, wanted)


def traits(sound: Float32, rate: int) -> Traits:
    """What sound [N] is like."""
    import librosa
    import soxr

    times, strength = onset_strength(sound, rate)
    tempo, _ = tempo_of(strength)
    low = soxr.resample(sound, rate, _RATE).astype(np.float32)
    cepstrum = librosa.feature.mfcc(y=low, sr=_RATE, n_mfcc=_MFCC + 1)[1:]  # without its level
    power = librosa.feature.rms(y=low)[0][: cepstrum.shape[1]]
    loud = cepstrum[:, power > 0.1 * max(float(power.max()), 1e-9)]
    moved = np.abs(np.diff(loud, axis=1)).mean(axis=1) if loud.shape[1] > 1 else np.zeros(_MFCC)
    bright = 0.0
    if power.max() > _SILENT:
        key, clarity = best_key(chromagram(sound, rate).mean(axis=1))
        bright = float(np.clip(clarity if key.endswith("major") else -clarity, -1.0, 1.0))
    mean, spread = (loud.mean(axis=1), loud.std(axis=1)) if loud.size else np.zeros((2, _MFCC))
    return Traits(tempo, onsets_per_second(times, strength), np.concatenate([mean, spread, moved]), bright)


def distance(one: Traits, other: Traits, scale: Floats) -> float:
    """How unlike two pieces are; 1 is twice the tempo, or twice the notes. scale [57]: of the timbre."""
    tempo = 0.0 if one.tempo is None and other.tempo is None else 0.5  # one of them has no pulse
    if one.tempo is not None and other.tempo is not None:
        tempo = abs(float(np.log2(one.tempo / other.tempo)))
    dense = abs(float(np.log2((one.density + 0.2) / (other.density + 0.2))))
    return _OCTAVE_OF_TEMPO * tempo + _TWICE_AS_DENSE * dense + _UNLIKE * unlike(one.timbre, other.timbre, scale)


def unlike(one: Floats, other: Floats, scale: Floats) -> float:
    """Root mean square difference of two timbres, in spreads of the orchestras'."""
    return float(np.sqrt(np.mean(((one - other) / scale) ** 2)))


def possible_tempos(wanted: Sequence[Traits]) -> list[tuple[float, float] | None]:
    """Tempos that films of these traits may have: their own, half and twice that. [None], the style's, where no beat
    is heard anywhere."""  # fmt: skip
    heard = np.array([own.tempo for own in wanted if own.tempo is not None])
    if not len(heard):
        return [None]
    usual = float(np.median(heard))
    folded = usual * np.exp2(np.remainder(np.log2(heard / usual) + 0.5, 1.0) - 0.5)  # to within half an octave of it
    low, high = (float(value) for value in np.percentile(folded, [20, 80]))
    found: list[tuple[float, float] | None] = []
    for factor in (0.5, 1.0, 2.0):
        if _TEMPOS[0] <= usual * factor <= _TEMPOS[1]:
            found.append((low * factor * (1 - _BEND), high * factor * (1 + _BEND)))
    return found or [None]


def audition(
    model: StarterModel, stretches: Sequence[Stretch], wanted: Sequence[Traits],
    tempos: Sequence[tuple[float, float] | None], rng: np.random.Generator,
) -> dict[Taste, list[Traits]]:  # fmt: skip
    """What every orchestra sounds like at every tempo, playing calmly to the beginning of some stretches."""
    chosen = rng.permutation(len(stretches))[:_AUDITIONS]
    asked: list[tuple[Taste, MusicRequest]] = []
    for style, palettes in PALETTES.items():
        for palette in palettes:
            for tempo in tempos:
                taste = Taste(style, (palette.name,), tempo or STYLES[style].tempo)
                for index in chosen:
                    stretch = stretches[index]
                    seconds = min(_AUDITION_SECONDS, stretch.seconds)
                    seen = stretch.picture.between(0.0, seconds)
                    hits = [hit for hit in stretch.hits if hit[0] < seconds]
                    valence, seed = 0.5 * wanted[index].bright, int(rng.integers(2**31))
                    asked.append((taste, _request(seen, seconds, hits, taste, valence, 0.4, seed)))
    heard: dict[Taste, list[Traits]] = {}
    takes = model.generate_music([request for _, request in asked])
    for (taste, _), take in zip(asked, takes, strict=True):
        heard.setdefault(taste, []).append(traits(take.audio.mean(axis=0), MUSIC_RATE))
    return heard


def nearest_parts(wanted: Sequence[Traits], auditions: dict[Taste, list[Traits]], scale: Floats) -> list[Taste]:
    """The orchestras and tempos that sound most like the films by timbre and notes a second, the nearest first."""
    mean = np.mean([each.timbre for each in wanted], axis=0)
    dense = float(np.mean([each.density for each in wanted]))

    def far(taste: Taste) -> float:
        several = auditions[taste]
        own = float(np.mean([each.density for each in several]))
        return unlike(mean, np.mean([each.timbre for each in several], axis=0), scale) + _DENSE_AUDITION * abs(
            float(np.log2((own + 0.2) / (dense + 0.2)))
        )

    ranked = sorted(auditions, key=far)
    own_tempo = len({taste.tempo for taste in ranked if taste.style == ranked[0].style}) == 1  # none was heard
    return [taste for taste in ranked if own_tempo or taste.tempo == ranked[0].tempo][:_ORCHESTRAS]


def _candidate(stretch: Stretch, own: Traits, parts: Sequence[Taste], rng: np.random.Generator) -> MusicRequest:
    """A piece to try on `stretch`, whose music is like `own`: mostly by the nearest orchestra, more or less lively."""
    taste = parts[min(int(rng.geometric(0.6)) - 1, len(parts) - 1)]
    energy, seed = float(rng.choice(_ENERGIES)), int(rng.integers(2**31))
    return _request(stretch.picture, stretch.seconds, stretch.hits, taste, 0.5 * own.bright, energy, seed)


def _request(
    picture: PictureFeatures, seconds: float, hits: Sequence[tuple[float, float]], taste: Taste, valence: float,
    energy: float, seed: int,
) -> MusicRequest:  # fmt: skip
    return MusicRequest(
        features=picture, duration=seconds, style=taste.style, valence=valence, energy=energy, tempo=None, tonic=None,
        seed=seed, film_seed=seed, hits=hits, speech=(), lead_seconds=0.0, samples=round(seconds * MUSIC_RATE),
        taste=taste,
    )  # fmt: skip


def _piece(request: MusicRequest, take: MusicTake) -> Piece:
    """The piece as training reads it."""
    grid = take.grid
    control = control_track(grid, request.style, request.valence, request.energy, np.zeros(grid.steps, bool))
    patches = relative_to_cue(request.features.values).astype(np.float16)
    return Piece(patches, request.features.times, take.codes.astype(np.int16), control.astype(np.float16), grid.seconds)


def _taste(kept: Sequence[tuple[MusicRequest, MusicTake]]) -> Taste:
    """Style, orchestras and tempos of most of what was kept."""
    style = Counter(request.style for request, _ in kept).most_common(1)[0][0]
    mine = [take for request, take in kept if request.style == style]
    palettes = Counter(take.palette for take in mine).most_common()
    liked = tuple(name for name, count in palettes if count >= 0.25 * len(mine)) or (palettes[0][0],)
    low, high = np.percentile([take.grid.tempo_bpm for take in mine], [10, 90])
    return Taste(style, liked, (round(float(low) * (1 - _BEND), 1), round(float(high) * (1 + _BEND), 1)))
