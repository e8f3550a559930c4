"""`gvm evaluate compare`: systems' music for the same films; tables, pages, and what is wrong in one line."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from evaluate_fixtures import CUTS, MODEL, Page, film, music, no_strange_numbers, use_untrained, write

from core.errors import MediaError, ModelError
from gvm_plugin.cli import run
from gvm_plugin.evaluate import resemblance, tables
from gvm_plugin.evaluate.compare import Comparison, compare
from gvm_plugin.evaluate.metrics import FITTING, Metric
from gvm_plugin.evaluate.page import write_comparison_page
from gvm_plugin.evaluate.resemblance import Ears, Impression, fad, fad_difference, kld, open_ears
from gvm_plugin.evaluate.statistics import Difference, Estimate

FILMS = {"a": (2.0, 5.5), "b": (3.0, 6.0), "c": (1.5, 4.5), "d <e> & f": (2.5, 5.0)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four films; one system's notes stand on the cuts, the other's beside them; a third writes one tune for all."""
    folder = tmp_path_factory.mktemp("compare")
    for number, (name, cuts) in enumerate(FILMS.items()):
        film(folder / "films", f"{name}.mp4", cuts)
        tone = 200.0 * 1.3**number
        write(folder / "on" / f"{name}.music.wav", music(notes=cuts, hertz=tone))
        write(folder / "off" / f"{name}_gen.flac", music(notes=tuple(cut + 0.7 for cut in cuts), hertz=tone))
        write(folder / "same" / f"{name}.wav", music(notes=CUTS))
    return folder


@pytest.fixture(scope="module")
def comparison(place: Path) -> Comparison:
    return compare(place / "films", {name: place / name for name in ("on", "off", "same")}, model=MODEL)


def value(comparison: Comparison, system: str, key: str) -> Estimate:
    (found,) = [each for each in comparison.systems if each.name == system]
    estimate = found.summary[key]
    assert estimate is not None
    return estimate


def test_the_system_that_marks_the_cuts_comes_out_ahead(comparison: Comparison) -> None:
    assert value(comparison, "on", "hit_error_ms").value < 15 < 60 < value(comparison, "off", "hit_error_ms").value
    assert value(comparison, "on", "cut_accent_lift").value > 3 * value(comparison, "off", "cut_accent_lift").value
    off = next(each for each in comparison.systems if each.name == "off")
    difference = off.differences["hit_error_ms"]
    assert difference is not None
    assert difference.estimate.low is not None
    assert difference.estimate.low > 30
    assert difference.p == pytest.approx(2 / 2**4)
    assert comparison.baseline == "on"
    assert comparison.systems[0].differences == {}


def test_one_tune_for_all_films_is_a_near_duplicate_and_stays_at_chance(comparison: Comparison) -> None:
    same, on = comparison.systems[2], comparison.systems[0]
    assert same.duplicate_rate == 1.0
    assert on.duplicate_rate == 0.0
    assert same.retrieval is not None
    assert same.retrieval.rank.value == pytest.approx(same.retrieval.chance_rank)
    assert same.retrieval.pool == 4


def test_without_a_reference_fad_and_kld_are_left_out_and_that_is_said(comparison: Comparison) -> None:
    assert comparison.reference is None
    assert comparison.notes[0].startswith("FAD and KLD are left out: ")
    assert comparison.notes[0].endswith("name it with --reference")
    assert all(not metric.key.startswith(("fad", "kld")) for metric in comparison.metrics)


def test_the_same_files_give_the_same_figures(place: Path, comparison: Comparison) -> None:
    again = compare(place / "films", {"on": place / "on"}, model=MODEL)
    assert again.systems[0].summary == comparison.systems[0].summary
    assert again.systems[0].retrieval == comparison.systems[0].retrieval
    mine = [line for line in tables.films_csv(comparison).splitlines() if ",on," in line]
    assert tables.films_csv(again).splitlines()[1:] == mine


