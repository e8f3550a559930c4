#!/usr/bin/env python3
"""A folder of clips as one edit: `python examples/06_moviepy_batch.py [FOLDER] [-o OUT] [--seconds 6]`.

The first seconds of every film in FOLDER (examples/vlogs without one), in one size and one rate, one after the other;
scored as a whole, so that the music runs through and marks the joins. Beside OUT it leaves the music alone and the
cue sheet.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from moviepy import VideoFileClip, concatenate_videoclips, vfx

from gvm_plugin.cuesheet import write
from gvm_plugin.moviepy_fx import GVMScore, ShotCrossfade

VLOGS = Path(__file__).resolve().parent / "vlogs"
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse arguments, put together, score, export, say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=VLOGS)
    parser.add_argument("-o", "--out", type=Path, default=Path("edit.mp4"))
    parser.add_argument("--seconds", type=float, default=6.0, help="of each film")
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--model", default="starter")
    args = parser.parse_args(arguments)
    films = sorted(path for path in args.folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not films:
        parser.error(f"there is no film in {args.folder}")

    opened = [VideoFileClip(film) for film in films]
    small = [clip.with_effects([vfx.Resize(height=args.height)]) for clip in opened]
    parts = [clip.subclipped(0, min(args.seconds, clip.duration)) for clip in small]
    edit = concatenate_videoclips(parts, method="compose", bg_color=(0, 0, 0)).with_fps(25)
    if edit.audio is not None:
        edit = edit.with_effects([ShotCrossfade()])

    # a name of its own: the orchestra stays the same when you add a film and run this again
    scored = edit.with_effects([GVMScore(model=args.model, project=args.folder.name, preset="web")])
    sound, folder = scored.audio, args.out.absolute().parent
    scored.write_videofile(args.out, audio_fps=48_000, audio_codec="aac", preset="veryfast", temp_audiofile_path=folder)
    sound.music.write_audiofile(args.out.with_suffix(".music.wav"), nbytes=4, codec="pcm_s32le")
    write(sound.sheet, args.out.with_suffix(".cues.yaml"))

    joins = [float(at) for at in edit.start_times[1:]]
    marked = [hit.seconds for cue in sound.sheet.sounding for hit in cue.hits]
    met = sum(any(abs(hit - join) < 0.05 for hit in marked) for join in joins)
    print(f"{args.out}: {len(parts)} clips, {scored.duration:.2f} s at {sound.lufs:.1f} LUFS")
    print(f"{met} of {len(joins)} joins are marked by the music")
    for clip in (scored, *opened):
        clip.close()


if __name__ == "__main__":
    main()
