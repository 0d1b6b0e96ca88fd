"""Sets the environment variables that a computing process needs before anything else is loaded."""

from __future__ import annotations

import os
import socket
import sys

MALLOC = (
    "hugetlb=1",  # memory in large pages: training is up to 1.3 times as fast
    # up to these sizes (32 and 512 MiB) freed memory stays in the process; the system would take a large gradient back
    # and clear new pages at every update, 5 to 15 % of the time
    "mmap_threshold=33554432",
    "trim_threshold=536870912",
)
LOCAL = "127.0.0.1"
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",  # threads that spin while they wait slow each other down
    "GLIBC_TUNABLES": ":".join(f"glibc.malloc.{tunable}" for tunable in MALLOC),
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # determinism on a GPU
}


def ranks_environment(count: int) -> list[dict[str, str]]:
    """Returns the variables of each of `count` processes on this machine that train together, as torchrun sets them;
    none for a process alone."""
    if count == 1:
        return [{}]
    with socket.socket() as free:
        free.bind((LOCAL, 0))
        group = {"MASTER_ADDR": LOCAL, "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(count)}
    return [group | {"RANK": str(number), "LOCAL_RANK": str(number)} for number in range(count)]


def settle_environment() -> None:
    """Sets missing variables. Restarts this process if one of them only affects new processes."""
    missing = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(missing)
    if "GLIBC_TUNABLES" in missing and sys.platform == "linux":
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
