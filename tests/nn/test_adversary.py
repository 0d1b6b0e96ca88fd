"""Adversaries: how far and in which direction they go, and that they leave no trace."""

import pytest
import torch
from torch import Tensor, nn

from daguan.nn.adversary import Adversary, Attackable, awp, fgm, moved

IDS = torch.tensor([[1, 2, 2], [0, 3, 1]])


class Linear(nn.Module):
    """The loss is Σ ⟨c, E[token]⟩ of one table: linear, so its gradient is known and nowhere else another."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4, dtype=torch.float64)
        self.register_buffer("c", torch.randn(4, dtype=torch.float64))

    def get_input_embeddings(self) -> nn.Module:
        return self.table

    def loss(self) -> Tensor:
        loss: Tensor = (self.table(IDS) @ self.c).sum()
        return loss


@pytest.fixture
def model() -> Linear:
    torch.manual_seed(0)
    made = Linear()
    made.loss().backward()
    return made


def test_embeddings_move_by_epsilon_along_the_gradient_and_the_loss_grows_by_as_much_as_it_can(model: Linear) -> None:
    """Brute force: the gradient of a linear loss is the token's count times c, and no other move of that norm gains
    more."""
    counts = torch.bincount(IDS.flatten(), minlength=5).double()
    gradient = counts[:, None] * model.c
    table, epsilon = model.table.weight, 0.7
    moves = fgm(Attackable(model, [], fgm_epsilon=epsilon)).moves()
    assert moves.keys() == {table}
    assert moves[table].norm().item() == pytest.approx(epsilon, rel=1e-12)
    assert torch.allclose(moves[table], epsilon * gradient / gradient.norm(), rtol=1e-12)
    before = model.loss().item()
    with moved(moves):
        assert model.loss().item() - before == pytest.approx(epsilon * gradient.norm().item())
    for _ in range(50):
        other = torch.randn_like(table)
        with moved({table: other * (epsilon / other.norm())}):
            assert model.loss().item() - before < epsilon * gradient.norm().item()


def test_weights_move_by_epsilon_times_their_own_norm(model: Linear) -> None:
    other = nn.Parameter(100 * torch.randn(3, 2, dtype=torch.float64))
    other.grad = torch.randn_like(other)
    moves = awp(Attackable(model, [model.table.weight, other], awp_epsilon=0.01)).moves()
    for weight, move in moves.items():
        assert weight.grad is not None
        assert move.norm().item() == pytest.approx(0.01 * weight.norm().item(), rel=1e-12)
        assert torch.cosine_similarity(move.flatten(), weight.grad.flatten(), 0).item() == pytest.approx(1)
    assert len(moves) == 2


@pytest.mark.parametrize("relative", [False, True])
def test_what_has_no_gradient_stays(relative: bool) -> None:
    none, zero = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    zero.grad = torch.zeros(2)
    (moved_zero,) = Adversary([none, zero], 1.0, relative, adds=True).moves().items()
    assert moved_zero[0] is zero
    assert moved_zero[1].equal(torch.zeros(2))


def test_own_bits_come_back_after_an_error_too(model: Linear) -> None:
    table = model.table.weight
    with torch.no_grad():
        table.mul_(torch.logspace(-30, 30, 4, dtype=torch.float64))  # sums of these lose bits
    before = table.detach().clone()
    moves = fgm(Attackable(model, [], fgm_epsilon=3.0)).moves()
    with moved(moves):
        assert not table.equal(before)
    assert table.equal(before)
    with pytest.raises(KeyboardInterrupt), moved(moves):
        raise KeyboardInterrupt
    assert table.equal(before)
