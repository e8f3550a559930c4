"""How often the gate rejects good music, and how often it finds a defect that was made: table and JSON.

    gvm score-folder CLIPS --takes 8 --music-only --no-gate --out TAKES
    python scripts/bench_gate.py --takes TAKES [TAKES ...] [--music FOLDER]

Takes come from scored folders (NAME.cues.yaml, NAME.takes/). Each defect is built into every take, at a place of its
own, and the take heard again; `found` is the share in which the gate finds that fault. --music: files of others'
music, of which it is said what the gate thinks. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gvm_plugin import cuesheet_reader, gate
from gvm_plugin.picking import meet
from gvm_plugin.takes import margins
from gvm_plugin.timeline import SAMPLE_RATE

Audio = npt.NDArray[np.float32]
Maker = Callable[[Audio, np.random.Generator], Audio]


@dataclass(frozen=True, eq=False)
class Sample:
    """A take: sound [2, N], seconds before and after its cue, the key that sounds."""

    name: str
    audio: Audio
    lead: float
    tail: float
    followed: bool


def samples_of(folder: Path) -> Iterator[Sample]:
    """Every take in a scored folder."""
    import soundfile

    for sheet_path in sorted(folder.glob("*.cues.yaml")):
        sheet = cuesheet_reader.read(sheet_path)
        name = sheet_path.name.removesuffix(".cues.yaml")
        for cue in sheet.sounding:
            reach = margins(cue, sheet)
            followed = any(other.span.start > cue.span.start and meet(cue, other, sheet) for other in sheet.sounding)
            for path in sorted(folder.glob(f"{name}.takes/{cue.id}.take*.wav")):
                sound = soundfile.read(path, dtype="float32", always_2d=True)[0].T
                yield Sample(f"{name} {path.stem}", np.ascontiguousarray(sound), *reach, followed)


# --- defects -----------------------------------------------------------------------------------------------------


def hole(audio: Audio, rng: np.random.Generator) -> Audio:
    """2.5 s of silence, faded out and in over 0.2 s."""
    start = int(rng.uniform(0.2, 0.6) * audio.shape[1])
    gain = np.ones(audio.shape[1], np.float32)
    ramp, length = int(0.2 * SAMPLE_RATE), int(2.5 * SAMPLE_RATE)
    gain[start : start + length] = 0
    gain[start - ramp : start] = np.linspace(1, 0, ramp)
    gain[start + length : start + length + ramp] = np.linspace(0, 1, ramp)[: audio.shape[1] - start - length]
    return audio * gain


def dropout(audio: Audio, rng: np.random.Generator) -> Audio:
    """0.2 s cut out where the music is loud, with edges of 3 ms."""
    size = SAMPLE_RATE // 10
    power = (audio[:, : audio.shape[1] // size * size].reshape(2, -1, size) ** 2).mean((0, 2))
    start = int(rng.choice(np.flatnonzero(power[5:-10] > np.median(power)))) * size + 5 * size
    made, ramp = audio.copy(), np.linspace(1, 0, 144, dtype=np.float32)
    made[:, start : start + 2 * size] = 0
    made[:, start - 144 : start] *= ramp
    made[:, start + 2 * size : start + 2 * size + 144] *= ramp[::-1]
    return made


def clipping(audio: Audio, rng: np.random.Generator) -> Audio:
    """Driven 12 dB into a limit at the loudest hundredth of its samples."""
    limit = float(np.quantile(np.abs(audio[:, ::7]), 0.97))
    return np.clip(audio, -limit, limit)


def clicks(audio: Audio, rng: np.random.Generator) -> Audio:
    """A dozen samples lost a minute."""
    made = audio.copy()
    for at in rng.integers(SAMPLE_RATE, audio.shape[1] - SAMPLE_RATE, max(8, audio.shape[1] // SAMPLE_RATE // 5)):
        made[:, at:] -= made[:, at, None] - made[:, at - 1, None] - np.float32(0.5 * np.abs(audio).max())
        made[:, at + 1 :] = audio[:, at + 1 :]
    return made


def offset(audio: Audio, rng: np.random.Generator) -> Audio:
    """A constant as high as a third of its level."""
    return audio + np.float32(0.33 * np.sqrt((audio**2).mean()))


def ticking(audio: Audio, rng: np.random.Generator) -> Audio:
    """Half a second of it over and over."""
    length = int(rng.uniform(0.35, 0.8) * SAMPLE_RATE)
    start = int(rng.uniform(0.2, 0.7) * (audio.shape[1] - length))
    piece = audio[:, start : start + length] * np.minimum(1, np.arange(length)[::-1] / 480).astype(np.float32)
    return np.tile(piece, (1, audio.shape[1] // length + 1))[:, : audio.shape[1]]


def metronome(audio: Audio, rng: np.random.Generator) -> Audio:
    """Struck wood on the beat over what is left of the music, 26 dB down."""
    beat = int(60 / rng.uniform(60, 180) * SAMPLE_RATE)
    t = np.arange(beat) / SAMPLE_RATE
    tick = np.sin(2 * np.pi * 1900 * t) * np.exp(-t * 60)
    ticks = np.tile(tick, audio.shape[1] // beat + 1)[: audio.shape[1]]
    return (0.4 * ticks + 0.05 * audio / np.abs(audio).max()).astype(np.float32)


def ending(audio: Audio, rng: np.random.Generator) -> Audio:
    """Broken off in the middle, where it is as loud as it is on the whole."""
    size = SAMPLE_RATE // 10
    power = (audio[:, : audio.shape[1] // size * size].reshape(2, -1, size) ** 2).mean((0, 2))
    places = np.flatnonzero(power > 0.7 * power.mean())
    return audio[:, : (int(rng.choice(places[places > len(power) // 2])) + 1) * size]


DEFECTS: dict[str, Maker] = {
    "hole": hole, "dropout": dropout, "clipping": clipping, "clicks": clicks, "dc": offset, "ticking": ticking,
    "metronome": metronome, "ending": ending,
}  # fmt: skip


def clashes(samples: list[Sample]) -> tuple[list[float], list[float]]:
    """(clash at the joins of a film's cues, clash of those in one key when one side is turned).

    Turned by a semitone up or down or a tritone, on the pitch classes.
    """
    by_take: dict[str, list[Sample]] = {}
    for sample in samples:
        film, _, take = sample.name.rpartition(" ")
        by_take.setdefault(f"{film} {take.partition('.')[2]}", []).append(sample)
    right, wrong = [], []
    for cues in by_take.values():
        for a, b in pairwise(cues):
            closing = gate.listen(a.audio, a.lead, a.tail).closing
            opening = gate.listen(b.audio, b.lead, b.tail).opening
            right.append(gate.clash(closing, opening))
            if right[-1] < -0.5:
                wrong += [gate.clash(closing, np.roll(opening, turn).tolist()) for turn in (1, 6, 11)]
    return right, wrong


def kinds(audio: Audio, lead: float, tail: float, followed: bool = False) -> tuple[list[str], gate.Heard]:
    """(faults of a take, what was heard)."""
    heard = gate.listen(audio, lead, tail)
    return [fault.kind for fault in gate.faults(heard, followed, audio.shape[1] / SAMPLE_RATE)], heard


def spread(values: list[float]) -> str:
    """Lowest, median, highest."""
    return f"{min(values):.2f} {float(np.median(values)):.2f} {max(values):.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--takes", type=Path, nargs="+", required=True)
    parser.add_argument("--music", type=Path)
    parser.add_argument("--defects-on", type=int, default=40, help="takes that defects are made in")
    given = parser.parse_args()
    samples = [sample for folder in given.takes for sample in samples_of(folder)]
    clean = [kinds(s.audio, s.lead, s.tail, s.followed) for s in samples]
    rejected = [(s.name, found) for s, (found, _) in zip(samples, clean, strict=True) if found]
    print(f"{len(samples)} takes, {len(rejected)} rejected: {rejected}")
    result: dict[str, object] = {"takes": len(samples), "rejected": len(rejected), "found": {}}
    rng = np.random.default_rng(0)
    chosen = [samples[n] for n in rng.permutation(len(samples))[: given.defects_on]]
    figures = ("silence", "dropouts", "clipped", "clicks", "dc", "ticking", "ending_db", "held")
    for name in figures:
        print(f"  {name:12} {spread([getattr(heard, name) for _, heard in clean])}")
    found: dict[str, float] = {}
    for name, make in DEFECTS.items():
        heard = [kinds(make(s.audio, rng), s.lead, 0.0 if name == "ending" else s.tail) for s in chosen]
        kind = {"metronome": "ticking"}.get(name, name)
        found[name] = sum(kind in faults for faults, _ in heard) / len(heard)
        shown = {"hole": "silence", "dropout": "dropouts", "clipping": "clipped", "metronome": "ticking"}.get(
            name, name
        )
        names = ("ending_db", "held") if name == "ending" else (shown,)
        print(
            f"  {name:12} found {found[name]:.0%}  "
            + "; ".join(spread([getattr(h, n) for _, h in heard]) for n in names)
        )
    right, wrong = clashes(samples)
    if right:
        found["clash"] = float(np.mean([value > gate.MOST_CLASH for value in wrong]))
        result["clash_rejected"] = float(np.mean([value > gate.MOST_CLASH for value in right]))
        deciles = [np.round(np.quantile(values, np.linspace(0, 1, 11)), 2).tolist() for values in (right, wrong)]
        print(f"  clash        found {found['clash']:.0%}, wrongly {result['clash_rejected']:.0%}\n    {deciles}")
    result["found"] = found
    if given.music is not None:
        result["music"] = music_of_others(given.music)
    print(json.dumps(result))


def music_of_others(folder: Path) -> dict[str, list[str]]:
    """Faults of each file in a folder."""
    from gvm_plugin.probe import probe_sound, read_audio_blocks

    said = {}
    for path in sorted(folder.iterdir()):
        found, heard = kinds(np.concatenate(list(read_audio_blocks(probe_sound(path))), axis=1), 0.0, 0.0)
        said[path.stem] = found
        print(f"  {path.stem:12} {', '.join(found) or 'passes':20} {heard.ticking:.2f} ticking, {heard.clipped:.1f} "
              f"flat tops/s, {heard.clicks:.0f} clicks/min, ends {heard.ending_db:.0f} dB down")  # fmt: skip
    return said


if __name__ == "__main__":
    main()
