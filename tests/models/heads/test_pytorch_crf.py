"""Our CRF head and pytorch-crf's give the same losses, gradients, marginals and decodes."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from daguan.core.types import Span
from daguan.data.tags import TagScheme
from daguan.models.heads.crf import CrfHead
from daguan.models.heads.pytorch_crf import FORBIDDEN, PytorchCrfHead
from daguan.models.settings import ModelSettings
from daguan.nn.optimisers import decayed_names
from tensor_paths import viterbi

SCHEME = TagScheme(("a", "b", "c"))
WIDTH = 8
SEEDS = pytest.mark.parametrize("seed", range(6))


def heads(seed: int) -> tuple[CrfHead, PytorchCrfHead]:
    """Both with the same weights, random where a transition is legal."""
    torch.manual_seed(seed)
    settings = ModelSettings(head="crf")
    ours, theirs = CrfHead(WIDTH, SCHEME, settings), PytorchCrfHead(WIDTH, SCHEME, settings)
    with torch.no_grad():
        theirs.emit.load_state_dict(ours.emit.state_dict())
        for name, table in theirs.crf.named_parameters():
            own = ours.crf.get_parameter(name).normal_()
            table.copy_(own.where(table > FORBIDDEN / 2, FORBIDDEN))
    return ours, theirs


def inputs(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features (B,T,WIDTH), legal tags and mask of rows of 1 to 12 tokens."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 13, 7)
    tags = torch.zeros(7, int(lengths.max()), dtype=torch.long)
    for row, length in enumerate(lengths):
        cuts = [0, *sorted(rng.choice(np.arange(1, length), int(rng.integers(0, length)), replace=False)), int(length)]
        parts = [Span(int(start), int(stop), rng.choice(SCHEME.labels)) for start, stop in pairwise(cuts)]
        spans = [part for part in parts if rng.random() < 0.6]
        tags[row, :length] = torch.from_numpy(SCHEME.encode(int(length), spans))
    mask = torch.arange(tags.shape[1]) < torch.from_numpy(lengths).unsqueeze(1)
    return 3 * torch.randn(*tags.shape, WIDTH, generator=torch.Generator().manual_seed(seed)), tags, mask


@SEEDS
def test_losses_and_gradients_agree(seed: int) -> None:
    features, tags, mask = inputs(seed)
    found = []
    for head in heads(seed):
        loss = head.loss(head.scores(features, None, tags, mask), tags, mask)
        loss.backward()
        found.append((loss.item(), {name: cast(Tensor, weight.grad) for name, weight in head.named_parameters()}))
    (ours, our_gradients), (theirs, their_gradients) = found
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert our_gradients.keys() == their_gradients.keys()
    for name, gradient in our_gradients.items():
        assert torch.allclose(gradient, their_gradients[name], atol=1e-3), name


@SEEDS
def test_marginals_and_decodes_agree(seed: int) -> None:
    features, _, mask = inputs(seed)
    ours, theirs = heads(seed)
    scores = ours.scores(features, None, None, mask).detach()
    marginals = theirs.marginals(scores, mask)
    assert torch.allclose(marginals, ours.marginals(scores, mask), atol=1e-6)
    assert torch.allclose(marginals.sum(2), mask.float(), atol=1e-6)
    crf = theirs.crf
    best = viterbi(scores, crf.transitions, crf.start_transitions, crf.end_transitions, mask)
    assert [row[inside].tolist() for row, inside in zip(best, mask, strict=True)] == crf.decode(scores, mask)
    for row in crf.decode(scores, mask):
        SCHEME.decode(row)  # raises where the sequence is illegal


def test_training_with_decay_leaves_what_is_forbidden_as_it_is() -> None:
    _, head = heads(0)
    features, tags, mask = inputs(0)
    decayed = decayed_names(head)
    assert decayed == {"emit.weight"}
    before = {name: table.detach().clone() for name, table in head.crf.named_parameters()}
    groups = [
        {
            "params": [weight for name, weight in head.named_parameters() if (name in decayed) == decays],
            "weight_decay": w,
        }
        for decays, w in ((True, 0.5), (False, 0.0))
    ]
    optimiser = torch.optim.AdamW(groups, lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        head.loss(head.scores(features, None, tags, mask), tags, mask).backward()
        optimiser.step()
    for name, table in head.crf.named_parameters():
        forbidden = before[name] == FORBIDDEN
        assert forbidden.any()
        assert (table[forbidden] == FORBIDDEN).all()
        assert not table[~forbidden].equal(before[name][~forbidden])
