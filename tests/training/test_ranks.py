"""Several ranks train as one process does: to the same weights, also where their number changes midway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import ranks_at_work
from daguan.core.processes import ENVIRONMENT, ranks_environment
from daguan.training import ranks

ALL = 99  # updates: to the end
SHARD = "shard"
Trained = tuple[dict[str, Tensor], dict[str, Any]]


def work(folder: Path, count: int, updates: int = ALL, *words: str) -> Trained:
    """Returns the tensors and the figures of that number of ranks."""
    folder.mkdir(exist_ok=True)
    if count == 1:
        with in_double_precision():
            ranks_at_work.main(folder, updates, shard=SHARD in words, lost=False)
        return trained_in(folder)
    command = [sys.executable, ranks_at_work.__file__, str(folder), str(updates), *words]
    started = [subprocess.Popen(command, env=environment() | group) for group in ranks_environment(count)]
    assert [process.wait() for process in started] == [0] * count
    return trained_in(folder)


@contextmanager
def in_double_precision() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def torchrun(folder: Path, count: int, *words: str) -> int:
    """Does the same by torch's launcher; returns its exit code."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command = [*launcher, ranks_at_work.__file__, str(folder), *words]
    return subprocess.run(command, env=environment(), check=False).returncode


def environment() -> dict[str, str]:
    return os.environ | ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(sys.path)}


def trained_in(folder: Path) -> Trained:
    return load_file(folder / "tensors.safetensors"), json.loads((folder / "figures.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return work(tmp_path_factory.mktemp("alone"), 1)


def assert_equal(found: Trained, wanted: Trained) -> None:
    torch.testing.assert_close(found[0], wanted[0], rtol=1e-6, atol=1e-6)
    for name, figures in wanted[1].items():
        assert found[1][name]["done"] == ranks_at_work.UPDATES[name]
        for key, value in figures.items():
            assert found[1][name][key] == pytest.approx(value, abs=1e-6), (name, key)


def test_ranks_end_with_the_weights_and_answers_of_one_process(alone: Trained, tmp_path: Path) -> None:
    assert_equal(work(tmp_path, 3), alone)


def test_torchrun_continues_with_one_rank_fewer_where_one_was_killed(alone: Trained, tmp_path: Path) -> None:
    """All models have done two updates, the last one only one, whose ranks then wait for the lost one."""
    assert torchrun(tmp_path, 3, "2", "lost") != 0
    assert not (tmp_path / "tensors.safetensors").exists()
    assert torchrun(tmp_path, 2, str(ALL)) == 0
    assert_equal(trained_in(tmp_path), alone)


@pytest.fixture(scope="module")
def alone_with_shares(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return work(tmp_path_factory.mktemp("alone"), 1, ALL, SHARD)


def whole_sizes(trained: Trained) -> dict[str, int]:
    """Returns the number of values of each model."""
    sizes = dict.fromkeys(trained[1], 0)
    for key, tensor in trained[0].items():
        name, _, rest = key.partition("/")
        sizes[name] += tensor.numel() if rest.startswith("model/") else 0
    return sizes


def test_ranks_with_shares_of_the_weights_end_with_those_of_one_process(
    alone_with_shares: Trained, tmp_path: Path
) -> None:
    assert_equal(work(tmp_path, 2, ALL, SHARD), alone_with_shares)
    first, second = (json.loads((tmp_path / f"held-{rank}.json").read_text("utf-8")) for rank in (0, 1))
    for name, values in whole_sizes(alone_with_shares).items():
        assert first[name] + second[name] == values
        assert first[name] <= 0.55 * values  # an odd number of rows is not divided in halves


def test_one_process_continues_from_shares_and_shares_from_one_process(
    alone_with_shares: Trained, tmp_path: Path
) -> None:
    work(tmp_path, 2, 1, SHARD)
    work(tmp_path, 1, 1, SHARD)
    assert_equal(work(tmp_path, 2, ALL, SHARD), alone_with_shares)


def test_a_process_alone_is_the_first_and_has_all_parts() -> None:
    assert (ranks.rank(), ranks.ranks(), ranks.is_first()) == (0, 1, True)
    assert ranks.own([1, 2, 3]) == [1, 2, 3]
    assert ranks.any_of([True, False]) == [True, False]
    assert ranks.sums_of([1.5]) == [1.5]
    assert ranks.gathered({"a": 1}) == [{"a": 1}]
