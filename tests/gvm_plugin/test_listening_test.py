"""The folder of a listening test: blind, at one loudness, with the same picture for all systems."""

from __future__ import annotations

import json
import os
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DeliveryError, FFmpegError, GVMError, MediaError
from gvm_plugin.cli import run
from gvm_plugin.evaluate import listening
from gvm_plugin.evaluate.listening import ListeningOptions, ListeningTest, build_listening_test
from gvm_plugin.evaluate.listening_sound import Excerpt, common_loudness, measure_excerpt, sound_seconds
from gvm_plugin.loudness import measure_loudness
from gvm_plugin.probe import probe_sound, read_audio_blocks
from tests.conftest import picture, write_clip

LOUD, SOFT = "zebrasystem", "quaggasystem"  # names that nothing in the folder would hold by chance
FILMS = ("harbour at dawn", "market")
SECONDS = 1.2


def write_music(path: Path, pitch: float, peak: float, seconds: float = 2.0, rate: int = 48_000) -> Path:
    """A chord with a pulse, so that loudness and peak aren't those of a plain sine."""
    times = np.arange(round(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * pitch * part * times) for part in (1, 1.5, 2)) * np.exp(-4 * (times % 0.5))
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, (peak * wave / np.abs(wave).max()).astype(np.float32), rate)
    return path


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with videos/ and the music of two systems; one of them writes 25 dB louder, the other at another rate."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "videos").mkdir()
    for index, name in enumerate(FILMS):
        write_clip(
            folder / "videos" / f"{name}.mp4", 2.0, Fraction(25), (160, 90) if index else (90, 160), (1.0,), None
        )
        write_music(folder / LOUD / f"{name}.wav", 220 * (1 + index), 0.9)
        write_music(folder / SOFT / f"{name}_{SOFT}.wav", 330 * (1 + index), 0.05, rate=32_000)
    return folder


@pytest.fixture(scope="module")
def built(material: Path) -> ListeningTest:
    systems = {LOUD: material / LOUD, SOFT: material / SOFT}
    return build_listening_test(material / "videos", systems, material / "test", ListeningOptions(seconds=SECONDS))


def page_data(test: ListeningTest) -> dict[str, object]:
    html = test.page.read_text(encoding="utf-8")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    data: dict[str, object] = json.loads(found[1])
    return data


def test_nothing_in_the_folder_tells_a_system_or_a_film(built: ListeningTest) -> None:
    files = [path for path in built.folder.rglob("*") if path.is_file()]
    assert len(files) == 2 + built.samples
    for path in files:
        assert not re.search("zebra|quagga|harbour|market", path.name)
        assert not re.search(rb"zebra|quagga|harbour|market", path.read_bytes(), re.IGNORECASE)
    assert not built.key.is_relative_to(built.folder)
    assert len({path.stat().st_mtime for path in built.folder.rglob("*")}) == 1


def test_samples_of_a_film_differ_in_their_sound_alone(built: ListeningTest) -> None:
    whose = json.loads(built.key.read_text())["samples"]
    assert {(each["film"], each["system"]) for each in whose.values()} == {(f, s) for f in FILMS for s in (LOUD, SOFT)}
    for film in FILMS:
        seen = []
        for name in (name for name, each in whose.items() if each["film"] == film):
            with av.open(str(built.folder / "media" / f"{name}.mp4")) as sample:
                assert [stream.type for stream in sample.streams] == ["video", "audio"]
                sound, video = sample.streams.audio[0], sample.streams.video[0]
                assert (sound.rate, sound.channels, sound.codec.name, video.codec.name) == (48_000, 2, "aac", "h264")
                assert not set(sample.metadata) - {"major_brand", "minor_version", "compatible_brands"}
                seen.append([frame.to_ndarray(format="gray") for frame in sample.decode(video)])
        assert len(seen) == 2 and len(seen[0]) == pytest.approx(SECONDS * 25, abs=1)
        assert all(np.array_equal(one, other) for one, other in zip(*seen, strict=True))
        shape = (160, 90) if film == FILMS[0] else (90, 160)
        assert seen[0][0].shape == shape
    grey = picture(0.0, (160, 90), (1.0,)).mean(axis=2)
    assert np.abs(seen[0][0] - grey).mean() < 25  # the last film's first picture, roughly


