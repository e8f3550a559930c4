"""Speech is found where it is; the network gives what the package's own model gives."""

from __future__ import annotations

import importlib.util
import json
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import speechlike
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import MissingDependencyError
from gvm_plugin import speech
from gvm_plugin.probe import probe, read_audio_blocks
from gvm_plugin.speech import Downsampler, SpeechDetector, find_spans, union
from gvm_plugin.timeline import Span


def talk(seconds: float) -> np.ndarray:
    return speechlike(np.arange(int(seconds * 48_000)) / 48_000)[::3].astype(np.float32)


def test_talking_is_found_between_silences() -> None:
    detector = SpeechDetector()
    detector.push(np.concatenate([np.zeros(32_000), talk(3), np.zeros(32_000)]).astype(np.float32))
    (span,) = detector.spans(7.0)
    assert span.start == pytest.approx(2, abs=0.25)
    assert span.end == pytest.approx(5, abs=0.35)


@pytest.mark.parametrize("sound", ["silence", "noise", "hum"])
def test_other_sounds_are_no_speech(sound: str) -> None:
    times = np.arange(16_000 * 4) / 16_000
    wave = {
        "silence": np.zeros_like(times),
        "noise": np.random.default_rng(0).normal(0, 0.1, len(times)),
        "hum": sum(np.sin(2 * np.pi * 50 * k * times) / k for k in range(1, 9)) * 0.1,
    }[sound]
    detector = SpeechDetector()
    detector.push(np.asarray(wave, np.float32))
    assert detector.spans(4.0) == ()


@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=12))
def test_block_sizes_change_nothing(sizes: list[int]) -> None:
    wave = talk(0.8)
    whole, parts = SpeechDetector(), SpeechDetector()
    whole.push(wave)
    for start, end in zip([0, *np.cumsum(sizes)], [*np.cumsum(sizes), len(wave)], strict=True):
        parts.push(wave[start:end])
    assert np.allclose(whole.probabilities(), parts.probabilities(), atol=1e-5)


def test_network_equals_the_packages_own_model() -> None:
    torch = pytest.importorskip("torch")
    found = importlib.util.find_spec("silero_vad")
    assert found is not None and found.submodule_search_locations
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that package loads its model in a way torch calls outdated
        model = torch.jit.load(str(Path(found.submodule_search_locations[0]) / "data" / "silero_vad.jit")).eval()
    tensors = {name: value.detach().numpy() for name, value in model._model.named_parameters()}
    names = {f"encoder.{k}.reparam_conv": f"conv{k + 1}" for k in range(4)}
    names |= {"decoder.rnn": "lstm_cell", "decoder.decoder.2": "final_conv"}
    weights = {
        new + k.removeprefix(old): v for k, v in tensors.items() for old, new in names.items() if k.startswith(old)
    }
    weights["stft_conv.weight"] = dict(model._model.named_buffers())["stft.forward_basis_buffer"].numpy()
    detector = SpeechDetector()
    detector._weights = weights
    wave = talk(2)[: 512 * 60]
    detector.push(wave)
    with torch.no_grad():
        theirs = [model(torch.from_numpy(wave[k : k + 512]), 16_000).item() for k in range(0, len(wave), 512)]
    assert np.abs(detector.probabilities() - theirs).max() < 1e-4


@given(arrays(np.float32, st.integers(0, 200), elements=st.floats(0, 1, width=32)), st.floats(0.1, 8))
def test_spans_are_in_order_apart_and_inside(probabilities: np.ndarray, duration: float) -> None:
    spans = find_spans(probabilities, duration)
    assert all(0 <= span.start < span.end <= duration for span in spans)
    assert all(one.end < other.start for one, other in pairwise(spans))


def test_pauses_are_bridged_and_blips_dropped() -> None:
    word, pause, blip = [0.9] * 20, [0.1] * 8, [0.9] * 3
    (span,) = find_spans(np.array([*pause * 4, *word, *pause, *word, *pause * 6, *blip, *pause * 6], np.float32), 60)
    assert span.start == pytest.approx(32 * 0.032 - speech.PAD_SECONDS)
    assert span.end == pytest.approx(80 * 0.032 + speech.PAD_SECONDS)


def test_speech_on_any_track_counts() -> None:
    assert union([[Span(0, 2), Span(5, 6)], [Span(1, 3)], []]) == (Span(0, 3), Span(5, 6))


def test_downsampling_keeps_time_and_takes_away_what_would_fold() -> None:
    times = np.arange(48_000) / 48_000
    low, high = np.sin(2 * np.pi * 1000 * times), np.sin(2 * np.pi * 9000 * times)
    sampler = Downsampler()
    out = np.concatenate([sampler.push((low + high)[k : k + 5000].astype(np.float32)) for k in range(0, 48_000, 5000)])
    assert np.abs(out[200:15_000] - low[::3][200:15_000]).max() < 1e-2


def test_a_missing_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    speech.load_weights.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        SpeechDetector()


def test_narrator_of_the_real_film_is_found(shared_media: Path) -> None:
    info = probe(shared_media / "vlog_with_speech.mp4")
    truth = [Span(*pair) for pair in json.loads((shared_media / "vlog_with_speech.json").read_text())["speech_seconds"]]
    detector = SpeechDetector()
    for block in read_audio_blocks(info, rate=16_000, layout="mono"):
        detector.push(block[0])
    spans = detector.spans(info.picture_duration)
    found = sum(one.overlap(other) for one in spans for other in truth)
    spoken = sum(span.duration for span in truth)
    assert found / spoken >= 0.95
    assert (sum(span.duration for span in spans) - found) / (info.picture_duration - spoken) <= 0.10
