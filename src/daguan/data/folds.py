"""Assigns training lines to k folds, balanced by entity types; equal texts and the lines of a document share a fold.

A score on lines whose neighbours were trained on is higher than one on other documents, as names recur within one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_json
from daguan.core.seeds import stream, stream_seed
from daguan.core.settings import Section, require, setting
from daguan.core.types import Sentence, labels_of
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
    group: int = setting(
        0,
        "Which lines are of one document, and so in one fold: 0, those with the same id in groups.txt, where the "
        "contest has that file; N, each N neighbouring lines; 1, no two lines (groups.txt is not used).",
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
    return [sentences[number] for number in draw_numbers(sentences, lines, seed)]


def draw_numbers(sentences: Sequence[Sentence], lines: int, seed: int) -> list[int]:
    """Returns the numbers of the lines that `draw_lines` draws."""
    order = stream(seed, "lines").permutation(len(sentences)).tolist()
    first: dict[str, int] = {}
    for number in order:
        for span in sentences[number].gold:
            first.setdefault(span.label, number)
    drawn = list(dict.fromkeys([*first.values(), *order]))[: max(lines, len(set(first.values())))]
    return sorted(drawn)


def document_of_line(contest: Contest, lines: int, settings: FoldSettings) -> NDArray[np.int64] | None:
    """Returns (N,) the number of the document of each of the contest's training lines, None where nothing says it.

    Raises:
        DataError: groups.txt does not have one id for each of the lines.
    """
    if settings.group:
        return np.arange(lines) // settings.group if settings.group > 1 else None
    return _numbered(contest.read_groups(lines)) if contest.groups.is_file() else None


def assign_folds(
    sentences: Sequence[Sentence], settings: FoldSettings, documents: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Returns (N,) the fold that holds each line out; documents: (N,) the number of each line's.

    No text and no document is on both sides. Without documents, texts are stratified by the types in them; a stratum of
    fewer than k texts is merged with the other rare ones, or with the largest stratum.

    Raises:
        ConfigError: there are fewer distinct texts, or documents without a text in common, than folds.
    """
    unit_of_line = unit_of_each_line(sentences, documents)
    units = int(unit_of_line.max()) + 1
    what = "distinct training lines" if documents is None else "groups of training lines"
    require("folds.count", settings.count <= units, f"at most the {units} {what}", settings.count)
    assign = _stratified if documents is None else _balanced
    folds: NDArray[np.int64] = assign(sentences, unit_of_line, settings)[unit_of_line]
    return folds


def _stratified(
    sentences: Sequence[Sentence], unit_of_line: NDArray[np.int64], settings: FoldSettings
) -> NDArray[np.int64]:
    """Returns (U,) the fold of each unit, whose lines are alike."""
    from sklearn.model_selection import StratifiedKFold

    first_line = np.unique(unit_of_line, return_index=True)[1]
    strata = _merge_rare([_types(sentences[line]) for line in first_line], settings.count)
    splitter = StratifiedKFold(settings.count, shuffle=True, random_state=stream_seed(settings.seed, "folds") % 2**32)
    fold_of_unit = np.empty(len(first_line), dtype=np.int64)
    for fold, (_, held_out) in enumerate(splitter.split(strata, strata)):
        fold_of_unit[held_out] = fold
    return fold_of_unit


def _balanced(
    sentences: Sequence[Sentence], unit_of_line: NDArray[np.int64], settings: FoldSettings
) -> NDArray[np.int64]:
    """Returns (U,) the fold of each unit, of any number of lines: the largest first, each goes where it adds least to
    the sum of the folds' squared shares of all lines and of the entities of each type."""
    labels, units = labels_of(sentences), int(unit_of_line.max()) + 1
    column = {label: number for number, label in enumerate(labels, start=1)}
    counts = np.zeros((len(sentences), 1 + len(labels)), np.int64)
    counts[:, 0] = 1
    for line, sentence in enumerate(sentences):
        for span in sentence.gold:
            counts[line, column[span.label]] += 1
    shares = np.zeros((units, counts.shape[1]))
    np.add.at(shares, unit_of_line, counts / counts.sum(0))
    order = stream(settings.seed, "folds").permutation(units)
    order = order[np.argsort(-shares[order].sum(1), kind="stable")]
    totals, fold_of_unit = np.zeros((settings.count, counts.shape[1])), np.empty(units, np.int64)
    for unit in order:
        fold_of_unit[unit] = fold = np.argmin(totals @ shares[unit])
        totals[fold] += shares[unit]
    return fold_of_unit


def unit_of_each_line(sentences: Sequence[Sentence], documents: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Returns (N,) the unit of each line: lines that share a text or a document, if only through others, are one."""
    texts = text_of_line(sentences)
    if documents is None:
        return texts
    unit, before = texts, np.empty(0, np.int64)
    while not np.array_equal(unit, before):  # each line takes the lowest number among those that it is joined to
        before = unit
        for joint in (documents, texts):
            lowest = np.full(int(joint.max()) + 1, len(texts))
            np.minimum.at(lowest, joint, unit)
            unit = lowest[joint]
    return _numbered(unit.tolist())


def units_taking_part(contest: Contest, sentences: Sequence[Sentence], settings: FoldSettings) -> int:
    """Returns the number of units of the contest's training lines that take part, the most folds that there can be.
    Raises DataError, as `document_of_line` does."""
    documents = document_of_line(contest, len(sentences), settings)
    numbers = draw_numbers(sentences, settings.lines or len(sentences), settings.seed)
    drawn = None if documents is None else documents[numbers]
    return int(unit_of_each_line([sentences[number] for number in numbers], drawn).max()) + 1


def text_of_line(sentences: Sequence[Sentence]) -> NDArray[np.int64]:
    """Returns (N,) the number of each line's text; distinct texts are numbered in order of appearance."""
    return _numbered([sentence.tokens for sentence in sentences])


def _numbered(values: Sequence[Hashable]) -> NDArray[np.int64]:
    """Returns (N,) the number of each value; distinct ones are numbered in order of appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


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
