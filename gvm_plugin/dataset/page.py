"""The summary page of a data set: counts, hours, examples to look at and listen to, what was dropped and why."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from core.errors import DeliveryError
from core.training.manifest import Pair, count
from gvm_plugin import __version__
from gvm_plugin.dataset.options import Problem
from gvm_plugin.dataset.record import Record, thumbnail_path

EXAMPLES = 12
LISTED = 200  # films, and problems, on the page; dropped.jsonl has all


@dataclass(frozen=True)
class Example:
    """A pair on the page; thumbnail: a data address; clip, music: addresses relative to the page."""

    name: str
    about: str
    thumbnail: str
    clip: str
    music: str


@dataclass(frozen=True)
class FilmRow:
    """A film on the page. bar: (share of its length, what it is) from beginning to end."""

    name: str
    type: str
    split: str
    pairs: int
    length: str
    bar: tuple[tuple[float, str, str], ...]


def write_page(
    out: Path,
    pairs: Sequence[Pair],
    records: Sequence[Record],
    problems: Sequence[Problem],
    dropped: dict[str, float],
) -> None:
    """Write summary.html, whole or not at all."""
    from jinja2 import Environment, StrictUndefined

    template = files("gvm_plugin").joinpath("dataset/summary.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    numbers = count(pairs)
    kept = sum(pair.seconds for pair in pairs)
    rows = [(why, _length(seconds)) for why, seconds in sorted(dropped.items(), key=lambda item: -item[1])]
    html = environment.from_string(template).render(
        title=out.absolute().name,
        version=__version__,
        numbers=numbers,
        kept=_length(kept),
        watched=_length(kept + sum(dropped.values())),
        test_share=f"{100 * numbers['test']['hours'] / max(numbers['all']['hours'], 1e-9):.0f} %",
        guessed=sum(pair.type_by == "guess" for pair in pairs),
        dropped=rows,
        problems=problems[:LISTED],
        more_problems=max(0, len(problems) - LISTED),
        films=_films(pairs, records)[:LISTED],
        more_films=max(0, len(records) - LISTED),
        examples=_examples(out, pairs, {record.sha256: record.key for record in records}),
    )
    page, partial = out / "summary.html", out / f"summary.html.{os.getpid()}.partial"
    try:
        partial.write_bytes(html.encode("utf-8", "replace"))
        os.replace(partial, page)
    except OSError as err:
        raise DeliveryError(f"{page}: can't be written ({err.strerror}); check folder and disk space") from err
    finally:
        partial.unlink(missing_ok=True)


def _films(pairs: Sequence[Pair], records: Sequence[Record]) -> list[FilmRow]:
    rows = []
    of = {pair.id: pair for pair in pairs}
    for record in sorted(records, key=lambda record: record.source):
        mine = [of[row["id"]] for row in record.pairs if row["id"] in of]
        duration = float(record.seen["duration"]) if record.seen else sum(pair.seconds for pair in mine)
        parts = [(pair.start, pair.end, "pair") for pair in mine]
        parts += [(start, end, why) for start, end, why in record.dropped]
        bar = tuple(
            (round(100 * (end - start) / max(duration, 1e-9), 2), why.split()[-1], f"{why}: {start:.0f}–{end:.0f} s")
            for start, end, why in sorted(parts)
        )
        sure = f" {mine[0].type_confidence:.0%}" if mine and mine[0].type_confidence is not None else ""
        kind = (mine[0].type + (f" (guess{sure})" if mine[0].type_by == "guess" else "")) if mine else "–"
        rows.append(FilmRow(record.source, kind, mine[0].split if mine else "–", len(mine), _length(duration), bar))
    return rows


def _examples(out: Path, pairs: Sequence[Pair], keys: dict[str, str]) -> list[Example]:
    """Pairs from as many films and types as there are, evenly over the data set."""
    firsts: dict[str, Pair] = {}
    for pair in pairs:
        firsts.setdefault(pair.source_sha256, pair)
    chosen = list(firsts.values())
    if len(chosen) > EXAMPLES:
        chosen = [chosen[round(at * (len(chosen) - 1) / (EXAMPLES - 1))] for at in range(EXAMPLES)]
    else:
        chosen += [pair for pair in pairs if pair not in chosen][: EXAMPLES - len(chosen)]
    examples = []
    for pair in chosen:
        path = thumbnail_path(out, keys.get(pair.source_sha256, ""))
        image = base64.b64encode(path.read_bytes()).decode() if path.is_file() else ""
        guess = f" (guess {pair.type_confidence:.0%})" if pair.type_confidence is not None else ""
        about = f"{pair.split} · {pair.type or 'type unknown'}{guess} · {pair.start:.1f}–{pair.end:.1f} s"
        thumbnail = f"data:image/jpeg;base64,{image}" if image else ""
        examples.append(Example(pair.source, about, thumbnail, quote(pair.clip or ""), quote(pair.music or "")))
    return examples


def _length(seconds: float) -> str:
    """A length for people: 48 s, 12.5 min, 3.2 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
