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

from daguan.data.tags import TagScheme
from daguan.data.viterbi import FORBIDDEN
from daguan.nn import crf as module
from daguan.nn.crf import ConstrainedCrf, _expect, _expect_limited
from tensor_paths import constrained_decode, viterbi

NONE, ONE, TWO = TagScheme(()), TagScheme(("a",)), TagScheme(("a", "b"))
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
    e, move, start, end = (tensor.detach().double().numpy() for tensor in (emissions, *tables(crf)))
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


def tables(crf: ConstrainedCrf) -> tuple[Tensor, ...]:
    """Transitions (K,K), start (K,) and end (K,), the forbidden ones FORBIDDEN."""
    size = len(crf.start_transitions)
    transitions, start, end = torch.split(crf.rules().detach(), [size * size, size, size])
    return transitions.view(size, size), start, end


def plain_crf(transitions: Tensor, start: Tensor, end: Tensor) -> CRF:
    """pytorch-crf's own with these parameters, in their type."""
    plain = CRF(len(start), batch_first=True).to(start.dtype)
    with torch.no_grad():
        plain.transitions.copy_(transitions)
        plain.start_transitions.copy_(start)
        plain.end_transitions.copy_(end)
    return plain


Answers = tuple[float, Tensor, list[Tensor]]


def our_loss(crf: ConstrainedCrf, emissions: Tensor, tags: Tensor, mask: Tensor) -> Answers:
    """The loss and its gradients by emissions and by start, end and transitions."""
    leaf = emissions.clone().requires_grad_()
    loss = crf.loss(leaf, tags, mask)
    of_emissions, *others = torch.autograd.grad(loss, [leaf, *crf.parameters()])
    return loss.item(), of_emissions, others


def their_loss(crf: ConstrainedCrf, emissions: Tensor, tags: Tensor, mask: Tensor) -> Answers:
    """The same by pytorch-crf in float64, where it has a gradient for what is forbidden, too."""
    plain = plain_crf(*(table.double() for table in tables(crf)))
    leaf = emissions.double().masked_fill(~mask.unsqueeze(2), 0).requires_grad_()
    loss = -plain(leaf, tags, mask, reduction="sum")
    of_emissions, *others = torch.autograd.grad(loss, [leaf, *plain.parameters()], materialize_grads=True)
    return loss.item(), of_emissions, others


def assert_same_losses(ours: Answers, theirs: Answers, scheme: TagScheme) -> None:
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6, abs=1e-4)
    assert torch.allclose(ours[1].double(), theirs[1], atol=1e-5)
    legal = (scheme.may_start, scheme.may_end, scheme.allowed)
    for found, expected, allowed in zip(ours[2], theirs[2], map(torch.from_numpy, legal), strict=True):
        assert torch.allclose(found.double(), expected * allowed, atol=1e-5)


@pytest.fixture
def in_logs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WIDEST", -1.0)


@pytest.fixture
def never_in_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "_expect_in_logs")


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


@pytest.mark.usefixtures("never_in_logs")
@pytest.mark.parametrize("scheme", [NONE, ONE, TWO])
@pytest.mark.parametrize("scale", [1, 5])
@pytest.mark.parametrize("lengths", [[1], [1, 2], [9, 1, 4, 6], [200, 3]])
def test_loss_and_gradients_equal_pytorch_crf_s_own(scheme, scale, lengths):
    crf = random_crf(scheme)
    emissions, tags, mask = ragged(scheme, lengths)
    batch = scale * emissions, tags, mask
    assert_same_losses(our_loss(crf, *batch), their_loss(crf, *batch), scheme)


@pytest.mark.usefixtures("in_logs_only")
@pytest.mark.parametrize("scheme", [NONE, ONE, TWO])
@pytest.mark.parametrize("lengths", [[1], [9, 1, 4, 6]])
def test_log_space_gives_the_same(scheme, lengths):
    crf, batch = random_crf(scheme), ragged(scheme, lengths)
    assert_same_losses(our_loss(crf, *batch), their_loss(crf, *batch), scheme)


