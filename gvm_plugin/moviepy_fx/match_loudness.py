"""MatchLoudness: a clip's sound at a loudness, as one of MoviePy's effects. Needs no model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from moviepy import AudioClip, Effect
from moviepy.Clip import Clip
from moviepy.decorators import audio_video_effect

from gvm_plugin.mix import MixSettings, mix
from gvm_plugin.moviepy_fx.sound import SoundClip, length_of, read_sound
from gvm_plugin.timeline import to_samples
from gvm_plugin.wav import write_wav


@dataclass
class MatchLoudness(Effect):  # type: ignore[misc]
    """The clip (audio, or video with its audio) at `lufs`, its true peak at or under `true_peak` dBTP.

    Measured by ITU-R BS.1770-4 over the whole clip, changed by one gain; only peaks that then are too high are
    limited. Silence stays silent. The result is 48 kHz stereo, sample for sample as long as the clip.
    """

    lufs: float = -14.0
    true_peak: float = -1.0

    def __post_init__(self) -> None:
        self._settings()

    @audio_video_effect  # type: ignore[untyped-decorator]
    def apply(self, clip: Clip) -> Clip:
        """`clip` at its loudness."""
        sound = _matched(clip, self._settings())
        return sound.with_start(clip.start)

    def _settings(self) -> MixSettings:
        """ValueError where one is out of range."""
        return MixSettings(lufs=self.lufs, ceiling_dbtp=self.true_peak, codec_headroom_db=0.0)


def _matched(sound: AudioClip, settings: MixSettings) -> SoundClip:
    """The mix of a film that has no sound but this."""
    seconds = length_of(sound)
    with TemporaryDirectory(prefix="gvm-") as temporary:
        raw, mixed = Path(temporary) / "raw.wav", Path(temporary) / "mixed.wav"
        write_wav(raw, read_sound(sound, seconds), to_samples(seconds))
        mix(raw, None, (), settings, mixed, Path(temporary) / "alone.wav")
        return SoundClip.from_wav(mixed)
