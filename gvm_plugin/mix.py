"""Music + the film's own sound -> one mix at its loudness, and the music alone at the level it has there. Streaming.

    music, original ──measure──▶ levels ──▶ music × level × ducking + original ──▶ × one gain ──▶ limiter ──▶ mix
                                              └─▶ music × level × the same gain ──▶ limiter ──▶ music (24 bit), stems

The film's own sound gets the one gain that brings the whole mix to its loudness, and nothing else; only the limiter
may touch it, on rare peaks. How loud the music is against it is decided in `music_level`. Everything passes in blocks
of ten seconds through files in the work folder, so an hour needs no more memory than a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np

from gvm_plugin.ducking import DEPTH_DB, Keyframe, duck, gain_of_block
from gvm_plugin.limiter import TruePeakLimiter
from gvm_plugin.loudness import Loudness, LoudnessMeter, decibels, measure_loudness
from gvm_plugin.timeline import SAMPLE_RATE, Span, to_samples
from gvm_plugin.wav import Block, WavWriter, count_samples, read_blocks, removed_on_error, write_wav

OriginalAudio = Callable[[], Iterator[Block]]  # opens the film's sound anew: blocks [2, n] from the first frame on

# How loud the music is, before ducking, against what the film brings: between sentences about as loud as they are, and
# 13 LU under them with the usual ducking of 12. Lower music was tried (4): then speech has to carry the loudness of
# the whole film, and its peaks get limited twice as hard. Location sound without speech (wind, street, water)
# stays audible 4 LU under the music, which then leads.
MUSIC_UNDER_SPEECH_LU: Final = 1.0
MUSIC_UNDER_SPEECH_UNDUCKED_LU: Final = 9.0  # a fixed level has to serve under the speech and between
MUSIC_OVER_LOCATION_LU: Final = 4.0
# Faint sound is mostly noise: the mix may raise it by so much, and is louder by more music beyond that.
MAX_LOCATION_BOOST_DB: Final = 12.0
MAX_SPEECH_BOOST_DB: Final = 24.0
FAINT_LUFS: Final = -60.0  # an original under this counts as silent

HARD_LIMITING_DB: Final = 6.0  # worth telling

_TOLERANCE_LU: Final = 0.1
_MOST_PASSES: Final = 5
_RARE_PEAKS_DB: Final = 2.0  # so far over the ceiling, peaks lose no loudness worth a search
_FIRST_LET_THROUGH: Final = 0.6  # of another dB of gain, when the limiter is at work (LU per dB)


@dataclass(frozen=True)
class MixSettings:
    """How to mix.

    lufs            integrated loudness of the mix
    ceiling_dbtp    true peak it may reach
    duck_db         how far the music goes down under speech; 0: not at all
    original        keep the film's sound under the music, or replace it
    separate_track  the film's sound stays as it is: the "mix" is then the ducked score alone, at the level at which
                    both together sound right, and the loudness is left to whoever mixes them
    codec_headroom_db   kept free under the ceiling for what a lossy codec adds to peaks
    """

    lufs: float = -14.0
    ceiling_dbtp: float = -1.0
    duck_db: float = DEPTH_DB
    original: Literal["keep", "replace"] = "keep"
    separate_track: bool = False
    codec_headroom_db: float = 0.5

    def __post_init__(self) -> None:
        if not -60 <= self.lufs <= -5:
            raise ValueError(f"lufs is {self.lufs:g}; it must lie between -60 and -5")
        if not -20 <= self.ceiling_dbtp <= 0:
            raise ValueError(f"ceiling_dbtp is {self.ceiling_dbtp:g}; it must lie between -20 and 0")
        if not 0 <= self.duck_db <= 60:
            raise ValueError(f"duck_db is {self.duck_db:g}; it must lie between 0 and 60")
        if self.original not in ("keep", "replace"):
            raise ValueError(f"original is {self.original!r}; choose keep or replace")


@dataclass(frozen=True)
class MixReport:
    """What came out. Loudness in LUFS, None where there is silence.

    loudness                of the mix as written; lufs and true_peak_dbtp are in it
    gain_db                 the one gain on everything; all that happened to the film's own sound
    music_gain_db           on the music before that; music_lufs: the music in the mix before ducking
    original_lufs, speech_lufs      of the film's sound as it came; its speech alone
    keyframes               of the music's ducking
    limited_seconds, max_reduction_db   how long and how hard the limiter worked on the mix
    """

    mix: Path
    music: Path
    stems: dict[str, Path]
    samples: int
    loudness: Loudness
    gain_db: float
    music_gain_db: float
    music_lufs: float | None
    original_lufs: float | None
    speech_lufs: float | None
    keyframes: tuple[Keyframe, ...]
    limited_seconds: float
    max_reduction_db: float
    warnings: tuple[str, ...] = field(default=())

    @property
    def lufs(self) -> float | None:
        """Integrated loudness of the mix."""
        return self.loudness.integrated_lufs

    @property
    def true_peak_dbtp(self) -> float | None:
        """True peak of the mix."""
        return self.loudness.true_peak_dbtp


@dataclass(frozen=True)
class Levels:
    """Measured before mixing, LUFS: the music, the film's own sound, its speech; None where there is silence."""

    music: float | None
    original: float | None = None
    speech: float | None = None


