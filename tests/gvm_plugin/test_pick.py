"""The whole job chooses takes: faulty ones are made again, the best is used, a person's own stays, and all of it is
said. The generator is a real one whose takes are spoiled by their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gvm_plugin import cuesheet, cuesheet_reader, picking
from gvm_plugin.edit_list import read_edit
from gvm_plugin.edit_score import EditJob, score_edit
from gvm_plugin.folder import list_films, score_folder
from gvm_plugin.generators import Audio, CueRequest, CueTake, ToneGenerator
from gvm_plugin.options import ScoreOptions
from gvm_plugin.preflight import forecast
from gvm_plugin.report import VideoReport, write_report
from gvm_plugin.score import Score, render, score_video
from gvm_plugin.timeline import SAMPLE_RATE as RATE
from gvm_plugin.timeline import Span
from gvm_plugin.worker_jobs import score_to_json

ClipFactory = Callable[..., Path]
TONE = ScoreOptions(model="tone", music_only=True)
CUTS = (2.0, 3.5, 6.0)


def with_hole(audio: Audio, start: float = 2.0, end: float = 5.0) -> Audio:
    """Silent from start to end, gone over into within 50 ms."""
    t = np.arange(audio.shape[1]) / RATE
    return (audio * np.clip(np.maximum(start - t, t - end) / 0.05, 0, 1)).astype(np.float32)


def with_small_hole(audio: Audio) -> Audio:
    return with_hole(audio, 3.0, 4.8)


def on_cuts(audio: Audio, moments: Sequence[float] = CUTS) -> Audio:
    """Struck chords at the cuts and nowhere else: what a take that keeps to the picture has."""
    t = np.arange(audio.shape[1]) / RATE
    for at in moments:
        ring = np.where(t >= at, np.exp(-6 * np.maximum(t - at, 0)), 0)
        audio += (0.3 * ring * sum(np.sin(2 * np.pi * f * t) for f in (262, 330, 392, 1046))).astype(np.float32)
    return audio


class Spoiled(ToneGenerator):
    """Chords that end by fading, changed by `changes` of each take's number; remembers what was made."""

    def __init__(self, changes: Mapping[int, Callable[[Audio], Audio]] | None = None, slow: bool = False) -> None:
        self.changes = changes or {}
        self.slow = slow
        self.asked: list[tuple[str, int]] = []

    def key_of(self, request: CueRequest) -> str:
        return "C"

    def generate(self, requests: Sequence[CueRequest], progress: object = None) -> Iterator[CueTake]:
        self.asked += [(request.cue_id, request.take) for request in requests]
        plain = [replace(request, hits=(), key=self.key_of(request), tempo=120.0) for request in requests]
        for request, take in zip(plain, super().generate(plain), strict=True):
            fade = np.clip(np.arange(take.audio.shape[1])[::-1] / (1.5 * RATE), 0, 1).astype(np.float32)
            audio = self.changes.get(request.take, lambda audio: audio)(take.audio * fade)
            yield replace(take, audio=audio)


@pytest.fixture
def film(clip_factory: ClipFactory) -> Path:
    return clip_factory("film", seconds=8, cuts=CUTS)


def score(film: Path, generator: Spoiled, out: str = "scored", **options: object) -> Score:
    return score_video(film, film.parent / out / "", replace(TONE, **options), generator)  # type: ignore[arg-type]


def test_a_take_that_passes_is_used_and_nothing_is_said(film: Path) -> None:
    generator = Spoiled()
    made = score(film, generator)
    assert generator.asked == [("A", 1)]
    assert not [line for line in made.report.warnings if line.startswith("cue ")]
    assert made.sheet.cues[0].take == 1
    assert cuesheet_reader.read(made.outputs.sheet).cues[0].take == 1


