"""The command line: parse -> ScoreOptions -> score or folder -> exit code. Nothing else, and nothing heavy at import.

Exit codes: 0 all done, 1 something failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import functools
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from core.errors import GVMError
from gvm_plugin import __version__
from gvm_plugin.cli_dataset import dataset_group
from gvm_plugin.cli_evaluate import evaluate_group
from gvm_plugin.cli_models import models_group
from gvm_plugin.cli_train import train_group
from gvm_plugin.machine import compute_in_one_thread
from gvm_plugin.options import (
    AUTO,
    DECODERS,
    EXPORTS,
    ORIGINALS,
    PICKS,
    PRECISIONS,
    PRESETS,
    STYLES,
    ScoreOptions,
    parse_exports,
)
from gvm_plugin.terminal import print_table, printable

if TYPE_CHECKING:
    from gvm_plugin.cuesheet import CueSheet
    from gvm_plugin.folder import Film
    from gvm_plugin.score import Score

_F = TypeVar("_F", bound=Callable[..., Any])
_DEFAULT = ScoreOptions()
_PATH = click.Path(path_type=Path)


def _formats(ctx: click.Context, parameter: click.Parameter, value: str | tuple[str, ...]) -> tuple[str, ...]:
    """The list `otio,edl` as a tuple; ScoreOptions says which formats there are."""
    return parse_exports(value) if isinstance(value, str) else value


_EXPORT: Callable[[_F], _F] = click.option(
    "--export",
    type=click.UNPROCESSED,
    callback=_formats,
    default=(),
    metavar="LIST",
    help=f"For other editors: {','.join(EXPORTS)}.",
)

# One row per field of ScoreOptions that a person chooses; the defaults are those of the dataclass.
_OPTIONS: tuple[Callable[[_F], _F], ...] = (
    click.option("--style", type=click.Choice([AUTO, *STYLES]), help="Kind of music; auto: from the picture."),
    click.option("--mood", type=float, help="-1 dark or sad .. 1 bright or happy; default: from the picture."),
    click.option("--energy", type=float, help="0 calm .. 1 driving; default: from the picture."),
    click.option("--tempo", type=float, metavar="BPM", help="Beats per minute; default: what fits the cuts."),
    click.option("--key", help="C, F#, Bb; Am for minor; default: open."),
    click.option("--seed", type=int, help="Another number, other music."),
    click.option("--takes", type=int, metavar="N", help="Alternatives to make of each cue."),
    click.option("--pick", type=click.Choice(PICKS), help="Which take is used; best: fits the picture best."),
    click.option("--no-gate", is_flag=True, help="Use takes as they come, also faulty ones."),
    click.option("--preset", type=click.Choice(list(PRESETS)), help="Loudness: web -14, podcast -16, broadcast -23."),
    click.option("--lufs", type=float, help="Loudness outright, instead of a preset."),
    click.option("--duck", type=float, metavar="DB", help="How far the music goes down under speech."),
    click.option("--no-duck", is_flag=True, help="The same as --duck 0."),
    click.option("--original", type=click.Choice(ORIGINALS), help="Keep or replace the film's own sound."),
    click.option("--music-only", is_flag=True, help="Deliver the music, no film."),
    click.option("--stems", is_flag=True, help="Also deliver the groups of instruments apart."),
    click.option("--midi", is_flag=True, help="Also deliver the notes as MIDI."),
    _EXPORT,
    click.option(
        "--identity", type=_PATH, metavar="FOLDER", help="A channel's: its films share orchestra, key, motif."
    ),
    click.option("--soundfont", type=_PATH, metavar="FILE", help="SF2 or SF3 file that plays the notes."),
    click.option("--separate-track", is_flag=True, help="Add the score as a second audio track."),
    click.option("--overwrite", is_flag=True, help="Replace results that exist."),
    click.option("--device", metavar="NAME", help="Where to compute: auto, cpu, cuda ..."),
    click.option("--model", metavar="NAME", help="`gvm models` lists them."),
    click.option("--precision", type=click.Choice(PRECISIONS), help="Of a large model's weights; auto: the fastest."),
    click.option("--decoder", type=click.Choice(DECODERS), help="Sound of a waveform model; mbd: finer, slow."),
    click.option("--no-nudge", is_flag=True, help="Don't bend a waveform model's time to put beats on strong cuts."),
    click.option("--monetised", is_flag=True, help="The film earns money: refuse weights that forbid that."),
    click.option("--crossfade", type=float, metavar="S", help="Seconds over which one cue goes into the next."),
    click.option("--min-cue", type=float, metavar="S", help="Shortest cue, seconds."),
    click.option("--max-cue", type=float, metavar="S", help="Longest cue, seconds."),
)
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and what it takes; do nothing.")


def _score_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`command` with all score options, which it gets as one ScoreOptions called `options`."""

    @functools.wraps(command)
    def wrapped(**values: Any) -> Any:
        if values.pop("no_duck"):
            values["duck"] = 0.0
        given = {field.name: values.pop(field.name) for field in fields(ScoreOptions)}
        return command(options=ScoreOptions(**given), **values)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    for parameter in wrapped.__click_params__:  # type: ignore[attr-defined]
        if hasattr(_DEFAULT, parameter.name):
            parameter.default = getattr(_DEFAULT, parameter.name)
            parameter.show_default = parameter.default not in (None, False, ())
    return wrapped


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="gvm", message="%(prog)s %(version)s")
def cli() -> None:
    """Puts fitting music under videos."""


