"""Films for tests that have to be odd in one exact way. Each function writes a file and gives back its path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

AUDIO_RATE = 48_000


def grey_of(number: int) -> int:
    """Brightness that marks picture `number`, 0..42: at least 5 from any other, far from its neighbours'."""
    return 20 + 5 * (number * 17 % 43)


def numbered(path: Path, stamps: Sequence[int], time_base: Fraction, size: tuple[int, int] = (64, 36)) -> Path:
    """A film whose picture k is all of grey `grey_of(k)` and stamped stamps[k] * time_base."""
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as output:
        video = output.add_stream("libx264", rate=Fraction(30))
        video.width, video.height = size
        video.pix_fmt = "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
        video.codec_context.time_base = time_base
        video.options = {"preset": "ultrafast", "crf": "10", "bf": "2"}
        for number, stamp in enumerate(stamps):
            image = np.full((size[1], size[0], 3), grey_of(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def rotated(source: Path, target: Path, degrees: float) -> Path:
    """A copy of the film `source` that asks players to turn it counterclockwise by `degrees`."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        video = given.streams.video[0]
        copy = output.add_stream_from_template(video)
        copy.set_display_rotation(degrees)
        for packet in given.demux(video):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    return target


def with_sound(source: Path, target: Path, tracks: Sequence[tuple[npt.NDArray[np.float32], str, float]]) -> Path:
    """The picture of `source` with audio tracks (samples [C, N] at 48 kHz, layout, start in s), as PCM."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        video = given.streams.video[0]
        copy = output.add_stream_from_template(video)
        streams = [output.add_stream("pcm_s16le", rate=AUDIO_RATE, layout=layout) for _, layout, _ in tracks]
        for packet in given.demux(video):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
        for stream, (samples, layout, start) in zip(streams, tracks, strict=True):
            whole = np.ascontiguousarray((samples.T * 32767).round().astype(np.int16).reshape(1, -1))
            channels = len(samples)
            for first in range(0, samples.shape[1], 4800):
                part = np.ascontiguousarray(whole[:, first * channels : (first + 4800) * channels])
                frame = av.AudioFrame.from_ndarray(part, format="s16", layout=layout)
                frame.sample_rate, frame.time_base = AUDIO_RATE, Fraction(1, AUDIO_RATE)
                frame.pts = first + round(start * AUDIO_RATE)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return target


def bad_file(kind: str, folder: Path, clip: Callable[..., Path], name: str = "film.mp4") -> Path:
    """A file that can't be scored. kind: missing, folder, empty, text, no index, only sound, no picture or short."""
    path = folder / name
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("This is a shopping list.\n" * 40)
    elif kind == "no index":
        whole = clip("whole").read_bytes()
        path.write_bytes(whole[: whole.rindex(b"moov") - 4])
    elif kind == "only sound":
        sound_only(path)
    elif kind == "no picture":
        without_pictures(path)
    elif kind == "short":
        numbered(path, [0], Fraction(1, 30))
    return path


def without_pictures(path: Path) -> None:
    """A film of no length: a video stream that holds nothing."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=Fraction(30))
        video.width, video.height, video.pix_fmt = 64, 36, "yuv420p"
        output.start_encoding()


def sound_only(path: Path) -> None:
    """A tone without a picture."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=AUDIO_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, AUDIO_RATE), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = AUDIO_RATE, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def damaged(source: Path, target: Path, first: float = 0.3, last: float = 0.5) -> Path:
    """A copy of the mp4 `source` whose data is noise from the share `first` to the share `last` of them."""
    data = bytearray(source.read_bytes())
    start = data.index(b"mdat") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    noise = np.random.default_rng(0).integers(0, 256, int(length * (last - first)), np.uint8).tobytes()
    data[start + int(length * first) : start + int(length * first) + len(noise)] = noise
    target.write_bytes(bytes(data))
    return target


def cut_in_the_middle(source: Path, target: Path, share: float = 0.5) -> Path:
    """A copy of the film `source` with its index in front, as for streaming, of which only `share` arrived."""
    whole = target.with_name("whole-" + target.name)
    with av.open(str(source)) as given, av.open(str(whole), "w", options={"movflags": "faststart"}) as output:
        copies: dict[int, Any] = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    data = whole.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target
