from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.errors import CueSheetError, DeliveryError, LicenceError, MediaError
from gvm_plugin import cuesheet, cuesheet_reader
from gvm_plugin.cuesheet import Cue
from gvm_plugin.generators import CueRequest, CueTake, ToneGenerator
from gvm_plugin.options import ScoreOptions
from gvm_plugin.score import STAGES, render, score_video, spot
from gvm_plugin.timeline import Span, to_samples

ClipFactory = Callable[..., Path]
TONE = ScoreOptions(model="tone")


class Counting(ToneGenerator):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def generate(self, requests: Sequence[CueRequest], progress: object = None) -> Iterator[CueTake]:
        self.asked += [(request.cue_id, request.take) for request in requests]
        return super().generate(requests)


@pytest.fixture
def film(clip_factory: ClipFactory) -> Path:
    return clip_factory("film", seconds=3, cuts=(1.0, 2.0))


def two_cues(path: Path) -> None:
    """Divide the sheet at `path` into two cues that meet."""
    sheet = cuesheet_reader.read(path)
    (cue,) = sheet.cues
    first = replace(cue, id="A", span=Span(0, 1.5), hits=())
    second = replace(cue, id="B", span=Span(1.5, sheet.duration), seed=7, hits=())
    cuesheet.write(replace(sheet, cues=(first, second)), path)


def edit(path: Path, cue_id: str, **changes: object) -> None:
    sheet = cuesheet_reader.read(path)
    cues: list[Cue] = [replace(c, **changes) if c.id == cue_id else c for c in sheet.cues]  # type: ignore[arg-type]
    cuesheet.write(replace(sheet, cues=tuple(cues)), path)


def samples(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def test_a_film_gets_its_music_and_all_that_belongs_to_it(film: Path) -> None:
    before = film.read_bytes()
    score = score_video(film, options=replace(TONE, stems=True, midi=True, takes=2))
    out = film.parent / "scored"
    assert score.outputs.film == out / "film.mp4"
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file() and ".gvm" not in path.parts}
    assert names == {
        "film.mp4",
        "film.music.wav",
        "film.cues.yaml",
        "film.stems/bass.wav",
        "film.stems/chords.wav",
        "film.midi/A.mid",
        "film.takes/A.take1.wav",
        "film.takes/A.take2.wav",
    }
    assert {file.path for file in score.report.outputs} == names
    assert film.read_bytes() == before
    info = soundfile.info(score.outputs.music)
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 2, "PCM_24")
    assert info.frames == to_samples(score.report.duration)
    stems = samples(out / "film.stems" / "bass.wav") + samples(out / "film.stems" / "chords.wav")
    assert np.abs(stems - samples(score.outputs.music)).max() < 1e-5
    assert not list((out / ".gvm" / "work").iterdir())


def test_the_sheet_says_where_the_score_comes_from(film: Path) -> None:
    score = score_video(film, options=TONE)
    sheet = cuesheet_reader.read(score.outputs.sheet)
    assert sheet == score.sheet
    assert sheet.provenance["model"]["name"] == "tone"
    assert sheet.provenance["model"]["weights_sha256"] == ToneGenerator.weights_sha256
    assert sheet.provenance["cues"]["A"]["tempo"] > 0
    assert (score.outputs.sheet.parent / sheet.video).samefile(film)


def test_rendering_an_unchanged_sheet_makes_nothing_anew_and_the_same(film: Path) -> None:
    score = score_video(film, options=TONE)
    before = score.outputs.music.read_bytes()
    counting = Counting()
    again = render(score.outputs.sheet, generator=counting)
    assert counting.asked == []
    assert again.outputs == score.outputs
    assert score.outputs.music.read_bytes() == before


