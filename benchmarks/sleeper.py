"""A worker that sleeps: `python -m benchmarks.sleeper JOB.json` reports, waits, and writes a result."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(path: str) -> None:
    job = Path(path)
    seconds = json.loads(job.read_text("utf-8"))["seconds"]
    print(json.dumps({"done": 0, "total": 1, "unit": "naps", "f1s": []}), flush=True)
    time.sleep(seconds)
    (job.parent / "result.json").write_text("{}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
