"""Averages of weights against their closed forms."""

import pytest
import torch
from torch import nn

from daguan.nn.averaging import WeightAverage, lent
from daguan.nn.tables import AVERAGES

KINDS = pytest.mark.parametrize("kind", AVERAGES)


def model_of(value: float) -> nn.Linear:
    model = nn.Linear(2, 2)
    set_to(model, value)
    return model


def set_to(model: nn.Module, value: float) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(value)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return dict(model.named_parameters())


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.5, 0.99])
def test_the_moving_average_follows_the_ramped_decay(decay):
    model = model_of(1.0)
    average, expected = WeightAverage(weights(model), "ema", decay), 1.0
    for n in range(1, 30):
        set_to(model, n**0.5)
        average.update(weights(model))
        d = min(decay, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * n**0.5
        assert [value.item() for tensor in average.shadow.values() for value in tensor.flatten()] == pytest.approx(
            [expected] * 6, abs=1e-5
        )


@pytest.mark.parametrize("start", [0, 1, 4, 9])
def test_the_equal_average_is_the_arithmetic_mean_from_its_start_on(start):
    model = nn.Linear(3, 2).double()
    average, seen = WeightAverage(weights(model), "swa", start=start), []
    for n in range(1, 11):
        nn.init.normal_(model.weight)
        seen.append(model.weight.detach().clone())
        average.update(weights(model))
        if n <= start:
            assert average.shadow["weight"].equal(seen[-1])
        else:
            mean = torch.stack(seen[start:]).mean(0)
            assert torch.allclose(average.shadow["weight"], mean, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("kind", "decay"), [("none", 0.99), ("ema", 0.0)])
def test_no_averaging_is_the_last_weights_to_the_bit(kind, decay):
    model = nn.Linear(3, 2)
    average = WeightAverage(weights(model), kind, decay)
    for _ in range(3):
        nn.init.normal_(model.weight)
        average.update(weights(model))
        assert average.shadow["weight"].equal(model.weight)


@KINDS
def test_the_average_of_constant_weights_is_that_constant(kind):
    model = nn.Linear(3, 2)
    average = WeightAverage(weights(model), kind, 0.99)
    for _ in range(20):
        average.update(weights(model))
    assert average.shadow["weight"].equal(model.weight)
    assert average.shadow["bias"].equal(model.bias)


def test_lent_weights_are_in_the_model_and_its_own_come_back():
    model = model_of(3.0)
    with lent(model, weights(model_of(2.0))):
        assert model.weight.equal(torch.full((2, 2), 2.0))
        assert model.bias.equal(torch.full((2,), 2.0))
    assert model.weight.equal(torch.full((2, 2), 3.0))
    assert model.bias.equal(torch.full((2,), 3.0))


def test_own_weights_are_back_after_an_error_too():
    model = model_of(3.0)
    with pytest.raises(KeyboardInterrupt), lent(model, weights(model_of(2.0))):
        raise KeyboardInterrupt
    assert model.weight.equal(torch.full((2, 2), 3.0))


@KINDS
def test_the_average_is_not_the_model_s_own_memory_and_holds_no_graph(kind):
    model = model_of(1.0)
    average = WeightAverage(weights(model), kind, 0.5)
    set_to(model, 3.0)
    assert average.shadow["weight"].equal(torch.ones(2, 2))
    average.update(weights(model))
    set_to(model, 5.0)
    assert average.shadow["weight"].max() <= 3.0
    assert not any(tensor.requires_grad for tensor in average.shadow.values())
