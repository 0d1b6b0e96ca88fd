from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("module", sorted(path.stem for path in BENCHMARKS.glob("*.py") if path.stem != "__init__"))
def test_every_benchmark_imports(module: str) -> None:
    """Only some benchmarks have tests of their own; the others would miss that a name of daguan moved."""
    assert import_module(f"benchmarks.{module}").__doc__
