"""How much higher the peaks of a delivered film are than allowed, once its sound has been through the lossy codec.

AAC and Opus keep the loudness but not the wave: on sharp attacks a peak can come out a decibel higher than it went in.
The mix leaves some room for that; where it isn't enough, the spine mixes again with more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gvm_plugin.loudness import measure_loudness
from gvm_plugin.probe import probe, read_audio_blocks

CEILING_DBTP: Final = -1.0
HEADROOM_DB: Final = 0.5  # what the codec usually adds to peaks, kept free from the first
MARGIN_DB: Final = 0.1  # beyond the excess measured: the next encoding differs a little


def peak_excess(film: Path) -> float:
    """Decibels by which the true peak of the film's first sound is over CEILING_DBTP; 0 or less is as it should be."""
    peak = measure_loudness(read_audio_blocks(probe(film)), true_peak=True).true_peak_dbtp
    return float("-inf") if peak is None else peak - CEILING_DBTP
