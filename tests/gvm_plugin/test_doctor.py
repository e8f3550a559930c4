"""`gvm doctor`: what is looked at, and what counts as missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gvm_plugin import doctor
from gvm_plugin.cli import run
from gvm_plugin.doctor import Finding, examine


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("GVM_MODELS", str(folder))
    return folder


def findings(*checks: str) -> dict[str, Finding]:
    return {finding.what: finding for name in checks for finding in getattr(doctor, name)()}


def test_everything_is_there_and_says_so(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert said.endswith("everything needed is there\n")
    for what in ("model starter", "folder of models", "open_clip_torch", "transformers", "memory", "GPU", "audiocraft"):
        assert what in said


def test_a_model_of_ones_own_that_cant_be_used_is_a_note_with_a_remedy(store: Path) -> None:
    (store / "torn").mkdir()
    (store / "torn" / "model.json").write_text("{")
    (store / "half").mkdir()
    (store / "half" / "x.part").write_text("x")
    found = findings("_models")
    assert (found["model torn"].level, found["part half"].level) == ("note", "note")
    assert found["model torn"].detail.endswith("model.json is damaged")
    assert "gvm models remove" in found["model torn"].remedy
    assert "gvm models pull half" in found["part half"].remedy
    assert found["model starter"].level == "ok"
    assert found["folder of models"].detail == str(store)


def test_parts_are_shown_with_their_licence(store: Path) -> None:
    (store / "codec").mkdir()
    (store / "codec" / "weights").write_bytes(b"0" * 2_000_000)
    about = {"licence": "CC-BY-NC-4.0", "commercial_use": False, "about": "a codec", "files": {"weights": "0" * 64}}
    (store / "codec" / "source.json").write_text(json.dumps(about))
    assert findings("_models")["part codec"].detail == "CC-BY-NC-4.0, 2.0 MB"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("flags\t\t: fpu avx2 avx512_bf16 avx512_vnni", "fast with bf16, int8 weights"),
        ("flags\t\t: fpu avx2 avx_vnni", "fast with int8 weights"),
        ("Features\t: fp asimd bf16 i8mm", "fast with bf16, int8 weights"),
        ("flags\t\t: fpu sse4_2 avx2", "fast with fp32 weights only"),
    ],
)
def test_what_the_processor_is_fast_at(flags: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\n{flags}\n")
    read = doctor._cpu_features
    monkeypatch.setattr(doctor, "_cpu_features", lambda: read(path))
    assert doctor._precisions() == said
    assert read(tmp_path / "absent") == set()


def test_memory_that_is_short_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.memory.free_bytes", lambda device: 3_000_000_000)
    memory = findings("_device")["memory"]
    assert (memory.level, memory.detail) == ("note", "3.0 GB free")
    assert "large scale" in memory.remedy
    monkeypatch.setattr("core.memory.free_bytes", lambda device: 64_000_000_000)
    assert findings("_device")["memory"].level == "ok"


def test_a_package_that_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name in ("transformers", "audiocraft") else "1")
    found = {finding.what: finding for finding in examine()}
    assert (found["transformers"].level, found["transformers"].remedy) == ("missing", "pip install transformers")
    assert found["audiocraft"].level == "note"
    assert "make audiocraft" in found["audiocraft"].remedy


def test_audiocraft_without_what_it_imports_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [
        "numpy>=1.26",
        'flashy>=0.0.2; extra == "audiocraft"',
        'mypy>=1; extra == "dev"',
        'num2words ; extra == "audiocraft"',
    ]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needs)
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "flashy" else "1.3.0")
    found = findings("_packages")["audiocraft"]
    assert (found.level, found.detail) == ("note", "1.3.0, without flashy")
    assert "make audiocraft" in found.remedy
