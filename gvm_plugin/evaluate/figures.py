"""SPINE of `gvm evaluate figures`: one film and several systems' music for it, as a figure like the paper's Fig. 3.

    (a) mel spectrograms side by side, each relative to its loudest cell
    (b) over the film's time: film strip, each music's pitch contour, levels, how much the picture moves, hit points

PNG, SVG or PDF, by the name's end. The one module that draws with matplotlib, which the extra `evaluation` brings.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import DeliveryError, MediaError, MissingDependencyError
from core.frames import decode_frames, shown_name
from core.vision.picture import FrameArray
from gvm_plugin.evaluate.fit import hit_points_of
from gvm_plugin.evaluate.pitch import Contour, pitch_contour
from gvm_plugin.timeline import HitPoint, Shot, Span
from gvm_plugin.wav import removed_on_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gvm_plugin.analysis import Analysis

log = logging.getLogger(__name__)

SUFFIXES: Final = (".png", ".svg", ".pdf")
MOST_SYSTEMS: Final = 6
LONGEST_SECONDS: Final = 120.0  # more than that on a page says nothing
SHORTEST_SECONDS: Final = 1.0
RATE: Final = 32_000  # Hz, of the sound drawn: up to 16 kHz, where published systems end
LEVEL_SECONDS: Final = 0.4  # window of the level curve, that of momentary loudness
LEAP_SEMITONES: Final = 0.6  # from one moment to the next: another note, not a glide
_MELS: Final = 96
_RANGE_DB: Final = 70.0
_COLUMNS: Final = 3
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito, for all eyes
_WIDTH: Final = 7.2  # inches: two columns of a paper
_STRIP: Final = (128, 72)  # pixels of a picture of the film strip
_STRIP_COUNT: Final = 12

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Progress = Callable[[float], None]

_STYLE: Final[Mapping[str, Any]] = {
    "font.size": 7.5, "axes.titlesize": 8, "axes.labelsize": 7.5, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 7, "pdf.fonttype": 42,
    "svg.fonttype": "none", "svg.hashsalt": "gvm", "savefig.dpi": 200, "image.cmap": "magma",
}  # fmt: skip
# Beside the usual font, whichever of these is there: names of films and systems come in any script.
_OTHER_FONTS: Final = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei")


@dataclass(frozen=True, eq=False)
class _Heard:
    """A system's music beside the film. mel [_MELS, T]: dB; level [L] dB at level_times [L]."""

    name: str
    mel: Float64
    contour: Contour
    level_times: Float64
    level: Float64


@dataclass(frozen=True, eq=False)
class _Seen:
    """The film from `span.start` to `span.end`, which is what the figure shows. hits_from: whose they are."""

    span: Span
    strip: Sequence[FrameArray]
    shots: Sequence[Shot]
    activity_times: Float64
    activity: Float64
    hits: Sequence[HitPoint]
    hits_from: str


