#!/usr/bin/env python3
"""How well pieces that are the same music are told from others: error rates of `core.evaluation.duplicates`.

    scripts/bench_duplicates.py [--sounds build/sound] [--shards 8] [--played 24] [--json FILE]

Different pieces: all pairs of the corpus's held-out shards, those of one style and nearly one tempo apart. The same
music: each piece again with another level, equaliser, start, as MP3, under noise, and the first --played ones played
again by other hands, in another key, with another palette. The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.evaluation.duplicates import SAME_MUSIC, Fingerprint, compare, fingerprint
from core.starter.sound_corpus import SOUND_RATE, load_scenes

Sound = npt.NDArray[np.float32]
NEAR_TEMPO = 0.03


def quieter(sound: Sound) -> Sound:
    """12 dB less."""
    return np.asarray(sound * 0.25, np.float32)


def equalised(sound: Sound) -> Sound:
    """Nothing under 200 Hz, and 9 dB less over 3 kHz."""
    from scipy.signal import butter, sosfilt

    low = sosfilt(butter(2, 3000, fs=SOUND_RATE, output="sos"), sound)
    bent = low + 0.35 * (sound - low)
    return np.asarray(sosfilt(butter(2, 200, "highpass", fs=SOUND_RATE, output="sos"), bent), np.float32)


def later(sound: Sound) -> Sound:
    """Without its first 5.37 s, two seconds of silence before."""
    return np.concatenate([np.zeros(2 * SOUND_RATE, np.float32), sound[round(5.37 * SOUND_RATE) :]])


def noisy(sound: Sound) -> Sound:
    """With white noise 20 dB under it."""
    noise = np.random.default_rng(0).normal(size=len(sound)) * np.sqrt(np.mean(np.square(sound))) * 0.1
    return np.asarray(sound + noise, np.float32)


def as_mp3(sound: Sound) -> Sound:
    """Through MP3 at 32 kbit/s and back."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as output:
        stream = output.add_stream("libmp3lame", rate=SOUND_RATE, layout="mono")
        stream.bit_rate = 32_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), format="fltp", layout="mono")
        frame.sample_rate = SOUND_RATE
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as source:
        frames = [frame.to_ndarray() for frame in source.decode(audio=0)]
    return np.asarray(np.concatenate(frames, axis=1)[0], np.float32)


CHANGES: dict[str, Callable[[Sound], Sound]] = {
    "12 dB quieter": quieter,
    "equalised": equalised,
    "starts elsewhere": later,
    "noise at -20 dB": noisy,
    "MP3, 32 kbit/s": as_mp3,
}


def played_again(seed: int) -> Iterator[tuple[str, Sound]]:
    """The piece of scene `seed`, as `sound_scene` has it, by other hands, in another key, with another palette."""
    import soxr

    from core.starter.corpus import compose_scene
    from core.starter.palettes import PALETTES
    from core.starter.performer import perform
    from core.starter.scenes import sample_scene
    from core.starter.styles import STYLES
    from core.starter.synth import palette_mixdown, render
    from core.starter.synth.dsp import RATE

    rng = np.random.default_rng([seed, 20_262])
    duration = float(rng.uniform(30.5, 36.0))
    scene = sample_scene(rng, duration)
    style = str(rng.choice(list(STYLES)))
    made = compose_scene(scene, style, rng)
    tonic = int(rng.integers(12))
    variants = PALETTES[style]
    for name, key, hands, palette in (
        ("other hands", tonic, seed + 1, variants[seed % len(variants)]),
        ("three semitones higher", (tonic + 3) % 12, seed + 1, variants[seed % len(variants)]),
        ("another palette", tonic, seed, variants[(seed + 1) % len(variants)]),
    ):
        performance = perform(made.codes, made.grid, style, key, hands, 0.0, palette)
        sound = render(performance, palette_mixdown(palette, style), 0.0, round(duration * RATE)).audio.mean(axis=0)
        yield name, np.asarray(soxr.resample(sound, RATE, SOUND_RATE), np.float32)


def measure(folder: Path, shards: int, played: int) -> dict[str, list[float]]:
    """Similarities of all pairs, by kind of pair."""
    prints: list[Fingerprint] = []
    abouts: list[dict[str, str]] = []
    found: dict[str, list[float]] = {name: [] for name in CHANGES}
    for shard in range(shards):
        for scene in load_scenes(folder / f"sound-{shard:04}.npz"):
            sound = scene.sound.astype(np.float32) / 32768
            prints.append(fingerprint(sound, SOUND_RATE))
            abouts.append(dict(item.split("=") for item in str(scene.about).split()))
            for name, change in CHANGES.items():
                found[name].append(compare(prints[-1], fingerprint(change(sound), SOUND_RATE)).similarity)
    for index in range(min(played, len(prints))):
        for name, sound in played_again(int(abouts[index]["seed"])):
            found.setdefault(name, []).append(compare(prints[index], fingerprint(sound, SOUND_RATE)).similarity)
    for i, j in combinations(range(len(prints)), 2):
        tempi = [float(abouts[k]["tempo"]) for k in (i, j)]
        near = abouts[i]["style"] == abouts[j]["style"] and abs(tempi[0] / tempi[1] - 1) < NEAR_TEMPO
        kind = "different, one style and tempo" if near else "different"
        found.setdefault(kind, []).append(compare(prints[i], prints[j]).similarity)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sounds", type=Path, default=Path("build/sound"))
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--played", type=int, default=24)
    parser.add_argument("--json", type=Path, help="all similarities")
    arguments = parser.parse_args()
    found = measure(arguments.sounds, arguments.shards, arguments.played)
    result = {}
    print(f"{'pairs':32} {'count':>6} {'lowest':>7} {'1 %':>6} {'median':>7} {'99 %':>6} {'highest':>8} {'wrong':>7}")
    for name, values in found.items():
        v = np.asarray(values)
        wrong = float((v >= SAME_MUSIC).mean() if name.startswith("different") else (v < SAME_MUSIC).mean())
        low, middle, high = np.percentile(v, (1, 50, 99))
        print(f"{name:32} {len(v):6} {v.min():7.2f} {low:6.2f} {middle:7.2f} {high:6.2f} {v.max():8.2f} {wrong:7.2%}")
        result[name] = {"count": len(v), "median": round(float(middle), 3), "wrong": round(wrong, 5)}
    if arguments.json:
        arguments.json.write_text(json.dumps(found))
    print(json.dumps({"threshold": SAME_MUSIC, "pairs": result}))


if __name__ == "__main__":
    main()
