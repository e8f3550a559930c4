"""Films and music files of any kind and length -> what was seen and heard, in a common form.

A film is analysed once (`gvm_plugin.analysis`); what a scored folder kept of it is used again. Music of any format and
rate becomes a file of 48 kHz stereo in a work folder, which one reads in blocks, and 16 kHz mono for the evaluator.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from core.errors import DeliveryError, MediaError
from gvm_plugin.cache import FOLDER, Cache
from gvm_plugin.outputs import DEFAULT_FOLDER
from gvm_plugin.timeline import SAMPLE_RATE, Span

if TYPE_CHECKING:
    from core.evaluation.fit import FitModel
    from gvm_plugin.analysis import Analysis, Progress

log = logging.getLogger(__name__)

MONO_RATE: Final = 16_000  # Hz, of what the evaluator hears
SILENT: Final = 1e-4  # of full scale (-80 dBFS): music whose peaks lie lower has nothing to measure
LEAST_SHARE: Final = 0.5  # of the film that music has to cover to be compared
SAME_LENGTH_SECONDS: Final = 0.5  # a difference of length up to this is none worth a word
SPEECH_SHARE: Final = 0.05  # of a film's sound: with more, the figures are those of music and speech together
SINGING_SHARE: Final = 0.3  # of music: below that, what sounds like a voice may as well be a fiddle or a lead synth
LONGEST_SECONDS: Final = 6 * 3600.0  # of music that is read at all

Mono = npt.NDArray[np.float32]  # [N] at MONO_RATE


@dataclass(frozen=True, eq=False)
class Music:
    """Sound as it was heard beside a film of `film_seconds`.

    path: the person's file. wav: its beginning, as long as the film at most, 48 kHz stereo. mono [N]: the same at
    MONO_RATE. seconds: how long the whole of it is. speech: where somebody speaks or sings in it. of_film: it comes
    with a picture.
    """

    path: Path
    wav: Path
    mono: Mono
    seconds: float
    film_seconds: float
    speech: tuple[Span, ...] = ()
    warnings: tuple[str, ...] = ()
    of_film: bool = False

    @property
    def common(self) -> float:
        """Seconds that film and music share: both begin together."""
        return min(self.seconds, self.film_seconds)

    @property
    def length_note(self) -> str:
        """What there is to say of lengths that differ; empty where they don't."""
        if abs(self.seconds - self.film_seconds) <= SAME_LENGTH_SECONDS:
            return ""
        lengths = f"the music is {self.seconds:.1f} s long, the film {self.film_seconds:.1f} s"
        return f"{lengths}; the first {self.common:.1f} s are compared"

    @property
    def voice_note(self) -> str:
        """What there is to say of voices in it; empty where there are next to none."""
        talking = sum(span.duration for span in self.speech) / max(self.common, 1e-3)
        if talking <= (SPEECH_SHARE if self.of_film else SINGING_SHARE):
            return ""
        told = f"somebody speaks or sings in {100 * talking:.0f} % of it"
        return f"{told}: the figures are those of voice and music together"

    def whole(self) -> Mono:
        """The beginning as mono [N] at 48 kHz."""
        import soundfile

        data, _ = soundfile.read(self.wav, dtype="float32", always_2d=True)
        return np.asarray(data.mean(1), np.float32)

    def require_enough(self) -> None:
        """MediaError where it covers less than half of the film."""
        if self.seconds < LEAST_SHARE * self.film_seconds:
            raise MediaError(
                f"{_shown(self.path)}: is {self.seconds:.1f} s long, the film {self.film_seconds:.1f} s; "
                "less than half can't be compared: give the whole music, or cut the film"
            )


