"""Trains a linear-chain CRF on features that are present or not, as CRFsuite does, by array operations.

A state is a feature and a tag that occur together in training; a transition, two tags that occur one after the other.
Each has a weight, and the others have none. The loss is -log P(tags | features), summed over lines, + c1·Σ|w| + c2·Σw².
OWL-QN minimises it (Andrew & Gao 2007), which is L-BFGS where c1 is 0.

N tokens of all lines, F features of a token, K tags that occur.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from daguan.data.chain import Chain, Floats, forward_backward
from daguan.data.feature_hashes import Ints, Numbers
from daguan.data.text_features import NO_FEATURE

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

Loss = Callable[[Floats], tuple[float, Floats]]

COMMON = 20  # tokens of a feature from which its weights are rows of a table, which are added faster
MEMORY = 6  # pairs of steps and changes of the gradient that stand in for the Hessian
DECREASE, BACKTRACK, TRIALS = 1e-4, 0.5, 20  # of the line search
SMALL_GRADIENT = 1e-5  # training ends when the gradient's norm is below this share of the weights' norm
PERIOD, SMALL_GAIN = 10, 1e-5  # or when a period of iterations lowers the loss by less than this share


class CrfLoss:
    """The loss without the L1 penalty, as a function of P parameters: weights of states and of transitions.

    Rare features that occur at the same tokens have equal weights throughout, so they share a parameter: √m times the
    weight of each of m. The L2 penalty and the steps of L-BFGS are then those of m weights, and so is the L1 penalty if
    it is multiplied by √m.

    Attributes:
        multiples: (P,) √m of each parameter.
        seen: (K,) the tags that occur; the loss knows no others.
    """

    def __init__(self, rows: Numbers, lengths: Ints, gold: Ints, c2: float, min_count: int) -> None:
        """
        Args:
            rows: (N,F) the features of the tokens; NO_FEATURE stands where a token has none.
            lengths: of the lines.
            gold: (N,) the tags.
            min_count: states and transitions that occur less often have no weight.
        """
        self.chain, self.c2 = Chain.of(lengths), c2
        rows = rows[self.chain.order]
        self.seen, gold = np.unique(gold[self.chain.order], return_inverse=True)
        self.size = tags = len(self.seen)
        known, number = _numbered(rows)
        states, count = _counted([column.astype(np.int64) * tags + gold for column in number.T])
        often = (count >= min_count) & (known[states // tags] != NO_FEATURE)
        states, count = states[often], count[often]
        tokens = np.bincount(number.ravel(), minlength=len(known))  # of each feature
        common = tokens >= COMMON
        is_common = common[states // tags]

        place = np.cumsum(common) - 1
        self.common = _present(number, common, place)
        self.cells = place[states[is_common] // tags] * tags + states[is_common] % tags
        self.rare, group, multiples = _merged(_active(number, tokens, states[~is_common], tags))

        moves, moved = _counted([gold[last] * tags + gold[now] for last, now in self.chain.pairs()])
        self.moves, moved = moves[moved >= min_count], moved[moved >= min_count]
        ends = np.cumsum([len(self.cells), len(multiples), len(self.moves)])
        self.parts = [slice(end - size, end) for end, size in zip(ends, np.diff(ends, prepend=0), strict=True)]
        self.multiples = np.concatenate([np.ones(len(self.cells)), multiples, np.ones(len(self.moves))])
        first = np.zeros(len(multiples), np.int64)
        first[group] = count[~is_common]
        self.observed = self.multiples * np.concatenate([count[is_common], first, moved])
        parameter = np.empty(len(states), np.int64)
        parameter[is_common] = np.arange(len(self.cells))
        parameter[~is_common] = len(self.cells) + group
        self._states = known[states // tags], states % tags, parameter

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        """Returns the loss and its gradient (P,); a loss that is no number where the parameters are so large that
        probabilities overflow, as after too long a step, which the search for one then shortens."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return self._loss(parameters)

    def _loss(self, parameters: Floats) -> tuple[float, Floats]:
        common, rare, moves = self.parts
        table = np.zeros(self.common.shape[1] * self.size)
        table[self.cells] = parameters[common]
        scores = self.common @ table.reshape(-1, self.size)
        scores += (self.rare @ parameters[rare]).reshape(-1, self.size)
        highest = scores.max(1, keepdims=True)
        own = np.exp(np.subtract(scores, highest, dtype=np.float32, casting="same_kind"))
        factors = np.exp(self.transitions(parameters)).astype(np.float32)
        half, expected, scale = forward_backward(own, factors, self.chain)
        probs = half.astype(np.float64)
        gradient = 2 * self.c2 * parameters
        gradient -= self.observed
        gradient[common] += (self.common.T @ probs).ravel()[self.cells]
        gradient[rare] += self.rare.T @ probs.ravel()
        gradient[moves] += expected.ravel()[self.moves]
        log_sum = np.log(scale, dtype=np.float64).sum() + highest.sum()
        return float(log_sum - self.observed @ parameters + self.c2 * (parameters @ parameters)), gradient

    def transitions(self, parameters: Floats) -> Floats:
        """Returns the transitions' scores (K,K), from row to column."""
        found = np.zeros(self.size * self.size)
        found[self.moves] = parameters[self.parts[2]]
        return found.reshape(self.size, self.size)

    def states(self, parameters: Floats) -> tuple[Numbers, Ints, Floats]:
        """Returns the features, ascending, the tags (of `seen`) and the weights of states."""
        features, tags, parameter = self._states
        return features, self.seen[tags], (parameters / self.multiples)[parameter]