def test_only_the_cue_that_changed_is_made_anew_and_the_others_stay_bit_identical(film: Path) -> None:
    _, path = spot(film, options=TONE)
    two_cues(path)
    first = Counting()
    render(path, generator=first)
    assert first.asked == [("A", 1), ("B", 1)]
    cues = film.parent / "scored" / ".gvm" / "cues"
    kept = {wav: wav.read_bytes() for wav in cues.rglob("*.wav")}

    edit(path, "B", seed=8)
    second = Counting()
    render(path, generator=second)
    assert second.asked == [("B", 1)]
    assert all(wav.read_bytes() == content for wav, content in kept.items())
    assert len(list(cues.iterdir())) == 3

    edit(path, "B", seed=7)
    third = Counting()
    render(path, generator=third)
    assert third.asked == []


def test_a_cues_name_and_its_neighbours_do_not_decide_how_it_sounds(film: Path) -> None:
    _, path = spot(film, options=TONE)
    two_cues(path)
    render(path, generator=ToneGenerator())
    edit(path, "B", silent=True)
    edit(path, "A", id="Opening", reason="because")
    counting = Counting()
    score = render(path, generator=counting)
    assert counting.asked == []
    music = samples(score.outputs.music)
    assert np.abs(music[:48_000]).max() > 0.05
    assert np.abs(music[to_samples(2.2) :]).max() == 0


def test_a_persons_comments_survive_rendering(film: Path) -> None:
    _, path = spot(film, options=TONE)
    path.write_text(path.read_text().replace("  energy:", "  # calmer than the last one\n  energy:", 1))
    render(path)
    assert "# calmer than the last one" in path.read_text()
    assert cuesheet_reader.read(path).provenance["model"]["name"] == "tone"


def test_the_chosen_take_is_the_one_that_sounds(film: Path) -> None:
    score = score_video(film, options=replace(TONE, takes=2))
    first = samples(score.outputs.music)
    edit(score.outputs.sheet, "A", take=2)
    counting = Counting()
    score = render(score.outputs.sheet, generator=counting)
    assert counting.asked == []
    assert not np.array_equal(samples(score.outputs.music), first)


def test_a_damaged_take_in_the_cache_is_made_again(film: Path, caplog: pytest.LogCaptureFixture) -> None:
    score = score_video(film, options=TONE)
    before = score.outputs.music.read_bytes()
    (wav,) = (film.parent / "scored" / ".gvm" / "cues").rglob("music.wav")
    wav.write_bytes(wav.read_bytes()[:1000])
    counting = Counting()
    with caplog.at_level(logging.WARNING):
        render(score.outputs.sheet, generator=counting)
    assert counting.asked == [("A", 1)]
    assert "damaged" in caplog.text
    assert score.outputs.music.read_bytes() == before


def test_damaged_analysis_in_the_cache_is_made_again(film: Path) -> None:
    score = score_video(film, options=TONE)
    for path in (film.parent / "scored" / ".gvm" / "analysis").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    assert render(score.outputs.sheet).sheet.cues == score.sheet.cues


def test_progress_tells_every_stage_and_breaking_off_leaves_nothing(film: Path) -> None:
    told: list[tuple[str, float]] = []
    score_video(film, options=TONE, progress=lambda stage, share: told.append((stage, share)))
    assert list(dict.fromkeys(stage for stage, _ in told)) == list(STAGES)
    for stage in STAGES:
        shares = [share for name, share in told if name == stage]
        assert shares == sorted(shares) and shares[-1] == 1.0

    class Cancelled(Exception):
        pass

    def cancel(stage: str, share: float) -> None:
        if stage == "deliver":
            raise Cancelled

    out = film.parent / "other"
    with pytest.raises(Cancelled):
        score_video(film, out, TONE, progress=cancel)
    assert [path.name for path in out.iterdir()] == [".gvm"]
    assert not list((out / ".gvm" / "work").iterdir())


