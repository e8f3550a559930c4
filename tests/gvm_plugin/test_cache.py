"""Takes are kept once, whoever makes them."""

from pathlib import Path

import numpy as np

from gvm_plugin.cache import Cache
from gvm_plugin.generators import CueTake


def test_a_take_that_another_process_stored_meanwhile_stays_where_readers_find_it(tmp_path: Path) -> None:
    """Two equal films in two processes once pulled the file from under each other."""
    cache, take = Cache(tmp_path), CueTake(np.full((2, 480), 0.25, np.float32))
    first = cache.store_take("key", take)
    before = first.load()[0]
    inode = next(tmp_path.rglob("music.wav")).stat().st_ino
    again = cache.store_take("key", take)
    assert next(tmp_path.rglob("music.wav")).stat().st_ino == inode
    assert np.array_equal(again.load()[0], before)
    assert not list(tmp_path.rglob("*.partial"))
