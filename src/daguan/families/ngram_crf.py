"""The contest's official baseline, re-created: a linear-chain CRF on n-gram templates (CRF++'s idea).

It is trained as CRFsuite trains it (ngram_crf_training.py); data/ngram_model.py labels lines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from threadpoolctl import threadpool_limits

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, sha256_of_file, write_atomic, write_json
from daguan.core.progress import Progress
from daguan.core.runs import WRITTEN_BY, Stopwatch, require_current
from daguan.core.types import Sentence
from daguan.data.chain import Floats
from daguan.data.marginals import to_half_precision
from daguan.data.ngram_features import features
from daguan.data.ngram_model import NgramModel
from daguan.data.tags import TagScheme
from daguan.data.text_features import TextFeatures, read_text_features, write_text_features
from daguan.families.family import Family, Model
from daguan.families.fold import FoldData, FoldJob, FoldResult
from daguan.families.job import Report
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.families.ngram_crf_training import CrfLoss, minimise
from daguan.training.engine_settings import EngineSettings

MODEL = "ngram_crf.safetensors"
TEXT = "text_features.safetensors"
ABOUT = "ngram_crf.json"
MEASURED = 4  # iterations that measure the speed, after as many, which take more evaluations


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
        fix: gives the number of iterations, at least 2 · MEASURED, when asked with a function that says how many are
            done a second; None for settings.iterations.
        text: the features of unlabelled text to use.
    """
    rows, lengths = features([sentence.tokens for sentence in sentences], text)
    gold = np.concatenate([scheme.encode(len(sentence.tokens), sentence.gold) for sentence in sentences])
    loss = CrfLoss(rows, lengths, gold, settings.c2, settings.min_count)
    found, most = np.zeros(len(loss.multiples)), settings.iterations
    ends, watch = deque[float](maxlen=MEASURED + 1), Stopwatch()
    with threadpool_limits(1):  # sums in one order
        for iteration, (parameters, value) in enumerate(minimise(loss, found, settings.c1 * loss.multiples), start=1):
            found = parameters
            report(iteration, value)
            ends.append(watch.seconds)
            if fix and iteration == 2 * MEASURED:
                most = fix(lambda: MEASURED / max(1e-9, ends[-1] - ends[0]))
            if iteration >= most:
                break
    arrays = _arrays(loss, found, len(scheme))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / MODEL, lambda temporary: save_file(arrays, temporary))
    if text is not None:
        write_text_features(text, folder / TEXT)
    files = [MODEL, *([TEXT] if text is not None else [])]
    sha256 = {name: sha256_of_file(folder / name) for name in files}
    write_json(folder / ABOUT, {**WRITTEN_BY, "labels": scheme.labels, "sha256": sha256})


def _arrays(loss: CrfLoss, parameters: Floats, size: int) -> dict[str, NDArray[Any]]:
    """Returns the arrays of NgramModel for K = `size` tags."""
    features, tags, weights = loss.states(parameters)
    if not len(features):  # none occurs min_count times
        features, tags, weights = np.zeros(1, np.uint64), np.zeros(1, np.int64), np.zeros(1)
    used = weights != 0
    used[:1] = True  # so that the table is never empty
    transitions = np.zeros((size, size), np.float32)
    transitions[np.ix_(loss.seen, loss.seen)] = loss.transitions(parameters)
    return {
        "features": features[used],
        "tags": tags[used],
        "weights": weights[used].astype(np.float32),
        "transitions": transitions,
        "seen": np.isin(np.arange(size), loss.seen),
    }


class NgramCrf:
    """A trained n-gram CRF in a folder.

    Attributes:
        scheme: the tags that it knows.
        model: labels lines without the folder.
    """

    def __init__(self, folder: Path) -> None:
        """Raises CheckpointError: no model there, or damaged."""
        if not (folder / ABOUT).is_file() or not (folder / MODEL).is_file():
            raise CheckpointError(f"{folder}: expected a trained n-gram CRF with {MODEL} and {ABOUT}, got none")
        try:
            about = read_json(folder / ABOUT)
            require_current(folder / ABOUT, about)
            self.scheme, sha256 = TagScheme(tuple(about["labels"])), dict(about["sha256"])
        except (AttributeError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{folder / ABOUT}: expected labels and sha256, got: {error!r}") from None
        for name, expected in sha256.items():
            if not (folder / name).is_file() or (got := sha256_of_file(folder / name)) != expected:
                found = got if (folder / name).is_file() else "no file"
                raise CheckpointError(f"{folder / name}: expected SHA-256 {expected}, got {found}")
        try:
            arrays = load_file(folder / MODEL)
        except SafetensorError as error:
            raise CheckpointError(f"{folder / MODEL}: expected an n-gram CRF, got: {error}") from None
        self.model = NgramModel(**arrays, text=read_text_features(folder / TEXT) if TEXT in sha256 else None)

    def marginals(self, sentences: Sequence[Sentence]) -> list[NDArray[np.float32]]:
        """Returns P(tag) (T,K) of each line; a tag never seen in training has probability 0."""
        return self.model.marginals([sentence.tokens for sentence in sentences])


class NgramCrfFamily(Family):
    """The official baseline. A killed fold starts again; a pseudo-labelled line is a line as any other."""

    reads: ClassVar[tuple[str, ...]] = ("conflicts", "augmentation", "ngram_crf")
    computes_in_precision: ClassVar[bool] = False
    uses_gpu: ClassVar[bool] = False
    weighs_lines: ClassVar[bool] = False
    is_baseline: ClassVar[bool] = True

    def train(self, job: FoldJob, data: FoldData, report: Report) -> FoldResult:
        from daguan.families.fold import MODEL as FOLDER
        from daguan.families.fold import FoldResult
        from daguan.families.jobs import score_held_out  # loads torch

        settings, folder = job.settings.ngram_crf, Path(job.folder) / FOLDER
        watch, planned, iterations = Stopwatch(), job.settings.updates, settings.iterations
        if planned and not job.seconds:  # an iteration reads all lines, so a fold of all lines needs no more of them
            iterations = (*planned, round(sum(planned) / len(planned)))[job.fold]

        def fix(iterations_a_second: Callable[[], float]) -> int:
            nonlocal iterations
            iterations = max(2 * MEASURED, job.fixed_updates(iterations_a_second, settings.iterations, watch))
            return iterations

        def show(iteration: int, loss: float) -> None:
            report(Progress(iteration, iterations, "it", loss))

        text = None
        if settings.text_features:
            from daguan.training.text_features import text_features  # gensim takes seconds to load

            text = text_features(Path(job.prepared), job.seed)
        lines, asked = [*data.train, *data.pseudo], settings.replace(iterations=iterations)
        train(lines, data.scheme, asked, folder, show, fix if job.seconds else None, text)
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
