"""Sound files in blocks: 32-bit float between stages, 24-bit with dither for people; RF64 where WAV ends (4 GB).

Blocks are float32 [2, n] at 48 kHz. Knows nothing of cues, levels or films.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from core.errors import DeliveryError, MediaError
from gvm_plugin.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    import soundfile

Block = npt.NDArray[np.float32]  # [2, n]

BLOCK_SAMPLES: Final = 10 * SAMPLE_RATE
_WAV_LIMIT_BYTES: Final = 2**32 - 4096  # sizes in a WAV header have 32 bits; the rest is room for the header
_DITHER_SEED: Final = 24
_FULL_BYTES: Final = 2**20  # with so little left, a write that failed failed for lack of room
_INT24_MAX: Final = 2**23 - 1


def read_blocks(path: Path, samples: int = BLOCK_SAMPLES) -> Iterator[Block]:
    """Yield the sound of `path` as float32 [2, n], n = `samples` but for the last block. Must be 48 kHz stereo."""
    import soundfile

    from core.frames import shown_name

    try:
        with soundfile.SoundFile(path) as file:
            if (file.samplerate, file.channels) != (SAMPLE_RATE, 2):
                raise MediaError(
                    f"{shown_name(path)}: {file.channels} channels at {file.samplerate} Hz; "
                    "convert it to 48 kHz stereo first"
                )
            while len(data := file.read(samples, dtype="float32", always_2d=True)):
                yield np.ascontiguousarray(data.T)
    except soundfile.LibsndfileError as err:
        raise MediaError(f"{shown_name(path)}: can't be read as sound ({err}); make it again") from err


def count_samples(path: Path) -> int:
    """Length of `path` in samples per channel, from its header."""
    import soundfile

    from core.frames import shown_name

    try:
        return int(soundfile.info(path).frames)
    except soundfile.LibsndfileError as err:
        raise MediaError(f"{shown_name(path)}: can't be read as sound ({err}); make it again") from err


class WavWriter:
    """Writes blocks [2, n] to a sound file of 48 kHz; 24-bit files get triangular dither, the same every time."""

    def __init__(self, path: Path, samples: int, encoding: Literal["float", "24 bit"] = "float") -> None:
        """Open `path` for `samples` per channel in all (only decides between WAV and RF64)."""
        import soundfile

        self.path = path
        self.samples_written = 0
        self._quantise = encoding == "24 bit"
        self._random = np.random.default_rng(_DITHER_SEED)
        big = samples * 2 * (3 if self._quantise else 4) > _WAV_LIMIT_BYTES
        with _delivery_errors(path):
            self._file: soundfile.SoundFile = soundfile.SoundFile(
                path, "w", SAMPLE_RATE, 2, "PCM_24" if self._quantise else "FLOAT", format="RF64" if big else "WAV"
            )

    def write(self, block: Block) -> None:
        """Append `block` [2, n]."""
        data = self._to_int24(block) if self._quantise else block
        with _delivery_errors(self.path):
            self._file.write(np.ascontiguousarray(data.T))
        self.samples_written += block.shape[1]

    def write_silence(self, samples: int) -> None:
        """Append `samples` of digital silence."""
        while samples > 0:
            count = min(samples, BLOCK_SAMPLES)
            self.write(np.zeros((2, count), np.float32))
            samples -= count

    def close(self) -> None:
        """Complete the file."""
        with _delivery_errors(self.path):
            self._file.close()

    def _to_int24(self, block: Block) -> npt.NDArray[np.int32]:
        """Block quantised to 24 bits, in the upper bits of int32 as libsndfile wants it.

        Dither: triangular, ±1 step (Lipshitz, Wannamaker, Vanderkooy, J. AES 40(5), 1992), drawn for every sample,
        so that the result doesn't depend on how the sound was cut into blocks. Digital silence stays silent.
        """
        noise = self._random.random((block.shape[1], 2, 2), np.float32)
        dither = (noise[..., 0] - noise[..., 1]).T
        steps = np.rint(block * np.float32(_INT24_MAX) + dither)
        steps = np.where(block == 0, 0, np.clip(steps, -_INT24_MAX, _INT24_MAX))
        return steps.astype(np.int32) << 8

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def write_wav(
    path: Path, blocks: Iterable[Block], samples: int, encoding: Literal["float", "24 bit"] = "float"
) -> None:
    """Write all `blocks` to `path`; a file that couldn't be completed is removed."""
    with removed_on_error(path), WavWriter(path, samples, encoding) as writer:
        for block in blocks:
            writer.write(block)


@contextmanager
def removed_on_error(*paths: Path) -> Iterator[None]:
    """Context that removes `paths` if its body fails, for whatever reason (Ctrl-C included)."""
    try:
        yield
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


@contextmanager
def _delivery_errors(path: Path) -> Iterator[None]:
    import soundfile

    from core.frames import shown_name

    try:
        yield
    except (soundfile.LibsndfileError, OSError) as err:
        place = next((above.parent for above in path.parents if above.name == ".gvm"), path.parent)
        if _is_full(path.parent):
            reason, remedy = "the disk is full", "make room, or choose another folder with --out"
        else:
            reason, remedy = str(err).strip(" ."), "check that the folder is writable, or choose another with --out"
        raise DeliveryError(f"{shown_name(path)}: can't be written to {place} ({reason}); {remedy}") from err


def _is_full(folder: Path) -> bool:
    """Is there next to no room left in `folder`? libsndfile doesn't tell."""
    try:
        return shutil.disk_usage(folder).free < _FULL_BYTES
    except OSError:
        return False
