"""The client with programs that are no good workers: it never waits, never dies, and says what happened."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gvm_plugin import worker_client
from gvm_plugin.worker_client import Event, WorkerClient, WorkerNotStarted, clean_environment, command_of

Client = Callable[[str], WorkerClient]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Function that gives a client of a program with this Python text."""
    made: list[WorkerClient] = []

    def make(program: str) -> WorkerClient:
        path = tmp_path / f"program{len(made)}.py"
        path.write_text("import json, os, sys, time\n" + textwrap.dedent(program))
        made.append(WorkerClient([sys.executable, "-u", str(path)]))
        return made[-1]

    yield make
    for one in made:
        one.close(0.2)


def gather(client: WorkerClient, until: str, seconds: float = 10.0) -> list[Event]:
    """All events up to one of the kind `until`, polled as a timer would."""
    events: list[Event] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        events += client.poll()
        if any(event["event"] == until for event in events):
            return events
        time.sleep(0.01)
    raise AssertionError(f"no {until!r} among {events}; log: {client.log}")


ECHO = """
    print(json.dumps({"event": "hello", "protocol": 1, "pid": os.getpid()}))
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"event": "result", "id": request["id"], "result": request}))
"""


def test_a_request_and_its_answer(client: Client) -> None:
    worker = client(ECHO)
    number = worker.request("score", folder="/music", text="ü \udcff")
    answer = worker.wait(number, 10)
    assert answer["result"]["text"] == "ü \udcff"
    assert worker.hello is not None and worker.hello["pid"] == worker.pid
    assert worker.open_requests == []


def test_what_can_not_be_sent_is_refused_at_once(client: Client) -> None:
    worker = client(ECHO)
    for nonsense in (float("nan"), Path("/x"), "x" * (9 << 20)):
        with pytest.raises((ValueError, TypeError)):
            worker.request("score", edit=nonsense)
    assert worker.open_requests == []
    assert worker.wait(worker.request("score"), 10)["event"] == "result"


def test_events_of_others_are_kept_while_one_is_awaited(client: Client) -> None:
    worker = client(ECHO)
    first, second = worker.request("a"), worker.request("b")
    worker.wait(second, 10)
    assert [event.get("id") for event in worker.poll()] == [None, first]


def test_nothing_waits_for_a_worker_that_does_nothing(client: Client) -> None:
    worker = client("time.sleep(60)")
    started = time.monotonic()
    for _ in range(20):
        worker.request("score", edit="x" * 100_000)  # more than a pipe holds
    worker.cancel(1)
    assert worker.poll() == []
    assert time.monotonic() - started < 1.0
    worker.close(0.2)
    assert not worker.running
    assert {event["event"] for event in worker.poll()} == {"cancelled", "stopped"}


def test_a_crash_is_told_with_the_last_words(client: Client) -> None:
    worker = client("sys.stdin.readline(); print('the disk is on fire', file=sys.stderr); os._exit(7)")
    number = worker.request("score")
    events = gather(worker, "stopped")
    error = next(event for event in events if event["event"] == "error")
    assert (error["id"], error["kind"]) == (number, "crash")
    assert "exit code 7" in error["message"] and "the disk is on fire" in error["message"]
    assert events[-1]["code"] == 7 and not events[-1]["regular"]


def test_it_starts_again_after_a_crash(client: Client) -> None:
    worker = client("line = sys.stdin.readline(); os._exit(1) if 'die' in line else print(line.replace('do', 'event'))")
    worker.request("die")
    gather(worker, "stopped")
    assert not worker.running
    number = worker.request("result")
    assert worker.wait(number, 10)["id"] == number


def test_a_request_to_a_dying_worker_is_answered(client: Client) -> None:
    worker = client("os._exit(1)")
    worker.start()
    time.sleep(0.3)
    number = worker.request("score")  # starts another one, which dies too
    assert worker.wait(number, 10)["kind"] == "crash"


def test_garbage_between_the_events(client: Client) -> None:
    worker = client(
        """
        os.write(1, b"hello from a library\\n\\xff\\xfe\\x00\\n[1, 2]\\n{}\\n" + b"[" * 100_000 + b"\\n")
        os.write(1, b'{"event": 5}\\n{"event": "result", "id": 1}\\n{"event": "resu')
        """
    )
    assert worker.wait(worker.request("score"), 10)["event"] == "result"
    gather(worker, "stopped")
    assert any("hello from a library" in line for line in worker.log)


