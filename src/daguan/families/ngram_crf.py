"""The contest's official baseline, re-created: a linear-chain CRF on n-gram templates (CRF++'s idea).

CRFsuite trains it. Its weights are then stored by the features' hashes, so that many lines are labelled at once by
array operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pycrfsuite
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from daguan.core.errors import CheckpointError, WriteError
from daguan.core.files import read_json, sha256_of_file, write_atomic, write_json
from daguan.core.progress import Progress
from daguan.core.runs import Stopwatch
from daguan.core.types import Sentence
from daguan.data.feature_hashes import Ints, Numbers
from daguan.data.marginals import to_half_precision
from daguan.data.ngram_features import features
from daguan.data.tags import TagScheme
from daguan.data.text_features import NO_FEATURE, TextFeatures
from daguan.families.family import Family, Model
from daguan.families.fold import FoldData, FoldJob, FoldResult
from daguan.families.job import Report
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.training.engine_settings import EngineSettings

CRFSUITE = "ngram.crfsuite"  # CRFsuite's own model, while it trains
MODEL = "ngram_crf.safetensors"
TEXT = "text_features.safetensors"
ABOUT = "ngram_crf.json"
MEASURED = 4  # iterations that measure the speed
CHUNK_LINES = 256  # labelled at once
Floats = NDArray[np.float64]


class _Trainer(pycrfsuite.Trainer):  # type: ignore[misc]
    """CRFsuite's trainer with each iteration handed to a callback."""

    def __init__(self, report: Callable[[int, float], None], **options: object) -> None:
        super().__init__(**options)
        self.report = report

    def message(self, message: str) -> None:
        """Called with each line of CRFsuite's log."""
        if self.logparser.feed(message) == "iteration":
            info = self.logparser.last_iteration
            self.report(int(info["num"]), float(info["loss"]))


def train(
    sentences: Sequence[Sentence],
    scheme: TagScheme,
    settings: NgramCrfSettings,
    folder: Path,
    report: Callable[[int, float], None] = lambda iteration, loss: None,
    fix: Callable[[Callable[[], float]], int] | None = None,
    text: TextFeatures | None = None,
) -> None:
    """Fit and write the model into `folder`. Raises WriteError: a full disk.

    Args:
        report: gets (iteration, loss).
        fix: gives the number of iterations when asked with a function that measures iterations a second; None for
            settings.iterations.
        text: the features of unlabelled text to use.
    """
    trainer = _Trainer(report, algorithm="lbfgs", verbose=False)
    trainer.set_params(
        {
            "c1": settings.c1,
            "c2": settings.c2,
            "max_iterations": settings.iterations,
            "feature.minfreq": settings.min_count,
        }
    )
    for low in range(0, len(sentences), CHUNK_LINES):
        chunk = sentences[low : low + CHUNK_LINES]
        for sentence, named in zip(chunk, _named_features(chunk, text), strict=True):
            tags = scheme.encode(len(sentence.tokens), sentence.gold)
            trainer.append(named, [scheme.tags[tag] for tag in tags])
    folder.mkdir(parents=True, exist_ok=True)
    if fix:
        trainer.set("max_iterations", fix(partial(_iterations_a_second, trainer, folder / CRFSUITE)))
    trainer.train(str(folder / CRFSUITE))
    _require_whole(folder / CRFSUITE)
    weights = _weights(folder / CRFSUITE, scheme)
    write_atomic(folder / MODEL, lambda temporary: save_file(weights, temporary))
    (folder / CRFSUITE).unlink()
    if text is not None:
        text.save(folder / TEXT)
    files = [MODEL, *([TEXT] if text is not None else [])]
    write_json(
        folder / ABOUT, {"labels": scheme.labels, "sha256": {name: sha256_of_file(folder / name) for name in files}}
    )


def _named_features(sentences: Sequence[Sentence], text: TextFeatures | None) -> list[list[list[str]]]:
    """Returns the names of each line's tokens' features, as CRFsuite takes them."""
    rows, lengths = features([sentence.tokens for sentence in sentences], text)
    named = [[str(one) for one in row if one != NO_FEATURE] for row in rows.tolist()]
    ends = np.cumsum(lengths).tolist()
    return [named[low:high] for low, high in zip([0, *ends], ends, strict=False)]


