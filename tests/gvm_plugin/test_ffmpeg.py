"""ffmpeg runs on exactly the files named, and its failures carry what it said."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ClipFactory

from core.errors import FFmpegError, MissingDependencyError
from gvm_plugin.ffmpeg import ffmpeg_exe, ffmpeg_version, file_url, run_ffmpeg


@pytest.mark.parametrize("name", ["-dash", "100%d", "line\nbreak", "a:b 'c'"])
def test_copies_a_film_of_any_name(
    name: str, clip_factory: ClipFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clip_factory(name, seconds=1)
    monkeypatch.chdir(tmp_path)
    target = Path(f"{name}.copy.mp4")
    run_ffmpeg(["-i", file_url(Path(source.name)), "-c", "copy", file_url(target)])
    assert target.stat().st_size > 1000


def test_failure_keeps_arguments_and_messages(tmp_path: Path) -> None:
    with pytest.raises(FFmpegError, match="No such file") as caught:
        run_ffmpeg(["-i", file_url(tmp_path / "missing.mp4"), "-f", "null", "-"])
    assert "\n" not in str(caught.value)
    assert "missing.mp4" in caught.value.stderr_tail
    assert caught.value.argv[-1] == "-"


def test_takes_too_long() -> None:
    with pytest.raises(FFmpegError, match="longer than"):
        run_ffmpeg(["-f", "lavfi", "-re", "-i", "anullsrc", "-t", "60", "-f", "null", "-"], timeout_seconds=0.2)


def test_another_ffmpeg_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "my ffmpeg"
    other.write_text("#!/bin/sh\necho ffmpeg version mine\n")
    other.chmod(0o755)
    monkeypatch.setenv("GVM_FFMPEG", str(other))
    assert ffmpeg_exe() == str(other)
    assert ffmpeg_version() == "ffmpeg version mine"


def test_a_wrong_override_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GVM_FFMPEG", str(tmp_path / "nothing"))
    with pytest.raises(MissingDependencyError, match="GVM_FFMPEG"):
        run_ffmpeg(["-version"])


def test_the_bundled_ffmpeg_says_what_it_is() -> None:
    assert ffmpeg_version().startswith("ffmpeg version")
