"""README and docs/ say what is true: every command parses, every option is explained, every file is there."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import pytest

from gvm_plugin import cuesheet, cuesheet_reader
from gvm_plugin.cli import cli
from gvm_plugin.options import STYLES, ScoreOptions

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading of the README, up to the next heading."""
    match = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", README, re.MULTILINE | re.DOTALL)
    assert match, title
    return match[1]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of `text` in a language, or in none ("")."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [body for name, body in fenced if name == language]


def rows(text: str) -> list[list[str]]:
    """Cells of the body rows of all tables in `text`."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


# --- commands and options ----------------------------------------------------------------------------------------


def commands() -> list[str]:
    """Every line of a shell block that calls gvm, on any page."""
    lines = [line for page in PAGES for block in blocks(page.read_text("utf-8"), "sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("gvm ")]


def test_there_are_commands() -> None:
    assert len(commands()) >= 12
    assert {line.split()[1] for line in commands()} == set(cli.commands)


@pytest.mark.parametrize("line", commands())
def test_a_command_parses(line: str) -> None:
    _, name, *arguments = shlex.split(line, comments=True)
    command = cli.commands[name]
    if isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
        command = command.commands[arguments.pop(0)]
        name = command.name or name
    parent = click.Context(cli, **cli.context_settings)  # a command keeps the help options it first had
    values = command.make_context(name, arguments, parent=parent, resilient_parsing=False).params
    values["duck"] = 0.0 if values.pop("no_duck", False) else values.get("duck")
    given = {field.name: values[field.name] for field in fields(ScoreOptions) if values.get(field.name) is not None}
    assert ScoreOptions(**given) is not None  # raises ValueError where a value is impossible


GROUP_PAGES = {  # where the commands of a group are explained
    "dataset": "docs/dataset.md",
    "evaluate": "docs/evaluation.md",
    "models": "docs/models.md",
    "train": "docs/training.md",
}


def test_every_option_is_explained() -> None:
    text = section("Use it") + section("Options")
    for command in cli.commands.values():
        pages = [(command, text, "README, Use it")]
        if isinstance(command, click.Group):
            where = GROUP_PAGES[str(command.name)]
            pages += [(below, (ROOT / where).read_text("utf-8"), where) for below in command.commands.values()]
        for each, page, where in pages:
            for parameter in each.params:
                if isinstance(parameter, click.Option):
                    for name in parameter.opts:
                        assert re.search(rf"`{name}`", page), f"{name} of {each.name} is missing in {where}"


def test_every_environment_variable_is_explained() -> None:
    sources = [path.read_text("utf-8") for name in ("core", "gvm_plugin") for path in (ROOT / name).rglob("*.py")]
    variables = {name for text in sources for name in re.findall(r'"(GVM_[A-Z]+)"', text)}
    assert variables == {"GVM_CACHE", "GVM_FFMPEG", "GVM_MODELS"}
    assert all(f"`{name}`" in section("Use it") for name in variables)


def test_the_table_of_options_is_that_of_the_dataclass() -> None:
    table = {cells[0].strip("`"): cells[1:] for cells in rows(section("Options")) if cells[0].startswith("`--")}
    named = {f"--{field.name.replace('_', '-')}": field.default for field in fields(ScoreOptions)}
    assert set(table) == {*named, "--no-duck"}
    for name, default in named.items():
        said, meaning = table[name]
        assert meaning
        if isinstance(default, bool):
            assert (said, default) == ("off", False), name
        elif default == ():
            assert said == "none", name
        elif default is not None:
            assert said == (default if isinstance(default, str) else f"{default:g}"), name


def test_the_styles_are_those_that_exist() -> None:
    from core.starter.styles import STYLES as PLANS

    table = {cells[0].strip("`"): cells[1] for cells in rows(section("Styles")) if cells[0].startswith("`")}
    assert tuple(table) == STYLES
    for name, said in table.items():
        low, high = PLANS[name].tempo
        assert said == f"{low:g}–{high:g}", name


# --- Python and cue sheet ----------------------------------------------------------------------------------------


def test_the_python_runs_as_far_as_names_go() -> None:
    import gvm_plugin

    (code,) = blocks(section("Python"), "python")
    tree = ast.parse(code)
    used = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert used - {"print"} <= set(gvm_plugin.__all__)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert {alias.name for alias in node.names} <= set(gvm_plugin.__all__)


@pytest.mark.parametrize("page", ["README.md", "docs/cue-sheet.md"])
def test_the_cue_sheets_shown_can_be_read(page: str) -> None:
    shown = blocks((ROOT / page).read_text("utf-8"), "yaml")
    assert shown
    for text in shown:
        whole = text if "gvm_cue_sheet" in text else f"gvm_cue_sheet: 1\nvideo: {{file: a.mp4, duration: 2:00}}\n{text}"
        if "cues:" not in whole:
            whole += "cues: []\n"
        cuesheet_reader.from_yaml(whole, page)


def test_every_field_of_the_sheet_is_described() -> None:
    text = (ROOT / "docs" / "cue-sheet.md").read_text("utf-8")
    names = {field.name for kind in (cuesheet.Cue, cuesheet.Settings) for field in fields(kind)} - {"span"}
    missing = [name for name in sorted({*names, "in", "out", "shots", "speech"}) if f"`{name}`" not in text]
    assert missing == []


# --- links and files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith("http"):
            continue
        if path:
            assert (page.resolve().parent / path).exists(), target
        else:
            assert anchor in headings, target


def test_scripts_that_are_named_exist() -> None:
    for page in PAGES:
        for path in re.findall(r"\b((?:scripts|examples|tests)/[\w/]+\.(?:py|sh))", page.read_text("utf-8")):
            assert (ROOT / path).is_file(), f"{page.name} names {path}"


def tree() -> dict[str, set[str]]:
    """Folder -> names in it, as the tree at the end of the README lists them; folders end in a slash."""
    (text,) = blocks(section("Files"), "")
    listed: dict[str, set[str]] = {}
    above: list[str] = []
    for line in text.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.findall(r"\S+", re.split(r"\s{3,}|(?<=/)\s{2,}", line.strip())[0])
        names = [name for name in names if re.search(r"[./]|LICENSE|Makefile", name)] or names[:1]
        above = [*above[:depth], names[0].rstrip("/")]
        for name in names:
            listed.setdefault("/".join(above[:depth]), set()).add(name)
    return listed


@pytest.mark.parametrize(
    "folder",
    [
        *("core", "core/starter", "gvm_plugin", "gvm_plugin/evaluate", "gvm_plugin/handoff", "gvm_plugin/moviepy_fx"),
        *("scripts", "examples"),
    ],
)
def test_the_tree_of_files_is_the_real_one(folder: str) -> None:
    real = {
        path.name + "/" * path.is_dir()
        for path in (ROOT / folder).iterdir()
        if path.name not in ("__pycache__", "py.typed") and not path.name.endswith(".partial")
    }
    if folder == "core/starter":
        real.discard("__init__.py")
    assert real == tree()[folder]


def test_what_the_tree_lists_at_the_top_exists() -> None:
    for name in tree()[""]:
        assert (ROOT / name).exists(), name


# --- what is quoted ----------------------------------------------------------------------------------------------


def test_the_errors_of_the_cue_sheet_are_worded_like_that() -> None:
    from core.errors import CueSheetError

    head = "gvm_cue_sheet: 1\nvideo: {file: a.mp4, duration: 2:00}\ncues:\n"
    wrong = [
        "- {id: A, in: 0, out: 9, style: lowfi}\n",
        "- {id: B, in: 0:17.1, out: 0:36.900}\n- {id: C, in: 0:36.400, out: 0:50}\n",
        "-\tid: A\n\tin: 0\n",
    ]
    shown = blocks((ROOT / "docs" / "cue-sheet.md").read_text("utf-8"), "")[-1].splitlines()
    assert len(shown) == len(wrong)
    for line, text in zip(shown, wrong, strict=True):
        with pytest.raises(CueSheetError) as caught:
            cuesheet_reader.from_yaml(head + text, "film.cues.yaml")
        said = re.sub(r"line \d+", "line N", f"error: {caught.value}")
        assert said == re.sub(r"line \d+", "line N", line)


def test_the_changelog_is_about_this_version() -> None:
    import gvm_plugin

    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert first and first[1] == gvm_plugin.__version__


def test_the_size_of_the_model_is_right() -> None:
    from gvm_plugin.models import find_model

    said = re.search(r"([\d.]+) million parameters, ([\d.]+) MB", section("How it works"))
    card = re.search(r"([\d.]+) million parameters, ([\d.]+) MB", (ROOT / "docs" / "model-card.md").read_text("utf-8"))
    assert said and card
    assert said.groups() == card.groups()
    assert float(said[2]) == pytest.approx(find_model("starter").size_bytes / 1e6, rel=0.02)
    assert float(said[1]) * 2 == pytest.approx(float(said[2]), rel=0.02)  # two bytes each


def test_what_can_be_pulled_is_said_with_its_licence() -> None:
    from gvm_plugin.hub import REMOTES

    table = {cells[0].strip("`"): cells[1:] for cells in rows((ROOT / "docs" / "models.md").read_text("utf-8"))}
    for remote in REMOTES:
        what, _, licence = table[remote.name]
        assert licence == remote.licence
        assert remote.repository in what or remote.name == "clip-vit-l-14-336"  # told by whose weights they are
