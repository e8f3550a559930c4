"""Musical measures against signals whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from core.errors import MediaError
from core.evaluation import musical
from core.evaluation.musical import NOTHING, best_key, chromagram, musical_measures, self_similarity

RATE = 22_050
Float32 = npt.NDArray[np.float32]


def clicks(times: npt.NDArray[np.float64], seconds: float, rate: int = RATE) -> Float32:
    """A short burst of noise at each time."""
    rng, sound = np.random.default_rng(0), np.zeros(round(seconds * rate), np.float32)
    burst = (rng.normal(size=rate // 50) * np.exp(-np.arange(rate // 50) / (rate / 200))).astype(np.float32)
    for time in times:
        start = round(float(time) * rate)
        sound[start : start + len(burst)] += 0.5 * burst[: max(0, len(sound) - start)]
    return sound


def melody(pitches: list[int], note: float, rate: int = RATE) -> Float32:
    """MIDI pitches one after the other, with three overtones and a decay."""
    t = np.arange(round(note * rate)) / rate
    rows = [
        sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * k * t) / k**2 for k in (1, 2, 3)) * np.exp(-2 * t)
        for pitch in pitches
    ]
    return np.asarray(0.2 * np.concatenate(rows), np.float32)


MAJOR_SCALE = [0, 2, 4, 5, 7, 9, 11, 12]
MINOR_SCALE = [0, 2, 3, 5, 7, 8, 11, 12]


# --- time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_click_track_at_97_bpm(rate: int) -> None:
    found = musical_measures(clicks(np.arange(0.5, 29.5, 60 / 97), 30.0, rate), rate)
    assert found.tempo_bpm == pytest.approx(97.0, rel=0.003)
    assert found.tempo_stability == 1.0
    assert found.note_density == pytest.approx(97 / 60, rel=0.06)


def test_a_tempo_that_changes_half_way_is_kept_half_the_time() -> None:
    times = np.concatenate([np.arange(0.5, 24.9, 60 / 90), np.arange(25.0, 49.5, 60 / 117)])
    found = musical_measures(clicks(times, 50.0), RATE)
    assert found.tempo_bpm is not None
    assert min(abs(found.tempo_bpm / bpm - 1) for bpm in (90, 117)) < 0.02
    assert found.tempo_stability == pytest.approx(0.5, abs=0.15)


def test_a_tempo_that_never_stays_is_none() -> None:
    times = 0.5 + np.cumsum(60 / np.linspace(80, 130, 90))
    found = musical_measures(clicks(times, 52.0), RATE)
    assert found.tempo_bpm is None or (found.tempo_stability or 0.0) < 0.5


def test_clicks_at_random_have_no_tempo_or_keep_none() -> None:
    times = np.cumsum(np.random.default_rng(4).exponential(0.5, 60))
    found = musical_measures(clicks(times[times < 29], 30.0), RATE)
    assert found.tempo_bpm is None or (found.tempo_stability or 0.0) < 0.4
    assert found.note_density == pytest.approx((times < 29).sum() / 30, rel=0.3)


def test_twice_as_many_notes_are_twice_as_dense() -> None:
    slow, fast = (musical_measures(melody([60, 64, 67, 72] * (n // 4), 16.0 / n), RATE).note_density for n in (16, 32))
    assert slow == pytest.approx(1.0, abs=0.15)
    assert fast == pytest.approx(2.0, abs=0.25)


# --- tones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "tonic", "key"),
    [(MAJOR_SCALE, 60, "C major"), (MAJOR_SCALE, 66, "F# major"), (MINOR_SCALE, 57, "A minor")],
)
def test_the_key_of_a_scale(scale: list[int], tonic: int, key: str) -> None:
    pitches = [tonic + step for step in scale + scale[::-1] + [0, 4 if scale is MAJOR_SCALE else 3, 7, 0]]
    found = musical_measures(melody(pitches, 0.4), RATE)
    assert found.key == key
    assert found.key_clarity is not None and found.key_clarity > 0.7


def test_the_key_of_the_profile_itself_is_sure() -> None:
    assert best_key(np.roll(musical.MINOR, 2)) == ("D minor", pytest.approx(1.0))


def test_all_twelve_tones_have_no_clear_key() -> None:
    row = [60 + int(step) for step in np.random.default_rng(0).permutation(12)] * 3
    clear = musical_measures(melody([60 + step for step in MAJOR_SCALE] * 4, 0.4), RATE).key_clarity
    vague = musical_measures(melody(row, 0.4), RATE).key_clarity
    assert vague is not None and clear is not None
    assert vague < 0.5 < clear


def test_the_spectrum_in_blocks_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = melody([60 + step for step in MAJOR_SCALE] * 9, 0.5)  # 36 s
    whole = chromagram(sound, RATE)
    monkeypatch.setattr(musical, "_BLOCK_SECONDS", 10)
    parts = chromagram(sound, RATE)
    assert abs(parts.shape[1] - whole.shape[1]) <= 4
    np.testing.assert_allclose(parts.mean(1), whole.mean(1), atol=0.02)


def test_music_that_comes_back_is_like_itself() -> None:
    rng = np.random.default_rng(1)
    phrase = [int(p) for p in 60 + rng.choice(MAJOR_SCALE, 16)]
    new = [int(p) for p in 60 + rng.integers(0, 12, 96)]
    repeats = musical_measures(melody(phrase * 6, 0.5), RATE).self_similarity
    wanders = musical_measures(melody(new, 0.5), RATE).self_similarity
    assert repeats is not None and wanders is not None
    assert repeats > 0.95
    assert wanders < 0.75
    assert musical_measures(melody(phrase, 0.5), RATE).self_similarity is None  # 8 s: nowhere to come back to


def test_a_drone_is_all_one() -> None:
    chroma = np.tile(np.linspace(0.2, 1, 12)[:, None], (1, 400))
    assert self_similarity(chroma, 10.0) == 1.0


# --- loudness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quiet", "loud", "wanted"), [(-30, -20, 10), (-20, -15, 5), (-40, -20, 20)])
def test_loudness_range_of_two_levels_as_in_tech_3342(quiet: float, loud: float, wanted: float) -> None:
    """Test signals 1 to 3 of EBU Tech 3342: 20 s of a 1 kHz sine at one level, 20 s at another; +-1 LU."""
    wave = np.sin(2 * np.pi * 1000 * np.arange(20 * 48_000) / 48_000)
    sound = np.concatenate([10 ** (quiet / 20) * wave, 10 ** (loud / 20) * wave]).astype(np.float32)
    assert musical_measures(sound, 48_000).loudness_range_lu == pytest.approx(wanted, abs=1)
    found = musical_measures(sound[::3].copy(), 16_000).loudness_range_lu  # 16 kHz
    assert found == pytest.approx(wanted, abs=1)


# --- where there is nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(5 * RATE, np.float32),
        1e-5 * np.random.default_rng(0).normal(size=5 * RATE).astype(np.float32),  # -100 dBFS of hiss
        np.zeros(0, np.float32),
        np.ones(100, np.float32),
    ],
    ids=["silence", "hiss", "empty", "too short"],
)
def test_nothing_to_measure_is_none(sound: Float32) -> None:
    assert musical_measures(sound, RATE) == NOTHING


def test_two_seconds_have_a_key_and_no_tempo() -> None:
    found = musical_measures(melody([60, 64, 67, 72], 0.5), RATE)
    assert (found.tempo_bpm, found.tempo_stability, found.loudness_range_lu, found.self_similarity) == (None,) * 4
    assert found.key is not None and found.note_density is not None


def test_level_changes_nothing_but_loudness_itself() -> None:
    sound = melody([60 + step for step in MAJOR_SCALE] * 5, 0.5)
    loud, soft = musical_measures(sound, RATE), musical_measures(np.asarray(0.01 * sound, np.float32), RATE)
    assert loud.key == soft.key
    assert loud.tempo_bpm == soft.tempo_bpm
    assert loud.note_density == pytest.approx(soft.note_density)
    assert loud.loudness_range_lu == pytest.approx(soft.loudness_range_lu, abs=0.2)


def test_sound_that_is_no_sound() -> None:
    with pytest.raises(MediaError, match=r"no numbers; export the file again"):
        musical_measures(np.full(RATE, np.inf, np.float32), RATE)
    with pytest.raises(ValueError, match="mono"):
        musical_measures(np.zeros((2, RATE), np.float32), RATE)