def _weights(path: Path, scheme: TagScheme) -> dict[str, NDArray[Any]]:
    """Returns a CRFsuite model as arrays.

    `features` (W,) hashes, ascending, with `tags` (W,) and `weights` (W,): a feature has weights for some of the tags;
    `transitions` (K,K) scores from row to column; `seen` (K,) whether a tag occurred.
    """
    tagger = pycrfsuite.Tagger()
    tagger.open(str(path))
    info, number = tagger.info(), {tag: index for index, tag in enumerate(scheme.tags)}
    entries = [(NO_FEATURE, 0, 0.0)]  # so that the table is never empty
    entries += [(int(name), number[tag], weight) for (name, tag), weight in info.state_features.items()]
    names, tags, weights = zip(*sorted(entries), strict=True)
    transitions = np.zeros((len(scheme), len(scheme)), np.float32)
    for (before, after), weight in info.transitions.items():
        transitions[number[before], number[after]] = weight
    seen = np.isin(scheme.tags, tagger.labels())
    return {
        "features": np.array(names, np.uint64),
        "tags": np.array(tags, np.int64),
        "weights": np.array(weights, np.float32),
        "transitions": transitions,
        "seen": seen,
    }


def _iterations_a_second(trainer: _Trainer, path: Path) -> float:
    """Returns the speed of the trainer's next iterations; it writes a model to the path and starts again afterwards."""
    ends: list[float] = []
    report, watch = trainer.report, Stopwatch()
    trainer.report = lambda iteration, loss: ends.append(watch.seconds)
    trainer.set("max_iterations", MEASURED)
    trainer.train(str(path))
    trainer.report = report
    return (len(ends) - 1) / max(1e-9, ends[-1] - ends[0]) if len(ends) > 1 else 1 / watch.seconds


