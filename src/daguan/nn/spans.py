"""Scored spans: the exact distribution over sets of non-overlapping spans, and its tag marginals.

B sentences of up to T tokens, X types. A span is (first, last, type), both ends included. A head gives every span a
weight w: its log-odds of being an entity in isolation. With spans independent, conditioned on no overlap, P(set) ∝ Π
exp(w): a semi-Markov model of order 0 (Sarawagi & Cohen 2004), summed exactly over all sets.
"""

from __future__ import annotations

import torch
from torch import Tensor

from daguan.data.tags import PREFIXES, B, E, I, S
from daguan.nn.scans import running_sums

NEVER = float("-inf")


def gold_spans(tags: Tensor, mask: Tensor) -> Tensor:
    """Returns (N,4) row, first, last and type of the spans of legal BIOES tags (B,T), in reading order."""
    starts, stops, types = ends_in(tags, mask)
    firsts, lasts = starts.nonzero(), stops.nonzero()  # the n-th first and the n-th last are one span
    return torch.cat([firsts, lasts[:, 1:], types[firsts[:, 0], firsts[:, 1]].unsqueeze(1)], dim=1)


def ends_in(tags: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns for each token of legal BIOES tags (B,T), each (B,T): whether a span starts and whether one stops there,
    and its type, any where there is none."""
    inside, number = (tags > 0) & mask, (tags - 1).clamp(min=0)
    prefix = torch.where(inside, number % len(PREFIXES), -1)
    starts, stops = ((prefix == end) | (prefix == S) for end in (B, E))
    return starts, stops, number // len(PREFIXES)


def span_at_each_token(tags: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Returns (B·T,4), for each token what `gold_spans` would return if a span started there, and (B·T,) whether one
    does; tags (B,T), mask (B,T).

    Shapes do not depend on the tags, so nothing waits for a GPU to count spans.
    """
    starts, stops, types = ends_in(tags, mask)
    batch, length = tags.shape
    row, place = (torch.arange(size, device=tags.device) for size in (batch, length))
    last = torch.where(stops, place, length - 1).flip(1).cummin(1).values.flip(1)  # the next stop
    spans = torch.stack([row.unsqueeze(1).expand_as(tags), place.expand_as(tags), last, types], dim=2)
    return spans.flatten(0, 1), starts.flatten()


def tags_of_spans(first: Tensor, last: Tensor, kind: Tensor, length: int) -> Tensor:
    """Returns the BIOES tags of one span each, 0 around it: (…) each → (…,length); inverts `gold_spans`."""
    place, first, last = torch.arange(length, device=first.device), first.unsqueeze(-1), last.unsqueeze(-1)
    prefix = torch.where(place == last, E, torch.where(place == first, B, I)).where(first != last, S)
    return (1 + len(PREFIXES) * kind.unsqueeze(-1) + prefix).where((place >= first) & (place <= last), 0)


def spans_within(mask: Tensor) -> Tensor:
    """Returns (B,T,T): whether a span may go from place i to place j. mask (B,T)."""
    return (mask.unsqueeze(1) & mask.unsqueeze(2)).triu()


@torch.no_grad()
def span_marginals(weights: Tensor, mask: Tensor) -> Tensor:
    """Returns P(span is in the set) (B,T,T,X) float64, 0 where none fits; weights (B,T,T,X), mask (B,T) left-aligned.

    With v(i,j) the weight of (i,j) summed over types, α(j+1) = log(exp α(j) + Σᵢ exp(α(i) + v(i,j))) sums over all sets
    before place j+1, and β likewise from the end.
    """
    fits = spans_within(mask)
    weights = weights.double().masked_fill(~fits.unsqueeze(3), NEVER)
    whole = weights.logsumexp(3)  # (B,T,T)
    before, after = _sums_before(whole), _sums_before(whole.flip(1, 2).mT).flip(1)
    log_z = before[:, -1, None, None]
    of_place = (before[:, :-1, None] + whole + after[:, None, 1:] - log_z).exp()
    shares = (weights - whole.masked_fill(~fits, 0).unsqueeze(3)).exp()
    return of_place.unsqueeze(3) * shares


def _sums_before(whole: Tensor) -> Tensor:
    """Returns (B,T+1): log of the summed weights of all sets of spans that end before each place."""
    sums = [whole.new_zeros(len(whole))]
    for last in range(whole.shape[1]):
        ending = torch.stack(sums, dim=1) + whole[:, : last + 1, last]
        sums.append(torch.logaddexp(sums[-1], ending.logsumexp(1)))
    return torch.stack(sums, dim=1)


def tag_marginals(spans: Tensor, mask: Tensor) -> Tensor:
    """Converts marginals of spans (B,T,T,X) to BIOES tags (B,T,1+4X); they sum to 1 at tokens and are 0 at padding."""
    single = spans.diagonal(dim1=1, dim2=2).mT  # (B,T,X)
    begins, ends = spans.sum(2), spans.sum(1)
    covered = running_sums((begins - ends).mT).mT + ends
    of_prefix: dict[int, Tensor] = {
        B: begins - single,
        I: covered - begins - ends + single,
        E: ends - single,
        S: single,
    }
    tags = torch.stack([of_prefix[prefix] for prefix in range(len(PREFIXES))], dim=3).clamp(0, 1).flatten(2)
    outside = (1 - tags.sum(2, keepdim=True)).clamp(min=0)
    return torch.cat([outside, tags], dim=2).float() * mask.unsqueeze(2)