@pytest.mark.parametrize("scale", [30, 100, 1000, 1e5])
@pytest.mark.parametrize("lengths", [[2, 1], [7, 30, 30, 1]])
def test_extreme_scores_are_no_trouble(scale, lengths):
    crf = random_crf(TWO)
    emissions, tags, mask = ragged(TWO, lengths)
    batch = scale * emissions, tags, mask
    assert_same_losses(our_loss(crf, *batch), their_loss(crf, *batch), TWO)
    assert torch.allclose(crf.marginals(scale * emissions, mask).sum(2), mask.float(), atol=1e-5)


@pytest.mark.usefixtures("never_in_logs")
@pytest.mark.parametrize("share", [1, 0.5, 0.2, 0.05])  # of the scores: the smaller, the rarer weights are rescaled
def test_a_path_of_no_weight_at_both_ends_that_wins_in_the_middle_is_not_lost(share):
    """Tags of b have exp(-800) of the weight of a's seen from either end; changing over costs 200."""
    emissions = torch.full((1, 200, 9), -100.0)
    inside_a, inside_b = 2, 6
    emissions[0, :, [inside_a, inside_b]] = 0
    emissions[0, 0, [inside_a - 1, inside_b - 1]] = emissions[0, -1, [inside_a + 1, inside_b + 1]] = 0
    emissions[0, 1:80, inside_a] = emissions[0, 120:-1, inside_a] = 10
    emissions[0, 80:120, inside_b] = 40
    crf, batch = random_crf(TWO), (share * emissions, torch.zeros(1, 200, dtype=torch.long), full_mask(1, 200))
    assert_same_losses(our_loss(crf, *batch), their_loss(crf, *batch), TWO)


@pytest.mark.usefixtures("never_in_logs")
@pytest.mark.parametrize("length", [126, 400])
def test_weights_that_grow_with_the_number_of_paths_do_not_overflow(length):
    """Scores that say nothing: of 26 types there are about 28 times as many legal paths with every token."""
    scheme = TagScheme(tuple("abcdefghijklmnopqrstuvwxyz"))
    crf = ConstrainedCrf(scheme)
    batch = torch.zeros(1, length, len(scheme)), torch.zeros(1, length, dtype=torch.long), full_mask(1, length)
    assert_same_losses(our_loss(crf, *batch), their_loss(crf, *batch), scheme)


@pytest.mark.parametrize("every", [2, 3, 10])
def test_it_does_not_matter_how_often_weights_are_rescaled(every):
    emissions, _, mask = ragged(TWO, [60, 1, 23])
    steps = -emissions.abs().transpose(0, 1).masked_fill(~mask.t().unsqueeze(2), 0)
    given = steps, torch.exp(random_crf(TWO).rules().detach().double()), mask.t()
    often, rarely = (module._expect_scaled(*given, every=number) for number in (1, every))
    for one, other in zip(often, rarely, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_the_number_of_threads_is_left_as_it_was():
    crf, batch = random_crf(ONE), ragged(ONE, [5, 3])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        our_loss(crf, *batch)
        crf.marginals(batch[0], batch[2])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("scheme", [NONE, ONE, TWO])
def test_a_scheme_leads_from_any_tag_to_any_other_in_three_steps(scheme):
    assert (np.linalg.matrix_power(scheme.allowed.astype(int), 3) > 0).all()


def test_a_loss_passes_the_gradient_it_gets_on():
    crf = random_crf(ONE)
    emissions, tags, mask = ragged(ONE, [5, 3])
    leaf = emissions.clone().requires_grad_()
    (3 * crf.loss(leaf, tags, mask)).backward()
    assert torch.allclose(leaf.grad, 3 * our_loss(crf, emissions, tags, mask)[1])


def test_the_same_bits_every_time():
    crf, batch = random_crf(TWO), ragged(TWO, [9, 1, 4])
    torch.use_deterministic_algorithms(True)
    try:
        first, second = our_loss(crf, *batch), our_loss(crf, *batch)
    finally:
        torch.use_deterministic_algorithms(False)
    assert first[0] == second[0]
    assert first[1].equal(second[1])
    assert all(one.equal(other) for one, other in zip(first[2], second[2], strict=True))


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), -float("inf"), 1e38])
def test_what_padding_holds_is_never_read(wild):
    crf = random_crf(TWO)
    emissions, tags, mask = ragged(TWO, [9, 1, 4])
    before = (
        our_loss(crf, emissions, tags, mask),
        crf.marginals(emissions, mask),
        viterbi(emissions, *tables(crf), mask),
    )
    emissions[~mask], tags[~mask] = wild, -100
    after = our_loss(crf, emissions, tags, mask), crf.marginals(emissions, mask), viterbi(emissions, *tables(crf), mask)
    assert before[0][0] == after[0][0]
    assert before[0][1].equal(after[0][1])
    assert before[1].equal(after[1])
    assert before[2].equal(after[2])


