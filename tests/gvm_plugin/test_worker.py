"""`gvm worker` as a process: jobs, cancel at every stage, ends of all kinds, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import soundfile

from gvm_plugin.worker_client import Event, WorkerClient
from tests.gvm_plugin.test_worker_client import gather, is_gone

ROOT = Path(__file__).resolve().parents[2]
ClipFactory = Callable[..., Path]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def command(model: str = "tone", patch: str = "") -> list[str]:
    """Arguments that start a worker. patch: Python run before it, to make a stage slow."""
    program = f"{textwrap.dedent(patch)}\nfrom gvm_plugin.cli import main\nmain(['worker', '--model', {model!r}])"
    return [sys.executable, "-u", "-c", program]


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerClient]:
    """A worker with the tone generator, kept for the module: its jobs mustn't disturb each other."""
    client = WorkerClient(command(), cwd=str(ROOT))
    yield client
    client.close()


@pytest.fixture
def edit(clip_factory: ClipFactory) -> dict[str, Any]:
    """Two clips and somebody who speaks: 8 s at 24 fps."""
    one = clip_factory("one", seconds=5, fps=Fraction(24), cuts=(2.5,), audio="speechlike")
    two = clip_factory("two", seconds=5, fps=Fraction(24), cuts=(1.0,))
    return {
        "fps": 24,
        "size": [128, 72],
        "duration": 8,
        "clips": [
            {"file": str(one), "start": 0, "end": 4, "source": "1/2"},
            {"file": str(two), "start": 4, "end": "8", "source": "1"},
        ],
        "sounds": [{"file": str(one), "start": 0, "end": 4, "source": "1/2"}],
    }


def ask(client: WorkerClient, do: str, **fields: Any) -> Event:
    """The last event of a request."""
    return client.wait(client.request(do, **fields), 240)


def score(client: WorkerClient, edit: dict[str, Any], folder: Path, **fields: Any) -> dict[str, Any]:
    """The result of a score."""
    event = ask(client, "score", edit=edit, project="test", folder=str(folder), **fields)
    assert event["event"] == "result", event
    return dict(event["result"])


def unfinished(folder: Path) -> list[str]:
    """What lies in the folder that is no finished result, sound or cache entry."""
    work = [path.name for path in folder.glob(".gvm/work/*")]
    return work + [path.name for path in folder.rglob("*") if "partial" in path.name]


# --- jobs --------------------------------------------------------------------------------------------------------


def test_it_says_hello_and_bye() -> None:
    client = WorkerClient(command(), cwd=str(ROOT))
    client.start()
    hello = gather(client, "hello")[0]
    assert (hello["protocol"], hello["model"], hello["pid"]) == (1, "tone", client.pid)
    assert "cinematic" in hello["styles"] and {"starter", "tone"} <= {model["name"] for model in hello["models"]}
    assert ask(client, "ping")["result"] == {"busy": None, "waiting": []}
    ask(client, "shutdown")
    events = gather(client, "stopped")
    assert [event["event"] for event in events] == ["bye", "stopped"]
    assert events[-1]["code"] == 0
    client.close()


def test_a_score_gives_files_on_frames_and_numbers(worker: WorkerClient, edit: dict[str, Any], tmp_path: Path) -> None:
    events: list[Event] = []
    number = worker.request(
        "score", edit=edit, project="p", folder=str(tmp_path / "new" / "music"), options={"takes": 2, "duck": 10}
    )
    result = worker.wait(number, 60, events.append)["result"]
    (cue,) = result["cues"]
    assert (cue["in"], cue["out"], cue["change"]) == (0.0, 8.0, "new")
    assert [hit[0] for hit in cue["hits"]] == [2.0, 4.0]  # the cut in the first clip, and that of the edit
    assert result["speech"] and min(gain for _, gain in cue["ducking"]) == -10
    for take in cue["takes"]:
        sound, rate = soundfile.read(take["file"])
        assert soundfile.info(take["file"]).subtype == "PCM_24"
        assert (rate, sound.shape) == (48_000, (take["frames"] * 2000, 2))
        assert take["start_frame"] == 0 and take["frames"] == 192
        assert abs(sound).max() > 0.01
    assert result["model"]["name"] == "tone" and result["model"]["commercial_use"] is True
    assert result["mix"]["music_gain_db"] is not None and result["mix"]["speech_lufs"] < -10

    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] > 0.9
    assert {"analyse", "generate", "mix"} <= {event["stage"] for event in events if event["event"] == "progress"}
    assert any(event["seconds_left"] is not None for event in events if event["event"] == "progress")
    assert unfinished(tmp_path) == []