def draw_figures(
    video: Path,
    systems: Mapping[str, Path],
    out: Path,
    start: float = 0.0,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the figure of `video` with the music of `systems` (name -> file) to `out`.

    start, seconds: the stretch of the film to draw (seconds None: the rest, up to LONGEST_SECONDS). ValueError where
    that can't be, MissingDependencyError without matplotlib, MediaError where there is nothing to draw.
    """
    _check(systems, out, start, seconds)
    _require_matplotlib()
    tell = progress or (lambda share: None)
    seen = _watch(
        video,
        list(systems.values()),
        Span(start, start + (seconds or LONGEST_SECONDS)),
        lambda share: tell(0.6 * share),
    )
    heard = []
    for number, (name, path) in enumerate(systems.items()):
        heard.append(_listen(name, path, seen.span))
        tell(0.6 + 0.3 * (number + 1) / len(systems))
    with _styled():
        _save(_draw(seen, heard), out)
    tell(1.0)


def _check(systems: Mapping[str, Path], out: Path, start: float, seconds: float | None) -> None:
    if not systems:
        raise ValueError("name the music to draw, with --system NAME=FILE")
    if len(systems) > MOST_SYSTEMS:
        raise ValueError(f"{len(systems)} systems are too many for one figure; {MOST_SYSTEMS} at most")
    if not start >= 0:
        raise ValueError(f"start is {start:g}; it can't be before the film")
    if seconds is not None and not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise ValueError(f"seconds is {seconds:g}; a figure shows {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g}")
    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{out.name}: a figure ends in {', '.join(SUFFIXES)}; choose another name with --out")
    if not out.parent.is_dir():
        raise DeliveryError(f"{out.parent}: there is no such folder; make it first, or choose another with --out")


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as err:
        raise MissingDependencyError("figures need matplotlib; pip install 'gvm[evaluation]'") from err


def _watch(video: Path, music: Sequence[Path], span: Span, progress: Progress) -> _Seen:
    from core.vision.descriptors import PatchDescriptors
    from gvm_plugin.analysis import analyse

    analysis = analyse(video, PatchDescriptors(), progress)
    shown = Span(span.start, max(span.start, min(span.end, analysis.duration)))
    if shown.duration < SHORTEST_SECONDS:
        raise MediaError(
            f"{shown_name(video)}: is {analysis.duration:.1f} s long; from {span.start:g} s on there is too little to "
            "draw; choose another --start"
        )
    hits, hits_from = _hits(analysis, music, shown)
    inside = (analysis.activity_times >= shown.start) & (analysis.activity_times <= shown.end)
    return _Seen(
        span=shown,
        strip=_film_strip(video, shown),
        shots=[shot for shot in analysis.shots if shown.start < shot.span.start < shown.end],
        activity_times=analysis.activity_times[inside],
        activity=analysis.activity[inside].astype(np.float64),
        hits=[hit for hit in hits if shown.start <= hit.seconds <= shown.end],
        hits_from=hits_from,
    )


def _hits(analysis: Analysis, music: Sequence[Path], span: Span) -> tuple[Sequence[HitPoint], str]:
    """Hit points of the first cue sheet that lies beside one of `music`, else the strong cuts, and whose they are."""
    found = [hit_points_of(analysis, path, span.end)[:2] for path in music]
    return next((each for each in found if each[1].startswith("the cue sheet")), found[0])


def _film_strip(video: Path, span: Span) -> list[FrameArray]:
    """_STRIP_COUNT pictures [72, 128, 3], each from the middle of its share of the span."""
    from gvm_plugin.probe import probe

    width, height = probe(video).shown_size
    scale = min(_STRIP[0] / width, _STRIP[1] / height)
    size = max(2, round(width * scale)), max(2, round(height * scale))
    each = span.duration / _STRIP_COUNT
    pictures = []
    for number in range(_STRIP_COUNT):
        middle = span.start + (number + 0.5) * each
        near = decode_frames(video, *size, Fraction(100), (middle, span.end))
        framed = np.zeros((_STRIP[1], _STRIP[0], 3), np.uint8)
        for _, picture in near:
            top, left = (_STRIP[1] - size[1]) // 2, (_STRIP[0] - size[0]) // 2
            framed[top : top + size[1], left : left + size[0]] = picture
            break
        pictures.append(framed)
    return pictures


def _listen(name: str, path: Path, span: Span) -> _Heard:
    """What is drawn of the music in `path`. MediaError where there is nothing to hear."""
    import librosa
    from scipy.ndimage import uniform_filter1d

    from gvm_plugin.probe import probe_sound, read_audio_blocks

    blocks = read_audio_blocks(probe_sound(path), rate=RATE, duration=span.duration, start=span.start)
    mono = np.concatenate([block.mean(axis=0) for block in blocks])
    if float(np.abs(mono).max()) < 1e-4:
        raise MediaError(
            f"{shown_name(path)}: is silent from {span.start:g} s to {span.end:g} s, so there is nothing to draw; "
            "choose another file or another --start"
        )
    hop = max(256, 2 ** round(math.log2(len(mono) / 1500)))  # about as many columns as the print can show
    power = librosa.feature.melspectrogram(y=mono, sr=RATE, n_fft=2048, hop_length=hop, n_mels=_MELS, fmax=RATE / 2)
    mean = uniform_filter1d(mono.astype(np.float64) ** 2, round(LEVEL_SECONDS * RATE), mode="constant")
    level = 10 * np.log10(np.maximum(mean[:: RATE // 20], 1e-9))
    contour = pitch_contour(mono, RATE)
    return _Heard(
        name=name,
        mel=librosa.power_to_db(power, ref=np.max, top_db=_RANGE_DB),
        contour=Contour(contour.times + span.start, contour.midi),
        level_times=span.start + np.arange(len(level)) / 20,
        level=level - 10 * math.log10(max(float(mean.mean()), 1e-9)),
    )


# --- drawing -----------------------------------------------------------------------------------------------------


def _draw(seen: _Seen, heard: Sequence[_Heard]) -> Figure:
    from matplotlib.figure import Figure

    columns = min(len(heard), _COLUMNS)
    rows = -(-len(heard) // columns)
    heights = (1.75 * rows, 2.6 + 0.8 * len(heard))
    figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=heights)
    above, below = parts
    _draw_spectrograms(above, seen, heard, rows, columns)
    ratios = [0.62, *([0.8] * len(heard)), 0.7, 0.7]
    axes = below.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    below.suptitle("(b) Pitch contours over the shots", x=0.01, ha="left", fontsize=8, fontweight="bold")
    _draw_strip(axes[0], seen)
    for number, each in enumerate(heard):
        _draw_contour(axes[1 + number], each, _COLOURS[number])
    _draw_levels(axes[-2], heard)
    _draw_activity(axes[-1], seen)
    for axis in axes[1:]:
        for shot in seen.shots:
            axis.axvline(shot.span.start, color="0.55", lw=0.6, zorder=0)
        for hit in seen.hits:
            axis.axvline(hit.seconds, color="0.2", lw=0.7, ls=(0, (1, 2)), zorder=0)
    axes[-1].set_xlim(seen.span.start, seen.span.end)
    axes[-1].set_xlabel("time in the film (s)")
    return figure


def _draw_spectrograms(part: Any, seen: _Seen, heard: Sequence[_Heard], rows: int, columns: int) -> None:
    import librosa

    axes = part.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    part.suptitle("(a) Mel spectrograms of the music for one film", x=0.01, ha="left", fontsize=8, fontweight="bold")
    ticks = np.array([250, 1000, 4000, 16000])
    mels = librosa.mel_frequencies(_MELS, fmin=0, fmax=RATE / 2)
    extent = (seen.span.start, seen.span.end, 0, _MELS)
    image = None
    for number, axis in enumerate(axes.flat):
        if number >= len(heard):
            axis.set_axis_off()
            continue
        image = axis.imshow(heard[number].mel, origin="lower", aspect="auto", extent=extent, vmin=-_RANGE_DB, vmax=0)
        axis.set_title(_plain(heard[number].name), color=_COLOURS[number], fontweight="bold")
        axis.set_yticks(np.interp(ticks, mels, np.arange(_MELS)), [f"{tick / 1000:g}" for tick in ticks])
        if number % columns == 0:
            axis.set_ylabel("frequency (kHz)")
        if number + columns >= len(heard):
            axis.set_xlabel("time (s)")
            axis.tick_params(labelbottom=True)
    part.colorbar(image, ax=axes, shrink=0.9, pad=0.01, label="dB under the loudest")


def _draw_strip(axis: Axes, seen: _Seen) -> None:
    strip = np.concatenate(seen.strip, axis=1)
    axis.imshow(strip, aspect="auto", extent=(seen.span.start, seen.span.end, 0, 1), interpolation="antialiased")
    for shot in seen.shots:
        axis.axvline(shot.span.start, color="white", lw=1.6)
        axis.axvline(shot.span.start, color="black", lw=0.7)
    axis.set_yticks([])
    axis.set_ylabel("film,\ncuts", rotation=0, ha="right", va="center")
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.tick_params(bottom=False)


def _draw_contour(axis: Axes, heard: _Heard, colour: str) -> None:
    contour = heard.contour
    axis.plot(contour.times, contour.midi, color=colour, lw=0.5, alpha=0.5)
    leaps = np.abs(np.diff(contour.midi, prepend=contour.midi[:1])) > LEAP_SEMITONES
    axis.plot(contour.times, np.where(leaps, np.nan, contour.midi), color=colour, lw=1.8, solid_capstyle="butt")
    there = contour.midi[np.isfinite(contour.midi)]
    low, high = (float(there.min()), float(there.max())) if len(there) else (60.0, 72.0)
    middle, reach = (low + high) / 2, max(9.0, (high - low) / 2 + 2)
    axis.set_ylim(middle - reach, middle + reach)
    cs = [note for note in range(24, 121, 12) if middle - reach <= note <= middle + reach]
    axis.set_yticks(cs, [f"C{note // 12 - 1}" for note in cs])
    axis.grid(axis="y", color="0.9", lw=0.5)
    axis.set_title(_plain(heard.name), loc="left", color=colour, pad=2, fontsize=7.5)
    axis.set_ylabel("pitch")


def _draw_levels(axis: Axes, heard: Sequence[_Heard]) -> None:
    for number, each in enumerate(heard):
        axis.plot(each.level_times, each.level, color=_COLOURS[number], lw=1.0, label=_plain(each.name))
    low = min(float(np.quantile(each.level, 0.02)) for each in heard)
    axis.set_ylim(max(-40.0, low - 3), max(float(each.level.max()) for each in heard) + 2)
    axis.set_ylabel("level (dB\nre mean)")
    axis.grid(axis="y", color="0.9", lw=0.5)


def _draw_activity(axis: Axes, seen: _Seen) -> None:
    axis.fill_between(seen.activity_times, seen.activity, color="0.75", lw=0)
    top = max(float(np.quantile(seen.activity, 0.98)) if len(seen.activity) else 0.0, 1e-3) * 1.3
    axis.set_ylim(0, top)
    axis.plot([hit.seconds for hit in seen.hits], [top * 0.94] * len(seen.hits), "v", color="0.15", ms=4, clip_on=False)
    axis.set_yticks([])
    axis.set_ylabel("picture\nmoves")
    said = f"▼ hit points of {seen.hits_from}; solid lines: cuts" if seen.hits else "lines: cuts"
    axis.set_title(_plain(said), loc="left", pad=5, fontsize=7, color="0.3")


def _plain(text: str) -> str:
    """`text` as it is: matplotlib would read what stands between dollars as mathematics."""
    return text.replace("$", r"\$")


@contextmanager
def _styled() -> Iterator[None]:
    """Context in which figures look as ours do, whatever the user's own settings."""
    import matplotlib
    from matplotlib import font_manager

    there = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _OTHER_FONTS if name in there)]
    talkative = logging.getLogger("fontTools")  # tells of every table while a PDF is written
    before = talkative.level
    talkative.setLevel(logging.WARNING)
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            settings: Any = {**_STYLE, "font.family": families}
            matplotlib.rcParams.update(settings)
            yield
    finally:
        talkative.setLevel(before)


def _save(figure: Figure, out: Path) -> None:
    """Write the figure, whole or not at all, without a date in it."""
    kind = out.suffix.lower().removeprefix(".")
    dates = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    partial = out.with_name(f".{out.name}.partial")
    try:
        with removed_on_error(partial):
            with warnings.catch_warnings(record=True) as caught:
                warnings.filterwarnings("always", message="Glyph .* missing", category=UserWarning)
                figure.savefig(partial, format=kind, metadata=dates[kind])
            os.replace(partial, out)
    except OSError as err:
        raise DeliveryError(f"{out}: can't be written ({err.strerror}); check folder and disk space") from err
    if caught:
        log.warning("%s: no font here has all signs of the names; boxes stand for them", out.name)