def test_parameters_begin_like_pytorch_crf_s():
    torch.manual_seed(0)
    ours = ConstrainedCrf(TWO)
    torch.manual_seed(0)
    theirs = CRF(len(TWO))
    assert {name: p.tolist() for name, p in ours.named_parameters()} == {
        name: p.tolist() for name, p in theirs.named_parameters()
    }
    assert ours.state_dict().keys() == theirs.state_dict().keys()


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
    allowed = {"start_transitions": TWO.may_start, "end_transitions": TWO.may_end, "transitions": TWO.allowed}
    optimiser = torch.optim.AdamW(crf.parameters(), lr=0.1, weight_decay=0.5)
    before = tables(crf)
    for _ in range(3):
        optimiser.zero_grad()
        crf.loss(emissions, tags, mask).backward()
        for name, parameter in crf.named_parameters():
            legal = torch.from_numpy(allowed[name])
            assert parameter.grad is not None
            assert (parameter.grad[~legal] == 0).all()
            assert parameter.grad[legal].any()
        optimiser.step()
    for after, first, table in zip(tables(crf), before, (TWO.allowed, TWO.may_start, TWO.may_end), strict=True):
        legal = torch.from_numpy(table)
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


def assert_decodes_as_pytorch_crf(crf: CRF, emissions: Tensor, lengths: list[int]) -> None:
    mask = torch.arange(emissions.shape[1]) < torch.tensor(lengths).unsqueeze(1)
    path = viterbi(emissions, crf.transitions, crf.start_transitions, crf.end_transitions, mask)
    assert [row[:length].tolist() for row, length in zip(path, lengths, strict=True)] == crf.decode(emissions, mask)
    assert (path[~mask] == 0).all()


def random_plain(size: int, seed: int) -> CRF:
    torch.manual_seed(seed)
    return plain_crf(torch.randn(size, size), torch.randn(size), torch.randn(size))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [1, 2, 7, 41])
def test_viterbi_equals_pytorch_crf_s_decode_on_ragged_batches(size, seed):
    crf = random_plain(size, seed)
    lengths = [1, 31, 2, 6, 31, 3, *range(1, 20)]  # several blocks of sentences if there are many tags
    assert_decodes_as_pytorch_crf(crf, torch.randn(len(lengths), 31, size), lengths)


@given(
    arrays(np.int8, (5, 9, 3), elements=st.integers(-1, 1)),
    arrays(np.int8, (5, 3), elements=st.integers(-1, 1)),
    st.lists(st.integers(1, 9), min_size=5, max_size=5),
)
@examples(deadline=None, max_examples=50)
def test_of_equals_viterbi_takes_the_one_that_pytorch_crf_takes(emissions, scores, lengths):
    crf = plain_crf(*(torch.from_numpy(part).float() for part in (scores[:3], scores[3], scores[4])))
    assert_decodes_as_pytorch_crf(crf, torch.from_numpy(emissions).float(), lengths)


@pytest.mark.parametrize("offset", [1e3, 1e6, -1e8])
def test_viterbi_rounds_as_pytorch_crf_does(offset):
    """Large scores make equals by rounding, in the order of the additions."""
    assert_decodes_as_pytorch_crf(random_plain(5, 0), offset + torch.randn(6, 40, 5), [40, 3, 17, 40, 1, 39])


