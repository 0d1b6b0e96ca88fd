"""Sets up the standard streams of a process, which may be closed, or of an encoding that lacks some characters."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TextIO


def settle_streams() -> None:
    """Opens the standard streams that are closed, so that no file gets their numbers, and replaces characters that
    their encoding lacks."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process lives
    sys.stdout = _settled(sys.stdout, 1)
    sys.stderr = _settled(sys.stderr, 2)


def _settled(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:  # it was closed when Python started
        return open(number, "w", encoding="utf-8", closefd=False)
    if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="replace")
    return stream


def drop_unwritten() -> None:
    """Drops what the standard streams cannot write, so that Python, when it ends, neither complains of it nor changes
    the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def take_stdout() -> TextIO:
    """Returns this process's standard output for reports alone; whatever else is printed goes to standard error, also
    by libraries that know no Python."""
    sys.stdout.flush()
    reports = open(os.dup(1), "w", encoding="utf-8")  # noqa: SIM115  # open as long as the process lives
    os.dup2(2, 1)
    return reports
