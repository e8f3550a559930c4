#!/usr/bin/env python3
"""Score one film from Python: `python examples/01_score_one_video.py FILM [--style lofi] [--model NAME]`.

The scored film, its music and its cue sheet land in the folder `scored` beside FILM.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gvm_plugin import ScoreOptions, score_video


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse arguments, score, say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--style", default="auto")
    parser.add_argument("--model", default="starter")
    args = parser.parse_args(arguments)

    # The same names as the options of `gvm score`; what is left out is decided from the picture.
    options = ScoreOptions(style=args.style, preset="web", stems=True, model=args.model, overwrite=True)
    score = score_video(args.film, options=options)

    print(f"film:  {score.outputs.film}")
    print(f"music: {score.outputs.music}")
    for cue in score.sheet.sounding:
        print(f"cue {cue.id}: {cue.span.start:.2f} to {cue.span.end:.2f} s, {cue.style}, {len(cue.hits)} hit points")
    if (measures := score.report.measures) is not None:
        print(f"the mix has {measures.lufs:.1f} LUFS and peaks at {measures.true_peak_dbtp:.1f} dBTP")


if __name__ == "__main__":
    main()