@cli.command("score-folder")
@click.argument("folder", type=_PATH)
@click.option("--out", "-o", type=_PATH, help="Where the results go.  [default: FOLDER/scored]")
@click.option("--recursive", "-r", is_flag=True, help="Also the folders below.")
@click.option("--jobs", "-j", type=click.IntRange(1), help="Films worked on at once.  [default: what the machine can]")
@_DRY_RUN
@_QUIET
@_score_options
def score_folder_command(
    folder: Path, out: Path | None, recursive: bool, jobs: int | None, dry_run: bool, quiet: bool, options: ScoreOptions
) -> int:
    """Score every video in FOLDER; one result each, and a report.html to look at."""
    from gvm_plugin.folder import list_films, out_folder, score_folder
    from gvm_plugin.progress import FolderBars

    place = out_folder(folder, out)
    if dry_run:
        return _print_forecast(list_films(folder, place, recursive), place, options, jobs)
    with FolderBars(quiet) as bars:
        bars.films(len(list_films(folder, place, recursive)))
        result = score_folder(
            folder, out, options, recursive=recursive, jobs=jobs, progress=bars.progress, done=bars.done
        )
    if not quiet:
        made = sum(film.report.status == "ok" for film in result.results)
        click.echo(f"{made} of {len(result.results)} scored; look at {result.page}")
    return 1 if result.failed else 0


@cli.command("score")
@click.argument("video", type=_PATH)
@click.option("--out", "-o", type=_PATH, help="File or folder of the result.  [default: the folder scored beside it]")
@_DRY_RUN
@_QUIET
@_score_options
def score_command(video: Path, out: Path | None, dry_run: bool, quiet: bool, options: ScoreOptions) -> int:
    """Score one VIDEO."""
    from gvm_plugin.folder import Film
    from gvm_plugin.outputs import outputs_of
    from gvm_plugin.progress import StageBar
    from gvm_plugin.score import score_video

    if dry_run:
        outputs = outputs_of(video, out)
        return _print_forecast([Film(video, video.name, outputs)], outputs.folder, options)
    with StageBar(quiet) as bar:
        score = score_video(video, out, options, progress=bar.progress)
    _print_score(score, quiet)
    return 0


@cli.command("spot")
@click.argument("video", type=_PATH)
@click.option("--out", "-o", type=_PATH, help="Folder (or film) beside which the sheet goes.  [default: scored]")
@_QUIET
@_score_options
def spot_command(video: Path, out: Path | None, quiet: bool, options: ScoreOptions) -> int:
    """Analyse VIDEO and write its cue sheet, nothing else."""
    from gvm_plugin.progress import StageBar
    from gvm_plugin.score import spot

    with StageBar(quiet) as bar:
        sheet, path = spot(video, out, options, progress=bar.progress)
    if not quiet:
        _print_sheet(sheet)
        click.echo(f"\nwritten to {path}; edit it, then: gvm render {shlex.quote(str(path))}")
    return 0


@cli.command("render")
@click.argument("sheet", type=_PATH)
@click.option("--out", "-o", type=_PATH, help="File or folder of the result.  [default: beside the sheet]")
@click.option("--overwrite", is_flag=True, help="Replace results that exist.")
@_EXPORT
@click.option("--device", default=AUTO, show_default=True, metavar="NAME", help="Where to compute.")
@click.option("--monetised", is_flag=True, help="The film earns money: refuse weights that forbid that.")
@_QUIET
def render_command(
    sheet: Path,
    out: Path | None,
    overwrite: bool,
    export: tuple[str, ...],
    device: str,
    monetised: bool,
    quiet: bool,
) -> int:
    """Make exactly what the cue sheet SHEET says; only cues that changed are made anew."""
    from gvm_plugin.progress import StageBar
    from gvm_plugin.score import render

    with StageBar(quiet) as bar:
        score = render(
            sheet,
            out,
            None,
            bar.progress,
            device=device,
            monetised=monetised,
            overwrite=overwrite,
            export=export or None,
        )
    _print_score(score, quiet)
    return 0


cli.add_command(models_group)
cli.add_command(dataset_group)
cli.add_command(train_group)
cli.add_command(evaluate_group)


