"""Muon: orthogonal updates, matrices of a shape at once as one at a time."""

import pytest
import torch
from torch import nn

from daguan.nn import muon
from daguan.nn.muon import Muon, StackedLinear, orthogonal, orthogonal_blocks


def matrices(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 32), (4, 32, 8), (1, 1, 5)])
def test_singular_values_come_close_to_one_and_singular_vectors_stay(shape):
    given = matrices(*shape)
    made = orthogonal(given)
    assert made.shape == given.shape
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.3  # the source: between .7 and 1.2 for all but the smallest ones
    assert values.max() < 1.25
    left, _, right = torch.linalg.svd(given, full_matrices=False)
    inner = left.mT @ made @ right.mT
    assert torch.allclose(inner, torch.diag_embed(inner.diagonal(dim1=1, dim2=2)), atol=1e-3)


def test_scale_does_not_matter():
    given = matrices(2, 8, 12)
    assert torch.allclose(orthogonal(given), orthogonal(1000 * given), atol=1e-4)


def test_no_gradient_no_step_and_zero_gradient_no_number_lost():
    still, zero = nn.Parameter(matrices(4, 4)), nn.Parameter(matrices(4, 6))
    before = [still.detach().clone(), zero.detach().clone()]
    zero.grad = torch.zeros_like(zero)
    Muon([still, zero], 0.1, 0.95, 0.0, torch.float32).step()
    assert still.equal(before[0])
    assert zero.equal(before[1])


def test_equals_torch_s_own_in_its_precision():
    """torch.optim.Muon works in bf16 on one matrix at a time."""
    ours = [nn.Parameter(matrices(8, 8)), nn.Parameter(matrices(8, 8) + 1), nn.Parameter(matrices(16, 8))]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    optimisers = (
        Muon(ours, 0.02, 0.95, 0.1, torch.bfloat16),
        torch.optim.Muon(theirs, lr=0.02, momentum=0.95, weight_decay=0.1),
    )
    for step in range(4):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = matrices(*own.shape) * (step + 1)
            other.grad = own.grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    for own, other in zip(ours, theirs, strict=True):
        assert torch.allclose(own, other, atol=2e-3)


def test_stacked_matrices_are_made_orthogonal_each_for_itself():
    layer = StackedLinear(6, 6, count=3)
    assert layer.weight.shape == (18, 6)
    apart = [nn.Parameter(part.detach().clone()) for part in layer.weight.chunk(3)]
    layer.weight.grad = matrices(18, 6)
    for part, gradient in zip(apart, layer.weight.grad.chunk(3), strict=True):
        part.grad = gradient.clone()
    Muon([{"params": [layer.weight], "count": 3}], 0.1, 0.9, 0.1, torch.float32).step()
    Muon(apart, 0.1, 0.9, 0.1, torch.float32).step()
    assert torch.allclose(layer.weight, torch.cat(apart), atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 12, 5), (2, 5, 12), (1, 8, 8), (3, 9, 4)])
def test_blocks_are_orthogonal_each_and_as_long_together_as_the_whole(shape, monkeypatch):
    given = matrices(*shape)
    monkeypatch.setattr(muon, "BLOCK", max(shape))
    whole = orthogonal_blocks(given)
    assert torch.allclose(whole, orthogonal(given), atol=1e-5)
    monkeypatch.setattr(muon, "BLOCK", 4)
    cut = orthogonal_blocks(given)
    assert cut.shape == given.shape
    assert (cut.norm(dim=(1, 2)) / whole.norm(dim=(1, 2))).sub(1).abs().max() < 0.4  # singular values are .7 to 1.2
    assert orthogonal_blocks(given.mT).mT.allclose(cut, atol=1e-5) or shape[1] == shape[2]
    if shape == (2, 12, 5):
        first = orthogonal(given[:, :4]) * (5 / 12) ** 0.5
        assert torch.allclose(cut[:, :4], first, atol=1e-5)
