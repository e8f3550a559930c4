#!/usr/bin/env python3
"""Change a cue sheet by program and render it: `python examples/03_edit_cue_sheet.py FILM [--model NAME]`.

What a person does with a text editor, done in Python: the last cue becomes ambient and calm. Only that cue is made
again; the others come back bit for bit.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gvm_plugin import ScoreOptions, render, score_video
from gvm_plugin.cuesheet import write


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse arguments, score, edit, render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--model", default="starter")
    args = parser.parse_args(arguments)

    first = score_video(args.film, options=ScoreOptions(model=args.model, overwrite=True))
    *others, last = first.sheet.cues
    calmer = replace(last, style="ambient", energy=0.2, tempo=60.0, reason="calm at the end")
    write(replace(first.sheet, cues=(*others, calmer)), first.outputs.sheet)
    second = render(first.outputs.sheet)

    before, after = (score.sheet.provenance["cues"] for score in (first, second))
    for cue in second.sheet.sounding:
        print(f"cue {cue.id}: {'as it was' if before[cue.id]['take'] == after[cue.id]['take'] else 'made again'}")


if __name__ == "__main__":
    main()