def test_all_samples_are_equally_loud(built: ListeningTest) -> None:
    paths = sorted((built.folder / "media").iterdir())
    measured = [measure_loudness(read_audio_blocks(probe_sound(path)), true_peak=True) for path in paths]
    for each in measured:
        assert each.integrated_lufs == pytest.approx(built.lufs, abs=0.5)
        assert each.true_peak_dbtp is not None and each.true_peak_dbtp < 0
    assert len(paths) == 5  # the sound check too


def test_loudness_gives_way_to_peaks_and_nobody_is_limited() -> None:
    tame, spiky = (Excerpt(Path("x.wav"), 0, 15, -20, peak) for peak in (-8.0, -0.5))
    assert common_loudness([tame]) == -18
    assert common_loudness([tame, spiky]) == pytest.approx(-21)  # its peak comes to -1.5 dBTP, room for the codec


def test_the_page_knows_samples_series_and_orders(built: ListeningTest) -> None:
    data, key = page_data(built), json.loads(built.key.read_text())
    assert isinstance(data["samples"], list) and isinstance(data["series"], list) and isinstance(data["orders"], list)
    names = [sample["id"] for sample in data["samples"]]
    assert names == sorted(key["samples"]) and data["test"] == key["test"]
    assert len(data["orders"]) == 60 and all(sorted(order) == [0, 1, 2, 3] for order in data["orders"])
    for series in data["series"]:
        owner = key["series"][series["id"]]["system"]
        assert [key["samples"][names[index]]["system"] for index in series["samples"]] == [owner] * len(FILMS)
    first = [key["samples"][names[order[0]]]["system"] for order in data["orders"]]
    assert first.count(LOUD) == first.count(SOFT) == 30


def test_names_are_drawn_anew_each_time(material: Path, built: ListeningTest, tmp_path: Path) -> None:
    systems = {LOUD: material / LOUD, SOFT: material / SOFT}
    again = build_listening_test(
        material / "videos", systems, tmp_path / "test", ListeningOptions(seconds=0.5, series=0)
    )
    assert not set(page_data(again)["samples"][0]) ^ {"id", "seconds"}  # type: ignore[index]
    assert not {path.name for path in (again.folder / "media").iterdir()} & {
        path.name for path in (built.folder / "media").glob("*.mp4")
    }
    assert page_data(again)["series"] == [] and again.minutes == pytest.approx(4 * 0.5 / 60)


def test_what_lacks_music_is_left_out_and_what_is_short_shortens_all(material: Path, tmp_path: Path) -> None:
    write_music(tmp_path / "c" / "market.wav", 440, 0.5, seconds=0.8)
    systems = {LOUD: material / LOUD, "c": tmp_path / "c"}
    test = build_listening_test(
        material / "videos", systems, tmp_path / "test", ListeningOptions(seconds=1.5, series=0)
    )
    assert test.films == 1 and test.samples == 2
    assert test.notes == (
        "harbour at dawn.mp4: left out, without music from c",
        "market.mp4: the music of c is short, so all its samples have 0.8 s",
    )
    lengths = [sample["seconds"] for sample in page_data(test)["samples"]]  # type: ignore[attr-defined]
    assert lengths == [0.8, 0.8]


