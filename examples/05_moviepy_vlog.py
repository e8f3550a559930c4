#!/usr/bin/env python3
"""A vlog with MoviePy: `python examples/05_moviepy_vlog.py [FILM ...] [-o OUT] [--style acoustic]`.

Takes a few seconds of each film, puts them together, lets their sound go over softly from shot to shot, writes a title
over the beginning and fitting music under it all. Without FILMs it takes two of examples/vlogs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from moviepy import CompositeVideoClip, TextClip, VideoFileClip, concatenate_videoclips, vfx

from gvm_plugin.moviepy_fx import GVMScore, ShotCrossfade

VLOGS = Path(__file__).resolve().parent / "vlogs"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse arguments, cut, score, write, say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path, nargs="*")
    parser.add_argument("-o", "--out", type=Path, default=Path("vlog.mp4"))
    parser.add_argument("--title", default="A walk, then dinner")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each film")
    parser.add_argument("--style", default="acoustic")
    parser.add_argument("--model", default="starter")
    args = parser.parse_args(arguments)
    films = args.films or [VLOGS / "harbour-walk.mp4", VLOGS / "making-dumplings.mp4"]

    opened = [VideoFileClip(film) for film in films]
    shots = [clip.subclipped(1, min(1 + args.seconds, clip.duration)) for clip in opened]
    edit = concatenate_videoclips(shots).with_effects([ShotCrossfade(0.4)])

    title = TextClip(text=args.title, font_size=40, color="white", duration=3)
    title = title.with_position(("center", 0.7), relative=True).with_effects([vfx.CrossFadeOut(0.5)])
    vlog = CompositeVideoClip([edit, title])  # exists in memory alone, and is scored as it is

    scored = vlog.with_effects([GVMScore(style=args.style, seed=3, model=args.model)])
    # 48 kHz is what the music is made in; without a folder MoviePy puts its temporary sound beside your script
    scored.write_videofile(
        args.out, audio_fps=48_000, audio_codec="aac", preset="veryfast", temp_audiofile_path=args.out.absolute().parent
    )

    sound = scored.audio
    for cue in sound.sheet.sounding:
        print(f"cue {cue.id}: {cue.span.start:.2f} to {cue.span.end:.2f} s, {cue.style}, {len(cue.hits)} hit points")
    print(f"{args.out}: {scored.duration:.2f} s at {sound.lufs:.1f} LUFS")
    for clip in (scored, *opened):
        clip.close()


if __name__ == "__main__":
    main()
