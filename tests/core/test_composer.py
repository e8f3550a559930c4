"""What the composer writes: valid, fitted to the picture, formed, singable, with hits, breaths and an ending."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.starter import vocab
from core.starter.composer import Brief, check_score, compose
from core.starter.composer.check import draw_score
from core.starter.grid import Grid, GridHit, uniform_grid
from core.starter.styles import STYLES
from core.starter.vocab import HOLD, LEVELS, LOUD, REST

Codes = npt.NDArray[np.int16]
SEEDS = range(4)
VOICES = (vocab.BASS, vocab.ACCOMP, vocab.MELODY, vocab.COUNTER)


def make_brief(style: str, seed: int, duration: float = 30.0, speech: tuple[int, int] = (0, 0)) -> Brief:
    """A cue as footage makes them: activity that wanders within seconds, cuts every few seconds, most on beats."""
    rng = np.random.default_rng(1000 + seed)
    spec = STYLES[style]
    button = spec.ending == "button" and seed % 2 == 0
    bar = spec.steps_per_bar[seed % len(spec.steps_per_bar)]
    grid = uniform_grid(duration, rng.uniform(*spec.tempo), bar, 0.5 if button else 2.0)
    times = grid.seconds[:-1]
    wander = np.interp(times, np.arange(0, duration + 3, 1.5), rng.normal(size=len(np.arange(0, duration + 3, 1.5))))
    energy = np.argsort(np.argsort(wander)) / len(wander) * 0.9
    cuts = np.cumsum(rng.uniform(2.0, 6.0, 20))
    steps = sorted({4 * round(int(np.argmin(abs(times - cut))) / 4) for cut in cuts if cut < duration - 1})
    hits = tuple(GridHit(s, float(times[s]), float(rng.uniform(0.2, 1.0))) for s in steps if s < grid.steps)
    talking = np.zeros(grid.steps, bool)
    talking[slice(*speech)] = True
    grid = Grid(grid.seconds, bar, 0, grid.final_step, duration, hits, button)
    return Brief(grid, energy, float(rng.uniform(-1, 1)), talking, style)


def score(brief: Brief, seed: int = 0) -> Codes:
    return compose(brief, np.random.default_rng(seed))


def assert_valid(codes: Codes, brief: Brief) -> None:
    assert codes.shape == (vocab.K, brief.grid.steps)
    assert codes.dtype == np.int16
    assert (codes >= 0).all()
    assert (codes < np.array(vocab.USED)[:, None]).all()


@pytest.fixture(scope="module")
def scores() -> dict[tuple[str, int], tuple[Brief, Codes]]:
    out = {}
    for style in STYLES:
        for seed in SEEDS:
            brief = make_brief(style, seed)
            out[style, seed] = brief, score(brief, seed)
    return out


def test_every_style_writes_valid_codes(scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    for brief, codes in scores.values():
        assert_valid(codes, brief)


def test_the_same_seed_gives_the_same_score_and_another_another() -> None:
    brief = make_brief("cinematic", 1)
    assert np.array_equal(score(brief, 5), score(brief, 5))
    assert not np.array_equal(score(brief, 5), score(brief, 6))


@pytest.mark.parametrize("style", STYLES)
def test_what_is_played_follows_the_picture(style: str, scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    measures = [check_score(codes, brief.grid) for (name, _), (brief, codes) in scores.items() if name == style]
    assert np.mean([m["energy_r"] for m in measures]) >= 0.8
    assert min(m["energy_r"] for m in measures) >= 0.7
    assert np.nanmean([m["hit_lift"] for m in measures]) >= 2.0


@pytest.mark.parametrize("style", STYLES)
def test_the_tune_can_be_sung(style: str, scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    measures = [check_score(codes, brief.grid) for (name, _), (brief, codes) in scores.items() if name == style]
    mean = {key: float(np.nanmean([m[key] for m in measures])) for key in measures[0]}
    assert 0.5 <= mean["step_share"] <= 0.95
    assert 0.12 <= mean["rest_share"] <= 0.45
    assert mean["clash_share"] <= 0.05
    assert mean["motif_returns"] >= 1.0
    assert mean["melody_range"] <= 17
    assert max(m["longest_repeat"] for m in measures) <= 8


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_that_never_changes_is_not_answered_with_a_loop(style: str) -> None:
    base = make_brief(style, 1, duration=60.0)
    bare = Grid(base.grid.seconds, base.grid.steps_per_bar, 0, base.grid.final_step, base.grid.duration)
    brief = Brief(bare, np.full(bare.steps, 0.5), 0.0, base.speech, style)
    assert max(check_score(score(brief, seed), bare)["longest_repeat"] for seed in SEEDS) <= 8


def test_motifs_return_at_least_twice_in_thirty_seconds(scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    returns = [check_score(codes, brief.grid)["motif_returns"] for brief, codes in scores.values()]
    assert np.mean(returns) >= 2.0


def test_the_first_step_sounds_and_says_where_it_is(scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    for _, codes in scores.values():
        assert codes[vocab.HARMONY, 0] != HOLD
        assert codes[vocab.FORM, 0] != HOLD
        assert codes[vocab.ACCOMP, 0] > REST


def test_the_ending_is_the_tonic_on_the_final_downbeat(scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    for brief, codes in scores.values():
        final = brief.grid.final_step
        chord = vocab.chord_of(int(codes[vocab.HARMONY, final]))
        assert chord is not None
        root = chord[0]
        assert (int(codes[vocab.BASS, final]) - 14) % 12 == root
        assert vocab.SECTIONS[(int(codes[vocab.FORM, final]) - 1) // 4] == "ending"
        melody = int(codes[vocab.MELODY, final])
        assert melody > REST
        assert ((melody - 2) % vocab.PITCHES - root) % 12 in (0, 3, 4, 7)


def test_nothing_new_starts_after_the_final_downbeat(scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    for brief, codes in scores.values():
        after = codes[:, brief.grid.final_step + 1 :]
        assert (after[[vocab.HARMONY, vocab.FORM, vocab.DRUMS, vocab.PERC]] == 0).all()
        assert (after[list(VOICES)] <= REST).all()
        assert (np.diff(after[vocab.ENERGY] % LEVELS) <= 0).all()


def test_a_button_stops_short() -> None:
    brief = make_brief("upbeat", 0)
    assert brief.grid.button
    codes = score(brief)
    stop = brief.grid.final_step + 2
    assert codes[vocab.DRUMS, brief.grid.final_step] & LOUD
    if stop < brief.grid.steps:
        assert codes[vocab.ACCOMP, stop] == REST


def test_strong_hits_are_marked_by_everybody(scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    for brief, codes in scores.values():
        for hit in brief.grid.hits:
            if hit.step > brief.grid.final_step:
                continue
            flag = int(codes[vocab.ENERGY, hit.step]) // LEVELS
            if hit.strength >= 0.5:
                assert flag == vocab.FLAG_HIT
                assert codes[vocab.DRUMS, hit.step] & LOUD
                assert codes[vocab.DRUMS, hit.step] & vocab.KICK
                assert codes[vocab.ACCOMP, hit.step] > REST
                assert codes[vocab.BASS, hit.step] > REST
                assert codes[vocab.HARMONY, hit.step] != HOLD
            else:
                assert flag == vocab.FLAG_ACCENT
                assert not codes[vocab.DRUMS, hit.step] & LOUD


def test_everything_drops_out_in_a_breath(scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    breaths = 0
    for _, codes in scores.values():
        sounding = dict.fromkeys(VOICES, False)
        for step in range(codes.shape[1]):
            for voice in VOICES:
                if codes[voice, step] != HOLD:
                    sounding[voice] = bool(codes[voice, step] != REST)
            if codes[vocab.ENERGY, step] // LEVELS == vocab.FLAG_BREATH:
                breaths += 1
                assert not any(sounding.values())
                assert codes[vocab.DRUMS, step] == codes[vocab.PERC, step] == 0
    assert breaths > len(scores)


def test_rests_are_written_once(scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    for _, codes in scores.values():
        for voice in VOICES:
            row = codes[voice][codes[voice] != HOLD]
            assert not ((row[1:] == REST) & (row[:-1] == REST)).any()


@pytest.mark.parametrize("style", STYLES)
def test_the_tune_is_silent_under_speech(style: str) -> None:
    brief = make_brief(style, 2, speech=(40, 90))
    codes = score(brief)
    talk = slice(40, 90)
    assert (codes[vocab.MELODY, talk] <= REST).all()
    assert (codes[vocab.COUNTER, talk] <= REST).all()
    assert not (codes[vocab.DRUMS, talk] & vocab.CYMBAL).any()
    free = score(make_brief(style, 2))
    assert (codes[vocab.ACCOMP, talk] > REST).sum() <= (free[vocab.ACCOMP, talk] > REST).sum()
    assert (codes[vocab.DRUMS, talk] > 0).sum() <= (free[vocab.DRUMS, talk] > 0).sum()


def test_mood_chooses_bright_or_dark_harmony() -> None:
    def third_of_tonic(valence: float) -> float:
        thirds = []
        for seed in range(6):
            base = make_brief("upbeat", seed)
            codes = score(Brief(base.grid, base.energy, valence, base.speech, "upbeat"), seed)
            chords = [vocab.chord_of(int(c)) for c in codes[vocab.HARMONY] if c]
            thirds += [vocab.QUALITIES[c[1]][1][1] for c in chords if c is not None and c[0] == 0]
        return float(np.mean(thirds))

    assert third_of_tonic(-0.9) < 3.2
    assert third_of_tonic(0.9) > 3.8


def test_stillness_is_held_and_wildness_is_full() -> None:
    base = make_brief("funk", 1)
    bare = Grid(base.grid.seconds, base.grid.steps_per_bar, 0, base.grid.final_step, base.grid.duration)
    counts = []
    for energy in (0.0, 0.25, 0.5, 0.75, 1.0):
        codes = score(Brief(bare, np.full(bare.steps, energy), 0.0, base.speech, "funk"))
        counts.append(float((codes[vocab.BASS :, : bare.final_step] > REST).sum()))
    assert counts == sorted(counts)
    assert counts[0] * 8 < counts[2]
    assert counts[2] * 1.5 < counts[4]


AWKWARD: Sequence[tuple[str, Grid]] = (
    ("one second", uniform_grid(1.0, 100)),
    ("three steps", Grid(np.arange(4) * 0.2, 16, 0, 0, 0.6)),
    ("ends at once", Grid(np.arange(33) * 0.2, 16, 0, 0, 6.4)),
    ("no bar line", Grid(np.arange(6) * 0.2, 16, 3, 4, 1.0)),
    ("pickup", Grid(np.arange(65) * 0.2, 16, 12, 52, 12.8)),
    ("ends in mid-bar", Grid(np.arange(65) * 0.2, 16, 0, 55, 12.8)),
    ("ends after the last step", Grid(np.arange(65) * 0.2, 16, 0, 64, 12.8)),
    ("odd bars", Grid(np.arange(81) * 0.2, 10, 0, 70, 16.0)),
    ("hits everywhere", Grid(np.arange(65) * 0.2, 16, 0, 48, 12.8, tuple(GridHit(s, s / 5, 0.9) for s in range(70)))),
    ("hits at both ends", Grid(np.arange(65) * 0.2, 16, 0, 48, 12.8, (GridHit(0, 0, 1), GridHit(48, 9.6, 1),
                                                                      GridHit(60, 12, 1), GridHit(-1, -0.2, 1)))),
)  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("grid", [g for _, g in AWKWARD], ids=[name for name, _ in AWKWARD])
def test_awkward_cues(grid: Grid, style: str) -> None:
    for energy, talking in ((0.0, False), (1.0, True), (0.7, False)):
        brief = Brief(grid, np.full(grid.steps, energy), 0.0, np.full(grid.steps, talking), style)
        codes = score(brief)
        assert_valid(codes, brief)
        final = min(grid.final_step, grid.steps - 1)
        assert codes[vocab.HARMONY, 0] and codes[vocab.FORM, 0] and codes[vocab.HARMONY, final]
        assert (codes[vocab.ACCOMP : vocab.MELODY, 0] > REST).all()
        assert (codes[vocab.DRUMS, final + 1 :] == 0).all()


@settings(max_examples=60, deadline=None)
@given(
    style=st.sampled_from(sorted(STYLES)), steps=st.integers(1, 90), bar=st.sampled_from([8, 12, 16]),
    offset=st.integers(0, 15), final=st.integers(0, 95), seed=st.integers(0, 99),
    hits=st.lists(st.tuples(st.integers(-3, 95), st.floats(0, 1)), max_size=6),
    level=st.floats(0, 1), button=st.booleans(),
)  # fmt: skip
def test_any_brief_gets_a_valid_score(
    style: str, steps: int, bar: int, offset: int, final: int, seed: int, hits: list[tuple[int, float]],
    level: float, button: bool,
) -> None:  # fmt: skip
    marks = tuple(GridHit(step, step * 0.2, strength) for step, strength in hits)
    grid = Grid(np.arange(steps + 1) * 0.2, bar, offset % bar, final, steps * 0.2, marks, button)
    rng = np.random.default_rng(seed)
    brief = Brief(grid, np.clip(level + rng.normal(size=steps), 0, 1), 0.0, rng.random(steps) < 0.2, style)
    assert_valid(score(brief, seed), brief)


def test_a_brief_that_does_not_fit_is_refused() -> None:
    grid = uniform_grid(5.0, 100)
    silent = np.zeros(grid.steps, bool)
    with pytest.raises(ValueError, match="unknown style 'polka'"):
        Brief(grid, np.zeros(grid.steps), 0.0, silent, "polka")
    with pytest.raises(ValueError, match="one value per step"):
        Brief(grid, np.zeros(3), 0.0, silent, "funk")


def test_the_piano_roll_is_a_picture(tmp_path: Path, scores: dict[tuple[str, int], tuple[Brief, Codes]]) -> None:
    brief, codes = scores["chinese", 0]
    draw_score(codes, brief.grid, tmp_path / "roll.png", "chinese")
    assert (tmp_path / "roll.png").read_bytes().startswith(b"\x89PNG")
