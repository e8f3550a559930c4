"""Our decoding against audiocraft's own language model on the same random weights: seconds a step, memory, quality.

    python scripts/bench_decode.py [--scale small|large] [--rounds 7] [--threads N] [--device cpu|cuda]

Both sides sit in one process and take their steps in turn, so that whatever else the machine does hits both. A
window is 30 s, 1503 steps; its average is measured at four positions and integrated. Memory is each side's own
process. The floor is the bytes of the decoder's weights over the bandwidth measured on the spot. `--quick` tests the
script itself at toy size. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from decode_quality import compare, stepwise_logits
from decode_sides import Audiocraft, Ours, Side, our_decoder, prepared

from core.config import DecoderConfig, published
from core.precision import Precision, best_precision, check

ROOT = Path(__file__).resolve().parents[1]
STEPS = 1503
POSITIONS = (50, 500, 1400)
WINDOW_POSITIONS = (64, 448, 960, 1472)  # as far from the next growth of our cache as it is on average
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
QUICK = DecoderConfig(dim=64, heads=2, layers=2, card=300)


def main() -> None:
    """Parse, measure, print."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    config = QUICK if arguments.quick else published(arguments.scale).decoder
    if arguments.memory_of:
        print(json.dumps(memory_of(arguments, config)))
        return
    load_before = os.getloadavg()
    with torch.no_grad():
        result = measure(arguments, config)
    result |= {"load_before": load_before, "load_after": os.getloadavg(), "torch": torch.__version__}
    print(json.dumps(result))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=["small", "large"], default="small")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=7, help="steps of each side at each position")
    parser.add_argument("--items", type=int, default=None, help="our windows at once (8; 16 on a GPU)")
    parser.add_argument("--precisions", default=None, help="fp32,bf16,int8 on a CPU; bf16,fp16 on a GPU")
    parser.add_argument("--cpu-time", action="store_true", help="count the process's own seconds: for a busy machine")
    parser.add_argument("--no-memory", action="store_true", help="leave the memory of both sides out")
    parser.add_argument("--quick", action="store_true", help="toy size: tests this script")
    parser.add_argument("--memory-of", choices=["ours", "audiocraft"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    gpu = arguments.device.startswith("cuda")
    arguments.items = arguments.items or (16 if gpu else 8)
    arguments.precisions = (arguments.precisions or ("bf16,fp16" if gpu else "fp32,bf16,int8")).split(",")
    return arguments


def measure(arguments: argparse.Namespace, config: DecoderConfig) -> dict[str, Any]:
    """Everything that is measured, as the JSON holds it."""
    from audiocraft_lm import build_lm

    bandwidth = {} if arguments.device != "cpu" else read_bandwidth(arguments.threads)
    lm = build_lm(config.dim, config.heads, config.layers, config.card)
    decoder = our_decoder(config, lm.state_dict())
    weights = sum(p.numel() for name, p in decoder.named_parameters() if not name.startswith(("emb", "condition")))
    quality = measure_quality(decoder, arguments)
    lm = lm.to(arguments.device)
    if arguments.device != "cpu":
        lm = lm.half()  # as the published loader has it on a GPU
    steps = []
    for precision in arguments.precisions:
        ours = prepared(decoder, precision, arguments.device)
        for items in (1, arguments.items):
            steps += duel(arguments, lm, config, {f"ours {precision}": Ours(ours, items, codes(arguments))}, items)
    for items in (2, 4):
        steps += duel(arguments, lm, config, {}, items)
    windows = averages(steps)
    if arguments.no_memory:
        memory = []
    else:
        memory = [peak_memory(arguments, *side) for side in memory_sides(arguments)]
    return {
        "scale": "quick" if arguments.quick else arguments.scale, "device": arguments.device,
        "clock": "cpu" if arguments.cpu_time else "wall",
        "threads": arguments.threads, "decoder_weights": weights, "bandwidth_gb_s": bandwidth,
        "floor_s": {p: floor(weights, p, bandwidth) for p in arguments.precisions},
        "quality": quality, "steps": steps, "window_average_s_per_step": windows,
        "ratios": ratios(windows, quality, arguments), "memory": memory,
    }  # fmt: skip


def codes(arguments: argparse.Namespace) -> int:
    """Codes of a window."""
    return 1500 if not arguments.quick else 150


def positions(arguments: argparse.Namespace) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The positions that are reported, and those that a window's average is made of."""
    return (POSITIONS, WINDOW_POSITIONS) if not arguments.quick else ((5, 50, 140), (6, 45, 96, 147))


# --- time --------------------------------------------------------------------------------------------------------


def duel(
    arguments: argparse.Namespace, lm: Any, config: DecoderConfig, ours: dict[str, Ours], items: int
) -> list[dict[str, Any]]:
    """Median and best seconds of a step of each side with `items` items, their steps taken in turn."""
    theirs = Audiocraft(lm, items, config.dim)
    sides: dict[str, Side] = {"audiocraft": theirs, **ours}
    found = []
    for position in sorted(set(sum(positions(arguments), ()))):
        times: dict[str, list[float]] = {name: [] for name in sides}
        for side in sides.values():
            side.seek(position)
        for turn in range(arguments.rounds + 2):
            for name, side in sides.items():
                seconds = timed(side, arguments.device, time.process_time if arguments.cpu_time else time.perf_counter)
                if turn >= 2:  # the first calls choose kernels, and record graphs
                    times[name].append(seconds)
        for name, each in times.items():
            figures = {"median_s": round(statistics.median(each), 5), "best_s": round(min(each), 5)}
            found.append({"side": name, "items": items, "position": position, "beside": " ".join(ours), **figures})
            print(f"{name:12} {items:2} windows, position {position:4}: {figures}", file=sys.stderr)
    theirs.close()
    return found


def timed(side: Side, device: str, clock: Callable[[], float]) -> float:
    """Seconds of one step."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = clock()
    side.step()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def averages(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Seconds a step, averaged over a window, for each side, number of items, and neighbour it was measured beside.

    Straight lines between the positions measured; before the first and after the last the nearest line goes on.
    """
    groups = sorted({(s["side"], s["items"], s["beside"]) for s in steps})
    found = []
    for side, items, beside in groups:
        mine = {
            s["position"]: s["median_s"] for s in steps if (s["side"], s["items"], s["beside"]) == (side, items, beside)
        }
        places = [p for p in WINDOW_POSITIONS if p in mine] or sorted(mine)
        quick = places[-1] < 1000
        total, end = 0.0, 150 if quick else STEPS
        for first, last in itertools.pairwise(places):
            low = 0 if first == places[0] else first
            high = end if last == places[-1] else last
            slope = (mine[last] - mine[first]) / (last - first)
            total += (high - low) * (mine[first] + slope * ((low + high) / 2 - first))
        found.append({
            "side": side, "items": items, "beside": beside, "s_per_step": round(total / end, 5),
            "windows_per_hour": round(3600 * items / total, 2),
        })  # fmt: skip
    return found


def ratios(windows: list[dict[str, Any]], quality: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """How many times faster ours is: one window a step, and the best of either side in windows an hour."""
    ours = {(w["side"].removeprefix("ours "), w["items"]): w for w in windows if w["side"] != "audiocraft"}
    theirs = {(w["beside"].removeprefix("ours "), w["items"]): w for w in windows if w["side"] == "audiocraft"}
    best_theirs = max((w for w in windows if w["side"] == "audiocraft"), key=lambda w: w["windows_per_hour"])
    out: dict[str, Any] = {"audiocraft_best_items": best_theirs["items"]}
    for precision in arguments.precisions:
        alone = theirs[precision, 1]["s_per_step"] / ours[precision, 1]["s_per_step"]
        many = ours[precision, arguments.items]["windows_per_hour"] / best_theirs["windows_per_hour"]
        out[precision] = {
            "one_window": round(alone, 2), "windows_per_hour": round(many, 2),
            "worst_kl": max(quality[precision]["kl_per_codebook"]),
        }  # fmt: skip
    return out


def read_bandwidth(threads: int) -> dict[str, float]:
    """GB/s at which one core and all of `threads` read memory."""
    block = torch.ones(2**27)
    found = {}
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        best = float("inf")
        for _ in range(8):
            start = time.perf_counter()
            block.sum()
            best = min(best, time.perf_counter() - start)
        found[f"{count}_threads"] = round(block.numel() * 4 / best / 1e9, 1)
    torch.set_num_threads(threads)
    return found


def floor(weights: int, precision: str, bandwidth: dict[str, float]) -> float | None:
    """Seconds that reading the weights once takes."""
    return round(weights * BYTES[precision] / max(bandwidth.values()) / 1e9, 5) if bandwidth else None


# --- quality -----------------------------------------------------------------------------------------------------


def measure_quality(decoder: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """KL per codebook and top-1 agreement of each precision against fp32."""
    config = decoder.config
    random = torch.Generator().manual_seed(3)
    steps = 16 if arguments.quick else 48
    sequence = torch.randint(config.card, (4, config.streams, steps), generator=random).to(arguments.device)
    condition = torch.randn(4, 30, config.dim, generator=random).to(arguments.device)
    exact = stepwise_logits(decoder.to(arguments.device), sequence, condition)
    decoder.to("cpu")
    found = {}
    for precision in arguments.precisions:
        found[precision] = compare(
            exact, stepwise_logits(prepared(decoder, precision, arguments.device), sequence, condition)
        )
        print(f"{precision}: {found[precision]}", file=sys.stderr)
    return found


# --- memory ------------------------------------------------------------------------------------------------------


def memory_sides(arguments: argparse.Namespace) -> list[tuple[str, Precision, int]]:
    """Whose memory is measured: both sides at the precisions that both have, ours at all."""
    sides: list[tuple[str, Precision, int]] = []
    for items in (1, arguments.items):
        for precision in arguments.precisions:
            sides.append(("ours", precision, items))
            if precision != "int8":
                sides.append(("audiocraft", precision, items))
    return sides


def peak_memory(arguments: argparse.Namespace, side: str, precision: Precision, items: int) -> dict[str, Any]:
    """Peak memory of a process that decodes with one side up to the end of a window."""
    command = [sys.executable, str(Path(__file__)), "--memory-of", side, "--precisions", precision]
    command += ["--items", str(items), "--scale", arguments.scale, "--device", arguments.device]
    command += ["--threads", str(arguments.threads)] + (["--quick"] if arguments.quick else [])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(found, file=sys.stderr)
    return found


def memory_of(arguments: argparse.Namespace, config: DecoderConfig) -> dict[str, Any]:
    """Peak of this process, which knows one side only."""
    precision, end = arguments.precisions[0], positions(arguments)[1][-1]
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    with torch.no_grad():
        if arguments.memory_of == "ours":
            check(precision, torch.device(arguments.device))
            best_precision(torch.device(arguments.device), config.dim)
            imported = status("VmRSS")
            decoder = our_decoder(config).to(arguments.device)
            side: Side = Ours(prepared_in_place(decoder, precision), arguments.items, codes(arguments))
        else:
            from audiocraft_lm import build_lm

            build_lm(16, 2, 1, 8)  # imports
            imported = status("VmRSS")
            lm = build_lm(config.dim, config.heads, config.layers, config.card)
            side = Audiocraft(lm.to(arguments.device, dtype), arguments.items, config.dim)
        side.seek(end)
        for _ in range(3):
            side.step()
    found: dict[str, Any] = {"side": arguments.memory_of, "precision": precision, "items": arguments.items}
    found |= {"peak_gb": status("VmHWM"), "imports_gb": imported}
    if arguments.device != "cpu":
        found["peak_gpu_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 3)
    return found


def prepared_in_place(decoder: Any, precision: Precision) -> Any:
    """`decoder` in `precision`, without a copy of it."""
    from core.precision import prepare

    return prepare(decoder, precision)


def status(field: str) -> float:
    """GB of this process: VmHWM its peak, VmRSS now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e9, 3)


if __name__ == "__main__":
    main()
