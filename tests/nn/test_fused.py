"""Steps with derivatives of their own: values and gradients are those of the plain formulas."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import silu

from daguan.nn.fused import rotate, swiglu


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def turns(length: int, half: int) -> Tensor:
    angles = torch.arange(length, dtype=torch.double)[:, None, None] * torch.linspace(0.1, 1, half)
    return torch.stack([angles.cos(), angles.sin()])


def test_swiglu_is_silu_of_one_half_times_the_other():
    both = numbers(3, 4, 10)
    gate, value = both.chunk(2, dim=2)
    assert torch.allclose(swiglu(both), silu(gate) * value)
    assert gradcheck(swiglu, (both,))


def test_rotation_has_the_right_gradient():
    assert gradcheck(lambda features: rotate(features, turns(5, 3)), (numbers(2, 5, 2, 6),))


def test_rotation_keeps_lengths_and_makes_products_depend_on_distance_alone():
    query, key = numbers(6), numbers(6, seed=2)
    rows = [rotate(vector.expand(1, 9, 1, 6), turns(9, 3))[0, :, 0] for vector in (query, key)]
    products = rows[0] @ rows[1].T
    assert torch.allclose(rows[0].norm(dim=1), query.norm().expand(9))
    for distance in range(-8, 9):
        along = products.diagonal(distance)
        assert torch.allclose(along, along[:1].expand_as(along))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_type_of_the_numbers_stays(dtype):
    both = torch.randn(2, 4, 1, 8).to(dtype).requires_grad_()
    for result in (swiglu(both), rotate(both, turns(4, 4).to(dtype))):
        assert result.dtype == dtype
        result.sum().backward()
        assert both.grad.dtype == dtype
