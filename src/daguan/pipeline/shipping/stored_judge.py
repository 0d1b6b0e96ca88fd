"""The judge of a student with its n-gram CRF, as an export writes them."""

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
from daguan.formats.translation import Translation

UNSPEAKABLE = " "  # no token has white space: what ends in it is read in no text


@dataclass(frozen=True)
class StoredJudge:
    """A judge with its n-gram CRF.

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
    def load(cls, folder: Path, stack: Combination, crfs: Sequence[Path]) -> StoredJudge:
        """Returns the judge of the student in a folder. Raises CheckpointError: its n-gram CRF is damaged."""
        arrays = {name: array for path in crfs for name, array in NgramCrf(path).model.arrays().items()}
        return cls(stack.to_json(), arrays, read_json(folder / OTHER_TOKENS))

    def about(self, vocabulary: Vocabulary, labels: Sequence[str]) -> dict[str, Any]:
        """Returns the description that `judging.Judge` reads, with the user's labels, and how many of the tokens the
        vocabulary has."""
        tokens = user_entries(tokens_of(vocabulary, self), Translation())
        return {"stack": self.stack, "labels": labels, "tokens": tokens, "trained_on": len(vocabulary)}


def tokens_of(vocabulary: Vocabulary, judge: StoredJudge | None) -> Sequence[str]:
    """Returns the tokens of the contest, by their numbers: those of the vocabulary, and then those that the judge alone
    knows."""
    return (*vocabulary.entries, *(judge.other_tokens if judge else ()))


def user_entries(tokens: Sequence[str], translation: Translation) -> list[str]:
    """Returns the user's token for each token of the contest, special ones first; one that no text has for these and
    for those that stand for none of the user's."""
    book = translation.book
    of_number = {number: token for token, number in book.tokens.items()} if book else {}
    entries = [entry + UNSPEAKABLE for entry in SPECIALS]
    for entry in tokens[len(SPECIALS) :]:
        entries.append(of_number.get(entry, entry + UNSPEAKABLE) if book else entry)
    return entries
