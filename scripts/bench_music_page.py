"""The page of the music benchmark: a table of measures and, for each style, three pictures to look at."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from bench_music_measures import FEATURE_RATE, HEALTHY, Floats, Piece, onset_strength

from core.starter.notes import STEMS

_PAINTS: Final = ("#d1495b", "#edae49", "#3d7ea6", "#8d99ae", "#2a9d8f", "#444444", "#9b5de5")
_COLOURS: Final = dict(zip(STEMS, _PAINTS, strict=True))
_STYLE_SHEET: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;font-size:13px;display:block;overflow-x:auto}td,th{padding:.25rem .5rem;text-align:right;
border-bottom:1px solid #ddd;white-space:nowrap}th:first-child,td:first-child{text-align:left}td.bad{background:#fbd5d5;
font-weight:600}img{max-width:100%}@media(prefers-color-scheme:dark){body{background:#181a1d;color:#ddd}
td,th{border-color:#333}td.bad{background:#6b2630}img{filter:invert(.92) hue-rotate(180deg)}}
"""


def draw(piece: Piece, path: Path) -> None:
    """Mel spectrogram, piano roll and energy over the picture's activity of `piece`, as a PNG at `path`."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(12, 9), sharex=True, height_ratios=(3, 3, 2), layout="constrained"
    )
    _draw_spectrogram(top, piece)
    _draw_roll(middle, piece)
    _draw_energy(bottom, piece)
    top.set_title(f"{piece.style}, picture {piece.picture}, {piece.grid.tempo_bpm:.0f} bpm")
    bottom.set_xlim(0.0, piece.grid.duration)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _draw_spectrogram(axes: object, piece: Piece) -> None:
    import librosa
    import soxr

    y = np.asarray(soxr.resample(piece.audio.mean(axis=0), 48_000, 2 * FEATURE_RATE), np.float32)
    mel = librosa.feature.melspectrogram(y=y, sr=2 * FEATURE_RATE, n_fft=4096, hop_length=1024, n_mels=128, fmax=18_000)
    levels = librosa.power_to_db(mel, ref=np.max, top_db=80)
    axes.imshow(levels, origin="lower", aspect="auto", cmap="magma", extent=(0, piece.grid.duration, 0, 128))  # type: ignore[attr-defined]
    places = librosa.mel_frequencies(128, fmax=18_000)
    marks = (100, 300, 1000, 3000, 6000, 12_000)
    axes.set_yticks([int(np.abs(places - hertz).argmin()) for hertz in marks], [str(m) for m in marks])  # type: ignore[attr-defined]
    axes.set_ylabel("Hz (mel)")  # type: ignore[attr-defined]


def _draw_roll(axes: object, piece: Piece) -> None:
    from matplotlib.patches import Patch

    for stem in STEMS:
        notes = [n for n in piece.notes if n.stem == stem and n.instrument != "fx"]
        colour = _COLOURS[stem]
        for note in notes:
            struck = note.instrument.startswith("kit_")
            length = 0.05 if struck else note.duration
            height = 1.6 * note.velocity + 0.3
            pitch = (note.pitch - 35) / 3.0 + 12 if struck else note.pitch
            axes.broken_barh([(note.start, length)], (pitch - height / 2, height), color=colour, alpha=0.75)  # type: ignore[attr-defined]
    axes.legend(handles=[Patch(color=c, label=s) for s, c in _COLOURS.items()], loc="upper right", ncol=7, fontsize=8)  # type: ignore[attr-defined]
    axes.set_ylim(8, 108)  # type: ignore[attr-defined]
    axes.set_ylabel("MIDI note (percussion below)")  # type: ignore[attr-defined]


def _draw_energy(axes: object, piece: Piece) -> None:
    from scipy.ndimage import gaussian_filter1d

    times, strength = onset_strength(piece.audio)
    picture = _standard(gaussian_filter1d(piece.activity, 4.0))
    sound = _standard(gaussian_filter1d(strength, 0.5 / float(times[1] - times[0])))
    axes.plot(piece.activity_times, picture, color="#2a9d8f", label="picture: activity")  # type: ignore[attr-defined]
    axes.plot(times, sound, color="#d1495b", label="music: onset strength")  # type: ignore[attr-defined]
    for hit in piece.grid.hits:
        axes.axvline(hit.seconds, color="#888", lw=0.5 + 2.0 * hit.strength, ls=":")  # type: ignore[attr-defined]
    axes.legend(loc="upper right", fontsize=8)  # type: ignore[attr-defined]
    axes.set_xlabel("s (dotted: cuts)")  # type: ignore[attr-defined]


def _standard(curve: Floats) -> Floats:
    return np.asarray((curve - curve.mean()) / (curve.std() + 1e-9))


def write_page(
    folder: Path, table: Mapping[str, Mapping[str, float]], missed: Mapping[str, Sequence[str]],
    summary: Mapping[str, object],
) -> Path:  # fmt: skip
    """index.html in `folder`, its pictures inlined: `table` is style -> measure -> median value."""
    head = "".join(
        f"<th>{html.escape(h.name.replace('_', ' '))}<br><small>{_range(h.low, h.high)}</small>" for h in HEALTHY
    )
    rows = []
    for style, values in table.items():
        cells = "".join(
            f"<td{' class=bad' if h.name in missed[style] else ''}>{format_value(values[h.name])}" for h in HEALTHY
        )
        rows.append(f"<tr><td><a href='#{style}'>{style}</a>{cells}")
    facts = "".join(f"<li>{html.escape(str(k))}: {html.escape(str(v))}" for k, v in summary.items())
    pictures = []
    for style in table:
        png = folder / f"{style}.png"
        data = base64.b64encode(png.read_bytes()).decode() if png.exists() else ""
        pictures.append(f"<h2 id='{style}'>{style}</h2><img alt='{style}' src='data:image/png;base64,{data}'>")
    page = folder / "index.html"
    page.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Music benchmark</title><style>{_STYLE_SHEET}</style><h1>Music benchmark</h1>"
        f"<p>Medians over unseen pictures; what leaves its healthy range is marked.</p><ul>{facts}</ul>"
        f"<table><tr><th>style{head}{''.join(rows)}</table>{''.join(pictures)}</html>",
        encoding="utf-8",
    )
    return page


def _range(low: float, high: float) -> str:
    if high >= 99:
        return f"≥ {format_value(low)}"
    return f"{format_value(low)} … {format_value(high)}"


def format_value(value: float) -> str:
    """`value` in three significant digits or so; a dash for nan."""
    if np.isnan(value):
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}" if abs(value) < 0.1 else f"{value:.2f}"
