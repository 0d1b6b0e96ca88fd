"""How much of the machine is ours, on made-up files of a container; and how a process computes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daguan.training.devices import cores, cpu_quota, memory


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, math.inf),
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "20000 50000\n"}, 0.4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "350000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3.5),
        ({"cpu/cpu.cfs_quota_us": "350000\n"}, math.inf),
    ],
)
def test_cores_are_no_more_than_the_quota_pays_for(
    files: dict[str, str], quota: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, files)
    assert cpu_quota(tmp_path) == quota
    for allowed in (1, 3, 64):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, allowed=allowed: range(allowed), raising=False)
        assert cores(tmp_path) == (allowed if math.isinf(quota) else min(allowed, math.ceil(quota)))


MEMINFO = "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    6000000 kB\nBuffers: 5 kB\n"


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({}, math.inf),
        ({"meminfo": MEMINFO}, 6_000_000 * 1024),
        ({"meminfo": MEMINFO, "memory.max": "max\n"}, 6_000_000 * 1024),
        ({"meminfo": MEMINFO, "memory.max": "2147483648\n"}, 2**31),
        ({"meminfo": MEMINFO, "memory/memory.limit_in_bytes": "1073741824\n"}, 2**30),
        ({"meminfo": MEMINFO, "memory/memory.limit_in_bytes": "9223372036854771712\n"}, 6_000_000 * 1024),
        ({"memory.max": "2147483648\n"}, 2**31),
    ],
)
def test_memory_is_what_the_system_and_the_container_have_left(
    files: dict[str, str], room: float, tmp_path: Path
) -> None:
    write(tmp_path, files)
    assert memory(tmp_path / "meminfo", tmp_path) == room


PROGRAM = """
import sys, torch
from daguan.training.devices import prepare_process
prepare_process(1)
print(torch.get_deterministic_debug_mode(), torch.get_num_threads(), "torch._inductor" in sys.modules)
"""


def test_a_process_computes_deterministically_and_loads_no_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "1", "False"]  # 2: what is not deterministic is an error
