"""A linear-chain CRF (Lafferty et al. 2001) with forbidden transitions and explicit derivatives.

B sentences of up to T tokens, K tags. Masks are left-aligned, and every sentence has a token. Rules (K²+2K,) are the
concatenated scores of transitions (K,K) from row to column, of starts (K,) and of ends (K,).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from daguan.data.tags import TagScheme
from daguan.data.viterbi import FORBIDDEN

WIDEST = 150.0  # nats between the scores of a step up to which float64 is precise enough: see _expect_scaled


class ConstrainedCrf(nn.Module):
    """A CRF over a scheme's K tags that gives illegal sequences no mass."""

    illegal: Tensor

    def __init__(self, scheme: TagScheme) -> None:
        super().__init__()
        size = len(scheme)
        self.start_transitions = nn.Parameter(torch.empty(size).uniform_(-0.1, 0.1))
        self.end_transitions = nn.Parameter(torch.empty(size).uniform_(-0.1, 0.1))
        self.transitions = nn.Parameter(torch.empty(size, size).uniform_(-0.1, 0.1))
        legal = np.concatenate([scheme.allowed.ravel(), scheme.may_start, scheme.may_end])
        self.register_buffer("illegal", torch.from_numpy(~legal), persistent=False)

    def rules(self) -> Tensor:
        """Returns the parameters (K²+2K,); forbidden ones are FORBIDDEN and get no gradient."""
        raw = torch.cat([self.transitions.flatten(), self.start_transitions, self.end_transitions])
        return raw.masked_fill(self.illegal, FORBIDDEN)

    def loss(self, emissions: Tensor, tags: Tensor, mask: Tensor, smoothing: float = 0.0) -> Tensor:
        """Returns the negative log-likelihood () summed over sentences; emissions (B,T,K), tags (B,T), mask (B,T).

        With smoothing ε it is the cross-entropy against soft sequences Q(y) ∝ Π q_t(y_t) over the legal ones, where q_t
        gives 1 − ε + ε/K to the tag and ε/K to the others: log Z − E_Q[score], exactly. Where nothing is forbidden this
        is log Z − Σ q_t·e_t − Σ q_tᵀ·A·q_{t+1}. Illegal sequences get no mass, otherwise the loss would have no lower
        bound.
        """
        loss: Tensor = _Loss.apply(emissions.float(), self.rules(), tags, mask, smoothing)  # type: ignore[no-untyped-call]
        return loss

    @torch.no_grad()
    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Returns P(tag) (B,T,K) float32, 0 at padding; emissions (B,T,K), mask (B,T)."""
        with _single_threaded():
            _, unary, _ = _expect(_time_major(emissions, mask), self.rules(), mask.t())
            return _batch_major(unary)


class _Loss(Function):
    """A sequence's score is linear in emissions and rules, so the derivatives of −log P(sequence) are counts: the
    expected use of each less its actual use.
    """

    @staticmethod
    def forward(ctx: Any, emissions: Tensor, rules: Tensor, tags: Tensor, mask: Tensor, smoothing: float) -> Tensor:
        with _single_threaded():
            scores, inside = _time_major(emissions, mask), mask.t()
            log_z, unary, used = _expect(scores, rules, inside)
            gold = _gold if smoothing == 0 else _softened
            score, at_gold, counts = gold(scores, rules, tags.t().masked_fill(~inside, 0), inside, smoothing)
            ctx.save_for_backward(_batch_major(unary - at_gold), (used - counts).float())
        return (log_z.sum() - score).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        of_emissions, of_rules = ctx.saved_tensors
        with _single_threaded():
            return gradient * of_emissions, gradient * of_rules, None, None, None


Gold = tuple[Tensor, Tensor, Tensor]  # the sequences' summed score (), their tags (T,B,K) and use of the rules (K²+2K,)


def _gold(scores: Tensor, rules: Tensor, tags: Tensor, inside: Tensor, smoothing: float) -> Gold:
    """Returns the score and counts of the tags (T,B), 0 at padding."""
    counts, at_tags = _count(tags, inside, scores.shape[2]), tags.unsqueeze(2)
    score = scores.gather(2, at_tags).sum(dtype=torch.float64) + counts @ rules.double()
    one = inside.unsqueeze(2).double()
    return score, torch.zeros(scores.shape, dtype=torch.float64, device=scores.device).scatter_(2, at_tags, one), counts


def _softened(scores: Tensor, rules: Tensor, tags: Tensor, inside: Tensor, smoothing: float) -> Gold:
    """Returns the expectations under Q(y) ∝ Π q_t(y_t): a CRF whose emissions are log q and whose rules only forbid."""
    size = scores.shape[2]
    log_q = torch.full_like(scores, math.log(smoothing / size))
    log_q.scatter_(2, tags.unsqueeze(2), math.log(1 - smoothing + smoothing / size))
    log_q.masked_fill_(~inside.unsqueeze(2), 0)
    legal = rules > FORBIDDEN / 2
    _, unary, counts = _expect(log_q, torch.where(legal, 0, FORBIDDEN).to(rules.dtype), inside)
    score = (unary * scores).sum() + counts @ rules.double().where(legal, 0)
    return score, unary, counts


def _time_major(emissions: Tensor, mask: Tensor) -> Tensor:
    """(B,T,K) → (T,B,K) float32, with 0 at padding."""
    return emissions.detach().float().transpose(0, 1).masked_fill(~mask.t().unsqueeze(2), 0).contiguous()


def _batch_major(unary: Tensor) -> Tensor:
    """(T,B,K) float64 → (B,T,K) float32."""
    return unary.float().transpose(0, 1).contiguous()


def _split(rules: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns transitions (K,K), start (K,), end (K,)."""
    transitions, start, end = torch.split(rules, [size * size, size, size])
    return transitions.view(size, size), start, end


