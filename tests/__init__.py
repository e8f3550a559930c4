"""A package, so that `from tests.parity import ...` means ours: some packages (flashy) install a `tests` of their own."""
