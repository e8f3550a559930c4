"""DuckUnder: music that goes down while somebody speaks, as one of MoviePy's effects. Needs no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from moviepy import AudioClip, Effect
from moviepy.Clip import Clip
from moviepy.decorators import audio_video_effect

from gvm_plugin.ducking import ATTACK_SECONDS, DEPTH_DB, RELEASE_SECONDS, duck, gain_at
from gvm_plugin.moviepy_fx.sound import Samples, detect_speech, length_of
from gvm_plugin.timeline import Span


@dataclass
class DuckUnder(Effect):  # type: ignore[misc]
    """The music (an audio clip, or the audio of a video clip) `db` lower while somebody speaks.

    speech      the clip (audio or video) in which somebody speaks, or spans: [(1.0, 3.5), ...] in seconds of the
                music. A clip is listened to when the effect is applied; `start` of both clips counts.
    attack      seconds on the way down, which ends just before the first syllable
    release     seconds on the way up, which begins just after the last; pauses too short to come up in are left low
    """

    speech: Clip | Sequence[Span | tuple[float, float]]
    db: float = DEPTH_DB
    attack: float = ATTACK_SECONDS
    release: float = RELEASE_SECONDS

    def __post_init__(self) -> None:
        duck((), 1.0, self.db, self.attack, self.release)  # ValueError where one is out of range

    @audio_video_effect  # type: ignore[untyped-decorator]
    def apply(self, clip: Clip) -> Clip:
        """`clip` with its gain."""
        keyframes = duck(self._spans(clip), length_of(clip), self.db, self.attack, self.release)

        def ducked(get_frame: Callable[[Any], Any], seconds: Any) -> Samples:
            sound: Samples = np.asarray(get_frame(seconds))
            gain = gain_at(keyframes, np.atleast_1d(np.asarray(seconds, np.float64)))
            return sound * gain[:, None] if sound.ndim == 2 else sound * gain

        return clip.transform(ducked)

    def _spans(self, music: Clip) -> tuple[Span, ...]:
        """Where somebody speaks, in seconds of the music."""
        speech = self.speech
        if not isinstance(speech, Clip):
            return tuple(Span(*span) if isinstance(span, tuple) else span for span in speech)
        sound = speech if isinstance(speech, AudioClip) else speech.audio
        if sound is None:
            return ()
        late = float(speech.start or 0) - float(music.start or 0)
        return tuple(Span(span.start + late, span.end + late) for span in detect_speech(sound))