def test_what_was_made_before_is_not_made_again(worker: WorkerClient, edit: dict[str, Any], tmp_path: Path) -> None:
    def kept() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    first = score(worker, edit, tmp_path)
    before = kept()
    assert score(worker, edit, tmp_path) == first and kept() == before
    score(worker, edit, tmp_path, options={"seed": 5})  # known pictures, new music
    after = kept()
    assert before.items() <= after.items()
    assert sum(path.parent.name == "analysis" for path in after) == sum(
        path.parent.name == "analysis" for path in before
    )
    assert len(list(tmp_path.glob("*.wav"))) == 2


def test_spot_then_move_then_make(worker: WorkerClient, edit: dict[str, Any], tmp_path: Path) -> None:
    fields: dict[str, Any] = {"edit": edit, "project": "p", "folder": str(tmp_path)}
    spotted = ask(worker, "analyse", **fields)["result"]
    (cue,) = spotted["cues"]
    assert "takes" not in cue and not list(tmp_path.glob("*.wav"))
    halves = [
        {"id": "A", "in": 0, "out": 5, "style": "lofi"},
        {"id": "B", "in": 5, "out": 8, "style": "ambient", "tempo": 90, "makes": [2, 3]},
    ]
    made = ask(worker, "cue", cues=halves, **fields)["result"]["cues"]
    assert [[take["number"] for take in cue["takes"]] for cue in made] == [[1], [2, 3]]
    assert made[0]["hits"] == [[2.0, made[0]["hits"][0][1]], [4.0, made[0]["hits"][1][1]]]  # sought anew
    assert made[1]["takes"][0]["tempo"] == 90
    assert made[0]["fade_out"] == made[1]["fade_in"] == {"start": 4.5, "end": 5.0}
    assert made[1]["takes"][0]["start_frame"] == 108  # half a second before its in


def test_a_reroll_makes_one_cue_at_the_same_level(worker: WorkerClient, edit: dict[str, Any], tmp_path: Path) -> None:
    first = score(worker, edit, tmp_path)
    (cue,) = first["cues"]
    before = set(tmp_path.glob("*.wav"))
    fields = {"edit": edit, "project": "test", "folder": str(tmp_path), "music_gain_db": first["mix"]["music_gain_db"]}
    again = ask(worker, "cue", cues=[{**cue, "seed": cue["seed"] + 1}], **fields)["result"]
    (new,) = set(tmp_path.glob("*.wav")) - before
    take = again["cues"][0]["takes"][0]
    assert take["file"] == str(new)
    assert take["gain_db"] == cue["takes"][0]["gain_db"]
    assert again["cues"][0]["picture"] == cue["picture"]


def test_after_a_reedit_only_what_changed_is_made(
    worker: WorkerClient, clip_factory: ClipFactory, tmp_path: Path
) -> None:
    films = [str(clip_factory(f"film{n}", seconds=9, fps=Fraction(24), cuts=(3.0 + n,))) for n in range(3)]

    def edit(*lengths: int) -> dict[str, Any]:
        clips, start = [], 0
        for film, length in zip(films, lengths, strict=True):
            clips.append({"file": film, "start": start, "end": start + length})
            start += length
        return {"fps": 24, "duration": start, "clips": clips}

    cues = [{"id": name, "in": 8 * n, "out": 8 * n + 8, "style": "lofi", "seed": n} for n, name in enumerate("XYZ")]
    fields: dict[str, Any] = {"project": "p", "folder": str(tmp_path)}
    made = ask(worker, "cue", edit=edit(8, 8, 8), cues=cues, **fields)["result"]
    gain = made["mix"]["music_gain_db"]
    again = score(worker, edit(8, 7, 8), tmp_path, previous=made["cues"], music_gain_db=gain)
    x, y, z = again["cues"]
    assert [(cue["id"], cue["change"], len(cue["takes"])) for cue in again["cues"]] == [
        ("X", "same", 0), ("Y", "changed", 1), ("Z", "moved", 0),
    ]  # fmt: skip
    assert (z["in"], z["was_in"], z["out"]) == (15.0, 16.0, 23.0)
    assert (x["seed"], z["seed"]) == (0, 2) and y["style"] == "lofi"
    assert again["mix"]["music_gain_db"] == gain
    assert again["gone"] == []
    gone = score(worker, edit(8, 7, 8) | {"duration": 8}, tmp_path, previous=again["cues"])
    assert ([cue["id"] for cue in gone["cues"]], gone["gone"]) == (["X"], ["Y", "Z"])


