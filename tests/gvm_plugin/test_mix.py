import functools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, lfilter

from gvm_plugin.ducking import gain_of_block
from gvm_plugin.loudness import decibels, measure_loudness
from gvm_plugin.mix import Levels, MixReport, MixSettings, OriginalAudio, mix, mixed_blocks, music_level
from gvm_plugin.timeline import Span
from gvm_plugin.wav import Block, read_blocks, write_wav

RATE = 48_000
SAMPLES = 9 * RATE + 77
SPEECH = (Span(3, 6),)


@functools.cache
def sound(seed: int, lufs: float | None = -20.0, samples: int = SAMPLES, crest: float = 1.0) -> Block:
    """Stereo noise under 8 kHz at a loudness, with a beat of `crest` times its level; None: digital silence."""
    if lufs is None:
        return np.zeros((2, samples), np.float32)
    wave = lfilter(*butter(3, 8000, fs=RATE), np.random.default_rng(seed).standard_normal((2, samples)))
    wave *= 1 + (crest - 1) * np.exp(-(np.arange(samples) % (RATE // 2)) / 500)
    measured = measure_loudness([wave.astype(np.float32)]).integrated_lufs
    assert measured is not None
    return (wave * decibels(lufs - measured)).astype(np.float32)


def talk(lufs: float, between: float | None = None) -> Block:
    """Sound that is loud where SPEECH is and silent, or `between`, elsewhere."""
    out = sound(7, between).copy()
    for span in SPEECH:
        start, end = int(span.start * RATE), int(span.end * RATE)
        out[:, start:end] = sound(8, lufs, end - start)
    return out


def opener(original: Block) -> OriginalAudio:
    def blocks() -> Iterator[Block]:
        yield from np.array_split(original, 7, axis=1)

    return blocks


def run(
    folder: Path,
    music: Block,
    original: Block | None = None,
    speech: tuple[Span, ...] = (),
    settings: MixSettings | None = None,
    stems: dict[str, Block] | None = None,
) -> MixReport:
    folder.mkdir(exist_ok=True)
    sounds = {"": music, **(stems or {})}
    for name, block in sounds.items():
        write_wav(folder / f"in{name}.wav", [block], block.shape[1])
    return mix(
        folder / "in.wav",
        None if original is None else opener(original),
        speech,
        settings or MixSettings(),
        folder / "mix.wav",
        folder / "music.wav",
        stems={name: folder / f"in{name}.wav" for name in stems or {}},
        stem_paths={name: folder / f"{name}.wav" for name in stems or {}},
    )


def read(path: Path) -> Block:
    return np.concatenate(list(read_blocks(path)), axis=1)


def check_sane(report: MixReport) -> None:
    values = [value for value in asdict(report).values() if isinstance(value, float)]
    assert np.isfinite(values).all()
    assert read(report.mix).shape == read(report.music).shape == (2, report.samples)
    assert np.isfinite(read(report.mix)).all()


@pytest.mark.parametrize("target", [-14.0, -16.0, -23.0])
@pytest.mark.parametrize(
    ("original", "speech"),
    [
        (None, ()),
        (sound(1, None), ()),  # a silent track
        (sound(1, -68), ()),  # noise of an open input
        (sound(1, -45), ()),  # a quiet place
        (sound(1, -5), ()),  # much louder than the music
        (talk(-30), SPEECH),
        (talk(-18, -40), SPEECH),
    ],
    ids=["none", "silent", "noise", "quiet", "hot", "speech", "speech in a room"],
)
def test_every_mix_has_its_loudness_and_keeps_its_ceiling(
    tmp_path: Path, target: float, original: Block | None, speech: tuple[Span, ...]
) -> None:
    report = run(tmp_path, sound(0), original, speech, MixSettings(lufs=target))
    check_sane(report)
    measured = measure_loudness(read_blocks(report.mix), true_peak=True)
    assert measured.integrated_lufs == pytest.approx(target, abs=0.2)
    assert measured.true_peak_dbtp is not None and measured.true_peak_dbtp <= -1
    assert (report.lufs, report.true_peak_dbtp) == (measured.integrated_lufs, measured.true_peak_dbtp)
    assert not report.warnings


def test_loudness_that_the_limiter_takes_away_is_given_back(tmp_path: Path) -> None:
    report = run(tmp_path, sound(0, -20, crest=12))
    assert report.max_reduction_db > 3
    assert report.lufs == pytest.approx(-14, abs=0.2)
    assert report.true_peak_dbtp is not None and report.true_peak_dbtp <= -1


def test_the_film_s_own_sound_gets_one_gain_and_nothing_else(tmp_path: Path) -> None:
    original = talk(-24, -38)
    report = run(tmp_path, sound(0), original, SPEECH, MixSettings(lufs=-23))
    assert report.limited_seconds == 0
    music = read(report.music) * gain_of_block(report.keyframes, 0, report.samples)
    np.testing.assert_allclose(read(report.mix) - music, original * decibels(report.gain_db), atol=1e-6)


def test_music_lies_at_least_9_db_lower_under_speech(tmp_path: Path) -> None:
    report = run(tmp_path, sound(0), talk(-20), SPEECH)
    ducked = read(report.music) * gain_of_block(report.keyframes, 0, report.samples)
    under, between = ducked[:, 3 * RATE : 6 * RATE], np.delete(ducked, np.s_[3 * RATE : 6 * RATE], axis=1)
    assert 10 * np.log10(np.mean(between**2) / np.mean(under**2)) >= 9
    speech = read(report.mix)[:, 3 * RATE : 6 * RATE] - under
    assert 10 * np.log10(np.mean(speech**2) / np.mean(under**2)) >= 12.5


def test_ducking_can_be_set_and_switched_off(tmp_path: Path) -> None:
    off = run(tmp_path / "off", sound(0), talk(-20), SPEECH, MixSettings(duck_db=0))
    deep = run(tmp_path / "deep", sound(0), talk(-20), SPEECH, MixSettings(duck_db=20))
    assert off.keyframes == () and min(key.gain_db for key in deep.keyframes) == -20
    assert off.speech_lufs is not None and off.music_lufs is not None
    assert off.music_lufs == pytest.approx(off.speech_lufs + off.gain_db - 9, abs=0.01)


def test_the_music_s_place() -> None:
    web = MixSettings()
    assert music_level(Levels(-20), web) == -14, "alone, it is the mix"
    assert music_level(Levels(-20, -25, -22), web) == -23, "1 LU under speech"
    assert music_level(Levels(-20, -22), web) == -18, "4 LU over location sound"
    assert music_level(Levels(-20, -50), web) == -26, "faint sound isn't raised by more than 12 dB"
    assert music_level(Levels(-20, -60, -58), web) == -39, "nor faint speech by more than 24"


def test_music_alone_is_delivered_at_its_level_in_the_mix(tmp_path: Path) -> None:
    import soundfile

    report = run(tmp_path, sound(0), talk(-20, -40), SPEECH)
    info = soundfile.info(report.music)
    assert (info.subtype, info.samplerate, info.channels, info.frames) == ("PCM_24", RATE, 2, SAMPLES)
    assert measure_loudness(read_blocks(report.music)).integrated_lufs == pytest.approx(report.music_lufs, abs=0.05)


def test_without_a_film_sound_the_music_is_the_mix(tmp_path: Path) -> None:
    report = run(tmp_path, sound(0, crest=8))
    np.testing.assert_allclose(read(report.music), read(report.mix), atol=4 / 2**23)


def test_stems_add_up_to_the_music_even_where_it_is_limited(tmp_path: Path) -> None:
    stems = {"drums": sound(1, -22, crest=12), "strings": sound(2, -24)}
    report = run(tmp_path, stems["drums"] + stems["strings"], stems=stems)
    assert report.max_reduction_db > 1
    total = sum(read(path) for path in report.stems.values())
    np.testing.assert_allclose(total, read(report.music), atol=6 / 2**23)


def test_replacing_the_film_s_sound_is_having_none(tmp_path: Path) -> None:
    replaced = run(tmp_path / "a", sound(0), talk(-20), SPEECH, MixSettings(original="replace"))
    silent = run(tmp_path / "b", sound(0))
    assert replaced.keyframes == ()
    assert np.array_equal(read(replaced.mix), read(silent.mix))


def test_a_separate_track_is_the_ducked_score_that_fits_the_untouched_sound(tmp_path: Path) -> None:
    report = run(tmp_path, sound(0), talk(-20), SPEECH, MixSettings(separate_track=True))
    assert report.gain_db == 0
    assert report.music_lufs == pytest.approx(-21, abs=0.1)
    ducked = read(report.music) * gain_of_block(report.keyframes, 0, report.samples)
    np.testing.assert_allclose(read(report.mix), ducked, atol=1e-6)


def test_a_separate_track_of_a_silent_film_has_its_loudness(tmp_path: Path) -> None:
    assert run(tmp_path, sound(0), settings=MixSettings(separate_track=True)).lufs == pytest.approx(-14, abs=0.2)


@pytest.mark.parametrize("original", [None, sound(1, None), sound(1, -30), talk(-50)])
def test_silent_music_gives_a_warning_and_no_nonsense(tmp_path: Path, original: Block | None) -> None:
    report = run(tmp_path, sound(0, None), original, SPEECH)
    check_sane(report)
    assert report.music_lufs is None and not read(report.music).any()
    assert "the music is silent throughout" in report.warnings[0]
    assert report.gain_db <= 24


def test_sound_that_ends_early_or_late_makes_no_difference_to_the_length(tmp_path: Path) -> None:
    early = run(tmp_path / "a", sound(0), sound(1, -20, 5 * RATE))
    late = run(tmp_path / "b", sound(0), sound(1, -20, 11 * RATE))
    check_sane(early)
    check_sane(late)
    assert early.samples == late.samples == SAMPLES


def test_same_input_same_samples(tmp_path: Path) -> None:
    one, two = (run(tmp_path / name, sound(0, crest=5), talk(-20, -50), SPEECH) for name in "ab")
    assert np.array_equal(read(one.mix), read(two.mix))
    assert one.music.read_bytes() == two.music.read_bytes()


def test_the_size_of_the_original_s_blocks_makes_no_difference(tmp_path: Path) -> None:
    write_wav(tmp_path / "m.wav", [sound(0)], SAMPLES)
    original = sound(1, -20, 8 * RATE)

    def mixed(parts: int) -> Block:
        def opened() -> Iterator[Block]:
            yield from np.array_split(original, parts, axis=1)

        return np.concatenate(list(mixed_blocks(tmp_path / "m.wav", opened, np.float32(1), (), SAMPLES)), axis=1)

    assert np.array_equal(mixed(1), mixed(1000))


def test_very_short_films_are_mixed(tmp_path: Path) -> None:
    report = run(tmp_path, sound(0, -20, 2000), sound(1, -20, 2000))
    check_sane(report)
    assert report.samples == 2000


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", [sound(0)], SAMPLES)
    opened = 0

    def broken() -> Iterator[Block]:
        nonlocal opened
        opened += 1
        yield sound(1, -20, RATE)
        if opened == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mix(tmp_path / "in.wav", broken, (), MixSettings(), tmp_path / "mix.wav", tmp_path / "music.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


@pytest.mark.parametrize(
    ("name", "value"), [("lufs", 3.0), ("ceiling_dbtp", 1.0), ("duck_db", -1.0), ("original", "loud")]
)
def test_impossible_settings_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} is"):
        MixSettings(**{name: value})  # type: ignore[arg-type]