def test_impossible_tests_are_refused_in_a_line(material: Path, tmp_path: Path) -> None:
    videos, both = material / "videos", {LOUD: material / LOUD, SOFT: material / SOFT}
    out = tmp_path / "test"
    with pytest.raises(ValueError, match="two systems at least"):
        build_listening_test(videos, {LOUD: material / LOUD}, out)
    with pytest.raises(ValueError, match="handed out"):
        build_listening_test(videos, both, out, key=out / "key.json")
    with pytest.raises(ValueError, match=r"at least 0\.4 s"):
        ListeningOptions(seconds=0.1)
    with pytest.raises(MediaError, match=r"too early for 15 s from 1\.9 s on; choose --start"):
        build_listening_test(videos, both, out, ListeningOptions(start=1.9))
    soundfile.write(tmp_path / "market.wav", np.zeros((96_000, 2)), 48_000)
    with pytest.raises(MediaError, match=r"market\.wav: is silent from 0 s to 1 s"):
        build_listening_test(videos, {LOUD: material / LOUD, "silent": tmp_path}, out, ListeningOptions(seconds=1))
    assert not out.exists() and sorted(path.name for path in tmp_path.iterdir()) == ["market.wav"]
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for overwrite, said in ((False, "isn't empty"), (True, "other than a listening test")):
        with pytest.raises(DeliveryError, match=said) as caught:
            build_listening_test(videos, both, out, overwrite=overwrite)
        assert isinstance(caught.value, GVMError) and "\n" not in str(caught.value)
    assert (out / "thesis.tex").read_text() == "years of work"


def quick(material: Path, out: Path, key: Path | None = None, overwrite: bool = False) -> ListeningTest:
    """A test of short samples."""
    systems = {LOUD: material / LOUD, SOFT: material / SOFT}
    options = ListeningOptions(seconds=0.5, series=0)
    return build_listening_test(material / "videos", systems, out, options, key=key, overwrite=overwrite)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["thesis.tex", "answers/answers-P01.csv", "media/photo.jpg", "media/answers/P1.csv"])
def test_overwriting_a_test_takes_away_nothing_else(built: ListeningTest, material: Path, name: str) -> None:
    stranger = built.folder / name
    before = content(built.folder)
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_text("years of work")
    try:
        with pytest.raises(DeliveryError, match=f"something other than a listening test .{name.partition('/')[0]}"):
            quick(material, built.folder, overwrite=True)
        assert content(built.folder) == before | {name: b"years of work"}
    finally:
        stranger.unlink()
        if stranger.parent not in (built.folder, built.folder / "media"):
            stranger.parent.rmdir()


def test_a_web_site_with_a_folder_of_media_is_no_listening_test(material: Path, tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "index.html").write_text("my home page")
    with pytest.raises(DeliveryError, match=r"other than a listening test \(index\.html\)"):
        quick(material, tmp_path, overwrite=True)
    assert (tmp_path / "index.html").read_text() == "my home page"


