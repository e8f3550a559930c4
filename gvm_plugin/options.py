"""Every setting of a score with its default, once. The command line and the cue sheet use the same names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

AUTO: Final = "auto"
STYLES: Final = (
    "cinematic",
    "documentary",
    "acoustic",
    "lofi",
    "upbeat",
    "electronic",
    "ambient",
    "chinese",
    "funk",
    "tension",
)
PRESETS: Final[dict[str, float]] = {"web": -14.0, "podcast": -16.0, "broadcast": -23.0}  # integrated LUFS
ORIGINALS: Final = ("keep", "replace")
PRECISIONS: Final = (AUTO, "fp32", "bf16", "fp16", "int8")
DECODERS: Final = ("encodec", "mbd")
EXPORTS: Final = ("otio", "fcpxml", "xmeml", "edl", "csv")
TEMPO_RANGE: Final = (40.0, 200.0)  # beats per minute
MAX_TAKES: Final = 16
PICKS: Final = ("first", "best")
MAX_SEED: Final = 2**63 - 1
_KEY = re.compile(r"[A-G][#b]?m?")


@dataclass(frozen=True)
class ScoreOptions:
    """What is asked of a score. None means: decide from the picture (or, for `lufs`, from the preset).

    style           one of STYLES, or auto
    mood            -1 sad or dark .. 1 happy or bright
    energy          0 calm .. 1 driving
    tempo           beats per minute
    key             C, F#, Bb, Am ...: a trailing m is minor
    seed            another number, other music
    takes           how many alternatives of each cue to make
    pick            which of them is used: the first, or the one that fits the picture best
    no_gate         use takes as they come, also those with holes, clipping or an end cut off
    preset, lufs    loudness of the mix: a name of PRESETS, or integrated LUFS outright
    duck            how far the music goes down under speech, dB; 0 switches ducking off
    original        keep the sound of the film under the music, or replace it
    music_only      deliver the music alone, no film
    stems, midi     also deliver groups of instruments apart; also the notes as standard MIDI
    export          formats of EXPORTS to write for other editors (csv: a cue sheet for broadcasters)
    identity        folder of a channel: its films share orchestra, home key and motif (identity.yaml)
    soundfont       an SF2 or SF3 file that plays the notes instead of our own synthesiser
    separate_track  leave the film's sound as it is and add the score as a second audio track
    overwrite       replace results that exist
    device, model   where to compute (auto, cpu, cuda, ...) and with which weights
    precision       number format of a large model's weights: fewer bytes are faster and a little less exact
    decoder         what turns a waveform model's codes into sound: its own codec, or MultiBandDiffusion (slow, finer)
    no_nudge        leave a waveform model's time as it is, instead of bending it so that strong cuts fall on beats
    monetised       the film earns money: refuse weights whose licence forbids that
    crossfade       seconds over which one cue goes over into the next
    min_cue, max_cue    shortest and longest cue, seconds
    """

    style: str = AUTO
    mood: float | None = None
    energy: float | None = None
    tempo: float | None = None
    key: str | None = None
    seed: int = 0
    takes: int = 1
    pick: str = "first"
    no_gate: bool = False
    preset: str = "web"
    lufs: float | None = None
    duck: float = 12.0
    original: str = "keep"
    music_only: bool = False
    stems: bool = False
    midi: bool = False
    export: tuple[str, ...] = ()
    identity: Path | None = None
    soundfont: Path | None = None
    separate_track: bool = False
    overwrite: bool = False
    device: str = AUTO
    model: str = "starter"
    precision: str = AUTO
    decoder: str = "encodec"
    no_nudge: bool = False
    monetised: bool = False
    crossfade: float = 0.5
    min_cue: float = 12.0
    max_cue: float = 120.0

    def __post_init__(self) -> None:
        check_choice("style", self.style, (AUTO, *STYLES))
        check_choice("preset", self.preset, tuple(PRESETS))
        check_choice("pick", self.pick, PICKS)
        check_choice("original", self.original, ORIGINALS)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("decoder", self.decoder, DECODERS)
        check_number("mood", self.mood, -1.0, 1.0)
        check_number("energy", self.energy, 0.0, 1.0)
        check_number("tempo", self.tempo, *TEMPO_RANGE)
        check_key(self.key)
        check_exports(self.export)
        check_number("seed", self.seed, 0, MAX_SEED)
        check_number("takes", self.takes, 1, MAX_TAKES)
        check_number("lufs", self.lufs, -40.0, -5.0)
        check_number("duck", self.duck, 0.0, 60.0)
        check_number("crossfade", self.crossfade, 0.0, 5.0)
        check_number("min_cue", self.min_cue, 1.0, 600.0)
        check_number("max_cue", self.max_cue, 2.0 * self.min_cue, 3600.0)
        if self.music_only and self.separate_track:
            raise ValueError(
                "music_only and separate_track exclude each other: without a film there is no track to add"
            )

    @property
    def target_lufs(self) -> float:
        """Integrated loudness of the mix, LUFS: `lufs` if given, else that of the preset."""
        return PRESETS[self.preset] if self.lufs is None else self.lufs


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}")


def check_exports(value: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is a tuple of names from EXPORTS."""
    if isinstance(value, str):
        raise ValueError(f'export is {value!r}; give a tuple of formats, such as ("otio", "edl")')
    for name in value:
        check_choice("export", name, EXPORTS)


def parse_exports(text: str) -> tuple[str, ...]:
    """The formats in `otio,edl`, each once; none in the word none. They are checked by `check_exports`."""
    names = [name.strip().lower() for name in text.split(",")]
    return tuple(dict.fromkeys(name for name in names if name not in ("", "none")))


def check_number(name: str, value: float | None, low: float, high: float) -> None:
    """Raise ValueError unless `value` is None or within low..high."""
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} is {value:g}; it must lie between {low:g} and {high:g}")


def check_key(value: str | None) -> None:
    """Raise ValueError unless `value` is None or a key such as C, F#, Bb or Am."""
    if value is not None and not _KEY.fullmatch(value):
        raise ValueError(f"key is {value!r}; write a letter A..G, then # or b if needed, then m for minor: C, F#, Bbm")
