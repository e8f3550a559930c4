from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvm_plugin.crossfade import (
    DECLICK_SAMPLES,
    END_FADE_SAMPLES,
    AssembledMusic,
    Piece,
    assemble,
    equal_power,
)
from gvm_plugin.timeline import Span, to_samples
from gvm_plugin.wav import Block, read_blocks

RATE = 48_000


def ones(start: float, end: float, lead: float = 0.0, tail: float = 0.0, level: float = 1.0) -> Piece:
    """A take that is `level` throughout: what comes out is the sum of the gains."""
    samples = to_samples(end + tail) - to_samples(start - lead)
    return Piece(Span(start, end), np.full((2, samples), level, np.float32), lead, tail)


def read(music: AssembledMusic | Path) -> Block:
    return np.concatenate(list(read_blocks(music if isinstance(music, Path) else music.path)), axis=1)


@given(st.integers(0, 5000))
def test_gains_of_a_crossfade_keep_the_power(samples: int) -> None:
    rise, fall = equal_power(samples)
    assert rise.shape == fall.shape == (samples,)
    np.testing.assert_allclose(rise**2 + fall**2, 1, atol=1e-6)
    assert np.all(np.diff(rise) > 0) and np.array_equal(rise, fall[::-1])


@pytest.mark.parametrize("film", [6, 4])  # the last cue ends before the film, or with it
def test_a_take_without_an_ending_fades_out_where_no_other_takes_over(tmp_path: Path, film: int) -> None:
    """Cue A joins B, B ends in silence: A's fade is the crossfade's alone, B's is as long as it asks for."""
    tail = min(0.5, film - 4)
    a, b = replace(ones(0, 2, tail=0.5), fade_seconds=1.5), replace(ones(2, 4, lead=0.5, tail=tail), fade_seconds=1.5)
    music = assemble([a, b], film * RATE, tmp_path / "m.wav", crossfade_seconds=0.5)
    sound = read(music)[0]
    assert np.all(sound[DECLICK_SAMPLES : int(1.5 * RATE)] > 0.99), "A fades although B takes over"
    end = to_samples(4 + tail)
    begin = end - int(1.5 * RATE)
    assert np.all(sound[2 * RATE : begin] > 0.99)
    np.testing.assert_allclose(sound[begin:end], equal_power(end - begin)[1], atol=1e-5)
    assert not sound[end:].any()
    assert music.placed[-1].fade_out == end - begin


def test_the_downbeat_stands_at_full_level_exactly_on_the_cut(tmp_path: Path) -> None:
    a, b = ones(0, 2, tail=1), ones(2, 5, lead=1)
    a.audio[1] = 0  # the left channel hears both, the right one only the second cue
    b.audio[0] = 0
    music = assemble([a, b], 5 * RATE, tmp_path / "m.wav", crossfade_seconds=0.5)
    sound = read(music)
    start, join = int(1.5 * RATE), 2 * RATE
    assert [(j.start, j.end) for j in music.joins] == [(start, join)]
    assert np.all(sound[0, DECLICK_SAMPLES : start + 1] > 0.99) and not sound[0, join:].any()
    assert not sound[1, :start].any() and np.all(sound[1, join : join + RATE] == 1)
    np.testing.assert_allclose(sound[0, start:join] ** 2 + sound[1, start:join] ** 2, 1, atol=1e-5)


def test_beside_silence_a_cue_sounds_with_its_lead_in_and_its_tail(tmp_path: Path) -> None:
    music = assemble([ones(2, 4, lead=0.5, tail=1)], 10 * RATE, tmp_path / "m.wav")
    sound = np.flatnonzero(read(music)[0])
    assert music.samples == 10 * RATE == read(music).shape[1]
    assert (sound[0], sound[-1]) == (int(1.5 * RATE), 5 * RATE - 1)


def test_a_tail_that_reaches_into_a_lead_in_is_crossfaded_there(tmp_path: Path) -> None:
    music = assemble([ones(0, 2, tail=1), ones(3.2, 6, lead=1)], 6 * RATE, tmp_path / "m.wav")
    assert [(j.start, j.end) for j in music.joins] == [(int(2.5 * RATE), 3 * RATE)]
    assert np.all(read(music)[:, RATE : 5 * RATE] > 0.99)


def test_the_film_s_end_is_faded_and_what_lies_beyond_it_left_out(tmp_path: Path) -> None:
    sound = read(assemble([ones(0, 3, tail=2)], 3 * RATE, tmp_path / "m.wav"))
    assert sound.shape == (2, 3 * RATE)
    assert sound[0, -END_FADE_SAMPLES - 1] == 1 and sound[0, -1] < 0.001


def test_no_cues_are_silence_of_the_film_s_length(tmp_path: Path) -> None:
    assert not read(assemble([], 1234, tmp_path / "m.wav")).any()
    assert read(tmp_path / "m.wav").shape == (2, 1234)


def film(data: st.DataObject) -> tuple[list[tuple[float, float, float, float]], float]:
    """Cues (start, end, lead, tail) in order, some adjoining and some apart, and the film's length."""
    cues, time = [], 0.0
    for _ in range(data.draw(st.integers(1, 5))):
        time += data.draw(st.sampled_from([0.0, 0.0, 0.01, 0.3, 1.7]))
        length = data.draw(st.floats(0.05, 2))
        reach = st.just(0.0) | st.floats(0.02, 1)  # shorter ones have no room for the fades that stop clicks
        cues.append((time, time + length, data.draw(reach) if time else 0.0, data.draw(reach)))
        time += length
    return cues, time + data.draw(st.sampled_from([0.0, 0.5, 3.0]))