def test_a_whole_film(worker: WorkerClient, clip_factory: ClipFactory, tmp_path: Path) -> None:
    film = clip_factory("film", seconds=3, audio="tone")
    result = ask(worker, "film", film=str(film), out=str(tmp_path / "out"), options={"style": "lofi"})["result"]
    assert Path(result["film"]).is_file() and Path(result["music"]).is_file()
    again = ask(worker, "render", sheet=result["sheet"], overwrite=True)
    assert again["event"] == "result" and again["result"]["film"] == result["film"]


def test_check_and_warm(worker: WorkerClient) -> None:
    findings = ask(worker, "check")["result"]["findings"]
    assert {"what", "level", "detail", "remedy"} == set(findings[0])
    assert ask(worker, "warm")["result"]["model"] == "tone"
    assert ask(worker, "warm", model="absent")["kind"] == "model"


def test_missing_files_are_told_and_the_rest_is_scored(
    worker: WorkerClient, edit: dict[str, Any], tmp_path: Path
) -> None:
    edit["clips"][1]["file"] = str(tmp_path / "lost.mp4")
    edit["sounds"].append({"file": str(tmp_path / "lost.wav"), "start": 1, "end": 2})
    os.mkfifo(tmp_path / "pipe")
    edit["sounds"].append({"file": str(tmp_path / "pipe"), "start": 1, "end": 2})
    told: list[Event] = []
    number = worker.request("score", edit=edit, project="p", folder=str(tmp_path / "music"))
    result = worker.wait(number, 60, told.append)["result"]
    warnings = [event["message"] for event in told if event["event"] == "warning"]
    assert len(warnings) == 3 and warnings == result["warnings"]
    assert "is no file but a pipe" in warnings[2]
    assert warnings[0].startswith("lost.mp4: there is no such file") and "black" in warnings[0]
    assert 4.0 in result["shots"]
    edit["clips"] = edit["clips"][1:]
    error = ask(worker, "score", edit=edit, project="p", folder=str(tmp_path / "music"))
    assert error["kind"] == "media" and "no clip of the edit can be read" in error["message"]


# --- nonsense ----------------------------------------------------------------------------------------------------


def test_impossible_requests_are_answered_not_obeyed(
    worker: WorkerClient, edit: dict[str, Any], tmp_path: Path
) -> None:
    good: dict[str, Any] = {"edit": edit, "project": "p", "folder": str(tmp_path / "music")}
    clip = edit["clips"][0]
    impossible: list[tuple[str, dict[str, Any]]] = [
        ("no request", {}),
        ("score", {}),
        ("score", {**good, "edit": 5}),
        ("score", {**good, "edit": {**edit, "fps": "24/0"}}),
        ("score", {**good, "edit": {**edit, "duration": -1}}),
        ("score", {**good, "edit": {**edit, "duration": 1e300}}),
        ("score", {**good, "edit": {**edit, "duration": "1e999999999"}}),
        ("score", {**good, "edit": {**edit, "clips": [{**clip, "source": 2**63}]}}),
        ("score", {**good, "edit": {**edit, "clips": [{**clip, "end": 0}]}}),
        ("score", {**good, "edit": {**edit, "clips": [{**clip, "file": "relative.mp4"}]}}),
        ("score", {**good, "edit": {**edit, "clips": [{**clip, "speed": 0}]}}),
        ("score", {**good, "edit": {**edit, "clips": [{**clip, "misspelt": 1}]}}),
        ("score", {**good, "edit": {**edit, "sounds": [{**clip, "volume": -1}]}}),
        ("score", {**good, "project": ""}),
        ("score", {**good, "folder": None}),
        ("score", {**good, "options": {"style": 5}}),
        ("score", {**good, "options": {"style": "polka"}}),
        ("score", {**good, "options": {"takes": True}}),
        ("score", {**good, "options": {"stems": True}}),
        ("score", {**good, "previous": [{"id": "A"}]}),
        ("score", {**good, "previous": [{"id": "A", "in": 0, "out": 1, "style": "lofi", "picture": [["x"]]}]}),
        ("score", {**good, "surprise": 1}),
        ("cue", {**good, "cues": []}),
        ("cue", {**good, "cues": [{"id": "A", "in": 0, "out": 99, "style": "lofi"}]}),
        ("cue", {**good, "cues": [{"id": n, "in": 0, "out": 5, "style": "lofi"} for n in "AB"]}),
        ("cue", {**good, "cues": [{"id": "A", "in": 0, "out": 5}]}),
        ("film", {"film": "x.mp4"}),
    ]
    for do, fields in impossible:
        event = ask(worker, do, **fields)
        assert (event["event"], event["kind"]) == ("error", "request"), (do, event)
        assert "\n" not in event["message"] and event["message"]
    assert ask(worker, "film", film=str(tmp_path / "lost.mp4"))["kind"] == "media"
    (tmp_path / "file").write_text("no folder")
    assert ask(worker, "score", **{**good, "folder": str(tmp_path / "file")})["kind"] == "delivery"
    assert not list(tmp_path.rglob("*.wav"))


