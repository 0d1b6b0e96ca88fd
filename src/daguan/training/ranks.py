"""The processes that train one model together, a device each, as torch.distributed counts them: ranks.

Each has the whole model and computes the gradients of its own parts of a batch. The sum of all gradients reaches every
rank, so that all take the same step. A process alone is rank 0 of 1, for which nothing here costs anything. torchrun,
`accelerate launch` and our engine start ranks in the same way: by variables that torch reads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from daguan.core.errors import DaguanError
from daguan.core.runs import folder_lock
from daguan.nn.shares import is_share

COUNT, NUMBER, LOCAL_NUMBER = "WORLD_SIZE", "RANK", "LOCAL_RANK"  # the launchers' variables
PATIENCE = timedelta(hours=12)  # the first rank answers lines and writes while the others wait
Part = TypeVar("Part")


class RankError(DaguanError):
    """Another rank of the job is gone."""


def rank() -> int:
    """Returns this process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def ranks() -> int:
    """Returns the number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Returns whether this process is the one that reports and writes."""
    return rank() == 0


@contextmanager
def joined() -> Iterator[None]:
    """Takes part in the group of ranks that the launcher's variables describe; without them, alone."""
    if int(os.environ.get(COUNT, "1")) == 1:
        yield
        return
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get(LOCAL_NUMBER, "0")) % torch.cuda.device_count())
    with _naming_the_lost():
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Work in the folder, where no other job does: the first rank holds its lock for all.

    The worker of a killed parent may live for a moment more: its successor waits for it.
    """
    with folder_lock(folder, wait=True) if is_first() else nullcontext():
        yield
        wait_for_all()  # no rank reads there any more


def own(parts: Sequence[Part]) -> Sequence[Part]:
    """Returns the parts of this rank: every part is of exactly one rank."""
    return parts[rank() :: ranks()]


def any_rank(flag: bool) -> bool:
    """Returns whether the flag is true on any rank."""
    (raised,) = any_of([flag])
    return raised


def any_of(flags: Sequence[bool]) -> list[bool]:
    """Returns for each flag whether it is true on any rank."""
    if ranks() == 1:
        return list(flags)
    raised = torch.tensor(flags, dtype=torch.int32)
    _all_reduce(raised, dist.ReduceOp.MAX)
    return [bool(one) for one in raised.tolist()]


def gathered(value: Any) -> list[Any]:
    """Returns each rank's value of what JSON can say."""
    if ranks() == 1:
        return [value]
    said = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = sums_of([float(len(said)) if number == rank() else 0.0 for number in range(ranks())])
    found = []
    for owner, size in enumerate(sizes):
        bytes_of_owner = said.copy() if owner == rank() else np.empty(int(size), np.uint8)
        _broadcast(bytes_of_owner, owner)
        found.append(json.loads(bytes_of_owner.tobytes()))
    return found


def of_first(value: Any) -> Any:
    """Returns the first rank's value of what JSON can say."""
    return gathered(value)[0]


def wait_for_all() -> None:
    """Waits until every rank is here."""
    gathered(None)


def sums_of(values: Sequence[float]) -> list[float]:
    """Returns the sum over the ranks of each value."""
    if ranks() == 1:
        return list(values)
    totals = torch.tensor(values, dtype=torch.float64)
    _all_reduce(totals)
    found: list[float] = totals.tolist()
    return found


def sum_gradients(model: nn.Module) -> None:
    """Add the other ranks' gradients to the model's. A parameter has one afterwards if it had one on any rank. Those of
    shares are sums already."""
    if ranks() == 1:
        return
    parameters = [one for one in model.parameters() if one.requires_grad and not is_share(one)]
    taking_part = any_of([parameter.grad is not None for parameter in parameters])
    kinds: dict[tuple[torch.dtype, torch.device], list[nn.Parameter]] = {}
    for parameter, takes_part in zip(parameters, taking_part, strict=True):
        if takes_part:
            kinds.setdefault((parameter.dtype, parameter.device), []).append(parameter)
    for of_kind in kinds.values():  # one message for all gradients of a kind
        grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in of_kind]
        message = torch.cat([grad.flatten() for grad in grads])
        _all_reduce(message)
        for parameter, total in zip(of_kind, torch.split(message, [one.numel() for one in of_kind]), strict=True):
            parameter.grad = total.view_as(parameter)


def sum_tensors(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over the ranks."""
    for tensor in tensors if ranks() > 1 else ():
        _all_reduce(tensor)


def exchanged(computed: Sequence[NDArray[Any]], shapes: Sequence[tuple[int, ...]]) -> Iterator[NDArray[Any]]:
    """Yields the arrays of all parts, in order, where each rank has computed those of its `own` parts.

    shapes: of the arrays of all parts; all are of one type.
    """
    if ranks() == 1 or not shapes:
        yield from computed
        return
    (dtype,) = {name for name in gathered(computed[0].dtype.str if computed else None) if name}
    mine = iter(computed)
    for number, shape in enumerate(shapes):
        owner = number % ranks()
        array = np.ascontiguousarray(next(mine)) if owner == rank() else np.empty(shape, dtype)
        _broadcast(array, owner)
        yield array


def _broadcast(array: NDArray[Any], owner: int) -> None:
    with _naming_the_lost():
        dist.broadcast(torch.from_numpy(array.view(np.uint8)), owner)


def _all_reduce(tensor: Tensor, operation: dist.ReduceOp.RedOpType = dist.ReduceOp.SUM) -> None:
    with _naming_the_lost():
        dist.all_reduce(tensor, operation)


@contextmanager
def _naming_the_lost() -> Iterator[None]:
    """Raises RankError in place of what torch raises where another rank does not answer."""
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise RankError(f"rank {os.environ.get(NUMBER, '0')}: expected an answer of all ranks, got: {reason}") from None
