"""The evaluator that ships, on real footage no training saw: a film's own music is told from that of other films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.evaluation.fit import DESCRIPTION, WEIGHTS, FitModel
from gvm_plugin.evaluate.compare import compare
from gvm_plugin.evaluate.material import watch
from gvm_plugin.evaluate.systems import films_in
from gvm_plugin.generators import CueRequest, StarterGenerator
from gvm_plugin.options import ScoreOptions
from gvm_plugin.spotting import spot
from gvm_plugin.wav import write_wav

CLIPS = ("clip_2", "clip_12", "clip_15", "clip_26")


@pytest.mark.shared
@pytest.mark.slow
def test_the_starters_own_music_outranks_its_music_for_other_clips(shared_media: Path, tmp_path: Path) -> None:
    if not (WEIGHTS / DESCRIPTION).is_file():
        pytest.skip("no evaluator ships yet")
    model, generator = FitModel.load(), StarterGenerator()
    for name in ("films", "ours"):
        (tmp_path / name).mkdir()
    for film in films_in(shared_media / "clips"):
        if film.stem not in CLIPS:
            continue
        (tmp_path / "films" / film.name).symlink_to(film)
        analysis = watch(film, model)
        sheet = spot(analysis, ScoreOptions())
        requests = [
            CueRequest(
                cue.id, cue.span, analysis.features, cue.style, cue.mood, cue.energy, seed=cue.seed, hits=cue.hits
            )
            for cue in sheet.sounding
        ]
        takes = [take.audio for take in generator.generate(requests)]
        whole = np.concatenate(takes, axis=1)
        write_wav(tmp_path / "ours" / f"{film.stem}.wav", [whole], whole.shape[1])
    result = compare(tmp_path / "films", {"ours": tmp_path / "ours"}, model=model)
    (ours,) = result.systems
    assert ours.retrieval is not None
    assert ours.retrieval.pool == len(CLIPS)
    assert ours.retrieval.rank.value <= ours.retrieval.chance_rank - 0.5
