"""The folder of a data set says what was written to it, and nothing impossible."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from core.errors import DatasetError
from core.training import manifest
from core.training.manifest import CodecInfo, Pair, read_dataset, write_codes, write_dataset, write_features

CODEC = CodecInfo("c0de" * 16, 32_000, 640, 4, 2048)


def pair(number: int, split: str = "train", film: str = "a", **more: Any) -> Pair:
    name = f"{film}-{number:03}"
    return Pair(
        id=name,
        split=split,
        source=f"{film}.mp4",
        source_sha256=film * 64,
        start=30.0 * number,
        end=30.0 * number + 2,
        **({"clip": f"clips/{name}.mp4", "music": f"music/{name}.flac"} | more),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 2048, (4, 100))
    values, times = np.random.default_rng(1).normal(size=(8, 33, 16)), np.arange(8) / 4
    first = pair(0, codes="codes/a-000.npz", features={"descriptors": "features/descriptors/a-000.npz"}, clip=None)
    second = pair(0, "test", "b", type="vlog", type_by="person", labels={"mood": "höflich", "rating": 3})
    write_codes(tmp_path / str(first.codes), codes, CODEC)
    write_features(tmp_path / first.features["descriptors"], values, times)
    write_dataset(tmp_path, [first, second], CODEC, "gvm 0.1.0", dropped={"speech": 2})

    data = read_dataset(tmp_path)
    assert data.pairs == (first, second) and data.codec == CODEC
    assert data.split("train") == (first,) and data.split("test") == (second,)
    assert data.about["counts"]["train"] == {"pairs": 1, "films": 1, "hours": round(2 / 3600, 4)}
    assert data.about["dropped"] == {"speech": 2}
    np.testing.assert_array_equal(data.codes(first), codes)
    seen, at = data.features(first, "descriptors")
    np.testing.assert_array_equal(seen, values.astype(np.float16))
    np.testing.assert_array_equal(at, times)
    assert data.codec.codes_per_second == 50


def test_the_manifest_is_one_json_object_a_line(tmp_path: Path) -> None:
    write_dataset(tmp_path, [pair(0), pair(1)], None, "gvm")
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a-000", "a-001"]
    assert {
        "split",
        "source",
        "source_sha256",
        "start",
        "end",
        "clip",
        "music",
        "codes",
        "features",
        "type",
        "labels",
    } < {*rows[0]}


def test_fields_of_others_are_let_be(tmp_path: Path) -> None:
    write_dataset(tmp_path, [pair(0)], None, "gvm")
    row = json.loads((tmp_path / "manifest.jsonl").read_text())
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row | {"colour_grade": "teal"}) + "\n\n")
    assert read_dataset(tmp_path).pairs == (pair(0),)


def test_a_film_on_both_sides_is_refused_in_writing_and_reading(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"film a.mp4 is in train and in test"):
        write_dataset(tmp_path, [pair(0), pair(1, "test")], None, "gvm")
    copies = [pair(0, group="same"), pair(0, "test", "b", group="same")]
    with pytest.raises(DatasetError, match="is in train and in test"):
        write_dataset(tmp_path, copies, None, "gvm")
    write_dataset(tmp_path, [pair(0), pair(1)], None, "gvm")
    lines = (tmp_path / "manifest.jsonl").read_text()
    (tmp_path / "manifest.jsonl").write_text(lines.replace('"train"', '"test"', 1))
    with pytest.raises(DatasetError, match="is in train and in test"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "valid"}, "split is 'valid'"),
        ({"id": ""}, "no id"),
        ({"end": 0.0}, "are no span"),
        ({"end": float("nan")}, "are no span"),
        ({"start": "0"}, "are no span"),
        ({"music": None}, "lacks music"),
        ({"clip": None}, "lacks a picture"),
        ({"clip": "../secret.mp4"}, "no path inside"),
        ({"clip": "/etc/passwd"}, "no path inside"),
        ({"clip": "C:\\film.mp4"}, "no path inside"),
        ({"labels": []}, "must be objects"),
        ({"source": 7}, "no text"),
    ],
)
def test_a_line_that_cant_be_right_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_dataset(tmp_path, [pair(0), pair(1)], None, "gvm")
    path = tmp_path / "manifest.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{json.dumps(json.loads(second) | change)}\n")
    with pytest.raises(DatasetError, match=message) as caught:
        read_dataset(tmp_path)
    assert "line 2" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("dataset.json", None, "is no data set"),
        ("dataset.json", "{", "can't be read"),
        ("dataset.json", "[]", "not the description"),
        ("dataset.json", '{"format": 99}', "update gvm"),
        ("dataset.json", '{"format": 1, "codec": {"rate": 1}}', "its codec"),
        ("manifest.jsonl", None, "can't be read"),
        ("manifest.jsonl", "{\n", "line 1"),
        ("manifest.jsonl", "[1]\n", "is no pair"),
        ("manifest.jsonl", '{"id": "x"}\n', "line 1"),
    ],
)
def test_a_broken_folder_is_named_in_one_line(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    write_dataset(tmp_path, [pair(0)], None, "gvm")
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=message) as caught:
        read_dataset(tmp_path)
    assert "\n" not in str(caught.value)


def clip(path: Path, seconds: int) -> None:
    """Two pictures a second."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=2)
        stream.width = stream.height = 16
        for _ in range(2 * seconds):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        output.mux(stream.encode(None))


