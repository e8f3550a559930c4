"""The one pass through a film's pictures: model frames, activity, cuts, colours and thumbnails, while decoding once.

Heavy imports (av, cv2, scenedetect) live here, so that `analysis` stays light; import this module inside functions.
The spine is `watch`: every picture goes to each watcher in turn, and each takes what it needs of it.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from scenedetect import ContentDetector
from scenedetect.common import FrameTimecode, Timecode
from scenedetect.scene_manager import compute_downscale_factor

from core.errors import MediaError
from core.frames import FrameGrid, Scaler, frame_scaler, quarter_turns
from core.vision.picture import FrameArray, FrameEncoder, PictureFeatures
from gvm_plugin.film_source import FilmSource, Pictures

log = logging.getLogger(__name__)

LEAST_PICTURES: Final = 15  # of a shot, PySceneDetect's default
LEAST_SHOT_SECONDS: Final = 0.6
ACTIVITY_FPS: Final = 8
ACTIVITY_SIZE: Final = (64, 36)
LOOK_FPS: Final = 4  # colours
CANDIDATE_SECONDS: Final = 0.5  # between thumbnail candidates
THUMBNAIL_SIDE: Final = 192  # pixels of a thumbnail's longer side
THUMBNAIL_LIMIT: Final = 240
CANDIDATES: Final = 16  # pictures kept while it isn't known yet where the shot's middle is
MIN_SECONDS: Final = 0.5  # shorter films can't carry a cue
HISTOGRAM_BINS: Final = 4  # per colour channel
# Change of picture (mean over pixels and channels, 0..255) that makes a cut of strength 1 - 1/e.
CUT_CHANGE: Final = 40.0


@dataclass(frozen=True, eq=False)
class Watched:
    """What one pass found. Times are seconds after the first picture.

    start: seconds of the first picture in the file's own time. cuts [(seconds, strength 0..1)].
    look_times [L] and looks [L, 5 + 64]: red, green, blue, brightness, saturation (0..1) and a colour histogram.
    """

    start: float
    duration: float
    count: int
    damaged: int
    variable: bool
    features: PictureFeatures
    activity_times: npt.NDArray[np.float64]
    activity: npt.NDArray[np.float32]
    cuts: list[tuple[float, float]]
    look_times: npt.NDArray[np.float64]
    looks: npt.NDArray[np.float32]
    thumbnails: list[tuple[float, bytes]]


def watch(
    film: FilmSource, encoder: FrameEncoder, expected: float, progress: Callable[[float], None] | None
) -> Watched:
    """Everything the analysis wants from the pictures of `film`; `expected` seconds are for the progress alone."""
    with film.pictures() as pictures:
        pixel_aspect = float(pictures.pixel_aspect)
        model = _ModelFrames(encoder, pictures.time_base, pictures.pixel_aspect)
        activity, cuts, looks = _Activity(), _Cuts(pictures, film.cuts), _Looks(pixel_aspect)
        for seconds, frame in pictures:
            model.take(seconds, frame)
            activity.take(float(seconds), frame)
            new_cuts = cuts.take(seconds, frame)
            looks.take(float(seconds), frame, cuts.image, new_cuts)
            if progress is not None and pictures.count % 64 == 0:
                progress(min(1.0, float(seconds) / max(expected, 1e-3)))
        duration = pictures.end
        if pictures.count == 0:
            raise MediaError(f"{film.name}: no picture of it can be decoded; copy it again or take it out")
        if duration < MIN_SECONDS:
            raise MediaError(f"{film.name}: lasts {float(duration):.2f} s; films from {MIN_SECONDS} s up can be scored")
        model.finish(duration)
        times, curve = activity.finish()
        look_times, look_values = looks.values()
        return Watched(
            start=float(pictures.start or 0),
            duration=float(duration),
            count=pictures.count,
            damaged=pictures.damaged,
            variable=pictures.variable,
            features=encoder.finish(),
            activity_times=times,
            activity=curve,
            cuts=cuts.finish(),
            look_times=look_times,
            looks=look_values,
            thumbnails=looks.finish(float(duration)),
        )


class _ModelFrames:
    """Gives the encoder the picture on screen at each of its moments."""

    def __init__(self, encoder: FrameEncoder, tick: Fraction, pixel_aspect: Fraction) -> None:
        self._encoder = encoder
        self._grid = FrameGrid(encoder.fps, tick)
        self._scale = frame_scaler(encoder.width, encoder.height, pixel_aspect)
        self._shown: VideoFrame | None = None

    def take(self, seconds: Fraction, frame: VideoFrame) -> None:
        self.finish(seconds)
        self._shown = frame

    def finish(self, end: Fraction) -> None:
        """Push what is due before `end`."""
        if self._shown is None:
            return
        due = self._grid.due_before(end)
        if due:
            image = self._scale(self._shown)
            for seconds in due:
                self._encoder.push(float(seconds), image)


class _Activity:
    """Mean absolute difference of successive 64 x 36 grey pictures, 0..1, eight times a second."""

    def __init__(self) -> None:
        self._due = 0.0
        self._reformatter = VideoReformatter()
        self._last: npt.NDArray[np.uint8] | None = None
        self._times: list[float] = []
        self._values: list[float] = []

    def take(self, seconds: float, frame: VideoFrame) -> None:
        if seconds + 1e-6 < self._due:
            return
        self._due += 1 / ACTIVITY_FPS
        grey = np.asarray(
            self._reformatter.reformat(frame, *ACTIVITY_SIZE, "gray", threads=1).to_ndarray(), dtype=np.uint8
        )
        if self._last is not None:
            self._times.append(seconds)
            self._values.append(float(np.mean(cv2.absdiff(grey, self._last), dtype=np.float64)) / 255)
        self._last = grey

    def finish(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """(times [A], activity [A])."""
        return np.array(self._times, np.float64), np.array(self._values, np.float32)


class _Cuts:
    """PySceneDetect's ContentDetector, fed with what its own reader would give it, and how hard each cut is.

    `image` is the picture last taken, as the detector sees it: BGR, its longer side 256 pixels (or fewer).
    """

    def __init__(self, pictures: Pictures, known: Sequence[float]) -> None:
        # The detector counts pictures between cuts: its own 15 from 25 a second on, fewer below.
        pictures_between = min(LEAST_PICTURES, math.ceil(LEAST_SHOT_SECONDS * pictures.rate))
        self._detector = ContentDetector(min_scene_len=max(1, pictures_between))
        self._rate, self._tick = pictures.rate, pictures.time_base
        self._known = deque(sorted(known))
        self._size: tuple[int, int] | None = None
        self._reformatter = VideoReformatter()
        self._cuts: set[float] = set()
        self._times: list[float] = []
        self._changes: list[float] = []
        self.image: FrameArray = np.zeros((1, 1, 3), np.uint8)

    def take(self, seconds: Fraction, frame: VideoFrame) -> list[float]:
        """The cuts, in seconds, that this picture made known; they may lie a little before it."""
        image = self._shrink(frame)
        change = cv2.norm(image, self.image, cv2.NORM_L1) / image.size if self._times else 0.0
        self._times.append(float(seconds))
        self._changes.append(change)
        self.image = image
        cuts = self._detector.process_frame(self._code(seconds), image)
        found = [float(cut.seconds) for cut in cuts]
        while self._known and self._known[0] <= float(seconds) + 1e-6:
            found.append(self._known.popleft())
        self._cuts.update(found)
        return found

    def finish(self) -> list[tuple[float, float]]:
        """(seconds, strength 0..1) of every cut. Strength is the change of the picture above that just around it."""
        times, changes = np.array(self._times), np.array(self._changes)
        cuts = []
        for at in sorted({int(np.argmin(np.abs(times - cut))) for cut in self._cuts}):
            around = np.median(changes[max(0, at - 12) : at + 13])
            cuts.append((float(times[at]), 1 - math.exp(-max(0.0, changes[at] - around) / CUT_CHANGE)))
        return cuts

    def _code(self, seconds: Fraction) -> FrameTimecode:
        return FrameTimecode(Timecode(pts=round(seconds / self._tick), time_base=self._tick), fps=self._rate)

    def _shrink(self, frame: VideoFrame) -> FrameArray:
        if self._size is None:
            self._size = (frame.width, frame.height)
        width, height = self._size
        factor = compute_downscale_factor(max(width, height))
        image: npt.NDArray[Any] = self._reformatter.reformat(frame, width, height, "bgr24", threads=1).to_ndarray()
        if factor > 1:
            small = (max(1, round(width / factor)), max(1, round(height / factor)))
            image = cv2.resize(image, small, interpolation=cv2.INTER_LINEAR)
        return np.asarray(image, dtype=np.uint8)


class _Looks:
    """Colours of the picture four times a second, and one thumbnail per shot, from about its middle."""

    def __init__(self, pixel_aspect: float) -> None:
        self._pixel_aspect = pixel_aspect
        self._thumbnail: Scaler | None = None
        self._due = 0.0
        self._spacing = CANDIDATE_SECONDS
        self._due_candidate = 0.0
        self._shot_start = 0.0
        self._times: list[float] = []
        self._values: list[npt.NDArray[np.float32]] = []
        self._candidates: list[tuple[float, FrameArray]] = []
        self._thumbnails: list[tuple[float, bytes]] = []

    def take(self, seconds: float, frame: VideoFrame, small: FrameArray, cuts: list[float]) -> None:
        if seconds + 1e-6 >= self._due:
            self._due = seconds + 1 / LOOK_FPS
            self._times.append(seconds)
            self._values.append(describe_colours(small))
        for cut in cuts:
            self._close_shot(cut)
        if seconds + 1e-6 >= self._due_candidate:
            self._due_candidate = seconds + self._spacing
            self._thumbnail = self._thumbnail or thumbnail_scaler(frame, self._pixel_aspect)
            self._candidates.append((seconds, self._thumbnail(frame)))
            if len(self._candidates) > CANDIDATES:
                self._candidates = self._candidates[::2]
                self._spacing *= 2

    def values(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """(times [L], looks [L, 5 + 64])."""
        return np.array(self._times, np.float64), np.array(self._values, np.float32)

    def finish(self, end: float) -> list[tuple[float, bytes]]:
        """(seconds, JPEG) for each shot, or for evenly chosen ones of very many."""
        self._close_shot(end)
        count = len(self._thumbnails)
        if count <= THUMBNAIL_LIMIT:
            return self._thumbnails
        chosen = np.linspace(0, count - 1, THUMBNAIL_LIMIT).round().astype(int)
        return [self._thumbnails[index] for index in chosen]

    def _close_shot(self, end: float) -> None:
        mine = [item for item in self._candidates if self._shot_start - 1e-6 <= item[0] < end - 1e-6]
        if mine:
            middle = (self._shot_start + end) / 2
            seconds, image = min(mine, key=lambda item: abs(item[0] - middle))
            self._thumbnails.append((seconds, to_jpeg(image)))
        self._candidates = [item for item in self._candidates if item[0] >= end - 1e-6]
        self._shot_start = end
        self._spacing = CANDIDATE_SECONDS
        self._due_candidate = 0.0 if not self._candidates else self._candidates[-1][0] + self._spacing


def describe_colours(image: FrameArray) -> npt.NDArray[np.float32]:
    """[5 + 64]: mean red, green, blue, brightness, saturation (0..1), then the share of each 4 x 4 x 4 RGB bin."""
    small = cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA)[..., ::-1].reshape(-1, 3).astype(np.int32)
    high, low = small.max(axis=1), small.min(axis=1)
    saturation = float(np.mean((high - low) / np.maximum(high, 1)))
    index = small * HISTOGRAM_BINS // 256 @ np.array([HISTOGRAM_BINS**2, HISTOGRAM_BINS, 1])
    histogram = np.bincount(index, minlength=HISTOGRAM_BINS**3) / len(small)
    means = small.mean(axis=0) / 255
    brightness = float(means @ (0.2126, 0.7152, 0.0722))  # BT.709 luma
    return np.concatenate([means, [brightness, saturation], histogram]).astype(np.float32)


def thumbnail_scaler(frame: VideoFrame, pixel_aspect: float) -> Scaler:
    """Scaler to thumbnails in the shape that `frame` is shown in; `pixel_aspect` is width by height of a pixel."""
    aspect = frame.width * pixel_aspect / frame.height
    if quarter_turns(frame.rotation) % 2:
        aspect = 1 / aspect
    width = round(THUMBNAIL_SIDE * min(1.0, aspect))
    height = round(THUMBNAIL_SIDE * min(1.0, 1 / aspect))
    return Scaler(max(2, width), max(2, height))


def to_jpeg(image: FrameArray) -> bytes:
    """JPEG file of an [H, W, 3] RGB picture."""
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    assert done, image.shape
    return data.tobytes()