def test_what_cannot_be_compared_is_listed(place: Path, tmp_path: Path) -> None:
    """Too short, silent, unreadable, missing: refused one by one, the others are compared."""
    write(tmp_path / "a.wav", music(3.0))
    write(tmp_path / "b.wav", 0 * music())
    write(tmp_path / "c.wav", music(30.0))
    result = compare(place / "films", {"mine": tmp_path}, model=MODEL)
    (mine,) = result.systems
    assert {film.stem for film in mine.pieces} == {"c"}
    assert {film.stem: reason.partition(";")[0] for film, reason in mine.refused.items()} == {
        "a": "a.wav: is 3.0 s long, the film 8.0 s",
        "b": "b.wav: is silent, so there is nothing to measure",
    }
    assert [path.stem for path in mine.matches.missing] == ["d <e> & f"]
    told = "\n".join(result.notes)
    assert "mine: 2 refused (a: a.wav: is 3.0 s long" in told
    assert "c: the music is 30.0 s long, the film 8.0 s; the first 8.0 s are compared" in told
    assert mine.retrieval is None
    assert result.baseline is None
    (tmp_path / "c.wav").unlink()
    with pytest.raises(MediaError, match=r"none of its 2 pieces can be compared; a.mp4: a.wav: is 3.0 s long"):
        compare(place / "films", {"mine": tmp_path}, model=MODEL)


