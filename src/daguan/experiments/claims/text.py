"""The text that claims share: a slice of people_daily, or of a contest's folder, with its vocabulary and token file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from daguan.core.errors import DataError
from daguan.core.files import sha256_of_json
from daguan.core.quantity import quantity
from daguan.core.runs import folder_lock
from daguan.core.settings import setting, to_dict
from daguan.core.types import Sentence, labels_of
from daguan.data.batches.packing import Blocks, token_file
from daguan.data.contest import Contest
from daguan.data.format import read_labelled, read_unlabelled
from daguan.data.people_daily import ContestSettings, build, is_built
from daguan.data.pretraining_text import prepare_text
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import Vocabulary, VocabularySettings
from daguan.experiments.claims.claim import ClaimSettings

FOLDER = "reproduce-text"


class TextClaimSettings(ClaimSettings):
    """The settings of a claim about text."""

    data: str = setting(
        "", "A contest's folder with test_gold.txt; empty for a slice of people_daily, which is built.", is_path=True
    )
    train_lines: int = setting(600, "Labelled lines to train on, the first of the file; 0 for all.", ge=0)
    test_lines: int = setting(1_000, "Labelled lines to test on, the first of the file; 0 for all.", ge=0)
    corpus_lines: int = setting(
        1_200, "Unlabelled lines of people_daily to pretrain on, the first of the file; 0 for all.", ge=0
    )

    @property
    def contest(self) -> ContestSettings:
        """Returns the slice of people_daily."""
        return ContestSettings(train_lines=self.train_lines, test_lines=self.test_lines, corpus_lines=self.corpus_lines)


@dataclass(frozen=True)
class ClaimText:
    """A contest and its text as numbers.

    Attributes:
        folder: where the vocabulary and the token file are; the lines of the corpus come first in it.
        train, test: labelled lines.
        contest: their files.
    """

    folder: Path
    train: list[Sentence]
    test: list[Sentence]
    contest: Contest

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.load(self.folder)

    @cached_property
    def scheme(self) -> TagScheme:
        return TagScheme(labels_of(self.train))

    @property
    def tokens(self) -> Path:
        """The token file."""
        return token_file(self.folder, len(self.vocabulary))

    def unseen(self, lines: Sequence[Sentence]) -> list[Sentence]:
        """Returns the lines that the corpus does not have."""
        known = {line.tokens for line in read_unlabelled(self.contest.corpus)}
        return [line for line in lines if line.tokens not in known]

    def blocks(self, length: int) -> Blocks:
        """Returns the text in blocks of `length` places."""
        return Blocks(self.tokens, length)


def text_of(chosen: TextClaimSettings, corpus_alone: bool = False) -> ClaimText:
    """Returns the text of the settings, built and prepared if it is not there yet. Raises DataError.

    corpus_alone: whether labelled lines are left out of the vocabulary and the token file.
    """
    contest = _contest_of(chosen)
    train, test = read_labelled(contest.train), read_labelled(contest.test_gold)
    train, test = train[: chosen.train_lines or None], test[: chosen.test_lines or None]
    if not labels_of(train):
        raise DataError(f"{contest.train}: expected an entity in the first {quantity(len(train), 'line')}, got none")
    folder = Path(chosen.work) / FOLDER / f"tokens-{sha256_of_json([inputs_of(chosen), corpus_alone])[:12]}"
    with folder_lock(folder, wait=True):
        if not any(folder.glob("tokens.u*")):
            prepare_text(folder, contest.corpus, [] if corpus_alone else [*train, *test], VocabularySettings())
    return ClaimText(folder, train, test, contest)


def inputs_of(chosen: TextClaimSettings) -> dict[str, Any]:
    """Returns what figures on this text depend on: the hashes of a folder's files, or the slice, which is fixed."""
    if not chosen.data:
        return {"slice": to_dict(chosen.contest)}
    lines = {"train_lines": chosen.train_lines, "test_lines": chosen.test_lines}
    return {"files": Contest(Path(chosen.data)).sha256(), **lines}


def _contest_of(chosen: TextClaimSettings) -> Contest:
    if chosen.data:
        contest = Contest(Path(chosen.data))
        if not contest.test_gold.is_file():
            raise DataError(f"{contest.test_gold}: expected the labels of the test lines, got nothing at that path")
        return contest
    contest = Contest(Path(chosen.work) / FOLDER / chosen.contest.folder)
    with folder_lock(contest.folder, wait=True):
        if not is_built(chosen.contest, contest):
            build(chosen.contest, contest)
    return contest
