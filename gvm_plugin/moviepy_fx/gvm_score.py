"""GVMScore: music under a video clip, as one of MoviePy's effects."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from moviepy import Effect, VideoClip

from gvm_plugin.cuesheet import CueSheet
from gvm_plugin.generators import MusicGenerator
from gvm_plugin.moviepy_fx.progress import Logger
from gvm_plugin.moviepy_fx.scoring import score_into
from gvm_plugin.options import ScoreOptions


@dataclass
class GVMScore(Effect):  # type: ignore[misc]
    """The clip with fitting music under its own sound, ducked under speech, at its loudness.

    The fields up to max_cue are those of ScoreOptions; what isn't given is decided from the picture. Then:

    generator   what makes the music, in the place of `model`
    logger      "bar", None or a proglog logger, as in MoviePy; what it raises ends the work
    sheet       a cue sheet to be obeyed: that of another run (`clip.audio.sheet`), maybe changed
    project     a name from which orchestra and seeds come: the same music for the same cues, after the next trim too
    folder      where to keep takes, so that they needn't be made again; None: nowhere

    The result's `audio` is a ScoreClip: 48 kHz stereo, sample for sample as long as the clip, with `sheet`, `music`,
    `lufs` and `warnings`. Its samples lie in a temporary file that goes with the last copy of the clip.
    ValueError for settings out of range and clips without a duration; GVMError for all that a user can mend.
    """

    style: str = ScoreOptions.style
    mood: float | None = ScoreOptions.mood
    energy: float | None = ScoreOptions.energy
    tempo: float | None = ScoreOptions.tempo
    key: str | None = ScoreOptions.key
    seed: int = ScoreOptions.seed
    takes: int = ScoreOptions.takes
    pick: str = ScoreOptions.pick
    no_gate: bool = ScoreOptions.no_gate
    preset: str = ScoreOptions.preset
    lufs: float | None = ScoreOptions.lufs
    duck: float = ScoreOptions.duck
    original: str = ScoreOptions.original
    identity: Path | str | None = ScoreOptions.identity
    soundfont: Path | str | None = ScoreOptions.soundfont
    device: str = ScoreOptions.device
    model: str = ScoreOptions.model
    precision: str = ScoreOptions.precision
    decoder: str = ScoreOptions.decoder
    no_nudge: bool = ScoreOptions.no_nudge
    monetised: bool = ScoreOptions.monetised
    crossfade: float = ScoreOptions.crossfade
    min_cue: float = ScoreOptions.min_cue
    max_cue: float = ScoreOptions.max_cue
    generator: MusicGenerator | None = None
    logger: Logger = "bar"
    sheet: CueSheet | None = None
    project: str | None = None
    folder: Path | str | None = None

    def __post_init__(self) -> None:
        self.options()

    def options(self) -> ScoreOptions:
        """The same as ScoreOptions; ValueError where one is out of range."""
        names = {field.name for field in fields(ScoreOptions)} & {field.name for field in fields(self)}
        given = {name: getattr(self, name) for name in names}
        paths = {name: None if given[name] is None else Path(given[name]) for name in ("identity", "soundfont")}
        return ScoreOptions(**{**given, **paths})

    def apply(self, clip: VideoClip) -> VideoClip:
        """`clip`, which MoviePy has copied, with its new sound."""
        given = {"sheet": self.sheet, "project": self.project, "folder": self.folder}
        with score_into(clip, self.options(), self.generator, self.logger, **given) as made:  # type: ignore[arg-type]
            sound = made.mix()
        return clip.with_audio(sound.with_start(clip.start))
