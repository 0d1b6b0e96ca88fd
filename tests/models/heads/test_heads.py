"""Heads: what their losses, smoothings and dropouts are equal to."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, one_hot

from daguan.core.errors import ConfigError
from daguan.data.batches.collate import Batch, collate
from daguan.data.tags import TagScheme
from daguan.models.heads.base import divergence
from daguan.models.heads.biaffine import smoothed_boundaries
from daguan.models.heads.global_pointer import multilabel_loss
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.models.tagger import HeadStack, new_head
from daguan.nn.spans import gold_spans, span_at_each_token, spans_within
from tiny_taggers import SCHEME, examples, pointers, tagger

ALL = pytest.mark.parametrize("head", HEADS)
GIVEN_TAGS = ("span", "seq2seq")  # their answers differ where gold tags are not given
TAGS = torch.tensor([[1, 2, 3, 0, 8, 0], [4, 5, 7, 0, 0, 0]])  # a a a O b O | a b b O
MASK = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
BATCH = Batch(torch.zeros_like(TAGS), torch.tensor([6, 4]), TAGS)


def number(tensor: Tensor) -> float:
    return tensor.detach().item()


def new(name: str, **settings: float) -> torch.nn.Module:
    torch.manual_seed(0)
    return new_head(name, 8, SCHEME, ModelSettings(head=name, **pointers(name, 8), **settings))


def features(seed: int = 1) -> Tensor:
    return torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(seed))


def test_smoothed_softmax_is_torchs_convention():
    head = new("softmax", label_smoothing=0.1)
    scores = head.scores(features(), None, None, MASK)
    logs = log_softmax(scores[MASK], 1)
    nll = -logs.gather(1, TAGS[MASK].unsqueeze(1)).sum()
    assert number(head.loss(scores, TAGS, MASK)) == pytest.approx(
        number(0.9 * nll - 0.1 * logs.mean(1).sum()), rel=1e-5
    )


def test_smoothed_softmax_is_fairseq_s_with_a_smaller_share():
    """fairseq's label_smoothed_nll_loss keeps 1 − ε for the label and spreads ε over the K − 1 others alone."""
    head, classes = new("softmax", label_smoothing=0.1), len(SCHEME)
    scores = head.scores(features(), None, None, MASK)
    logs = log_softmax(scores[MASK], 1)
    nll, smooth = -logs.gather(1, TAGS[MASK].unsqueeze(1)).sum(), -logs.sum()
    epsilon = 0.1 * (classes - 1) / classes
    each = epsilon / (classes - 1)
    fairseq = (1 - epsilon - each) * nll + each * smooth
    assert number(head.loss(scores, TAGS, MASK)) == pytest.approx(number(fairseq), rel=1e-5)


def test_smoothed_softmax_is_a_divergence_from_q_above_its_entropy():
    """Müller et al. 2019 (arXiv 1906.02629): KL(q‖p) + H(q), of gradient p − q."""
    head = new("softmax", label_smoothing=0.1)
    q = 0.9 * one_hot(TAGS, len(SCHEME)) + 0.1 / len(SCHEME)
    entropy = number(-(q * q.log())[MASK].sum())
    for scores in (head.scores(features(), None, None, MASK).detach(), q.log()):
        logs = log_softmax(scores, 2)
        apart = number((q * (q.log() - logs))[MASK].sum())
        loss = head.loss(scores.requires_grad_(), TAGS, MASK)
        assert number(loss) == pytest.approx(apart + entropy, rel=1e-5)
        (gradient,) = torch.autograd.grad(loss, scores)
        assert torch.allclose(gradient, (logs.exp() - q) * MASK.unsqueeze(2), atol=1e-6)
    assert apart == pytest.approx(0, abs=1e-5)  # of the last, which is q


def test_smoothed_softmax_wants_the_label_s_logit_over_the_others_by_a_gap():
    """log(K(1 − ε)/ε + 1)."""
    head = new("softmax", label_smoothing=0.1)

    def loss(gap: float) -> float:
        scores = gap * one_hot(torch.tensor([[3]]), 7).double()
        return number(head.loss(scores, torch.tensor([[3]]), torch.tensor([[True]])))

    best = math.log(7 * 0.9 / 0.1 + 1)
    assert best == pytest.approx(4.159, abs=5e-4)
    assert min((best - 1e-3, best, best + 1e-3), key=loss) == best


