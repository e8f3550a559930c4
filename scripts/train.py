#!/usr/bin/env python3
"""`gvm train` for torchrun: `torchrun --nproc-per-node 2 scripts/train.py RECIPE [options of gvm train]`.

Every process runs this; the first one speaks for all. docs/training.md has the options.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Train, and end with the exit code of `gvm train`."""
    from gvm_plugin.cli import run

    if os.environ.get("RANK", "0") != "0":
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - what is wrong is said once; it lasts as long as the process
    sys.exit(run(["train", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