@pytest.mark.parametrize("scale", [1e2, 1e4, 1e30])
def test_viterbi_of_extreme_scores_equals_pytorch_crf_s(scale):
    assert_decodes_as_pytorch_crf(random_plain(5, 0), scale * torch.randn(6, 40, 5), [40, 3, 17, 40, 1, 39])


@pytest.mark.parametrize("step", [0, 1])
def test_viterbi_paths_that_never_meet_are_traced_as_well(step):
    """Tags that follow in a circle (or stay), of which the last token decides."""
    size, length = 5, 120
    transitions = torch.full((size, size), -1e6)
    transitions[torch.arange(size), (torch.arange(size) + step) % size] = 0
    emissions = 0.1 * torch.randn(4, length, size)
    emissions[:, 0, 0] = 1
    emissions[torch.arange(4), [119, 80, 119, 3], torch.arange(4)] = 1000
    assert_decodes_as_pytorch_crf(plain_crf(transitions, *torch.zeros(2, size)), emissions, [120, 81, 120, 4])


@pytest.mark.parametrize(("scheme", "length"), SHORT)
def test_viterbi_finds_the_best_of_all_legal_paths(scheme, length):
    paths = legal_paths(scheme, length)
    for seed in range(5):
        crf = random_crf(scheme, seed)
        emissions = torch.randn(length, len(scheme))
        found = viterbi(emissions.unsqueeze(0), *tables(crf), full_mask(1, length))[0]
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


def soft_sequences(scheme: TagScheme, tags: np.ndarray, paths: np.ndarray, smoothing: float) -> np.ndarray:
    """(N,): Q of each legal path, ∝ Π q_t."""
    q = np.full((len(tags), len(scheme)), smoothing / len(scheme))
    q[np.arange(len(tags)), tags] += 1 - smoothing
    products = q[np.arange(len(tags)), paths].prod(1)
    return products / products.sum()


@pytest.mark.parametrize(("scheme", "length"), SHORT)
@pytest.mark.parametrize("smoothing", [1e-6, 0.1, 0.6])
def test_a_smoothed_loss_is_the_cross_entropy_against_soft_legal_sequences(scheme, length, smoothing):
    """With its gradients, and its least value the entropy of Q where the CRF is Q itself."""
    crf = random_crf(scheme)
    paths = legal_paths(scheme, length)
    tags = paths[np.random.default_rng(length).integers(len(paths))]
    soft = torch.from_numpy(soft_sequences(scheme, tags, paths, smoothing))
    emissions = (2 * torch.randn(length, len(scheme))).requires_grad_()
    batch = emissions.unsqueeze(0), torch.from_numpy(tags).unsqueeze(0), full_mask(1, length)
    size = len(scheme)
    move, start, end = crf.rules().double().split([size * size, size, size])
    move = move.view(size, size)
    at = torch.from_numpy(paths)
    scores = start[at[:, 0]] + end[at[:, -1]] + emissions.double()[torch.arange(length), at].sum(1)
    scores = scores + move[at[:, :-1], at[:, 1:]].sum(1)
    expected = scores.logsumexp(0) - soft @ scores
    found = crf.loss(*batch, smoothing)
    assert found.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-3)
    wanted = [emissions, *crf.parameters()]
    ours = torch.autograd.grad(found, wanted)
    theirs = torch.autograd.grad(expected, wanted, materialize_grads=True)
    assert all(torch.allclose(one, other.float(), atol=1e-4) for one, other in zip(ours, theirs, strict=True))
    assert found.item() >= -(soft @ soft.clamp(min=1e-300).log()).item() - 1e-4


