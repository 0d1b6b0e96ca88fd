"""Labels lines with an exported model by ONNX Runtime: this file, numpy and onnxruntime are all it needs, and the
package tokenizers for a model that reads words in pieces.

    from decode import Labeller
    Labeller(FOLDER).spans([["7", "8", "9"]])  # of each line: (start, stop, label, probability), half-open in tokens

A student has a judge, which chooses among the spans that its model or an n-gram CRF proposes: the package `judge`
beside this file has this last step, and vocabulary.json has further tokens for it, whose numbers the graph does not
know.

The graph gives the scores of each head; what goes before it and what follows is here, for other languages to copy:
pieces of tokens (one each where tokens have numbers of their own), windows, marginals of tags (BIOES: 0 is outside,
then begin, inside, end and single of each label), and the best legal sequence. B windows of up to P pieces of T
tokens, K tags, X labels. tests/pipeline/shipping holds it against the package's own decoding.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
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
        self.pieces = self._read_pieces(place)
        self.session = onnxruntime.InferenceSession(str(place / "model.onnx"), **options)
        self.allowed = allowed_tags(len(self.about["labels"]))
        self.judge = self._read_judge(place)

    def spans(self, lines: Sequence[Sequence[str]]) -> list[list[Found]]:
        """Returns the entities of each line of tokens."""
        found = self.marginals(lines)
        if self.judge is None:
            return [found_in(probs, self.about["labels"], self.allowed) for probs in found]
        chosen = self.judge.spans([[self.words.get(token, UNKNOWN) for token in line] for line in lines], found)
        return [[(one.start, one.stop, one.label, one.probability) for one in of_line] for of_line in chosen]

    def _read_judge(self, folder: Path) -> Any:
        if "judge" not in self.about:
            return None
        with np.load(folder / "judge.npz") as arrays:
            return package(folder / "judge", "judging").Judge(self.about["judge"], dict(arrays))

    def marginals(self, lines: Sequence[Sequence[str]]) -> list[Floats]:
        """Returns P(tag) (T,K) of each line, in half precision, as the package does."""
        size, overlap = self.about["window"], self.about["overlap"]
        cut = [[pieces[:size] for pieces in line] for line in self.pieces(lines)]
        places = [windows([*map(len, line)], size, overlap) for line in cut]
        parts = [cut[number][start:stop] for number, of_line in enumerate(places) for start, stop, *_ in of_line]
        widths = [sum(map(len, part)) for part in parts]
        order = sorted(range(len(parts)), key=lambda i: -widths[i])
        answers: dict[int, Floats] = {}
        while order:
            rows = max(1, CELLS // max(1, widths[order[0]]))
            batch, order = order[:rows], order[rows:]
            answers.update(zip(batch, self._batch([parts[i] for i in batch]), strict=True))
        each = (answers[i] for i in range(len(parts)))
        joined = [[next(each)[low - start : high - start] for start, _, low, high in of_line] for of_line in places]
        return [np.concatenate(of_line).astype(np.float16) for of_line in joined]

    def _read_pieces(self, folder: Path) -> Callable[[Sequence[Sequence[str]]], list[list[list[int]]]]:
        """Returns what gives the numbers of the pieces of each token, at least one."""
        if (folder / "vocabulary.json").is_file():
            ids = self.words = json.loads((folder / "vocabulary.json").read_text("utf-8"))
            if "judge" in self.about:  # which knows further tokens
                ids = {token: number for token, number in ids.items() if number < self.about["judge"]["trained_on"]}
            return lambda lines: [[[ids.get(token, UNKNOWN)] for token in line] for line in lines]
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return lambda lines: pieces_of(lines, tokenizer, self.about["texts"], self.about["unknown"])

    def _batch(self, parts: Sequence[Sequence[list[int]]]) -> list[Floats]:
        """Returns P(tag) (T,K) of each part of a line in pieces: the mean over the heads."""
        words, lengths = (np.array([*map(size, parts)]) for size in (len, lambda part: sum(map(len, part))))
        starts, ids = (np.full((len(parts), max(FEWEST, counts.max())), PAD) for counts in (words, lengths))
        owners = np.zeros_like(ids)
        for row, part in enumerate(parts):
            counts = [*map(len, part)]
            ids[row, : lengths[row]] = [number for pieces in part for number in pieces]
            owners[row, : lengths[row]] = np.repeat(np.arange(len(part)), counts)
            starts[row, : len(part)] = np.cumsum(counts) - counts
        inside = np.arange(starts.shape[1]) < words[:, None]
        real = {"lengths": np.maximum(lengths, 1), "words": np.maximum(words, 1)}  # one without tokens has no answer
        given = {"ids": ids, "owners": owners, "starts": starts, **real}
        scores = self.session.run(None, {one.name: given[one.name] for one in self.session.get_inputs()})
        found = [of_head(one, inside, head) for one, head in zip(scores, self.about["heads"], strict=True)]
        return [probs[:length] for probs, length in zip(np.mean(found, axis=0), words, strict=True)]


def package(folder: Path, module: str) -> Any:
    """Returns a module of a package that is on no path. Another folder's has another name."""
    name = f"{folder.name}_{sha256(str(folder.resolve()).encode()).hexdigest()[:16]}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
        assert spec is not None
        sys.modules[name] = module_from_spec(spec)
    return import_module(f"{name}.{module}")


def pieces_of(
    lines: Sequence[Sequence[str]], tokenizer: Any, texts: dict[str, str], unknown: int
) -> list[list[list[int]]]:
    """Returns the rows of the tokenizer's vocabulary that each token is cut into; texts: what tokens stand for."""
    read = [[texts.get(one, one.removeprefix("?")) if texts else one for one in line] for line in lines]
    found = []
    for line, cut in zip(read, tokenizer.encode_batch(read, True, add_special_tokens=False), strict=True):
        pieces: list[list[int]] = [[] for _ in line]
        for row, place in zip(cut.ids, cut.word_ids, strict=True):
            pieces[place].append(row)
        found.append([rows or [unknown] for rows in pieces])
    return found


def windows(costs: Sequence[int], size: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Returns (start, stop, low, high) of windows over a line: what is read, and what is taken from its answer.

    costs: the number of pieces of each token.
    """
    sums = np.concatenate([[0], np.cumsum(costs, dtype=np.int64)])

    def stop_after(start: int) -> int:
        longest = int(np.searchsorted(sums, sums[start] + size, side="right")) - 1
        return min(max(longest, start + 1), len(costs))

    def start_before(stop: int, room: int) -> int:
        return int(np.searchsorted(sums, sums[stop] - room, side="left"))

    starts, stops = [0], [stop_after(0)]
    while stops[-1] < len(costs):
        start = max(start_before(stops[-1], overlap), start_before(stops[-1] + 1, size))
        if sums[-1] - sums[start] <= size:
            start = start_before(len(costs), size)
        starts.append(start)
        stops.append(stop_after(start))
    cuts = [0, *((after + stop) // 2 for after, stop in zip(starts[1:], stops, strict=False)), len(costs)]
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
