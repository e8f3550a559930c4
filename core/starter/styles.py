"""STYLES, the table of the ten styles by name. Light: no numpy, no torch, so that the plugin can list them at once."""

from __future__ import annotations

from typing import Final

from core.starter.style import Style
from core.starter.styles_lively import ACOUSTIC, ELECTRONIC, FUNK, LOFI, UPBEAT
from core.starter.styles_scenic import AMBIENT, CHINESE, CINEMATIC, DOCUMENTARY, TENSION

__all__ = ["STYLES", "Style"]

STYLES: Final[dict[str, Style]] = {
    style.name: style
    for style in (
        CINEMATIC, DOCUMENTARY, ACOUSTIC, LOFI, UPBEAT, ELECTRONIC, AMBIENT, CHINESE, FUNK, TENSION
    )
}  # fmt: skip
