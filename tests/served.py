"""examples/serve.py in a process of its own, which has no daguan."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from exported_models import FORBID

ROOT = Path(__file__).parents[1]
START = """
import runpy

sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition('/')[0])  # as Python itself does for a script
runpy.run_path(sys.argv[0], run_name='__main__')
"""
ADDRESS = re.compile(r"running on (http://\S+)")


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        url: where it listens.
        process: its process.
    """

    url: str
    process: subprocess.Popen[str]

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Returns the status and the answer to a request, whose body is JSON or bytes."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return answer.status, _read(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error)


def _read(answer: Any) -> Any:
    text = answer.read().decode()
    return json.loads(text) if answer.headers.get_content_type() == "application/json" else text


@contextmanager
def served(folder: Path, scratch: Path, words: Sequence[str] = (), without: Sequence[str] = ()) -> Iterator[Service]:
    """A service over an exported model at a free port, in a process without daguan and the packages named."""
    code = FORBID.replace("FORBIDDEN", repr(["daguan", "torchcrf", *without])) + START
    places = {"HF_MODULES_CACHE": str(scratch / "modules"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | places
    command = [sys.executable, "-c", code, str(ROOT / "examples/serve.py"), str(folder), "--port", "0", *words]
    with subprocess.Popen(command, cwd=scratch, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = []
        try:
            for line in process.stderr:
                said.append(line)
                if found := ADDRESS.search(line):
                    break
            else:
                raise AssertionError("".join(said))
            reader = Thread(target=said.extend, args=[process.stderr])  # so that a full pipe stops nothing
            reader.start()
            yield Service(found[1], process)
        finally:
            process.terminate()
        reader.join()
        print("".join(said))
