"""Runs a side of a comparison in a process of its own, with its own environment, that works only on request.

The parent holds a `Side`; the process runs `python -m benchmarks.sides MODULE:CLASS OPTIONS`, builds the object and
calls its methods. Requests and answers are lines of JSON. While one side works the others wait for a line.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from benchmarks.harness import ROOT


class SideError(RuntimeError):
    """A side's process ended before it answered; its own message is on standard error."""


class Side:
    """An object of `MODULE:CLASS`, built with `options` in another process. To be used in a `with` statement."""

    def __init__(self, target: str, environment: Mapping[str, str], **options: Any) -> None:
        self.target = target
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sides", target, json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=dict(environment) | {"PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        self.receive()  # it is ready

    def call(self, method: str, **arguments: Any) -> Any:
        """Returns the answer of the method."""
        self.send(method, **arguments)
        return self.receive()

    def send(self, method: str, **arguments: Any) -> None:
        """Begin a call; `receive` waits for its answer. This lets two sides work at the same time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, arguments]) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        """Returns the answer. Raises SideError if the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SideError(f"{self.target} ended with code {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        if error is not None:  # it may be at work
            self._process.terminate()
        self._process.wait()
        self._process.stdout.close()


def serve(target: str, options: str) -> None:
    """Answer requests until standard input closes. Everything that libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, _, name = target.partition(":")
    side = getattr(importlib.import_module(module), name)(**json.loads(options))
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        method, arguments = json.loads(line)
        print(json.dumps(getattr(side, method)(**arguments)), file=answers, flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # a side may be in the middle of a training loop: nothing needs to be finished
