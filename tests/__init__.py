"""A package, so that `from tests.parity import ...` means ours: flashy and others install a `tests` of their own."""
