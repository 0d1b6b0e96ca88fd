"""Summarises the data before training."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daguan.core.quantity import quantity
from daguan.core.types import Sentence
from daguan.data.conflicts import conflicting_lines
from daguan.data.folds import FoldSettings, unit_of_each_line


def data_report(train: Sequence[Sentence], test: Sequence[Sentence], corpus: dict[str, int]) -> dict[str, Any]:
    """Returns sizes, lengths, unseen tokens, duplicates, conflicting labels, and test lines found in train."""
    known = {token for sentence in train for token in sentence.tokens}
    texts = Counter(sentence.tokens for sentence in train)
    unseen = [token for sentence in test for token in sentence.tokens if token not in known]
    return {
        "train": _sizes(train) | {"token_types": len(known)},
        "test": _sizes(test) | {"unseen_tokens": len(unseen), "unseen_types": len(set(unseen))},
        "corpus": corpus,
        "entities": _entities(train),
        "duplicate_train_lines": sum(texts.values()) - len(texts),
        "texts_with_conflicting_labels": len(conflicting_lines(train)),
        "test_lines_found_in_train": sum(sentence.tokens in texts for sentence in test),
    }


def groups_report(sentences: Sequence[Sentence], documents: NDArray[np.int64] | None) -> dict[str, int]:
    """Returns the number of groups of lines that share a fold and the lines of the largest; empty without documents."""
    if documents is None:
        return {}
    sizes = np.bincount(unit_of_each_line(sentences, documents))
    return {"count": len(sizes), "largest": int(sizes.max())}


def _sizes(sentences: Sequence[Sentence]) -> dict[str, Any]:
    lengths = [len(sentence.tokens) for sentence in sentences]
    return {"lines": len(lengths), "tokens": sum(lengths), "length": _spread(lengths)}


def _spread(values: Sequence[int]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(values, (50, 95, 99)) if values else (0, 0, 0)
    mean = sum(values) / len(values) if values else 0.0
    quantiles = {"p50": float(p50), "p95": float(p95), "p99": float(p99)}
    return {"mean": round(mean, 1), **quantiles, "max": max(values, default=0)}


def _entities(train: Sequence[Sentence]) -> dict[str, Any]:
    lengths: dict[str, list[int]] = defaultdict(list)
    for sentence in train:
        for span in sentence.gold:
            lengths[span.label].append(span.stop - span.start)
    by_label = {label: {"count": len(found), "length": _spread(found)} for label, found in sorted(lengths.items())}
    without = sum(not sentence.gold for sentence in train)
    return {"count": sum(map(len, lengths.values())), "by_label": by_label, "lines_without": without}


def format_report(report: dict[str, Any], folds: FoldSettings) -> str:
    """Returns the report as a few lines for the terminal."""
    train, test, corpus, entities = (report[key] for key in ("train", "test", "corpus", "entities"))
    labels = "  ".join(
        f"{label}: {found['count']:,} (mean {found['length']['mean']}, max {quantity(found['length']['max'], 'token')})"
        for label, found in entities["by_label"].items()
    )
    return "\n".join(
        [
            f"train   {_describe(train)}; {quantity(entities['count'], 'entity')}, "
            f"none in {quantity(entities['lines_without'], 'line')}",
            f"test    {_describe(test)}; {quantity(test['unseen_tokens'], 'new token')} "
            f"({quantity(test['unseen_types'], 'type')})",
            f"text    {quantity(corpus['lines'], 'line')}, {corpus['distinct_lines']:,} distinct, "
            f"{quantity(corpus['tokens'], 'token')}, {quantity(corpus['vocabulary'], 'vocabulary entry')}, "
            f"{quantity(corpus['blank_lines'], 'blank line')} skipped",
            f"types   {labels}",
            f"doubles {quantity(report['duplicate_train_lines'], 'train line')}, "
            f"{quantity(report['texts_with_conflicting_labels'], 'text')} with conflicting labels, "
            f"{quantity(report['test_lines_found_in_train'], 'test line')} found in train",
            f"folds   {folds.count}, {_describe_folds(report['groups'], folds)}",
        ]
    )


def _describe_folds(groups: dict[str, int], folds: FoldSettings) -> str:
    if not groups:
        return "stratified by the set of types in a line, equal texts together"
    source = f"runs of {quantity(folds.group, 'line')}" if folds.group else "the documents of groups.txt"
    return (
        f"whole groups: {source}, joined where they share a text ({groups['count']:,}, the largest of "
        f"{quantity(groups['largest'], 'line')}). Scores are lower than where lines of one document are in several "
        "folds (folds.group=1), and nearer to those on new documents"
    )


def _describe(part: dict[str, Any]) -> str:
    length = part["length"]
    return (
        f"{quantity(part['lines'], 'line')}, {quantity(part['tokens'], 'token')} "
        f"(mean {length['mean']}, p95 {length['p95']:.0f}, p99 {length['p99']:.0f}, max {length['max']})"
    )