def watch(
    film: Path,
    model: FitModel,
    near: Sequence[Path] = (),
    keep: Path | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """What there is to see and hear in `film`, from the cache of a scored folder or one pass over it.

    near: folders beside whose files a scored folder may lie. keep: the output folder whose cache takes what is new.
    """
    from gvm_plugin.analysis import Analysis, analyse

    places = [folder for path in (film.parent, *near) for folder in (path, path / DEFAULT_FOLDER)]
    stores = [Cache(place) for place in dict.fromkeys(places) if (place / FOLDER / "analysis").is_dir()]
    if keep is not None:
        stores.append(Cache(keep))
    key = encoder_key(model) if stores else ""
    for store in stores:
        try:
            known = Analysis.from_file(store.analysis_path(store.film_sha256(film), key))
        except (
            OSError,
            ValueError,
            KeyError,
            BadZipFile,
            DeliveryError,
        ):  # none, damaged, or read-only
            continue
        return replace(known, info=replace(known.info, path=film))
    analysis = analyse(film, model.open_encoder(), progress)
    for store in stores[-1:]:
        try:
            store.keep(analysis.to_file, store.analysis_path(store.film_sha256(film), key))
        except DeliveryError as err:
            log.debug("%s: its analysis isn't kept: %s", film, err)
    return analysis


def encoder_key(model: FitModel) -> str:
    """Under which analyses are kept. An evaluator that sees with the starter's eyes shares them with scored folders."""
    from gvm_plugin.models import find_model

    return find_model("starter").sha256 if learned_from_starter(model) else model.sha256


def learned_from_starter(model: FitModel) -> bool:
    """Is it told of pictures what the starter is, as the evaluator that ships is?"""
    from core.vision.descriptors import PatchDescriptors

    return isinstance(model.open_encoder(), PatchDescriptors)


def hear(path: Path, film_seconds: float, folder: Path, speech: bool = True) -> Music:
    """The sound of `path`, a sound file or a film, as far as the film goes; a copy of it is written to `folder`.

    MediaError where it can't be read, has no sound, or is silent. Samples that are no numbers count as silence, and
    that is told in the warnings. speech: also look for speech in it.
    """
    from gvm_plugin.probe import probe_sound, read_audio_blocks
    from gvm_plugin.speech import Downsampler, SpeechDetector
    from gvm_plugin.wav import WavWriter

    info = probe_sound(path)
    warnings: list[str] = []
    low, voice = Downsampler(), SpeechDetector() if speech else None
    mono: list[Mono] = []
    strange, peak, wav = 0, 0.0, folder / f"{len(list(folder.iterdir()))}.wav"
    limit = min(film_seconds, LONGEST_SECONDS)
    with WavWriter(wav, round(limit * SAMPLE_RATE)) as writer:
        for block in read_audio_blocks(info, duration=limit, warnings=warnings, pad=False):
            strange += int((~np.isfinite(block)).any(axis=0).sum())
            block = np.nan_to_num(block, posinf=0.0, neginf=0.0)
            writer.write(block)
            peak = max(peak, float(np.abs(block).max()))
            mono.append(low.push(block.mean(axis=0)))
            if voice is not None:
                voice.push(mono[-1])
    if strange:
        warnings.append(f"{_shown(path)}: {strange} samples are no numbers and count as silence; export it again")
    heard = writer.samples_written / SAMPLE_RATE
    if peak < SILENT:
        raise MediaError(f"{_shown(path)}: is silent, so there is nothing to measure; choose another file")
    whole = heard if heard < limit - SAME_LENGTH_SECONDS else max(heard, _header_seconds(info.duration, heard))
    spans = voice.spans(heard) if voice is not None else ()
    return Music(path, wav, np.concatenate(mono), whole, film_seconds, spans, tuple(warnings), info.video_index >= 0)


@contextmanager
def work_folder() -> Iterator[Path]:
    """Context with a folder for sound that is being measured; it is gone afterwards."""
    with TemporaryDirectory(prefix="gvm-evaluate-") as name:
        yield Path(name)


def _header_seconds(said: float, heard: float) -> float:
    """Length that a header says, where it can be believed."""
    return said if heard <= said < LONGEST_SECONDS * 4 else heard


def _shown(path: Path) -> str:
    from core.frames import shown_name

    return shown_name(path)
