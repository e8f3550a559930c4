from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import click
import pytest

from gvm_plugin import cuesheet_reader, score
from gvm_plugin.cli import cli, run
from gvm_plugin.cuesheet import Settings
from gvm_plugin.options import ScoreOptions

ClipFactory = Callable[..., Path]


@pytest.fixture
def film(clip_factory: ClipFactory) -> Path:
    return clip_factory("film", seconds=1.5, cuts=(0.75,))


@pytest.mark.parametrize("command", ["score", "score-folder", "spot"])
def test_options_of_the_command_line_are_those_of_the_dataclass(command: str) -> None:
    parameters = {parameter.name: parameter for parameter in cli.commands[command].params}
    for field in fields(ScoreOptions):
        parameter = parameters[field.name]
        assert isinstance(parameter, click.Option)
        assert f"--{field.name.replace('_', '-')}" in parameter.opts
        assert parameter.default == field.default, field.name
        assert parameter.help
    others = set(parameters) - {field.name for field in fields(ScoreOptions)}
    assert others <= {"video", "folder", "out", "recursive", "jobs", "dry_run", "quiet", "no_duck"}


def test_the_sheet_uses_the_same_names() -> None:
    assert {field.name for field in fields(Settings)} <= {field.name for field in fields(ScoreOptions)}


def test_options_arrive(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[ScoreOptions] = []

    def fake(video: Path, out: Path | None, options: ScoreOptions, progress: object) -> None:
        got.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(score, "score_video", fake)
    arguments = [
        "score",
        str(film),
        "--style",
        "lofi",
        "--no-duck",
        "--takes",
        "3",
        "--preset",
        "podcast",
        "--key",
        "Am",
    ]
    assert run(arguments) == 130
    assert got == [ScoreOptions(style="lofi", duck=0.0, takes=3, preset="podcast", key="Am")]
    assert run(["score", str(film), "--duck", "6"]) == 130
    assert got[1] == ScoreOptions(duck=6.0)


def test_spot_edit_render(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["spot", str(film), "--model", "tone"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^A\s+0:00\.000", said, re.MULTILINE)
    sheet = film.parent / "scored" / "film.cues.yaml"
    assert f"gvm render {sheet}" in said
    assert run(["render", str(sheet), "-q"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert (film.parent / "scored" / "film.mp4").is_file()

    sheet.write_text(sheet.read_text().replace("style: ", "style: x", 1))
    assert run(["render", str(sheet)]) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(r"error: .*film\.cues\.yaml, line \d+: style: .*\n", error)


def test_score_says_where_the_results_are(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = film.parent / "mine.mp4"
    assert run(["score", str(film), "-o", str(out), "--model", "tone"]) == 0
    captured = capsys.readouterr()
    assert str(out) in captured.out.splitlines()
    assert captured.err == ""
    assert cuesheet_reader.read(film.parent / "mine.cues.yaml").settings.model == "tone"


def test_a_folder_with_a_bad_film_exits_with_1_and_one_line_about_it(
    film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (film.parent / "bad.mp4").write_bytes(b"")
    assert run(["score-folder", str(film.parent), "--model", "tone"]) == 1
    captured = capsys.readouterr()
    assert re.fullmatch(r"error: bad\.mp4: .*; .*\n", captured.err)
    assert "report.html" in captured.out
    assert run(["score-folder", str(film.parent), "--model", "tone", "-q"]) == 1
    (film.parent / "bad.mp4").unlink()
    assert run(["score-folder", str(film.parent), "--model", "tone", "-q"]) == 0


def test_a_dry_run_does_nothing(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["score-folder", str(film.parent), "--model", "tone", "--dry-run"]) == 0
    assert run(["score", str(film), "--model", "tone", "--dry-run"]) == 0
    assert [path.name for path in film.parent.iterdir()] == [film.name]
    assert capsys.readouterr().out.count("about 1") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["score"],
        ["score", "a.mp4", "--tempo", "3"],
        ["score", "a.mp4", "--style", "polka"],
        ["score", "a.mp4", "--key", "H"],
        ["score", "a.mp4", "--nonsense"],
        ["score-folder", "x", "--jobs", "0"],
        ["dance"],
    ],
)
def test_wrong_usage_is_2_and_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert re.fullmatch(r"error: .+\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [["score", "absent.mp4", "--model", "tone"], ["render", "absent.yaml"], ["score", "a.mp4", "--model", "nonesuch"]],
)
def test_what_fails_is_1_and_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 1
    assert re.fullmatch(r"error: .+; .+\n", capsys.readouterr().err)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["score", "--help"], ["--version"], ["render", "-h"]):
        assert run(arguments) == 0
    assert "gvm 0." in capsys.readouterr().out


def test_models_and_their_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^starter\s+CC0-1\.0\s+allowed", said, re.MULTILINE)
    assert run(["models", "tone"]) == 0
    assert "CC0" in capsys.readouterr().out
    assert run(["models", "nonesuch"]) == 1


def test_the_doctor_names_what_is_missing_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GVM_FFMPEG", "/nonexistent/ffmpeg")
    assert run(["doctor"]) == 1
    said = capsys.readouterr().out
    assert re.search(r"^missing +ffmpeg", said, re.MULTILINE)
    assert "-> pip install imageio-ffmpeg" in said
    assert re.search(r"^ok +torch", said, re.MULTILINE)
