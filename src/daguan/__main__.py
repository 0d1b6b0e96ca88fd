"""python -m daguan COMMAND …"""

from __future__ import annotations

import sys

from daguan.cli.app import COMMANDS, main
from daguan.core.processes import settle_environment
from daguan.core.streams import settle_streams

__all__ = ["COMMANDS", "main"]


def run() -> int:
    """Run the command of this process's words; its streams and the environment of one that computes are settled
    before."""
    settle_streams()
    if any(COMMANDS[name].computes for name in sys.argv[1:2] if name in COMMANDS):
        settle_environment()
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
