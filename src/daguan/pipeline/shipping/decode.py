"""Labels lines with an exported model by ONNX Runtime: this file, numpy and onnxruntime are all it needs.

    from decode import Labeller
    Labeller(FOLDER).spans([["7", "8", "9"]])  # of each line: (start, stop, label, probability), half-open in tokens

The graph gives the scores of each head; what follows is here, for other languages to copy: windows, marginals of tags
(BIOES: 0 is outside, then begin, inside, end and single of each label), and the best legal sequence. B windows of up to
T tokens, K tags, X labels. tests/pipeline/shipping holds it against the package's own decoding.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Found = tuple[int, int, str, float]
PAD, UNKNOWN, FORBIDDEN, SMALLEST, FEWEST, CELLS = 0, 1, -1e30, 1e-6, 2, 2048  # CELLS: of a batch, padding included


class Labeller:
    """An exported model, for any number of threads."""

    def __init__(self, folder: str | Path, **options: Any) -> None:
        """options: of onnxruntime.InferenceSession."""
        import onnxruntime

        place = Path(folder)
        self.about = json.loads((place / "model.json").read_text("utf-8"))
        self.ids: dict[str, int] = json.loads((place / "vocabulary.json").read_text("utf-8"))
        self.session = onnxruntime.InferenceSession(str(place / "model.onnx"), **options)
        self.allowed = allowed_tags(len(self.about["labels"]))

    def spans(self, lines: Sequence[Sequence[str]]) -> list[list[Found]]:
        """Returns the entities of each line of tokens."""
        return [found_in(probs, self.about["labels"], self.allowed) for probs in self.marginals(lines)]

    def marginals(self, lines: Sequence[Sequence[str]]) -> list[Floats]:
        """Returns P(tag) (T,K) of each line, in half precision, as the package does."""
        ids = [[self.ids.get(token, UNKNOWN) for token in line] for line in lines]
        cuts = [windows(len(line), self.about["window"], self.about["overlap"]) for line in ids]
        pieces = [ids[number][start:stop] for number, of_line in enumerate(cuts) for start, stop, *_ in of_line]
        order = sorted(range(len(pieces)), key=lambda i: -len(pieces[i]))
        answers: dict[int, Floats] = {}
        while order:
            rows = max(1, CELLS // max(1, len(pieces[order[0]])))
            batch, order = order[:rows], order[rows:]
            answers.update(zip(batch, self._batch([pieces[i] for i in batch]), strict=True))
        parts = (answers[i] for i in range(len(pieces)))
        joined = [[next(parts)[low - start : high - start] for start, _, low, high in of_line] for of_line in cuts]
        return [np.concatenate(of_line).astype(np.float16) for of_line in joined]

    def _batch(self, pieces: Sequence[Sequence[int]]) -> list[Floats]:
        """Returns P(tag) (T,K) of each piece of ids: the mean over the heads."""
        lengths = np.array([len(piece) for piece in pieces])
        token_ids = np.full((len(pieces), max(FEWEST, lengths.max())), PAD)
        for row, piece in enumerate(pieces):
            token_ids[row, : len(piece)] = piece
        inside = np.arange(token_ids.shape[1]) < lengths[:, None]
        real = np.maximum(lengths, 1)  # a line without tokens has no answer
        scores = self.session.run(None, {"token_ids": token_ids, "lengths": real})
        found = [of_head(one, inside, head) for one, head in zip(scores, self.about["heads"], strict=True)]
        return [probs[:length] for probs, length in zip(np.mean(found, axis=0), lengths, strict=True)]


def windows(length: int, size: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Returns (start, stop, low, high) of windows over a line: what is read, and what is taken from its answer."""
    starts = [max(0, min(start, length - size)) for start in range(0, max(1, length - overlap), size - overlap)]
    stops = [min(start + size, length) for start in starts]
    cuts = [0, *((after + stop) // 2 for after, stop in zip(starts[1:], stops, strict=False)), length]
    return [*zip(starts, stops, cuts, cuts[1:], strict=False)]


def of_head(scores: Floats, inside: NDArray[np.bool_], head: dict[str, Any]) -> Floats:
    """Returns P(tag) (B,T,K) of a head's scores; inside (B,T) is true at tokens."""
    if head["kind"] == "spans":
        return of_spans(scores.astype(np.float64), inside).astype(np.float32)
    if head["kind"] == "chain":
        tables = [np.array(head[name], np.float64) for name in ("transitions", "start", "end")]
        return of_chain(scores.astype(np.float64), inside, *tables).astype(np.float32)
    shares: Floats = np.exp(scores - scores.max(2, keepdims=True))
    found: Floats = shares / shares.sum(2, keepdims=True)
    return found


def of_chain(scores: Floats, inside: NDArray[np.bool_], moves: Floats, start: Floats, end: Floats) -> Floats:
    """Returns P(tag) (B,T,K) of a linear-chain CRF by the forward-backward algorithm, with logarithms."""
    ahead, behind = np.empty_like(scores), np.empty_like(scores)
    ahead[:, 0], behind[:, -1] = start + scores[:, 0], end
    for t in range(1, scores.shape[1]):
        ahead[:, t] = log_sum(ahead[:, t - 1, :, None] + moves, 1) + scores[:, t]
    for t in range(scores.shape[1] - 1, 0, -1):
        before = log_sum(moves + (scores[:, t] + behind[:, t])[:, None], 2)
        behind[:, t - 1] = np.where(inside[:, t, None], before, end)
    logs = ahead + behind
    found: Floats = np.exp(logs - log_sum(logs, 2)[:, :, None])
    return found


def of_spans(weights: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Returns P(tag) (B,T,K) of log-odds of spans (B,T,T,X): they are independent, but that none overlap."""
    length = weights.shape[1]
    fits = inside[:, :, None] & inside[:, None, :] & np.triu(np.ones((length, length), bool))
    weights = np.where(fits[..., None], weights, FORBIDDEN)
    whole = log_sum(weights, 3)
    before, after = sums_before(whole), sums_before(whole[:, ::-1, ::-1].transpose(0, 2, 1))[:, ::-1]
    share = np.exp(before[:, :-1, None] + whole + after[:, None, 1:] - before[:, -1:, None])
    spans = np.where(fits[..., None], share[..., None] * np.exp(weights - whole[..., None]), 0)
    begins, ends, single = spans.sum(2), spans.sum(1), spans.diagonal(axis1=1, axis2=2).transpose(0, 2, 1)
    covered = np.cumsum(begins - ends, axis=1) + ends
    parts = (begins - single, covered - begins - ends + single, ends - single, single)
    tags = np.stack(parts, axis=3).clip(0, 1).reshape(*inside.shape, -1)
    return np.concatenate([(1 - tags.sum(2, keepdims=True)).clip(0), tags], axis=2)


def sums_before(whole: Floats) -> Floats:
    """Returns (B,1+T): the logarithm of the summed weights of all sets of spans (B,T,T) that end before each place."""
    sums = np.zeros((len(whole), 1))
    for last in range(whole.shape[1]):
        ending = log_sum(sums + whole[:, : last + 1, last], 1)
        sums = np.concatenate([sums, np.logaddexp(sums[:, -1], ending)[:, None]], axis=1)
    return sums


def log_sum(logs: Floats, axis: int) -> Floats:
    """Returns log Σ exp over an axis."""
    highest = logs.max(axis, keepdims=True)
    found: Floats = np.log(np.exp(logs - highest).sum(axis)) + highest.squeeze(axis)
    return found


def allowed_tags(labels: int) -> Floats:
    """Returns (K,K): 0 where the column's tag may follow the row's, else FORBIDDEN; row 0 is also a line's start, and
    column 0 its end."""
    tags = np.arange(1 + 4 * labels)
    label, prefix = (tags - 1) // 4, np.where(tags, (tags - 1) % 4, -1)
    closed, begins, goes_on = (np.isin(prefix, of) for of in ((-1, 2, 3), (-1, 0, 3), (1, 2)))
    allowed = np.where(closed[:, None], begins, (label[:, None] == label) & goes_on)
    return np.where(allowed, 0, FORBIDDEN).astype(np.float32)


def found_in(probs: Floats, labels: Sequence[str], allowed: Floats) -> list[Found]:
    """Returns the entities of the legal tag sequence with the highest product of marginals (T,K)."""
    if not len(probs):
        return []
    logs = np.log(np.maximum(probs.astype(np.float32), SMALLEST))
    score, back = allowed[0] + logs[0], []
    for of_token in logs[1:]:
        ways = score[:, None] + allowed
        back.append(ways.argmax(0))
        score = ways.max(0) + of_token
    tags = [int((score + allowed[:, 0]).argmax())]
    for sources in reversed(back):
        tags.append(int(sources[tags[-1]]))
    tags.reverse()
    starts = [place for place, tag in enumerate(tags) if tag and (tag - 1) % 4 in (0, 3)]
    stops = [place + 1 for place, tag in enumerate(tags) if tag and (tag - 1) % 4 in (2, 3)]
    kinds = [(tags[start] - 1) // 4 for start in starts]
    ends = zip(starts, stops, kinds, strict=True)
    return [(start, stop, labels[kind], probability(probs, start, stop, 1 + 4 * kind)) for start, stop, kind in ends]


def probability(probs: Floats, start: int, stop: int, base: int) -> float:
    """Returns P(begin) times, for each further token, P(inside or end | the entity is open); base is its begin tag."""
    if stop - start == 1:
        return float(probs[start, base + 3])
    inside, end = probs[start + 1 : stop, base + 1 : base + 3].astype(np.float64).T
    taken, open_before = np.append(inside[:-1], end[-1]), inside + end
    shares = np.divide(taken, open_before, out=np.zeros_like(taken), where=open_before > 0)
    return float(probs[start, base] * shares.prod())
