"""Tiny made-up copies of others' layouts are read as their descriptions say."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from dataset_films import RATE, film, moving, music

from core.errors import DatasetError, MediaError
from core.frames import decode_frames
from core.training.manifest import read_dataset
from gvm_plugin.cli import run
from gvm_plugin.dataset.build import build, read_all
from gvm_plugin.dataset.options import BuildOptions, Source
from gvm_plugin.dataset.readers import KINDS, read_sources
from gvm_plugin.dataset.tensors import DEVIATION, MEAN, read_pictures


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def by_name(sources: tuple[Source, ...]) -> dict[str, Source]:
    return {source.name: source for source in sources}


def write_lines(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_pairs_lie_side_by_side_or_in_two_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a.wav", "video/b.mkv", "audio/b.flac", "audio/b.mp3", "own.mov", "audio/alone.wav")
    touch(tmp_path, ".hidden.mp4", "notes.txt", "old/.gvm/films/x.json", "old/clips/c.mp4")
    found = read_sources("pairs", tmp_path)
    sources = by_name(found.sources)
    assert set(sources) == {"a.mp4", "video/b.mkv", "own.mov"}
    assert sources["a.mp4"].sound == tmp_path / "a.wav"
    assert sources["video/b.mkv"].sound == tmp_path / "audio/b.flac" and sources["own.mov"].sound is None
    assert [problem.source for problem in found.problems] == ["audio/alone.wav"]


def test_symmv(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "SymMV.csv", "index\tyoutube_url\ttonality\tshazam_id",
        "1\thttps://www.youtube.com/watch?v=AAAAAAAAAAA\tC\t11", "2\thttps://youtu.be/BBBBBBBBBBB\tAm\t12",
        "3\thttps://www.youtube.com/watch?v=CCCCCCCCCCC\tG\t",
    )  # fmt: skip
    touch(tmp_path, "chord/00001.txt", "midi/00001.mid", "videos/00001.mp4", "videos/A song [BBBBBBBBBBB].mp4")
    found = read_sources("symmv", tmp_path)
    first, second = found.sources
    assert first.picture.name == "00001.mp4" and first.type == "music video"
    assert first.labels["tonality"] == "C" and first.labels["midi"] == "midi/00001.mid"
    assert second.labels["index"] == "2" and "chords" not in second.labels
    (missing,) = found.problems
    assert missing.source == "SymMV 3" and "CCCCCCCCCCC" in missing.why


def test_muvi_sync(tmp_path: Path) -> None:
    meta = tmp_path / "vevo_meta"
    write_lines(meta / "idlist.txt", "001-A Band - A Song\tAAAAAAAAAAA", "002-Beyoncé - B\tBBBBBBBBBBB", "003-C\tC")
    for side, number in (("train", "001"), ("val", "002"), ("test", "003")):
        write_lines(meta / "split/v1" / f"{side}.txt", number)
    rows = ["time exciting_prob fearful_prob tense_prob sad_prob relaxing_prob neutral_prob"]
    rows += ["0 0.5 0 0 0.5 0 0", "1 0.1 0 0 0.9 0 0"]
    write_lines(tmp_path / "vevo_emotion/6c_l14p/all/001.lab", *rows)
    touch(tmp_path, "vevo/001.mp4", "vevo/002.mp4", "vevo_audio/002.mp3")
    found = read_sources("muvi-sync", tmp_path)
    first, second = found.sources
    assert (first.split, second.split) == ("train", "test")
    assert first.labels["title"] == "A Band - A Song" and first.labels["youtube_id"] == "AAAAAAAAAAA"
    assert first.labels["sad"] == 0.7 and first.labels["exciting"] == 0.3
    assert second.sound == tmp_path / "vevo_audio/002.mp3" and second.labels["official_split"] == "val"
    assert [problem.source for problem in found.problems] == ["MuVi-Sync 003"]


def test_aist(tmp_path: Path) -> None:
    names = [f"gBR_sBM_c0{camera}_d04_mBR0_ch01" for camera in (1, 2)]
    (tmp_path / "videos").mkdir()
    for name in names:
        film(tmp_path / "videos" / f"{name}.mp4", 1, None)
    touch(tmp_path, "videos/gWA_sFM_c03_d25_mWA2_ch04.mp4", "videos/gJB_sBM_c01_d07_mJB5_ch02.mp4", "videos/cat.mp4")
    touch(tmp_path, "music/mBR0.wav", "music/mWA2.wav")
    write_lines(tmp_path / "splits/crossmodal_train.txt", "gWA_sFM_cAll_d25_mWA2_ch04")
    write_lines(tmp_path / "splits/crossmodal_test.txt", "gBR_sBM_cAll_d04_mBR0_ch01")
    write_lines(tmp_path / "ignore_list.txt", "gJB_sBM_cAll_d07_mJB5_ch02")
    found = read_sources("aist", tmp_path)
    sources = by_name(found.sources)
    one, other = (sources[f"videos/{name}.mp4"] for name in names)
    assert one.group == other.group == "gBR_sBM_cAll_d04_mBR0_ch01" and one.split == "test"
    assert one.labels == {"genre": "break", "camera": "01", "dancer": "04", "music_id": "mBR0"}
    assert one.sound == tmp_path / "music/mBR0.wav"  # the video is silent
    assert sources["videos/gWA_sFM_c03_d25_mWA2_ch04.mp4"].split == "train"
    assert {problem.source for problem in found.problems} == {"videos/cat.mp4", "videos/gJB_sBM_c01_d07_mJB5_ch02.mp4"}


def test_tiktok(tmp_path: Path) -> None:
    touch(tmp_path, "videos/000007_7_188.mp4", "videos/000007_8_189.mp4", "videos/000012_1_300.mp4")
    audio = "/data/somebody/tiktok/audio_s2"
    write_lines(
        tmp_path / "tiktok_audio_test_segment.txt", f"{audio}/000007_7_188_seg3.wav", f"{audio}/000007_8_189_seg1.wav"
    )
    write_lines(
        tmp_path / "tiktok_audio_train_segment.txt", f"{audio}/000012_1_300_seg1.wav", f"{audio}/9_9_9_seg2.wav"
    )
    found = read_sources("tiktok", tmp_path)
    assert [source.split for source in found.sources] == ["test", "test", "train"]
    assert found.sources[0].group == found.sources[1].group != found.sources[2].group
    assert [problem.source for problem in found.problems] == ["TikTok 9_9_9"]


def normalised(pictures: np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(pictures.astype(np.float32) / 255).permute(0, 3, 1, 2)
    return (tensor - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(DEVIATION).view(1, 3, 1, 1)


def published(folder: Path) -> np.ndarray:
    """The published layout: two whole pairs, one without tensor, one tensor that is a list."""
    draw = moving(1, (64, 64))
    pictures = np.stack([draw(second) for second in range(6)])
    (folder / "pt").mkdir(parents=True)
    (folder / "wav").mkdir()
    torch.save(normalised(pictures), folder / "pt/one.pt")
    torch.save(normalised(pictures[::-1].copy()), folder / "pt/two.pt")
    torch.save([1, 2], folder / "pt/list.pt")
    rows: dict[str, list[str]] = {"train": [], "eval": []}
    for name, side in (("one", "train"), ("two", "eval"), ("list", "train"), ("lost", "train")):
        soundfile.write(folder / f"wav/{name}.wav", music(6)[0, ::3][: 6 * RATE // 3], RATE // 3)
        row = {"path": f"/home/them/wav/{name}.wav", "duration": 6.0, "sample_rate": 16000, "amplitude": None}
        rows[side].append(json.dumps({**row, "weight": None, "info_path": None, "genre": "folk"}))
    for side, lines in rows.items():
        write_lines(folder / side / "data.jsonl", *lines)
    return pictures


def test_the_published_layout_becomes_small_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = published(tmp_path / "theirs")
    out = tmp_path / "data"
    arguments = ["dataset", "import", "published", str(tmp_path / "theirs"), "--out", str(out), "--side", "64"]
    assert run([*arguments, "--jobs", "1", "-q"]) == 1
    said = capsys.readouterr().err
    assert "lost.wav" not in said and "a frame tensor (.pt) of its name" in said
    assert "list.pt: holds list, no tensor" in said
    data = read_dataset(out)
    assert {(pair.source, pair.split, pair.end) for pair in data.pairs} == {
        ("pt/one.pt", "train", 6.0), ("pt/two.pt", "test", 6.0)
    }  # fmt: skip
    pair = data.split("train")[0]
    assert pair.labels == {"genre": "folk"} and pair.music is not None and pair.clip is not None
    assert (out / pair.clip).stat().st_size < 20_000
    seen = [rgb for _, rgb in decode_frames(out / pair.clip, 64, 64, Fraction(1))]
    assert len(seen) == 6
    assert np.abs(np.stack(seen).astype(float) - pictures).mean() < 6
    assert soundfile.info(out / pair.music).frames == 6 * RATE


class _Program:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        raise_if_run: Callable[[str], int] = os.system
        return raise_if_run, ("exit 3",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3, 4), r"is \[3, 4\], not \[pictures, 3, height, width\]"),
        (torch.zeros(2, 4, 32, 32), r"is \[2, 4, 32, 32\]"),
        (torch.full((1, 3, 32, 32), float("nan")), "no numbers"),
        ({"a": 1}, "holds dict"),
        (b"no tensor", "no whole tensor"),
        (pickle.dumps(_Program()), "holds more than tensors"),
    ],
)
def test_a_tensor_that_is_none_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "a.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(MediaError, match=message):
        read_pictures(path)


def test_tensors_of_bytes_and_shares_are_read_too(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), np.uint8)
    channels = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    for tensor in (channels, channels / 255, normalised(pictures), normalised(pictures)[None]):
        torch.save(tensor, tmp_path / "a.pt")
        np.testing.assert_allclose(read_pictures(tmp_path / "a.pt"), pictures, atol=1)


def test_pairs_that_dont_belong_together_are_listed(tmp_path: Path) -> None:
    film(tmp_path / "good.mp4", 6, None, moving(1))
    film(tmp_path / "bad.mp4", 6, None, moving(2))
    soundfile.write(tmp_path / "good.wav", music(6.3).T, RATE)
    soundfile.write(tmp_path / "bad.wav", music(20).T, RATE)
    found = read_all("pairs", [tmp_path], {})
    options = BuildOptions(seconds=5, side=54, checks=("text",))
    result = build(found, tmp_path / "data", options)
    assert [pair.source for pair in result.pairs] == ["good.mp4"]
    (problem,) = result.problems
    assert problem.source == "bad.mp4" and "picture lasts 6.0 s, its sound bad.wav 20.0 s" in problem.why
    assert soundfile.info(tmp_path / "data" / str(result.pairs[0].music)).frames == 5 * RATE


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_something_else_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(DatasetError, match=r"docs/dataset\.md") as caught:
        read_sources(kind, tmp_path)
    assert "\n" not in str(caught.value)
