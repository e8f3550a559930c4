"""The sounds that a codec learns from: shards of the sound corpus, a dataset's music, or any folder of sound files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.errors import MediaError, ModelError
from core.starter.sound_corpus import SOUND_RATE
from core.training.manifest import DAMAGED

Sound = npt.NDArray[np.int16]  # [N] mono

HELD_OUT_SHARDS = 8  # of the corpus: nobody trains on them
_HELD_OUT_SHARE = 10  # of other folders every tenth file is held out
_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def read_sounds(folder: Path, rate: int, most_hours: float = 4.0) -> tuple[list[Sound], list[Sound]]:
    """Sounds to train on and held-out ones, mono int16 at `rate`, of everything in `folder`; at most so many hours.

    Of the sound corpus (sound-*.npz) shards 0 to 7 are held out, of sound files every tenth in the order of names.
    MediaError where there is nothing to read, or nothing to hold out.
    """
    shards = sorted(folder.glob("sound-*.npz"))
    train: list[Sound]
    held_out: list[Sound]
    if shards:
        held = [path for path in shards if int(path.stem.split("-")[1]) < HELD_OUT_SHARDS]
        held_out = _read_shards(held, rate, most_hours / 10)
        train = _read_shards([path for path in shards if path not in held], rate, most_hours)
    else:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
        held_out = _read_files(files[::_HELD_OUT_SHARE], rate, most_hours / 10)
        kept = [path for index, path in enumerate(files) if index % _HELD_OUT_SHARE]
        train = _read_files(kept, rate, most_hours)
    if not train or not held_out:
        raise MediaError(
            f"{folder}: a codec needs sounds to learn from and some to be held out: at least two sound files "
            f"({', '.join(_SUFFIXES)}), or a sound corpus of more than {HELD_OUT_SHARDS} shards (sound-*.npz)"
        )
    return train, held_out


class Excerpts:
    """Random excerpts of sounds; those shorter than an excerpt are left out."""

    def __init__(self, sounds: list[Sound], samples: int) -> None:
        self.sounds = [sound for sound in sounds if len(sound) >= samples]
        self.samples = samples
        if not self.sounds:
            raise MediaError(f"none of the {len(sounds)} sounds is as long as an excerpt ({samples} samples)")
        lengths = np.array([len(sound) - samples + 1 for sound in self.sounds], np.float64)
        self._share = lengths / lengths.sum()

    def batch(self, size: int, rng: np.random.Generator) -> Tensor:
        """[size, 1, samples] float32 in -1..1, every moment of the sounds as likely as any other."""
        out = np.empty((size, 1, self.samples), np.float32)
        for row, index in enumerate(rng.choice(len(self.sounds), size, p=self._share)):
            sound = self.sounds[index]
            start = int(rng.integers(len(sound) - self.samples + 1))
            out[row, 0] = sound[start : start + self.samples]
        return torch.from_numpy(out / 32768.0)


def _read_shards(paths: list[Path], rate: int, most_hours: float) -> list[Sound]:
    """The sounds alone of corpus shards; their pictures aren't read."""
    sounds: list[Sound] = []
    left = most_hours * 3600 * rate
    for path in paths:
        try:
            with path.open("rb") as file, np.load(file) as data:
                for name in sorted(name for name in data.files if name.endswith(".sound")):
                    if left <= 0:
                        return sounds
                    sounds.append(_at_rate(data[name], SOUND_RATE, rate))
                    left -= len(sounds[-1])
        except DAMAGED as err:
            raise ModelError(f"{path} is not a whole file of scenes ({err}): delete it, build it again") from err
    return sounds


def _read_files(paths: list[Path], rate: int, most_hours: float) -> list[Sound]:
    import soundfile

    sounds: list[Sound] = []
    left = most_hours * 3600 * rate
    for path in paths:
        if left <= 0:
            break
        try:
            samples, own_rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as err:
            raise MediaError(f"{path} can't be read as sound ({err}): take it out of the folder") from err
        mono = np.clip(samples.mean(axis=1), -1.0, 1.0)
        sounds.append(_at_rate(np.round(mono * 32767).astype(np.int16), int(own_rate), rate))
        left -= len(sounds[-1])
    return sounds


def _at_rate(sound: Sound, rate: int, wanted: int) -> Sound:
    if rate == wanted:
        return sound
    import soxr

    resampled: Sound = soxr.resample(sound, rate, wanted)
    return resampled
