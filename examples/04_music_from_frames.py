#!/usr/bin/env python3
"""Pictures to music with `core` alone: `python examples/04_music_from_frames.py FILM OUT.wav [--seconds 20]`.

No cue sheet, no mix, no report: frames -> descriptors -> model -> notes -> sound. The pictures may come from
anywhere; here they come from a file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import soundfile

from core.frames import decode_frames
from core.pipeline import MusicRequest, StarterModel
from core.shapes import MUSIC_RATE


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse arguments, look, make music, write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--style", default="cinematic")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)

    # 1. See. The encoder says how often and how large it wants the frames.
    model = StarterModel()
    encoder = model.open_encoder()
    for seconds, frame in decode_frames(args.film, encoder.width, encoder.height, encoder.fps, (0, args.seconds)):
        encoder.push(seconds, frame)
    features = encoder.finish()  # float16 [F, 33, 16]
    duration = min(args.seconds, seconds + float(1 / encoder.fps))  # the film may be shorter than asked for

    # 2. Ask. One cue; times count from its beginning.
    request = MusicRequest(
        features=features, duration=duration, style=args.style, valence=0.2, energy=0.5, tempo=None, tonic=None,
        seed=args.seed, film_seed=args.seed, hits=[(duration / 2, 0.8)], speech=[], lead_seconds=0.0,
        samples=round(duration * MUSIC_RATE),
    )  # fmt: skip

    # 3. Hear.
    (take,) = model.generate_music([request])
    soundfile.write(args.out, take.audio.T, MUSIC_RATE, subtype="PCM_24")
    args.out.with_suffix(".mid").write_bytes(take.midi)
    print(f"{args.out}: {take.grid.tempo_bpm:.1f} bpm in {take.key}, orchestra {take.palette!r}")


if __name__ == "__main__":
    main()
