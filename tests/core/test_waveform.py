"""The spine of models that write sound: windows that follow the picture, any length to the sample, codes to sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from parity import every, imported
from tiny_published import CONFIG, write_tiny

from core.errors import ModelError
from core.published.importer import import_checkpoint
from core.vision.picture import PictureFeatures
from core.waveform import WaveformModel, WaveRequest

RATE = 48_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tiny")
    return import_checkpoint(write_tiny(place / "published"), place / "tiny", "tiny").folder


@pytest.fixture(scope="module")
def model(folder: Path) -> WaveformModel:
    return WaveformModel(folder, precision="fp32")


def seen(start: float, end: float, shift: float = 0.0) -> PictureFeatures:
    """One frame a second, numbered in its first channel."""
    times = np.arange(np.ceil(start), end)
    values = np.random.default_rng(0).normal(0, 1, (len(times), 1, 24)).astype(np.float32)
    values[:, 0, 0] = times
    return PictureFeatures(times - shift, values)


def request(seconds: float, **changes: object) -> WaveRequest:
    fields: dict[str, object] = {"features": seen(0, seconds), "lead_seconds": 0.0, "seed": 3}
    return WaveRequest(samples=round(seconds * RATE), **(fields | changes))  # type: ignore[arg-type]


def test_a_long_cue_is_written_in_windows_of_30_s_with_10_s_carried_and_a_short_last_one(model: WaveformModel) -> None:
    job = model.job_of(request(65.0))
    assert [(w.first, w.prompt, w.last) for w in job.windows] == [
        (0, 0, 1500),
        (1000, 500, 2500),
        (2000, 500, 3250),
    ]
    assert job.steps == 65 * 50


def test_times_are_the_cues_own_and_the_lead_comes_before_them(model: WaveformModel) -> None:
    """A cue from 12.3 s of the film with half a second of lead: its frames are those of its own seconds."""
    asked = request(4.0, features=seen(11.8, 15.8, shift=12.3), lead_seconds=0.5)
    job = model.job_of(asked)
    assert job.step_seconds[0] == -0.5
    assert job.step_seconds[-1] == pytest.approx(3.5)
    assert job.frame_times.tolist() == pytest.approx([-0.3, 0.7, 1.7, 2.7])
    assert job.condition[:, 0, 0].tolist() == [12, 13, 14, 15]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3 * RATE))
def test_any_length_comes_out_to_the_sample(model: WaveformModel, samples: int) -> None:
    asked = WaveRequest(seen(0, 3), 0.0, samples, 1)
    steps = model.job_of(asked).steps
    codes = np.random.default_rng(samples).integers(0, CONFIG.decoder.card, (4, steps))
    audio = model.play(codes, asked)
    assert audio.shape == (2, samples) and audio.dtype == np.float32
    assert np.array_equal(audio[0], audio[1])
    assert steps * 640 / 32_000 >= samples / RATE > (steps - 1) * 640 / 32_000
    assert samples < 5000 or audio[:, -1000:].any(), "the end is silent: not enough codes"


def test_the_sound_is_the_codecs_at_48_khz(model: WaveformModel) -> None:
    codes = np.random.default_rng(0).integers(0, CONFIG.decoder.card, (4, 100))
    audio = model.play(codes, WaveRequest(seen(0, 2), 0.0, 2 * RATE, 0))
    wave = model._codec.decode(torch.as_tensor(codes[None]))[0, 0].numpy()
    spectrum, expected = (np.abs(np.fft.rfft(x))[: 2 * 12_000] for x in (audio[0], wave))  # up to 12 kHz, 0.5 Hz apart
    assert np.abs(spectrum / 1.5 - expected).max() < 0.02 * expected.max()


def test_takes_come_as_their_codes_end_and_are_the_same_alone(model: WaveformModel) -> None:
    requests = [request(4.0, seed=1), request(1.0, seed=2), request(2.0, seed=3)]
    shares: list[float] = []
    together = list(model.generate_music(requests, shares.append))
    assert [index for index, _ in together] == [1, 2, 0]
    assert shares == sorted(shares) and shares[-1] == 1.0
    for index, take in together:
        ((_, alone),) = model.generate_music([requests[index]])
        assert np.array_equal(alone.codes, take.codes)
        assert np.array_equal(alone.audio, take.audio)


def test_seed_and_pictures_decide_the_codes(model: WaveformModel) -> None:
    def codes(asked: WaveRequest) -> np.ndarray:
        ((_, take),) = model.generate_music([asked])
        return take.codes

    first = codes(request(3.0))
    assert np.array_equal(first, codes(request(3.0)))
    assert not np.array_equal(first, codes(request(3.0, seed=4)))
    other = seen(0, 3.0)
    other.values[:] = -other.values
    assert not np.array_equal(first, codes(request(3.0, features=other)))


def test_a_cue_without_a_frame_of_its_own_gets_music_all_the_same(model: WaveformModel) -> None:
    ((_, take),) = model.generate_music([request(0.6, features=PictureFeatures(np.zeros(0), np.zeros((0, 1, 1))))])
    assert take.audio.shape == (2, round(0.6 * RATE))


def test_the_encoder_gives_what_the_decoder_reads(model: WaveformModel) -> None:
    encoder = model.open_encoder()
    assert (encoder.fps, encoder.width) == (1, None)
    for second in range(3):
        encoder.push(float(second), np.full((36, 64, 3), 80 * second, np.uint8))
    features = encoder.finish()
    assert features.times.tolist() == [0, 1, 2]
    assert features.values.shape == (3, 1, CONFIG.features.out_channels)


def test_nothing_is_read_before_it_is_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr("core.checkpoint.read_weights", fail)
    ready = WaveformModel(folder)
    assert ready.work(60, 60, 1).operations > 0
    with pytest.raises(AssertionError, match="were read"):
        ready.open_encoder()


def test_what_cannot_be_had_is_told_when_it_is_opened(folder: Path, tmp_path: Path) -> None:
    from core.checkpoint import STARTER

    with pytest.raises(ModelError, match="no waveform; use another model"):
        WaveformModel(STARTER)
    with pytest.raises(ModelError, match=r"mbd_musicgen_32khz\.th is missing.*gvm models pull mbd-musicgen-32khz"):
        WaveformModel(folder, diffusion=tmp_path)
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA GPU"):
            WaveformModel(folder, device="cuda")


def test_weights_that_do_not_fit_are_refused_before_they_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.memory.free_bytes", lambda device: 200_000_000)
    with pytest.raises(ModelError, match=r"needs about 0\.3 GB of memory, 0\.2 GB are free"):
        WaveformModel(folder)


def test_more_cues_at_once_need_fewer_bytes_and_a_longer_film_more_of_all(model: WaveformModel) -> None:
    one, many, long = model.work(60, 60, 1), model.work(60, 60, 4), model.work(120, 120, 1)
    assert many.bytes_read == one.bytes_read / 4 and many.operations == one.operations
    assert (long.operations, long.bytes_read) == (2 * one.operations, 2 * one.bytes_read)


@pytest.mark.shared
@every
def test_the_published_checkpoints_play(name: str, tmp_path: Path) -> None:
    """All three have 50 steps a second, whatever the order of their codec's strides."""
    model = WaveformModel(imported(name, tmp_path), precision="fp32")
    assert model.step_rate == 50
    encoder = model.open_encoder()
    for second in range(2):
        encoder.push(float(second), np.full((45, 61, 3), 90 * second, np.uint8))
    asked = WaveRequest(encoder.finish(), 0.0, round(1.3 * RATE), 5)
    ((_, take),) = model.generate_music([asked])
    assert take.codes.shape == (4, 65)
    assert take.audio.shape == (2, round(1.3 * RATE))
    assert take.audio.std() > 1e-5
