"""What is heard after the lossy codec stays under the ceiling, at the loudness that was asked for."""

from pathlib import Path

import pytest

from gvm_plugin import encode, score
from gvm_plugin.encode import CEILING_DBTP, peak_excess
from gvm_plugin.generators import ToneGenerator
from gvm_plugin.loudness import measure_loudness
from gvm_plugin.options import ScoreOptions
from gvm_plugin.probe import probe, read_audio_blocks
from tests.conftest import ClipFactory


def test_the_excess_is_that_of_the_film_s_own_sound(clip_factory: ClipFactory) -> None:
    film = clip_factory("tone", seconds=3, audio="tone")
    peak = measure_loudness(read_audio_blocks(probe(film)), true_peak=True).true_peak_dbtp
    assert peak is not None
    assert peak_excess(film) == pytest.approx(peak - CEILING_DBTP)


def test_peaks_that_the_codec_throws_up_cost_no_loudness(
    clip_factory: ClipFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mix is made again with more room, not turned down: the film once came out at -15 LUFS."""
    heard: list[float] = []

    def strict(film: Path) -> float:  # as if the codec had added 2 dB to the first mix
        heard.append(peak_excess(film))
        return heard[-1] + 2.0 if len(heard) == 1 else heard[-1]

    monkeypatch.setattr(encode, "peak_excess", strict)
    made = score.score_video(clip_factory("f", seconds=6), tmp_path / "out", ScoreOptions(model="tone", lufs=-9.0),
                             ToneGenerator())  # fmt: skip
    assert len(heard) == 2
    assert heard[1] < heard[0] - 1.0, "the second mix has lower peaks"
    loudness = measure_loudness(read_audio_blocks(probe(made.outputs.film)))
    assert loudness.integrated_lufs == pytest.approx(-9.0, abs=0.3)