@pytest.mark.parametrize("head", ["softmax", "crf", "span", "biaffine", "pointer"])
def test_no_smoothing_is_the_plain_loss_and_some_is_another(head):
    name = "boundary_smoothing" if head == "biaffine" else "label_smoothing"
    losses = []
    for amount in (0.0, 1e-9, 0.2):
        made = new(head, **{name: amount})
        losses.append(number(made.loss(made.scores(features(), None, TAGS, MASK), TAGS, MASK)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)


@ALL
def test_extra_scores_are_added_where_the_head_says(head):
    made = new(head).eval()
    silent = torch.zeros(2, 6, made.extra_width)
    assert torch.equal(made.scores(features(), silent, None, MASK), made.scores(features(), None, None, MASK))
    for column in range(made.extra_width):
        loud = silent.clone()
        loud[:, :, column] = 3.0
        changed = made.marginals(made.scores(features(), loud, None, MASK), MASK)
        assert not torch.allclose(changed, made.marginals(made.scores(features(), None, None, MASK), MASK)), column


@ALL
def test_local_log_probs_are_distributions_and_agree_with_themselves(head):
    made = new(head)
    log_probs = made.local_log_probs(made.scores(features(), None, TAGS, MASK), TAGS, MASK)
    assert torch.allclose(log_probs.exp().sum(1), torch.ones(len(log_probs)), atol=1e-5)
    other = made.local_log_probs(made.scores(features(2), None, TAGS, MASK), TAGS, MASK)
    assert number(divergence(log_probs, log_probs)) == 0
    both = sum((p.exp() * (p - q)).sum() for p, q in ((log_probs, other), (other, log_probs))) / 2
    assert number(divergence(log_probs, other)) == pytest.approx(number(both), rel=1e-4)
    assert number(divergence(log_probs, other)) > 0


def test_the_multilabel_loss_is_softmax_where_one_of_several_is_gold_against_a_zero():
    """With one gold score it is a sum of two logistic-like terms, each against 0."""
    scores = torch.tensor([[2.0, -1.0, 0.5]])
    gold, fits = torch.tensor([[True, False, False]]), torch.tensor([[True, True, False]])
    expected = math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(-2.0))
    assert number(multilabel_loss(scores, gold, fits)) == pytest.approx(expected)


def test_a_stop_depends_on_its_start():
    made = new("span").eval()
    given, other = (made.scores(features(), None, tags, MASK) for tags in (TAGS, torch.zeros_like(TAGS)))
    assert torch.equal(given[:, :, 0], other[:, :, 0])
    starts = torch.tensor([[1, 0, 0, 0, 1, 0], [1, 1, 0, 0, 0, 0]], dtype=torch.bool)
    differs = (given[:, :, 1] != other[:, :, 1]).any(2)
    assert torch.equal(differs, starts)


def test_global_pointer_sees_how_far_apart_ends_are_and_nothing_else_of_where():
    """Rotary positions (Su et al. 2021, arXiv 2104.09864 §3.2): of tokens all alike, a score for each distance."""
    made = new("global_pointer")
    torch.nn.init.zeros_(made.kinds.weight)
    torch.nn.init.zeros_(made.kinds.bias)
    scores = made.scores(features()[:1, :1].expand(1, 6, 8), None, None, MASK[:1])[0, :, :, 0]
    diagonals = [scores.diagonal(distance) for distance in range(-5, 6)]
    assert all(torch.allclose(diagonal, diagonal[0], atol=1e-5) for diagonal in diagonals)
    values = torch.stack([diagonal[0] for diagonal in diagonals])
    assert values.sort().values.diff().min() > 1e-3


def test_pointer_marginals_are_the_beam_s_sets_by_their_probabilities():
    """One set gives its tags, more sets approach a limit: two tokens and two types have 11 sets."""
    mask = MASK[:, :2]
    scores = new("pointer").scores(features()[:, :2], None, None, mask)
    one, some, enough, all_of_them = (new("pointer", beam=width).marginals(scores, mask) for width in (1, 5, 11, 999))
    assert ((one == 0) | (one == 1)).all()
    assert torch.allclose(enough, all_of_them, atol=1e-6)
    apart = [number((some_marginals - enough).abs().sum()) for some_marginals in (one, some)]
    assert apart[0] > apart[1] > 0