def _numbered(rows: Numbers) -> tuple[Numbers, NDArray[np.int32]]:
    """Returns the different features, ascending, and (N,F) their numbers in the place of features (N,F).

    One column at a time takes a fraction of the memory of all at once.
    """
    columns = [np.unique(column, return_inverse=True) for column in rows.T]
    known, places = np.unique(np.concatenate([found for found, _ in columns]), return_inverse=True)
    parts = np.split(places.astype(np.int32), np.cumsum([len(found) for found, _ in columns])[:-1])
    return known, np.stack([part[inverse] for part, (_, inverse) in zip(parts, columns, strict=True)], 1)


def _counted(parts: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Returns the different values of all parts, ascending, and how often each occurs."""
    found = [np.unique(part, return_counts=True) for part in parts]
    values, places = np.unique(np.concatenate([np.zeros(0, np.int64), *(v for v, _ in found)]), return_inverse=True)
    counts = np.concatenate([np.zeros(0, np.int64), *(counts for _, counts in found)])
    return values, np.bincount(places, counts, len(values)).astype(np.int64)


def _present(number: NDArray[np.int32], common: NDArray[np.bool_], place: Ints) -> csr_array:
    """Returns (N, common features) how often each token has each of them, usually 0 or 1."""
    from scipy.sparse import csr_array  # loads slowly, and help loads this module

    is_common = common[number]
    ends = np.concatenate([[0], np.cumsum(is_common.sum(1))])
    columns = place[number[is_common]].astype(np.int32)
    return csr_array((np.ones(len(columns)), columns, ends), shape=(len(number), int(common.sum())))


def _active(number: NDArray[np.int32], count: Ints, states: Ints, tags: int) -> csc_array:
    """Returns (N·K, states) ones where a token has the feature of a state, in the row of that token and the tag.

    Args:
        number: (N,F) the features of tokens.
        count: how many tokens each feature has.
        states: feature · K + tag of each.
    """
    from scipy.sparse import csc_array

    tokens = np.argsort(number, axis=None, kind="stable") // number.shape[1]  # of each feature in turn
    start = np.cumsum(count) - count
    feature, tag = np.divmod(states, tags)
    used = count[feature]
    ends = np.cumsum(used)
    total = int(ends[-1]) if len(ends) else 0
    rows = tokens[np.arange(total) + np.repeat(start[feature] - (ends - used), used)] * tags + np.repeat(tag, used)
    return csc_array(
        (np.ones(total), rows.astype(np.int32), np.concatenate([[0], ends])), shape=(len(number) * tags, len(states))
    )


def _merged(columns: csc_array) -> tuple[csc_array, Ints, Floats]:
    """Returns one column for each group of equal columns, times √m where m are equal; the group (states,) of each
    column; and the √m. Equal columns are found by sums of random numbers of their rows."""
    from scipy.sparse import csc_array

    signs = np.random.default_rng(0).integers(1 << 63, size=columns.shape[0], dtype=np.uint64)
    sums = np.cumsum(signs[columns.indices], dtype=np.uint64)
    sums = np.concatenate([np.zeros(1, np.uint64), sums])[columns.indptr]
    _, first, group, count = np.unique(np.diff(sums), return_index=True, return_inverse=True, return_counts=True)
    multiples = np.sqrt(count)
    merged = csc_array(columns[:, first])
    merged.data *= np.repeat(multiples, np.diff(merged.indptr))
    return merged, group, multiples


def minimise(loss: Loss, parameters: Floats, penalties: Floats) -> Iterator[tuple[Floats, float]]:
    """Yields the parameters (P,), and the loss + Σ penalties·|parameters|, after each iteration of OWL-QN, until it has
    converged. Penalties are (P,), 0 or more.

    Sources: Andrew & Gao 2007; Nocedal & Wright 2006, algorithm 7.4. The line search and the end are those of libLBFGS,
    which CRFsuite uses.
    """
    value, gradient = loss(parameters)
    penalised = penalties > 0
    value += float(penalties @ np.abs(parameters))
    history: deque[tuple[Floats, Floats]] = deque(maxlen=MEMORY)
    past: deque[float] = deque([value], maxlen=PERIOD)
    while True:
        slope = _pseudo_gradient(parameters, gradient, penalties)
        norm = float(np.linalg.norm(slope))
        if norm <= SMALL_GRADIENT * max(1.0, float(np.linalg.norm(parameters))):
            return
        direction = -_newton(slope, history)
        direction[(direction * slope >= 0) & penalised] = 0.0
        orthant = np.where(parameters == 0, -np.sign(slope), np.sign(parameters))
        step = 1.0 if history else 1 / norm
        for _ in range(TRIALS):
            moved = parameters + step * direction
            moved[(moved * orthant <= 0) & penalised] = 0.0
            lower, changed = loss(moved)
            lower += float(penalties @ np.abs(moved))
            if lower <= value + DECREASE * float((moved - parameters) @ slope):
                break
            step *= BACKTRACK
        else:
            return
        if float((moved - parameters) @ (changed - gradient)) > 0:
            history.append((moved - parameters, changed - gradient))
        parameters, gradient, value = moved, changed, lower
        yield parameters, value
        if len(past) == PERIOD and past[0] - value < SMALL_GAIN * value:
            return
        past.append(value)


def _pseudo_gradient(parameters: Floats, gradient: Floats, penalties: Floats) -> Floats:
    """Returns the steepest ascent of the loss with the L1 penalty; 0 where both directions go up."""
    at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - penalties, 0.0)
    return np.where(parameters == 0, at_zero, gradient + penalties * np.sign(parameters))


def _newton(slope: Floats, history: deque[tuple[Floats, Floats]]) -> Floats:
    """Returns the product of the inverse Hessian, as the history has it, and the slope."""
    found, shares = slope.copy(), []
    for step, change in reversed(history):
        share = (step @ found) / (step @ change)
        shares.append(share)
        found -= share * change
    if history:
        step, change = history[-1]
        found *= (step @ change) / (change @ change)
    for (step, change), share in zip(history, reversed(shares), strict=True):
        found += (share - (change @ found) / (step @ change)) * step
    return found