def test_results_are_not_replaced_unasked_and_the_film_never(film: Path) -> None:
    score = score_video(film, options=TONE)
    with pytest.raises(DeliveryError, match="--overwrite"):
        score_video(film, options=TONE)
    score_video(film, options=replace(TONE, overwrite=True))
    with pytest.raises(DeliveryError, match="film itself"):
        score_video(film, film, replace(TONE, overwrite=True))
    _, path = spot(film, film.parent, TONE)
    with pytest.raises(DeliveryError, match="film itself"):
        render(path)
    assert score.outputs.film.exists()


def test_music_only_delivers_no_film(film: Path) -> None:
    score = score_video(film, options=replace(TONE, music_only=True))
    assert score.outputs.music.exists() and not score.outputs.film.exists()
    assert [file.kind for file in score.report.outputs] == ["music", "sheet"]


def test_weights_for_non_commercial_use_are_refused_for_films_that_earn_money(
    film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Restricted(ToneGenerator):
        licence = "CC-BY-NC-4.0"
        commercial_use = False

    with pytest.raises(LicenceError, match="--model starter"):
        score_video(film, options=replace(TONE, monetised=True), generator=Restricted())
    assert not (film.parent / "scored").exists()
    with caplog.at_level(logging.WARNING):
        score = score_video(film, options=TONE, generator=Restricted())
    assert caplog.text.count("CC-BY-NC-4.0") == 1
    assert score.report.commercial_use is False and score.report.licence == "CC-BY-NC-4.0"


def test_a_sheet_without_its_film_or_with_another_one_is_refused(film: Path, clip_factory: ClipFactory) -> None:
    _, path = spot(film, options=TONE)
    film.write_bytes(clip_factory("other", seconds=3, cuts=(0.5,)).read_bytes())
    with pytest.raises(CueSheetError, match="another one now"):
        render(path)
    film.unlink()
    with pytest.raises(CueSheetError, match="isn't there"):
        render(path)


def test_cues_whose_names_differ_in_a_sign_are_delivered_apart(film: Path) -> None:
    _, path = spot(film, options=replace(TONE, midi=True, takes=2))
    two_cues(path)
    edit(path, "A", id="the lake")
    edit(path, "B", id="the_lake")
    made = render(path, generator=ToneGenerator())
    names = {file.path for file in made.report.outputs if file.path.startswith(("film.midi/", "film.takes/"))}
    stems = ("the_lake", "the_lake_")
    assert names == {f"film.midi/{stem}.mid" for stem in stems} | {
        f"film.takes/{stem}.take{n}.wav" for stem in stems for n in (1, 2)
    }
    assert all((made.outputs.folder / name).is_file() for name in names)


def test_a_cue_past_the_end_of_the_film_is_named(film: Path) -> None:
    _, path = spot(film, options=TONE)
    sheet = cuesheet_reader.read(path)

    def last(end: float) -> None:
        cue = replace(sheet.cues[0], span=Span(0, end))
        cuesheet.write(replace(sheet, duration=end, cues=(cue,)), path)

    last(8.0)
    with pytest.raises(CueSheetError) as caught:
        render(path, generator=ToneGenerator())
    said = "cue A goes from 0:00.000 to 0:08.000, but the film ends at 0:03"
    assert str(caught.value).startswith(f"{path}: {said}") and "duration" in str(caught.value)
    last(sheet.duration + 0.05)  # some frames more: where a film ends is a matter of opinion
    assert render(path, generator=ToneGenerator()).outputs.film.is_file()


def test_what_is_no_film_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a film")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        score_video(tmp_path / "text.mp4", options=TONE)
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


@pytest.mark.parametrize("name", ["-dash", "100%", 'it\'s "quoted"', "two\nlines", "smile 😀", "a;b&c", "x" * 245])
def test_any_name_a_file_can_have(clip_factory: ClipFactory, name: str, tmp_path: Path) -> None:
    film = clip_factory("plain", seconds=1, cuts=()).rename(tmp_path / f"{name}.mp4")
    score = score_video(film, options=TONE)
    assert score.outputs.film.exists() and score.outputs.music.exists()
    assert render(score.outputs.sheet).outputs == score.outputs
