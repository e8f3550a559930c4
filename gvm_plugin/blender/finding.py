# SPDX-License-Identifier: GPL-3.0-or-later
"""Where gvm is on this computer. No bpy in here."""

from __future__ import annotations

import os
import pathlib

from . import worker_client

HOMES = ("gvm", "gvm/.venv", ".venvs/gvm", ".virtualenvs/gvm", "venvs/gvm", "miniconda3/envs/gvm", "anaconda3/envs/gvm")
HOW = (
    "Install gvm outside Blender (Python 3.11 or newer): python3 -m venv ~/gvm, then"
    " ~/gvm/bin/pip install FOLDER_OF_GVM, where FOLDER_OF_GVM is the unpacked project."
    " The add-on looks there by itself; elsewhere, choose the program gvm in the preferences"
)


def program(chosen: str) -> str | None:
    """The program to run: what the person chose (a program, a Python, an environment's folder), else what is found."""
    if chosen:
        path = pathlib.Path(os.path.expanduser(chosen))
        return _in_folder(path) if path.is_dir() else (str(path) if path.is_file() else None)
    found = worker_client.find_gvm()
    home = pathlib.Path.home()
    return found or next((inside for name in HOMES if (inside := _in_folder(home / name))), None)


def _in_folder(folder: pathlib.Path) -> str | None:
    """gvm in an environment, or in a checkout with its `.venv`."""
    for base in (folder, folder / ".venv"):
        for name in ("bin/gvm", "Scripts/gvm.exe"):
            if os.access(base / name, os.X_OK):
                return str(base / name)
    return None
