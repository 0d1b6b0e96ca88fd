"""Hashed n-gram emissions: what a token's features see, and what they do not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from daguan.data.ngram_templates import TEMPLATES
from daguan.nn.ngrams import NgramEmissions

BUCKETS = 1 << 16


def module(dropout: float = 0.0) -> NgramEmissions:
    torch.manual_seed(0)
    ngrams = NgramEmissions(TEMPLATES, BUCKETS, 5, dropout).eval()
    torch.nn.init.normal_(ngrams.table.weight)
    return ngrams


def test_a_fresh_table_says_nothing() -> None:
    assert torch.equal(NgramEmissions(TEMPLATES, BUCKETS, 5, 0.0)(torch.tensor([[7, 8, 9]])), torch.zeros(1, 3, 5))


def test_scores_do_not_depend_on_padding() -> None:
    ngrams = module()
    tokens = torch.randint(5, 900, (2, 9))
    padded = torch.nn.functional.pad(tokens, (0, 6))
    assert torch.equal(ngrams(tokens), ngrams(padded)[:, :9])


@pytest.mark.parametrize("number", range(len(TEMPLATES)))
def test_a_template_sees_its_places_and_no_others(number: int) -> None:
    ngrams = module()
    tokens = torch.randint(5, 900, (1, 11))
    middle = 5
    before = ngrams.hashes(tokens)[0, middle, number]
    for place in range(-5, 6):
        changed = tokens.clone()
        changed[0, middle + place] += 1000
        differs = bool(ngrams.hashes(changed)[0, middle, number] != before)
        assert differs == (place in TEMPLATES[number]), place


def test_the_order_of_tokens_and_the_template_matter() -> None:
    ngrams = module()
    one, other = ngrams.hashes(torch.tensor([[7, 8, 9]])), ngrams.hashes(torch.tensor([[9, 8, 7]]))
    assert not torch.equal(one[0, 1], other[0, 1])
    assert len(set(ngrams.hashes(torch.full((1, 9), 7))[0, 4].tolist())) == len(TEMPLATES)


def test_hashes_spread_over_the_buckets() -> None:
    """Balls into bins: with n = buckets distinct unigrams, a share 1/e of the buckets stays empty."""
    ngrams = NgramEmissions([(0,)], 1 << 12, 3, 0.0)
    rows = ngrams.hashes(torch.arange(5, 5 + (1 << 12)).unsqueeze(0)).flatten()
    empty = 1 - rows.unique().numel() / (1 << 12)
    assert abs(empty - 0.3679) < 0.03
    assert int(rows.min()) >= 0
    assert int(rows.max()) < 1 << 12


def test_dropout_leaves_features_out_in_training_only_and_their_mean_as_it_is() -> None:
    ngrams = module(dropout=0.5)
    torch.nn.init.ones_(ngrams.table.weight)
    tokens = torch.randint(5, 900, (8, 50))
    assert torch.equal(ngrams(tokens), torch.full((8, 50, 5), float(len(TEMPLATES))))
    kept: Tensor = ngrams.train()(tokens).detach()[..., 0] / len(TEMPLATES)
    assert abs(float(kept.mean()) - 1.0) < 0.06
    assert float(kept.std()) > 0
    assert torch.allclose(kept * len(TEMPLATES) % 2, torch.zeros(()), atol=1e-4)  # twice as much of half as many
