"""Token dropout: off in evaluation, at its rate in training."""

import pytest
import torch

from daguan.nn.dropouts import TokenDropout
from daguan.text.vocabulary import MASK

IDS = torch.arange(5, 40_005).reshape(100, 400)


def test_evaluation_and_rate_zero_change_nothing():
    assert TokenDropout(0.9, MASK).eval()(IDS).equal(IDS)
    assert TokenDropout(0.0, MASK).train()(IDS).equal(IDS)


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5])
def test_training_replaces_at_the_rate_and_leaves_the_rest(p):
    torch.manual_seed(0)
    before = IDS.clone()
    dropped = TokenDropout(p, MASK).train()(IDS)
    replaced = dropped == MASK
    assert dropped[~replaced].equal(IDS[~replaced])
    assert abs(replaced.float().mean().item() - p) < 4 * (p * (1 - p) / IDS.numel()) ** 0.5
    assert IDS.equal(before)


def test_each_pass_drops_other_tokens():
    torch.manual_seed(0)
    dropout = TokenDropout(0.5, MASK).train()
    assert not dropout(IDS).equal(dropout(IDS))
