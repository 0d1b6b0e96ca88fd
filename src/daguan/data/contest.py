"""The folder of a contest. No other module spells the names of its files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from daguan.core.errors import DataError
from daguan.core.files import sha256_of_file
from daguan.core.quantity import quantity
from daguan.core.types import Sentence, labels_of
from daguan.data.format import iter_lines, read_labelled, read_unlabelled

TRAIN, TEST, CORPUS = "train.txt", "test.txt", "corpus.txt"


@dataclass(frozen=True)
class Contest:
    """The paths of the files in a contest's folder, and what they hold.

    Attributes:
        train: labelled lines; must exist.
        test: unlabelled lines to label; must exist.
        corpus: unlabelled lines for pretraining alone; may be missing.
        test_gold: the labels of the test lines, for scores only; may be missing.
        groups: the document of each training line, an id a line; may be missing.
        vocabulary: the numbers that stand for tokens of an imported text; may be missing.
    """

    folder: Path

    @property
    def train(self) -> Path:
        return self.folder / TRAIN

    @property
    def test(self) -> Path:
        return self.folder / TEST

    @property
    def corpus(self) -> Path:
        return self.folder / CORPUS

    @property
    def test_gold(self) -> Path:
        return self.folder / "test_gold.txt"

    @property
    def groups(self) -> Path:
        return self.folder / "groups.txt"

    @property
    def vocabulary(self) -> Path:
        return self.folder / "vocab.tsv"

    def read(self) -> tuple[list[Sentence], list[Sentence]]:
        """Returns the training lines and the test lines. Raises DataError: a malformed line, or no entity at all."""
        train, test = read_labelled(self.train), read_unlabelled(self.test)
        if not labels_of(train):
            raise DataError(f"{self.train}: expected at least one entity, got only outside tokens")
        return train, test

    def read_groups(self, lines: int) -> list[str]:
        """Returns the id of each training line's document. Raises DataError: an empty line, or another number of lines
        than `lines`."""
        ids = []
        for number, line in iter_lines(self.groups):
            if not line.strip():
                raise DataError(f"{self.groups}:{number}: expected the id of a document, got an empty line")
            ids.append(line)
        if len(ids) != lines:
            place = f"{self.groups}:{min(len(ids), lines) + 1}"
            ids_of_lines = f"{quantity(lines, 'id')}, one for each line of {TRAIN}"
            raise DataError(f"{place}: expected {ids_of_lines}, got {len(ids):,}")
        return ids

    def sha256(self) -> dict[str, str]:
        """Returns the hash of train, test, and corpus and groups (if they exist) by file name. Raises DataError: one of
        the first two is missing."""
        if not self.folder.is_dir():
            raise DataError(f"{self.folder}: expected a folder with {TRAIN} and {TEST}, got nothing at that path")
        for path in (self.train, self.test):
            if not path.is_file():
                raise DataError(f"{path}: expected a file, got nothing at that path")
        return {
            path.name: _sha256(path) for path in (self.train, self.test, self.corpus, self.groups) if path.is_file()
        }


def require_unchanged(path: Path, sha256: str) -> None:
    """Raises DataError: the file is not the one with this hash; it has changed since a command began with it."""
    if not path.is_file() or _sha256(path) != sha256:
        raise DataError(
            f"{path}: expected the file that the command began with, got another; the same command, from `prepare` on, "
            "begins with the new one"
        )


def _sha256(path: Path) -> str:
    """Returns the hash, computed once while the file is unchanged: a corpus may be large."""
    state = path.stat()
    return _sha256_of_state(path, state.st_size, state.st_mtime_ns)


@cache
def _sha256_of_state(path: Path, size: int, modified: int) -> str:
    return sha256_of_file(path)