def test_systems_with_different_films_are_said_to_be(place: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copyfile(place / "on" / f"{name}.music.wav", tmp_path / f"{name}.wav")
    result = compare(place / "films", {"all": place / "on", "two": tmp_path}, model=MODEL)
    assert any("2 are common to all" in note for note in result.notes)
    two = next(each for each in result.systems if each.name == "two")
    assert two.differences["cmr"] is not None
    assert two.differences["cmr"].estimate.n == 2
    assert two.differences["cmr"].estimate.value == pytest.approx(0.0, abs=1e-6)


def test_a_piece_that_begins_in_silence_is_left_out_of_the_ranking_alone(place: Path, tmp_path: Path) -> None:
    """All are ranked over what the shortest has, 7 s here: music that begins later has nothing to be ranked by."""
    late = music()
    late[: round(7.3 * 48_000)] = 0
    write(tmp_path / "a.wav", late)
    soft = music(notes=FILMS["b"])
    soft[: 2 * 48_000] = 0
    write(tmp_path / "b.wav", soft)
    write(tmp_path / "c.wav", music(7.2, notes=FILMS["c"]))
    result = compare(place / "films", {"mine": tmp_path}, model=MODEL)
    (mine,) = result.systems
    assert {film.stem for film in mine.pieces} == {"a", "b", "c"}
    assert mine.refused == {}
    assert mine.retrieval is not None
    assert {film.stem for film in mine.retrieval.ranks} == {"b", "c"}
    assert {film.stem for film in mine.unranked} == {"a"}
    said = "mine: rank-1 and mean rank are without 1 (a: silent in the first 7 s, over which all are compared)"
    assert said in result.notes


def test_a_film_that_cannot_be_read_is_refused_and_the_others_are_compared(place: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "films").mkdir(exist_ok=True)
        shutil.copyfile(place / "films" / f"{name}.mp4", tmp_path / "films" / f"{name}.mp4")
    (tmp_path / "films" / "c.mp4").write_text("no film")
    result = compare(tmp_path / "films", {"on": place / "on", "same": place / "same"}, model=MODEL)
    assert [film.name for film in result.films] == ["a.mp4", "b.mp4"]
    (broken,) = result.unread
    for each in result.systems:
        assert {film.stem for film in each.pieces} == {"a", "b"}
        assert list(each.refused) == [broken]
    assert sum("c.mp4" in note for note in result.notes) == 1
    assert tables.match_lines(result)[0].startswith("on: 3 of 3 films matched")
    assert ("c.mp4", "c.music.wav (refused)", "c.wav (refused)") in tables.files_table(result).rows
    assert "c.mp4,on,,," in tables.films_csv(result)
    for name in ("a", "b"):
        (tmp_path / "films" / f"{name}.mp4").write_text("no film either")
    with pytest.raises(MediaError, match=r"none of its 3 films can be compared; a\.mp4: "):
        compare(tmp_path / "films", {"on": place / "on"}, model=MODEL)


# --- against a reference -----------------------------------------------------------------------------------------


class _Spectrum:
    """Stands for an embedder: means over bands of short spectra."""

    name, about, rate, dimensions = "tiny", "a few bands", 16_000, 4

    def embed(self, sound: Any) -> Any:
        frames = sound[: len(sound) // 4000 * 4000].reshape(-1, 4000)
        return np.log10(1e-6 + np.abs(np.fft.rfft(frames, axis=1))[:, :400].reshape(len(frames), 4, 100).mean(2))


class _Halves:
    """Stands for a tagger: is there more below or above 400 Hz?"""

    name, about, rate, labels = "tiny", "two labels", 16_000, ("low", "high")

    def windows(self, sound: Any) -> Any:
        spectrum = np.abs(np.fft.rfft(sound[:64_000])) ** 2
        edge = 400 * 64_000 // 16_000
        shares = np.array([[spectrum[:edge].sum(), spectrum[edge:].sum()]]) + 1e-9
        return shares / shares.sum()


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    ears: Any = Ears((_Spectrum(),), (_Halves(),))  # type: ignore[arg-type]
    monkeypatch.setattr(resemblance, "open_ears", lambda *_: ears)
    monkeypatch.setattr(resemblance, "_RESAMPLES", 60)
    return ears


def test_against_a_reference_the_nearer_system_has_the_lower_fad_and_kld(
    place: Path, tmp_path: Path, ears: Ears
) -> None:
    for number, (name, cuts) in enumerate(FILMS.items()):
        write(tmp_path / "near" / f"{name}.wav", music(notes=tuple(cut + 0.3 for cut in cuts), hertz=200 * 1.3**number))
        write(tmp_path / "far" / f"{name}.wav", music(notes=cuts, hertz=1800.0 * 1.1**number))
    systems = {name: tmp_path / name for name in ("near", "far")}
    result = compare(place / "films", systems, reference=place / "on", model=MODEL, baseline="near")
    assert [each.name for each in result.systems] == ["reference", "near", "far"]
    assert [metric.key for metric in result.metrics][:2] == ["fad_tiny", "kld_tiny"]
    for key in ("fad_tiny", "kld_tiny"):
        near, far = value(result, "near", key), value(result, "far", key)
        assert 0 <= near.value < far.value
        assert result.systems[0].summary[key] is None  # the reference's distance to itself is no figure
    far_system = result.systems[2]
    difference = far_system.differences["fad_tiny"]
    assert difference is not None
    assert difference.p is None
    assert difference.estimate.value == pytest.approx(
        value(result, "far", "fad_tiny").value - value(result, "near", "fad_tiny").value
    )
    assert not any("come out too large" in note for note in result.notes)  # 128 embeddings of 4 dimensions are enough


def test_a_real_embedder_with_weights_from_a_folder(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command's words to FAD: a tiny EnCodec with random weights, saved as Hugging Face saves it."""
    from safetensors.torch import save_file

    from core.codecs.encodec_files import build
    from tests.core.codec_fixtures import TINY, random_state

    save_file(random_state(TINY), tmp_path / "model.safetensors")
    build(TINY).config.save_pretrained(tmp_path)
    monkeypatch.setattr(resemblance, "_RESAMPLES", 20)
    systems = {"off": place / "off"}
    given = (f"encodec={tmp_path}",)
    result = compare(place / "films", systems, reference=place / "on", embedders=given, model=MODEL, baseline="off")
    assert result.metrics[0].key == "fad_encodec"
    assert value(result, "off", "fad_encodec").value > 0
    with pytest.raises(ModelError, match=r"gone isn't there; name the file or folder with the weights of encodec"):
        compare(place / "films", systems, reference=place / "on", embedders=("encodec=gone",), model=MODEL)


def test_fad_of_pieces_is_that_of_all_their_embeddings() -> None:
    from core.evaluation.frechet import frechet_distance

    random = np.random.default_rng(4)
    ours = [random.normal(1000, 2, (size, 6)) for size in (12, 30, 5, 21)]
    theirs = [random.normal(1001, 2, (size, 6)) for size in (25, 8, 14, 30)]
    estimate = fad(theirs, ours)
    assert estimate is not None
    assert estimate.value == pytest.approx(frechet_distance(np.concatenate(theirs), np.concatenate(ours)), rel=1e-6)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 <= estimate.low < estimate.value < estimate.high
    none = fad_difference(theirs, ours, ours)
    assert none is not None
    assert none.estimate.value == 0.0
    assert resemblance.small_sets(theirs, ours) == ""
    assert resemblance.small_sets(theirs[:1], ours[:1]).startswith("from 12 embeddings: distances of so few come out")


@pytest.mark.filterwarnings("error")
def test_too_few_embeddings_give_no_distance() -> None:
    random = np.random.default_rng(4)
    few, some = [random.normal(0, 1, (1, 3))], [random.normal(0, 1, (5, 3))]
    none = [np.zeros((0, 3))]
    assert fad(few, some) is fad(some, few) is fad(none, some) is None
    assert fad_difference(some, some, few) is None
    two = fad([*few, *none, *few], [*some, *some, *some])  # the film between has nothing to compare
    assert two is not None
    assert two.n == 2


def test_kld_pairs_windows_of_the_same_moment() -> None:
    real = Impression({}, {"t": np.array([[0.5, 0.5], [0.9, 0.1], [0.1, 0.9]])})
    made = Impression({}, {"t": np.array([[0.5, 0.5], [0.5, 0.5]])})
    expected = (0 + 0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5)) / 2
    assert kld(real, made, "t") == pytest.approx(expected, abs=1e-4)
    assert kld(real, Impression({}, {"t": np.zeros((0, 2))}), "t") is None


def test_networks_that_are_not_here_are_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, given: Path | None = None) -> Path:
        raise ModelError(f"{name}: isn't here; gvm models pull {name}")

    monkeypatch.setattr("gvm_plugin.evaluate_weights.find_weights", missing)
    none = open_ears((), ())
    assert none.embedders == none.taggers == ()
    assert "FAD (vggish) is left out: vggish: isn't here; gvm models pull vggish" in none.notes
    assert any(note.startswith("KLD (ast) is left out") for note in none.notes)
    with pytest.raises(ModelError, match="gvm models pull clap"):
        open_ears(("clap",), ())
    with pytest.raises(ValueError, match="--embedder encodec is given twice"):
        open_ears(("encodec=one", "encodec=other"), ())
    with pytest.raises(ValueError, match="--embedder 'vgg' isn't known; choose from vggish, clap, encodec"):
        open_ears(("vgg",), ())
    with pytest.raises(ValueError, match="--labels 'passt' isn't known; choose from ast"):
        open_ears((), ("passt",))


# --- tables and pages --------------------------------------------------------------------------------------------


def test_the_tables_to_the_letter() -> None:
    metric = Metric("x", "figure", "higher", 2, "about")
    assert metric.heading == "figure ↑"
    assert metric.write_estimate(Estimate(0.414, 0.331, 0.48, 12)) == "0.41 [0.33, 0.48]"
    assert metric.write_estimate(Estimate(0.414, None, None, 1)) == "0.41"
    assert metric.write_estimate(Estimate(0.4, -0.1, 0.9, 9), signed=True) == "+0.40 [-0.10, +0.90]"
    assert metric.write_estimate(None) == "–"
    table = tables.Table("T", "", ("system", "figure ↑"), (("a_b|c", "0.41 [0.33, 0.48]"), ("d", "–")), (-1, 0))
    assert tables.markdown_table(table) == (
        "| system | figure ↑ |\n|---|---|\n| a_b\\|c | **0.41** [0.33, 0.48] |\n| d | – |\n"
    )


@pytest.mark.parametrize(
    ("p", "said"), [(0.0004, "+1.00 [+0.50, +1.50], p < 0.001"), (0.25, "+1.00 [+0.50, +1.50], p = 0.250")]
)
def test_a_difference_is_written_with_its_p(p: float, said: str) -> None:
    metric = Metric("x", "figure", "higher", 2, "about")
    assert tables._difference(metric, Difference(Estimate(1.0, 0.5, 1.5, 12), p)) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [("clip_1", "clip_1"), ("_x_ *b*", "\\_x\\_ \\*b\\*"), ("a|b `c`", "a\\|b \\`c\\`"), ("p < 0.001", "p < 0.001")],
)
def test_names_stay_what_they_are_in_markdown(name: str, said: str) -> None:
    assert tables._escaped(name) == said