def _count(tags: Tensor, inside: Tensor, size: int) -> Tensor:
    """Returns (K²+2K,) float64, how often the sequences use each rule; tags (T,B), 0 at padding; inside (T,B)."""
    pairs, ends = tags[:-1] * size + tags[1:], torch.stack([tags[0], tags.flatten()[_last(inside)] + size])
    used = torch.cat([pairs.flatten(), ends.flatten() + size * size])
    real = torch.cat([inside[1:].flatten(), torch.ones_like(ends, dtype=torch.bool).flatten()]).double()
    return real.new_zeros(size * (size + 2)).scatter_add_(0, used, real)


def _last(inside: Tensor) -> Tensor:
    """Returns (B,) the indices of the last tokens in (T·B,)."""
    batch = inside.shape[1]
    return (inside.sum(0) - 1) * batch + torch.arange(batch, device=inside.device)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Limits a CPU to one thread inside the context: the steps are too short to synchronise threads after each.

    A thread that has one already (a replica's, a fold worker's) must not change the setting of the others.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _expect(emissions: Tensor, rules: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns log Z (B,), P(tag) (T,B,K) with 0 at padding, and the expected use of the rules (K²+2K,), in float64.

    emissions (T,B,K), inside (T,B). A CPU is right for any scores; a GPU limits them, see `_expect_limited`.
    """
    with torch.autocast(emissions.device.type, enabled=False):
        if emissions.device.type != "cpu":
            return _expect_limited(emissions, rules, inside)
        highest, top = emissions.amax(2, keepdim=True), rules.amax()
        lowest = torch.where(rules > FORBIDDEN / 2, rules, top).amin()
        width = float((highest.squeeze(2) - emissions.amin(2)).amax() + top - lowest)
        if width <= WIDEST:
            every = int(WIDEST / max(width, math.log(emissions.shape[2]), 1.0))
            return _expect_below(emissions, highest, rules, top, inside, every)
        return _expect_in_logs(emissions, rules, inside)


def _expect_limited(emissions: Tensor, rules: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As `_expect`, without a look at the scores, for which the computation would wait for a GPU.

    Scores of a token's tags are raised to at least WIDEST/2 below the highest one, and so are allowed rules. Such a tag
    has less than 1e-32 of the probability of the highest, unless the rules exclude that. Scores are only raised, and so
    are log Z and the loss, which stays above 0.
    """
    highest, top = emissions.amax(2, keepdim=True), rules.amax()
    least = (top - WIDEST / 2).where(rules > FORBIDDEN / 2, FORBIDDEN)
    limited = emissions.maximum(highest - WIDEST / 2), highest, rules.maximum(least), top
    return _expect_below(*limited, inside, every=1)


def _expect_below(
    emissions: Tensor, highest: Tensor, rules: Tensor, top: Tensor, inside: Tensor, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    """As `_expect`, by `_expect_scaled` of scores less the highest ones: `highest` (T,B,1) of a token, `top` () of the
    rules."""
    scaled = _expect_scaled(emissions - highest, torch.exp(rules.double() - top), inside, every)
    shift = highest.squeeze(2).sum(0, dtype=torch.float64) + (inside.sum(0) + 1) * top.double()
    return scaled[0] + shift, *scaled[1:]


def _expect_scaled(emissions: Tensor, factors: Tensor, inside: Tensor, every: int) -> tuple[Tensor, Tensor, Tensor]:
    """Runs the forward-backward algorithm on probabilities rescaled after every `every` tokens (Rabiner 1989).

    Both directions run at once: the backward one reads each sentence reversed within its length. emissions (T,B,K) are
    at most 0, factors exp(rules) at most 1.

    A scheme leads from any tag to any other in three steps. So every possible tag has at least about exp(−3·WIDEST) of
    the most probable tag's weight, however long the text. A token makes weights at most exp(width) times smaller or K
    times larger, so between rescalings they change by exp(±WIDEST) at most, and exp(−4·WIDEST) is within float64's
    range.
    """
    (length, batch, size), (transitions, start, end) = emissions.shape, _split(factors, emissions.shape[2])
    ahead, behind = _orders(inside)
    own = emissions.double().exp_()  # the token's factors
    both = own.flatten(0, 1).index_select(0, ahead).view(length, batch, 2 * size)
    moves = torch.block_diag(transitions, transitions.t())  # type: ignore[no-untyped-call]
    scale = _recurse(both, torch.cat([start, end]), moves, every)
    before, after = both[..., :size], both.view(-1, size).index_select(0, behind).view(emissions.shape)
    unary = (before * after).div_(own)  # they are in both
    norm, outside = unary.sum(2, keepdim=True), ~inside.unsqueeze(2)
    log_z = scale[:, :, 1].log().masked_fill_(outside, 0).sum((0, 2)) + (norm[0] * scale[0, :, 0]).log().squeeze(1)
    unary.div_(norm).masked_fill_(outside, 0)
    after.div_(norm * scale[:, :, 0]).masked_fill_(outside, 0)
    pairs = transitions * (before[:-1].flatten(0, 1).t() @ after[1:].flatten(0, 1))
    ends = unary.flatten(0, 1).index_select(0, _last(inside))
    return log_z, unary, torch.cat([pairs.flatten(), unary[0].sum(0), ends.sum(0)])


def _orders(inside: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the reading order of both directions, (T·B·2,) indices into (T·B,), and its inverse for the backward one,
    (T·B,) indices into (T·B·2,).
    """
    length, batch = inside.shape
    times, rows = torch.arange(length, device=inside.device).unsqueeze(1), torch.arange(batch, device=inside.device)
    turned = torch.where(inside, inside.sum(0) - 1 - times, times) * batch + rows  # its own inverse
    ahead = torch.stack([times * batch + rows, turned], 2)
    return ahead.flatten(), (2 * turned + 1).flatten()


def _recurse(both: Tensor, initial: Tensor, moves: Tensor, every: int) -> Tensor:
    """Turns each token's factors (T,B,2K) into weights of its tags given the text up to it, in place, in both
    directions.

    initial (2K,), moves (2K,2K). Returns the sums (T,B,2,1) by which weights were divided, 1 where they were not.
    """
    length, batch, width = both.shape
    scale, arriving = both.new_ones(length, batch, 2, 1), initial.expand(batch, width).contiguous()
    for step, leaving in enumerate(both.unbind()):
        leaving.mul_(arriving)
        if step % every == 0:
            ways = leaving.view(batch, 2, -1)
            ways.div_(torch.sum(ways, 2, keepdim=True, out=scale[step]))
        torch.mm(leaving, moves, out=arriving)
    return scale


def _expect_in_logs(emissions: Tensor, rules: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The plain forward algorithm in log space with autograd: right for any scores, but slow."""
    with torch.enable_grad():
        leaves = [x.detach().double().requires_grad_() for x in (emissions, rules)]
        transitions, start, end = _split(leaves[1], emissions.shape[2])
        first, *others = leaves[0].unbind()
        score = start + first
        for emission, real in zip(others, inside[1:].unsqueeze(2), strict=True):
            score = torch.where(real, (score.unsqueeze(2) + transitions).logsumexp(1) + emission, score)
        log_z = (score + end).logsumexp(1)
        unary, used = torch.autograd.grad(log_z.sum(), leaves)
    return log_z.detach(), unary, used
