"""`python -m gvm_plugin` is `gvm`."""

from __future__ import annotations

from gvm_plugin.cli import main

main()
