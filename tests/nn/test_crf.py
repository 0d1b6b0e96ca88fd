"""The CRF against brute force over all legal paths, against pytorch-crf, and against itself under padding."""

from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor
from torchcrf import CRF

from daguan.nn.crf import FORBIDDEN, ConstrainedCrf, constrained_decode, viterbi
from daguan.text.tags import TagScheme

ONE, TWO = TagScheme(("a",)), TagScheme(("a", "b"))
SHORT = [(ONE, length) for length in range(1, 6)] + [(TWO, length) for length in range(1, 5)]  # (scheme, T)


@cache
def legal_paths(scheme: TagScheme, length: int) -> np.ndarray:
    """(N,T): every sequence that decodes, found by trying all."""
    return np.array([path for path in product(range(len(scheme)), repeat=length) if is_legal(scheme, path)])


def is_legal(scheme: TagScheme, path) -> bool:
    try:
        scheme.decode(path)
    except ValueError:
        return False
    return True


def random_crf(scheme: TagScheme, seed: int = 0) -> ConstrainedCrf:
    torch.manual_seed(seed)
    crf = ConstrainedCrf(scheme)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.normal_()
    return crf


def path_scores(crf: ConstrainedCrf, emissions: Tensor, paths: np.ndarray) -> np.ndarray:
    """(N,) in float64. emissions (T,K), paths (N,T)."""
    e, move, start, end = (
        tensor.detach().double().numpy()
        for tensor in (emissions, crf.crf.transitions, crf.crf.start_transitions, crf.crf.end_transitions)
    )
    scores = start[paths[:, 0]] + end[paths[:, -1]] + e[np.arange(len(e)), paths].sum(1)
    return scores + move[paths[:, :-1], paths[:, 1:]].sum(1)


def log_partition(scores: np.ndarray) -> float:
    return float(scores.max() + np.log(np.exp(scores - scores.max()).sum()))


def full_mask(count: int, length: int) -> Tensor:
    return torch.ones(count, length, dtype=torch.bool)