def test_a_take_with_a_hole_is_made_again_and_the_report_says_so(film: Path) -> None:
    generator = Spoiled({1: with_hole})
    made = score(film, generator)
    assert generator.asked == [("A", 1), ("A", 2)]
    (line,) = [line for line in made.report.warnings if line.startswith("cue ")]
    assert line == "cue A: take 1 rejected: it is silent for 3.0 s; take 2 is used"
    sheet = cuesheet_reader.read(made.outputs.sheet)
    assert sheet.cues[0].take == 2
    ranking = sheet.provenance["cues"]["A"]["ranking"]
    assert (ranking["take"], ranking["by"], ranking["why"]) == (2, "first", "the first that passed")
    assert ranking["takes"][0]["rejected"] == "it is silent for 3.0 s"
    assert made.report.measures is not None and made.report.measures.longest_silence_seconds < 0.5
    assert not list(made.outputs.folder.glob("film.takes/*"))  # one was asked for

    again = Spoiled({1: with_hole})  # the same once more: from the cache, verdicts too, and the same to the bit
    music = made.outputs.music.read_bytes()
    other = render(made.outputs.sheet, generator=again)
    assert (again.asked, other.outputs.music.read_bytes()) == ([], music)


def test_the_page_and_its_json_say_which_take_was_used(film: Path) -> None:
    report = score(film, Spoiled({1: with_hole})).report
    assert VideoReport.from_json(report.to_json()) == report
    page = film.parent / "page.html"
    write_report([report], page)
    text = page.read_text()
    assert "Takes: 2 takes of 1 cue, 1 faulty" in text
    assert "it is silent for 3.0 s" in text and "the first that passed" in text


def test_where_all_fail_the_least_bad_is_kept_loudly(film: Path) -> None:
    generator = Spoiled({n: with_small_hole if n == 3 else with_hole for n in range(1, 9)})
    made = score(film, generator)
    assert [number for _, number in generator.asked] == [1, 2, 3, 4]
    assert made.sheet.cues[0].take == 3
    assert any("KEPT TAKE 3 ALTHOUGH it is silent for 1.8 s" in line for line in made.report.warnings)


def test_a_slow_model_makes_one_more_and_no_gate_makes_none(film: Path) -> None:
    slow = Spoiled(dict.fromkeys(range(1, 9), with_hole), slow=True)
    told = score(film, slow).report.warnings
    assert [number for _, number in slow.asked] == [1, 2]
    assert any(line.startswith("1 more take took 0.") for line in told)
    free = Spoiled({1: with_hole})
    made = score(film, free, "free", no_gate=True)
    assert free.asked == [("A", 1)] and made.sheet.cues[0].take == 1
    assert not [line for line in made.report.warnings if line.startswith("cue ")]