@settings(max_examples=40, deadline=None)
@given(st.data(), st.floats(0, 1))
def test_every_sample_sounds_once_and_no_join_clicks(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, width: float
) -> None:
    cues, length = film(data)
    samples = to_samples(length)
    path = tmp_path_factory.mktemp("m") / "m.wav"
    sound = read(assemble((ones(*cue) for cue in cues), samples, path, crossfade_seconds=width))
    assert sound.shape == (2, samples)
    # Two gains cos and sin add up to at most sqrt 2, and any two samples differ by one step of two 5 ms fades at most.
    assert sound.min() >= 0 and sound.max() <= np.sqrt(2) + 1e-4
    assert np.abs(np.diff(sound[0], prepend=0)).max() <= 2 * np.pi / 2 / DECLICK_SAMPLES + 1e-4
    for start, end, *_ in cues:
        inside = sound[0, to_samples(start) + DECLICK_SAMPLES : to_samples(end)]
        late = min(to_samples(max(width, 0.005)), END_FADE_SAMPLES) + END_FADE_SAMPLES
        assert np.all(inside[: max(0, len(inside) - max(late, to_samples(width)) - 1)] > 0.999)
    silent = np.ones(samples, bool)
    for start, end, lead, tail in cues:
        silent[max(0, to_samples(start - lead)) : to_samples(end + tail)] = False
    assert not sound[:, silent].any()


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_uncorrelated_neighbours_keep_their_power_through_the_join(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    width = data.draw(st.floats(0.1, 1))
    cues = [(0.0, 2.0, 0.0, 1.0), (2.0, 4.0, 1.0, 0.0)]
    sounds = [np.random.default_rng(data.draw(st.integers(0, 99))).standard_normal((2, 3 * RATE)) for _ in cues]
    sounds[1] = np.random.default_rng(100).standard_normal((2, 3 * RATE))
    pieces = [Piece(Span(c[0], c[1]), s.astype(np.float32), c[2], c[3]) for c, s in zip(cues, sounds, strict=True)]
    path = tmp_path_factory.mktemp("m") / "m.wav"
    sound = read(assemble(pieces, 4 * RATE, path, crossfade_seconds=width))
    join = sound[:, int((2 - width) * RATE) : 2 * RATE]
    assert np.mean(join**2) == pytest.approx(1, abs=0.1)


def test_stems_add_up_to_the_music_even_if_only_some_cues_have_them(tmp_path: Path) -> None:
    random = np.random.default_rng(1)

    def piece(start: float, end: float, names: str) -> Piece:
        lead = 0.5 if start else 0.0
        samples = to_samples(end + 0.5) - to_samples(start - lead)
        stems = {name: random.standard_normal((2, samples)).astype(np.float32) for name in names}
        return Piece(Span(start, end), np.sum(list(stems.values()), axis=0), lead, 0.5, stems)

    pieces = [piece(0, 2, "ab"), piece(2, 4, "bc"), piece(6, 7, "c")]
    music = assemble(pieces, 8 * RATE, tmp_path / "m.wav", stem_folder=tmp_path)
    assert set(music.stems) == {"a", "b", "c"}
    total = sum(read(path) for path in music.stems.values())
    np.testing.assert_allclose(total, read(music), atol=1e-5)


def test_takes_are_asked_for_one_at_a_time_and_let_go(tmp_path: Path) -> None:
    import gc
    import weakref

    alive: list[weakref.ref[Block]] = []

    def takes() -> Iterator[Piece]:
        for start in range(0, 12, 3):
            gc.collect()
            assert sum(ref() is not None for ref in alive) == 0, "a take written before is still in memory"
            piece = ones(start, start + 3, 0.5 if start else 0, 0.5)
            alive.append(weakref.ref(piece.audio))
            yield piece
            del piece

    gc.freeze()  # what the tests before left needn't be looked through four times: seconds
    try:
        assemble(takes(), 12 * RATE, tmp_path / "m.wav")
    finally:
        gc.unfreeze()
    assert len(alive) == 4


def test_a_failing_take_leaves_no_files(tmp_path: Path) -> None:
    def takes() -> Iterator[Piece]:
        piece = ones(0, 1)
        yield Piece(piece.span, piece.audio, stems={"a": piece.audio})
        raise RuntimeError("the generator failed")

    with pytest.raises(RuntimeError):
        assemble(takes(), RATE, tmp_path / "m.wav", stem_folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_impossible_pieces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"audio of the take at 1.00 s is \(2, 10\), not \(2, 48000\)"):
        Piece(Span(1, 2), np.zeros((2, 10), np.float32))
    with pytest.raises(ValueError, match="two cues overlap"):
        assemble([ones(0, 2), ones(1, 3)], 3 * RATE, tmp_path / "m.wav")
    with pytest.raises(ValueError, match="outside the film"):
        assemble([ones(4, 5)], 3 * RATE, tmp_path / "m.wav")
