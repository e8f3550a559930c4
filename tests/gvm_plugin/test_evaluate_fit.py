"""`gvm evaluate fit`: any music under any film, in figures and in words; what can't be measured is said in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import av
import numpy as np
import pytest
import soundfile
from evaluate_fixtures import CUTS, MODEL, SECONDS, Page, film, music, no_strange_numbers, use_untrained, write
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MediaError
from core.evaluation.fit import Fit, WindowFit
from gvm_plugin.cli import run
from gvm_plugin.evaluate.fit import evaluate_fit, hit_error_ms, in_words, weakest_stretch
from gvm_plugin.evaluate.material import hear, watch
from gvm_plugin.evaluate.page import write_fit_page
from gvm_plugin.evaluate.tables import fit_rows, fit_to_json
from gvm_plugin.measure import HitError
from gvm_plugin.timeline import Span


def as_m4a(source: Path, target: Path) -> Path:
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        stream = output.add_stream("aac", rate=44_100, layout="stereo")
        for frame in given.decode(audio=0):
            frame.pts = None
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target


def test_music_that_marks_the_cuts_is_measured_as_that(tmp_path: Path) -> None:
    clip = film(tmp_path, "film.mp4")
    on_the_cuts = evaluate_fit(clip, write(tmp_path / "on.wav", music()), model=MODEL)
    beside = evaluate_fit(clip, write(tmp_path / "beside.wav", music(notes=(3.1, 6.7))), model=MODEL)
    assert on_the_cuts.measures.cut_accent_lift is not None
    assert beside.measures.cut_accent_lift is not None
    assert on_the_cuts.measures.cut_accent_lift > 3 > 1 > beside.measures.cut_accent_lift
    assert [round(hit.seconds, 1) for hit in on_the_cuts.measures.hits] == list(CUTS)
    ours, theirs = hit_error_ms(on_the_cuts.measures.hits), hit_error_ms(beside.measures.hits)
    assert ours is not None
    assert ours < 15 < 100 < (theirs or 0)
    assert on_the_cuts.hits_from == "the film's strong cuts"
    assert -1 <= on_the_cuts.fit.cmr <= 1
    assert 0 <= on_the_cuts.fit.ta <= 1
    assert on_the_cuts.notes == ()


@pytest.mark.parametrize("kind", ["44100.wav", "96000.flac", "22050.mp3", "m4a", "ogg"])
def test_music_of_any_format_and_rate(kind: str, tmp_path: Path) -> None:
    """What it says of a WAV at 48 kHz it says of the same music in other clothes."""
    clip = film(tmp_path, "film.mp4")
    plain = evaluate_fit(clip, write(tmp_path / "plain.wav", music()), model=MODEL)
    rate, _, suffix = kind.rpartition(".")
    if suffix == "m4a":
        other = as_m4a(tmp_path / "plain.wav", tmp_path / "other.m4a")
    else:
        other = write(tmp_path / f"other.{suffix}", music(rate=int(rate or 48_000)), int(rate or 48_000))
    before = other.read_bytes()
    result = evaluate_fit(clip, other, model=MODEL)
    assert result.fit.cmr == pytest.approx(plain.fit.cmr, abs=0.06)
    assert (hit_error_ms(result.measures.hits) or 99) < 30  # nothing is shifted, whatever a codec puts in front
    assert result.measures.cut_accent_lift == pytest.approx(plain.measures.cut_accent_lift, rel=0.35)
    assert result.seconds == pytest.approx(SECONDS, abs=0.1)
    assert other.read_bytes() == before


def test_without_music_the_films_own_sound_is_measured_and_voices_are_told_of(tmp_path: Path) -> None:
    result = evaluate_fit(film(tmp_path, "talk.mp4", audio="speechlike"), model=MODEL)
    assert result.music is None
    assert any("somebody speaks or sings" in note and "voice and music together" in note for note in result.notes)
    tone = evaluate_fit(film(tmp_path, "tone.mp4", audio="tone"), model=MODEL)
    assert tone.notes == ("measured is the film's own sound as a whole, noises and all",)


def test_hit_points_come_from_the_cue_sheet_beside_the_music(tmp_path: Path) -> None:
    clip = film(tmp_path, "film.mp4")
    scored = tmp_path / "scored"
    write(scored / "film.music.wav", music(notes=(3.0,)))
    (scored / "film.cues.yaml").write_text(
        "gvm_cue_sheet: 1\nvideo: {file: ../film.mp4, duration: 0:08}\n"
        "cues:\n- {id: A, in: 0:00, out: 0:08, style: lofi, hits: [[0:03, 0.9]]}\n"
    )
    result = evaluate_fit(clip, scored / "film.music.wav", model=MODEL)
    assert result.hits_from == "the cue sheet film.cues.yaml"
    assert [hit.seconds for hit in result.measures.hits] == [3.0]
    assert abs(result.measures.hits[0].error_ms or 99) < 15
    (scored / "film.cues.yaml").write_text("gvm_cue_sheet: [\n")
    broken = evaluate_fit(clip, scored / "film.music.wav", model=MODEL)
    assert broken.hits_from == "the film's strong cuts"
    assert any("cue sheet can't be read" in note for note in broken.notes)


def test_what_both_have_is_compared_and_that_is_said(tmp_path: Path) -> None:
    clip = film(tmp_path, "film.mp4")
    shorter = evaluate_fit(clip, write(tmp_path / "shorter.wav", music(6.5)), model=MODEL)
    assert shorter.seconds == pytest.approx(6.5)
    assert shorter.notes[0] == "the music is 6.5 s long, the film 8.0 s; the first 6.5 s are compared"
    longer = evaluate_fit(clip, write(tmp_path / "longer.wav", music(20)), model=MODEL)
    assert longer.seconds == pytest.approx(8.0, abs=0.1)
    assert longer.notes[0] == "the music is 20.0 s long, the film 8.0 s; the first 8.0 s are compared"


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda folder: write(folder / "m.wav", music(3.0)), "m.wav: is 3.0 s long, the film 8.0 s; less than half"),
        (lambda folder: write(folder / "m.wav", 0 * music()), "m.wav: is silent, so there is nothing to measure"),
        (lambda folder: folder / "gone.wav", "gone.wav: there is no such file"),
        (lambda folder: film(folder, "mute.mp4"), "mute.mp4: has no sound; choose another file"),
        (lambda folder: _text(folder / "m.wav"), "m.wav: is no video that ffmpeg can read"),
        (lambda folder: None, "film.mp4: has no sound of its own; name the music too"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    make: Any, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_untrained(monkeypatch)
    clip, sound = film(tmp_path, "film.mp4"), make(tmp_path)
    assert run(["evaluate", "fit", str(clip), *([str(sound)] if sound else [])]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert complaint in said.err
    assert said.err.count("\n") == 1


def _text(path: Path) -> Path:
    path.write_text("milk, eggs, bread\n" * 99)
    return path


def test_the_command_prints_sentence_and_table_or_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_untrained(monkeypatch)
    clip, sound = film(tmp_path, "film.mp4"), write(tmp_path / "music.wav", music())
    page = tmp_path / "fit.html"
    assert run(["evaluate", "fit", str(clip), str(sound), "--out", str(page)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("CMR ")
    assert "accents on cuts" in said
    assert said.endswith(f"look at {page}\n")
    assert page.is_file()
    assert run(["evaluate", "fit", str(clip), str(sound), "--json"]) == 0
    data = no_strange_numbers(capsys.readouterr().out)
    assert data["cmr"] == pytest.approx(evaluate_fit(clip, sound, model=MODEL).fit.cmr, abs=1e-4)
    assert data["cmr_percentile"] is None  # an untrained evaluator doesn't know
    assert len(data["hits"]) == 2
    assert run(["evaluate", "fit", str(clip), "--out", str(tmp_path / "fit.png")]) == 2
    assert "must end in .html" in capsys.readouterr().err
    assert run(["evaluate", "fit", str(clip), "--out", str(tmp_path / "no" / "fit.html")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_what_a_scored_folder_saw_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = film(tmp_path, "film.mp4")
    (tmp_path / "scored" / ".gvm" / "analysis").mkdir(parents=True)
    first = watch(clip, MODEL)
    monkeypatch.setattr("gvm_plugin.analysis.analyse", None)  # to call it again would fail
    again = watch(clip, MODEL)
    assert np.array_equal(first.features.values, again.features.values)
    assert again.shots == first.shots


def test_nothing_is_left_beside_a_film_that_was_never_scored(tmp_path: Path) -> None:
    clip, sound = film(tmp_path, "film.mp4"), write(tmp_path / "music.wav", music())
    evaluate_fit(clip, sound, model=MODEL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "music.wav"]


def a_fit(cmr: float = 94.6, ta: float = 51.2) -> Fit:
    times = np.arange(0.25, 60, 0.5)
    return Fit(0.61, 0.43, cmr, ta, (WindowFit(0, 30, 0.6, 0.4),), times, np.full(len(times), 0.4))


def test_the_sentence() -> None:
    assert in_words(a_fit(), Span(32.0, 47.0)) == (
        "In character the music fits better than 94 % of music written for other films; from moment to moment it "
        "follows the picture better than 51 % of music written for other films. The weakest stretch is 0:32–0:47."
    )
    assert "better than 99 % of" in in_words(a_fit(100.0), None)
    assert "worse than nearly all music written for other films" in in_words(a_fit(0.3), None)
    assert in_words(a_fit(float("nan")), None).startswith("CMR 0.61, TA 0.43; this evaluator doesn't know")


def test_the_weakest_stretch_is_found_and_an_even_film_has_none() -> None:
    times = np.arange(0.25, 120, 0.5)
    curve = np.where((times > 32) & (times < 47), 0.2, 0.6) + 0.02 * np.sin(times)
    weakest = weakest_stretch(times, curve, 120.0)
    assert weakest is not None
    assert weakest.overlap(Span(32, 47)) > 14
    assert weakest_stretch(times, np.full(len(times), 0.5), 120.0) is None
    assert weakest_stretch(times[:30], curve[:30], 15.0) is None  # one stretch by itself


@given(st.integers(40, 600), st.integers(0, 2**31), st.floats(0, 1))
def test_the_weakest_stretch_lies_in_the_film(half_seconds: int, seed: int, level: float) -> None:
    times = (np.arange(half_seconds) + 0.5) / 2
    curve = level + np.random.default_rng(seed).normal(0, 0.1, half_seconds)
    weakest = weakest_stretch(times, curve, half_seconds / 2)
    if weakest is not None:
        inside = (times >= weakest.start) & (times < weakest.end)
        assert 0 <= weakest.start < weakest.end <= half_seconds / 2
        assert curve[inside].mean() < curve.mean()


def test_a_hit_that_is_not_heard_counts_as_far_as_was_looked() -> None:
    assert hit_error_ms((HitError(1, 0.9, -20.0), HitError(2, 0.9, None))) == pytest.approx(85.0)
    assert hit_error_ms(()) is None


def test_the_page_has_players_with_links_that_lead_there(tmp_path: Path) -> None:
    odd = "b&w <i>näme</i> #1 100%.mp4"
    clip = film(tmp_path / "films", odd.replace("/", "_"))
    sound = write(tmp_path / "music" / 'a "quoted" one.wav', music())
    result = evaluate_fit(clip, sound, model=MODEL)
    target = tmp_path / "pages" / "fit.html"
    target.parent.mkdir()
    write_fit_page(result, target)
    page = Page(target.read_text(encoding="utf-8"))
    (video,), (audio,) = page.all("video"), page.all("audio")
    for link, file in ((video["src"], clip), (audio["src"], sound)):
        assert (target.parent / unquote(link)).resolve() == file.resolve()
    assert "muted" in video
    assert clip.name in page.text
    assert not page.all("i") or all("style" in each for each in page.all("i"))  # the name's own <i> is text
    assert result.sentence in page.text
    assert not list(target.parent.glob("*.partial"))


def test_the_page_of_a_films_own_sound_plays_the_film(tmp_path: Path) -> None:
    result = evaluate_fit(film(tmp_path, "tone.mp4", audio="tone"), model=MODEL)
    write_fit_page(result, tmp_path / "fit.html")
    page = Page((tmp_path / "fit.html").read_text(encoding="utf-8"))
    assert page.all("audio") == []
    assert "muted" not in page.all("video")[0]
    assert "The film's own sound" in page.text


def test_rows_and_json_say_the_same(tmp_path: Path) -> None:
    result = evaluate_fit(film(tmp_path, "film.mp4"), write(tmp_path / "m.wav", music()), model=MODEL)
    rows = {row[0]: row[1] for row in fit_rows(result)}
    data = no_strange_numbers(fit_to_json(result))
    assert rows["CMR, character"] == f"{data['cmr']:.3f}"
    assert rows["accents on cuts"] == f"x {data['cut_accent_lift']:.2f}"
    assert len(data["curve"]["times"]) == len(data["curve"]["ta"]) > 10


@pytest.mark.filterwarnings("error")
def test_samples_that_are_no_numbers_are_silence_and_are_told(tmp_path: Path) -> None:
    wave = music()
    wave[[1000, 5000, 70_000]] = np.inf, np.nan, -np.inf
    soundfile.write(tmp_path / "odd.wav", wave, 48_000, subtype="FLOAT")
    heard = hear(tmp_path / "odd.wav", SECONDS, tmp_path)
    assert np.abs(heard.mono).max() < 1
    assert heard.warnings == ("odd.wav: 3 samples are no numbers and count as silence; export it again",)


def test_a_film_that_is_too_short_is_refused(tmp_path: Path) -> None:
    clip = film(tmp_path, "short.mp4", seconds=3.0, cuts=(1.0,))
    with pytest.raises(MediaError, match=r"s in common: at least 6 s are needed"):
        evaluate_fit(clip, write(tmp_path / "m.wav", music(3.0)), model=MODEL)


def test_long_music_is_read_no_further_than_the_film(tmp_path: Path) -> None:
    long = np.tile(music(), 40)
    clip = film(tmp_path, "film.mp4")
    result = evaluate_fit(clip, write(tmp_path / "long.flac", long), model=MODEL)
    plain = evaluate_fit(clip, write(tmp_path / "plain.flac", long[: round(SECONDS * 48_000)]), model=MODEL)
    assert result.fit.cmr == plain.fit.cmr
    assert soundfile.info(tmp_path / "long.flac").duration == pytest.approx(320)