@pytest.mark.parametrize(("scheme", "length"), SHORT)
@pytest.mark.parametrize("smoothing", [1e-6, 0.1, 0.6])
def test_a_smoothed_loss_is_least_where_the_crf_is_q_itself_and_there_the_entropy(scheme, length, smoothing):
    """Emissions log q_t under rules that only forbid."""
    crf, paths = random_crf(scheme), legal_paths(scheme, length)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.zero_()
    tags = paths[np.random.default_rng(length).integers(len(paths))]
    q = torch.full((length, len(scheme)), smoothing / len(scheme))
    q[torch.arange(length), torch.from_numpy(tags)] += 1 - smoothing
    emissions = q.log().unsqueeze(0).requires_grad_()
    found = crf.loss(emissions, torch.from_numpy(tags).unsqueeze(0), full_mask(1, length), smoothing)
    soft = soft_sequences(scheme, tags, paths, smoothing)
    assert found.item() == pytest.approx(-(soft @ np.log(soft)), abs=1e-5)
    gradients = torch.autograd.grad(found, [emissions, *crf.parameters()])
    assert all(torch.allclose(gradient, torch.zeros_like(gradient), atol=1e-6) for gradient in gradients)


def test_where_nothing_is_forbidden_a_smoothed_loss_is_linear_in_the_factors_of_q():
    """log Z − Σ q_t·e_t − Σ q_tᵀ·A·q_{t+1}, starts and ends likewise."""
    crf = random_crf(TWO)
    crf.illegal.zero_()
    tags, emissions = torch.tensor([[0, 3, 7, 2]]), torch.randn(1, 4, len(TWO))
    q = torch.full((4, len(TWO)), 0.3 / len(TWO)).scatter_add_(1, tags[0, :, None], torch.full((4, 1), 0.7))
    linear = (q * emissions[0]).sum() + q[0] @ crf.start_transitions + q[-1] @ crf.end_transitions
    linear = linear + sum(q[t] @ crf.transitions @ q[t + 1] for t in range(3))
    nll = crf.loss(emissions, tags, full_mask(1, 4))
    gold = emissions[0, range(4), tags[0]].sum() + crf.start_transitions[0] + crf.end_transitions[2]
    gold = gold + crf.transitions[tags[0, :-1], tags[0, 1:]].sum()
    found = crf.loss(emissions, tags, full_mask(1, 4), 0.3)
    assert found.item() == pytest.approx((nll + gold - linear).item(), abs=1e-4)


def test_smoothing_does_not_see_padding_and_sums_over_sentences():
    crf = random_crf(TWO)
    emissions, tags, mask = ragged(TWO, [5, 1, 3])
    whole = crf.loss(emissions, tags, mask, 0.2).item()
    alone = [
        crf.loss(emissions[i : i + 1, :n], tags[i : i + 1, :n], mask[i : i + 1, :n], 0.2)
        for i, n in enumerate((5, 1, 3))
    ]
    assert whole == pytest.approx(sum(loss.item() for loss in alone), rel=1e-5)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_on_a_gpu_ordinary_scores_give_what_they_give_on_a_cpu(scale: float) -> None:
    """Where no score is limited, rescaling at other steps changes rounding alone."""
    generator = torch.Generator().manual_seed(5)
    inside = torch.arange(30).unsqueeze(1) < torch.tensor([30, 7, 1])
    emissions = scale * torch.randn(30, 3, 5, generator=generator).masked_fill(~inside.unsqueeze(2), 0)
    rules = ConstrainedCrf(TagScheme(("a",))).rules().detach()
    pairs = zip(_expect_limited(emissions, rules, inside), _expect(emissions, rules, inside), strict=True)
    for found, wanted in pairs:
        torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-9, atol=1e-9)


def test_on_a_gpu_wild_scores_give_probabilities_and_no_smaller_log_z() -> None:
    inside = torch.ones(20, 2, dtype=torch.bool)
    emissions = 1e4 * torch.randn(20, 2, 5, generator=torch.Generator().manual_seed(6))
    rules = ConstrainedCrf(TagScheme(("a",))).rules().detach()
    log_z, unary, _ = _expect_limited(emissions, rules, inside)
    assert torch.allclose(unary.sum(2), torch.ones(20, 2, dtype=torch.float64))
    assert (log_z >= _expect(emissions, rules, inside)[0] - 1e-3).all()
