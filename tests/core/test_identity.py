"""A channel's motif is stated where the cue has room for it, on the tonic, by the channel's own orchestra."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pipeline import MusicRequest, StarterModel, orchestra_of
from core.starter import vocab as v
from core.starter.constraints import allowed_codes
from core.starter.grid import Grid, uniform_grid
from core.starter.identity import BARS, EIGHTHS, Identity, Motif, MotifNote, draw_motif, promise_motif, statements
from core.starter.palettes import PALETTES
from core.starter.styles import STYLES
from core.vision.descriptors import CHANNELS, PATCHES
from core.vision.picture import PictureFeatures


def silence(grid: Grid) -> np.ndarray:
    return np.zeros(grid.steps, bool)


def of_channel(style: str, seed: int) -> Identity:
    return Identity(seed, style, PALETTES[style][seed % 2].name, 2, draw_motif(seed))


def request(identity: Identity | None, seed: int, duration: float = 14.0) -> MusicRequest:
    times = np.arange(0.125, duration, 0.25)
    seen = np.random.default_rng(seed).random((len(times), PATCHES, CHANNELS)).astype(np.float16)
    return MusicRequest(
        PictureFeatures(times, seen), duration, "acoustic", 0.2, 0.5, None, None, seed, 5, [(5.0, 0.8)], [], 0.0,
        round(duration * 48_000), identity=identity,
    )  # fmt: skip


def played(codes: np.ndarray, start: int, length: int) -> list[tuple[int, int]]:
    """(step after `start`, pitch above the first note) of the tune."""
    row = [(at, (int(code) - 2) % v.PITCHES) for at, code in enumerate(codes[v.MELODY, start : start + length])]
    row = [
        (at, pitch) for (at, pitch), code in zip(row, codes[v.MELODY, start : start + length], strict=True) if code > 1
    ]
    return [(at, pitch - row[0][1]) for at, pitch in row]


@given(
    lowest=st.integers(-40, 80),
    above=st.lists(st.integers(0, 17), min_size=2, max_size=11),
    style=st.sampled_from(sorted(STYLES)),
)
def test_every_motif_that_is_accepted_can_be_promised(lowest: int, above: list[int], style: str) -> None:
    notes = tuple(MotifNote(onset, 1, lowest + rise) for onset, rise in enumerate([0, *above]))
    if lowest < -24 or lowest + max(above) >= v.PITCHES:
        with pytest.raises(ValueError, match="above the tonic"):
            Motif(notes)
        return
    grid = uniform_grid(8.0, 120.0)
    allowed = np.ones((grid.steps, v.K, v.CARD), bool)
    promise_motif(allowed, grid, style, Motif(notes), (0,))
    assert allowed[: BARS * grid.steps_per_bar].any(axis=-1).all()


@given(seed=st.integers(0, 10_000))
def test_a_drawn_motif_can_be_sung(seed: int) -> None:
    notes = draw_motif(seed).notes
    assert 5 <= len(notes) <= 7
    assert notes[0].onset == 0
    assert notes[-1].pitch % 12 in (0, 7)  # it comes to rest
    assert all(0 < abs(b.pitch - a.pitch) <= 7 for a, b in itertools.pairwise(notes))
    assert draw_motif(seed) == draw_motif(seed)


def test_channels_have_different_motifs() -> None:
    assert len({draw_motif(seed) for seed in range(200)}) > 190


@settings(max_examples=60)
@given(
    duration=st.floats(2.0, 120.0), tempo=st.floats(50.0, 140.0), bar=st.sampled_from([8, 12, 16]),
    spoken=st.floats(0.0, 1.0), seed=st.integers(0, 99),
)  # fmt: skip
def test_statements_keep_out_of_speech_and_of_each_other(
    duration: float, tempo: float, bar: int, spoken: float, seed: int
) -> None:
    grid = uniform_grid(duration, tempo, bar)
    speech = np.random.default_rng(seed).random(grid.steps // 8 + 1).repeat(8)[: grid.steps] < spoken
    starts = statements(grid, speech)
    length = BARS * bar
    for start in starts:
        assert grid.position_in_bar(start) == 0
        assert start + length <= grid.final_step
        assert not speech[start : start + length].any()
    assert all(b - a >= length for a, b in itertools.pairwise(starts))
    if not speech.any() and grid.final_step >= 6 * bar:
        assert len(starts) >= 2  # it opens the cue and closes it
        assert starts[-1] + length > grid.final_step - bar


@pytest.mark.parametrize("style", STYLES)
def test_every_style_can_sing_every_motif_and_no_step_is_left_without_a_code(style: str) -> None:
    bar = STYLES[style].steps_per_bar[0]
    for seed in range(20):
        grid = uniform_grid(32.0, 90.0, bar)
        allowed = allowed_codes(grid, silence(grid))
        motif = draw_motif(seed)
        promise_motif(allowed, grid, style, motif, statements(grid, silence(grid)))
        assert allowed.any(axis=2).all()
        low, high = STYLES[style].lead
        for start in statements(grid, silence(grid)):
            tune = [np.flatnonzero(allowed[at, v.MELODY]) for at in range(start, start + BARS * bar)]
            pitches = [(int(codes[0]) - 2) % v.PITCHES for codes in tune if len(codes) == 3]
            assert len(pitches) == len(motif.notes)
            assert np.diff(pitches).tolist() == np.diff([note.pitch for note in motif.notes]).tolist()
            assert low - 6 <= min(pitches) and max(pitches) <= high + 6


def test_the_model_states_the_motif_of_the_channel_and_plays_on_differently() -> None:
    channel = of_channel("acoustic", 3)
    first, second, free = StarterModel().generate_music([request(channel, 1), request(channel, 2), request(None, 1)])
    for take in (first, second):
        assert take.palette == channel.palette
        starts = [int(np.searchsorted(take.grid.seconds, at - 1e-9)) for at in take.motif]
        assert len(starts) >= 2
        each = take.grid.steps_per_bar * BARS / EIGHTHS
        wanted = [(round(n.onset * each), n.pitch - channel.motif.notes[0].pitch) for n in channel.motif.notes]
        assert all(played(take.codes, at, wanted[-1][0] + 1) == wanted for at in starts)
    assert free.motif == ()
    steps = min(first.codes.shape[1], second.codes.shape[1])
    assert (first.codes[:, :steps] != second.codes[:, :steps]).mean() > 0.05


def test_home_and_orchestra_are_the_channels_and_another_style_keeps_its_own() -> None:
    channel = of_channel("acoustic", 4)
    assert orchestra_of(request(channel, 1)).name == channel.palette
    other = Identity(4, "chinese", PALETTES["chinese"][0].name, 2, draw_motif(4))
    assert orchestra_of(request(other, 1)) in PALETTES["acoustic"]


@pytest.mark.parametrize(
    ("notes", "says"),
    [
        ([(0, 2, 0), (1, 2, 2), (4, 1, 0)], "follow each other"),
        ([(0, 2, 0), (2, 2, 2), (14, 4, 0)], "within 16"),
        ([(0, 2, 0), (2, 2, 30), (4, 4, 0)], "span"),
        ([(0, 2, 0)], "3 to 12 notes"),
    ],
)
def test_an_impossible_motif_is_refused(notes: list[tuple[int, int, int]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Motif(tuple(MotifNote(*note) for note in notes))
