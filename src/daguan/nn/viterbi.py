"""Viterbi decoding of many sentences at once on the CPU, several times as fast as a loop over torch operations.

B sentences of up to T tokens, K tags. Masks are left-aligned, and every sentence has a token.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from daguan.data.tags import TagScheme

FORBIDDEN = -1e30  # below any legal path; finite, because inf − inf is nan
BLOCK = 1 << 13  # sums in a step, as many as the fastest cache holds
FEWEST = 16  # sentences in a step, whatever BLOCK says: fewer are not worth its overhead
STRIDE = 4  # tokens that are traced back sequentially
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class _Chain(NamedTuple):
    """Scores of transitions, in full and by distinct column: a scheme has few of these, most with few sources.

    Attributes:
        transitions: (K,K)
        start, end: (K,)
        sources: (P,C) up to P allowed sources of each of the C distinct columns.
        scores: (P,C) of these transitions.
        columns: (K,) the column of each tag.
    """

    transitions: Floats
    start: Floats
    end: Floats
    sources: Ints
    scores: Floats
    columns: Ints


def constrained_decode(scores: Tensor, scheme: TagScheme, mask: Tensor) -> Tensor:
    """Returns (B,T) the legal sequences with the highest sum of scores (B,T,K), e.g. log marginals; mask (B,T)."""
    return _decode(scores, _legal(scheme), mask)


def viterbi(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor) -> Tensor:
    """Returns the highest-scoring tag sequences (B,T), 0 at padding, in float32; on ties, the lowest tags from the end.

    emissions (B,T,K), transitions (K,K), start (K,), end (K,), mask (B,T).
    """
    tables = (table.detach().cpu().float().numpy() for table in (transitions, start, end))
    return _decode(emissions, _chain(*tables), mask)


@lru_cache(maxsize=8)
def _legal(scheme: TagScheme) -> _Chain:
    tables = (scheme.allowed, scheme.may_start, scheme.may_end)
    return _chain(*(np.where(table, 0, FORBIDDEN).astype(np.float32) for table in tables))


def _chain(transitions: Floats, start: Floats, end: Floats) -> _Chain:
    seen: dict[bytes, int] = {}
    columns = [seen.setdefault(column.tobytes(), len(seen)) for column in transitions.T]
    distinct = transitions[:, [columns.index(number) for number in range(len(seen))]]
    allowed = distinct > FORBIDDEN / 2
    sources = np.argsort(~allowed, axis=0, kind="stable")[: max(1, allowed.sum(0).max())]
    scores = np.take_along_axis(np.where(allowed, distinct, -np.inf), sources, 0).astype(np.float32)
    return _Chain(transitions, start, end, sources, scores, np.array(columns))


def _decode(emissions: Tensor, chain: _Chain, mask: Tensor) -> Tensor:
    """Returns (B,T), computed in blocks of sentences of similar length."""
    length, size = emissions.shape[1:]
    inside, scores = mask.cpu().numpy(), emissions.detach().cpu().float().numpy().reshape(-1, size)
    lengths, tags = inside.sum(1), np.zeros(inside.shape, np.int64)
    order, rows_at_once = np.argsort(-lengths, kind="stable"), max(FEWEST, BLOCK // chain.sources.size)
    for first in range(0, len(order), rows_at_once):
        rows = order[first : first + rows_at_once]
        times = np.arange(lengths[rows[0]])[:, None]
        part = scores.take(rows * length + times, 0)  # (T,B,K)
        with np.errstate(over="ignore", invalid="ignore"):  # at padding
            path = _trace(_best_scores(part, chain), part, chain, lengths[rows])
        tags[rows, : len(path)] = np.where(times < lengths[rows], path, 0).T
    return torch.from_numpy(tags).to(emissions.device)


def _best_scores(emissions: Floats, chain: _Chain) -> Floats:
    """Returns (T,B,K) the score of the best path to each tag; emissions (T,B,K).

    Additions come in pytorch-crf's order, so that ties are the same. Sentences lie innermost, where numpy is fastest.
    """
    length, batch, _ = emissions.shape
    most, count = chain.sources.shape
    added, sources = np.ascontiguousarray(emissions.transpose(0, 2, 1)), chain.sources.ravel()
    scores = np.ascontiguousarray((chain.start + emissions[0]).T)  # (K,B)
    table = np.repeat(chain.scores.reshape(-1, 1), batch, 1)  # (P·C,B)
    sums, arriving = np.empty_like(table), np.zeros((length, count, batch), np.float32)
    by_source, flat = sums.reshape(most, -1), arriving.reshape(length, -1)
    for t in range(1, length):
        scores.take(sources, 0, sums, "clip")
        np.add(sums, table, sums)
        np.maximum.reduce(by_source, 0, out=flat[t])
        arriving[t].take(chain.columns, 0, scores, "clip")
        np.add(scores, added[t], scores)
    best: Floats = np.ascontiguousarray(arriving.take(chain.columns, 1).transpose(0, 2, 1))
    best[0] = chain.start
    best += emissions
    return best


def _trace(best: Floats, emissions: Floats, chain: _Chain, lengths: Ints) -> Ints:
    """Returns (T,B) the best paths, traced backwards in many places at once; best and emissions (T,B,K).

    Every STRIDE tokens a piece starts with a guess, the best tag for the text so far. The tag found at its beginning
    then corrects the piece before it, as long as that changes anything: paths soon meet.
    """
    length, batch, size = best.shape
    path = np.zeros(length * batch, np.int64)  # token t of row b is number t·B + b
    best, emissions = best.reshape(-1, size), emissions.reshape(-1, size)
    into = np.ascontiguousarray(chain.transitions.T)

    def correct(tokens: Ints) -> Ints:
        """Sets the best tag before each token; returns the tokens that this changed."""
        tag, before = path[tokens], tokens - batch
        scores = best.take(before, 0)
        scores += into.take(tag, 0)
        scores += emissions[tokens, tag][:, None]
        tags = scores.argmax(1)
        changed: Ints = before[tags != path[before]]
        path[before] = tags
        return changed

    times, rows = np.nonzero(np.arange(length)[:, None] < lengths)
    tokens, phases, ends = times * batch + rows, times % STRIDE, (lengths - 1) * batch + np.arange(batch)
    guessed = tokens[phases == STRIDE - 1]
    path[guessed] = best[guessed].argmax(1)
    path[ends] = (best[ends] + chain.end).argmax(1)
    for phase in range(STRIDE - 1, 0, -1):
        correct(tokens[phases == phase])
    doubtful = tokens[phases == 0]
    while len(doubtful := doubtful[doubtful >= batch]):
        doubtful = correct(doubtful)
    return path.reshape(length, batch)
