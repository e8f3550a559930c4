"""Run as a program of its own by tests: trains as the arguments say, and may die on the way.

    training_process.py RECIPE OUT [--parallel ddp,fsdp] [--die-saving STEP]

With --parallel one run after the other is made, in OUT/ddp and OUT/fsdp, on as many processes as were started.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.training import checkpoints  # noqa: E402
from core.training.presets import PRESETS  # noqa: E402
from core.training.recipe import read_recipe, with_settings  # noqa: E402
from core.training.start import run_training  # noqa: E402


def die_while_saving(step: int) -> None:
    """Half of the checkpoint after `step` updates is on the disk when the process is killed."""
    whole = checkpoints._write

    def write(kept: dict[str, Any], file: io.BufferedWriter) -> None:
        if kept["progress"]["step"] < step:
            return whole(kept, file)
        file.write(b"half of a checkpoint")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    checkpoints._write = write


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parallel", default="")
    parser.add_argument("--die-saving", type=int)
    args = parser.parse_args()
    recipe = read_recipe(args.recipe, PRESETS)
    if args.die_saving is not None:
        die_while_saving(args.die_saving)
    if not args.parallel:
        run_training(recipe, args.out)
        return
    port = int(os.environ["MASTER_PORT"])
    for number, parallel in enumerate(args.parallel.split(",")):
        os.environ["MASTER_PORT"] = str(port + number)
        run_training(with_settings(recipe, {"compute": {"parallel": parallel}}), args.out / parallel)


if __name__ == "__main__":
    main()
