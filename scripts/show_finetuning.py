#!/usr/bin/env python3
"""A made-up channel with a habit, the starter fine-tuned on it, and what changed: `scripts/show_finetuning.py`.

    scripts/show_finetuning.py [--work build/finetuning] [--films 10] [--steps 200] [--unseen 6]

The channel's films are drawn scenes; their music is always slow (60 to 68 bpm) and always plucked (two guitars), which
no style of the starter is. Fine-tuning sees the films alone, as `gvm train finetune --data FILMS` does. Then films
that were never seen are scored by both models with default options. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

HABIT = ("acoustic", "two guitars", (60.0, 68.0))  # style, orchestra, tempo
SECONDS = 24.0
FIRST_SEED, FIRST_UNSEEN = 900_000, 910_000  # of scenes that no corpus has


def draw_film(path: Path, seed: int, music: bool) -> None:
    """A film of a drawn scene, with the channel's music or without sound."""
    import av

    from core.pipeline import MusicRequest, StarterModel
    from core.starter.scenes import energy_curve, render_scene, sample_scene
    from core.starter.taste import Taste
    from core.vision.descriptors import PatchDescriptors
    from core.vision.picture import PictureFeatures

    rng = np.random.default_rng([seed, 7])
    scene = sample_scene(rng, SECONDS)
    frames = render_scene(scene, 16.0, 160, 90)
    audio = np.zeros((2, 0), np.float32)
    if music:
        encoder = PatchDescriptors()
        for index in range(0, len(frames), 2):
            small = frames[index].reshape(90, 160, 3)
            encoder.push(index / 16, _shrink(small))
        seen = encoder.finish()
        style, orchestra, tempo = HABIT
        energy = float(0.25 + 0.2 * energy_curve(scene, np.linspace(0, SECONDS, 50)).mean())
        request = MusicRequest(
            PictureFeatures(seen.times, seen.values), SECONDS, style, 0.1, energy, None, None, seed, seed,
            [hit for hit in scene.cuts if hit[1] > 0.5], [], 0.0, round(SECONDS * 48_000),
            taste=Taste(style, (orchestra,), tempo),
        )  # fmt: skip
        audio = next(iter(StarterModel().generate_music([request]))).audio
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=16)
        video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
        sound = output.add_stream("aac", rate=48_000, layout="stereo") if music else None
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 16)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if sound is not None:
            for start in range(0, audio.shape[1], 1024):
                block = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(audio[:, start : start + 1024]), format="fltp", layout="stereo"
                )
                block.sample_rate, block.pts, block.time_base = 48_000, start, Fraction(1, 48_000)
                output.mux(sound.encode(block))
            output.mux(sound.encode(None))


def _shrink(picture: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.resize(picture, (64, 36), interpolation=cv2.INTER_AREA)


def figures(music: list[Path], channel: list[Path]) -> dict[str, float]:
    """What the music of some films is like, and how far from the channel's."""
    from core.training.lessons import Traits, distance, traits, unlike

    def heard(path: Path) -> Traits:
        from gvm_plugin.probe import probe_sound, read_audio_blocks

        info = probe_sound(path)
        blocks = read_audio_blocks(info, duration=SECONDS, pad=False)
        return traits(np.concatenate([block.mean(axis=0) for block in blocks]).astype(np.float32), 48_000)

    own, theirs = [heard(path) for path in music], [heard(path) for path in channel]
    scale = np.full_like(theirs[0].timbre, 10.0)  # of the mel cepstrum, dB: the same for both models
    mean = np.mean([each.timbre for each in theirs], axis=0)
    return {
        "notes_per_second": round(float(np.mean([each.density for each in own])), 2),
        "pulse_heard_in": sum(each.tempo is not None for each in own),
        "timbre_from_channel": round(float(np.mean([unlike(each.timbre, mean, scale) for each in own])), 3),
        "distance_from_channel": round(
            float(np.mean([distance(one, other, scale) for one in own for other in theirs])), 3
        ),
    }


def score(films: list[Path], out: Path, model: str) -> tuple[list[Path], list[dict[str, object]]]:
    """(music, what the cue sheets say of it) of the films under a model."""
    from gvm_plugin import ScoreOptions, score_video
    from gvm_plugin.score import open_generator

    options = ScoreOptions(model=model, music_only=True, overwrite=True)
    generator = open_generator(options)
    scores = [score_video(film, out, options, generator) for film in films]
    cues = [cue | {"style": s.sheet.cues[0].style} for s in scores for cue in s.sheet.provenance["cues"].values()]
    return [score.outputs.music for score in scores], cues


def main() -> None:
    """Make the channel, fine-tune, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/finetuning"))
    parser.add_argument("--films", type=int, default=10)
    parser.add_argument("--unseen", type=int, default=6)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    from gvm_plugin.cli import run

    channel, unseen = args.work / "channel", args.work / "unseen"
    for folder in (channel, unseen):
        folder.mkdir(parents=True, exist_ok=True)
    mine = [channel / f"film-{index:02}.mp4" for index in range(args.films)]
    new = [unseen / f"new-{index:02}.mp4" for index in range(args.unseen)]
    for index, path in enumerate(mine):
        if not path.exists():
            draw_film(path, FIRST_SEED + index, music=True)
    for index, path in enumerate(new):
        if not path.exists():
            draw_film(path, FIRST_UNSEEN + index, music=False)
    started, run_folder = time.monotonic(), args.work / f"run-{args.steps}"
    code = run(
        ["train", "finetune", "--data", str(channel), "--model", "starter", "--out", str(run_folder), "-q",
         "--set", f"schedule.steps={args.steps}", "--set", "run.evaluate_every=20", "--set", "compute.threads=1",
         "--set", f"schedule.warmup_steps={args.steps // 10}"]
    )  # fmt: skip
    if code:
        raise SystemExit(code)
    minutes = (time.monotonic() - started) / 60
    result: dict[str, object] = {"minutes": round(minutes, 1)}
    for name, model in (("before", "starter"), ("after", str(run_folder))):
        music, cues = score(new, args.work / name, model)
        result[name] = figures(music, mine) | {
            "tempo": round(float(np.mean([float(str(cue["tempo"])) for cue in cues])), 1),
            "orchestras": sorted({str(cue["palette"]) for cue in cues}),
            "styles": sorted({str(cue["style"]) for cue in cues}),
        }
    music_of_channel = figures(mine, mine)
    rows = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    held = [float(np.mean(row["held_out"])) for row in rows if "held_out" in row]
    print(json.dumps(result | {"channel": music_of_channel, "held_out": {"first": held[0], "best": min(held)}}))


if __name__ == "__main__":
    main()
