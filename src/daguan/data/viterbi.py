"""Viterbi decoding of many sentences at once on the CPU, several times as fast as a loop over torch operations.

N tokens of all sentences, one after another, K tags; B sentences of up to T tokens at a time. Every sentence has a
token.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daguan.data.tags import TagScheme

FORBIDDEN = -1e30  # below any legal path; finite, because inf − inf is nan
BLOCK = 1 << 13  # sums in a step, as many as the fastest cache holds
FEWEST = 16  # sentences in a step, whatever BLOCK says: fewer are not worth its overhead
STRIDE = 4  # tokens that are traced back sequentially
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Transitions(NamedTuple):
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


def best_legal_paths(scores: Floats, lengths: Ints, scheme: TagScheme) -> Ints:
    """Returns (N,) the legal tags with the highest sum of scores (N,K), as `best_paths` does."""
    return best_paths(scores, lengths, _legal(scheme))


@lru_cache(maxsize=8)
def _legal(scheme: TagScheme) -> Transitions:
    tables = (scheme.allowed, scheme.may_start, scheme.may_end)
    return transitions_of(*(np.where(table, 0, FORBIDDEN).astype(np.float32) for table in tables))


def transitions_of(transitions: Floats, start: Floats, end: Floats) -> Transitions:
    """Returns the chain of transitions (K,K), start (K,) and end (K,)."""
    seen: dict[bytes, int] = {}
    columns = [seen.setdefault(column.tobytes(), len(seen)) for column in transitions.T]
    distinct = transitions[:, [columns.index(number) for number in range(len(seen))]]
    allowed = distinct > FORBIDDEN / 2
    sources = np.argsort(~allowed, axis=0, kind="stable")[: max(1, allowed.sum(0).max())]
    scores = np.take_along_axis(np.where(allowed, distinct, -np.inf), sources, 0).astype(np.float32)
    return Transitions(transitions, start, end, sources, scores, np.array(columns))


def best_paths(scores: Floats, lengths: Ints, chain: Transitions) -> Ints:
    """Returns (N,) the tags with the highest sum of scores (N,K) and transitions, of sentences of these lengths; on
    ties, the lowest tags from the end. They are computed in blocks of sentences of similar length."""
    begins, tags = np.cumsum(lengths) - lengths, np.zeros(len(scores), np.int64)
    order, rows_at_once = np.argsort(-lengths, kind="stable"), max(FEWEST, BLOCK // chain.sources.size)
    for first in range(0, len(order), rows_at_once):
        rows = order[first : first + rows_at_once]
        times = np.arange(lengths[rows[0]])[:, None]
        inside, places = times < lengths[rows], np.minimum(begins[rows] + times, len(scores) - 1)
        part = scores.take(places, 0)  # (T,B,K), with scores of other sentences after the end of one
        path = _trace(_best_scores(part, chain), part, chain, lengths[rows])
        tags[places[inside]] = path[inside]
    return tags


def _best_scores(emissions: Floats, chain: Transitions) -> Floats:
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


def _trace(best: Floats, emissions: Floats, chain: Transitions, lengths: Ints) -> Ints:
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
