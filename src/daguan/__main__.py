"""python -m daguan COMMAND …"""

from __future__ import annotations

import sys

from daguan.cli.app import COMMANDS, main
from daguan.core.processes import settle_environment

__all__ = ["COMMANDS", "main"]
COMPUTING = (
    "prepare", "pretrain", "train", "tune", "baseline", "runs", "blend", "distil", "predict", "rehearse", "reproduce",
)  # fmt: skip


def run() -> int:
    """Run the command of this process's words; the environment of one that computes is settled before."""
    if set(sys.argv[1:2]) & set(COMPUTING):
        settle_environment()
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
