"""Assigns training lines to k folds, stratified by the entity types of a line; equal texts share a fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_json
from daguan.core.seeds import stream, stream_seed
from daguan.core.settings import Section, require, setting
from daguan.core.types import Sentence
from daguan.data.contest import Contest

FILE = "folds.json"


class FoldSettings(Section):
    """The folds of the training lines."""

    count: int = setting(5, "Number of folds.", ge=2)
    seed: int = setting(
        2019, "Seed of the folds, apart from the run's, so that runs of different seeds can be blended."
    )
    lines: int = setting(
        0,
        "Number of training lines that take part, drawn at random, 0 for all. The others are read by pretraining only.",
        ge=0,
    )

    def check(self) -> None:
        fits = self.lines == 0 or self.lines >= self.count
        require("lines", fits, f"0 or at least folds.count, {self.count}", self.lines)


@dataclass(frozen=True)
class Fold:
    """The line numbers (from 0) to train on and to hold out."""

    index: int
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


def training_file(contest: Contest, prepared: Path, settings: FoldSettings) -> Path:
    """Returns the file of the training lines in use: the contest's, or the sample that `prepare` wrote."""
    return Contest(prepared).train if settings.lines else contest.train


def draw_lines(sentences: Sequence[Sentence], lines: int, seed: int) -> list[Sentence]:
    """Returns a random sample of about `lines` sentences, or all if there are fewer, in their order.

    The sample holds at least one line of every entity type, even if that makes it larger.
    """
    order = stream(seed, "lines").permutation(len(sentences)).tolist()
    first: dict[str, int] = {}
    for number in order:
        for span in sentences[number].gold:
            first.setdefault(span.label, number)
    drawn = list(dict.fromkeys([*first.values(), *order]))[: max(lines, len(set(first.values())))]
    return [sentences[number] for number in sorted(drawn)]


def assign_folds(sentences: Sequence[Sentence], settings: FoldSettings) -> NDArray[np.int64]:
    """Returns (N,) the fold that holds each line out.

    Folds are made of distinct texts, so no text is on both sides. A stratum of fewer than k texts is merged with the
    other rare ones, or with the largest stratum.

    Raises:
        ConfigError: there are fewer distinct texts than folds.
    """
    from sklearn.model_selection import StratifiedKFold

    unit_of_line = text_of_line(sentences)
    first_line = np.unique(unit_of_line, return_index=True)[1]
    units = len(first_line)
    require("folds.count", settings.count <= units, f"at most the {units} distinct training lines", settings.count)
    strata = _merge_rare([_types(sentences[line]) for line in first_line], settings.count)
    splitter = StratifiedKFold(settings.count, shuffle=True, random_state=stream_seed(settings.seed, "folds") % 2**32)
    fold_of_unit = np.empty(units, dtype=np.int64)
    for fold, (_, held_out) in enumerate(splitter.split(strata, strata)):
        fold_of_unit[held_out] = fold
    folds: NDArray[np.int64] = fold_of_unit[unit_of_line]
    return folds


def text_of_line(sentences: Sequence[Sentence]) -> NDArray[np.int64]:
    """Returns (N,) the number of each line's text; distinct texts are numbered in order of appearance."""
    numbers: dict[tuple[str, ...], int] = {}
    return np.array([numbers.setdefault(sentence.tokens, len(numbers)) for sentence in sentences], dtype=np.int64)


def _types(sentence: Sentence) -> str:
    return " ".join(sorted({span.label for span in sentence.gold}))


def _merge_rare(strata: list[str], count: int) -> list[str]:
    sizes = Counter(strata)
    rare = {stratum for stratum, size in sizes.items() if size < count}
    enough = sum(sizes[stratum] for stratum in rare) >= count
    into = "rare" if enough or len(rare) == len(sizes) else sizes.most_common(1)[0][0]
    return [into if stratum in rare else stratum for stratum in strata]


def write_folds(folder: Path, fold_of_line: NDArray[np.int64]) -> None:
    """Writes the folds once; every model reads them."""
    write_json(folder / FILE, {"fold_of_line": fold_of_line.tolist()})


def read_folds(folder: Path) -> NDArray[np.int64]:
    """Returns (N,) the fold that holds each line out. Raises CheckpointError: `prepare` has not been run."""
    if not (folder / FILE).is_file():
        raise CheckpointError(f"{folder / FILE}: expected the folds that `prepare` writes, got nothing at that path")
    return np.array(read_json(folder / FILE)["fold_of_line"], dtype=np.int64)


def read_fold(folder: Path, index: int) -> Fold:
    """Returns fold `index` as line numbers; the index after the last fold holds nothing out."""
    fold_of_line = read_folds(folder)
    assert 0 <= index <= fold_of_line.max() + 1
    return Fold(index, np.flatnonzero(fold_of_line != index), np.flatnonzero(fold_of_line == index))
