"""A step of fixed shapes recorded once as a CUDA graph and replayed: one launch instead of hundreds.

Elsewhere than on CUDA, or switched off (`enabled=False`), the same calls run as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch


class StepGraphs:
    """Runs functions that read and write only tensors which stay where they are.

    A function is known by its key: the first call with a key runs it as it is, the second records it, later ones
    replay the record, so nothing but its tensors' contents may change between calls of one key.
    """

    def __init__(self, device: torch.device, enabled: bool = True) -> None:
        self.enabled = enabled and device.type == "cuda"
        self._seen: set[Hashable] = set()
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}

    def run(self, key: Hashable, function: Callable[[], None]) -> None:
        """Call `function`, or replay what it did before."""
        if not self.enabled:
            function()
        elif key in self._graphs:
            self._graphs[key].replay()
        elif key in self._seen:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                function()
            graph.replay()  # recording itself computes nothing
            self._graphs[key] = graph
        else:
            self._seen.add(key)
            function()

    def clear(self) -> None:
        """Forget all records, and with them the memory they hold."""
        self._seen.clear()
        self._graphs.clear()
