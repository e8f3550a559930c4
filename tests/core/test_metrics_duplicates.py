"""Near-duplicates: copies in every disguise are found, other music in the same scale and tempo isn't."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from core.errors import MediaError
from core.evaluation.duplicates import SAME_MUSIC, compare, fingerprint, near_duplicate_rate, near_duplicates

RATE = 16_000
Float32 = npt.NDArray[np.float32]
SCALE = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])


def tune(seed: int, notes: int = 64, note: float = 0.3, up: int = 0, overtones: int = 4, rate: int = RATE) -> Float32:
    """A tune in C major (or `up` semitones higher) over the same three chords, everything at the same tempo."""
    rng = np.random.default_rng(seed)
    pitches = 60 + up + rng.choice(SCALE, notes)
    t = np.arange(round(note * rate)) / rate
    sound = []
    for index, pitch in enumerate(pitches):
        chord = 48 + up + np.array([0, 4, 7]) + (0, 5, 7, 0)[index // 4 % 4]
        tones = [(pitch, 0.5), *((tone, 0.1) for tone in chord)] if index % 4 == 0 else [(pitch, 0.5)]
        sound.append(
            sum(
                level * np.sin(2 * np.pi * 440 * 2 ** ((tone - 69) / 12) * k * t) / k * np.exp(-3 * t)
                for tone, level in tones
                for k in range(1, overtones)
            )
        )
    return np.asarray(0.3 * np.concatenate(sound), np.float32)


def test_a_copy_is_a_copy() -> None:
    assert near_duplicates([tune(1), tune(1)], RATE) == [(0, 1, pytest.approx(1.0, abs=1e-4))]


def test_copies_in_disguise_are_found_and_other_tunes_arent() -> None:
    original = tune(1)
    noise = np.random.default_rng(0).normal(0, 0.003, len(original))
    disguised = {
        "quieter": 0.05 * original,
        "upside down": -original,
        "bright and noisy": np.diff(original, prepend=0) * 2 + noise,
        "starts later": np.concatenate([np.zeros(2 * RATE), original]),
        "the beginning is missing": original[round(4.4 * RATE) :],
        "half of it": original[: len(original) // 2],
        "another instrument": tune(1, overtones=9),
        "another key": tune(1, up=5),
        "in 8 bits": np.round(original * 127) / 127,
    }
    other = [tune(seed) for seed in range(2, 9)]
    mine, prints = fingerprint(original, RATE), {}
    for name, sound in disguised.items():
        prints[name] = fingerprint(np.asarray(sound, np.float32), RATE)
        assert compare(mine, prints[name]).similarity > SAME_MUSIC + 0.1, name
    for sound in other:
        assert compare(mine, fingerprint(sound, RATE)).similarity < SAME_MUSIC
    assert compare(mine, prints["another key"]).transposed == 5
    assert compare(prints["another key"], mine).transposed == 7
    assert compare(mine, prints["starts later"]).offset_seconds == pytest.approx(-2.0, abs=0.1)
    assert compare(mine, prints["the beginning is missing"]).offset_seconds == pytest.approx(4.4, abs=0.1)


def test_the_same_at_any_rate() -> None:
    assert compare(fingerprint(tune(3), RATE), fingerprint(tune(3, rate=44_100), 44_100)).similarity > 0.9


def test_order_doesnt_matter() -> None:
    a, b = fingerprint(tune(1), RATE), fingerprint(tune(1)[3 * RATE :], RATE)
    assert compare(a, b).similarity == pytest.approx(compare(b, a).similarity, abs=1e-5)
    assert compare(a, b).offset_seconds == pytest.approx(-compare(b, a).offset_seconds)


def test_a_folder_with_two_families() -> None:
    sounds = [tune(1), tune(2), 0.5 * tune(1), tune(3), tune(2)[RATE:], tune(4)]
    pairs = near_duplicates(sounds, RATE)
    assert {pair[:2] for pair in pairs} == {(0, 2), (1, 4)}
    assert pairs[0][2] >= pairs[1][2]
    assert near_duplicate_rate(len(sounds), pairs) == pytest.approx(4 / 6)


def test_brute_force_over_offsets_and_keys_finds_the_same() -> None:
    a, b = fingerprint(tune(1)[: 17 * RATE], RATE), fingerprint(tune(1, up=2)[RATE:], RATE)
    x, y, best = a.rises.astype(float), b.rises.astype(float), (-2.0, 0, 0)
    for turn in range(12):
        for lag in range(-(y.shape[1] - 1), x.shape[1]):
            first, last = max(lag, 0), min(x.shape[1], lag + y.shape[1])
            if last - first >= min(x.shape[1], y.shape[1], round(15 * 22_050 / 2048)):
                left, right = x[:, first:last], np.roll(y[:, first - lag : last - lag], -turn, axis=0)
                best = max(best, ((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum()), lag, turn))
    found = compare(a, b)
    assert found.similarity == pytest.approx(best[0], abs=1e-5)
    assert (found.offset_seconds, found.transposed) == (pytest.approx(best[1] * 2048 / 22_050), best[2])


def test_silence_and_next_to_nothing_are_like_nothing() -> None:
    quiet = [np.zeros(20 * RATE, np.float32), np.zeros(0, np.float32), tune(1)[: RATE // 2]]
    assert near_duplicates([*quiet, *quiet, tune(1)], RATE) == []
    assert near_duplicates([], RATE) == []
    assert near_duplicate_rate(0, []) == 0.0


def test_sound_that_is_no_sound() -> None:
    with pytest.raises(MediaError, match="no numbers"):
        near_duplicates([np.full(5 * RATE, np.nan, np.float32)], RATE)
    with pytest.raises(ValueError, match="mono"):
        fingerprint(np.zeros((2, RATE), np.float32), RATE)
