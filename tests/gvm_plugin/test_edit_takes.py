"""Takes on an editor's frames: the same joins as in a mix, to the sample where the music was."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gvm_plugin.cache import Cache
from gvm_plugin.crossfade import Piece, assemble
from gvm_plugin.cuesheet import Cue
from gvm_plugin.edit_takes import Reach, fades, write_take
from gvm_plugin.generators import CueTake
from gvm_plugin.timeline import SAMPLE_RATE, Span, to_samples

DURATION = 30.0


def cue_at(name: str, start: float, end: float) -> Cue:
    return Cue(id=name, span=Span(start, end), style="lofi")


def reach_of(cue: Cue, margin: float, ending: float = 0.0) -> Reach:
    return Reach(min(margin, cue.span.start), max(0.0, min(margin, DURATION - cue.span.end)), ending)


LAYOUTS = [
    [(0.0, 10.0), (10.0, 20.5), (20.5, 30.0)],  # one after the other
    [(2.0, 8.0), (8.3, 15.0), (15.7, 20.0), (24.0, 29.8)],  # nearly, within the margins, apart
    [(0.2, 30.0)],
    [(5.0, 6.0), (6.0, 6.4), (6.4, 12.0)],  # shorter than its fades
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("crossfade", "ending"), [(0.5, 0.0), (0.0, 0.0), (2.0, 0.0), (0.5, 3.0)])
def test_fades_are_those_of_the_mix(
    layout: list[tuple[float, float]], crossfade: float, ending: float, tmp_path: Path
) -> None:
    cues = [cue_at(f"C{n}", *span) for n, span in enumerate(layout)]
    reaches = {cue.id: reach_of(cue, crossfade, ending) for cue in cues}
    found = fades(cues, reaches, DURATION, crossfade)

    def piece(cue: Cue) -> Piece:
        reach = reaches[cue.id]
        count = to_samples(cue.span.end + reach.tail) - to_samples(cue.span.start - reach.lead)
        return Piece(cue.span, np.ones((2, count), np.float32), reach.lead, reach.tail, fade_seconds=ending)

    mixed = assemble(map(piece, cues), to_samples(DURATION), tmp_path / "music.wav", crossfade_seconds=crossfade)
    for cue, place in zip(cues, mixed.placed, strict=True):
        fade_in, fade_out = found[cue.id]
        ours = (fade_in.start, fade_in.end, fade_out.start, fade_out.end)
        theirs = (place.start, place.start + place.fade_in, place.end - place.fade_out, place.end)
        assert ours == pytest.approx([sample / SAMPLE_RATE for sample in theirs], abs=1e-4), cue.id


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)])
@pytest.mark.parametrize("start", [0.0, 4.0, 7.123456, 100.1])
def test_a_file_begins_on_a_frame_and_the_music_where_it_was(fps: Fraction, start: float, tmp_path: Path) -> None:
    cue = cue_at("A", start, start + 3.21)
    reach = Reach(min(0.5, start), 0.5)
    count = to_samples(cue.span.end + reach.tail) - to_samples(start - reach.lead)
    sound = np.full((2, count), 0.25, np.float32)
    accent = to_samples(start + 0.1) - to_samples(start - reach.lead)
    sound[:, accent] = 0.5
    stored = Cache(tmp_path).store_take("k" * 32, CueTake(audio=sound))
    with Cache(tmp_path).work_folder("x") as work:
        take = write_take(stored, 1, cue, reach, fps, tmp_path, work)
    data, rate = soundfile.read(take.file)
    first = float(take.start_frame / fps)
    assert rate == SAMPLE_RATE and take.start == first
    assert len(data) == pytest.approx(float(take.frames / fps) * SAMPLE_RATE, abs=1)
    assert first <= start - reach.lead + 1e-4 and first + 1 / fps > start - reach.lead
    loudest = first + int(np.argmax(data[:, 0])) / SAMPLE_RATE
    assert loudest == pytest.approx(start + 0.1, abs=1.5 / SAMPLE_RATE + 1e-3 / float(fps))
    assert abs(data[0, 0]) < 0.01 and abs(data[-1, 0]) < 0.01
    if start in (4.0, 0.0) and fps == 24:
        assert take.start_frame == (start - reach.lead) * fps


def test_a_take_too_loud_for_its_file_says_what_it_lacks(tmp_path: Path) -> None:
    cue = cue_at("A", 0.0, 1.0)
    sound = np.full((2, SAMPLE_RATE), 2.0, np.float32)
    stored = Cache(tmp_path).store_take("k" * 32, CueTake(audio=sound))
    with Cache(tmp_path).work_folder("x") as work:
        take = write_take(stored, 1, cue, Reach(0.0, 0.0), Fraction(24), tmp_path, work)
    peak = abs(soundfile.read(take.file)[0]).max()
    assert peak < 1 and peak * 10 ** (take.gain_db / 20) == pytest.approx(2.0, rel=1e-4)


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    cue = cue_at("A", 0.0, 1.0)
    stored = Cache(tmp_path).store_take("k" * 32, CueTake(audio=np.ones((2, SAMPLE_RATE), np.float32) / 2))
    with Cache(tmp_path).work_folder("x") as work:
        take = write_take(stored, 1, cue, Reach(0.0, 0.0), Fraction(24), tmp_path, work)
        changed = take.file.stat().st_mtime_ns
        write_take(stored, 1, cue, Reach(0.0, 0.0), Fraction(24), tmp_path, work)
    assert take.file.stat().st_mtime_ns == changed
