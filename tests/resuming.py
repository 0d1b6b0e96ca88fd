"""The law of every resumable run: interrupted after any update and resumed, it ends with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from daguan.training.loop import Trainer

T = TypeVar("T", bound=Trainer[Any])
CLOCKS = ("seconds", "cpu")


def assert_resumes(make: Callable[[], T], folder: Path, cut: int) -> tuple[T, T]:
    """Check the law for `make`, whose trainers save after each update.

    Returns an uninterrupted trainer and a resumed one, both trained to the end.
    """
    whole, resumed = make(), make()
    reports = list(whole.fit(folder / "whole"))
    assert len(reports) == whole.done >= cut
    generator = make().fit(folder / "cut")
    for _ in range(cut):
        next(generator)
    assert [*reports[:cut], *resumed.fit(folder / "cut")] == reports
    assert_same_state(whole, resumed)
    return whole, resumed


def assert_same_state(one: Trainer[Any], other: Trainer[Any]) -> None:
    """Check that the states are equal to the bit, except for clocks."""
    (tensors, values), (other_tensors, other_values) = one.state(), other.state()
    assert tensors.keys() == other_tensors.keys()
    for name, tensor in tensors.items():
        assert tensor.equal(other_tensors[name]), name
    assert values.keys() == other_values.keys()
    assert {n: v for n, v in values.items() if n not in CLOCKS} == {
        n: v for n, v in other_values.items() if n not in CLOCKS
    }