def raw(lines: bytes, seconds: float = 30.0) -> tuple[list[Event], subprocess.CompletedProcess[bytes]]:
    """What a worker writes when it reads exactly these bytes, and how it ended."""
    done = subprocess.run(command(), input=lines, capture_output=True, timeout=seconds, cwd=ROOT)
    return [json.loads(line) for line in done.stdout.splitlines()], done


def test_garbage_on_the_input() -> None:
    junk = [
        b"hello", b"[1,2]", b"null", b"5", b'"text"', b"{", b'{"id": NaN, "do": "ping"}', b"\xff\xfe\x00",
        b"[" * 200_000, b'{"do": "ping"}', b'{"id": [1], "do": "ping"}', b'{"id": true, "do": "ping"}',
        b'{"id": "' + b"x" * 1000 + b'", "do": "ping"}', b'{"id": 1}', b'{"id": 2, "do": ["ping"]}',
        b'{"id": 3, "do": "cancel"}', b'{"id": 4, "do": "cancel", "target": {}}',
    ]  # fmt: skip
    events, done = raw(b"\n\n  \n" + b"\n".join(junk) + b'\n{"id": 99, "do": "ping"}\n{"id": 100, "do": "pi')
    assert done.returncode == 0
    kinds = [event.get("kind") for event in events if event["event"] == "error"]
    assert kinds.count("line") == 9 and kinds.count("request") == 6
    assert [event["id"] for event in events if event["event"] == "result"] == [3, 4, 99]
    assert events[-1] == {"event": "bye"}


def test_a_flood_and_a_line_without_end() -> None:
    flood = b"nonsense\n" * 20_000 + b"x" * (9 << 20) + b'\n{"id": 1, "do": "ping"}\n'
    events, done = raw(flood)
    assert done.returncode == 0
    errors = [event for event in events if event["event"] == "error"]
    assert 900 <= len(errors) <= 20_001  # those that nobody read in time were left out
    assert [event["id"] for event in events if event["event"] == "result"] == [1]


def test_the_queue_has_an_end_and_ids_are_used_once(edit: dict[str, Any], tmp_path: Path) -> None:
    client = WorkerClient(command(patch=slow("analyse")), cwd=str(ROOT))
    fields: dict[str, Any] = {"edit": edit, "project": "p", "folder": str(tmp_path)}
    for _ in range(70):
        client.request("analyse", **fields)
    client.request("cancel", target=3)
    events: list[Event] = []
    while sum(event["event"] in ("error", "cancelled", "result") for event in events) < 7:
        events += client.poll()
        time.sleep(0.01)
    errors = [event for event in events if event["event"] == "error"]
    assert errors and all("waiting already" in event["message"] for event in errors)
    assert {"event": "cancelled", "id": 3} in events
    client.close()
    assert unfinished(tmp_path) == []


def test_what_libraries_print_is_no_event(edit: dict[str, Any], tmp_path: Path) -> None:
    patch = """
        import os
        from gvm_plugin.generators import ToneGenerator
        real = ToneGenerator.generate
        def generate(self, requests, progress=None):
            print("a library says hello")
            os.write(1, b"and so does C\\n")
            os.system("echo and a program")
            return real(self, requests, progress)
        ToneGenerator.generate = generate
    """
    client = WorkerClient(command(patch=patch), cwd=str(ROOT))
    score(client, edit, tmp_path)
    client.close()
    said = [line for line in client.log if "hello" in line or "so does" in line or "a program" in line]
    assert len(said) == 3 and not any("on standard output" in line for line in said)


