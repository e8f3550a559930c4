"""The whole job with an imported model: published files in, scored film out. Weights are random, so it is noise."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from parity import imported, parity
from tiny_published import write_tiny

from core.published.importer import import_checkpoint
from core.vision.picture import PictureFeatures
from core.vision.tower import best_dtype
from core.waveform import WaveformModel, WaveRequest, WaveTake
from gvm_plugin import cuesheet, cuesheet_reader
from gvm_plugin.cache import Cache
from gvm_plugin.cli import run
from gvm_plugin.folder import weights_key
from gvm_plugin.generators import CueRequest, WaveformGenerator, load_generator
from gvm_plugin.models import find_model
from gvm_plugin.options import ScoreOptions
from gvm_plugin.score import render, score_video, spot
from gvm_plugin.takes import TakeMaker
from gvm_plugin.timeline import HitPoint, Span, to_samples

ClipFactory = Callable[..., Path]
# Random weights make sound that the gate is right to reject; what it does is tested elsewhere (test_pick).
TINY = ScoreOptions(model="tiny", precision="fp32", music_only=True, no_gate=True)
LICENCE = "model tiny: its licence (CC-BY-NC-4.0) forbids films that earn money"


@pytest.fixture(scope="module")
def _models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    import_checkpoint(write_tiny(place.parent / "published"), place / "tiny", "tiny")
    return place


@pytest.fixture(autouse=True)
def models(_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of imported models, with one called tiny."""
    monkeypatch.setenv("GVM_MODELS", str(_models))
    return _models


