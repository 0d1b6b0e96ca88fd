"""Heads: what their losses, smoothings and dropouts are equal to."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_taggers import SCHEME, examples, pointers, tagger
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from daguan.batches.collate import collate
from daguan.core.errors import ConfigError
from daguan.models.heads import divergence
from daguan.models.model_settings import HEADS, ModelSettings
from daguan.models.span_heads import multilabel_loss, smoothed_boundaries
from daguan.models.tagger import HeadStack, new_head
from daguan.nn.spans import gold_spans, spans_within
from daguan.text.tags import TagScheme

ALL = pytest.mark.parametrize("head", HEADS)
TOLD = ("span", "seq2seq")  # they answer otherwise where gold tags are not told
TAGS = torch.tensor([[1, 2, 3, 0, 8, 0], [4, 5, 7, 0, 0, 0]])  # a a a O b O | a b b O
MASK = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])


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
def test_beliefs_are_distributions_and_agree_with_themselves(head):
    made = new(head)
    beliefs = made.beliefs(made.scores(features(), None, TAGS, MASK), TAGS, MASK)
    assert torch.allclose(beliefs.exp().sum(1), torch.ones(len(beliefs)), atol=1e-5)
    other = made.beliefs(made.scores(features(2), None, TAGS, MASK), TAGS, MASK)
    assert number(divergence(beliefs, beliefs)) == 0
    both = sum((p.exp() * (p - q)).sum() for p, q in ((beliefs, other), (other, beliefs))) / 2
    assert number(divergence(beliefs, other)) == pytest.approx(number(both), rel=1e-4)
    assert number(divergence(beliefs, other)) > 0


def test_the_multilabel_loss_is_softmax_where_one_of_several_is_gold_against_a_zero():
    """With one gold score it is a sum of two logistic-like terms, each against 0."""
    scores = torch.tensor([[2.0, -1.0, 0.5]])
    gold, fits = torch.tensor([[True, False, False]]), torch.tensor([[True, True, False]])
    expected = math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(-2.0))
    assert number(multilabel_loss(scores, gold, fits)) == pytest.approx(expected)


def test_a_stop_is_told_its_start():
    made = new("span").eval()
    told, other = (made.scores(features(), None, tags, MASK) for tags in (TAGS, torch.zeros_like(TAGS)))
    assert torch.equal(told[:, :, 0], other[:, :, 0])
    starts = torch.tensor([[1, 0, 0, 0, 1, 0], [1, 1, 0, 0, 0, 0]], dtype=torch.bool)
    differs = (told[:, :, 1] != other[:, :, 1]).any(2)
    assert torch.equal(differs, starts)


def test_pointer_marginals_are_the_beam_s_sets_by_their_probabilities():
    """Of one set, its tags; of more and more, what they tend to: of two tokens and two types there are 11."""
    mask = MASK[:, :2]
    scores = new("pointer").scores(features()[:, :2], None, None, mask)
    one, some, enough, all_of_them = (new("pointer", beam=width).marginals(scores, mask) for width in (1, 5, 11, 999))
    assert ((one == 0) | (one == 1)).all()
    assert torch.allclose(enough, all_of_them, atol=1e-6)
    apart = [number((some_marginals - enough).abs().sum()) for some_marginals in (one, some)]
    assert apart[0] > apart[1] > 0


def test_smoothed_boundaries_keep_the_mass_of_every_span():
    fits, spans = spans_within(MASK), gold_spans(TAGS, MASK)
    targets = smoothed_boundaries(spans, fits, 2, 0.2, 2)
    assert torch.allclose(targets.sum(3), torch.ones_like(targets[..., 0]))
    assert targets.min() >= 0
    assert torch.equal(targets[~fits][:, 0], torch.ones(int((~fits).sum())))
    plain = smoothed_boundaries(spans, fits, 2, 0.0, 2)
    row, first, last, kind = spans.unbind(1)
    assert (plain[row, first, last, kind + 1] == 1).all()
    assert number(plain[..., 1:].sum()) == len(spans)
    assert number(targets[..., 1:].sum()) == pytest.approx(len(spans), abs=1e-5)  # moved, not lost


def test_smoothed_boundaries_reach_as_far_as_they_are_told():
    spans, fits = torch.tensor([[0, 4, 6, 0]]), spans_within(torch.ones(1, 12, dtype=torch.bool))
    for distance in (1, 2):
        targets = smoothed_boundaries(spans, fits, 1, 0.3, distance)[0, ..., 1]
        for i, j in targets.nonzero().tolist():
            off = abs(i - 4) + abs(j - 6)
            assert number(targets[i, j]) == pytest.approx(0.7 if off == 0 else 0.3 / distance / (4 * off))
        assert len(targets.nonzero()) == 1 + sum(4 * d for d in range(1, distance + 1))


@ALL
def test_one_sample_of_dropout_is_dropout_and_either_mean_agrees_without_noise(head):
    batch = collate(examples(), 16)
    plain = tagger(head)
    loss = number(plain.train().loss(batch))
    for average in ("losses", "logits"):
        many = tagger(head, dropout_samples=4, dropout_average=average).train()
        assert number(many.loss(batch)) == pytest.approx(loss, rel=1e-5)
        noisy, again = (tagger(head, dropout=0.5, dropout_average=average).train() for _ in range(2))
        torch.manual_seed(3)
        first = number(noisy.loss(batch))
        torch.manual_seed(3)
        assert number(again.loss(batch)) == first


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_a_mean_of_losses_is_a_batch_tiled_and_at_least_the_loss_of_mean_logits(head):
    """Inoue 2019: M masks on the same features are M copies of the batch; both losses are convex in the logits."""
    settings = {"dropout": 0.5, "dropout_samples": 3}
    batch = collate(examples(), 16)
    torch.manual_seed(0)
    hidden = torch.randn(*batch.token_ids.shape, 8)

    def stack(**more: object) -> HeadStack:
        torch.manual_seed(0)
        return HeadStack(head, 8, SCHEME, ModelSettings(head=head, **settings, **more)).train()

    losses, logits = stack(), stack(dropout_average="logits")
    torch.manual_seed(5)
    scores = losses.scores(hidden, batch)
    tiled = [losses.head.loss(sample, batch.tag_ids, batch.mask) for sample in scores]
    assert number(losses.loss(scores, batch)) == pytest.approx(number(sum(tiled)) / 3, rel=1e-6)
    torch.manual_seed(5)
    averaged = logits.scores(hidden, batch)
    assert torch.allclose(averaged[0], sum(scores) / 3, atol=1e-5)
    assert number(logits.loss(averaged, batch)) <= number(losses.loss(scores, batch))


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
    assert number(tagger(head, r_drop=5.0).eval().loss(batch)) == pytest.approx(plain, rel=1e-4) or head in TOLD


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
        ({"head": "global_pointer", "label_smoothing": 0.1}, "label_smoothing: expected 0.0 with head global_pointer"),
        ({"head": "biaffine", "label_smoothing": 0.1}, "label_smoothing: expected 0"),
        ({"head": "lstm_crf", "boundary_smoothing": 0.1}, "boundary_smoothing: expected 0"),
        ({"head": "crf+pointers"}, "head: expected"),
        ({"head": "lstm_"}, "head: expected"),
        ({"head": "biaffine", "pointer_size": 7}, "pointer_size: expected"),
        ({"head": "crf", "pointer_size": 32}, "pointer_size: expected 64 with head crf"),
        ({"head": "crf", "beam": 2}, "beam: expected 4 with head crf"),
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
