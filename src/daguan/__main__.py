"""python -m daguan COMMAND …"""

from __future__ import annotations

import signal
import sys

from daguan.core.errors import StoppedError, ended


def run() -> int:
    """Run the command of this process's words, and return its exit code; the streams, and the environment of a command
    that computes, are settled before. SIGTERM ends it as Ctrl-C does."""
    try:  # the imports too take long enough for Ctrl-C
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        from daguan.cli.app import COMMANDS, main
        from daguan.core.processes import settle_environment
        from daguan.core.streams import settle_streams

        settle_streams()
        if any(COMMANDS[name].computes for name in sys.argv[1:2] if name in COMMANDS):
            settle_environment()
        return main(sys.argv[1:])
    except KeyboardInterrupt:
        return ended("daguan: interrupted", StoppedError.exit_code)


if __name__ == "__main__":
    sys.exit(run())
