"""The contest's official baseline, re-created: a linear-chain CRF on n-gram templates (CRF++'s idea, by CRFsuite)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pycrfsuite
from numpy.typing import NDArray

from daguan.core.errors import CheckpointError, WriteError
from daguan.core.files import read_json, sha256_of_file, write_json
from daguan.core.progress import Progress
from daguan.core.runs import Stopwatch
from daguan.core.types import Sentence
from daguan.data.marginals import to_half_precision
from daguan.data.ngram_templates import TEMPLATES
from daguan.data.tags import TagScheme
from daguan.families.family import Family, Model
from daguan.families.fold import FoldData, FoldJob, FoldResult
from daguan.families.job import Report
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.training.engine_settings import EngineSettings

MODEL = "ngram.crfsuite"
ABOUT = "ngram_crf.json"
MEASURED = 4  # iterations that measure the speed
EDGE = "<>"  # stands beyond either end of the line


def features(tokens: Sequence[str]) -> list[list[str]]:
    """For each token one string a template: the template's number and the tokens at its places."""
    padded = (EDGE, EDGE, *tokens, EDGE, EDGE)
    return [
        [f"{number}:" + " ".join([padded[position + 2 + place] for place in template])
         for number, template in enumerate(TEMPLATES)]
        for position in range(len(tokens))
    ]  # fmt: skip


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
) -> None:
    """Fit and write the model into `folder`. Raises WriteError: a full disk.

    Args:
        report: gets (iteration, loss).
        fix: gives the number of iterations when asked with a function that measures iterations a second; None for
            settings.iterations.
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
    for sentence in sentences:
        tags = scheme.encode(len(sentence.tokens), sentence.gold)
        trainer.append(features(sentence.tokens), [scheme.tags[tag] for tag in tags])
    folder.mkdir(parents=True, exist_ok=True)
    if fix:
        trainer.set("max_iterations", fix(partial(_iterations_a_second, trainer, folder / MODEL)))
    trainer.train(str(folder / MODEL))
    _require_whole(folder / MODEL)
    write_json(folder / ABOUT, {"labels": scheme.labels, "sha256": sha256_of_file(folder / MODEL)})


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
            self.scheme, sha256 = TagScheme(tuple(about["labels"])), about["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{folder / ABOUT}: expected labels and sha256, got: {error!r}") from None
        if (got := sha256_of_file(folder / MODEL)) != sha256:  # CRFsuite would crash on a damaged file
            raise CheckpointError(f"{folder / MODEL}: expected SHA-256 {sha256}, got {got}")
        self._tagger = pycrfsuite.Tagger()
        try:
            self._tagger.open(str(folder / MODEL))
        except ValueError as error:
            raise CheckpointError(f"{folder / MODEL}: expected a CRFsuite model, got: {error}") from None
        self._columns = [(self.scheme.tags.index(tag), tag) for tag in self._tagger.labels()]

    def marginals(self, sentence: Sentence) -> NDArray[np.float32]:
        """(T,K); a tag never seen in training has probability 0."""
        self._tagger.set(features(sentence.tokens))
        probs = np.zeros((len(sentence.tokens), len(self.scheme)), dtype=np.float32)
        for column, tag in self._columns:
            probs[:, column] = [self._tagger.marginal(tag, position) for position in range(len(probs))]
        return probs


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

        train([*data.train, *data.pseudo], data.scheme, settings, folder, show, fix)
        figures = {"seconds": round(watch.seconds, 1), "updates": iterations, "most_updates": settings.iterations}
        model = NgramCrf(folder)
        watch = Stopwatch()
        test = to_half_precision(model.marginals(sentence) for sentence in data.test)
        figures["test_tokens_per_second"] = round(sum(map(len, test)) / watch.seconds)
        held_out, score = score_held_out(data, (model.marginals(sentence) for sentence in data.held_out))
        return FoldResult(held_out, score, test, figures)

    def holds(self, folder: Path) -> bool:
        return (folder / ABOUT).is_file()

    def load(self, folder: Path, engine: EngineSettings) -> Model:
        model = NgramCrf(folder)
        return Model(model.scheme.labels, lambda lines: to_half_precision(model.marginals(line) for line in lines))