def ragged(scheme: TagScheme, lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Emissions, legal tags and mask of a batch; what lies in the padding of the emissions is wild."""
    rng = np.random.default_rng(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    emissions = torch.from_numpy(rng.normal(0, 2, (*mask.shape, len(scheme)))).float()
    emissions[~mask] *= 30
    tags = torch.zeros(mask.shape, dtype=torch.long)
    for row, length in enumerate(lengths):
        paths = legal_paths(scheme, min(length, 3))
        head = rng.choice(paths)  # then all outside
        tags[row, : len(head)] = torch.from_numpy(head)
    return emissions, tags, mask


def constants(crf: ConstrainedCrf) -> tuple[Tensor, Tensor, Tensor]:
    return crf.crf.transitions.detach(), crf.crf.start_transitions.detach(), crf.crf.end_transitions.detach()


def plain_crf(crf: ConstrainedCrf) -> CRF:
    """pytorch-crf's own, with the constrained values as parameters."""
    plain = CRF(crf.crf.num_tags, batch_first=True)
    with torch.no_grad():
        for name in ("transitions", "start_transitions", "end_transitions"):
            getattr(plain, name).copy_(getattr(crf.crf, name))
    return plain


@pytest.mark.parametrize(("scheme", "length"), SHORT)
def test_the_loss_is_the_log_partition_over_legal_paths_minus_the_path_s_score(scheme, length):
    crf = random_crf(scheme)
    paths = legal_paths(scheme, length)
    emissions = 2 * torch.randn(length, len(scheme))
    scores = path_scores(crf, emissions, paths)
    for number in np.random.default_rng(0).integers(0, len(paths), 5):
        tags = torch.from_numpy(paths[number]).unsqueeze(0)
        loss = crf.loss(emissions.unsqueeze(0), tags, full_mask(1, length))
        assert loss.item() == pytest.approx(log_partition(scores) - scores[number], abs=1e-4)


@pytest.mark.parametrize(("scheme", "length"), SHORT)
def test_marginals_are_sums_of_path_probabilities(scheme, length):
    crf = random_crf(scheme)
    paths = legal_paths(scheme, length)
    emissions = 2 * torch.randn(length, len(scheme))
    scores = path_scores(crf, emissions, paths)
    probs = np.exp(scores - log_partition(scores))
    expected = np.zeros((length, len(scheme)))
    for t in range(length):
        np.add.at(expected[t], paths[:, t], probs)
    found = crf.marginals(emissions.unsqueeze(0), full_mask(1, length))[0]
    assert found.dtype == torch.float32
    assert found.numpy() == pytest.approx(expected, abs=1e-4)


def test_probabilities_of_legal_sequences_sum_to_one_and_illegal_ones_have_none():
    crf = random_crf(ONE)
    emissions = torch.randn(1, 3, 5)
    probs = {
        path: (-crf.loss(emissions, torch.tensor([path]), full_mask(1, 3))).exp().item()
        for path in product(range(5), repeat=3)
    }
    assert sum(p for path, p in probs.items() if is_legal(ONE, path)) == pytest.approx(1, abs=1e-5)
    assert {p for path, p in probs.items() if not is_legal(ONE, path)} == {0.0}
    assert len(legal_paths(ONE, 3)) == 13


@pytest.mark.parametrize("scheme", [ONE, TWO])
def test_loss_equals_pytorch_crf_s_own(scheme):
    crf = random_crf(scheme)
    emissions, tags, mask = ragged(scheme, [9, 1, 4, 6])
    expected = -plain_crf(crf)(emissions, tags, mask, reduction="sum")
    assert crf.loss(emissions, tags, mask).item() == pytest.approx(expected.item(), abs=1e-4)


def test_marginals_sum_to_one_at_tokens_and_are_zero_at_padding():
    emissions, _, mask = ragged(TWO, [20, 1, 7])
    marginals = random_crf(TWO).marginals(emissions, mask)
    assert torch.allclose(marginals.sum(2), mask.float(), atol=1e-5)
    assert (marginals[~mask] == 0).all()
    assert (marginals >= 0).all()


def test_marginals_are_found_without_gradients_and_leave_none():
    crf = random_crf(ONE)
    emissions, _, mask = ragged(ONE, [5, 3])
    with torch.no_grad():
        marginals = crf.marginals(emissions, mask)
    assert not marginals.requires_grad
    assert all(parameter.grad is None for parameter in crf.parameters())


def test_loss_and_marginals_do_not_depend_on_padding_or_on_the_other_sentences():
    crf = random_crf(TWO)
    lengths = [9, 1, 4]
    emissions, tags, mask = ragged(TWO, lengths)
    marginals = crf.marginals(emissions, mask)
    alone = 0.0
    for row, length in enumerate(lengths):
        one = emissions[row : row + 1, :length]
        whole = full_mask(1, length)
        alone += crf.loss(one, tags[row : row + 1, :length], whole).item()
        assert torch.allclose(crf.marginals(one, whole)[0], marginals[row, :length], atol=1e-5)
    assert crf.loss(emissions, tags, mask).item() == pytest.approx(alone, abs=1e-3)


def test_forbidden_entries_get_no_gradient_and_stay_under_weight_decay():
    crf = random_crf(TWO)
    emissions, tags, mask = ragged(TWO, [6, 3])
    allowed = [torch.from_numpy(table) for table in (TWO.allowed, TWO.may_start, TWO.may_end)]
    optimiser = torch.optim.AdamW(crf.parameters(), lr=0.1, weight_decay=0.5)
    before = [tensor.clone() for tensor in constants(crf)]
    for _ in range(3):
        optimiser.zero_grad()
        crf.loss(emissions, tags, mask).backward()
        for parameter, legal in zip(crf.parameters(), allowed, strict=True):
            assert parameter.grad is not None
            assert (parameter.grad[~legal] == 0).all()
            assert parameter.grad[legal].any()
        optimiser.step()
    for after, first, legal in zip(constants(crf), before, allowed, strict=True):
        assert (after[~legal] == FORBIDDEN).all()
        assert (after[legal] != first[legal]).all()


def test_loss_and_marginals_are_float32_under_autocast():
    crf = random_crf(ONE)
    emissions, tags, mask = ragged(ONE, [12, 5])
    low = emissions.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss, marginals = crf.loss(low, tags, mask), crf.marginals(low, mask)
    assert loss.dtype == marginals.dtype == torch.float32
    assert loss.equal(crf.loss(low.float(), tags, mask))
    assert marginals.equal(crf.marginals(low.float(), mask))


@pytest.mark.parametrize("seed", range(5))
def test_viterbi_equals_pytorch_crf_s_decode_on_ragged_batches(seed):
    torch.manual_seed(seed)
    crf = CRF(7, batch_first=True)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    lengths = [1, 11, 2, 6, 11, 3]
    mask = torch.arange(11) < torch.tensor(lengths).unsqueeze(1)
    emissions = torch.randn(6, 11, 7)
    path = viterbi(emissions, crf.transitions, crf.start_transitions, crf.end_transitions, mask)
    assert [row[:length].tolist() for row, length in zip(path, lengths, strict=True)] == crf.decode(emissions, mask)
    assert (path[~mask] == 0).all()


@pytest.mark.parametrize(("scheme", "length"), SHORT)
def test_viterbi_finds_the_best_of_all_legal_paths(scheme, length):
    paths = legal_paths(scheme, length)
    for seed in range(5):
        crf = random_crf(scheme, seed)
        emissions = torch.randn(length, len(scheme))
        found = viterbi(emissions.unsqueeze(0), *constants(crf), full_mask(1, length))[0]
        assert found.tolist() == paths[path_scores(crf, emissions, paths).argmax()].tolist()


@given(st.integers(1, 12).flatmap(lambda t: arrays(np.float32, (t, 9), elements=st.floats(-100, 100, width=32))))
@examples(deadline=None)
def test_a_constrained_decode_is_always_legal(scores):
    padded = torch.zeros(2, len(scores) + 3, 9)
    padded[0, : len(scores)] = torch.from_numpy(scores)
    padded[1] = torch.randn(padded[1].shape)
    mask = torch.arange(len(scores) + 3) < torch.tensor([len(scores), len(scores) + 3]).unsqueeze(1)
    tags = constrained_decode(padded, TWO, mask)
    TWO.decode(tags[0, : len(scores)].tolist())
    TWO.decode(tags[1].tolist())
    assert (tags[~mask] == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_long_line_of_contradictory_marginals_decodes_to_something_legal(seed):
    wanted = np.random.default_rng(seed).integers(0, 9, 3000)
    scores = torch.full((1, 3000, 9), float(np.log(1e-6)))
    scores[0, torch.arange(3000), torch.from_numpy(wanted)] = 0
    TWO.decode(constrained_decode(scores, TWO, full_mask(1, 3000))[0].tolist())


@pytest.mark.parametrize(("scheme", "length"), SHORT)
def test_a_constrained_decode_is_the_best_legal_path(scheme, length):
    rng = np.random.default_rng(0)
    paths = legal_paths(scheme, length)
    for _ in range(5):
        scores = rng.normal(0, 5, (length, len(scheme))).astype(np.float32)
        best = paths[scores[np.arange(length), paths].sum(1).argmax()]
        found = constrained_decode(torch.from_numpy(scores).unsqueeze(0), scheme, full_mask(1, length))[0]
        assert found.tolist() == best.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_where_the_argmax_is_legal_it_is_the_constrained_decode(seed):
    scores, tags, mask = ragged(TWO, [8, 2, 5], seed)
    scores = scores.clamp(-10, 10)
    scores.scatter_add_(2, tags.unsqueeze(2), torch.full((*tags.shape, 1), 21.0))
    assert (scores.argmax(2) == tags).all()
    assert constrained_decode(scores, TWO, mask).equal(tags)