def test_clips_and_music_are_as_long_as_their_pair(tmp_path: Path) -> None:
    for name in ("clips", "music"):
        (tmp_path / name).mkdir()
    pairs = [pair(number) for number in range(3)]
    for each, seconds in zip(pairs, (2, 3, 2), strict=True):
        clip(tmp_path / str(each.clip), seconds)
        soundfile.write(tmp_path / str(each.music), np.zeros(round(8000 * seconds)), 8000)
    (tmp_path / str(pairs[2].clip)).write_bytes(b"no film")
    (tmp_path / str(pairs[2].music)).write_bytes(b"no music")
    write_dataset(tmp_path, pairs, None, "gvm")
    problems = read_dataset(tmp_path).check_files()
    for line, (name, said) in zip(
        problems,
        [
            ("clips/a-001.mp4", "lasts 3.00 s, the pair 2.00 s"),
            ("music/a-001.flac", "lasts 3.00 s, the pair 2.00 s"),
            ("clips/a-002.mp4", "is damaged"),
            ("music/a-002.flac", "is damaged"),
        ],
        strict=True,
    ):
        assert name in line and said in line and "\n" not in line


def test_damaged_files_are_listed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ["whole", "cut", "gone", "other", "short", "wild"]
    pairs = [pair(0, film=str(n), codes=f"codes/{name}.npz", music=None) for n, name in enumerate(names)]
    pairs[0] = replace(pairs[0], features={"descriptors": "features/descriptors/0.npz"})
    for each in pairs:
        (tmp_path / "clips").mkdir(exist_ok=True)
        clip(tmp_path / str(each.clip), 2)
        write_codes(tmp_path / str(each.codes), rng.integers(0, 2048, (4, 100)), CODEC)
    write_features(tmp_path / "features/descriptors/0.npz", np.full((1, 2, 3), np.nan), np.zeros(1))
    whole = (tmp_path / "codes/cut.npz").read_bytes()
    (tmp_path / "codes/cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "codes/gone.npz").unlink()
    write_codes(tmp_path / "codes/other.npz", np.zeros((4, 100), int), replace(CODEC, sha256="else"))
    write_codes(tmp_path / "codes/short.npz", np.zeros((4, 50), int), CODEC)
    write_codes(tmp_path / "codes/wild.npz", np.full((4, 100), 2048), CODEC)
    write_dataset(tmp_path, pairs, CODEC, "gvm")

    problems = read_dataset(tmp_path).check_files()
    assert len(problems) == 6
    for name, problem in [
        ("0.npz", "no features"),
        ("cut.npz", "is damaged"),
        ("gone.npz", "is missing"),
        ("other.npz", "another codec"),
        ("short.npz", "has 50 steps"),
        ("wild.npz", "outside 0..2047"),
    ]:
        assert any(name in line and problem in line for line in problems), (name, problems)


def test_nothing_half_lies_there_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path, [pair(0)], None, "gvm")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(manifest.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_dataset(tmp_path, [pair(0), pair(1)], None, "gvm")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_reading_a_manifest_loads_no_torch() -> None:
    code = "import sys, core.training.manifest; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
