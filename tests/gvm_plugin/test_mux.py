import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from core.errors import DeliveryError, FFmpegError
from gvm_plugin.ffmpeg import OVERRIDE, ffmpeg_exe, file_url, run_ffmpeg
from gvm_plugin.mux import container_for, delivered_name, mux
from gvm_plugin.probe import MediaInfo, probe
from gvm_plugin.wav import Block, write_wav
from tests.conftest import ClipFactory

RATE = 48_000
TAGS = """;FFMETADATA1
title=My film
artist=Me
[CHAPTER]
TIMEBASE=1/1000
START=0
END=500
title=One
[CHAPTER]
TIMEBASE=1/1000
START=500
END=1000
title=Two
"""


def score(folder: Path, info: MediaInfo) -> Path:
    """A sound file as long as the picture: clicks at its first sample and every quarter of a second, over noise."""
    samples = round(Fraction(info.picture_duration).limit_denominator(10**6) * RATE)
    sound = np.random.default_rng(0).standard_normal((2, samples)).astype(np.float32) * 0.02
    sound[:, :: RATE // 4] = 0.9
    write_wav(folder / "score.wav", [sound], samples)
    return folder / "score.wav"


def decoded(path: Path, track: int = 0) -> Block:
    """The sound of `path` as ffmpeg plays it, edit lists and all."""
    argv = [ffmpeg_exe(), "-v", "error", "-i", file_url(path), "-map", f"0:a:{track}", "-f", "f32le", "-"]
    raw = subprocess.run(argv, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.float32).reshape(-1, 2).T


def packets(path: Path, index: int) -> list[tuple[bytes, Fraction | None, Fraction | None, Fraction]]:
    """(bytes, pts, dts, duration) of every packet of the picture; times in seconds after the first picture's."""
    with av.open(file_url(path)) as file:
        stream = file.streams[index]
        base = Fraction(stream.time_base or 1)
        read = [packet for packet in file.demux(stream) if packet.size]
        start = min(packet.pts for packet in read if packet.pts is not None)
        return [
            (
                bytes(packet),
                None if packet.pts is None else (packet.pts - start) * base,
                None if packet.dts is None else (packet.dts - start) * base,
                (packet.duration or 0) * base,
            )
            for packet in read
        ]


def enrich(film: Path, folder: Path, *more: str) -> Path:
    """The film with two languages of sound, subtitles, chapters and tags."""
    (folder / "tags.txt").write_text(TAGS)
    (folder / "text.srt").write_text("1\n00:00:00,200 --> 00:00:00,800\nHello\n")
    rich = folder / f"rich{film.suffix}"
    second = ["-f", "lavfi", "-i", "sine=f=880:d=1:r=44100", "-i", file_url(folder / "text.srt")]
    maps = ["-map", "0", "-map", "1", "-map", "2", "-map_metadata", "3", "-map_chapters", "3"]
    text = "mov_text" if film.suffix in (".mp4", ".mov") else "srt"
    languages = ["-metadata:s:a:0", "language=ita", "-metadata:s:a:1", "language=fra"]
    run_ffmpeg(["-i", file_url(film), *second, "-i", file_url(folder / "tags.txt"), *maps, "-c:v", "copy",
                "-c:a", "aac", "-c:s", text, *languages, *more, file_url(rich)])  # fmt: skip
    return rich


@pytest.mark.parametrize(
    ("container", "audio", "exact"),
    [("mp4", "tone", True), ("mov", None, True), ("mkv", "tone", True), ("webm", "tone", True), ("ts", "tone", False)],
)
def test_picture_is_copied_and_sound_is_as_long_as_it(
    tmp_path: Path, clip_factory: ClipFactory, container: str, audio: str | None, exact: bool
) -> None:
    film = clip_factory("film", seconds=1, fps=Fraction(24000, 1001), audio=audio, container=container)
    info = probe(film)
    sound = score(tmp_path, info)
    report = mux(info, sound, tmp_path / f"out.{container}")
    assert delivered_name(info) == film.name and report.container.exact is exact
    rounding = Fraction(1, 1000) if container in ("mkv", "webm") else 0
    before, after = packets(film, info.video_index), packets(report.path, 0)
    assert [packet[0] for packet in after] == [packet[0] for packet in before]
    for old, new in zip(before, after, strict=True):
        assert all(a is None or b is None or abs(a - b) <= rounding for a, b in zip(old[1:], new[1:], strict=True)), (
            old[1:],
            new[1:],
        )
    expected = np.concatenate([*_blocks(sound)], axis=1).shape[1]
    assert 0 <= decoded(report.path).shape[1] - expected <= (0 if exact else 2400)
    assert bool(report.warnings) is not exact


def _blocks(path: Path) -> list[Block]:
    from gvm_plugin.wav import read_blocks

    return list(read_blocks(path))


def test_sound_begins_with_the_picture_to_the_sample(tmp_path: Path, clip_factory: ClipFactory) -> None:
    info = probe(clip_factory("film", seconds=1, audio="tone"))
    played = np.abs(decoded(mux(info, score(tmp_path, info), tmp_path / "out.mp4").path)[0])
    clicks = np.flatnonzero(played > 0.4)
    assert set(clicks[np.diff(clicks, prepend=-100) > 50].tolist()) == {0, 12_000, 24_000, 36_000, 48_000}


def test_a_film_that_starts_late_is_exact_too(tmp_path: Path, clip_factory: ClipFactory) -> None:
    film = tmp_path / "late.mp4"
    run_ffmpeg(["-itsoffset", "0.5", "-i", file_url(clip_factory("film", seconds=1, audio="tone")), "-c", "copy",
                "-copyts", file_url(film)])  # fmt: skip
    info = probe(film)
    assert info.picture_start == 0.5
    report = mux(info, score(tmp_path, info), tmp_path / "out.mp4")
    assert decoded(report.path).shape[1] == round(info.picture_duration * RATE)
    assert [packet[:3] for packet in packets(report.path, 0)] == [packet[:3] for packet in packets(film, 0)]


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_everything_else_is_kept(tmp_path: Path, clip_factory: ClipFactory, container: str) -> None:
    film = enrich(clip_factory("film", seconds=1, audio="tone", container=container), tmp_path)
    info = probe(film)
    report = mux(info, score(tmp_path, info), tmp_path / f"out.{container}")
    assert not report.warnings
    with av.open(str(film)) as before, av.open(str(report.path)) as after:
        assert [stream.type for stream in after.streams] == [stream.type for stream in before.streams]
        assert [stream.language for stream in after.streams.audio] == ["ita", "fra"]
        assert after.streams.audio[0].disposition & Disposition.default
        assert [chapter["metadata"]["title"] for chapter in after.chapters()] == ["One", "Two"]
        assert {"title": "My film"}.items() <= after.metadata.items()
        text = [bytes(packet) for packet in after.demux(after.streams.subtitles[0]) if packet.size]
        assert any(b"Hello" in packet for packet in text)


def test_rotation_and_a_phone_s_tags_are_kept(tmp_path: Path, clip_factory: ClipFactory) -> None:
    film = tmp_path / "phone.mov"
    run_ffmpeg(["-display_rotation", "90", "-i", file_url(clip_factory("film", seconds=1)), "-c", "copy", "-movflags",
                "use_metadata_tags", "-metadata", "com.apple.quicktime.make=Maker", file_url(film)])  # fmt: skip
    info = probe(film)
    report = mux(info, score(tmp_path, info), tmp_path / "out.mov")
    assert probe(report.path).rotation == info.rotation == 90
    with av.open(str(report.path)) as file:
        assert file.metadata["com.apple.quicktime.make"] == "Maker"
        assert file.metadata["major_brand"] == "qt  "


def test_attachments_and_cover_pictures_are_kept(tmp_path: Path, clip_factory: ClipFactory) -> None:
    (tmp_path / "font.ttf").write_bytes(b"font")
    attach = ["-attach", str(tmp_path / "font.ttf"), "-metadata:s:t", "mimetype=application/x-font-ttf"]
    matroska = enrich(clip_factory("film", seconds=1, audio="tone", container="mkv"), tmp_path, *attach)
    info = probe(matroska)
    with av.open(str(mux(info, score(tmp_path, info), tmp_path / "out.mkv").path)) as file:
        assert [stream.type for stream in file.streams].count("attachment") == 1
    run_ffmpeg(["-i", file_url(matroska), "-frames:v", "1", file_url(tmp_path / "cover.png")])
    film = tmp_path / "covered.mp4"
    run_ffmpeg(["-i", file_url(clip_factory("film", seconds=1)), "-i", file_url(tmp_path / "cover.png"), "-map", "0",
                "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic", file_url(film)])  # fmt: skip
    info = probe(film)
    with av.open(str(mux(info, score(tmp_path, info), tmp_path / "out.mp4").path)) as file:
        assert [stream.type for stream in file.streams] == ["video", "audio", "video"]
        assert file.streams.video[1].disposition & Disposition.attached_pic


def test_separate_track_leaves_the_sound_and_adds_the_score_last(tmp_path: Path, clip_factory: ClipFactory) -> None:
    film = enrich(clip_factory("film", seconds=1, audio="tone"), tmp_path)
    info = probe(film)
    report = mux(info, score(tmp_path, info), tmp_path / "out.mp4", separate_track=True)
    with av.open(str(film)) as before, av.open(str(report.path)) as after:
        assert len(after.streams.audio) == len(before.streams.audio) + 1
        assert after.streams.audio[-1].metadata["handler_name"] == "Music"
        assert not after.streams.audio[-1].disposition & Disposition.default
        for index in range(2):
            sounds = [
                [bytes(packet) for packet in file.demux(file.streams.audio[index]) if packet.size]
                for file in (before, after)
            ]
            before.seek(0)
            after.seek(0)
            assert sounds[0] == sounds[1]
    assert decoded(report.path, 2).shape[1] == round(info.picture_duration * RATE)


def test_replacing_the_sound_drops_every_track_of_it(tmp_path: Path, clip_factory: ClipFactory) -> None:
    info = probe(enrich(clip_factory("film", seconds=1, audio="tone"), tmp_path))
    with av.open(str(mux(info, score(tmp_path, info), tmp_path / "out.mp4", keep_original=False).path)) as file:
        assert len(file.streams.audio) == 1 and len(file.streams.subtitles) == 1


def test_mp4_can_be_played_while_it_loads(tmp_path: Path, clip_factory: ClipFactory) -> None:
    info = probe(clip_factory("film", seconds=1))
    data = mux(info, score(tmp_path, info), tmp_path / "out.mp4").path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_formats_that_cannot_hold_exact_sound_become_matroska(tmp_path: Path, clip_factory: ClipFactory) -> None:
    film = tmp_path / "old.avi"
    run_ffmpeg(["-i", file_url(clip_factory("film", seconds=1, audio="tone")), "-c:v", "mpeg4", "-bf", "2", "-c:a",
                "libmp3lame", file_url(film)])  # fmt: skip
    info = probe(film)
    assert delivered_name(info) == "old.mkv"
    report = mux(info, score(tmp_path, info), tmp_path / "old.mkv")
    assert "delivered as Matroska" in report.warnings[0]
    assert [packet[0] for packet in packets(report.path, 0)] == [packet[0] for packet in packets(film, 0)]


def test_the_format_is_what_the_file_is_not_what_it_is_called(tmp_path: Path, clip_factory: ClipFactory) -> None:
    film = clip_factory("film", seconds=1)
    for name, suffix in {"a.avi": ".mp4", "b.MOV": ".mov", "c.m4v": ".m4v", "d.webm": ".mp4"}.items():
        (tmp_path / name).write_bytes(film.read_bytes())
        assert container_for(probe(tmp_path / name)).suffix == suffix


@pytest.mark.parametrize("name", ["-y", "100%d", 'it\'s "quoted"', "line\nbreak", "🎬 ф", "a:b", "n" * 240])
def test_any_name_will_do(tmp_path: Path, clip_factory: ClipFactory, name: str) -> None:
    info = probe(clip_factory(name, seconds=0.3))
    folder = tmp_path / "out"
    folder.mkdir()
    report = mux(info, score(tmp_path, info), folder / f"{name}.mp4")
    assert [path.name for path in folder.iterdir()] == [f"{name}.mp4"]
    assert probe(report.path).audio


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path: Path, clip_factory: ClipFactory) -> None:
    info = probe(clip_factory("film", seconds=0.3))
    with pytest.raises(DeliveryError, match=r"^out\.mp4: can't be written to .*nowhere .*not full$"):
        mux(info, score(tmp_path, info), tmp_path / "nowhere" / "out.mp4")


