#!/usr/bin/env python3
"""Do the films of a channel sound like one channel, and none like a copy of another? `scripts/bench_identity.py CLIPS`

    scripts/bench_identity.py ../shared/media/clips [--out build/identity]

Scores the folder as two channels and as none, then measures, on what was delivered: orchestras; motif notes heard in
the MIDI where the sheet says that the motif begins (and, for chance, those of the other channel's motif at the same
places); near-duplicates among a channel's films; how often a film's timbre is nearer to its own channel's other films
than to the other channel's. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

CHANNELS = {"rides": "acoustic", "kitchen": "upbeat"}
WITHIN = 0.06  # seconds between a motif's note as written and as played


def lead_notes(path: Path) -> list[tuple[float, int]]:
    """(seconds after the cue's in, pitch) of the lead in a cue's MIDI file."""
    import mido

    file = mido.MidiFile(path)
    leads = {index for index, track in enumerate(file.tracks) if track.name.startswith("lead")}
    tempo_track = file.tracks[0]
    notes = []
    for index in leads:
        merged = mido.MidiFile(ticks_per_beat=file.ticks_per_beat, tracks=[tempo_track, file.tracks[index]])
        now = 0.0
        for message in merged:
            now += message.time
            if message.type == "note_on" and message.velocity > 0:
                notes.append((now, message.note))
    return notes


def stated(notes: list[tuple[float, int]], at: float, step: float, tonic: int, motif: Any, each: float) -> float:
    """Share of the motif's notes that are heard from `at` s on; step: seconds of a sixteenth."""
    heard = 0
    for note in motif.notes:
        when = at + round(note.onset * each) * step
        heard += any(abs(t - when) < WITHIN and (p - tonic - note.pitch) % 12 == 0 for t, p in notes)
    return heard / len(motif.notes)


def main() -> None:
    """Score, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/identity"))
    args = parser.parse_args()
    import soundfile

    from core.evaluation.duplicates import near_duplicates
    from core.pipeline import KEYS
    from core.starter.identity import BARS, EIGHTHS
    from core.training.lessons import traits, unlike
    from gvm_plugin import ScoreOptions, score_folder
    from gvm_plugin.cuesheet_reader import read
    from gvm_plugin.identity import open_channel

    motifs = {name: open_channel(args.out / name, style).identity.motif for name, style in CHANNELS.items()}
    result: dict[str, Any] = {}
    timbres: dict[str, list[Any]] = {}
    for name in (*CHANNELS, "none"):
        identity = args.out / name if name in CHANNELS else None
        options = ScoreOptions(identity=identity, music_only=True, midi=True)
        done = score_folder(args.clips, args.out / f"{name}-scored", options, jobs=2)
        place = args.out / f"{name}-scored"
        sheets = [read(path) for path in sorted(place.glob("*.cues.yaml"))]
        sounds = [soundfile.read(path, dtype="float32")[0].mean(axis=1) for path in sorted(place.glob("*.music.wav"))]
        pairs = near_duplicates(sounds, 48_000)
        timbres[name] = [traits(sound, 48_000).timbre for sound in sounds]
        cues = [(sheet, cue, sheet.provenance["cues"][cue.id]) for sheet in sheets for cue in sheet.sounding]
        row: dict[str, Any] = {
            "films": len(done.results),
            "orchestras": sorted({about["palette"] for _, _, about in cues}),
            "near_duplicates": len(pairs),
            "tempos": sorted(round(float(about["tempo"])) for _, _, about in cues),
        }
        if name in CHANNELS:
            other = next(other for other in CHANNELS if other != name)
            shares: dict[str, list[float]] = {name: [], other: []}
            for path, (_, cue, about) in zip(sorted(place.glob("*.midi/*.mid")), cues, strict=True):
                notes, step = lead_notes(path), 15.0 / float(about["tempo"])
                for begins in about.get("motif", []):
                    for whose in shares:
                        share = stated(notes, begins - cue.span.start, step, KEYS.index(about["key"]), motifs[whose],
                                       16 * BARS / EIGHTHS)  # fmt: skip
                        shares[whose].append(share)
            row["statements"] = len(shares[name])
            row["motif_notes_heard"] = round(float(np.mean(shares[name])), 3)
            row["of_the_other_motif"] = round(float(np.mean(shares[other])), 3)
            row["films_with_motif"] = sum("motif" in about for _, _, about in cues)
        result[name] = row
        print(name, json.dumps(row), flush=True)
    scale = np.std([t for several in timbres.values() for t in several], axis=0) + 1e-6
    right = []
    for name in CHANNELS:
        for index, own in enumerate(timbres[name]):
            centres = {
                whose: np.mean([t for at, t in enumerate(timbres[whose]) if whose != name or at != index], axis=0)
                for whose in CHANNELS
            }
            right.append(min(centres, key=lambda whose: unlike(own, centres[whose], scale)) == name)
    spread = {
        name: round(float(np.mean([unlike(a, b, scale) for a, b in combinations(several, 2)])), 3)
        for name, several in timbres.items()
    }
    print(json.dumps({**result, "told_apart": round(float(np.mean(right)), 3), "spread_of_timbre": spread}))


if __name__ == "__main__":
    main()