# --- cancel ------------------------------------------------------------------------------------------------------


_SLOWLY = """
import importlib, time
def slow_once(module, name):
    # it first takes half a minute, and its usual time once that was interrupted
    module = importlib.import_module(module)
    real, patience = getattr(module, name), [True]
    def slow(*arguments, **named):
        if patience:
            try:
                time.sleep(30)
            finally:
                patience.clear()
        return real(*arguments, **named)
    setattr(module, name, slow)
"""
_STAGES = {
    "analyse": ("gvm_plugin.picture_pass", "describe_colours"),
    "generate": ("gvm_plugin.generators", "_play"),
    "mix": ("gvm_plugin.edit_score", "measure_levels"),
    "deliver": ("gvm_plugin.edit_takes", "measure_loudness"),
}


def slow(*stages: str) -> str:
    """Patch with which each stage first takes half a minute, and its usual time once that was interrupted."""
    return _SLOWLY + "".join(f"slow_once{_STAGES[stage]}\n" for stage in stages)


def until(client: WorkerClient, stage: str) -> None:
    """Return when the worker is in the middle of a stage."""
    while not any(event.get("stage") == stage for event in client.poll()):
        time.sleep(0.01)
    time.sleep(0.3)


def test_cancel_at_every_stage(edit: dict[str, Any], tmp_path: Path) -> None:
    """One after the other in one worker, which goes on working: each request gets one stage further."""
    client = WorkerClient(command(patch=slow(*_STAGES)), cwd=str(ROOT))
    for stage in _STAGES:
        number = client.request("score", edit=edit, project="p", folder=str(tmp_path))
        until(client, "mix" if stage == "deliver" else stage)
        asked = time.monotonic()
        client.cancel(number)
        client.cancel(number)  # twice
        assert client.wait(number, 5) == {"event": "cancelled", "id": number}, stage
        assert time.monotonic() - asked < 2, stage
        assert unfinished(tmp_path) == [], stage
        assert stage == "deliver" or not list(tmp_path.glob("*.wav"))
        assert ask(client, "ping")["result"] == {"busy": None, "waiting": []}
    score(client, edit, tmp_path)
    client.close()