@pytest.mark.parametrize(
    ("says", "kind", "message"),
    [
        ("out: No space left on device", DeliveryError, "no space left on device.*make room"),
        ("out: Read-only file system", DeliveryError, "read-only file system"),
        ("Something else", FFmpegError, "Something else"),
    ],
)
def test_a_failing_ffmpeg_leaves_what_was_there_and_nothing_else(
    tmp_path: Path,
    clip_factory: ClipFactory,
    monkeypatch: pytest.MonkeyPatch,
    says: str,
    kind: type[Exception],
    message: str,
) -> None:
    info = probe(clip_factory("film", seconds=0.3))
    sound = score(tmp_path, info)
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv(OVERRIDE, str(program))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "film.mp4").write_text("the one before")
    with pytest.raises(kind, match=message) as caught:
        mux(info, sound, tmp_path / "out" / "film.mp4")
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {"film.mp4": "the one before"}


def test_streams_that_the_muxer_refuses_are_left_out_with_a_warning(tmp_path: Path, clip_factory: ClipFactory) -> None:
    """Subtitles of Matroska in a file that is called WebM: WebM holds WebVTT alone."""
    film = clip_factory("film", seconds=1, audio="tone", container="webm")
    (tmp_path / "text.srt").write_text("1\n00:00:00,200 --> 00:00:00,800\nHello\n")
    mixed = tmp_path / "mixed.mkv"
    run_ffmpeg(["-i", file_url(film), "-i", file_url(tmp_path / "text.srt"), "-map", "0", "-map", "1", "-c", "copy",
                file_url(mixed)])  # fmt: skip
    mixed.rename(tmp_path / "mixed.webm")
    info = probe(tmp_path / "mixed.webm")
    report = mux(info, score(tmp_path, info), tmp_path / "out.webm")
    assert len(report.warnings) == 1 and "subtitle stream 2" in report.warnings[0]
    assert decoded(report.path).any()
