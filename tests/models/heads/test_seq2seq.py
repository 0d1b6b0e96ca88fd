"""The head that writes: against all legal labellings of short lines, by enumeration."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from daguan.core.errors import ConfigError
from daguan.models.heads.seq2seq import Seq2SeqHead
from daguan.models.settings import ModelSettings
from tiny_taggers import SCHEME

H, K = 16, len(SCHEME)


def head_of(beam: int = 4) -> Seq2SeqHead:
    """With weights as after training."""
    torch.manual_seed(0)
    head = Seq2SeqHead(H, SCHEME, ModelSettings(head="seq2seq", beam=beam)).eval()
    with torch.no_grad():
        for weight in head.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return head


def line(length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features (1,T,H), n-gram scores (1,T,K), mask (1,T)."""
    torch.manual_seed(length)
    return torch.randn(1, length, H), torch.randn(1, length, K), torch.ones(1, length, dtype=torch.bool)


def labellings(length: int) -> Tensor:
    """(N,T): all that are legal."""
    found = []
    for tags in product(range(K), repeat=length):
        starts, ends = SCHEME.may_start[tags[0]], SCHEME.may_end[tags[-1]]
        if starts and ends and all(SCHEME.allowed[i, j] for i, j in pairwise(tags)):
            found.append(tags)
    return torch.tensor(found)


@torch.no_grad()
def log_probabilities(head: Seq2SeqHead, tags: Tensor) -> Tensor:
    """Scores labellings (N,T) of one line, each alone, all steps at once (N,)."""
    features, extra, mask = (x.expand(len(tags), *x.shape[1:]) for x in line(tags.shape[1]))
    logs = head.scores(features, extra, tags, mask).log_softmax(2)
    return logs.gather(2, tags.unsqueeze(2)).sum((1, 2))


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_the_probabilities_of_all_legal_labellings_sum_to_one(length: int) -> None:
    assert log_probabilities(head_of(), labellings(length)).exp().sum().item() == pytest.approx(1.0, abs=1e-5)


@torch.no_grad()
def test_nothing_but_legal_labellings_is_written_whatever_is_drawn() -> None:
    head, length, count = head_of(), 6, 400
    features, extra, mask = (x.expand(count, *x.shape[1:]) for x in line(length))
    tags = torch.zeros(count, length, dtype=torch.long)
    for step in range(length):
        probabilities = head.scores(features, extra, tags, mask)[:, step].softmax(1)
        tags[:, step] = torch.multinomial(probabilities, 1).squeeze(1)
    for drawn in tags.tolist():
        SCHEME.decode(drawn)  # raises if it is not legal
    assert len(tags.unique(dim=0)) > 50


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_beam_that_holds_all_labellings_gives_exact_marginals(length: int) -> None:
    """Also: steps taken one by one from kept keys and values are those taken all at once."""
    head, tags = head_of(beam=K**3), labellings(length)
    probabilities = log_probabilities(head, tags).exp()
    expected = torch.einsum("ntk,n->tk", torch.nn.functional.one_hot(tags, K).float(), probabilities)
    features, extra, mask = line(length)
    marginals = head.marginals(head.scores(features, extra, None, mask), mask)
    assert torch.allclose(marginals[0], expected, atol=1e-5)


def test_half_precision_inside_gives_whole_marginals() -> None:
    head, (features, extra, mask) = head_of(), line(4)
    with torch.autocast("cpu", torch.bfloat16):
        marginals = head.marginals(head.scores(features, extra, None, mask), mask)
    assert marginals.dtype == torch.float32
    assert torch.allclose(marginals.sum(2), torch.ones(1, 4), atol=1e-5)


def test_a_narrow_beam_mixes_the_labellings_it_keeps() -> None:
    head, tags = head_of(beam=2), labellings(3)
    features, extra, mask = line(3)
    marginals = head.marginals(head.scores(features, extra, None, mask), mask)[0]
    logs = log_probabilities(head, tags)
    pairs = [
        (i, j)
        for i in range(len(tags))
        for j in range(len(tags))
        if i != j and torch.allclose(_mixture(tags, logs, i, j), marginals, atol=1e-5)
    ]
    assert pairs


def _mixture(tags: Tensor, logs: Tensor, i: int, j: int) -> Tensor:
    """(T,K), of two labellings weighted by their probabilities."""
    weights = logs[[i, j]].softmax(0)
    return torch.einsum("ntk,n->tk", torch.nn.functional.one_hot(tags[[i, j]], K).float(), weights)


@pytest.mark.parametrize(("field", "value"), [("beam", 0), ("decoder_layers", 0)])
def test_impossible_settings_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: expected"):
        ModelSettings(head="seq2seq", **{field: value})
