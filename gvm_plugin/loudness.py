"""Loudness and true peak of sound in blocks: `core.loudness`, by the names that the mix and its reports use."""

from __future__ import annotations

from core.loudness import Loudness as Loudness
from core.loudness import LoudnessMeter as LoudnessMeter
from core.loudness import decibels as decibels
from core.loudness import measure_loudness as measure_loudness
