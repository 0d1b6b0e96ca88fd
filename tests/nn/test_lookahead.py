"""Lookahead: its identities, what it does to momentum, and that nothing of it is lost in a checkpoint."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RAdam
from torch.optim.lr_scheduler import LambdaLR

from daguan.nn.lookahead import Lookahead
from daguan.nn.muon import Muon
from daguan.nn.optimisers import load_state_tensors, state_tensors
from daguan.nn.tables import MOMENTA

RATE = 0.05
Maker = Callable[[Any, float], Optimizer]
MAKERS: dict[str, Maker] = {
    "sgd": lambda parameters, rate: SGD(parameters, lr=rate),
    "momentum": lambda parameters, rate: SGD(parameters, lr=rate, momentum=0.9),
    "adam": lambda parameters, rate: Adam(parameters, lr=rate),
    "adamw": lambda parameters, rate: AdamW(parameters, lr=rate, weight_decay=0.1, fused=True),
    "radam": lambda parameters, rate: RAdam(parameters, lr=rate, weight_decay=0.1, decoupled_weight_decay=True),
    "muon": lambda parameters, rate: Muon(parameters, rate, 0.95, 0.1, torch.float64),
}
EVERY = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
WITH_MOMENTUM = {name: make for name, make in MAKERS.items() if name != "sgd"}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6, bias=False), nn.Tanh(), nn.Linear(6, 3, bias=False)).double()


def train(model: nn.Module, optimiser: Optimizer, steps: range) -> None:
    for step in steps:
        optimiser.zero_grad()
        inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
        (model(inputs) - 1).square().sum().backward()
        optimiser.step()


def trained(wrap: Callable[[Any], Optimizer], steps: int) -> list[Tensor]:
    model = network()
    train(model, wrap(model.parameters()), range(steps))
    return [parameter.detach() for parameter in model.parameters()]


def same_bits(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(a.equal(b) for a, b in zip(one, other, strict=True))


@EVERY
@pytest.mark.parametrize("steps", [1, 3])
def test_the_whole_way_is_the_inner_optimiser_s_own(make: Maker, steps: int) -> None:
    """α = 1, momentum kept."""
    whole = trained(lambda parameters: Lookahead(make(parameters, RATE), steps, alpha=1.0), 10)
    assert same_bits(whole, trained(lambda parameters: make(parameters, RATE), 10))


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_a_sync_after_each_step_is_a_smaller_rate(name: str) -> None:
    make = MAKERS[name]
    ours = trained(lambda parameters: Lookahead(make(parameters, RATE), 1, alpha=0.3), 12)
    theirs = trained(lambda parameters: make(parameters, 0.3 * RATE), 12)
    assert not same_bits(ours, trained(lambda parameters: make(parameters, RATE), 12))
    for own, other in zip(ours, theirs, strict=True):
        assert torch.allclose(own, other, rtol=0, atol=1e-14)


@EVERY
def test_slow_weights_stand_still_within_a_cycle_and_go_alpha_of_the_way_at_its_end(make: Maker) -> None:
    """By hand: the inner optimiser alone, and the rule of the paper."""
    model, k, alpha = network(), 4, 0.3
    optimiser = Lookahead(make(model.parameters(), RATE), k, alpha)
    slow = [parameter.detach().clone() for parameter in model.parameters()]  # θ0
    for step in range(3 * k):
        assert all(a.equal(b) for a, b in zip(slow, optimiser.slow.values(), strict=True))
        alone = deepcopy(model)
        inner = make(alone.parameters(), RATE)
        inner.load_state_dict(deepcopy(optimiser.inner.state_dict()))
        train(alone, inner, range(step, step + 1))
        train(model, optimiser, range(step, step + 1))
        fast = [parameter.detach() for parameter in alone.parameters()]
        if optimiser.done % k == 0:
            slow = fast = [s + alpha * (f - s) for s, f in zip(slow, fast, strict=True)]
            assert all(s.equal(p) for p, s in optimiser.slow.items())  # fast is slow
        for parameter, expected in zip(model.parameters(), fast, strict=True):
            assert torch.allclose(parameter, expected, rtol=0, atol=1e-14)
        slow = [s.clone() for s in optimiser.slow.values()] if optimiser.done % k == 0 else slow


@pytest.mark.parametrize("make", WITH_MOMENTUM.values(), ids=WITH_MOMENTUM)
def test_what_a_sync_does_to_momentum(make: Maker) -> None:
    k, alpha = 3, 0.4
    states = {}
    for momentum in MOMENTA:
        model = network()
        optimiser = Lookahead(make(model.parameters(), RATE), k, alpha, momentum)
        train(model, optimiser, range(k))
        states[momentum] = [optimiser.state[parameter] for parameter in model.parameters()]
    for kept, reset, pulled in zip(*(states[momentum] for momentum in MOMENTA), strict=True):
        for key, value in kept.items():
            if key in ("momentum_buffer", "exp_avg"):
                assert value.count_nonzero() > 0
                assert reset[key].count_nonzero() == 0
                assert torch.allclose(pulled[key], alpha * value, rtol=1e-12)  # slow momentum starts at zero
            else:  # exp_avg_sq, step
                assert reset[key].equal(value)
                assert pulled[key].equal(value)


def test_slow_momentum_is_pulled_on_from_sync_to_sync() -> None:
    model, alpha = network(), 0.4
    optimiser = Lookahead(Adam(model.parameters(), lr=RATE), 1, alpha, "pullback")
    slow: list[Tensor] = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for step in range(4):
        train(model, optimiser, range(step, step + 1))
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        slow = [s + alpha * (0.9 * s + 0.1 * g - s) for s, g in zip(slow, gradients, strict=True)]
        for parameter, expected in zip(model.parameters(), slow, strict=True):
            assert torch.allclose(optimiser.state[parameter]["exp_avg"], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("momentum", ["reset", "pullback"])
def test_an_optimiser_without_momentum_has_none_to_change(momentum: str) -> None:
    model = network()
    optimiser = Lookahead(SGD(model.parameters(), lr=RATE), 2, 0.5, momentum)
    train(model, optimiser, range(1))
    with pytest.raises(ValueError, match=r"expected momentum_buffer or exp_avg, got none in SGD"):
        train(model, optimiser, range(1, 2))


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("make", WITH_MOMENTUM.values(), ids=WITH_MOMENTUM)
@pytest.mark.parametrize("ours", [True, False], ids=["state_tensors", "state_dict"])
def test_a_run_cut_in_mid_cycle_goes_on_to_the_bit(make: Maker, momentum: str, ours: bool) -> None:
    def fresh() -> tuple[nn.Module, Lookahead, dict[Tensor, str]]:
        model = network()
        optimiser = Lookahead(make(model.parameters(), RATE), 5, 0.5, momentum)
        return model, optimiser, {parameter: name for name, parameter in model.named_parameters()}

    whole, optimiser, names = fresh()
    train(whole, optimiser, range(7))
    weights = deepcopy(whole.state_dict())
    tensors = {name: tensor.clone() for name, tensor in state_tensors(optimiser, names, "o").items()}
    state = deepcopy(optimiser.state_dict())
    train(whole, optimiser, range(7, 17))

    resumed, again, names = fresh()
    resumed.load_state_dict(weights)
    if ours:
        load_state_tensors(again, names, "o", tensors)
    else:
        again.load_state_dict(state)
    assert again.done == 7
    train(resumed, again, range(7, 17))
    assert same_bits(list(whole.parameters()), list(resumed.parameters()))
    assert same_bits(list(optimiser.slow.values()), list(again.slow.values()))


def test_a_rate_schedule_reaches_the_inner_optimiser() -> None:
    def run(wrap: Callable[[Optimizer], Optimizer]) -> list[Tensor]:
        model = network()
        optimiser = wrap(Adam(model.parameters(), lr=RATE))
        schedule = LambdaLR(optimiser, lambda done: 1 / (1 + done))
        for step in range(6):
            train(model, optimiser, range(step, step + 1))
            schedule.step()
        return list(model.parameters())

    assert same_bits(run(lambda inner: Lookahead(inner, 2, alpha=1.0)), run(lambda inner: inner))


@pytest.mark.parametrize("loaded", [False, True])
def test_a_group_added_later_is_moved_and_synchronised(loaded: bool) -> None:
    model = network()
    first, second = model[0].weight, model[2].weight
    optimiser = Lookahead(Adam([first], lr=RATE), 2, 0.5)
    train(model, optimiser, range(1))
    if loaded:
        optimiser.load_state_dict(deepcopy(optimiser.state_dict()))
    start = second.detach().clone()
    optimiser.add_param_group({"params": [second], "lr": 2 * RATE})
    assert optimiser.param_groups is optimiser.inner.param_groups
    assert [group["lr"] for group in optimiser.inner.param_groups] == [RATE, 2 * RATE]
    train(model, optimiser, range(1, 2))
    step = 0.5 * 2 * RATE  # α times Adam's first step, which is the rate
    assert torch.allclose((second - start).abs(), torch.full_like(second, step), rtol=1e-4)
    assert second.equal(optimiser.slow[second])


def test_a_parameter_without_a_gradient_stays_to_the_bit_and_one_that_had_one_is_synchronised() -> None:
    still, early = (nn.Parameter(torch.randn(3, 3, dtype=torch.float64)) for _ in range(2))
    before = [still.detach().clone(), early.detach().clone()]
    optimiser = Lookahead(AdamW([still, early], lr=RATE, weight_decay=0.5), 2, 0.5)
    early.grad = torch.ones_like(early)
    optimiser.step()
    fast = early.detach().clone()
    early.grad = None
    optimiser.step()
    assert still.equal(before[0])
    assert still not in optimiser.state
    assert torch.allclose(early, (before[1] + fast) / 2, rtol=0, atol=1e-15)
    assert early.equal(optimiser.slow[early])


@pytest.mark.parametrize("momentum", MOMENTA)
@EVERY
def test_nothing_happens_while_nothing_has_a_gradient(make: Maker, momentum: str) -> None:
    model = network()
    optimiser = Lookahead(make(model.parameters(), RATE), 2, 0.5, momentum)
    for _ in range(4):
        optimiser.step()
    assert same_bits(list(model.parameters()), list(network().parameters()))


def test_hooks_and_closures_work() -> None:
    model, seen = network(), []
    optimiser = Lookahead(SGD(model.parameters(), lr=RATE), 2, alpha=1.0)
    optimiser.register_step_post_hook(lambda *_: seen.append(optimiser.done))

    def closure() -> float:
        optimiser.zero_grad()
        loss = torch.cat([parameter.flatten() for parameter in model.parameters()]).square().sum()
        loss.backward()
        return loss.item()

    losses = [optimiser.step(closure) for _ in range(3)]
    assert seen == [1, 2, 3]
    assert losses == sorted(losses, reverse=True)  # type: ignore[type-var]