def test_smoothed_boundaries_keep_the_mass_of_every_span():
    fits, spans = spans_within(MASK), gold_spans(TAGS, MASK)
    targets = smoothed_boundaries(*span_at_each_token(TAGS, MASK), fits, 2, 0.2, 2)
    assert torch.allclose(targets.sum(3), torch.ones_like(targets[..., 0]))
    assert targets.min() >= 0
    assert torch.equal(targets[~fits][:, 0], torch.ones(int((~fits).sum())))
    plain = smoothed_boundaries(*span_at_each_token(TAGS, MASK), fits, 2, 0.0, 2)
    row, first, last, kind = spans.unbind(1)
    assert (plain[row, first, last, kind + 1] == 1).all()
    assert number(plain[..., 1:].sum()) == len(spans)
    assert number(targets[..., 1:].sum()) == pytest.approx(len(spans), abs=1e-5)  # moved, not lost


def test_smoothed_boundaries_reach_as_far_as_the_setting_says():
    spans, fits = torch.tensor([[0, 4, 6, 0]]), spans_within(torch.ones(1, 12, dtype=torch.bool))
    for distance in (1, 2):
        targets = smoothed_boundaries(spans, torch.tensor([True]), fits, 1, 0.3, distance)[0, ..., 1]
        for i, j in targets.nonzero().tolist():
            off = abs(i - 4) + abs(j - 6)
            assert number(targets[i, j]) == pytest.approx(0.7 if off == 0 else 0.3 / distance / (4 * off))
        assert len(targets.nonzero()) == 1 + sum(4 * d for d in range(1, distance + 1))


@ALL
def test_however_many_masks_either_mean_agrees_without_noise(head):
    batch = collate(examples(), 16)
    loss = number(tagger(head).train().loss(batch))
    for average in ("losses", "logits"):
        many = tagger(head, dropout_samples=4, dropout_average=average).train()
        assert number(many.loss(batch)) == pytest.approx(loss, rel=1e-5)


class FixedMasks(torch.nn.Module):
    """In place of a dropout: the masks (M,B,T,H), each once, in their order."""

    def __init__(self, masks: Tensor) -> None:
        super().__init__()
        self.left = list(masks)

    def forward(self, features: Tensor) -> Tensor:
        return self.left.pop(0) * features


def masks(count: int) -> Tensor:
    """(M,2,6,8): 0 or 2."""
    return 2.0 * torch.randint(2, (count, 2, 6, 8), generator=torch.Generator().manual_seed(2))


def stack(head: str, drawn: Tensor, **settings: object) -> HeadStack:
    torch.manual_seed(0)
    made = ModelSettings(head=head, dropout_samples=len(drawn), **pointers(head, 8), **settings)
    result = HeadStack(head, 8, SCHEME, made).train()
    result.dropout = FixedMasks(drawn)
    return result


def loss_of(made: HeadStack) -> float:
    found = number(made.loss(made.scores(features(), BATCH), BATCH))
    assert not made.dropout.left
    return found


@ALL
def test_one_sample_of_dropout_is_dropout(head):
    mask = masks(1)
    for average in ("losses", "logits"):
        made = stack(head, mask, dropout_average=average)
        by_hand = made.head.loss(made.head.scores(mask[0] * features(), None, TAGS, MASK), TAGS, MASK)
        assert loss_of(made) == number(by_hand)


