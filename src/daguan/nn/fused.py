"""Element-wise steps of an encoder with explicit derivatives: fewer passes over memory than autograd's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import silu


class _Swiglu(Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        gate, value = both.chunk(2, dim=-1)
        return silu(gate).mul_(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (both,) = ctx.saved_tensors
        gate, value = both.chunk(2, dim=-1)
        result = torch.empty_like(both)
        to_gate, to_value = result.chunk(2, dim=-1)
        torch.mul(gradient, silu(gate), out=to_value)
        torch.ops.aten.silu_backward.grad_input(gradient * value, gate, grad_input=to_gate)
        return result


def swiglu(both: Tensor) -> Tensor:
    """Returns silu(gate)·value (…,F) of (…,2F) = [gate, value] (Shazeer 2020, arXiv 2002.05202)."""
    result: Tensor = _Swiglu.apply(both)  # type: ignore[no-untyped-call]
    return result


class _Rotate(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, turns: Tensor) -> Tensor:
        ctx.save_for_backward(turns)
        return _turned(features, turns[0], turns[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (turns,) = ctx.saved_tensors
        return _turned(gradient, turns[0], -turns[1]), None


def _turned(features: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = features.chunk(2, dim=-1)
    if torch.onnx.is_in_onnx_export():  # a graph has no tensors whose parts are written one after another
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    result = torch.empty_like(features)
    to_first, to_second = result.chunk(2, dim=-1)
    torch.mul(first, cos, out=to_first).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=to_second).addcmul_(first, sin)
    return result


def rotate(features: Tensor, turns: Tensor) -> Tensor:
    """Applies rotary positions (Su et al. 2021, arXiv 2104.09864) to features (B,T,heads,D); turns (2,T,1,D/2) cos and
    sin."""
    result: Tensor = _Rotate.apply(features, turns)  # type: ignore[no-untyped-call]
    return result