def test_cancel_while_ffmpeg_runs(clip_factory: ClipFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "ffmpeg"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("GVM_FFMPEG", str(slow))
    client = WorkerClient(command(), cwd=str(ROOT))
    number = client.request("film", film=str(clip_factory("film", seconds=2)), out=str(tmp_path / "out"))
    while not (tmp_path / "pid").is_file():
        time.sleep(0.02)
    time.sleep(0.1)
    client.cancel(number)
    assert client.wait(number, 5)["event"] == "cancelled"
    assert is_gone(int((tmp_path / "pid").read_text()))
    assert unfinished(tmp_path / "out") == [] and not list((tmp_path / "out").glob("*.*4"))
    client.close()


# --- ends --------------------------------------------------------------------------------------------------------


def busy(edit: dict[str, Any], folder: Path) -> tuple[WorkerClient, int]:
    """A worker in the middle of a long stage with unfinished files, and its request."""
    client = WorkerClient(command(patch=slow("mix")), cwd=str(ROOT))
    number = client.request("score", edit=edit, project="p", folder=str(folder))
    until(client, "mix")
    assert unfinished(folder)
    return client, number


def test_killed_outright(edit: dict[str, Any], tmp_path: Path) -> None:
    client, number = busy(edit, tmp_path)
    assert client.pid is not None
    os.kill(client.pid, signal.SIGKILL)
    event = client.wait(number, 5)
    assert (event["kind"], "signal 9" in event["message"]) == ("crash", True)
    gather(client, "stopped")
    assert unfinished(tmp_path) == []
    client.restart()
    assert ask(client, "ping")["event"] == "result"
    client.close()


def test_sigterm(edit: dict[str, Any], tmp_path: Path) -> None:
    client, number = busy(edit, tmp_path)
    assert client.pid is not None
    os.kill(client.pid, signal.SIGTERM)
    assert client.wait(number, 5)["event"] == "cancelled"
    assert gather(client, "stopped", 5)[-1]["code"] == 0
    assert unfinished(tmp_path) == []


def test_shutdown_in_the_middle(edit: dict[str, Any], tmp_path: Path) -> None:
    client, _ = busy(edit, tmp_path)
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 3 and not client.running
    assert unfinished(tmp_path) == []


def test_a_job_that_can_not_be_interrupted_is_killed(edit: dict[str, Any], tmp_path: Path) -> None:
    stubborn = """
        import time, gvm_plugin.edit_score as e
        def measure(*a):
            while True:
                try:
                    time.sleep(20)
                except BaseException:
                    pass
        e.measure_levels = measure
    """
    client = WorkerClient(command(patch=stubborn), cwd=str(ROOT))
    client.request("score", edit=edit, project="p", folder=str(tmp_path))
    until(client, "mix")
    started = time.monotonic()
    client.close(10)
    assert 2 < time.monotonic() - started < 6
    assert unfinished(tmp_path) == []


def test_a_parent_that_dies(edit: dict[str, Any], tmp_path: Path) -> None:
    """It leaves without a word: the worker ends, with the job's files and all."""
    program = f"""
import os, sys, time
from gvm_plugin.worker_client import WorkerClient
client = WorkerClient({command(patch=slow("mix"))!r}, cwd={str(ROOT)!r})
client.request("score", edit={edit!r}, project="p", folder={str(tmp_path)!r})
while not any(event.get("stage") == "mix" for event in client.poll()):
    time.sleep(0.01)
time.sleep(0.2)
print(client.pid, flush=True)
os._exit(1)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 1, done.stderr
    started = time.monotonic()
    while not is_gone(int(done.stdout)):
        assert time.monotonic() - started < 5
    assert unfinished(tmp_path) == []


# --- the starter -------------------------------------------------------------------------------------------------


def test_the_starter_scores_an_edit(edit: dict[str, Any], tmp_path: Path) -> None:
    client = WorkerClient(command("starter"), cwd=str(ROOT))
    first = client.request("warm")
    second = client.request("score", edit=edit, project="p", folder=str(tmp_path), options={"style": "lofi"})
    assert client.wait(first, 240)["result"]["model"] == "starter"
    (cue,) = client.wait(second, 240)["result"]["cues"]
    sound, _ = soundfile.read(cue["takes"][0]["file"])
    assert abs(sound).max() > 0.05 and cue["takes"][0]["bars"]
    assert abs(cue["takes"][0]["hits"][0][0] - cue["takes"][0]["hits"][0][1]) < 0.02
    client.close()


def test_an_imported_model_in_an_edit_of_many_shapes(
    clip_factory: ClipFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its encoder wants pictures as large as they are; its licence is told, or obeyed."""
    from tiny_published import write_tiny

    from core.published.importer import import_checkpoint

    import_checkpoint(write_tiny(tmp_path / "published"), tmp_path / "models" / "tiny", "tiny")
    monkeypatch.setenv("GVM_MODELS", str(tmp_path / "models"))
    wide, tall = (str(clip_factory(f"f{size}", seconds=2, size=size)) for size in ((64, 36), (36, 64)))
    edit = {"fps": 25, "duration": 4, "clips": [
        {"file": wide, "start": 0, "end": 1}, {"file": tall, "start": 1, "end": 2},
        {"file": wide, "start": 3, "end": 4, "speed": 2, "reverse": True},
    ]}  # fmt: skip
    client = WorkerClient(command(), cwd=str(ROOT))
    fields: dict[str, Any] = {"edit": edit, "project": "p", "folder": str(tmp_path / "music")}
    options = {"model": "tiny", "precision": "fp32", "no_nudge": True, "tempo": 90, "min_cue": 1}
    refused = ask(client, "score", **fields, options=options | {"monetised": True})
    assert refused["kind"] == "licence" and refused["remedy"]
    shutil.copytree(tmp_path / "models" / "tiny", tmp_path / "models" / "damaged")
    codec = tmp_path / "models" / "damaged" / "codec.safetensors"
    codec.write_bytes(codec.read_bytes()[:-4] + b"gone")
    assert ask(client, "warm", model="damaged")["kind"] == "model"  # warm reads all weights
    assert ask(client, "warm", model="tiny")["result"]["model"] == "tiny"
    told: list[Event] = []
    event = client.wait(client.request("score", **fields, options=options), 240, told.append)
    (cue, *_) = event["result"]["cues"]
    sound, _ = soundfile.read(cue["takes"][0]["file"])
    assert abs(sound).max() > 0 and cue["takes"][0]["ending"] > 0
    warnings = [event["message"] for event in told if event["event"] == "warning"]
    assert any("forbids films that earn money" in text for text in warnings)
    assert any("tempo had no effect" in text for text in warnings)
    client.close()
