"""Where somebody speaks, by the Silero voice activity model (MIT), whose weights come inside its package.

The network is small enough to run in numpy: no torch to start, and everything but its recurrent cell is done for
many frames at once. `tests/gvm_plugin/test_speech.py` holds it to the package's own TorchScript model.

Sound goes in as 16 kHz mono, block by block; memory holds one number per 32 ms of film.

    frames of 512 samples, each with the 64 before it -> magnitude spectra (4 per frame, by a learnt-free Fourier
    kernel stored as convolution) -> four convolutions -> recurrent cell -> probability of speech per frame
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import MissingDependencyError
from gvm_plugin.timeline import Span

RATE: Final = 16_000
FRAME: Final = 512  # samples per probability
CONTEXT: Final = 64  # samples of the frame before that the model also sees
FRAME_SECONDS: Final = FRAME / RATE
BATCH: Final = 512  # frames worked on at once, 16 s
WEIGHTS: Final = "data/silero_vad_16k.safetensors"

# Hysteresis as the model's authors advise; the rest is chosen for ducking: pauses between words don't open a gap.
ENTER: Final = 0.5
LEAVE: Final = 0.35
MIN_SPEECH_SECONDS: Final = 0.25
MIN_PAUSE_SECONDS: Final = 0.4
PAD_SECONDS: Final = 0.06

Floats = npt.NDArray[np.float32]


class SpeechDetector:
    """Hears 16 kHz mono in blocks of any size, then tells where there was speech."""

    def __init__(self) -> None:
        self._weights = load_weights()
        self._hidden = np.zeros(128, np.float32)
        self._cell = np.zeros(128, np.float32)
        self._rest = np.zeros(CONTEXT, np.float32)  # context, then samples that don't fill a frame yet
        self._probabilities: list[Floats] = []

    def push(self, samples: Floats) -> None:
        """Take the next samples, [n]."""
        sound = np.concatenate([self._rest, samples])
        count = (len(sound) - CONTEXT) // FRAME
        for first in range(0, count, BATCH):
            size = min(BATCH, count - first)
            part = sound[first * FRAME : (first + size) * FRAME + CONTEXT]
            frames = np.lib.stride_tricks.sliding_window_view(part, FRAME + CONTEXT)[::FRAME]
            self._probabilities.append(self._classify(frames))
        self._rest = sound[count * FRAME :]

    def probabilities(self) -> Floats:
        """Probability of speech for each 32 ms pushed, the last one padded with silence. Call once, at the end."""
        missing = -(len(self._rest) - CONTEXT) % FRAME
        if missing:
            self.push(np.zeros(missing, np.float32))
        return np.concatenate([np.zeros(0, np.float32), *self._probabilities])

    def spans(self, duration: float, enter: float = ENTER, leave: float = LEAVE) -> tuple[Span, ...]:
        """Where there was speech, in seconds, in order, none beyond `duration`. Call once, at the end."""
        return find_spans(self.probabilities(), duration, enter, leave)

    def _classify(self, frames: Floats) -> Floats:
        """Probabilities [B] of frames [B, 64 + 512]."""
        w = self._weights
        x = np.pad(frames, ((0, 0), (0, CONTEXT)), mode="reflect")[:, None, :]
        x = _convolve(x, w["stft_conv.weight"], None, stride=128, pad=0)
        x = np.sqrt(x[:, :129] ** 2 + x[:, 129:] ** 2)
        for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2), ("conv4", 1)):
            x = np.maximum(_convolve(x, w[f"{name}.weight"], w[f"{name}.bias"], stride, pad=1), 0)
        gates_in = x[:, :, 0] @ w["lstm_cell.weight_ih"].T + w["lstm_cell.bias_ih"] + w["lstm_cell.bias_hh"]
        recurrent = w["lstm_cell.weight_hh"]
        hidden = np.empty((len(x), 128), np.float32)
        for index, gates in enumerate(gates_in):
            gates = gates + recurrent @ self._hidden
            keep_in, forget, out = _sigmoid(gates[:128]), _sigmoid(gates[128:256]), _sigmoid(gates[384:])
            self._cell = forget * self._cell + keep_in * np.tanh(gates[256:384])
            self._hidden = out * np.tanh(self._cell)
            hidden[index] = self._hidden
        return _sigmoid(np.maximum(hidden, 0) @ w["final_conv.weight"][0, :, 0] + w["final_conv.bias"][0])


@lru_cache(maxsize=1)
def load_weights() -> dict[str, Floats]:
    """The model's tensors by name, read from the installed silero-vad package without importing it."""
    from safetensors.numpy import load_file

    found = importlib.util.find_spec("silero_vad")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        path = Path(folder) / WEIGHTS
        if path.is_file():
            return {name: np.ascontiguousarray(value) for name, value in load_file(path).items()}
    raise MissingDependencyError("the speech detector's model is missing; `pip install 'silero-vad>=6.2'`")


def find_spans(probabilities: Floats, duration: float, enter: float = ENTER, leave: float = LEAVE) -> tuple[Span, ...]:
    """Spans of speech from a probability per 32 ms: with hysteresis, short pauses bridged, short blips dropped."""
    raw: list[tuple[float, float]] = []
    start: int | None = None
    for index, value in enumerate([*probabilities.tolist(), 0.0]):
        if start is None and value >= enter:
            start = index
        elif start is not None and value < leave:
            raw.append((start * FRAME_SECONDS, index * FRAME_SECONDS))
            start = None
    joined: list[tuple[float, float]] = []
    for begin, end in raw:
        if joined and begin - joined[-1][1] < MIN_PAUSE_SECONDS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    kept = [(begin, end) for begin, end in joined if end - begin >= MIN_SPEECH_SECONDS and begin < duration]
    return tuple(Span(max(0.0, begin - PAD_SECONDS), min(duration, end + PAD_SECONDS)) for begin, end in kept)


def union(groups: Sequence[Sequence[Span]]) -> tuple[Span, ...]:
    """Spans in which any of the groups has one, merged and in order."""
    merged: list[Span] = []
    for span in sorted(span for group in groups for span in group):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def _convolve(x: Floats, weight: Floats, bias: Floats | None, stride: int, pad: int) -> Floats:
    """[B, I, T] with weight [O, I, K] -> [B, O, T'], as one matrix product."""
    if pad:
        x = np.pad(x, ((0, 0), (0, 0), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2], axis=2)[:, :, ::stride]  # [B, I, T', K]
    flat = windows.transpose(0, 2, 1, 3).reshape(len(x) * windows.shape[2], -1)
    y = flat @ weight.reshape(len(weight), -1).T
    if bias is not None:
        y = y + bias
    return np.ascontiguousarray(y.reshape(len(x), windows.shape[2], -1).transpose(0, 2, 1))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), dtype=np.float32)


class Downsampler:
    """48 kHz -> 16 kHz, mono, in blocks of any size; 83 dB down from 8.8 kHz up (Kaiser window, 97 taps)."""

    def __init__(self) -> None:
        from scipy.signal import firwin

        self._taps = firwin(97, 7200, fs=48_000, window=("kaiser", 8)).astype(np.float32)
        self._rest = np.zeros(48, np.float32)  # half a filter, so that the result isn't late

    def push(self, samples: Floats) -> Floats:
        """As many samples at 16 kHz as [n] at 48 kHz and those before them allow."""
        from scipy.signal import upfirdn

        sound = np.concatenate([self._rest, samples])
        count = max(0, (len(sound) - 97) // 3 + 1)
        self._rest = sound[3 * count :]
        return np.asarray(upfirdn(self._taps, sound, 1, 3)[32 : 32 + count], dtype=np.float32)
