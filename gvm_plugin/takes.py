"""The takes of a cue sheet: what is asked of the generator, under which key it is kept, and what has to be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from core.errors import MediaError, ModelError
from core.vision.picture import PictureFeatures
from gvm_plugin import __version__
from gvm_plugin.cache import Cache, StoredTake, content_key, file_sha256
from gvm_plugin.cuesheet import Cue, CueSheet, derive_seed
from gvm_plugin.generators import CueRequest, MusicGenerator
from gvm_plugin.identity import Channel, read_channel
from gvm_plugin.machine import give_memory_back

TakeId = tuple[str, int]  # (cue id, number of the take)
Takes = Mapping[TakeId, StoredTake]

WRITING: Final = 0.25  # share of the work that is writing the notes; the rest is playing them
WRITING_SLOWLY: Final = 0.9  # the same of a model that writes sound outright
_FORMAT: Final = 1  # raise it when kept takes must not be used any more


@dataclass(frozen=True, eq=False)
class TakeMaker:
    """Makes the takes of one sheet, but those that the cache has.

    film: stands for the film where its bytes may change (an edit); None: the sheet's sha256 does.
    numbers: of each cue's takes; None: as many as the sheet's settings say, and the one it chooses.
    """

    cache: Cache
    generator: MusicGenerator
    features: PictureFeatures
    sheet: CueSheet
    film: str | None = None
    numbers: Mapping[str, Sequence[int]] | None = None

    def make(self, tell: Callable[[float], None], more: Sequence[TakeId] | None = None) -> Takes:
        """All takes of all sounding cues, each on disk as soon as it is complete. tell: takes the share done, 0..1.

        more: make these in the place of all.
        """
        requests = self.requests if more is None else {(name, n): self.request(self._cue(name), n) for name, n in more}
        keys = {take_id: self.key(request) for take_id, request in requests.items()}
        found = {take_id: self.cache.find_take(key) for take_id, key in keys.items()}
        # Written side by side, short ones are complete first: in front they needn't wait for long ones.
        missing = sorted((id for id, take in found.items() if take is None), key=lambda id: requests[id].samples)
        made: dict[TakeId, StoredTake] = {}
        asked = [requests[take_id] for take_id in missing]
        writing, written = WRITING_SLOWLY if self.generator.slow else WRITING, 0.0

        def wrote(share: float) -> None:
            nonlocal written
            written = share
            tell(writing * written + (1 - writing) * len(made) / len(missing))

        music = self.generator.generate(asked, wrote) if missing else iter(())
        for take_id, take in zip(missing, music, strict=True):
            expected = (2, requests[take_id].samples)
            if take.audio.shape != expected:
                raise ModelError(f"model {self.generator.name} made {take.audio.shape} samples instead of {expected}")
            made[take_id] = self.cache.store_take(keys[take_id], take)
            del take
            give_memory_back()
            wrote(1.0 if len(made) == len(missing) else written)
        return {take_id: made.get(take_id) or found[take_id] for take_id in keys}  # type: ignore[misc]

    @cached_property
    def requests(self) -> dict[TakeId, CueRequest]:
        """What is asked of the generator."""
        return {
            (cue.id, number): self.request(cue, number) for cue in self.sheet.sounding for number in self._numbers(cue)
        }

    def _numbers(self, cue: Cue) -> Sequence[int]:
        if self.numbers is not None:
            return self.numbers[cue.id]
        chosen = set() if cue.take is None else {cue.take}
        return sorted(chosen | set(range(1, self.sheet.settings.takes + 1)))

    def _cue(self, name: str) -> Cue:
        return next(cue for cue in self.sheet.cues if cue.id == name)

    def request(self, cue: Cue, number: int) -> CueRequest:
        """One take of one cue, as asked of the generator; without what it ignores, which so makes no take anew."""
        lead, tail = margins(cue, self.sheet)
        soundfont = self.sheet.settings.soundfont
        ignored = self.generator.ignores
        speech = () if "speech" in ignored else self.sheet.speech
        return CueRequest(
            cue_id=cue.id,
            span=cue.span,
            features=self.features,
            style="" if "style" in ignored else cue.style,
            valence=None if "mood" in ignored else cue.valence,
            energy=None if "energy" in ignored else cue.energy,
            tempo=None if "tempo" in ignored else cue.tempo,
            key=None if "key" in ignored else cue.key,
            seed=cue.seed,
            film_seed=self.film_seed,
            take=number,
            hits=cue.hits,
            speech=tuple(span for span in speech if span.overlap(cue.span) > 0),
            lead_seconds=lead,
            tail_seconds=tail,
            stems=self.sheet.settings.stems and "stems" not in ignored,
            soundfont=Path(soundfont) if soundfont and "soundfont" not in ignored else None,
            identity=None if self._channel is None or "identity" in ignored else self._channel.identity,
        )

    def key(self, request: CueRequest) -> str:
        """Stands for everything that decides how the take sounds; the cue's name and its neighbours don't."""
        return content_key(
            _FORMAT,
            __version__,
            self.generator.name,
            self.generator.music_sha256,
            self.sheet.sha256,
            [request.span.start, request.span.end, request.lead_seconds, request.tail_seconds],
            [request.style, request.valence, request.energy, request.tempo, request.key, request.seed, request.take],
            request.film_seed,
            [[hit.seconds, hit.strength] for hit in request.hits],
            [[span.start, span.end] for span in request.speech],
            request.stems,
            self._soundfont_sha256,
            None if request.identity is None else repr(request.identity),
        )

    @cached_property
    def film_seed(self) -> int:
        """Seed of what all cues of the film share: its orchestra and the keys it moves round."""
        return derive_seed(self.sheet.settings.seed, self.film or self.sheet.sha256, "film")

    @cached_property
    def _channel(self) -> Channel | None:
        folder = self.sheet.settings.identity
        return None if folder is None else read_channel(Path(folder))

    @cached_property
    def _soundfont_sha256(self) -> str | None:
        name = self.sheet.settings.soundfont
        if name is None:
            return None
        if not Path(name).is_file():
            raise MediaError(f"{name}: there is no such sound font; check the name, or leave it out")
        return file_sha256(Path(name))


def margins(cue: Cue, sheet: CueSheet) -> tuple[float, float]:
    """(lead, tail) in seconds: what is played before and after a cue for its joins, as far as the film reaches.

    The same whatever its neighbours are, so that changing one cue leaves the takes of the others as they are.
    """
    reach = sheet.settings.crossfade
    return min(reach, cue.span.start), max(0.0, min(reach, sheet.duration - cue.span.end))


def chosen_takes(sheet: CueSheet, takes: Takes) -> Iterator[tuple[Cue, StoredTake]]:
    """Each sounding cue with the take that the sheet chooses (see `picking`, where it leaves that open)."""
    for cue in sheet.sounding:
        assert cue.take is not None, f"nobody has chosen a take of cue {cue.id}"
        yield cue, takes[cue.id, cue.take]


def ignored_settings(generator: MusicGenerator, sheet: CueSheet) -> tuple[str, ...]:
    """A line for the person about what the sheet asks for and the generator can't do; none where all is well.

    Style, mood and energy aren't counted: a sheet doesn't say whether a person chose them or the picture.
    """
    settings = sheet.settings
    asked = {
        "tempo": any(cue.tempo is not None for cue in sheet.sounding),
        "key": any(cue.key is not None for cue in sheet.sounding),
        "stems": settings.stems,
        "midi": settings.midi,
        "soundfont": settings.soundfont is not None,
        "identity": settings.identity is not None,
    }
    return say_ignored(generator, [name for name, wanted in asked.items() if wanted])


def say_ignored(generator: MusicGenerator, asked: Sequence[str]) -> tuple[str, ...]:
    """The line about those settings of `asked` that the generator ignores."""
    ignored = [name for name in asked if name in generator.ignores]
    if not ignored:
        return ()
    what = " and ".join(filter(None, [", ".join(ignored[:-1]), ignored[-1]]))
    return (f"model {generator.name} writes sound from the picture alone: {what} had no effect",)
