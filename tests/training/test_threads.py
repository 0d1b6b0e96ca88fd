"""Threads: the same results in the same order as one thread gives."""

import pytest
import torch
from torch import nn

from daguan.training.devices import prepare_process
from daguan.training.threads import Replicas, map_on_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread_afterwards():
    yield
    prepare_process(1)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("parts", [0, 1, 2, 5])
def test_results_come_in_the_order_of_the_parts(threads, parts):
    prepare_process(threads)
    assert map_on_threads(lambda part: 10 * part, range(parts), CPU) == [10 * part for part in range(parts)]
    replicas = Replicas(nn.Linear(1, 1), 8)
    assert len(replicas.models) == threads
    assert replicas.map(lambda model, part: 10 * part, range(parts)) == [10 * part for part in range(parts)]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_replicas_share_weights_and_their_gradients_add_up(threads):
    prepare_process(threads)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    inputs = torch.randn(7, 3)
    model(inputs).sum().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    replicas = Replicas(model, 8)
    for _ in range(2):  # the second time nothing is left of the first
        losses = replicas.map(lambda own, part: own(part).sum().backward(), inputs.split(2))
        assert losses == [None] * 4
        replicas.gather_gradients()
        for parameter, gradient in zip(model.parameters(), expected, strict=True):
            assert torch.allclose(parameter.grad, gradient, atol=1e-6)
        model.zero_grad(set_to_none=True)
    with torch.no_grad():
        model[0].weight.fill_(7.0)
    assert all(own[0].weight.eq(7.0).all() for own in replicas.models)


def test_an_error_in_a_thread_is_the_caller_s():
    prepare_process(2)

    def fail(part):
        raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match="part 0"):
        map_on_threads(fail, [0, 1], CPU)
