"""What a safetensors file declares of itself: names, shapes, bytes. No tensor is read, so a damaged file shows at once.

The format (huggingface/safetensors): 8 bytes N little-endian, N bytes of JSON {name: {dtype, shape, data_offsets}},
then the tensors end to end.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import ModelError

_MOST_HEADER_BYTES: Final = 100_000_000  # safetensors itself refuses longer ones


class WeightsFileError(ModelError):
    """A file that isn't safetensors, or not all of it. The message says what, without the file's name."""


@dataclass(frozen=True)
class Shapes:
    """shapes: of the tensors by name. parameters: numbers in all of them. bytes: the length of the whole file."""

    shapes: dict[str, tuple[int, ...]]
    parameters: int
    bytes: int


def read_shapes(path: Path) -> Shapes:
    """What `path` declares. WeightsFileError where it declares nothing readable, or is shorter or longer than that."""
    there = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if there < 8 or length > min(there - 8, _MOST_HEADER_BYTES):
            raise WeightsFileError("not a safetensors file, or cut off")
        header = file.read(length)
    try:
        declared = json.loads(header)
        tensors = {name: value for name, value in declared.items() if name != "__metadata__"}
        shapes = {name: tuple(int(n) for n in value["shape"]) for name, value in tensors.items()}
        end = max((int(value["data_offsets"][1]) for value in tensors.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as err:
        raise WeightsFileError("not a safetensors file") from err
    if there != 8 + length + end:
        raise WeightsFileError(f"{there} bytes of {8 + length + end}")
    return Shapes(shapes, sum(map(math.prod, shapes.values())), there)
