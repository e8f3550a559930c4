"""The film with its score as it will be heard: muxed, then measured after the lossy codec, which adds to peaks.

AAC and Opus keep the loudness but not the wave: on sharp attacks a peak can come out a decibel higher than it went in.
So the encoded sound is measured, and where it is over the ceiling it is limited by as much more and encoded again.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from gvm_plugin.limiter import TruePeakLimiter
from gvm_plugin.loudness import measure_loudness
from gvm_plugin.mux import MuxReport, mux
from gvm_plugin.probe import MediaInfo, probe, read_audio_blocks
from gvm_plugin.wav import count_samples, read_blocks, write_wav

log = logging.getLogger(__name__)

CEILING_DBTP: Final = -1.0
_MARGIN_DB: Final = 0.1  # limited by so much more than seemed needed: the next encoding differs a little
_MOST_TRIES: Final = 4


def deliver_film(info: MediaInfo, sound: Path, out: Path, *, keep_original: bool, separate_track: bool) -> MuxReport:
    """Write `out`: the picture of `info` with `sound` (a WAV file of the mix), its true peak under the ceiling.

    With separate_track the mix is made by somebody else, and `sound` is encoded as it is. See `mux` for the rest.
    """
    source, peaks = sound, CEILING_DBTP
    for attempt in range(_MOST_TRIES):
        report = mux(info, source, out, keep_original=keep_original, separate_track=separate_track)
        excess = 0.0 if separate_track else _true_peak(out) - CEILING_DBTP
        if excess <= 0 or attempt == _MOST_TRIES - 1:
            return report
        peaks = min(peaks, _loudest(source)) - excess - _MARGIN_DB
        log.debug("%s: %.1f dB over the ceiling after the codec, limited to %.1f dBTP", info.path, excess, peaks)
        lowered = sound.with_name(f"{sound.stem}.lowered{attempt}.wav")
        write_wav(lowered, TruePeakLimiter(peaks).stream(read_blocks(sound)), count_samples(sound))
        source = lowered
    raise AssertionError("unreachable: the last attempt returns")


def _true_peak(film: Path) -> float:
    """True peak of the film's first sound, dBTP; minus infinity for silence."""
    return _peak_of(measure_loudness(read_audio_blocks(probe(film)), true_peak=True).true_peak_dbtp)


def _loudest(sound: Path) -> float:
    return _peak_of(measure_loudness(read_blocks(sound), true_peak=True).true_peak_dbtp)


def _peak_of(measured: float | None) -> float:
    return float("-inf") if measured is None else measured
