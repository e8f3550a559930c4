"""The published code's frame tensors: [T, 3, 336, 336], one picture a second, normalised for CLIP, 40 MB for 30 s.

Read as data alone (`weights_only`): such a file is a pickle, and a pickle can hold a program.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import MediaError
from gvm_plugin.dataset.clips import PRESET
from gvm_plugin.wav import removed_on_error

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)  # CLIP's, as `capture_video` of the published code subtracts them
DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
TICK: Final = Fraction(1, 1000)


def read_pictures(path: Path) -> npt.NDArray[np.uint8]:
    """Pictures [T, H, W, 3] RGB of a frame tensor; MediaError where the file holds anything else."""
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings():  # of unusual pickles, which are then refused or read like any other
            warnings.simplefilter("ignore")
            tensor = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise MediaError(f"{path.name}: there is no such file; copy the data set again") from err
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as err:
        raise MediaError(f"{path.name}: is no whole tensor file, or holds more than tensors; copy it again") from err
    if not isinstance(tensor, torch.Tensor):
        raise MediaError(f"{path.name}: holds {type(tensor).__name__}, no tensor of pictures; take it out")
    if tensor.ndim == 5 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 4 or tensor.shape[1] != 3 or min(tensor.shape) < 1 or min(tensor.shape[2:]) < 16:
        raise MediaError(f"{path.name}: is {list(tensor.shape)}, not [pictures, 3, height, width]; take it out")
    values = tensor.to(torch.float32)
    if not bool(torch.isfinite(values).all()):
        raise MediaError(f"{path.name}: holds values that are no numbers; make it again")
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high > 1.001:  # bytes as they are
        scaled = values
    elif low >= 0 and high <= 1.001:
        scaled = values * 255
    else:
        mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
        scaled = (values * deviation + mean) * 255
    return np.ascontiguousarray(scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())


def write_clip(pictures: npt.NDArray[np.uint8], seconds: Fraction, out: Path, side: int, crf: int) -> None:
    """Write pictures [T, H, W, 3], one a second, as a clip of `seconds`; whole or not at all."""
    import av
    import cv2

    height, width = pictures.shape[1:3]
    factor = min(1.0, side / min(width, height))
    size = tuple(max(2, round(length * factor / 2) * 2) for length in (width, height))
    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    out.parent.mkdir(parents=True, exist_ok=True)
    with removed_on_error(partial):
        with av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as output:
            stream = output.add_stream("libx264", rate=1)
            stream.width, stream.height, stream.pix_fmt = size[0], size[1], "yuv420p"
            stream.codec_context.time_base, stream.codec_context.thread_count = TICK, 1
            stream.options = {"preset": PRESET, "crf": str(min(crf, 20)), "bf": "0"}
            packets = []
            for number, picture in enumerate(pictures):
                image = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if factor < 1 else picture
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame.pts, frame.time_base = number * 1000, TICK
                packets += stream.encode(frame)
            packets += stream.encode(None)
            for packet in packets:
                packet.duration = min(1000, round(seconds / TICK) - int(packet.pts or 0))
                output.mux(packet)
        os.replace(partial, out)
