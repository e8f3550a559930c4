"""From codes to notes: exact hits, loose hands, dynamics that follow the energy, endings that ring, no dead air."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_fixtures import band_codes, bent_grid, quiet_codes, random_codes, with_hits

from core.starter import vocab as v
from core.starter.grid import Grid, uniform_grid
from core.starter.notes import STEMS, Note, Performance
from core.starter.palettes import INSTRUMENTS, STYLES, choose_palette
from core.starter.performer import perform


def stem(performance: Performance, name: str) -> list[Note]:
    return [note for note in performance.notes if note.stem == name]


@settings(max_examples=40, deadline=None)
@given(
    style=st.sampled_from(STYLES), seed=st.integers(0, 10_000), tonic=st.integers(0, 11),
    tempo=st.floats(50, 140), duration=st.floats(1.0, 12.0), bar=st.sampled_from((8, 12, 16)),
    bend=st.floats(-0.04, 0.04), lead=st.sampled_from((0.0, 0.1, 1.0)), button=st.booleans(),
)  # fmt: skip
def test_whatever_the_codes_say_the_notes_can_be_played(
    style: str, seed: int, tonic: int, tempo: float, duration: float, bar: int, bend: float, lead: float, button: bool
) -> None:
    grid = bent_grid(tempo, duration, bar, bend, button)
    middle = grid.steps // 2
    grid = with_hits(grid, (middle, 0.02, 0.8), (0, 0.0, 0.3))
    performance = perform(random_codes(grid, seed), grid, style, tonic, seed, lead)
    assert performance.notes
    assert [n.start for n in performance.notes] == sorted(n.start for n in performance.notes)
    last_start = max(grid.seconds[grid.final_step] + 0.25, max(hit.seconds for hit in grid.hits))
    for note in performance.notes:
        playing = INSTRUMENTS[note.instrument]
        assert note.stem in STEMS
        assert -lead <= note.start <= last_start
        assert note.duration > 0.0
        assert 0.0 < note.velocity <= 1.0
        assert -1.0 <= note.pan <= 1.0
        assert playing.low - 4 <= note.pitch <= playing.high + 4  # grace notes may lean out a third


@settings(max_examples=25, deadline=None)
@given(
    style=st.sampled_from(STYLES), seed=st.integers(0, 500), strength=st.floats(0.0, 1.0), flag=st.integers(0, 2),
    off=st.floats(-0.07, 0.07), step=st.integers(1, 60),
)  # fmt: skip
def test_every_hit_is_struck_at_its_exact_time(
    style: str, seed: int, strength: float, flag: int, off: float, step: int
) -> None:
    grid = with_hits(uniform_grid(12.0, 92.0), (step, off, strength))
    codes = band_codes(grid)
    codes[v.ENERGY, step] = v.energy_code(8, flag)
    performance = perform(codes, grid, style, 2, seed)
    exact = [n for n in stem(performance, "hits") if n.start == pytest.approx(grid.hits[0].seconds, abs=1e-9)]
    assert len(exact) >= 3
    assert any(n.instrument.startswith("kit_") for n in exact)
    if flag == v.FLAG_HIT:
        assert any(n.instrument == "fx" for n in exact)
        assert len({n.pitch for n in exact if n.instrument == choose_palette(style, seed).hit.stab}) >= 3


def test_the_whole_band_moves_with_a_hit_that_is_off_the_grid() -> None:
    grid = with_hits(uniform_grid(20.0, 100.0), (32, 0.04, 0.9))
    performance = perform(band_codes(grid), grid, "acoustic", 0, 1)
    near = [
        n for n in performance.notes if abs(n.start - grid.hits[0].seconds) < 0.05 and n.stem not in ("hits", "pad")
    ]
    assert {"bass", "drums", "chords", "lead"} <= {n.stem for n in near}
    assert all(0.0 <= n.start - grid.hits[0].seconds < 0.012 for n in near)


def test_a_strong_hit_is_louder_than_a_light_one_and_both_than_their_surroundings() -> None:
    grid = with_hits(uniform_grid(20.0, 100.0), (32, 0.0, 0.9), (64, 0.0, 0.2))
    codes = band_codes(grid, level=4)
    codes[v.ENERGY, 32], codes[v.ENERGY, 64] = v.energy_code(12, v.FLAG_HIT), v.energy_code(4, v.FLAG_ACCENT)
    performance = perform(codes, grid, "cinematic", 0, 0)

    def force(seconds: float) -> float:
        return sum(n.velocity for n in performance.notes if abs(n.start - seconds) < 0.03)

    strong, light, between = force(grid.hits[0].seconds), force(grid.hits[1].seconds), force(float(grid.seconds[48]))
    assert strong > 1.5 * light
    assert light > 1.2 * between


def test_a_breath_silences_everything_but_the_pad_before_the_hit() -> None:
    grid = with_hits(uniform_grid(20.0, 100.0), (32, 0.0, 0.9))
    codes = band_codes(grid)
    codes[v.ENERGY, 28:32] = v.energy_code(8, v.FLAG_BREATH)
    codes[v.ENERGY, 32] = v.energy_code(14, v.FLAG_HIT)
    performance = perform(codes, grid, "upbeat", 0, 0)
    inside = (float(grid.seconds[28]) + 0.02, float(grid.seconds[32]) - 0.02)
    sounding = [
        n for n in performance.notes
        if n.start < inside[1] and n.start + n.duration > inside[0] and n.stem not in ("pad", "drums")
    ]  # fmt: skip
    assert {n.instrument for n in sounding} <= {"fx"}
    assert not [n for n in stem(performance, "drums") if inside[0] < n.start < inside[1]]


def test_a_swell_leads_exactly_into_a_strong_hit_that_has_room() -> None:
    grid = with_hits(uniform_grid(20.0, 100.0), (16, 0.0, 0.9), (20, 0.0, 0.9), (64, 0.01, 0.9))
    codes = band_codes(grid)
    codes[v.ENERGY, [16, 20, 64]] = v.energy_code(12, v.FLAG_HIT)
    swells = [n for n in perform(codes, grid, "cinematic", 0, 0).notes if n.instrument == "fx" and n.pitch in (0, 2, 4)]
    ends = [n.start + n.duration for n in swells]
    assert ends == pytest.approx([grid.hits[0].seconds, grid.hits[2].seconds])  # not into the one 0.6 s after


@settings(max_examples=30, deadline=None)
@given(style=st.sampled_from(STYLES), seed=st.integers(0, 500), density=st.floats(0.0, 0.1))
def test_a_cue_is_never_dead_for_more_than_a_second_and_a_half(style: str, seed: int, density: float) -> None:
    grid = bent_grid(80.0, 15.0)
    codes = random_codes(grid, seed, density)
    codes[v.ENERGY] = 0
    performance = perform(codes, grid, style, 0, seed)
    sounding = np.zeros(round(grid.duration * 100), bool)
    for note in performance.notes:
        playing = INSTRUMENTS[note.instrument]
        seconds = note.duration if playing.sustained else min(note.duration, playing.ring_seconds)
        sounding[max(0, round(note.start * 100)) : max(0, round((note.start + seconds) * 100))] = True
    quiet = np.flatnonzero(np.diff(np.concatenate([[True], sounding, [True]]).astype(int)))
    assert all(end - start < 150 for start, end in zip(quiet[::2], quiet[1::2], strict=True))


def test_the_last_chord_rings_past_the_out_in_every_register() -> None:
    grid = uniform_grid(20.0, 100.0)
    for codes in (band_codes(grid), quiet_codes(grid)):
        performance = perform(codes, grid, "documentary", 0, 0)
        final = float(grid.seconds[grid.final_step])
        held = [n for n in performance.notes if abs(n.start - final) < 0.3 and n.start + n.duration > grid.duration + 1]
        assert {"bass", "chords", "pad"} <= {n.stem for n in held}
        assert not [n for n in performance.notes if n.start > final + 0.3]


def test_a_button_is_a_full_stop() -> None:
    grid = bent_grid(110.0, 20.0, button=True)
    performance = perform(band_codes(grid), grid, "funk", 0, 0)
    final = float(grid.seconds[grid.final_step])
    struck = [n for n in performance.notes if abs(n.start - final) < 0.02]
    assert {"bass", "chords"} <= {n.stem for n in struck}
    tonal = [n for n in performance.notes if n.stem not in ("drums", "hits")]
    assert max(n.start + n.duration for n in tonal) < final + 0.3


def test_energy_is_heard_as_dynamics() -> None:
    grid = uniform_grid(20.0, 100.0)
    mean = [
        np.mean([n.velocity for n in stem(perform(band_codes(grid, level), grid, "acoustic", 0, 0), "chords")])
        for level in (0, 5, 10, 15)
    ]
    assert mean[0] < 0.3
    assert mean[3] > 0.8
    assert all(louder > 1.2 * softer for softer, louder in pairwise(mean))


def test_hands_are_loose_by_milliseconds_and_no_stroke_is_like_the_one_before() -> None:
    grid = uniform_grid(30.0, 100.0)
    performance = perform(band_codes(grid), grid, "upbeat", 0, 0)
    hats = [n for n in stem(performance, "drums") if n.pitch == 42]
    steps = np.round(np.array([n.start for n in hats]) / 0.15) * 0.15
    spread = np.std([n.start for n in hats] - steps) * 1e3
    assert 3.0 < spread < 7.0
    velocities = [n.velocity for n in hats]
    assert np.std(velocities) / np.mean(velocities) > 0.04
    assert min(abs(a - b) for a, b in pairwise(velocities)) > 0.005


def test_swing_delays_the_second_of_each_pair_and_leaves_the_first() -> None:
    grid = uniform_grid(30.0, 80.0)
    codes = quiet_codes(grid)
    codes[v.PERC] = v.PERC_HAT
    palette = choose_palette("lofi", 0)
    late = 1e-3 * palette.drums.late_ms
    hats = [n.start - late for n in stem(perform(codes, grid, "lofi", 0, 0), "drums") if n.pitch == 42]
    step = 60 / 80 / 4
    on, off = np.array(hats[2:120:2]), np.array(hats[3:120:2])
    assert np.mean(on - np.arange(2, 120, 2)[: len(on)] * step) == pytest.approx(0.0, abs=0.003)
    expected = (2 * palette.swing - 1) * step
    assert np.mean(off - np.arange(3, 120, 2)[: len(off)] * step) == pytest.approx(expected, abs=0.003)


def test_another_tonic_moves_the_harmony_and_keeps_the_register() -> None:
    grid = uniform_grid(20.0, 100.0)
    home = [n.pitch for n in stem(perform(band_codes(grid), grid, "documentary", 0, 1), "lead")]
    for tonic in range(12):
        moved = [n.pitch for n in stem(perform(band_codes(grid), grid, "documentary", tonic, 1), "lead")]
        assert {(b - a) % 12 for a, b in zip(home, moved, strict=True)} == {tonic}
        assert abs(np.mean(moved) - np.mean(home)) <= 6


def test_a_voice_figure_plays_a_tone_of_the_chord_of_its_moment() -> None:
    grid = uniform_grid(20.0, 100.0)
    codes = band_codes(grid)
    performance = perform(codes, grid, "documentary", 0, 0)
    chords = {bar: chord for bar in grid.bar_starts() if (chord := v.chord_of(int(codes[v.HARMONY, bar])))}
    for note in stem(performance, "chords"):
        step = round(note.start / 0.15)
        root, quality = chords[step - step % 16]
        assert (note.pitch - root) % 12 in {i % 12 for i in v.QUALITIES[quality][1]}


def test_strums_are_spread_down_and_up() -> None:
    grid = uniform_grid(10.0, 100.0)
    codes = quiet_codes(grid)
    codes[v.ACCOMP, 8] = v.accomp_code(v.FIGURE_STRUM_DOWN, 1)
    codes[v.ACCOMP, 16] = v.accomp_code(v.FIGURE_STRUM_UP, 1)
    notes = stem(perform(codes, grid, "acoustic", 0, 0), "chords")
    down = [n for n in notes if abs(n.start - 1.2) < 0.1]
    up = [n for n in notes if abs(n.start - 2.4) < 0.1]
    assert [n.pitch for n in down] == sorted(n.pitch for n in down)
    assert [n.pitch for n in up] == sorted((n.pitch for n in up), reverse=True)
    for strum in (down, up):
        assert 0.0079 <= strum[-1].start - strum[0].start <= 0.0301


def test_the_erhu_slides_and_ties_its_tones() -> None:
    grid = uniform_grid(30.0, 70.0)
    performance = perform(band_codes(grid), grid, "chinese", 2, 0)
    lead = stem(performance, "lead")
    assert {n.instrument for n in lead} == {"erhu"}
    assert any(n.glide for n in lead)
    assert any(0.02 < a.start + a.duration - b.start < 0.1 for a, b in pairwise(lead))


def test_a_held_loud_note_gives_way_when_the_picture_calms() -> None:
    grid = uniform_grid(20.0, 80.0)
    codes = quiet_codes(grid, level=1)
    codes[v.ENERGY, 16] = v.energy_code(14)
    codes[v.BASS, 16] = v.bass_code(0)
    bass = [
        n for n in stem(perform(codes, grid, "cinematic", 0, 0), "bass") if n.start < grid.seconds[grid.final_step] - 1
    ]
    loud = max(n.start + n.duration for n in bass if n.velocity > 0.6)
    assert loud < grid.seconds[21]
    assert any(n.velocity < 0.4 and n.duration > 3 for n in bass)


def test_a_hit_does_not_leave_the_pad_loud() -> None:
    grid = with_hits(uniform_grid(20.0, 80.0), (16, 0.0, 1.0))
    codes = quiet_codes(grid, level=1)
    codes[v.ENERGY, 16] = v.energy_code(15, v.FLAG_HIT)
    codes[v.FORM, grid.bar_starts()] = v.form_code(1, 3)
    pad = stem(perform(codes, grid, "cinematic", 0, 0), "pad")
    assert max(n.velocity for n in pad) < 0.4


def test_a_tutti_doubles_the_lead_with_an_instrument_that_has_an_edge() -> None:
    grid = uniform_grid(20.0, 100.0)
    calm, wild = (stem(perform(band_codes(grid, level), grid, "cinematic", 0, 0), "lead") for level in (6, 14))
    assert {n.instrument for n in calm} == {"solo_violin"}
    assert {n.instrument for n in wild} == {"solo_violin", "pizzicato"}


def test_a_pickup_stays_within_the_lead_in() -> None:
    grid = uniform_grid(10.0, 100.0)
    starts = [n.start for n in perform(band_codes(grid), grid, "cinematic", 0, 0, lead_seconds=0.8).notes]
    assert min(starts) == pytest.approx(-0.8)
    assert min(n.start for n in perform(band_codes(grid), grid, "cinematic", 0, 0).notes) >= 0.0


def test_a_roll_is_written_out_and_leads_to_its_hit() -> None:
    grid = with_hits(uniform_grid(20.0, 100.0), (32, 0.0, 0.9))
    codes = quiet_codes(grid)
    codes[v.PERC, 26] = v.PERC_ROLL
    codes[v.ENERGY, 32] = v.energy_code(12, v.FLAG_HIT)
    strokes = [
        n for n in stem(perform(codes, grid, "cinematic", 0, 0), "drums") if 3.8 < n.start < grid.hits[0].seconds
    ]
    assert 8 <= len(strokes) <= 14
    assert strokes[-1].velocity > 1.5 * strokes[0].velocity
    assert 0.0 < grid.hits[0].seconds - strokes[-1].start < 0.12


def test_markers_tempo_and_metre_travel_with_the_notes() -> None:
    grid = with_hits(bent_grid(100.0, 20.0, 12, 0.02), (24, 0.0, 0.9), (30, 0.0, 0.2))
    performance = perform(band_codes(grid), grid, "cinematic", 0, 0)
    assert performance.beats_per_bar == 3.0
    assert (grid.hits[0].seconds, "hit 0.90") in performance.markers
    assert (grid.hits[1].seconds, "accent 0.20") in performance.markers
    assert (0.0, "statement") in performance.markers
    assert [bpm for _, bpm in performance.tempo_map] == pytest.approx([100.0, 100.0 / 1.02])


def test_the_same_seed_plays_the_same_and_another_differs() -> None:
    grid = uniform_grid(10.0, 100.0)
    codes = band_codes(grid)
    assert perform(codes, grid, "lofi", 3, 5) == perform(codes, grid, "lofi", 3, 5)
    assert perform(codes, grid, "lofi", 3, 5).notes != perform(codes, grid, "lofi", 3, 8).notes


def test_codes_that_do_not_fit_the_grid_and_unknown_styles_are_refused() -> None:
    grid: Grid = uniform_grid(10.0, 100.0)
    with pytest.raises(ValueError, match="codes have shape"):
        perform(np.zeros((v.K, 3), int), grid, "lofi", 0, 0)
    with pytest.raises(ValueError, match="no style 'polka'"):
        perform(quiet_codes(grid), grid, "polka", 0, 0)
