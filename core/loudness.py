"""Integrated loudness (ITU-R BS.1770-4, EBU R 128) and true peak of sound in blocks; memory doesn't grow with length.

The measuring itself is ffmpeg's `ebur128` filter, inside this process by PyAV. It passes EBU Tech 3341, as the
tests show; pyloudnorm's weighting curve is a few hundredths of a LU off the standard's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.filter import Graph

Block = npt.NDArray[np.float32]  # [2, n]

SAMPLE_RATE: Final = 48_000
_GATING_SAMPLES: Final = SAMPLE_RATE * 4 // 10  # one gating block, BS.1770-4 annex 1
_ABSOLUTE_GATE_LUFS: Final = -70.0
_PUSH_SAMPLES: Final = SAMPLE_RATE * 10  # at most per frame handed to the filter


@dataclass(frozen=True)
class Loudness:
    """What was measured. None: nothing louder than the absolute gate (-70 LUFS), or digital silence.

    integrated_lufs: gated loudness of the whole. true_peak_dbtp: highest peak at 4 times the rate; None if not asked.
    range_lu: loudness range (EBU Tech 3342).
    """

    integrated_lufs: float | None
    true_peak_dbtp: float | None
    seconds: float
    range_lu: float | None = None


class LoudnessMeter:
    """Measures stereo at 48 kHz pushed in blocks of any size.

    Sound shorter than one gating block (0.4 s), for which the standard has no loudness, is measured as if repeated.
    """

    def __init__(self, true_peak: bool = False) -> None:
        self._true_peak = true_peak
        self._graph = _open_graph(true_peak)
        self._samples = 0
        self._short: list[Block] = []  # kept until a gating block is full
        self._sample_peak = 0.0
        self._metadata: dict[str, str] = {}

    def push(self, block: Block) -> None:
        """Take the next block, [2, n]."""
        if block.shape[1] == 0:
            return
        if self._samples < _GATING_SAMPLES:
            self._short.append(block[:, :_GATING_SAMPLES].copy())
        else:
            self._short.clear()
        self._feed(block)

    def result(self) -> Loudness:
        """Loudness of everything pushed. Call once, at the end."""
        seconds = self._samples / SAMPLE_RATE
        if 0 < self._samples < _GATING_SAMPLES:
            once = np.concatenate(self._short, axis=1)
            self._feed(np.tile(once, (1, -(-_GATING_SAMPLES // once.shape[1]))))
        if self._samples:
            self._graph.push(None)
            self._pull()
        integrated = float(self._metadata.get("lavfi.r128.I", _ABSOLUTE_GATE_LUFS))
        return Loudness(
            integrated_lufs=integrated if integrated > _ABSOLUTE_GATE_LUFS else None,
            true_peak_dbtp=self._true_peak_dbtp() if self._true_peak else None,
            seconds=seconds,
            range_lu=float(self._metadata.get("lavfi.r128.LRA", 0.0)) if integrated > _ABSOLUTE_GATE_LUFS else None,
        )

    def _feed(self, block: Block) -> None:
        from av import AudioFrame

        for start in range(0, block.shape[1], _PUSH_SAMPLES):
            part = np.ascontiguousarray(block[:, start : start + _PUSH_SAMPLES], dtype=np.float32)
            frame = AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = SAMPLE_RATE, self._samples
            self._graph.push(frame)
            self._samples += part.shape[1]
            self._pull()
        if block.shape[1]:
            self._sample_peak = max(self._sample_peak, float(block.max()), -float(block.min()))

    def _pull(self) -> None:
        """Empty the filter; its last frame carries the figures so far."""
        from av.error import BlockingIOError, EOFError

        while True:
            try:
                frame = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            self._metadata = dict(frame.metadata) or self._metadata  # a last frame under 100 ms carries none

    @property
    def sample_peak_dbfs(self) -> float | None:
        """Highest sample so far, None in digital silence. Needs no oversampling, so it costs nothing."""
        return float(20 * np.log10(self._sample_peak)) if self._sample_peak > 0 else None

    def _true_peak_dbtp(self) -> float | None:
        """The filter's peak. It has three decimals only, so for faint sound the sample peak may say more."""
        peak = max(float(self._metadata.get("lavfi.r128.true_peak", 0.0)), self._sample_peak)
        return float(20 * np.log10(peak)) if peak > 0 else None


def measure_loudness(blocks: Iterable[Block], true_peak: bool = False) -> Loudness:
    """Loudness of sound given as blocks [2, n] of 48 kHz."""
    meter = LoudnessMeter(true_peak)
    for block in blocks:
        meter.push(block)
    return meter.result()


def decibels(gain_db: float) -> np.float32:
    """Linear factor of a gain in dB, as float32 so that blocks keep their type."""
    return np.float32(10 ** (gain_db / 20))


def _open_graph(true_peak: bool) -> Graph:
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=SAMPLE_RATE, format="fltp", layout="stereo", time_base=Fraction(1, SAMPLE_RATE)
    )
    meter = graph.add("ebur128", f"metadata=1:framelog=quiet:peak={'true' if true_peak else 'none'}")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    return graph