@cli.command("worker")
@click.option("--model", default=_DEFAULT.model, show_default=True, metavar="NAME", help="`gvm models` lists them.")
@click.option("--device", default=AUTO, show_default=True, metavar="NAME", help="Where to compute.")
def worker_command(model: str, device: str) -> int:
    """Work for an editor: requests come in as lines, events go out as lines (docs/worker.md)."""
    from gvm_plugin.worker import serve

    logging.getLogger().setLevel(logging.INFO)
    return serve(model, device)


@cli.command("doctor")
def doctor_command() -> int:
    """Say what is installed, what is missing, and what to do about it."""
    from gvm_plugin.doctor import examine

    findings = examine()
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        click.echo(f"{finding.level:8}{finding.what:{width}}  {finding.detail}")
        if finding.remedy:
            click.echo(f"{'':8}{'':{width}}  -> {finding.remedy}")
    missing = sum(finding.level == "missing" for finding in findings)
    click.echo(f"\n{missing} missing" if missing else "\neverything needed is there")
    return 1 if missing else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    compute_in_one_thread()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Exit code of the command line `arguments` (None: those of the process)."""
    try:
        return int(cli.main(arguments, prog_name="gvm", standalone_mode=False) or 0)
    except click.exceptions.Exit as err:
        return err.exit_code
    except click.exceptions.NoArgsIsHelpError as err:
        click.echo(err.format_message(), err=True)
        return 2
    except click.UsageError as err:
        help_of = err.ctx.command_path if err.ctx is not None else "gvm"
        _say_error(f"{err.format_message().rstrip('.')}; `{help_of} --help` says what there is")
        return 2
    except click.ClickException as err:
        _say_error(err.format_message())
        return 2
    except ValueError as err:
        _say_error(str(err))
        return 2
    except (click.Abort, KeyboardInterrupt):
        # Python remembers an interrupt that came while a string was executed, as dataclasses do when imported, and then
        # ends by a signal instead of with our code; executing another string makes it forget.
        exec("")
        _say_error("interrupted; what was finished is kept")
        return 130
    except GVMError as err:
        _say_error(str(err))
        return 1
    except OSError as err:
        _say_error(f"{err.filename or 'a file'}: {err.strerror or err}; check rights and free space")
        return 1


def _say_error(message: str) -> None:
    click.echo(f"error: {printable(' '.join(message.split()))}", err=True)


def _print_score(score: Score, quiet: bool) -> None:
    if quiet:
        return
    _print_sheet(score.sheet)
    for warning in score.report.warnings:
        click.echo(f"note: {warning}")
    for file in score.report.outputs:
        click.echo(score.outputs.folder / file.path)


def _print_sheet(sheet: CueSheet) -> None:
    from gvm_plugin.cuesheet import format_time

    rows: list[tuple[str, ...]] = [("cue", "in", "out", "style", "mood", "energy", "hits", "why")]
    for cue in sheet.cues:
        numbers = [f"{value:.2f}" if value is not None else AUTO for value in (cue.mood, cue.energy)]
        style, hits = ("silent", "-") if cue.silent else (cue.style, str(len(cue.hits)))
        rows.append((cue.id, format_time(cue.span.start), format_time(cue.span.end), style, *numbers, hits, cue.reason))
    print_table(rows)


def _print_forecast(films: list[Film], out: Path, options: ScoreOptions, jobs: int | None = 1) -> int:
    from gvm_plugin.preflight import forecast, free_bytes
    from gvm_plugin.score import licensed
    from gvm_plugin.workers import usual_count

    generator = licensed(None, options)
    rows = [("film", "cues", "minutes", "disk", "")]
    outlook = forecast(films, out, options, generator)
    for item in outlook:
        name = _shortened(item.film.name)
        if item.skip:
            rows.append((name, "-", "-", "-", f"skipped: {item.skip}"))
        else:
            cues = str(item.cues) if item.exact else f"about {item.cues}"
            rows.append((name, cues, f"{item.minutes:.1f}", f"{item.disk_bytes / 1e6:.0f} MB", ""))
    print_table(rows)
    needed, free = sum(item.disk_bytes for item in outlook), free_bytes(out)
    at_once = jobs or usual_count(sum(not item.skip for item in outlook), generator.slow)
    minutes = max([sum(item.minutes for item in outlook) / at_once, *(item.minutes for item in outlook)])
    click.echo(f"\nin all about {minutes:.1f} minutes and {needed / 1e9:.2f} GB; {free / 1e9:.1f} GB are free in {out}")
    if needed > free:
        _say_error("not enough room for all of it; make room, or choose another folder with --out")
        return 1
    return 0


def _shortened(name: str) -> str:
    """`name`, or its beginning and end where it would make a table too wide."""
    return name if len(name) <= 60 else f"{name[:40]}…{name[-19:]}"
