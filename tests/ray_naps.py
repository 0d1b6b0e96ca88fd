"""Jobs that sleep, given to the Ray cluster of an address: `python -m ray_naps ADDRESS FOLDER` prints what became of
them, a line each."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from daguan.core.errors import StoppedError
from daguan.core.progress import Bar, Progress
from daguan.pipeline.engines.ray_engine import RayEngine
from daguan.pipeline.engines.running import Work
from daguan.training.engine_settings import EngineSettings

WORKER = "benchmarks.sleeper"
LONG = 3600.0  # seconds that no test waits for


def main(address: str, folder: str) -> None:
    settings = EngineSettings(kind="ray", address=address, device="cpu", memory=0.1)
    RayEngine().check(settings, Path(folder))
    seen: list[Progress] = []
    bars = [Bar(name) for name in ("short", "refused", "first", "second")]
    short, refused, *both = [Work(bar.name, f"{folder}/{bar.name}", 1, nap(bar.name), worker=WORKER) for bar in bars]
    done = RayEngine().do(short, settings, bars[0], lambda progress: seen.append(progress) is None)
    print("short", done, len(seen), bars[0].begun is not None)
    print("refused", RayEngine().do(refused, settings, bars[1], lambda progress: False))
    engine = RayEngine()
    with ThreadPoolExecutor(2) as executor:  # for one core
        ends = [executor.submit(ended, engine, work, settings, bar) for work, bar in zip(both, bars[2:], strict=True)]
        while not any(bar.begun for bar in bars[2:]):
            time.sleep(0.1)
        time.sleep(1.0)
        print("begun", sum(bar.begun is not None for bar in bars[2:]))
        engine.stop()
        engine.stop()  # as a budget does whose time is over
        for end in ends:
            print("stopped", end.result())


def nap(name: str) -> str:
    return json.dumps({"seconds": 2.0 if name == "short" else LONG})


def ended(engine: RayEngine, work: Work, settings: EngineSettings, bar: Bar) -> str:
    """Return why a job ended."""
    try:
        engine.do(work, settings, bar, lambda progress: True)
    except StoppedError as error:
        return str(error).partition(": ")[2]
    return "not stopped"


if __name__ == "__main__":
    main(*sys.argv[1:])
