"""The second stage of a student, as an exported model holds it: its judge, and the n-gram CRF beside its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from daguan.core.files import read_json
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.ensemble.combination import Combination
from daguan.ensemble.distillation import OTHER_TOKENS
from daguan.families.ngram_crf import NgramCrf

UNSPEAKABLE = " "  # no token has white space: what ends in it is read in no text


@dataclass(frozen=True)
class SecondStage:
    """A judge.

    Attributes:
        stack: it, as its JSON.
        arrays: of the n-gram CRF, empty without one.
        other_tokens: the tokens of the training lines that the vocabulary of the student's model lacks.
    """

    stack: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    other_tokens: Sequence[str]

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Returns whether a folder is that of a student with a judge."""
        return (folder / OTHER_TOKENS).is_file()

    @classmethod
    def load(cls, folder: Path, stack: Combination, crfs: Sequence[Path]) -> SecondStage:
        """Returns the judge of the student in a folder. Raises CheckpointError: its n-gram CRF is damaged."""
        arrays = {name: array for path in crfs for name, array in NgramCrf(path).model.arrays().items()}
        return cls(stack.to_json(), arrays, read_json(folder / OTHER_TOKENS))

    def about(self, vocabulary: Vocabulary, labels: Sequence[str]) -> dict[str, Any]:
        """Returns the description that `judging.Judge` reads, with the user's labels, and how many of the tokens the
        vocabulary has."""
        specials = [entry + UNSPEAKABLE for entry in SPECIALS]
        tokens = [*specials, *vocabulary.entries[len(SPECIALS) :], *self.other_tokens]
        return {"stack": {**self.stack, "labels": labels}, "tokens": tokens, "trained_on": len(vocabulary)}