def mix(
    music: Path,
    original: OriginalAudio | None,
    speech: Sequence[Span],
    settings: MixSettings,
    mix_path: Path,
    music_path: Path,
    *,
    stems: Mapping[str, Path] | None = None,
    stem_paths: Mapping[str, Path] | None = None,
) -> MixReport:
    """Write the mix (float) to `mix_path` and the music alone (24 bit) to `music_path`; say how they came out.

    music: 48 kHz stereo WAV as long as the film; `original`, None for a silent film, is cut or filled to that length.
    stems are written to `stem_paths` with what was done to the music, so that they still add up to it.
    Same input, same samples.
    """
    samples = count_samples(music)
    if settings.original == "replace":
        original, speech = None, ()
    with removed_on_error(mix_path, music_path, *(stem_paths or {}).values()):
        # 1. How loud is everything?
        levels = measure_levels(music, original, speech, samples)
        music_gain_db = music_level(levels, settings) - levels.music if levels.music is not None else 0.0
        keyframes = duck(speech, samples / SAMPLE_RATE, settings.duck_db) if levels.original is not None else ()

        # 2. Music under the film's sound, then everything to its loudness.
        under = None if settings.separate_track else original
        fixed = settings.separate_track and levels.original is not None
        ceiling = settings.ceiling_dbtp - settings.codec_headroom_db
        blocks = mixed_blocks(music, under, decibels(music_gain_db), keyframes, samples)
        target_lufs = None if fixed else settings.lufs
        out = _write_mix(blocks, mix_path, samples, target_lufs, _most_gain_db(levels), ceiling)

        # 3. The music alone, at the level it has there.
        total_db = music_gain_db + out.gain_db
        sources = [music, *(stems or {}).values()]
        targets = [music_path, *((stem_paths or {})[name] for name in stems or {})]
        _write_music(sources, targets, decibels(total_db), ceiling, samples)
    return MixReport(
        mix=mix_path,
        music=music_path,
        stems=dict(stem_paths or {}),
        samples=samples,
        loudness=out.loudness,
        gain_db=out.gain_db,
        music_gain_db=music_gain_db,
        music_lufs=None if levels.music is None else levels.music + total_db,
        original_lufs=levels.original,
        speech_lufs=levels.speech,
        keyframes=keyframes,
        limited_seconds=out.limited_seconds,
        max_reduction_db=out.max_reduction_db,
        warnings=_warnings(levels, out, target_lufs),
    )


