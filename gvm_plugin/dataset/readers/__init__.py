"""Readers: folders of others' data sets -> sources to take pairs from. None of them writes anything.

    films       films with their own sound, in folders that may be named after types
    pairs       NAME.mp4 beside NAME.wav, or video/NAME.mp4 and audio/NAME.wav
    published   the published code's layout: NAME.pt, NAME.wav, train/data.jsonl, eval/data.jsonl
    symmv       SymMV: SymMV.csv, chord/, midi/, and the videos as one downloaded them
    muvi-sync   MuVi-Sync: vevo/, vevo_meta/idlist.txt, vevo_meta/split/
    aist        AIST++: videos, splits/, ignore_list.txt
    tiktok      TikTok Dance-Music: videos, tiktok_audio_train_segment.txt, ..._test_...

Written from their public descriptions and file lists; docs/dataset.md says which were tried on the real data.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, cast

from gvm_plugin.dataset.readers.common import Found

KINDS: Final = ("films", "pairs", "published", "symmv", "muvi-sync", "aist", "tiktok")


def read_sources(kind: str, folder: Path) -> Found:
    """What the reader `kind` finds in `folder`. DatasetError where that is no such data set."""
    module = import_module(f"gvm_plugin.dataset.readers.{kind.replace('-', '_')}")
    return cast(Callable[[Path], Found], module.read)(folder)