@ALL
def test_a_mean_of_losses_is_that_of_the_batch_once_under_each_mask(head):
    """Inoue 2019 (arXiv 1905.09788 §3)."""
    drawn = masks(3)
    made = stack(head, drawn)
    tiled, tags, mask = features().repeat(3, 1, 1), TAGS.repeat(3, 1), MASK.repeat(3, 1)
    together = made.head.loss(made.head.scores(drawn.flatten(0, 1) * tiled, None, tags, mask), tags, mask)
    assert loss_of(made) == pytest.approx(number(together) / 3, rel=1e-5)


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_a_mean_of_logits_is_dropout_under_the_mean_mask_and_costs_less_than_the_mean_of_losses(head):
    """The heads are linear, and their losses convex in the logits."""
    drawn = masks(3)
    made = stack(head, drawn, dropout_average="logits")
    by_hand = made.head.loss(made.head.scores(drawn.mean(0) * features(), None, TAGS, MASK), TAGS, MASK)
    found = loss_of(made)
    assert found == pytest.approx(number(by_hand), rel=1e-5)
    assert found < loss_of(stack(head, drawn))


def test_more_masks_leave_the_expected_gradient_and_divide_its_variance():
    """Inoue 2019: M masks are M independent draws."""
    draws = 2000

    def gradients(samples: int) -> Tensor:
        """(draws,K,H), of the head's weights."""
        torch.manual_seed(0)
        made = HeadStack("softmax", 8, SCHEME, ModelSettings(head="softmax", dropout=0.5, dropout_samples=samples))
        losses = (made.train().loss(made.scores(features(), BATCH), BATCH) for _ in range(draws))
        return torch.stack([torch.autograd.grad(loss, made.head.emit.weight)[0] for loss in losses])

    one, four = gradients(1), gradients(4)
    deviation = ((one.var(0) + four.var(0)) / draws).sqrt()
    assert ((one.mean(0) - four.mean(0)).abs() < 5 * deviation).all()
    assert 3 < number(one.var(0).sum() / four.var(0).sum()) < 5


@ALL
def test_r_drop_without_noise_is_the_plain_loss_and_with_noise_more_than_the_mean_of_two(head):
    batch = collate(examples(), 16)
    plain = number(tagger(head).train().loss(batch))
    assert number(tagger(head, r_drop=5.0).train().loss(batch)) == pytest.approx(plain, rel=1e-5)
    losses = []
    for weight in (1e-9, 5.0):
        model = tagger(head, dropout=0.5, r_drop=weight).train()
        torch.manual_seed(4)
        losses.append(number(model.loss(batch)))
    assert losses[1] > losses[0]
    assert number(tagger(head, r_drop=5.0).eval().loss(batch)) == pytest.approx(plain, rel=1e-4) or head in GIVEN_TAGS


def test_heads_together_add_their_losses_and_average_their_marginals():
    batch = collate(examples(), 16)
    both = tagger("crf+biaffine").eval()
    alone = []
    for place, name in enumerate(("crf", "biaffine")):
        one = tagger(name).eval()
        one.encoder.load_state_dict(both.encoder.state_dict())
        one.heads[0].load_state_dict(both.heads[place].state_dict())
        alone.append(one)
    assert number(both.loss(batch)) == pytest.approx(sum(number(one.loss(batch)) for one in alone), rel=1e-6)
    mean = sum(one.marginals(batch) for one in alone) / 2
    assert torch.allclose(both.marginals(batch), mean, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"head": "crf+pointers"}, "head: expected"),
        ({"head": "lstm_"}, "head: expected"),
        ({"head": "biaffine", "pointer_size": 7}, "pointer_size: expected"),
        ({"head": "pointer", "beam": 0}, "beam: expected at least 1"),
        ({"dropout_samples": 0}, "dropout_samples: expected"),
        ({"dropout_average": "marginals"}, "dropout_average: expected"),
        ({"r_drop": -1.0}, "r_drop: expected"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, match):
    with pytest.raises(ConfigError, match=match):
        ModelSettings(**settings)


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_cross_entropy_of_a_scheme_without_labels_is_nothing_to_learn():
    """A contest whose training part has no entity at all: the heads still answer "outside"."""
    none = TagScheme(())
    for name in HEADS:
        head = new_head(name, 8, none, ModelSettings(head=name, **pointers(name, 8)))
        scores = head.scores(features(), None, torch.zeros_like(TAGS), MASK)
        assert number(head.loss(scores, torch.zeros_like(TAGS), MASK)) == pytest.approx(0, abs=1e-6)
        assert torch.equal(head.marginals(scores, MASK), MASK.unsqueeze(2).float())
    assert number(cross_entropy(torch.zeros(1, 1), torch.tensor([0]))) == 0