def measure_levels(music: Path, original: OriginalAudio | None, speech: Sequence[Span], samples: int) -> Levels:
    """Loudness of the music, of the film's own sound (as far as the film goes) and of the speech in it, each alone."""
    music_lufs = measure_loudness(read_blocks(music)).integrated_lufs
    if original is None:
        return Levels(music_lufs)
    whole, spoken = LoudnessMeter(), LoudnessMeter()
    position = 0
    for block in original():
        kept = block[:, : samples - position]
        whole.push(kept)
        for span in speech:
            start, end = (to_samples(moment) - position for moment in (span.start, span.end))
            spoken.push(kept[:, max(start, 0) : max(end, 0)])
        position += kept.shape[1]
    original_lufs = whole.result().integrated_lufs
    if original_lufs is None or original_lufs < FAINT_LUFS:
        return Levels(music_lufs)
    return Levels(music_lufs, original_lufs, spoken.result().integrated_lufs)


def music_level(levels: Levels, settings: MixSettings) -> float:
    """LUFS the music should have before ducking, on the scale of the film's own sound (so before the common gain)."""
    if levels.original is None:
        return settings.lufs
    if levels.speech is not None:
        ducked = min(settings.duck_db / DEPTH_DB, 1.0)
        under = MUSIC_UNDER_SPEECH_LU + (1 - ducked) * (MUSIC_UNDER_SPEECH_UNDUCKED_LU - MUSIC_UNDER_SPEECH_LU)
        return max(levels.speech, settings.lufs - MAX_SPEECH_BOOST_DB) - under
    return max(levels.original + MUSIC_OVER_LOCATION_LU, settings.lufs - MAX_LOCATION_BOOST_DB)


def mixed_blocks(
    music: Path,
    original: OriginalAudio | None,
    music_gain: np.float32,
    keyframes: Sequence[Keyframe],
    samples: int,
) -> Iterator[Block]:
    """Yield the film's sound plus the music times `music_gain` and its ducking, `samples` in all."""
    sound = _Fitted(original()) if original is not None else None
    position = 0
    for block in read_blocks(music):
        ducked = block * (music_gain * gain_of_block(keyframes, position, block.shape[1]))
        yield ducked if sound is None else ducked + sound.take(block.shape[1])
        position += block.shape[1]
    assert position == samples, f"the music file has {position} samples, its header says {samples}"