def test_the_best_of_three_is_used(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[str] = []
    monkeypatch.setattr(picking, "evaluator_for", partial(no_evaluator, known))
    generator = Spoiled({2: on_cuts, 3: with_hole})
    made = score(film, generator, takes=3, pick="best")
    assert generator.asked == [("A", 1), ("A", 2), ("A", 3)]
    assert known == ["asked"] * 3
    choice = made.report.choices[0]
    assert (choice.take, choice.by) == (2, "best")
    lifts = [take.cut_accent_lift or 0.0 for take in choice.takes]
    assert lifts[1] > 1.5 * lifts[0]
    assert {path.name for path in made.outputs.folder.glob("film.takes/*")} == {f"A.take{n}.wav" for n in (1, 2, 3)}
    again = score(film, Spoiled({2: on_cuts, 3: with_hole}), "again", takes=3, pick="best")
    assert again.report.choices == made.report.choices
    assert again.outputs.music.read_bytes() == made.outputs.music.read_bytes()


def no_evaluator(known: list[str], *args: object) -> Callable[[], object]:
    """Stands in the place of `evaluator_for`: notes that it was asked, and finds nothing to judge."""
    from core.errors import MediaError
    from core.vision.picture import PictureFeatures

    class Model:
        sha256 = "none"

        def score(self, *args: object) -> object:
            known.append("asked")
            raise MediaError("nothing to compare; give more")

    return lambda: (Model(), PictureFeatures(np.zeros(0), np.zeros((0, 1, 1), np.float32)))


def test_best_of_one_says_that_there_is_no_choice(film: Path) -> None:
    made = score(film, Spoiled(), pick="best")
    assert "pick is best, but there is one take to pick from; ask for more with --takes" in made.report.warnings


def test_a_take_chosen_by_hand_is_never_overruled(film: Path) -> None:
    made = score(film, Spoiled({1: with_hole}), takes=2)
    assert made.sheet.cues[0].take == 2
    sheet = cuesheet_reader.read(made.outputs.sheet)
    by_hand = replace(sheet, cues=tuple(replace(cue, take=1) for cue in sheet.cues))
    cuesheet.write(by_hand, made.outputs.sheet)
    generator = Spoiled({1: with_hole})
    again = render(made.outputs.sheet, generator=generator)
    assert generator.asked == []
    assert again.sheet.cues[0].take == 1 and again.report.choices[0].by == "hand"
    assert [take.number for take in again.report.choices[0].takes] == [1, 2]
    assert any("take 1 was chosen in the cue sheet and is kept, although" in line for line in again.report.warnings)
    assert cuesheet_reader.read(made.outputs.sheet).cues[0].take == 1

    cuesheet.write(replace(sheet, cues=tuple(replace(cue, take=None) for cue in sheet.cues)), made.outputs.sheet)
    assert "take: auto" in made.outputs.sheet.read_text()
    assert render(made.outputs.sheet, generator=Spoiled({1: with_hole})).sheet.cues[0].take == 2


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Change a sheet as a person does: in its text."""
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)


def ranking(made: Score, cue: str = "A") -> tuple[int, str]:
    """(take, who chose it) as the sheet on the disk says."""
    said = cuesheet_reader.read(made.outputs.sheet).provenance["cues"][cue]["ranking"]
    return said["take"], said["by"]


def test_a_number_that_gvm_wrote_holds_only_for_the_cue_it_was_chosen_for(film: Path) -> None:
    made = score(film, Spoiled({1: with_hole}))
    sheet = made.outputs.sheet
    assert ranking(made) == (2, "first")
    same = render(sheet, generator=Spoiled({1: with_hole}))
    assert ranking(same) == (2, "kept") and same.report.choices[0].why == "the first that passed"
    edit(sheet, (f"seed: {made.sheet.cues[0].seed}\n", "seed: 11\n"))
    generator = Spoiled({2: with_hole})
    again = render(sheet, generator=generator)
    assert generator.asked == [("A", 1)] and ranking(again) == (1, "first")
    assert cuesheet_reader.read(sheet).cues[0].take == 1 and "seed: 11\n" in sheet.read_text()
    edit(
        sheet, ("take: 1\n  silent", "take: 2\n  silent"), ("seed: 11\n", "seed: 12\n")
    )  # a person's number holds for good
    by_hand = render(sheet, generator=Spoiled({2: with_hole}))
    assert ranking(by_hand) == (2, "hand")
    assert any("chosen in the cue sheet and is kept, although" in line for line in by_hand.report.warnings)


def test_a_choice_is_made_again_where_it_is_made_in_another_way(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picking, "evaluator_for", partial(no_evaluator, []))
    changes = {2: on_cuts}
    sheet = score(film, Spoiled(changes)).outputs.sheet
    edit(sheet, ("takes: 1 ", "takes: 2 "), ("pick: first ", "pick: best "))
    assert ranking(render(sheet, generator=Spoiled(changes))) == (2, "best")
    assert cuesheet_reader.read(sheet).cues[0].take == 2


def test_the_number_of_a_cue_that_is_silenced_is_open_when_it_sounds_again(film: Path) -> None:
    sheet = score(film, Spoiled({1: with_hole})).outputs.sheet
    edit(sheet, ("silent: false", "silent: true"))
    render(sheet, generator=Spoiled())
    assert cuesheet_reader.read(sheet).cues[0].take is None
    edit(sheet, ("silent: true", "silent: false"))
    assert ranking(render(sheet, generator=Spoiled({1: with_hole}))) == (2, "first")


def test_a_cue_that_is_renamed_keeps_its_take(film: Path) -> None:
    made = score(film, Spoiled({1: with_hole}))
    music = made.outputs.music.read_bytes()
    edit(made.outputs.sheet, ("id: A\n", "id: opening\n"))
    again = render(made.outputs.sheet, generator=Spoiled({1: with_hole}))
    assert ranking(again, "opening") == (2, "kept")
    assert again.outputs.music.read_bytes() == music


def test_a_cue_that_is_divided_takes_no_number_along(film: Path) -> None:
    made = score(film, Spoiled({1: with_hole}))
    sheet = cuesheet_reader.read(made.outputs.sheet)
    (cue,) = sheet.cues
    halves = [
        replace(cue, id=name, span=Span(a, b), hits=()) for name, a, b in (("A", 0, 4), ("A2", 4, sheet.duration))
    ]
    cuesheet.write(replace(sheet, cues=tuple(halves)), made.outputs.sheet)
    again = render(made.outputs.sheet, generator=Spoiled())
    assert [cue.take for cue in again.sheet.cues] == [1, 1]
    by_hand = tuple(replace(cue, id=f"{cue.id}!", take=3) for cue in again.sheet.cues)  # none of gvm's numbers
    cuesheet.write(replace(again.sheet, cues=by_hand), made.outputs.sheet)
    assert ranking(render(made.outputs.sheet, generator=Spoiled()), "A2!") == (3, "hand")


def test_a_sheet_that_is_edited_while_it_renders_stays_the_persons(
    film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = score(film, Spoiled()).outputs.sheet

    def type_on(stage: str, share: float) -> None:
        if stage == "mix":
            sheet.write_text("cues: [")

    made = render(sheet, generator=Spoiled(), progress=type_on)
    assert made.outputs.music.is_file() and sheet.read_text() == "cues: ["
    assert "was changed while it was rendered" in caplog.text


def test_a_cue_that_nobody_changed_keeps_its_take_when_its_neighbour_clashes_with_it(clip_factory: ClipFactory) -> None:
    class Turned(Spoiled):
        """Cue A stands a tritone off when its seed is 9."""

        def key_of(self, request: CueRequest) -> str:
            return "F#" if (request.cue_id, request.seed) == ("A", 9) else "C"

    film = clip_factory("joined", seconds=14, cuts=(7.0,), size=(64, 36))
    made = score(film, Turned())
    text = cuesheet_reader.read(made.outputs.sheet)
    halves = [replace(text.cues[0], id=name, span=Span(a, b), hits=(), take=None, seed=3)
              for name, a, b in (("A", 0, 7), ("B", 7, text.duration))]  # fmt: skip
    cuesheet.write(replace(text, cues=tuple(halves)), made.outputs.sheet)
    first = render(made.outputs.sheet, generator=Turned())
    assert ranking(first, "B") == (1, "first") and made.outputs.sheet.read_text().count("take: 1\n  silent") == 2
    one, other = first.sheet.cues
    cuesheet.write(replace(first.sheet, cues=(replace(one, seed=9), other)), made.outputs.sheet)
    generator = Turned()
    again = render(made.outputs.sheet, generator=generator)
    assert {name for name, _ in generator.asked} == {"A"}
    assert ranking(again, "B") == (1, "kept") and ranking(again, "A")[1] == "last resort"
    said = "cue B: take 1 is kept as it was, although its key clashes with that of cue A where they meet"
    assert any(line.startswith(said) for line in again.report.warnings)
    # whoever minds lets gvm choose again
    cuesheet.write(replace(again.sheet, cues=(again.sheet.cues[0], replace(other, take=None))), made.outputs.sheet)
    generator = Turned()
    render(made.outputs.sheet, generator=generator)
    assert ("B", 2) in generator.asked


def test_keys_that_clash_at_a_join_are_made_again(clip_factory: ClipFactory) -> None:
    class Turned(Spoiled):
        """Cue B's first take stands a tritone off."""

        def key_of(self, request: CueRequest) -> str:
            return "F#" if (request.cue_id, request.take) == ("B", 1) else "C"

    film = clip_factory("joined", seconds=14, cuts=(7.0,), size=(64, 36))
    made = score(film, Turned(), no_gate=True)
    sheet = cuesheet_reader.read(made.outputs.sheet)
    (cue,) = sheet.cues
    halves = [replace(cue, id=name, span=Span(a, b), hits=(), take=None)
              for name, a, b in (("A", 0, 7), ("B", 7, sheet.duration))]  # fmt: skip
    settings = replace(sheet.settings, no_gate=False)
    cuesheet.write(replace(sheet, cues=tuple(halves), settings=settings), made.outputs.sheet)
    generator = Turned()
    again = render(made.outputs.sheet, generator=generator)
    assert ("B", 2) in generator.asked
    said = "cue B: take 1 rejected: its key clashes with that of cue A where they meet; take 2 is used"
    assert said in again.report.warnings


def test_breaking_off_while_a_take_is_made_again_leaves_nothing_half(film: Path) -> None:
    class Cancelled(Exception):
        pass

    class Breaking(Spoiled):
        def generate(self, requests: Sequence[CueRequest], progress: object = None) -> Iterator[CueTake]:
            if self.asked:
                raise Cancelled
            yield from super().generate(requests)

    with pytest.raises(Cancelled):
        score(film, Breaking({1: with_hole}))
    out = film.parent / "scored"
    assert [path.name for path in out.iterdir()] == [".gvm"]
    assert not list((out / ".gvm" / "work").iterdir())
    assert not list(out.rglob("*.partial"))
    generator = Spoiled({1: with_hole})
    score(film, generator)
    assert generator.asked == [("A", 2)]  # what was complete is used again, its verdict too


def test_a_forecast_counts_takes_and_what_earlier_films_took(film: Path) -> None:
    folder = film.parent / "films"
    folder.mkdir()
    film.rename(folder / "film.mp4")
    out = folder / "scored"
    generator = Spoiled()

    def minutes(**options: object) -> float:
        wanted = replace(TONE, seed=7, **options)  # type: ignore[arg-type]
        (item,) = forecast(list_films(folder, out, False), out, wanted, generator)
        return item.minutes

    assert minutes(takes=8, pick="best") > minutes(takes=8) > minutes(takes=8, no_gate=True) > minutes()
    (made,) = score_folder(folder, out, TONE, generator=generator).results
    spent = made.report.timings
    more = 7 * (spent["generate"] + spent["choose"]) / 60
    assert minutes(takes=8) - minutes() == pytest.approx(more, rel=1e-6)


def test_an_edit_gets_another_take_in_the_place_of_a_faulty_one(film: Path, tmp_path: Path) -> None:
    clip = {"file": str(film), "start": 0, "end": 8, "source": "0"}
    edit = read_edit({"fps": 24, "size": [128, 72], "duration": 8, "clips": [clip]})
    said: list[str] = []

    def job(generator: Spoiled, **options: object) -> EditJob:
        wanted = ScoreOptions(model="tone", **options)  # type: ignore[arg-type]
        return EditJob(edit, "project", wanted, tmp_path, generator, lambda stage, share: None, said.append)

    made = score_edit(job(Spoiled({1: with_hole})))
    assert [take.number for take in made.takes["A"]] == [2]
    assert said == ["cue A: take 1 rejected: it is silent for 3.0 s; take 2 is used"]
    made = score_edit(job(Spoiled({1: with_hole}), takes=2))
    assert [take.number for take in made.takes["A"]] == [2, 1]  # the one to be heard comes first
    assert score_to_json(made)["cues"][0]["takes"][1]["faults"] == ["it is silent for 3.0 s"]


def test_a_clip_of_moviepy_gets_another_take_too() -> None:
    from moviepy import VideoClip

    from gvm_plugin.moviepy_fx import score_clip

    def frame(seconds: float) -> np.ndarray:
        return np.full((36, 64, 3), 60 + 20 * (seconds >= 4), np.uint8)

    music = score_clip(VideoClip(frame, duration=8).with_fps(12), TONE, Spoiled({1: with_hole}), None)
    assert music.sheet.cues[0].take == 2
    assert "cue A: take 1 rejected: it is silent for 3.0 s; take 2 is used" in music.warnings
    music.close()
