from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.errors import DeliveryError, MediaError
from gvm_plugin.wav import WavWriter, count_samples, read_blocks, write_wav

RATE = 48_000


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((2, samples)) * 0.1).astype(np.float32)


def test_float_files_give_back_the_same_samples(tmp_path: Path) -> None:
    sound = noise(5000)
    write_wav(tmp_path / "a.wav", [sound[:, :1234], sound[:, 1234:]], 5000)
    blocks = list(read_blocks(tmp_path / "a.wav", 1000))
    assert [block.shape for block in blocks] == [(2, 1000)] * 5
    assert np.array_equal(np.concatenate(blocks, axis=1), sound)
    assert count_samples(tmp_path / "a.wav") == 5000


def test_24_bit_files_are_within_two_steps_whatever_the_blocks(tmp_path: Path) -> None:
    sound = noise(5000)
    write_wav(tmp_path / "a.wav", [sound], 5000, "24 bit")
    write_wav(tmp_path / "b.wav", [sound[:, :77], sound[:, 77:]], 5000, "24 bit")
    data, rate = soundfile.read(tmp_path / "a.wav", dtype="float64")
    assert (soundfile.info(tmp_path / "a.wav").subtype, rate) == ("PCM_24", RATE)
    assert np.abs(data.T - sound).max() <= 2 / 2**23
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_dither_makes_the_error_independent_of_the_sound(tmp_path: Path) -> None:
    """A sine of half a step, which rounding alone would turn into silence or a square wave, stays a sine in noise."""
    sine = np.tile(0.5 * np.sin(np.arange(RATE) * 2 * np.pi * 1000 / RATE) / 2**23, (2, 1)).astype(np.float32)
    write_wav(tmp_path / "a.wav", [sine], RATE, "24 bit")
    data = soundfile.read(tmp_path / "a.wav", dtype="float64")[0].T
    assert np.vdot(data[0], sine[0]) / np.vdot(sine[0], sine[0]) == pytest.approx(1, abs=0.05)
    spectrum = np.abs(np.fft.rfft(data[0]))
    assert spectrum[3000] < spectrum[1000] / 10


def test_silence_stays_digital_silence(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "a.wav", 100, "24 bit") as writer:
        writer.write_silence(100)
    assert not soundfile.read(tmp_path / "a.wav", dtype="int32")[0].any()


def test_files_too_big_for_wav_become_rf64(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "a.wav", 2**30) as writer:
        writer.write(noise(10))
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RF64"
    assert count_samples(tmp_path / "a.wav") == 10


def test_an_interrupted_file_is_removed(tmp_path: Path) -> None:
    def blocks() -> object:
        yield noise(100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_wav(tmp_path / "a.wav", blocks(), 200)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_errors_name_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"^a\.wav: can't be written to .*check that the folder is writable[^\n]*$"):
        write_wav(tmp_path / "nowhere" / "a.wav", [noise(10)], 10)
    (tmp_path / "b.wav").write_text("no sound")
    with pytest.raises(MediaError, match=r"^b\.wav: .*make it again$"):
        list(read_blocks(tmp_path / "b.wav"))
    soundfile.write(tmp_path / "c.wav", np.zeros(10), 44_100)
    with pytest.raises(MediaError, match="1 channels at 44100 Hz"):
        list(read_blocks(tmp_path / "c.wav"))
