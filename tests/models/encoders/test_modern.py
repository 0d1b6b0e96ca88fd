"""What is the modern encoder's own: its start, its biases, its two kinds of attention."""

import pytest
import torch

from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.modern import FORBIDDEN, DistanceBias, Norm, OutputLinear, attend
from daguan.models.encoders.settings import EncoderSettings

SETTINGS = EncoderSettings(layers=2, hidden=32, heads=4, feed_forward=64, max_length=32)


@pytest.fixture
def fresh() -> MaskedLm:
    torch.manual_seed(0)
    return MaskedLm("modern", SETTINGS, 60)


def test_sublayers_start_as_zero_and_every_weight_learns(fresh):
    outputs = [module for module in fresh.modules() if isinstance(module, OutputLinear)]
    assert len(outputs) == 2 * SETTINGS.layers
    assert not any(module.weight.any() for module in outputs)
    ids = torch.randint(5, 60, (2, 32))
    for _ in range(2):  # behind a zero matrix the gradient is zero once
        fresh.zero_grad()
        fresh(ids, torch.tensor([[3], [9]])).square().sum().backward()
        for weight in fresh.parameters():
            weight.data.add_(weight.grad, alpha=-0.01)
    for name, weight in fresh.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


def test_the_gated_layer_has_as_many_parameters_as_a_plain_one():
    for hidden, feed_forward in ((256, 1024), (768, 3072)):
        settings = EncoderSettings(layers=1, hidden=hidden, heads=4, feed_forward=feed_forward)
        layer = MaskedLm("modern", settings, 60).model.modern.layers[0].feed_forward
        assert sum(p.numel() for p in layer.parameters()) == pytest.approx(2 * hidden * feed_forward, rel=0.02)


def test_the_bias_depends_on_the_distance_alone_and_starts_at_the_neighbours():
    bias = DistanceBias(4, 16)
    bias.weight.data = torch.randn(4, 31)
    whole, part = bias(16), bias(7)
    assert whole[:, 3, 5].equal(bias.weight[:, 15 + 2])  # two places to the right
    assert part.equal(whole[:, :7, :7])
    assert part.equal(whole[:, 9:, 9:])
    bias.weight.data = bias.initial()
    assert [bias(16)[head, 8].argmax().item() - 8 for head in range(4)] == [-1, 1, -2, 2]


def test_attention_on_a_cpu_is_that_on_a_gpu():
    query, key, value = torch.randn(3, 2, 4, 8, 6)
    bias = torch.randn(2, 4, 8, 8)
    bias[1, :, :, 5:] = FORBIDDEN
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, bias)
    mixed = attend(query, key, value, bias)
    assert torch.allclose(mixed, expected, atol=1e-5)
    value[1, :, 5:] = 99.0
    assert attend(query, key, value, bias).equal(mixed)


def test_the_norm_is_layer_norm_with_a_gain():
    norm = Norm(6)
    norm.weight.data = torch.randn(6)
    features = torch.randn(4, 6)
    plain = (features - features.mean(1, keepdim=True)) / features.std(1, correction=0, keepdim=True)
    assert torch.allclose(norm(features), plain * norm.weight, atol=1e-4)
