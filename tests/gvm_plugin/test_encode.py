"""What is heard after the lossy codec stays under the ceiling."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from core.pipeline import palette_mixdown, perform, render
from core.starter.composer import Brief, compose
from core.starter.palettes import choose_palette
from core.starter.styles import STYLES
from core.starter.tempo import plan_grid
from gvm_plugin.encode import CEILING_DBTP, deliver_film
from gvm_plugin.limiter import TruePeakLimiter
from gvm_plugin.loudness import decibels, measure_loudness
from gvm_plugin.mux import mux
from gvm_plugin.probe import probe, read_audio_blocks
from gvm_plugin.wav import Block, write_wav
from tests.conftest import ClipFactory

RATE = 48_000


def loud_music(style: str, seed: int, seconds: float) -> Block:
    """Music of the starter's composer at about -9 LUFS, limited to -1.1 dBTP."""
    plan, rng = STYLES[style], np.random.default_rng(seed)
    grid = plan_grid(seconds, [(2.5, 1.0), (5.0, 0.9)], plan.tempo, 16, True, rng)
    energy = np.clip(0.5 + 0.4 * np.sin(grid.seconds[:-1]), 0, 1)
    codes = compose(Brief(grid, energy, 0.0, np.zeros(grid.steps, bool), style), rng)
    mixdown = palette_mixdown(choose_palette(style, seed), style)
    audio = render(perform(codes, grid, style, 0, seed), mixdown, 0.0, round(seconds * RATE)).audio
    gain = -9.0 - (measure_loudness([audio]).integrated_lufs or 0.0)
    return np.concatenate(list(TruePeakLimiter(-1.1).stream([audio * decibels(gain)])), axis=1)


def heard_peak(film: Path) -> float:
    return measure_loudness(read_audio_blocks(probe(film)), true_peak=True).true_peak_dbtp or 0.0


def test_peaks_that_aac_throws_up_are_lowered_and_encoded_again(tmp_path: Path, clip_factory: ClipFactory) -> None:
    info = probe(clip_factory("lofi", seconds=8))
    samples = round(Fraction(info.picture_duration).limit_denominator(10**6) * RATE)
    music = loud_music("electronic", 3, 8.0)[:, :samples]
    write_wav(tmp_path / "mix.wav", [np.pad(music, ((0, 0), (0, samples - music.shape[1])))], samples)
    plain = mux(info, tmp_path / "mix.wav", tmp_path / "plain.mp4", keep_original=False).path
    assert heard_peak(plain) > CEILING_DBTP, "the example has to be one that the codec throws up"
    film = deliver_film(
        info, tmp_path / "mix.wav", tmp_path / "out.mp4", keep_original=False, separate_track=False
    ).path
    assert heard_peak(film) <= CEILING_DBTP
    lowered = measure_loudness(read_audio_blocks(probe(film))).integrated_lufs
    before = measure_loudness(read_audio_blocks(probe(plain))).integrated_lufs
    assert lowered is not None and before is not None
    assert abs(lowered - before) < 0.6, "even music as loud as this loses little"
