from __future__ import annotations

import io

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ModelError
from core.vision.picture import PictureFeatures
from gvm_plugin.gate import MOST_CLASH, clash, faults, listen
from gvm_plugin.generators import CueRequest, ToneGenerator, load_generator
from gvm_plugin.timeline import HitPoint, Span

TIMES = np.arange(0, 20, 0.5)
FEATURES = PictureFeatures(TIMES, np.full((len(TIMES), 12, 3), 0.4, np.float32))


def request(**changes: object) -> CueRequest:
    fields: dict[str, object] = {"cue_id": "A", "span": Span(2, 10), "features": FEATURES, "style": "lofi"}
    return CueRequest(**(fields | changes))  # type: ignore[arg-type]


def play(**changes: object) -> np.ndarray:
    return next(ToneGenerator().generate([request(**changes)])).audio


@settings(deadline=None, max_examples=30)
@given(st.floats(1, 50), st.floats(0.5, 5), st.floats(0, 1), st.floats(0, 1))
def test_a_take_is_as_long_as_asked_to_the_sample(start: float, length: float, lead: float, tail: float) -> None:
    asked = request(span=Span(start, start + length), lead_seconds=lead, tail_seconds=tail, stems=True)
    take = next(ToneGenerator().generate([asked]))
    assert take.audio.shape == (2, asked.samples)
    assert np.allclose(sum(take.stems.values()), take.audio, atol=1e-6)
    assert np.abs(take.audio).max() <= 1


def test_the_same_is_the_same_and_seed_take_and_style_are_not() -> None:
    assert np.array_equal(play(), play())
    for change in ({"seed": 1}, {"take": 2}, {"style": "funk"}, {"energy": 0.9}):
        assert not np.array_equal(play(), play(**change))


def test_hit_points_are_heard() -> None:
    audio = play(hits=(HitPoint(6.0, 1.0),))
    at = 4 * 48_000
    assert np.abs(audio[:, at : at + 4800]).max() > 1.5 * np.abs(audio[:, at - 9600 : at - 4800]).max()


@settings(deadline=None, max_examples=25)
@given(
    seeds=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), film=st.integers(0, 10**6), seconds=st.floats(6, 20)
)
def test_its_takes_pass_the_gate_and_neighbours_do_not_clash(
    seeds: tuple[int, int], film: int, seconds: float
) -> None:  # fmt: skip
    takes = [play(span=Span(0, seconds), seed=seed, film_seed=film) for seed in seeds]
    heard = [listen(take) for take in takes]
    assert [faults(each, followed=False, cue_seconds=seconds) for each in heard] == [(), ()]
    assert clash(heard[0].closing, heard[1].opening) <= MOST_CLASH


def test_midi_is_a_file_that_others_read() -> None:
    take = next(ToneGenerator().generate([request()]))
    assert take.midi is not None
    assert mido.MidiFile(file=io.BytesIO(take.midi)).length > 1


def test_the_encoder_gives_one_feature_per_frame() -> None:
    encoder = ToneGenerator().open_encoder()
    for index in range(3):
        encoder.push(index / 2, np.full((encoder.height, encoder.width, 3), 51 * index, np.uint8))
    features = encoder.finish()
    assert features.times.tolist() == [0, 0.5, 1]
    assert features.values.shape == (3, 12, 3)
    assert np.allclose(features.values[:, 0, 0], [0, 0.2, 0.4])


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="starter"):
        load_generator("nonesuch")


def test_the_starter_is_asked_in_seconds_after_the_cues_in() -> None:
    from gvm_plugin.generators import _music_request

    asked = request(key="Bbm", hits=(HitPoint(6.0, 0.7),), speech=(Span(4, 5),), lead_seconds=0.5, take=1, seed=11)
    music = _music_request(asked)
    assert music.features.times[0] == 0 and music.features.times[-1] < music.duration == 8
    assert (music.hits, music.speech, music.tonic) == ([(4.0, 0.7)], [(2.0, 3.0)], 10)
    assert (music.samples, music.seed, music.energy) == (asked.samples, 11, 0.5)
    assert _music_request(request(take=2, seed=11)).seed != 11


def test_a_device_that_is_not_there_is_named_before_any_work() -> None:
    from gvm_plugin.generators import _torch_device

    assert _torch_device("cpu") == "cpu"
    with pytest.raises(ModelError, match="leave --device out"):
        _torch_device("quantum")
