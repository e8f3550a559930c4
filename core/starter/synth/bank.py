"""The sample bank: every tone an instrument has played, rendered once, kept in memory and in the user's cache folder.

A tone is made at its own pitch (a model costs no more than resampling a neighbour would), in LAYERS velocities and
VARIATIONS takes. Files are named by a hash of this package's source, so a change of any model is a new bank; without
a writable folder everything still works, only slower the next time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.starter.synth import dsp, sections
from core.starter.synth.dsp import Audio
from core.starter.synth.instruments import TABLE, Held, Kit, Sampled
from core.starter.synth.percussion import strike

LAYERS: Final = (0.35, 0.65, 0.92)
LAYER_EDGES: Final = (0.50, 0.79)
VARIATIONS: Final = 2
MEMORY_BYTES: Final = 112 << 20
DISK_BYTES: Final = 1 << 30  # every style has two or three orchestras of about 40 MB
_HEADER: Final = struct.Struct("<4sIIf")
_MAGIC: Final = b"gvmT"


@dataclass(frozen=True, slots=True)
class Tone:
    """A rendered tone: wave [C, N] int16; times `scale` it has the loudness or peak its instrument is defined by."""

    wave: NDArray[np.int16]
    scale: float


class Bank:
    """Tones by (instrument, pitch, layer, variation), made when first asked for.

    folder: where they are kept between runs, or None. Least recently used tones leave memory first.
    """

    def __init__(self, folder: Path | None, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._tones: OrderedDict[tuple[str, int, int, int], Tone] = OrderedDict()
        self._held_bytes = 0
        self._disk_left: int | None = None
        self._lock = threading.Lock()  # several cues may be rendered at once

    def tone(self, instrument: str, pitch: int, layer: int, variation: int) -> Tone:
        """The tone, from memory, disk or its model."""
        key = (instrument, pitch, layer, variation)
        with self._lock:
            found = self._tones.get(key)
            if found is not None:
                self._tones.move_to_end(key)
                return found
        path = self._path(key)
        tone = _read(path) if path else None
        if tone is None:
            tone = _pack(_render(*key))
            if path:
                self._write(path, tone)
        with self._lock:
            self._remember(key, tone)
        return tone

    def _remember(self, key: tuple[str, int, int, int], tone: Tone) -> None:
        before = self._tones.get(key)
        self._held_bytes += tone.wave.nbytes - (before.wave.nbytes if before else 0)
        self._tones[key] = tone
        while self._held_bytes > self._memory_bytes and len(self._tones) > 1:
            _, old = self._tones.popitem(last=False)
            self._held_bytes -= old.wave.nbytes

    def _path(self, key: tuple[str, int, int, int]) -> Path | None:
        if self._folder is None:
            return None
        name, pitch, layer, variation = key
        return self._folder / name / f"{pitch}-{layer}-{variation}.tone"

    def _write(self, path: Path, tone: Tone) -> None:
        if self._disk_left is None:
            _drop_other_versions(self._folder)
            self._disk_left = DISK_BYTES - _folder_bytes(self._folder)
        self._disk_left -= tone.wave.nbytes
        if self._disk_left > 0 and not _save(path, tone):
            self._folder = None  # not writable: go on without


def bank() -> Bank:
    """The process's bank, in the user's cache folder."""
    return _shared(os.environ.get("GVM_CACHE"), os.environ.get("XDG_CACHE_HOME"))


@lru_cache(maxsize=1)
def _shared(own: str | None, xdg: str | None) -> Bank:
    if own:
        root = Path(own)
    elif xdg:
        root = Path(xdg) / "gvm"
    else:
        try:
            root = Path.home() / ".cache" / "gvm"
        except RuntimeError:  # no home folder
            return Bank(None)
    version = source_hash()
    return Bank(root / "synth" / version if version else None)


@lru_cache(maxsize=1)
def source_hash() -> str:
    """Hash of every file that shapes a tone, 16 hexadecimal digits; empty when the source can't be read."""
    digest = hashlib.sha256()
    try:
        for path in sorted(Path(__file__).parent.glob("*.py")):
            if path.name not in ("__init__.py", "mixdown.py", "render.py", "rooms.py", "voices.py", "inserts.py"):
                digest.update(path.name.encode() + path.read_bytes())
    except OSError:
        return ""
    return digest.hexdigest()[:16]


def _render(name: str, pitch: int, layer: int, variation: int) -> Audio:
    """The tone as made by its model: K-weighted RMS 1 over its loud beginning when pitched, peak 1 on a kit."""
    instrument = TABLE[name]
    random = dsp.generator(name, pitch, variation)
    if isinstance(instrument, Sampled):
        wave = instrument.make(pitch, LAYERS[layer], random)
        wave = wave / np.float32(dsp.loudness(wave, 0.2) + 1e-9)
    elif isinstance(instrument, Held):
        wave = sections.loop(instrument.section, pitch, random)
        for rows in (slice(0, 2), slice(2, 4)):
            wave[rows] /= np.float32(dsp.loudness(wave[rows], 1.4) + 1e-9)
    else:
        assert isinstance(instrument, Kit), name
        stroke = instrument.strokes[pitch]
        wave = strike(stroke.model, LAYERS[layer], random)
        if stroke.soft_top:
            wave = _dull(wave, stroke.soft_top)
        wave = wave / np.float32(np.max(np.abs(wave)) + 1e-9)
    return np.asarray(wave, np.float32)


def _dull(wave: Audio, cutoff: float) -> Audio:
    size = wave.shape[1] + 1024
    spectrum = np.fft.rfft(wave, size, axis=1)
    spectrum *= dsp.low_pass(np.asarray(np.fft.rfftfreq(size, 1.0 / dsp.RATE), np.float64), cutoff, 2.0)
    return np.asarray(np.fft.irfft(spectrum, size, axis=1)[:, : wave.shape[1]], np.float32)


def _pack(wave: Audio) -> Tone:
    if wave.shape[0] == 2 and np.array_equal(wave[0], wave[1]):
        wave = wave[:1]
    peak = float(np.max(np.abs(wave))) + 1e-9
    return Tone(np.round(wave * np.float32(32767.0 / peak)).astype(np.int16), peak / 32767.0)


def _read(path: Path) -> Tone | None:
    """The tone stored at `path`; None when there is none or the file is not whole."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    if len(raw) < _HEADER.size:
        return None
    magic, channels, samples, scale = _HEADER.unpack_from(raw)
    if magic != _MAGIC or len(raw) != _HEADER.size + 2 * channels * samples:
        return None
    wave = np.frombuffer(raw, "<i2", offset=_HEADER.size).reshape(channels, samples)
    return Tone(wave.astype(np.int16, copy=False), scale)


def _save(path: Path, tone: Tone) -> bool:
    """Whether `tone` could be written to `path` (whole or not at all)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(_HEADER.pack(_MAGIC, *tone.wave.shape, tone.scale))
            file.write(tone.wave.astype("<i2", copy=False).tobytes())
        Path(temporary).replace(path)
    except OSError:
        return False
    return True


def _drop_other_versions(folder: Path | None) -> None:
    """Delete the tones of other versions of the synthesiser beside `folder`: nothing will ask for them again."""
    if folder is None or folder.parent.name != "synth" or not folder.parent.is_dir():
        return
    for other in folder.parent.iterdir():
        if other.is_dir() and other != folder and len(other.name) == len(folder.name):
            shutil.rmtree(other, ignore_errors=True)


def _folder_bytes(folder: Path | None) -> int:
    if folder is None or not folder.exists():
        return 0
    return sum(entry.stat().st_size for entry in folder.rglob("*.tone"))
