"""The moving average of weights against its closed form."""

import pytest
import torch
from torch import nn

from daguan.nn.ema import WeightEma


def model_of(value: float) -> nn.Linear:
    model = nn.Linear(2, 2)
    set_to(model, value)
    return model


def set_to(model: nn.Module, value: float) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(value)


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.5, 0.99])
def test_the_average_follows_the_ramped_decay(decay):
    model = model_of(1.0)
    ema, expected = WeightEma(model, decay), 1.0
    for n in range(1, 30):
        set_to(model, n**0.5)
        ema.update(model)
        d = min(decay, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * n**0.5
        assert [value.item() for tensor in ema.shadow.values() for value in tensor.flatten()] == pytest.approx(
            [expected] * 6, abs=1e-5
        )


def test_without_decay_the_average_is_the_last_weights():
    model = nn.Linear(3, 2)
    ema = WeightEma(model, 0.0)
    for _ in range(3):
        nn.init.normal_(model.weight)
        ema.update(model)
        assert torch.allclose(ema.shadow["weight"], model.weight, atol=1e-6)


def test_the_average_of_constant_weights_is_that_constant():
    model = nn.Linear(3, 2)
    ema = WeightEma(model, 0.99)
    for _ in range(20):
        ema.update(model)
    assert ema.shadow["weight"].equal(model.weight)
    assert ema.shadow["bias"].equal(model.bias)


def test_applied_lends_the_average_and_gives_the_own_weights_back():
    model = model_of(1.0)
    ema = WeightEma(model, 0.5)
    set_to(model, 3.0)
    ema.update(model)
    with ema.applied(model):
        assert model.weight.equal(ema.shadow["weight"])
        assert not model.weight.equal(torch.full((2, 2), 3.0))
    assert model.weight.equal(torch.full((2, 2), 3.0))
    assert model.bias.equal(torch.full((2,), 3.0))


def test_own_weights_are_back_after_an_error_too():
    model = model_of(1.0)
    ema = WeightEma(model, 0.5)
    set_to(model, 3.0)
    with pytest.raises(KeyboardInterrupt), ema.applied(model):
        raise KeyboardInterrupt
    assert model.weight.equal(torch.full((2, 2), 3.0))


def test_the_average_is_not_the_model_s_own_memory_and_holds_no_graph():
    model = model_of(1.0)
    ema = WeightEma(model, 0.5)
    set_to(model, 3.0)
    assert ema.shadow["weight"].equal(torch.ones(2, 2))
    ema.update(model)
    assert not any(tensor.requires_grad for tensor in ema.shadow.values())
