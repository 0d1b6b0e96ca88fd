"""Pointer attention against the formula, and its mask."""

import torch

from daguan.nn.pointer_attention import FORBIDDEN, PointerAttention


def drawn() -> tuple[PointerAttention, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    return PointerAttention(5, 6, 7), torch.randn(2, 3, 5), torch.randn(2, 4, 6), mask


def test_scores_are_those_of_the_formula() -> None:
    attention, queries, keys, mask = drawn()
    scores = attention.point(queries, attention.of_keys(keys), mask)
    assert scores.shape == (2, 3, 4)
    w1, w2, v = attention.of_keys.weight, attention.of_queries.weight, attention.scores.weight[0]
    for row, step, place in mask.unsqueeze(1).expand(2, 3, 4).nonzero().tolist():
        expected = v @ torch.tanh(w1 @ keys[row, place] + w2 @ queries[row, step])
        assert torch.isclose(scores[row, step, place], expected, atol=1e-6)


def test_what_is_masked_has_no_probability_and_no_influence() -> None:
    attention, queries, keys, mask = drawn()
    probabilities = attention.point(queries, attention.of_keys(keys), mask).softmax(2)
    assert (probabilities[~mask.unsqueeze(1).expand_as(probabilities)] == 0).all()
    noisy = torch.where(mask.unsqueeze(2), keys, torch.full_like(keys, 9.0))
    assert attention.point(queries, attention.of_keys(noisy), mask).softmax(2).equal(probabilities)


def test_a_mask_may_differ_by_query_and_forbid_everything() -> None:
    attention, queries, keys, mask = drawn()
    by_query = mask.unsqueeze(1).expand(2, 3, 4).clone()
    by_query[0, 1] = False
    scores = attention.point(queries, attention.of_keys(keys), by_query)
    assert scores[0, 1].eq(FORBIDDEN).all()
    assert scores[0, 0].equal(attention.point(queries, attention.of_keys(keys), mask)[0, 0])
    scores.log_softmax(2)[:, :, 0].sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in attention.parameters())
