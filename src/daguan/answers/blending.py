"""Blending: means of marginals over folds and members, one constrained decode, canonical text. Nothing is retrained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daguan.core.errors import CheckpointError
from daguan.core.settings import require
from daguan.core.types import Sentence
from daguan.text.marginals import Marginals, Probs, mean
from daguan.text.tags import TagScheme
from daguan.training.jobs import HELD_OUT, MODEL, TEST
from daguan.training.prediction import annotate, decode_lines


@dataclass(frozen=True)
class BlendSettings:
    """runs: folders of trained members in the work folder, e.g. tagger-1a2b3c; empty takes this configuration's.
    lookup: answer test lines that stand in train with train's commonest labels (out of fold there are none such)."""

    runs: tuple[str, ...] = ()
    lookup: bool = False

    def __post_init__(self) -> None:
        require("runs", len(set(self.runs)) == len(self.runs), "distinct runs", self.runs)


@dataclass(frozen=True)
class Member:
    """A trained family: for each line P(tag) by the models that had not seen it, and for test lines the folds' mean."""

    name: str
    held_out: Mapping[int, Probs]
    test: Mapping[int, Probs]


def load_member(run: Path, folds: int) -> Member:
    """Read what the folds of one run left. Raises CheckpointError: a fold is missing, or two answer one line."""
    parts = [Marginals.load(run / f"fold{fold}" / HELD_OUT).by_line() for fold in range(folds)]
    held_out = {line: probs for part in parts for line, probs in part.items()}
    if len(held_out) != sum(map(len, parts)):
        raise CheckpointError(f"{run}: expected each line held out once, got some twice")
    tests = [Marginals.load(run / f"fold{fold}" / TEST).by_line() for fold in range(folds)]
    return Member(run.name, held_out, _half(mean(tests)))


def blend(members: Sequence[Member]) -> Member:
    """The plain mean of the members."""
    held_out = mean([member.held_out for member in members])
    return Member("blend", _half(held_out), _half(mean([member.test for member in members])))


def _half(answers: Mapping[int, object]) -> dict[int, Probs]:
    return {line: probs.astype("float16") for line, probs in answers.items()}  # type: ignore[attr-defined]


def label(sentences: Sequence[Sentence], answers: Mapping[int, Probs], scheme: TagScheme) -> list[Sentence]:
    """The sentences annotated by a constrained decode. Raises CheckpointError: not an answer for every line."""
    if sorted(answers) != list(range(len(sentences))):
        raise CheckpointError(f"blend: expected answers for {len(sentences)} lines, got {len(answers)}")
    return annotate(sentences, decode_lines([answers[line] for line in range(len(sentences))], scheme))


def model_folders(runs: Sequence[Path], folds: int) -> list[Path]:
    """The trained models behind a blend, for `predict`."""
    return [run / f"fold{fold}" / MODEL for run in runs for fold in range(folds)]
