"""The loss and its gradients are those of torch's cross entropy, whatever the chunks."""

import pytest
import torch
from torch.nn.functional import cross_entropy, linear

from daguan.nn import vocabulary_loss as module


@pytest.mark.parametrize("places", [1, 7, 8, 20])
def test_loss_and_gradients_are_torch_s(monkeypatch, places):
    monkeypatch.setattr(module, "CHUNK", 8)
    torch.manual_seed(0)
    given = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((places, 5), (11, 5), (11,))]
    labels = torch.randint(0, 11, (places,))
    losses = [
        3 * module.vocabulary_loss(*given, labels),
        3 * cross_entropy(linear(*given), labels, reduction="sum"),
    ]
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-12)
    for one, other in zip(*(torch.autograd.grad(loss, given) for loss in losses), strict=True):
        assert torch.allclose(one, other, atol=1e-12)
