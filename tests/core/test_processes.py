"""The environment of computing processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from daguan.core.processes import ENVIRONMENT

FAULTS = """
from resource import RUSAGE_SELF, getrusage
import numpy as np
def update():
    gradients = [np.ones(3_000_000) for _ in range(4)]
update()
before = getrusage(RUSAGE_SELF).ru_minflt
for _ in range(5):
    update()
print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(environment: dict[str, str]) -> int:
    """Returns the page faults of making and freeing the same large arrays five times."""
    return int(subprocess.run([sys.executable, "-c", FAULTS], env=environment, stdout=subprocess.PIPE).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_the_memory_of_freed_tensors_is_used_again_without_the_system() -> None:
    plain = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    assert page_faults(plain) > 50
    assert page_faults(plain | ENVIRONMENT) < 5
