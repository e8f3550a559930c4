"""The mix of a performance: placed to the sample, the same every time, in a room, in balance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from core.starter.notes import Note, Performance
from core.starter.palettes import PALETTES
from core.starter.synth import ROOMS, Channel, Mixdown, dsp, palette_mixdown, render
from core.starter.synth.dsp import RATE, Audio
from core.starter.synth.inserts import BusCompressor, Echo, round_peaks, side_chain
from core.starter.synth.render import BLOCK
from core.starter.synth.rooms import Convolver, impulse_response


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GVM_CACHE", str(tmp_path_factory.mktemp("tones")))
        yield


def performance(*notes: Note, duration: float = 4.0, bpm: float = 120.0) -> Performance:
    return Performance(tuple(sorted(notes, key=lambda n: n.start)), duration, "funk", ((0.0, bpm),), 4.0)


def band_song(style: str, seconds: float = 8.0) -> tuple[Performance, Mixdown]:
    """A few bars for the first palette of `style`."""
    palette = PALETTES[style][0]
    notes: list[Note] = []
    for k in range(int(seconds * 4)):
        t = 0.25 * k
        notes.append(Note(t, 0.1, 42, 0.4 + 0.3 * (k % 4 == 0), palette.drums.instrument, "drums"))
        if k % 4 == 0:
            notes.append(Note(t, 0.2, 36 if k % 8 == 0 else 38, 0.85, palette.drums.instrument, "drums"))
            notes.append(
                Note(t, 0.9, palette.bass.base + (0, 5, 7, 0)[k // 4 % 4], 0.7, palette.bass.instrument, "bass")
            )
            notes += [
                Note(t, 0.8, palette.chords.base + x, 0.6, palette.chords.instrument, "chords") for x in (0, 4, 7)
            ]
        if k % 16 == 0:
            notes += [Note(t, 4.0, palette.pad.base + x, 0.6, palette.pad.instrument, "pad") for x in (-5, 0, 4)]
        if k % 2 == 0:
            lead = palette.lead.base + 12 + (0, 2, 4, 7, 9)[k // 2 % 5]
            notes.append(Note(t, 0.5, lead, 0.75, palette.lead.instrument, "lead"))
    return performance(*notes, duration=seconds), palette_mixdown(palette, style)


def dry(**channels: Channel) -> Mixdown:
    return Mixdown("dry_room", channels or {"drums": Channel(send=0.0)})


def test_a_stroke_sounds_at_its_own_sample() -> None:
    at = 1.2345
    audio = render(performance(Note(at, 0.1, 37, 0.9, "kit_pop", "drums")), dry(), 0.0, 2 * RATE).audio
    first = int(np.argmax(np.abs(audio).max(axis=0) > 1e-4))
    assert 0 <= first - round(at * RATE) < 24
    assert np.abs(audio[:, : round(at * RATE)]).max() == 0.0


def test_same_performance_same_samples_and_stems_sum_to_the_mix() -> None:
    song, mix = band_song("cinematic", 5.0)
    whole = render(song, mix, -0.5, 6 * RATE, stems=True)
    again = render(song, mix, -0.5, 6 * RATE, stems=False)
    assert np.abs(whole.audio - again.audio).max() < 1e-5
    assert np.array_equal(again.audio, render(song, mix, -0.5, 6 * RATE, stems=False).audio)
    assert set(whole.stems) == {"drums", "bass", "chords", "pad", "lead"}
    assert np.abs(np.sum(list(whole.stems.values()), axis=0) - whole.audio).max() < 1e-4
    assert again.stems == {}


def test_a_part_of_the_cue_is_a_part_of_the_whole() -> None:
    song, mix = band_song("funk", 8.0)
    whole = render(song, mix, 0.0, 8 * RATE).audio
    begin = 5 * RATE + 1234  # behind the first block
    assert begin < BLOCK < begin + RATE
    part = render(song, mix, begin / RATE, RATE).audio
    assert np.array_equal(part, whole[:, begin : begin + RATE])


def test_the_lead_in_and_the_ring_out_are_heard() -> None:
    song = performance(Note(-1.0, 1.0, 2, 0.7, "fx", "hits"), Note(3.0, 0.2, 49, 0.9, "kit_pop", "drums"))
    mix = Mixdown("hall")
    early = render(song, mix, -1.0, RATE).audio
    assert np.abs(early[:, -RATE // 10 :]).max() > 5 * np.abs(early[:, : RATE // 5]).max() > 0
    late = render(song, mix, 4.0, RATE).audio
    assert np.abs(late).max() > 1e-4
    assert np.abs(render(song, mix, 12.0, RATE).audio).max() < 1e-9


def test_nothing_played_is_silence() -> None:
    quiet = render(performance(), Mixdown("plate"), 0.0, 1000, stems=True)
    assert quiet.audio.shape == (2, 1000)
    assert not quiet.audio.any()
    assert quiet.stems == {}


@pytest.mark.parametrize("style", ["cinematic", "lofi", "funk", "chinese"])
def test_a_mix_is_balanced(style: str) -> None:
    song, mix = band_song(style)
    audio = render(song, mix, 0.0, 8 * RATE).audio[:, RATE // 2 :]
    assert 0.2 < np.corrcoef(audio)[0, 1] < 0.95
    lows = signal.sosfilt(signal.butter(4, 120.0, fs=RATE, output="sos"), audio, axis=1)
    assert np.corrcoef(lows)[0, 1] > 0.9
    assert 0.1 < np.abs(audio).max() < 0.9
    assert -28.0 < 20 * np.log10(dsp.loudness(audio, 7.0)) < -16.0
    slope, strays = spectral_slope(audio)
    assert -6.0 < slope < -3.0
    assert strays < 10.0


def spectral_slope(audio: Audio) -> tuple[float, float]:
    """Decibels per octave of the long-term density 60 Hz - 12 kHz, and the farthest third from a smooth curve."""
    f, density = signal.welch(audio, RATE, nperseg=16_384)
    thirds = 1000.0 * 2.0 ** (np.arange(-12, 11) / 3)
    levels = [10 * np.log10(density.mean(axis=0)[(f > c / 1.1225) & (f < c * 1.1225)].mean()) for c in thirds]
    octaves = np.log2(thirds)
    smooth = np.polyval(np.polyfit(octaves, levels, 3), octaves)
    return float(np.polyfit(octaves, levels, 1)[0]), float(np.abs(levels - smooth).max())


def test_a_channel_is_found_by_stem_and_instrument_then_instrument_then_stem() -> None:
    mix = Mixdown("room", {"lead/erhu": Channel(1.0), "erhu": Channel(2.0), "pad": Channel(3.0)})
    assert [
        mix.channel(*key).level_db for key in [("lead", "erhu"), ("pad", "erhu"), ("pad", "drone"), ("bass", "drone")]
    ] == [1, 2, 3, 0]
    with pytest.raises(ValueError, match="cellar"):
        Mixdown("cellar")


def test_level_and_pan_do_what_they_say() -> None:
    song = performance(Note(0.0, 0.5, 60, 0.5, "flute", "lead"))
    plain = render(song, dry(lead=Channel(send=0.0)), 0.0, RATE).audio
    low = render(song, dry(lead=Channel(-6.0, send=0.0)), 0.0, RATE).audio
    assert np.allclose(low, plain * dsp.gain(-6.0), atol=1e-5)
    left = render(song, dry(lead=Channel(pan=-1.0, send=0.0)), 0.0, RATE).audio
    assert np.abs(left[1]).max() < 1e-6 < np.abs(left[0]).max()


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_rooms_ring_as_long_as_they_should_and_wide(name: str) -> None:
    answer = impulse_response(name).astype(float)
    left = np.sum(answer**2, axis=0)[::-1].cumsum()[::-1]
    fall = 10 * np.log10(left / left[0] + 1e-12)
    t60 = 2.0 * (np.argmax(fall < -35) - np.argmax(fall < -5)) / RATE
    assert 0.55 * ROOMS[name].seconds < t60 < 1.3 * ROOMS[name].seconds
    assert abs(np.corrcoef(answer)[0, 1]) < 0.2
    assert np.argmax(np.abs(answer).max(axis=0) > 0.02 * np.abs(answer).max()) >= 0.9 * ROOMS[name].delay * RATE
    spectrum = np.abs(np.fft.rfft(answer, axis=1)).mean(axis=0)
    f = np.fft.rfftfreq(answer.shape[1], 1.0 / RATE)
    assert spectrum[f < 60].mean() < 0.25 * spectrum[(f > 400) & (f < 2000)].mean()


def test_blockwise_convolution_equals_convolution() -> None:
    random = np.random.default_rng(5)
    block = 4096
    stream = random.standard_normal((2, 5 * block)).astype(np.float32)
    stream[:, 3 * block :] = 0.0
    room = Convolver("dry_room", block)
    blocks = [room.process(stream[:, k : k + block]) for k in range(0, stream.shape[1], block)]
    heard = 0.8 * stream + 0.2 * stream[::-1]
    expected = signal.fftconvolve(heard, impulse_response("dry_room"), axes=1)[:, : stream.shape[1]]
    assert np.allclose(np.concatenate(blocks, axis=1), expected, atol=1e-4)


def test_the_side_chain_dips_at_each_kick_and_comes_back() -> None:
    curve = side_chain([0.5], 6.0, 0, RATE)
    assert curve[: RATE // 2].min() == 1.0
    assert 20 * np.log10(curve.min()) == pytest.approx(-6.0, abs=0.2)
    assert curve[int(0.8 * RATE)] == pytest.approx(1.0)
    assert np.abs(np.diff(curve)).max() < 0.01


def test_echoes_come_after_their_time_on_alternating_sides() -> None:
    echo = Echo(0.1)
    click = np.zeros((2, RATE), np.float32)
    click[:, 0] = 1.0
    out = echo.process(click)
    assert not out[:, : int(0.099 * RATE)].any()
    first, second = (np.abs(out[:, int(t * RATE) : int((t + 0.05) * RATE)]).max(axis=1) for t in (0.1, 0.2))
    assert first[0] > 4 * first[1]
    assert second[1] > 4 * second[0]
    assert second[1] < first[0]


def test_the_bus_takes_at_most_two_decibels_and_rounds_only_peaks() -> None:
    t = np.arange(8 * 48_128) / RATE
    loud = np.tile(0.6 * np.sin(2 * np.pi * 200 * t), (2, 1)).astype(np.float32)
    gains = BusCompressor().gains(loud)
    assert 20 * np.log10(gains.min()) == pytest.approx(-2.0, abs=0.2)
    assert gains[0] == 1.0
    rounded = round_peaks(loud)
    assert np.abs(loud * rounded).max() < 0.40
    assert rounded.max() == 1.0
    assert (round_peaks(0.24 * loud) == 1.0).all()


def test_tones_land_in_the_cache_folder_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GVM_CACHE", str(tmp_path))
    render(performance(Note(0.0, 0.5, 61, 0.7, "celesta", "lead")), dry(), 0.0, RATE)
    assert [path.parent.name for path in tmp_path.rglob("*.tone")] == ["celesta"]
