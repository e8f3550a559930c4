"""How fast and how large scoring is: films of 1, 10 and 60 minutes of 720p30, looped from real clips; table and JSON.

    python scripts/bench_score.py [--clips DIR] [--minutes 1,10,60] [--folder DIR] [--model NAME]

Each film is scored in a fresh process; memory is that of the process and its children together, sampled 20 times a
second. `--folder` also scores all films of a folder as `gvm score-folder` would, a process a core. Times after
start-up (imports, weights) unless said otherwise. The last line is JSON.

What can't be beaten, per second of 720p30 film, on a virtual machine with 2 cores of an x86-64 server that others
used too (21 Nov 2026; the script measures its own floor on the spot, see `floor` in the JSON):

    decoding H.264, every picture once     0.055 core seconds (1.85 ms a picture; ffmpeg, one thread)
    encoding AAC at 256 kbit/s             0.018 core seconds (ffmpeg's encoder; it has one thread)
    reading the weights                    19 MB of float32 a sequence step, shared by 8 cues and both rows of the
                                           guidance: about 0.002 core seconds at 10 GB/s

The sum, 0.075, would be 13 times real time on one core and 27 times on two. Above it stand: scaling and measuring
each picture (0.015), the decoder's attention and Python (0.010), the synthesiser (0.03, on tones made before),
loudness, limiter and mix (0.02), measuring the result (0.005).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gvm_plugin.machine import compute_in_one_thread

SECONDS_EACH = 8  # of each clip
SAMPLE_SECONDS = 0.05
ROOT = Path(__file__).resolve().parents[1]


# --- films -------------------------------------------------------------------------------------------------------


def make_reel(clips: Sequence[Path], folder: Path) -> Path:
    """List file for ffmpeg's concat: the first seconds of every clip as 720p30 with sound, all encoded alike."""
    from gvm_plugin.ffmpeg import file_url, run_ffmpeg
    from gvm_plugin.probe import probe

    parts = []
    for index, clip in enumerate(clips):
        part = folder / f"part{index}.mp4"
        silence = ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"]
        sound = "0:a:0" if probe(clip).audio else "1:a:0"
        picture = "scale=1280:720:force_original_aspect_ratio=increase,crop=1280:720,fps=30,setsar=1"
        run_ffmpeg([
            "-i", file_url(clip), *silence, "-map", "0:v:0", "-map", sound, "-t", str(SECONDS_EACH), "-vf", picture,
            "-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-g", "60", "-pix_fmt", "yuv420p",
            "-c:a", "aac", "-ar", "48000", "-ac", "2", "-shortest", file_url(part),
        ])  # fmt: skip
        parts.append(part)
    reel = folder / "reel.txt"
    reel.write_text("".join(f"file '{part.name}'\n" for part in parts))
    return reel


def make_film(reel: Path, minutes: float, folder: Path) -> Path:
    """The reel over and over, stream-copied, `minutes` long."""
    from gvm_plugin.ffmpeg import file_url, run_ffmpeg

    film, looped = folder / f"film{minutes:g}.mp4", reel.with_name("looped.txt")
    once = reel.read_text()
    looped.write_text(once * (1 + int(minutes * 60 / (SECONDS_EACH / 2 * once.count("\n")))))
    run_ffmpeg(["-f", "concat", "-safe", "0", "-i", str(looped), "-t", str(minutes * 60), "-c", "copy", file_url(film)])
    return film


# --- in the measured process -------------------------------------------------------------------------------------


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


@dataclass
class Clock:
    """Takes the progress of a score: (stage, monotonic seconds, CPU seconds) whenever a stage begins."""

    marks: list[tuple[str, float, float]] = field(default_factory=list)

    def mark(self, stage: str) -> None:
        """From now on it is `stage`."""
        if not self.marks or self.marks[-1][0] != stage:
            self.marks.append((stage, time.monotonic(), cpu_seconds()))

    def progress(self, stage: str, share: float) -> None:
        """What `score_video` tells; writing the notes and playing them are told apart."""
        from gvm_plugin.takes import WRITING

        if stage == "generate":
            stage = "generate" if share < WRITING else "render"
        self.mark(stage)


def score_one(film: Path, out: Path, model: str) -> None:
    """Score `film` and print what it took, as JSON."""
    clock = Clock()
    clock.mark("start-up")
    compute_in_one_thread()
    from gvm_plugin.options import ScoreOptions
    from gvm_plugin.report import write_report
    from gvm_plugin.score import open_generator, score_video

    options = ScoreOptions(model=model, overwrite=True)
    score = score_video(film, out, options, open_generator(options), clock.progress)
    clock.mark("report")
    write_report([score.report], out / "report.html", "bench")
    clock.mark("end")
    print(json.dumps({"seconds": score.report.duration, "cues": len(score.sheet.cues), "marks": clock.marks}))