def _require_whole(path: Path) -> None:
    """CRFsuite says nothing when a disk is full; its file begins with "lCRF" and its size. Raises WriteError."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8)[4:], "little")
    if not size == path.stat().st_size > 0:
        raise WriteError(
            f"{path}: expected to write a whole model here, got {path.stat().st_size} bytes; the disk is full"
        )


class NgramCrf:
    """A trained n-gram CRF."""

    def __init__(self, folder: Path) -> None:
        """Raises CheckpointError: no model there, or damaged."""
        if not (folder / ABOUT).is_file() or not (folder / MODEL).is_file():
            raise CheckpointError(f"{folder}: expected a trained n-gram CRF with {MODEL} and {ABOUT}, got none")
        try:
            about = read_json(folder / ABOUT)
            self.scheme, sha256 = TagScheme(tuple(about["labels"])), dict(about["sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{folder / ABOUT}: expected labels and sha256, got: {error!r}") from None
        for name, expected in sha256.items():
            if not (folder / name).is_file() or (got := sha256_of_file(folder / name)) != expected:
                found = got if (folder / name).is_file() else "no file"
                raise CheckpointError(f"{folder / name}: expected SHA-256 {expected}, got {found}")
        try:
            arrays = load_file(folder / MODEL)
        except SafetensorError as error:
            raise CheckpointError(f"{folder / MODEL}: expected an n-gram CRF, got: {error}") from None
        self._text = TextFeatures.load(folder / TEXT) if TEXT in sha256 else None
        self._known, self._starts = np.unique(arrays["features"], return_index=True)
        self._counts = np.diff(self._starts, append=len(arrays["features"]))
        self._tags, self._weights = arrays["tags"], arrays["weights"]
        self._factors, self._seen = np.exp(arrays["transitions"].astype(np.float64)), arrays["seen"]

    def marginals(self, sentences: Sequence[Sentence]) -> list[NDArray[np.float32]]:
        """Returns P(tag) (T,K) of each line; a tag never seen in training has probability 0."""
        found: list[NDArray[np.float32]] = []
        for low in range(0, len(sentences), CHUNK_LINES):
            lines = [sentence.tokens for sentence in sentences[low : low + CHUNK_LINES]]
            rows, lengths = features(lines, self._text)
            probs = tag_marginals(self._scores(rows), lengths, self._factors)
            found += np.split(probs.astype(np.float32), np.cumsum(lengths)[:-1])
        return found

    def _scores(self, rows: Numbers) -> Floats:
        """Returns (N,K) the scores of features (N,F), −∞ for unseen tags."""
        places = np.searchsorted(self._known[:-1], rows)
        hit = self._known[places] == rows
        counts = self._counts[places[hit]]
        token = np.repeat(np.nonzero(hit)[0], counts)
        first = self._starts[places[hit]] - (np.cumsum(counts) - counts)
        used = np.repeat(first, counts) + np.arange(len(token))  # each weight of each feature that is there
        size = len(self.scheme)
        cells = token * size + self._tags[used]
        scores = np.bincount(cells, self._weights[used], len(rows) * size).astype(np.float64).reshape(-1, size)
        scores[:, ~self._seen] = -np.inf
        return scores


def tag_marginals(scores: Floats, lengths: Ints, factors: Floats) -> Floats:
    """Returns P(tag) (N,K) of the tokens of all lines, by the forward-backward algorithm with rescaling (Rabiner 1989).

    Lines advance together, longest first, so that those with a further token are always the first ones.
    scores (N,K), lengths (lines,), factors (K,K) exp of the transitions' scores.
    """
    order = np.argsort(-lengths, kind="stable")
    starts = (np.cumsum(lengths) - lengths)[order]
    own = np.exp(scores - scores.max(1, keepdims=True))
    steps = [starts[: int((lengths > step).sum())] + step for step in range(int(lengths.max(initial=0)))]
    before = own.copy()  # of each token, proportional to P(tag, the text up to it)
    for last, now in pairwise(steps):
        reached = (before[last[: len(now)]] @ factors) * own[now]
        before[now] = reached / reached.sum(1, keepdims=True)
    after = np.ones_like(own)  # of each token, proportional to P(the text after it, given its tag)
    for following, now in pairwise(reversed(steps)):
        reached = (own[following] * after[following]) @ factors.T
        after[now[: len(following)]] = reached / reached.sum(1, keepdims=True)
    both = before * after
    found: Floats = both / both.sum(1, keepdims=True)
    return found


class NgramCrfFamily(Family):
    """The official baseline. A killed fold starts again; a pseudo-labelled line is a line as any other."""

    reads: ClassVar[tuple[str, ...]] = ("conflicts", "augmentation", "ngram_crf")
    computes_in_precision: ClassVar[bool] = False
    weighs_lines: ClassVar[bool] = False
    is_baseline: ClassVar[bool] = True

    def train(self, job: FoldJob, data: FoldData, report: Report) -> FoldResult:
        from daguan.families.fold import MODEL as FOLDER
        from daguan.families.fold import FoldResult
        from daguan.families.jobs import score_held_out  # loads torch

        settings, folder = job.settings.ngram_crf, Path(job.folder) / FOLDER
        watch, iterations = Stopwatch(), job.planned_updates or settings.iterations

        def fix(iterations_a_second: Callable[[], float]) -> int:
            nonlocal iterations
            if job.seconds:
                iterations = job.fixed_updates(iterations_a_second, settings.iterations, watch)
            return iterations

        def show(iteration: int, loss: float) -> None:
            report(Progress(iteration, iterations, "it", f"loss {loss:.0f}"))

        text = None
        if settings.text_features:
            from daguan.training.text_features import text_features  # gensim takes seconds to load

            text = text_features(Path(job.prepared), job.seed)
        train([*data.train, *data.pseudo], data.scheme, settings, folder, show, fix, text)
        figures = {"seconds": round(watch.seconds, 1), "updates": iterations, "most_updates": settings.iterations}
        model = NgramCrf(folder)
        watch = Stopwatch()
        test = to_half_precision(model.marginals(data.test))
        figures["test_tokens_per_second"] = round(sum(map(len, test)) / watch.seconds)
        held_out, score = score_held_out(data, model.marginals(data.held_out))
        return FoldResult(held_out, score, test, figures)

    def holds(self, folder: Path) -> bool:
        return (folder / ABOUT).is_file()

    def load(self, folder: Path, engine: EngineSettings) -> Model:
        model = NgramCrf(folder)
        return Model(model.scheme.labels, lambda lines: to_half_precision(model.marginals(lines)))
