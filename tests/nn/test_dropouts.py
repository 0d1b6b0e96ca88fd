"""Token dropout: off in evaluation, at its rate in training."""

import pytest
import torch

from daguan.data.vocabulary import MASK
from daguan.nn.dropouts import ByteDropout, TokenDropout

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


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_byte_dropout_keeps_the_share_and_the_expectation(p: float) -> None:
    torch.manual_seed(0)
    ones = torch.ones(1000, 401)
    out = ByteDropout(p).train()(ones)
    share = (out == 0).float().mean().item()
    assert abs(share - p) < 0.5 / 256 + 4 * (p * (1 - p) / ones.numel()) ** 0.5
    assert abs(out.mean().item() - 1) < 0.01
    assert len(out.unique()) == 2
    columns = (out == 0).float().mean(0)  # every byte of a word is as good as another
    assert (columns - p).abs().max() < 0.5 / 256 + 5 * (p * (1 - p) / 1000) ** 0.5


def test_byte_dropout_is_off_in_evaluation_and_repeats_with_the_seed() -> None:
    features = torch.randn(7, 5)
    layer = ByteDropout(0.5)
    assert torch.equal(layer.eval()(features), features)
    draws = []
    for _ in range(2):
        torch.manual_seed(1)
        draws.append(layer.train()(features))
    assert torch.equal(*draws)
