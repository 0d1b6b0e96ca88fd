"""One fold of one member: what a worker needs to train it, the lines it reads, and what it answers.

The folder of a finished job holds model/, held_out.safetensors, test.safetensors and, last, result.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from daguan.core.seeds import stream_seed
from daguan.core.types import Score, Sentence, labels_of
from daguan.data.augmentation import augment
from daguan.data.conflicts import resolve_conflicts
from daguan.data.contest import require_unchanged
from daguan.data.folds import Fold, read_fold
from daguan.data.format import read_labelled, read_unlabelled
from daguan.data.marginals import LineMarginals, Marginals
from daguan.data.tags import TagScheme
from daguan.families.job import Job
from daguan.families.pseudo_labels import read_pseudo_labelled

MODEL = "model"
HELD_OUT = "held_out.safetensors"
TEST = "test.safetensors"


@dataclass(frozen=True, kw_only=True)
class FoldJob(Job):
    """All that a worker needs to train one fold of one member.

    Attributes:
        fold: the number of the fold, from 0; the number after the last holds nothing out and trains on all lines.
        folds: how many folds there are.
        train, test: the labelled lines that take part, and the lines to label.
        sha256: the hash of each of these files.
        lines: how many of the fold's training lines are read, the first ones; 0 for all.
        pretrained: the run of `pretrain` to start from; empty for none.
        needed: the folders of this fold of the members that are needed before.
        pseudo_labels: the run with pseudo-labelled lines; empty for none.
        conflicts_run: the run whose out-of-fold answers settle conflicting labels; empty for none.
    """

    kind: ClassVar[str] = "fold"
    member: str
    fold: int
    folds: int
    train: str
    test: str
    sha256: dict[str, str] = field(default_factory=dict)
    lines: int = 0
    pretrained: str = ""
    needed: list[str] = field(default_factory=list)
    pseudo_labels: str = ""
    conflicts_run: str = ""

    @property
    def name(self) -> str:
        return f"{self.member} on all lines" if self.fold == self.folds else f"{self.member} fold {self.fold}"

    @property
    def kind_of_work(self) -> str:
        return self.member

    def summary(self, result: dict[str, Any]) -> str:
        rate = f" at {result['tokens_per_second']:,} tokens/s" if "tokens_per_second" in result else ""
        scored = f"held-out span F1 {100 * result['f1']:.2f}" if result["held_out_lines"] else "nothing held out"
        return (
            f"{scored}; trained {result['seconds']:.0f} s{rate}, "
            f"test lines labelled at {result['test_tokens_per_second']:,} tokens/s"
        )

    @property
    def planned_updates(self) -> int:
        """The number of updates that a budget's plan fixed, 0 for none.

        A fold that holds nothing out has more lines, and so more updates than the others in proportion.
        """
        planned = self.settings.updates
        return planned[self.fold] if self.fold < len(planned) else round(sum(planned) / max(1, len(planned) - 1))


@dataclass(frozen=True)
class FoldData:
    """The lines of one fold.

    Attributes:
        train: lines with gold labels, augmented.
        pseudo: lines with pseudo-labels.
        held_out: lines with gold labels to be scored on.
        test: lines to label.
    """

    fold: Fold
    train: list[Sentence]
    pseudo: list[Sentence]
    held_out: list[Sentence]
    test: list[Sentence]
    scheme: TagScheme

    @classmethod
    def read(cls, job: FoldJob) -> FoldData:
        """Reads the lines of a job. Raises DataError: a file is not the one that the job was given."""
        sentences = read_labelled(Path(job.train))
        fold = read_fold(Path(job.prepared), job.fold)
        scheme = TagScheme(labels_of(sentences))
        lines = _settled(job, sentences, scheme)
        test = read_unlabelled(Path(job.test))
        for path, sha256 in job.sha256.items():
            require_unchanged(Path(path), sha256)
        training = [line for i in fold.train[: job.lines or None] if (line := lines[i]) is not None]
        return cls(
            fold,
            augment(training, job.settings.augmentation, stream_seed(job.seed, "fold", job.fold)),
            read_pseudo_labelled(Path(job.pseudo_labels), job.fold) if job.pseudo_labels else [],
            [sentences[i] for i in fold.held_out],
            test,
            scheme,
        )


def _settled(job: FoldJob, sentences: Sequence[Sentence], scheme: TagScheme) -> list[Sentence | None]:
    """Returns what to train on in place of each training line."""
    parts = Path(job.conflicts_run).glob(f"fold*/{HELD_OUT}") if job.conflicts_run else ()
    held_out = {line: probs for part in parts for line, probs in Marginals.load(part).by_line().items()}
    return resolve_conflicts(sentences, job.settings.conflicts, held_out, scheme)


@dataclass(frozen=True)
class FoldResult:
    """What a trained fold answers.

    Attributes:
        held_out, test: tag marginals of these lines in half precision, as they are stored: those of all lines may fill
            the memory.
        score: strict span counts on the held-out lines.
        figures: further entries of result.json: "seconds", "test_tokens_per_second" and the family's own.
    """

    held_out: list[LineMarginals]
    score: Score
    test: list[LineMarginals]
    figures: dict[str, Any]