class _Fitted:
    """Blocks of any size, taken in the sizes asked for; after their end comes silence."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._rest = np.zeros((2, 0), np.float32)

    def take(self, samples: int) -> Block:
        """The next [2, samples]."""
        parts, missing = [], samples
        while missing > 0:
            if self._rest.shape[1] == 0:
                self._rest = next(self._blocks, np.zeros((2, missing), np.float32))
            parts.append(self._rest[:, :missing])
            self._rest = self._rest[:, missing:]
            missing -= parts[-1].shape[1]
        return np.concatenate(parts, axis=1) if len(parts) != 1 else parts[0]


@dataclass(frozen=True)
class _Written:
    """A mix on disk."""

    loudness: Loudness
    gain_db: float
    limited_seconds: float
    max_reduction_db: float


def _write_mix(
    blocks: Iterator[Block], path: Path, samples: int, target_lufs: float | None, most_gain_db: float, ceiling: float
) -> _Written:
    """Write `blocks` at `target_lufs` (None: as they are), raised by `most_gain_db` at most, under `ceiling` dBTP.

    The gain is linear, so one measurement says which it must be; only where the limiter would take loudness away, it
    has to be searched for.
    """
    raw = path.with_name(f"{path.stem}.unscaled.wav")
    try:
        meter = LoudnessMeter()
        write_wav(raw, _metered(blocks, meter), samples)
        before = meter.result().integrated_lufs
        if before is None or target_lufs is None:
            return _write_limited(raw, path, samples, 0.0, ceiling)
        gain_db = min(target_lufs - before, most_gain_db)
        if (meter.sample_peak_dbfs or 0.0) + gain_db <= ceiling + _RARE_PEAKS_DB:
            written = _write_limited(raw, path, samples, gain_db, ceiling)
            if abs(target_lufs - (written.loudness.integrated_lufs or target_lufs)) <= _TOLERANCE_LU:
                return written
        gain_db = _gain_before_limiter(raw, target_lufs, gain_db, most_gain_db, ceiling)
        return _write_limited(raw, path, samples, gain_db, ceiling)
    finally:
        raw.unlink(missing_ok=True)


def _gain_before_limiter(raw: Path, target_lufs: float, gain_db: float, most_gain_db: float, ceiling: float) -> float:
    """Gain (dB) with which `raw` has `target_lufs` behind the limiter: by the secant method from `gain_db` on."""
    let_through = _FIRST_LET_THROUGH
    last: tuple[float, float] | None = None  # gain and loudness of the pass before
    for _ in range(_MOST_PASSES):
        lufs = measure_loudness(_limited(raw, gain_db, TruePeakLimiter(ceiling))).integrated_lufs
        if lufs is None or abs(target_lufs - lufs) <= _TOLERANCE_LU or gain_db == most_gain_db:
            break
        if last is not None:
            let_through = min(max((lufs - last[1]) / (gain_db - last[0]), 0.2), 1.0)
        last = gain_db, lufs
        gain_db = min(gain_db + (target_lufs - lufs) / let_through, most_gain_db)
    return gain_db


def _write_limited(raw: Path, path: Path, samples: int, gain_db: float, ceiling: float) -> _Written:
    limiter, meter = TruePeakLimiter(ceiling), LoudnessMeter(true_peak=True)
    write_wav(path, _metered(_limited(raw, gain_db, limiter), meter), samples)
    return _Written(meter.result(), gain_db, limiter.limited_seconds, limiter.max_reduction_db)


def _limited(raw: Path, gain_db: float, limiter: TruePeakLimiter) -> Iterator[Block]:
    return limiter.stream(block * decibels(gain_db) for block in read_blocks(raw))


def _metered(blocks: Iterator[Block], meter: LoudnessMeter) -> Iterator[Block]:
    for block in blocks:
        meter.push(block)
        yield block


def _write_music(
    sources: Sequence[Path], targets: Sequence[Path], gain: np.float32, ceiling: float, samples: int
) -> None:
    """Write music and stems, times `gain`, in 24 bits. The limiter listens to the music and treats all alike."""
    together = (np.concatenate(blocks) * gain for blocks in zip(*map(read_blocks, sources), strict=True))
    with ExitStack() as stack:
        writers = [stack.enter_context(WavWriter(target, samples, "24 bit")) for target in targets]
        for block in TruePeakLimiter(ceiling).stream(together):
            for index, writer in enumerate(writers):
                writer.write(block[2 * index : 2 * index + 2])


def _most_gain_db(levels: Levels) -> float:
    """Highest gain the mix may get. With music the levels were chosen so that none is too much."""
    if levels.music is not None:
        return float("inf")
    if levels.original is None:
        return 0.0
    return MAX_SPEECH_BOOST_DB if levels.speech is not None else MAX_LOCATION_BOOST_DB


def _warnings(levels: Levels, out: _Written, target_lufs: float | None) -> tuple[str, ...]:
    warnings = []
    if levels.music is None:
        warnings.append("the music is silent throughout: the cue sheet asks for no cue, or the cues are empty")
    lufs = out.loudness.integrated_lufs
    if target_lufs is not None and lufs is not None and abs(lufs - target_lufs) > 0.2:
        warnings.append(f"the mix has {lufs:.1f} LUFS instead of {target_lufs:.1f}: more would distort or raise noise")
    if out.max_reduction_db > HARD_LIMITING_DB:
        warnings.append(
            f"peaks were lowered by up to {out.max_reduction_db:.1f} dB ({out.limited_seconds:.1f} s in all); "
            "a lower loudness would leave them as they are"
        )
    return tuple(warnings)
