"""Running sums."""

import re
from pathlib import Path

import pytest
import torch

import daguan
from daguan.nn.scans import running_sums


@pytest.mark.parametrize("length", [1, 2, 3, 8, 13, 100])
def test_running_sums_are_cumulated_sums_with_their_gradient(length: int) -> None:
    values = torch.randn(2, 3, length, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 3, length, dtype=torch.float64)
    sums = running_sums(values)
    assert torch.allclose(sums, values.cumsum(2), atol=1e-12)
    (gradient,) = torch.autograd.grad((sums * weights).sum(), values)
    (expected,) = torch.autograd.grad((values.cumsum(2) * weights).sum(), values)
    assert torch.allclose(gradient, expected, atol=1e-12)


def test_no_floats_are_cumulated_by_what_a_gpu_refuses() -> None:
    """torch cumulates only `number`, which counts; numpy knows no GPU."""
    found = []
    for layer in ("nn", "models", "training"):
        for path in (Path(daguan.__file__).parent / layer).rglob("*.py"):
            found += re.findall(r"(\w+|\))\.cumsum\(", path.read_text("utf-8"))
    assert [name for name in found if name != "np"] == ["number"]
