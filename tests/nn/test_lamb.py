"""LAMB against its formula, and the length of its steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import AdamW

from daguan.nn.lamb import Lamb, new_lamb
from daguan.nn.optimiser_settings import OptimiserSettings
from daguan.nn.optimisers import Group, Options

BETAS, EPSILON, RATE, DECAY = (0.9, 0.99), 1e-6, 0.02, 0.1


def algorithm_2(x: NDArray[np.float64], gradients: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Returns the matrix after the steps, written as the paper writes them."""
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, start=1):
        m = BETAS[0] * m + (1 - BETAS[0]) * g
        v = BETAS[1] * v + (1 - BETAS[1]) * g**2
        r = (m / (1 - BETAS[0] ** t)) / (np.sqrt(v / (1 - BETAS[1] ** t)) + EPSILON)
        u = r + DECAY * x
        x = x - RATE * np.linalg.norm(x) / np.linalg.norm(u) * u
    return x


def stepped(start: torch.Tensor, gradients: list[torch.Tensor], decay: float = DECAY) -> torch.Tensor:
    parameter = nn.Parameter(start.clone())
    (lamb,) = new_lamb([Group([parameter], RATE, decay, 0.0)], Options(OptimiserSettings(beta2=BETAS[1]), 0.9, EPSILON))
    assert isinstance(lamb, Lamb)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        lamb.step()
    return parameter.detach()


def test_three_steps_are_those_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(0)
    start, *gradients = torch.randn(4, 3, 5, dtype=torch.float64, generator=generator)
    expected = algorithm_2(start.numpy(), [gradient.numpy() for gradient in gradients])
    assert np.abs(stepped(start, gradients).numpy() - expected).max() < 1e-12


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_step_is_as_long_as_the_matrix_whatever_the_gradient_s_size(scale: float) -> None:
    start, gradient = torch.randn(4, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    moved = stepped(start, [scale * gradient])
    assert float((moved - start).norm() / start.norm()) == pytest.approx(RATE, rel=1e-6)


def test_biases_take_adamw_s_step_and_a_matrix_of_zeros_moves() -> None:
    start, gradients = torch.randn(7), [torch.randn(7) for _ in range(3)]
    ours, theirs = stepped(start, gradients, decay=0.0), nn.Parameter(start.clone())
    adamw = AdamW([theirs], lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=0.0)
    for gradient in gradients:
        theirs.grad = gradient.clone()
        adamw.step()
    assert torch.allclose(ours, theirs, atol=1e-6)
    assert stepped(torch.zeros(2, 3), [torch.ones(2, 3)]).abs().min() == pytest.approx(RATE, rel=1e-4)