@pytest.fixture
def film(clip_factory: ClipFactory) -> Path:
    return clip_factory("film", seconds=3, size=(64, 36), cuts=(1.0, 2.0))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many takes were asked of the model, one number a call."""
    calls: list[int] = []
    real = WaveformModel.generate_music

    def counting(
        self: WaveformModel, requests: Sequence[WaveRequest], progress: Callable[[float], None] | None = None
    ) -> Iterator[tuple[int, WaveTake]]:
        calls.append(len(requests))
        return real(self, requests, progress)

    monkeypatch.setattr(WaveformModel, "generate_music", counting)
    return calls


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that must not be read."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr("core.checkpoint.read_weights", fail)


def music(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def two_cues(path: Path) -> None:
    """Divide the sheet at `path` into two cues that meet."""
    sheet = cuesheet_reader.read(path)
    (cue,) = sheet.cues
    first = replace(cue, id="A", span=Span(0, 1.2), hits=())
    second = replace(cue, id="B", span=Span(1.2, sheet.duration), seed=7, hits=())
    cuesheet.write(replace(sheet, cues=(first, second)), path)


def edit(path: Path, cue_id: str, **changes: object) -> None:
    sheet = cuesheet_reader.read(path)
    cues = [replace(cue, **changes) if cue.id == cue_id else cue for cue in sheet.cues]  # type: ignore[arg-type]
    cuesheet.write(replace(sheet, cues=tuple(cues)), path)


# --- the job -----------------------------------------------------------------------------------------------------


def test_a_film_is_scored_and_everything_says_by_what(
    film: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(["score", str(film), "--model", "tiny", "--style", "lofi", "--midi", "--stems", "--export", "csv"]) == 0
    out = film.parent / "scored"
    heard = music(out / "film.music.wav")
    sheet = cuesheet_reader.read(out / "film.cues.yaml")
    assert heard.shape == (to_samples(sheet.duration), 2)
    assert heard.std() > 1e-3
    about = sheet.provenance["model"]
    assert (about["name"], about["licence"], about["commercial_use"]) == ("tiny", "CC-BY-NC-4.0", False)
    (made,) = sheet.provenance["cues"].values()
    assert (made["decoder"], made["beats"]) == ("encodec", "no clear pulse")
    assert made["precision"] in ("fp32", "bf16", "int8")
    assert (sheet.settings.model, sheet.settings.decoder, sheet.settings.no_nudge) == ("tiny", "encodec", False)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [LICENCE]
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: model tiny")]
    assert sum(notes_of in " ".join(notes) for notes_of in ("style", "midi", "stems")) == 3
    assert not (out / "film.midi").exists() and not (out / "film.stems").exists()
    listed = (out / "film.export" / "film.cue-sheet.csv").read_text(encoding="utf-8-sig")
    assert "Cue A" in listed and "lofi" not in listed


def test_a_path_to_a_model_folder_is_as_good_as_a_name(film: Path, models: Path) -> None:
    score = score_video(film, options=replace(TINY, model=str(models / "tiny")))
    assert score.report.weights_sha256 == load_generator("tiny").weights_sha256


def test_the_same_seed_is_the_same_music_and_another_is_not(film: Path, tmp_path: Path) -> None:
    sounds = {
        name: music(score_video(film, tmp_path / name, replace(TINY, seed=seed)).outputs.music)
        for name, seed in (("one", 1), ("again", 1), ("two", 2))
    }
    assert np.array_equal(sounds["one"], sounds["again"])
    assert not np.allclose(sounds["one"], sounds["two"], atol=1e-3)


def test_a_film_longer_than_a_window_is_written_in_windows_of_its_own_pictures(
    clip_factory: ClipFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = clip_factory("long", seconds=65, fps=Fraction(10), size=(64, 36), cuts=tuple(range(5, 65, 5)))
    jobs = []
    real = WaveformModel.job_of
    monkeypatch.setattr(WaveformModel, "job_of", lambda self, asked: jobs.append(real(self, asked)) or jobs[-1])
    score = score_video(film, options=replace(TINY, min_cue=30))
    (job,) = jobs
    assert [(w.last - w.first, w.prompt) for w in job.windows] == [(1500, 0), (1500, 500), (1250, 500)]
    assert job.frame_times.tolist() == list(range(65))
    assert len(np.unique(job.condition[:, 0, 0])) > 10  # frames of other shots look otherwise
    assert len(music(score.outputs.music)) == to_samples(score.sheet.duration) == 65 * 48_000


def test_only_a_cue_that_changed_in_what_the_model_hears_is_written_anew(film: Path, written: list[int]) -> None:
    _, path = spot(film, options=TINY)
    two_cues(path)
    render(path)
    kept = {wav: wav.read_bytes() for wav in path.parent.rglob(".gvm/cues/*/music.wav")}
    assert (written, len(kept)) == ([2], 2)

    edit(path, "B", seed=8)
    render(path)
    assert written == [2, 1]
    assert all(wav.read_bytes() == sound for wav, sound in kept.items())

    edit(path, "B", style="funk", mood=-1.0, energy=0.1)  # it can't be asked for those: hours of work kept
    score = render(path)
    assert written == [2, 1]
    edit(path, "B", tempo=100.0, key="Am")
    score = render(path)
    assert written == [2, 1]
    assert "model tiny writes sound from the picture alone: tempo and key had no effect" in score.report.warnings


def test_precision_and_nudging_make_other_takes_but_look_at_the_film_no_second_time(
    film: Path, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    automatic = replace(TINY, precision="auto")
    score_video(film, options=automatic)

    def fail(_: WaveformModel) -> None:
        raise AssertionError("the film was looked at again")

    monkeypatch.setattr(WaveformModel, "open_encoder", fail)
    for number, changed in enumerate((replace(automatic, no_nudge=True), replace(TINY, precision="bf16")), 2):
        score = score_video(film, options=replace(changed, overwrite=True))
        assert written == [1] * number
        again = render(score.outputs.sheet)
        assert written == [1] * number, "the sheet doesn't say how its takes were made"
        assert again.sheet.settings == score.sheet.settings


def test_everything_that_decides_the_sound_is_in_the_key_of_a_take_and_nothing_else() -> None:
    def keys(**changes: object) -> tuple[str, str]:
        generator = load_generator("tiny", **changes)  # type: ignore[arg-type]
        return generator.music_sha256, generator.encoder_sha256

    music_key, encoder_key = keys(precision="bf16")
    assert keys(precision="bf16") == (music_key, encoder_key)
    assert keys(precision="bf16", nudge=False)[0] != music_key
    assert keys(precision="fp16") != (music_key, encoder_key) and keys(precision="fp16")[1] == encoder_key
    exact, automatic = keys(precision="fp32"), keys()  # a tower in half precision, where there is one, sees otherwise
    assert (exact[1] == automatic[1]) == (best_dtype("cpu") is torch.float32)
    assert (exact[0] == automatic[0]) == (best_dtype("cpu") is torch.float32)


def test_another_codec_under_the_same_name_is_another_model(models: Path) -> None:
    info = find_model("tiny")
    files = tuple((name, "0" * 64 if name == "codec.safetensors" else sha256) for name, sha256 in info.files)
    assert weights_key(replace(info, files=files)) != weights_key(info) != info.sha256
    assert WaveformGenerator(replace(info, files=files)).music_sha256 != WaveformGenerator(info).music_sha256


def test_what_is_finished_stays_when_the_job_is_interrupted(film: Path) -> None:
    """Two cues, the first shorter: Ctrl-C comes once its take is complete; the second run makes the other alone."""
    sheet, _ = spot(film, options=TINY)
    first, second = Span(0, 0.5), Span(0.5, 3.0)
    (cue,) = sheet.cues
    sheet = replace(sheet, cues=(replace(cue, id="L", span=second), replace(cue, id="S", span=first)))
    features = PictureFeatures(np.arange(3.0), np.random.default_rng(0).normal(0, 1, (3, 1, 24)).astype(np.float32))
    cache = Cache(film.parent / "scored")
    shares: list[float] = []

    def until_the_first_is_there(share: float) -> None:
        shares.append(share)
        if list(cache.folder.glob("cues/*/take.json")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TakeMaker(cache, load_generator("tiny"), features, sheet).make(until_the_first_is_there)
    assert len(list(cache.folder.glob("cues/*/take.json"))) == 1
    assert 0.1 < shares[-1] < 0.9 and shares == sorted(shares) and len(shares) > 20

    asked: list[int] = []
    generator = load_generator("tiny")
    real = generator.generate

    def counting(requests: Sequence[CueRequest], progress: Callable[[float], None] | None = None) -> Iterator[object]:
        asked.append(len(requests))
        return real(requests, progress)

    generator.generate = counting  # type: ignore[method-assign]
    takes = TakeMaker(cache, generator, features, sheet).make(lambda share: None)
    assert asked == [1] and set(takes) == {("L", 1), ("S", 1)}


def test_a_folder_says_the_licence_once_and_works_on_one_film_at_a_time(
    film: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a large model was opened in several processes")

    monkeypatch.setattr("gvm_plugin.folder.in_processes", fail)
    folder = film.parent / "films"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(film.read_bytes())
    arguments = ["score-folder", str(folder), "--model", "tiny", "-q"]
    assert run(arguments) == 0
    assert [record.getMessage() for record in caplog.records if "licence" in record.getMessage()] == [LICENCE]
    page = (folder / "scored" / "report.html").read_text()
    assert "CC-BY-NC-4.0" in page and "not for films that earn money" in page
    caplog.clear()
    assert run(arguments) == 0  # nothing to do, and still the licence is said
    assert [record.getMessage() for record in caplog.records if "licence" in record.getMessage()] == [LICENCE]
    assert run([*arguments[:-1], "--dry-run"]) == 0
    assert capsys.readouterr().out.count("finished and unchanged") == 2


# --- what is refused, before anything is read ----------------------------------------------------------------------


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("command", ["score", "score-folder", "spot", "render", "score --dry-run"])
def test_a_film_that_earns_money_is_refused_before_the_weights_are_read(
    command: str, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *more = command.split()
    target: Path = film
    if name == "score-folder":
        target = film.parent
    if name == "render":
        _, target = spot(film, options=replace(TINY, model="tone"))
        target.write_text(target.read_text().replace("model: tone", "model: tiny"))
    options = [] if name == "render" else ["--model", "tiny"]
    assert run([name, str(target), *options, *more, "--monetised"]) == 1
    error = capsys.readouterr().err
    assert error.endswith(
        "error: model tiny: its licence (CC-BY-NC-4.0) forbids films that earn money; "
        "use --model starter, whose music is CC0\n"
    )
    assert error.count("\n") == 1


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--decoder", "mbd"], r"mbd_musicgen_32khz\.th is missing.*`gvm models pull mbd-musicgen-32khz` fetches it"),
        pytest.param(
            ["--device", "cuda"],
            "device 'cuda' can't be used here; leave --device out",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        (["--model", "tinny"], "no model is called 'tinny'.*did you mean tiny?"),
    ],
)
def test_what_cannot_be_had_is_told_before_any_work(
    options: list[str], said: str, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["score", str(film), "--model", "tiny", *options]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(f"error: .*{said}.*", error), error
    assert not (film.parent / "scored" / ".gvm" / "analysis").exists()


@pytest.mark.usefixtures("sealed")
def test_a_dry_run_reads_no_weights_and_expects_a_large_model_to_take_long(
    clip_factory: ClipFactory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    film = clip_factory("film", seconds=30, fps=Fraction(10), size=(64, 36))
    # A usual machine: what this one is measured at depends on what else it does.
    monkeypatch.setattr("gvm_plugin.preflight._speed", lambda: (1e11, 1e10))
    monkeypatch.setattr("gvm_plugin.preflight._slowness", lambda: 1.0)

    def minutes() -> float:
        assert run(["score", str(film), "--model", "tiny", "--dry-run"]) == 0
        told = re.search(r"in all about ([\d.]+) minutes", capsys.readouterr().out)
        assert told is not None
        return float(told[1])

    small = minutes()
    small_model = WaveformModel.work
    monkeypatch.setattr(
        WaveformModel,
        "work",
        lambda *args: replace(small_model(*args), operations=1e13, bytes_read=1500 * 419.6e6 * 2),
    )
    assert 0 < small < 1 < minutes() < 60


# --- one take ------------------------------------------------------------------------------------------------------


def pings(seconds: float, period: float) -> np.ndarray:
    wave = np.zeros(round(seconds * 48_000), np.float32)
    at = np.arange(2400)
    for start in np.arange(period, seconds - 0.1, period):
        first = round(start * 48_000)
        wave[first : first + 2400] += (0.3 * np.sin(at * 0.13) * np.exp(-at / 300)).astype(np.float32)
    return np.stack([wave, wave])


def finish(audio: np.ndarray, nudge: bool = True, **changes: object) -> tuple[CueRequest, object]:
    fields: dict[str, object] = {
        "cue_id": "A",
        "span": Span(100.0, 120.0),
        "features": PictureFeatures(np.zeros(0), np.zeros((0, 1, 1), np.float32)),
        "style": "",
        "lead_seconds": 0.5,
        "tail_seconds": 0.5,
        "hits": (HitPoint(105.1, 0.9), HitPoint(112.35, 0.6), HitPoint(116.0, 0.2)),
    }
    asked = CueRequest(**(fields | changes))  # type: ignore[arg-type]
    generator = load_generator("tiny", precision="fp32", nudge=nudge)
    assert isinstance(generator, WaveformGenerator)
    return asked, generator._finish(asked, audio)


def test_strong_cuts_land_on_beats_and_the_errors_are_reported() -> None:
    asked, take = finish(pings(21.0, 0.5))
    assert take.audio.shape == (2, asked.samples)
    assert take.tempo_bpm == pytest.approx(120, abs=3)
    errors = [abs(played - hit) for hit, played in take.hits]
    assert [hit for hit, _ in take.hits] == [105.1, 112.35, 116.0]
    assert max(errors[:2]) < 0.01
    beats = take.notes["beats"]
    assert (beats["hits"], beats["on_beat"]) == (2, 2)
    assert beats["median_error_ms"] < 10 < 100 < beats["median_error_ms_unbent"]
    assert 0 < beats["stretch_percent"] <= 4.0001


def test_without_nudging_the_beats_are_told_and_nothing_is_bent() -> None:
    audio = pings(21.0, 0.5)
    _, take = finish(audio, nudge=False)
    assert take.notes["beats"]["stretch_percent"] == 0
    assert take.notes["beats"]["median_error_ms"] == take.notes["beats"]["median_error_ms_unbent"] > 50
    assert np.corrcoef(take.audio[0], audio[0])[0, 1] > 0.9999


def test_cues_are_equally_loud_and_silence_stays_silence() -> None:
    from gvm_plugin.loudness import measure_loudness

    noise = np.random.default_rng(0).normal(0, 1, (2, 21 * 48_000)).astype(np.float32)
    for gain in (0.02, 0.3):
        _, take = finish(noise * np.float32(gain))
        assert measure_loudness([take.audio]).integrated_lufs == pytest.approx(-16, abs=0.1)
    _, take = finish(np.zeros((2, 21 * 48_000), np.float32))
    assert not take.audio.any() and take.hits == ()


@pytest.mark.parametrize(("seconds", "fade"), [(3.0, 1.0), (10.0, 1.5), (40.0, 3.2), (300.0, 5.0)])
def test_a_take_fades_out_over_a_while_that_fits_its_length(seconds: float, fade: float) -> None:
    from gvm_plugin.generators import _fade_seconds

    assert _fade_seconds(seconds) == pytest.approx(fade)


def test_the_music_fades_out_at_its_end_and_not_where_the_next_cue_takes_over(film: Path) -> None:
    _, path = spot(film, options=TINY)
    two_cues(path)
    heard = music(render(path).outputs.music)
    level = [float((heard[round(at * 48_000) :][:4800] ** 2).mean() ** 0.5) for at in (0.6, 1.0, 1.15, 1.5, 2.9)]
    assert min(level[:4]) > 0.4 * max(level)  # through the join at 1.2 s
    assert level[4] < 0.5 * level[3]
    assert np.abs(heard[-48:]).max() < 0.05 * np.abs(heard).max()
    assert np.abs(heard[:24]).max() < 0.5 * np.abs(heard).max()


# --- the published code's own fixtures -----------------------------------------------------------------------------


@pytest.mark.shared
def test_a_checkpoint_written_by_the_published_code_scores_a_film(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parity("mean16")
    monkeypatch.setenv("GVM_MODELS", str(tmp_path / "store"))
    imported("mean16", tmp_path / "store")
    score = score_video(film, options=ScoreOptions(model="mean16"))
    assert len(music(score.outputs.music)) == to_samples(score.sheet.duration)
    assert score.report.measures is not None
    assert score.report.measures.lufs == pytest.approx(-14, abs=0.3)
    assert score.report.licence == "CC-BY-NC-4.0" and not score.report.commercial_use
