"""Time stamps in WAV files: the `bext` chunk of Broadcast Wave (EBU Tech 3285, version 1).

    time_reference    samples since midnight of the first one: where the file belongs on a timeline

libsndfile writes the sound; the chunk goes in behind the RIFF header, or behind `ds64` in RF64 (EBU Tech 3306), where
the standard wants it: before the sound.
"""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from core.errors import DeliveryError
from gvm_plugin.timeline import SAMPLE_RATE

_FIXED: Final = struct.Struct("<256s32s32s10s8sIIH64s190s")
_MOST_BYTES: Final = 0xFFFFFFFF


@dataclass(frozen=True)
class Stamp:
    """What the chunk says. date: yyyy-mm-dd, time: hh:mm:ss. Texts are cut to what fits, 256 and 32 characters."""

    time_reference: int
    description: str
    originator: str
    reference: str
    date: str
    time: str

    def __post_init__(self) -> None:
        if not 0 <= self.time_reference < 2**64:
            raise ValueError(f"time_reference is {self.time_reference}; it counts samples from midnight")

    def chunk(self) -> bytes:
        """The chunk, header and all; of even length, as RIFF wants it."""
        history = f"A=PCM,F={SAMPLE_RATE},W=24,M=stereo,T={_ascii(self.originator, 32).decode()}\r\n".encode("ascii")
        body = _FIXED.pack(
            _ascii(self.description, 256),
            _ascii(self.originator, 32),
            _ascii(self.reference, 32),
            _ascii(self.date, 10),
            _ascii(self.time, 8),
            self.time_reference & 0xFFFFFFFF,
            self.time_reference >> 32,
            1,  # version: with room for a UMID, which may be left empty
            b"",
            b"",
        )
        body += history + b"\0" * (len(history) % 2)
        return b"bext" + struct.pack("<I", len(body)) + body


def stamp_file(source: Path, target: Path, stamp: Stamp) -> None:
    """Copy the WAV or RF64 file `source` to `target` with `stamp` in it. DeliveryError where it can't be written."""
    chunk = stamp.chunk()
    try:
        with source.open("rb") as old, target.open("wb") as new:
            head = old.read(12)
            assert head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE", f"{source} is no WAV file"
            (size,) = struct.unpack("<I", head[4:8])
            if head[:4] == b"RF64":
                new.write(head)
                new.write(_longer_ds64(old, len(chunk)))
            else:
                assert size + len(chunk) <= _MOST_BYTES, "the writer leaves room for more header, or takes RF64"
                new.write(head[:4] + struct.pack("<I", size + len(chunk)) + head[8:])
            new.write(chunk)
            shutil.copyfileobj(old, new, 1 << 20)
    except OSError as err:
        target.unlink(missing_ok=True)
        raise DeliveryError(f"{target}: can't be written ({err.strerror}); check rights and free space") from err


def _longer_ds64(file: BinaryIO, more: int) -> bytes:
    """The ds64 chunk that `file` goes on with, for a file that is `more` bytes longer."""
    head = file.read(8)
    assert head[:4] == b"ds64", "an RF64 file begins with its ds64 chunk"
    body = file.read(struct.unpack("<I", head[4:])[0])
    (size,) = struct.unpack("<Q", body[:8])
    return head + struct.pack("<Q", size + more) + body[8:]


def _ascii(text: str, length: int) -> bytes:
    """`text` as the chunk may hold it: ASCII, at most `length` bytes."""
    return text.encode("ascii", "replace")[:length]
