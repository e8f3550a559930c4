"""Broadcast Wave: FFmpeg reads the time stamp, and the sound is the same as before."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from gvm_plugin.handoff.broadcast_wave import Stamp, stamp_file
from gvm_plugin.wav import WavWriter

STAMP = Stamp(172_972_800 + 2**33, "Cue Ä of „Süd“.mp4", "gvm 0.1.0", "R" * 40, "2026-11-21", "18:04:05")


def write(path: Path, announced: int) -> np.ndarray:
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 4801)).astype(np.float32)
    with WavWriter(path, announced, "24 bit") as writer:
        writer.write(sound)
    return sound


@pytest.mark.parametrize(("announced", "kind"), [(4801, b"RIFF"), (2**31, b"RF64")])
def test_ffmpeg_reads_the_stamp(tmp_path: Path, announced: int, kind: bytes) -> None:
    write(tmp_path / "plain.wav", announced)
    stamp_file(tmp_path / "plain.wav", tmp_path / "stamped.wav", STAMP)
    assert (tmp_path / "stamped.wav").read_bytes()[:4] == kind
    with av.open(str(tmp_path / "stamped.wav")) as container:
        tags = container.metadata
        assert int(tags["time_reference"]) == STAMP.time_reference
        assert tags["encoded_by"] == "gvm 0.1.0"
        assert tags["originator_reference"] == "R" * 32
        assert (tags["date"], tags["creation_time"]) == ("2026-11-21", "18:04:05")
        assert tags["comment"] == "Cue ? of ?S?d?.mp4"
        assert tags["coding_history"].startswith("A=PCM,F=48000,W=24,M=stereo")
        assert sum(frame.samples for frame in container.decode(audio=0)) == 4801


@pytest.mark.parametrize("announced", [4801, 2**31])
def test_the_sound_stays_as_it_was(tmp_path: Path, announced: int) -> None:
    write(tmp_path / "plain.wav", announced)
    stamp_file(tmp_path / "plain.wav", tmp_path / "stamped.wav", STAMP)
    before, rate = soundfile.read(tmp_path / "plain.wav", dtype="int32")
    after, rate_after = soundfile.read(tmp_path / "stamped.wav", dtype="int32")
    assert rate == rate_after == 48_000
    assert np.array_equal(before, after)


def test_every_chunk_is_where_riff_says(tmp_path: Path) -> None:
    write(tmp_path / "plain.wav", 4801)
    stamp_file(tmp_path / "plain.wav", tmp_path / "stamped.wav", STAMP)
    data = (tmp_path / "stamped.wav").read_bytes()
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    names, at = [], 12
    while at < len(data):
        names.append(data[at : at + 4])
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    assert at == len(data)
    assert names.index(b"bext") < names.index(b"data")


def test_a_time_before_midnight_is_refused() -> None:
    with pytest.raises(ValueError, match="midnight"):
        Stamp(-1, "", "", "", "", "")
