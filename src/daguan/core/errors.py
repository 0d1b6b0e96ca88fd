"""Errors a user can cause. Each is one line that names the place, what was expected and what came; exit code 2, and 74
where the disk is full, no fault of what was asked."""

import errno
import signal
import sys
from contextlib import suppress

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = 74  # EX_IOERR of sysexits.h


class DaguanError(Exception):
    """Base of all errors shown to the user as a single line, without a traceback."""

    exit_code = 2


class DataError(DaguanError):
    """A data file is not what its format says: `FILE:LINE: expected …, got …`."""


class ConfigError(DaguanError):
    """A setting does not exist, has the wrong type, or makes no sense."""


class CheckpointError(DaguanError):
    """A run folder or checkpoint is missing, damaged, or belongs to other data."""


class MissingStageError(CheckpointError):
    """A stage that must come before has not been run.

    Attributes:
        problem: the message without the advice to run the stage.
        stage: the first part of the name of the stage's folder, or `submit`.
    """

    def __init__(self, problem: str, stage: str) -> None:
        super().__init__(f"{problem}; run it first")
        self.problem, self.stage = problem, stage


class WriteError(DaguanError):
    """A file cannot be written: a full disk, no permission."""

    exit_code = UNWRITABLE


class DivergenceError(DaguanError):
    """The training loss became infinite or nan."""


class StoppedError(DaguanError):
    """Work was stopped from outside before it was done; the same command continues it."""

    exit_code = 128 + signal.SIGINT


def exit_code_of(error: OSError) -> int:
    """Returns the exit code of an OSError that no DaguanError names: a full disk, no permission, no memory."""
    return UNWRITABLE if error.errno in DISK_FULL else DaguanError.exit_code


def ended(message: str, code: int) -> int:
    """Prints why a process ends, and returns its code; the code survives where the log is on a full disk too."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)
    return code
