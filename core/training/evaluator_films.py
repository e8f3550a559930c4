"""Where the evaluator's films come from: the sound corpus, or a folder that `gvm dataset` wrote -> features.

Features are computed once and kept beside the data, in DATA/evaluator-features; sound isn't kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import DatasetError, ModelError
from core.evaluation import listen
from core.evaluation.front import DescriptorFront, Front, PublishedFront
from core.evaluation.look import slots
from core.starter.sound_corpus import load_scenes
from core.training.evaluator_data import Film
from core.training.manifest import ABOUT, DAMAGED, Dataset, Pair, read_dataset
from core.vision.descriptors import FEATURE_SECONDS
from core.vision.picture import PictureFeatures

HELD_OUT_SHARDS: Final = 8  # of the sound corpus, the first ones: nothing learns from them
FEATURES: Final = "evaluator-features"

Say = Callable[[str], None]


def read_films(data: Path, front: Front, say: Say, held_out_only: bool = False) -> tuple[list[Film], list[Film]]:
    """Films to learn from and films held out, of a sound corpus or a data set.

    ModelError where `data` is neither; DatasetError for pairs without what is needed.
    """
    if any(data.glob("sound-*.npz")):
        if not isinstance(front, DescriptorFront):
            raise ModelError(
                f"{data}: a sound corpus keeps no pictures that a published model could see: give a data set"
            )
        train = [] if held_out_only else read_corpus(data, say, least_shard=HELD_OUT_SHARDS)
        return train, read_corpus(data, say, most_shard=HELD_OUT_SHARDS)
    if not (data / ABOUT).is_file():
        raise ModelError(
            f"{data} holds neither a sound corpus (scripts/make_sound_corpus.py) nor a data set (gvm dataset build)"
        )
    dataset = read_dataset(data)
    train_pairs = () if held_out_only else dataset.split("train")
    return _pairs(dataset, train_pairs, front, say), _pairs(dataset, dataset.split("test"), front, say)


def read_corpus(data: Path, say: Say, least_shard: int = 0, most_shard: int | None = None) -> list[Film]:
    """Films of the sound corpus' shards least_shard .. most_shard - 1, features cached. ModelError for damaged ones."""
    films: list[Film] = []
    for path in sorted(data.glob("sound-*.npz")):
        number = int(path.stem.rpartition("-")[2])
        if number >= least_shard and (most_shard is None or number < most_shard):
            films += _shard(path, data / FEATURES / f"{path.stem}-{listen.VERSION}.npz", say)
    return films


def _shard(path: Path, cached: Path, say: Say) -> list[Film]:
    if not cached.is_file():
        say(f"hearing {path.name}")
        arrays: dict[str, Any] = {}
        for index, scene in enumerate(load_scenes(path)):
            arrays[f"{index}.picture"] = scene.patches
            arrays[f"{index}.music"] = listen.listen(np.asarray(scene.sound / 32768, np.float32))
        _keep(cached, arrays)
    kept = _kept(cached)
    rates = 1 / FEATURE_SECONDS, float(listen.FRAME_RATE)
    return [Film(kept[f"{i}.picture"], kept[f"{i}.music"], *rates) for i in range(len(kept) // 2)]


def _pairs(dataset: Dataset, pairs: tuple[Pair, ...], front: Front, say: Say) -> list[Film]:
    films = []
    for pair in pairs:
        cached = dataset.folder / FEATURES / f"{pair.id}-{front.name}-{listen.VERSION}.npz"
        if not cached.is_file():
            say(f"watching and hearing {pair.id}")
            picture, music = _watched(dataset, pair, front)
            _keep(cached, {"picture": picture, "music": music})
        kept = _kept(cached)
        films.append(Film(kept["picture"], kept["music"], front.picture_rate, front.music_rate))
    return films


def _watched(
    dataset: Dataset, pair: Pair, front: Front
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:  # fmt: skip
    """Features of one pair, at the front's rates."""
    import soundfile

    if pair.music is None:
        raise DatasetError(
            f"{dataset.folder}: pair {pair.id} has no music file to hear; build the data set without --no-music"
        )
    try:
        sound, rate = soundfile.read(dataset.path(pair.music), dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as err:
        raise DatasetError(f"{dataset.path(pair.music)}: can't be read ({err}); build the data set again") from err
    mono = listen.to_mono(np.ascontiguousarray(sound.T), rate, front.sound_rate)
    picture = _picture(dataset, pair, front)
    if isinstance(front, PublishedFront):
        return front.see(picture, 0.0, pair.seconds), front.hear(mono)
    return slots(picture, 0.0, pair.seconds), listen.listen(mono)


def _picture(dataset: Dataset, pair: Pair, front: Front) -> PictureFeatures:
    from core.frames import decode_frames

    if isinstance(front, DescriptorFront) and front.name in pair.features:
        values, times = dataset.features(pair, front.name)
        return PictureFeatures(times, values)
    if pair.clip is None:
        raise DatasetError(f"{dataset.folder}: pair {pair.id} has no clip to watch; build the data set with clips")
    encoder = front.open_encoder()
    for seconds, frame in decode_frames(dataset.path(pair.clip), encoder.width, encoder.height, encoder.fps):
        encoder.push(seconds, frame)
    return encoder.finish()


def _keep(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **{name: value.astype(np.float16) for name, value in arrays.items()})  # type: ignore[arg-type]
    partial.replace(path)


def _kept(path: Path) -> dict[str, npt.NDArray[np.float16]]:
    try:
        with path.open("rb") as file, np.load(file) as kept:
            return {name: kept[name] for name in kept.files}
    except DAMAGED as err:
        raise ModelError(f"{path} is damaged ({err}): delete it, it is made again") from err
