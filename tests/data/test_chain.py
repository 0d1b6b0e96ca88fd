"""Probabilities of tags in chains, by brute force over all sequences."""

from itertools import pairwise, product

import numpy as np
import pytest

from daguan.data.chain import Chain, forward_backward


def test_a_chain_holds_each_token_once_and_each_step_the_lines_that_have_it():
    lengths = np.array([2, 0, 4, 1, 4])
    chain = Chain.of(lengths)
    assert sorted(chain.order) == list(range(11))
    starts = np.cumsum(lengths) - lengths
    for step, at in enumerate(chain.steps):
        assert set(chain.order[at]) == set(starts[lengths > step] + step)
    for last, now in chain.pairs():
        assert (chain.order[last] + 1 == chain.order[now]).all()


def test_forward_backward_is_the_sum_over_all_sequences():
    """By brute force: probabilities, expected transitions and the sum itself, one tag impossible somewhere."""
    rng = np.random.default_rng(0)
    lengths, factors = np.array([1, 3, 2]), np.exp(rng.normal(size=(3, 3)))
    own = np.exp(3 * rng.normal(size=(6, 3)))
    own[2, 1] = 0
    total, probs, moves = 1.0, np.zeros((6, 3)), np.zeros((3, 3))
    for start, length in zip(np.cumsum(lengths) - lengths, lengths, strict=True):
        places, sums = range(start, start + length), {}
        for tags in product(range(3), repeat=length):
            steps = [*pairwise(tags)]
            sums[tags] = own[places, tags].prod() * np.prod([factors[step] for step in steps])
        whole = sum(sums.values())
        total *= whole
        for tags, weight in sums.items():
            probs[places, tags] += weight / whole
            for step in pairwise(tags):
                moves[step] += weight / whole
    chain = Chain.of(lengths)
    got, expected, scale = forward_backward(own[chain.order], factors, chain)
    assert got == pytest.approx(probs[chain.order])
    assert expected == pytest.approx(moves)
    assert scale.prod() == pytest.approx(total)