def test_a_systems_name_stands_whole_in_every_table(place: Path, tmp_path: Path) -> None:
    names = ("ours [v1]", "a|b *x*")
    result = compare(place / "films", dict.fromkeys(names, place / "on"), baseline=names[1], model=MODEL)
    write_comparison_page(result, tmp_path / "page.html", "films")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    heads = re.findall(r'<th scope="row">(.*?)</th>', html)
    assert set(heads) == set(names)
    text = tables.to_markdown(result)
    assert "| film | ours [v1] | a\\|b \\*x\\* |" in text
    for table in text.split("\n\n"):
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines() if line.startswith("|")}
        assert len(widths) <= 1
    assert "## Differences from a\\|b \\*x\\*\n" in text


def test_markdown_and_csv_hold_every_figure(comparison: Comparison) -> None:
    text = tables.to_markdown(comparison, "gvm evaluate compare --videos films")
    rows = [line for line in text.splitlines() if line.startswith("| on ")]
    cmr = FITTING[0].write_estimate(value(comparison, "on", "cmr"))
    assert cmr.partition(" [")[2] in rows[0]
    assert "```sh\ngvm evaluate compare --videos films\n```" in text
    assert "| d \\<e> & f.mp4 | d \\<e> & f.music.wav |" in text
    films = list(csv.DictReader(io.StringIO(tables.films_csv(comparison))))
    assert len(films) == 12
    assert {row["film"] for row in films if row["system"] == "off"} == {f"{name}.mp4" for name in FILMS}
    mean = np.mean([float(row["cmr"]) for row in films if row["system"] == "off"])
    systems = list(csv.DictReader(io.StringIO(tables.systems_csv(comparison))))
    (row,) = [row for row in systems if row["system"] == "off" and row["figure"] == "cmr"]
    assert float(row["value"]) == pytest.approx(mean, abs=1e-5)
    assert row["baseline"] == "on"
    data = no_strange_numbers(tables.comparison_to_json(comparison))
    assert data["systems"][1]["figures"]["cmr"]["value"] == pytest.approx(mean, abs=1e-4)


