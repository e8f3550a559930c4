"""The exceptions of `gvm`, each with a one-line message that names the file and the remedy.

GVMError                      anything a user can mend; the command line prints the message alone
├── MediaError                a video or audio file that can't be read or has nothing to score
├── DeliveryError             an output that can't be written (folder read-only, disk full, ...)
│   └── FFmpegError           the ffmpeg program failed; keeps its arguments and the end of its messages
├── CueSheetError             a cue sheet that says something impossible; carries the line
├── ModelError                weights missing, wrong, or not fit for the task
│   └── LicenceError          the weights' licence forbids the use asked for
├── DatasetError              a data set that is damaged or says something impossible
├── TrainingError             a training that can't begin or go on
└── MissingDependencyError    a program or package that has to be installed first

`ValueError` is for options out of range; `assert` only for our own bugs.
"""

from __future__ import annotations

import reprlib
from typing import Final


class GVMError(Exception):
    """Anything a user can mend. The message is one line: what is wrong, with which file, and the remedy."""


class MediaError(GVMError):
    """A video or audio file that can't be read or has nothing to score."""


class DeliveryError(GVMError):
    """An output that can't be written."""


_DISK_REASONS: Final = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "Read-only file system",
)


class FFmpegError(DeliveryError):
    """ffmpeg failed.

    Attributes: argv, the arguments it ran with; stderr_tail, the end of what it said.
    """

    def __init__(self, message: str, argv: list[str], stderr_tail: str) -> None:
        super().__init__(message)
        self.argv = argv
        self.stderr_tail = stderr_tail

    @property
    def disk_reason(self) -> str:
        """What the disk refused, in the system's words; empty where it is another trouble."""
        return next((reason.lower() for reason in _DISK_REASONS if reason in self.stderr_tail), "")


class CueSheetError(GVMError):
    """A cue sheet that can't be obeyed. `line` is the 1-based line at fault, or None."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class ModelError(GVMError):
    """Weights are missing, wrong, or not fit for the task."""


class LicenceError(ModelError):
    """The licence of the weights forbids the use asked for."""


class DatasetError(GVMError):
    """A data set is damaged, or says something impossible."""


class TrainingError(GVMError):
    """A training that can't begin or go on."""


class MissingDependencyError(GVMError):
    """A program or package has to be installed first."""


def brief(value: object) -> str:
    """`value` as a file says it, for a message, cut short: a few lines of YAML can stand for gigabytes."""
    return _BRIEF.repr(value)


_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 2
