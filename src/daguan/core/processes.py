"""Sets the environment variables that a computing process needs before anything else is loaded."""

from __future__ import annotations

import os
import sys

ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",  # threads that spin while they wait slow each other down
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # memory in large pages: training is up to 1.3 times as fast
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # determinism on a GPU
}


def settle_environment() -> None:
    """Sets missing variables. Restarts this process if one of them only affects new processes."""
    missing = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(missing)
    if "GLIBC_TUNABLES" in missing and sys.platform == "linux":
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
