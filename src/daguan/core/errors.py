"""Errors a user can cause. Each is one line that names the place, what was expected and what came; exit code 2."""


class DaguanError(Exception):
    """Base of all errors shown to the user as a single line, without a traceback."""

    exit_code = 2


class DataError(DaguanError):
    """A data file is not what its format says: `FILE:LINE: expected …, got …`."""


class ConfigError(DaguanError):
    """A setting does not exist, has the wrong type, or makes no sense."""


class CheckpointError(DaguanError):
    """A run folder or checkpoint is missing, damaged, or belongs to other data."""


class WriteError(DaguanError):
    """A file cannot be written: a full disk, no permission."""


class DivergenceError(DaguanError):
    """Training went astray: its loss is infinite or no number."""


class StoppedError(DaguanError):
    """Work was stopped before it was done, not by a fault of its own; the same command continues."""