def test_the_page_plays_every_film_with_every_systems_music(
    comparison: Comparison, place: Path, tmp_path: Path
) -> None:
    target = place / "pages" / "comparison.html"
    target.parent.mkdir(exist_ok=True)
    write_comparison_page(comparison, target, "films", "gvm evaluate compare --system 'a b'=x")
    html = target.read_text(encoding="utf-8")
    page = Page(html)
    videos, sounds, buttons = page.all("video"), page.all("audio"), page.all("button")
    assert len(videos) == 4
    assert len(sounds) == len(buttons) == 12
    assert all("muted" in video for video in videos)
    linked = {(target.parent / unquote(each["src"])).resolve() for each in (*videos, *sounds)}
    assert linked == {
        *(path.resolve() for path in (place / "films").iterdir()),
        *(path.resolve() for name in ("on", "off", "same") for path in (place / name).iterdir()),
    }
    assert "d <e> & f.mp4" in page.text
    assert not page.all("e")
    assert "http" not in html.replace("http-equiv", "")
    assert "gvm evaluate compare --system 'a b'=x" in page.text


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command_writes_page_tables_and_json(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_untrained(monkeypatch)
    out = tmp_path / "out"
    systems = ["--system", f"on={place / 'on'}", "--system", f"off={place / 'off'}"]
    assert run(["evaluate", "compare", "--videos", str(place / "films"), *systems, "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"on: 4 of 4 films matched in {place / 'on'}" in said
    assert "Does the music fit the films?" in said
    assert sorted(path.name for path in out.iterdir() if path.name != ".gvm") == [
        "comparison.html", "comparison.json", "comparison.md", "films.csv", "systems.csv",
    ]  # fmt: skip
    assert run(["evaluate", "compare", "--videos", str(place / "films"), *systems[:2], "--json"]) == 0
    data = no_strange_numbers(capsys.readouterr().out)
    assert [each["name"] for each in data["systems"]] == ["on"]
    assert data["baseline"] is None
    assert not list(out.rglob("*.partial"))


def test_a_comparison_replaces_its_own_files_and_nobody_elses(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_untrained(monkeypatch)
    command = ["evaluate", "compare", "--videos", str(place / "films"), "--system", f"on={place / 'on'}", "-q"]
    assert run([*command, "-o", str(tmp_path)]) == 0
    assert run([*command, "-o", str(tmp_path)]) == 0
    mine = tmp_path / "films.csv"
    mine.write_text("film;year\nharbour;1999\n")
    (tmp_path / "systems.csv").unlink()
    assert run([*command, "-o", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {mine}: isn't a file that gvm wrote")
    assert mine.read_text() == "film;year\nharbour;1999\n"
    assert not (tmp_path / "systems.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--system", "on"], 2, "system 'on' isn't NAME=FOLDER"),
        (["--system", "on={}/on", "--system", "on={}/off"], 2, "two systems have the same name"),
        (["--system", "reference={}/on"], 2, "a system can't be called 'reference'"),
        (["--system", "on={}/nowhere"], 1, "nowhere: there is no such folder; check what --system says"),
        (["--system", "on={}/films/../pages2"], 1, "there is no such folder"),
        (["--system", "on={}/on", "--baseline", "of"], 2, "--baseline names 'of', which is no system; there is on"),
        (["--system", "on={}/on", "--pattern", "off={stem}.wav"], 2, "--pattern names 'off', which is no system"),
        (["--system", "on={}/on", "--pattern", "on=x.wav"], 2, "has no {stem}"),
        (["--system", "on={}/on", "--pattern", "on"], 2, "--pattern 'on' isn't NAME=VALUE"),
        (["--system", "on={}/on", "--reference", "{}/gone"], 1, "gone: there is no such folder; check what --system"),
        (["--system", "on={}/on", "--embedder", "vggish"], 2, "name its folder with --reference"),
        (["--system", "on={}/on", "--reference", "{}/off", "--embedder", "nope"], 2, "--embedder 'nope' isn't known"),
        ([], 2, "Missing option '--system'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], code: int, complaint: str, place: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    use_untrained(monkeypatch)
    given = [text.replace("{}", str(place)) for text in arguments]
    assert run(["evaluate", "compare", "--videos", str(place / "films"), *given]) == code
    said = capsys.readouterr()
    assert complaint in said.err
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_names_that_do_not_match_are_told(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_untrained(monkeypatch)
    write(tmp_path / "output_0.wav", music())
    assert run(["evaluate", "compare", "--videos", str(place / "films"), "--system", f"x={tmp_path}"]) == 1
    assert "no file there has the name of a film" in capsys.readouterr().err