def score_all(folder: Path, out: Path, model: str) -> None:
    """Score the films of `folder`, a process a core, and print what it took, as JSON."""
    compute_in_one_thread()
    from gvm_plugin.folder import score_folder
    from gvm_plugin.options import ScoreOptions

    started = time.monotonic()
    first: list[float] = []

    def progress(film: Path, stage: str, share: float) -> None:
        if not first:
            first.append(time.monotonic())

    options = ScoreOptions(model=model, overwrite=True)
    score = score_folder(folder, out, options, jobs=None, progress=progress)
    end = time.monotonic()
    seconds = sum(result.report.duration for result in score.results)
    startup = (first[0] if first else started) - started
    print(json.dumps({"films": len(score.results), "failed": score.failed, "seconds": seconds,
                      "wall": end - started - startup, "startup": startup}))  # fmt: skip


# --- measuring from outside --------------------------------------------------------------------------------------


class Watcher(threading.Thread):
    """Samples the resident memory and the CPU time of a process and all below it."""

    def __init__(self, pid: int) -> None:
        import psutil

        super().__init__(daemon=True)
        self.samples: list[tuple[float, float]] = []  # (monotonic seconds, MB)
        self._top = psutil.Process(pid)
        self._cpu: dict[int, float] = {}

    def run(self) -> None:
        """Sample until the process ends."""
        import psutil

        while True:
            total = 0
            try:
                family = [self._top, *self._top.children(recursive=True)]
                if self._top.status() == psutil.STATUS_ZOMBIE:
                    return
            except psutil.NoSuchProcess:
                return
            for process in family:
                try:
                    total += process.memory_info().rss
                    self._cpu[process.pid] = sum(process.cpu_times()[:2])
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            self.samples.append((time.monotonic(), total / 1e6))
            time.sleep(SAMPLE_SECONDS)

    @property
    def cpu(self) -> float:
        """CPU seconds of all processes, as last seen of each."""
        return sum(self._cpu.values())


def measured(task: str, film: Path, out: Path, model: str) -> tuple[dict[str, Any], Watcher]:
    """(what the process printed, its watcher) of this script run with `task`."""
    command = [sys.executable, __file__, "--task", task, str(film), str(out), "--model", model]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    watcher = Watcher(process.pid)
    watcher.start()
    text, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"scoring {film} failed with {process.returncode}")
    return json.loads(text.splitlines()[-1]), watcher


@dataclass
class Run:
    """One film: seconds of film, wall and CPU seconds after start-up, memory (MB), and both by stage."""

    minutes: float
    seconds: float
    cues: int
    startup_cpu: float
    wall: float
    cpu: float
    peak_mb: float
    stages: dict[str, dict[str, float]]

    @property
    def times_real_time(self) -> float:
        """Seconds of film per second of work."""
        return self.seconds / self.wall


def run_of(minutes: float, told: dict[str, Any], watcher: Watcher) -> Run:
    """What a process told and what was seen of it from outside, put together."""
    stages: dict[str, dict[str, float]] = {}
    for (name, at, cpu), (_, until, cpu_until) in zip(told["marks"], told["marks"][1:], strict=False):
        peak = max((mb for moment, mb in watcher.samples if at <= moment <= until), default=0.0)
        stage = stages.setdefault(name, {"wall": 0.0, "cpu": 0.0, "peak_mb": 0.0})
        stage["wall"] += until - at
        stage["cpu"] += cpu_until - cpu
        stage["peak_mb"] = max(stage["peak_mb"], peak)
    startup = stages.pop("start-up")
    return Run(
        minutes, told["seconds"], told["cues"], startup["cpu"],
        sum(stage["wall"] for stage in stages.values()), sum(stage["cpu"] for stage in stages.values()),
        max(mb for _, mb in watcher.samples), stages,
    )  # fmt: skip


def floor(film: Path, music: Path, folder: Path) -> dict[str, float]:
    """Core seconds per second of film for decoding its pictures once and encoding its sound once."""
    import av

    from gvm_plugin.ffmpeg import file_url, run_ffmpeg

    started, count = time.process_time(), 0
    with av.open(str(film)) as media:
        stream = media.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in media.decode(stream):
            count += 1
    decode = (time.process_time() - started) / (count / 30)
    started = cpu_seconds()
    encoder = ["-c:a", "aac", "-aac_coder", "fast", "-b:a", "448k"]
    run_ffmpeg(["-i", file_url(music), *encoder, file_url(folder / "floor.m4a")])
    return {"decode": decode, "aac": (cpu_seconds() - started) / (count / 30)}