def test_where_the_new_test_cannot_be_put_the_old_one_stays(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unencoded(films: object, samples: list[listening._Sample], lufs: float, folder: Path, progress: object) -> None:
        folder.mkdir()
        for sample in samples:
            (folder / f"{sample.id}.mp4").write_text(sample.id)

    monkeypatch.setattr(listening, "_write_samples", unencoded)
    old = quick(material, tmp_path / "test")
    before = content(tmp_path)
    replace = os.replace

    def fails(source: Path, target: Path) -> None:
        if Path(target) == old.key:
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(DeliveryError, match="Permission denied"):
        quick(material, tmp_path / "test", overwrite=True)
    assert content(tmp_path) == before
    with pytest.raises(DeliveryError, match="Permission denied"):
        quick(material, tmp_path / "another", key=old.key, overwrite=True)
    assert content(tmp_path) == before and not (tmp_path / "another").exists()
    monkeypatch.setattr(os, "replace", replace)
    new = quick(material, tmp_path / "test", overwrite=True)
    assert json.loads(new.key.read_text())["test"] == page_data(new)["test"]
    assert not set(content(tmp_path / "test" / "media")) & {Path(name).name for name in before}


def test_a_full_disk_is_named_with_its_folder(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    def full(arguments: object) -> str:
        raise FFmpegError("ffmpeg failed (228)", [], "Error closing file: No space left on device\n")

    monkeypatch.setattr(listening, "run_ffmpeg", full)
    out = tmp_path / "test"
    with pytest.raises(DeliveryError, match=r"test: can't be written \(no space left on device\); make room"):
        quick(material, out)
    assert not list(tmp_path.iterdir())


def test_where_the_key_cannot_lie_is_said_before_the_work(material: Path, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"nofolder: there is no such folder; .*--key"):
        quick(material, tmp_path / "test", key=tmp_path / "nofolder" / "key.json")
    notes = tmp_path / "notes.json"
    notes.write_text("{}")
    with pytest.raises(DeliveryError, match=r"notes\.json: is something other than the key of a listening test"):
        quick(material, tmp_path / "test", key=notes, overwrite=True)
    assert content(tmp_path) == {"notes.json": b"{}"}


def test_the_folder_may_be_the_one_where_one_stands(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    test = quick(material, Path())
    assert (tmp_path / "here" / "index.html").is_file() and Path.cwd() == tmp_path / "here"
    assert test.key.samefile(tmp_path / "here.key.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "here.key.json"]


def test_no_drawn_name_is_a_number_to_a_spreadsheet(built: ListeningTest) -> None:
    key = json.loads(built.key.read_text())
    for name in (key["test"], *key["samples"], *key["series"]):
        assert re.fullmatch("s[0-9a-f]{10,12}", name)


def test_what_comes_after_the_samples_is_said_only_where_it_comes(built: ListeningTest, tmp_path: Path) -> None:
    assert "series of films again" in built.page.read_text(encoding="utf-8")
    data = page_data(built) | {"series": [], "seriesOrders": []}
    assert "series of films again" not in listening._render(data, "Test")


def test_music_whose_header_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    """A recording that was streamed: Matroska without a duration."""
    path = tmp_path / "live.mka"
    with av.open(str(path), "w", format="matroska", options={"live": "1"}) as out:
        stream = out.add_stream("flac", rate=48_000, layout="mono")
        for number in range(15):
            frame = av.AudioFrame.from_ndarray(np.full((1, 4800), 1000, np.int16), format="s16", layout="mono")
            frame.rate, frame.pts = 48_000, number * 4800
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert probe_sound(path).duration == 0
    assert sound_seconds(path, 9.0) == pytest.approx(1.5)
    assert sound_seconds(path, 0.7) == pytest.approx(0.7)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20_000), st.integers(1, 20_000), st.sampled_from([".wav", ".flac"]))
def test_music_is_as_long_as_it_is_but_no_longer_than_was_asked(
    material: Path, samples: int, most: int, suffix: str
) -> None:
    path = material / f"long{suffix}"
    soundfile.write(path, np.full(samples, 0.1), 48_000)
    assert sound_seconds(path, most / 48_000) == min(samples, most) / 48_000


def test_music_with_samples_that_are_no_numbers_is_named(tmp_path: Path) -> None:
    wave = np.full(48_000, 0.1, np.float32)
    wave[1000] = np.inf
    soundfile.write(tmp_path / "bad.wav", wave, 48_000, subtype="FLOAT")
    with pytest.raises(MediaError, match=r"bad\.wav: holds samples that are no numbers; export it again"):
        measure_excerpt(tmp_path / "bad.wav", 0.0, 1.0)


def test_the_command_says_what_to_hand_out_and_what_to_keep(
    material: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "to hand out"
    arguments = ["evaluate", "listening-test", "--videos", str(material / "videos"), "--out", str(out)]
    arguments += ["--system", f"a={material / LOUD}", "--system", f"b={material / SOFT}", "--seconds", "0.5"]
    assert run([*arguments, "--pattern", "b={stem}_quagga*", "--title", "Which <b> fits?"]) == 0
    said = capsys.readouterr().out
    assert f"hand out {out}: listeners open index.html" in said
    assert f"keep back {tmp_path / 'to hand out.key.json'}" in said
    assert "Which &lt;b&gt; fits?" in (out / "index.html").read_text()
    assert run(arguments) == 1
    assert capsys.readouterr().err == f"error: {out}: isn't empty; choose another folder with --out, or --overwrite\n"
    assert run([*arguments, "--system", f"a={material}"]) == 2
    assert "--system a is given twice" in capsys.readouterr().err
    assert run([*arguments, "--overwrite", "--quiet"]) == 0 and capsys.readouterr().out == ""