def test_a_flood_on_standard_error_blocks_nobody(client: Client) -> None:
    worker = client("sys.stderr.write('noise ' * 50_000 + '\\n'); sys.stderr.flush()\n" + textwrap.dedent(ECHO))
    number = worker.request("score")
    assert worker.wait(number, 10)["event"] == "result"
    worker.close()
    assert sum(map(len, worker.log)) >= 300_000 - 1


def test_a_flood_of_progress_is_thinned_and_polled_in_portions(client: Client) -> None:
    worker = client(
        """
        for n in range(30_000):
            sys.stdout.write('{"event": "progress", "id": 1, "fraction": 0.5}\\n')
        print('{"event": "result", "id": 1}')
        """
    )
    worker.request("score")
    time.sleep(1.0)
    while worker.open_requests:
        time.sleep(0.05)
    assert len(worker.poll(most=500)) == 500
    events = gather(worker, "result")
    assert len(events) <= worker_client.BACKLOG


def test_another_protocol_is_told(client: Client) -> None:
    worker = client("""print('{"event": "hello", "protocol": 99, "gvm": "9.0"}'); sys.stdin.read()""")
    worker.start()
    error = gather(worker, "error")[0]
    assert error["kind"] == "protocol" and "99" in error["message"] and error["remedy"]


@pytest.mark.skipif(os.name == "nt", reason="process groups of POSIX")
def test_a_worker_that_does_not_listen_is_killed_with_its_children(client: Client, tmp_path: Path) -> None:
    worker = client(
        f"""
        import signal, subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
        print('{{"event": "hello", "protocol": 1}}')
        time.sleep(60)
        """
    )
    worker.start()
    gather(worker, "hello")
    child = int((tmp_path / "child").read_text())
    started = time.monotonic()
    worker.close(0.3)
    assert time.monotonic() - started < 2
    assert not worker.running
    assert is_gone(child)


def is_gone(pid: int) -> bool:
    """Has the process ended (a zombie nobody has fetched counts)?"""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_what_a_killed_worker_left_unfinished_is_removed(client: Client, tmp_path: Path) -> None:
    worker = client(
        """
        request = json.loads(sys.stdin.readline())
        work = request["folder"] + f"/.gvm/work/{os.getpid()}-abc"
        os.makedirs(work)
        open(work + "/half.wav", "w").close()
        os.makedirs(request["folder"] + "/.gvm/cues")
        os.makedirs(request["folder"] + f"/.gvm/cues/key.{os.getpid()}.partial")
        os.makedirs(request["folder"] + "/.gvm/cues/finished")
        os.kill(os.getpid(), 9)
        """
    )
    worker.request("score", folder=str(tmp_path / "music"))
    gather(worker, "stopped")
    left = {path.name for path in (tmp_path / "music").rglob("*")}
    assert left == {".gvm", "work", "cues", "finished"}


def test_a_missing_program_says_so(tmp_path: Path) -> None:
    worker = WorkerClient([str(tmp_path / "nothing")])
    with pytest.raises(WorkerNotStarted, match="nothing: can't be started"):
        worker.start()
    assert worker.poll() == [] and worker.log == []
    worker.close()


def test_the_environment_is_free_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "/blender")
    monkeypatch.setenv("KEPT", "1")
    clean = clean_environment(offline=True)
    assert "/blender" not in clean.values()
    assert (clean["KEPT"], clean["HF_HUB_OFFLINE"]) == ("1", "1")
    assert "HF_HUB_OFFLINE" not in clean_environment(given={})


def test_commands() -> None:
    assert command_of("/usr/bin/gvm", "tone", "cpu") == ["/usr/bin/gvm", "worker", "--model", "tone", "--device", "cpu"]
    assert command_of("/venv/bin/python3.11") == ["/venv/bin/python3.11", "-u", "-m", "gvm_plugin", "worker"]


def test_the_file_stands_alone(tmp_path: Path) -> None:
    """A copy runs where there is no gvm and nothing but the standard library."""
    copy = tmp_path / "client.py"
    copy.write_bytes(Path(worker_client.__file__).read_bytes())
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import client, json\n"
        "own = {m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names) - {'client', '__main__'}\n"
        f"w = client.WorkerClient([sys.executable, '-c', 'print(input().replace(\"do\", \"event\"))'])\n"
        "print(w.wait(w.request('result'), 10)['id'], [n for n in own if not n.startswith('_')]); w.close()"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("1 []\n", "")
