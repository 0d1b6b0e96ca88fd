"""A model whose weights lie in shares on the processes that train it: FSDP2 of torch.

Each process keeps a share of every weight, of its gradient and of what the optimiser knows of it. The weights of a
layer are whole only while it computes (Zhao et al. 2023, arXiv 2304.11277 §3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn


def divide(model: nn.Module, layers: Sequence[Sequence[nn.Module]], entries: Sequence[str] = ()) -> None:
    """Replaces the model's parameters by shares of them on the processes of the default group.

    Gradients are summed over the processes, not averaged. All must compute equally often.

    layers: the modules whose weights are gathered together; all other weights are gathered for a whole pass.
    entries: the methods beside `forward` by which the model is called.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(next(model.parameters()).device.type, (dist.get_world_size(),))
    done = set[nn.Module]()  # ALBERT's layers are one module
    for modules in layers:
        new = [module for module in modules if module not in done]
        if new:
            fully_shard(new, mesh=mesh)
        done |= {*new}
    whole: Any = fully_shard(model, mesh=mesh)
    for entry in entries:
        register_fsdp_forward_method(whole, entry)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def is_share(tensor: Tensor) -> bool:
    """Returns whether the tensor lies in shares: by its method, as importing its class takes long."""
    return hasattr(tensor, "full_tensor")


def local(tensor: Tensor) -> Tensor:
    """Returns the tensor itself, or this process's share of it."""
    held: Any = tensor
    share: Tensor = held.to_local() if is_share(tensor) else tensor
    return share


def whole(tensor: Tensor) -> Tensor:
    """Returns the tensor itself, or on the CPU what its shares make up. All processes must ask for it."""
    held: Any = tensor
    made: Tensor = held.full_tensor().cpu() if is_share(tensor) else tensor
    return made


def whole_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns `whole` of each."""
    return {name: whole(weight.detach()) for name, weight in weights.items()}


def placed_like(tensor: Tensor, other: Tensor) -> Tensor:
    """Returns the tensor on the device of the other one, in shares if that lies in shares and has its shape."""
    tensor = tensor.to(other.device)
    if is_share(tensor) or not is_share(other) or tensor.shape != other.shape:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(other, DTensor)
    shares: Tensor = distribute_tensor(tensor, other.device_mesh, other.placements)
    return shares
