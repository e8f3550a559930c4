"""Fixtures shared by all tests: short clips made on the spot, the measuring clips beside the repository, clean logs."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from gvm_plugin.machine import THREAD_VARIABLES, compute_in_one_thread

# Before anything loads the array libraries: the tests' arrays are small, and threads burn time waiting for each other.
os.environ.setdefault(THREAD_VARIABLES[0], "1")
compute_in_one_thread()

SHARED_MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"
AUDIO_RATE = 48_000

ClipFactory = Callable[..., Path]


def pytest_configure(config: pytest.Config) -> None:
    """Names our markers, so that a misspelt one is an error."""
    config.addinivalue_line("markers", "expects_error_log: this test provokes messages of level ERROR on purpose")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Has librosa's beat tracker compiled and kept by numba before several workers would do so at once, and crash."""
    if not hasattr(session.config, "workerinput") and getattr(session.config.option, "numprocesses", None):
        import librosa

        librosa.beat.beat_track(onset_envelope=np.random.default_rng(0).random(2000), sr=22_050, hop_length=220)


@pytest.fixture(autouse=True)
def _no_error_logs(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails a test that logged an ERROR, unless it is marked `expects_error_log`."""
    yield
    if request.node.get_closest_marker("expects_error_log"):
        return
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    if errors:
        pytest.fail("logged at level ERROR: " + "; ".join(errors))


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """Folder of the measuring clips beside the repository; skips where they aren't."""
    if not SHARED_MEDIA.is_dir():
        pytest.skip("the measuring clips (../shared/media) aren't beside the repository")
    return SHARED_MEDIA


@pytest.fixture(scope="session")
def _clip_cache(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Any, Path]]:
    return tmp_path_factory.mktemp("clips"), {}


@pytest.fixture
def clip_factory(tmp_path: Path, _clip_cache: tuple[Path, dict[Any, Path]]) -> ClipFactory:
    """Function that writes a short film into the test's own folder and gives back its path.

    clip_factory(name, seconds=3, fps=Fraction(30000, 1001), size=(128, 72), cuts=(1.0,), audio=None, container="mp4")

    Each shot has its own colours and a box that moves at its own speed. audio: None, "tone" (a 440 Hz sine) or
    "speechlike" (buzzing syllables with formants). Encoded once per session for the same arguments, then copied.
    """
    folder, made = _clip_cache

    def make(
        name: str,
        seconds: float = 3,
        fps: Fraction = Fraction(30000, 1001),
        size: tuple[int, int] = (128, 72),
        cuts: Sequence[float] = (1.0,),
        audio: str | None = None,
        container: str = "mp4",
    ) -> Path:
        key = (seconds, fps, size, tuple(cuts), audio, container)
        if key not in made:
            path = folder / f"{len(made)}.{container}"
            write_clip(path, seconds, fps, size, cuts, audio)
            made[key] = path
        target = tmp_path / (name if name.endswith(f".{container}") else f"{name}.{container}")
        shutil.copyfile(made[key], target)
        return target

    return make


def write_clip(
    path: Path, seconds: float, fps: Fraction, size: tuple[int, int], cuts: Sequence[float], audio: str | None
) -> None:
    """Writes a film of `seconds` to `path`; see `clip_factory`."""
    webm = path.suffix == ".webm"
    with av.open(str(path), "w") as output:
        video = output.add_stream("libvpx" if webm else "libx264", rate=fps)
        video.width, video.height, video.pix_fmt = size[0], size[1], "yuv420p"
        video.options = {"deadline": "realtime", "cpu-used": "8"} if webm else {"preset": "ultrafast", "bf": "2"}
        sound = output.add_stream("libopus" if webm else "aac", rate=AUDIO_RATE, layout="stereo") if audio else None
        for index in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(picture(float(index / fps), size, cuts), format="rgb24")
            frame.pts, frame.time_base = index, 1 / fps
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if sound is not None:
            wave = sound_of(str(audio), seconds)
            for start in range(0, wave.shape[1], 960):
                block = av.AudioFrame.from_ndarray(wave[:, start : start + 960], format="fltp", layout="stereo")
                block.sample_rate, block.pts, block.time_base = AUDIO_RATE, start, Fraction(1, AUDIO_RATE)
                output.mux(sound.encode(block))
            output.mux(sound.encode(None))


def picture(seconds: float, size: tuple[int, int], cuts: Sequence[float]) -> npt.NDArray[np.uint8]:
    """Picture [H, W, 3] RGB of the test film at a moment: a gradient in its shot's colours, and a moving box."""
    width, height = size
    shot = sum(seconds >= cut - 1e-9 for cut in cuts)
    low, high = np.random.default_rng(shot).uniform([0, 120], [100, 255], (3, 2)).T[:, None, None, :]
    image = low + (high - low) * (np.add.outer(np.linspace(0, 0.5, height), np.linspace(0, 0.5, width)))[..., None]
    box = max(4, height // 4)
    left = int(seconds * (20 + 60 * (shot % 3))) % max(1, width - box)
    image[height // 3 : height // 3 + box, left : left + box] = np.roll((240, 40, 120), shot)
    return np.ascontiguousarray(image.astype(np.uint8))


def sound_of(kind: str, seconds: float) -> npt.NDArray[np.float32]:
    """Sound [2, N] at 48 kHz: "tone" or "speechlike"."""
    times = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    if kind == "tone":
        wave = 0.2 * np.sin(2 * np.pi * 440 * times)
    elif kind == "speechlike":
        wave = speechlike(times)
    else:
        raise ValueError(f"audio {kind!r} isn't one of None, 'tone', 'speechlike'")
    return np.ascontiguousarray(np.stack([wave, wave]).astype(np.float32))


def speechlike(times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Wave [N] of a gliding glottal buzz through moving vowel formants, four syllables a second."""
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * times) + 10 * np.sin(2 * np.pi * 2.3 * times)
    phase = 2 * np.pi * np.cumsum(pitch) / AUDIO_RATE
    vowels = np.array([[700, 1200, 2600], [300, 2200, 3000], [500, 900, 2400], [400, 1900, 2500]], float)
    place = times * 4
    share = 0.5 - 0.5 * np.cos(np.pi * np.clip((place % 1) * 2 - 0.5, 0, 1))
    step = place.astype(int)
    formants = vowels[step % 4] * (1 - share)[:, None] + vowels[(step * 3 + 1) % 4] * share[:, None]
    wave = np.zeros(len(times))
    for harmonic in range(1, 30):
        gain = sum(np.exp(-(((harmonic * pitch - formants[:, f]) / (90 + 40 * f)) ** 2)) * 0.6**f for f in range(3))
        wave += np.asarray(gain) * np.sin(harmonic * phase) / (1 + 0.05 * harmonic)
    syllable = np.clip(np.sin(np.pi * (place % 1)) * 1.6, 0, 1)
    breath = np.random.default_rng(0).normal(0, 0.02, len(times)) * (1 - syllable)
    return np.asarray(0.25 * wave * syllable + breath)


def heed_ctrl_c() -> None:
    """To be run in a child process: a shell in the background hands on SIGINT as ignored, and Python keeps it so."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