# --- the table ---------------------------------------------------------------------------------------------------


def print_table(runs: Sequence[Run], least: dict[str, float]) -> None:
    """Speed and memory of each film, then core milliseconds per second of film by stage."""
    print(f"{'film':>8} {'cues':>5} {'x real time':>12} {'wall s/min':>11} {'core s/s':>9} {'peak MB':>8} start-up")
    for run in runs:
        print(
            f"{run.minutes:>4g} min {run.cues:>5} {run.times_real_time:>12.1f} {run.wall / run.seconds * 60:>11.2f} "
            f"{run.cpu / run.seconds:>9.3f} {run.peak_mb:>8.0f} {run.startup_cpu:>7.1f} s"
        )
    print("\ncore ms per second of film (share of the wall time; peak MB)")
    for name in dict.fromkeys(name for run in runs for name in run.stages):
        cells = []
        for run in runs:
            stage = run.stages.get(name, {"wall": 0.0, "cpu": 0.0, "peak_mb": 0.0})
            core_ms, share = 1000 * stage["cpu"] / run.seconds, stage["wall"] / run.wall
            cells.append(f"{core_ms:>7.1f} ({share:>4.0%}; {stage['peak_mb']:>5.0f})")
        print(f"{name:>10}" + "".join(cells))
    print(f"floor: decoding {1000 * least['decode']:.1f}, AAC {1000 * least['aac']:.1f}")


def main() -> None:
    """Make the films, score them, print table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=Path, default=ROOT / "examples" / "vlogs")
    parser.add_argument("--minutes", default="1,10,60")
    parser.add_argument("--folder", type=Path, help="also score all films of this folder")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--task", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        task, film, out = arguments.task
        (score_one if task == "one" else score_all)(Path(film), Path(out), arguments.model)
        return
    with tempfile.TemporaryDirectory(prefix="gvm-bench-") as name:
        bench(arguments, Path(name))


def bench(arguments: argparse.Namespace, work: Path) -> None:
    """Everything, in the folder `work`."""
    clips = sorted(path for path in arguments.clips.iterdir() if path.suffix in (".mp4", ".mov", ".mkv", ".webm"))
    if not clips:
        raise SystemExit(f"{arguments.clips}: holds no clips; name another folder with --clips")
    runs, least = [], {"decode": 0.0, "aac": 0.0}
    reel = make_reel(clips, work)
    for minutes in (float(text) for text in arguments.minutes.split(",") if text):
        film, out = make_film(reel, minutes, work), work / f"out{minutes:g}"
        out.mkdir()
        told, watcher = measured("one", film, out, arguments.model)
        runs.append(run_of(minutes, told, watcher))
        if minutes <= 10:
            least = floor(film, out / f"{film.stem}.music.wav", work)
        print_table(runs[-1:], least)
    result: dict[str, Any] = {"cores": os.cpu_count(), "runs": [asdict(run) for run in runs], "floor": least}
    if runs:
        print()
        print_table(runs, least)
        per_minute = [run.wall / run.seconds * 60 for run in runs]
        peaks = [run.peak_mb for run in runs]
        result |= {
            "times_real_time": [round(run.times_real_time, 2) for run in runs],
            "wall_seconds_per_minute": [round(value, 3) for value in per_minute],
            "longest_to_shortest_per_minute": round(per_minute[-1] / per_minute[0], 3),
            "peak_mb": round(max(peaks)),
            "peak_growth_mb": round(peaks[-1] - peaks[0]),
        }
    if arguments.folder:
        told, watcher = measured("all", arguments.folder, work / "folder", arguments.model)
        told |= {"cpu": watcher.cpu, "times_real_time": told["seconds"] / told["wall"]}
        told["peak_mb"] = max(mb for _, mb in watcher.samples)
        print(
            f"folder: {told['films']} films, {told['seconds']:.0f} s in {told['wall']:.0f} s after "
            f"{told['startup']:.1f} s of start-up: {told['times_real_time']:.1f} x real time, "
            f"{told['cpu'] / told['seconds']:.3f} core s/s"
        )
        result["folder"] = told
    print(json.dumps(result))


if __name__ == "__main__":
    main()
