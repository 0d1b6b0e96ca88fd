"""A double of a GPU for tests on a CPU: it notes what would make the computation wait for an answer or a copy.

On a GPU torch itself can say so (`torch.cuda.set_sync_debug_mode`), which tests/training/test_gpu.py has it do.
"""

from __future__ import annotations

import traceback
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

READS = {Tensor.tolist, Tensor.cpu, Tensor.numpy, Tensor.new_tensor, torch.tensor}
ANSWERS = {  # item(), bool(), float() and int() are the first; the size of what the others return is known to the GPU
    "_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive",
    "bincount", "repeat_interleave",
}  # fmt: skip
CHOOSING = {"index", "index_put", "index_put_"}


class Waits:
    """Notes, inside the context, each function that waits, with the place in our code or in an optimiser's."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._modes = (_Functions(self), _Operations(self))

    def __enter__(self) -> Waits:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)

    def note(self, name: str) -> None:
        frames = [f for f in traceback.extract_stack() if "daguan" in f.filename or "optim" in f.filename]
        place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "?"
        self.found.append(f"{name} at {place}")


class _Functions(TorchFunctionMode):
    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS:
            self.waits.note(func.__name__)
        return func(*args, **(kwargs or {}))


class _Operations(TorchDispatchMode):
    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name in CHOOSING and any(one is not None and one.dtype == torch.bool for one in args[1])
        if name in ANSWERS or by_mask:
            self.waits.note(name)
        return func(*args, **(kwargs or {}))
