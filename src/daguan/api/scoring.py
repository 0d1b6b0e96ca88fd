"""Scores predicted spans against gold ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from daguan.api.lines import Annotated, SpanLike, annotated
from daguan.core.errors import DataError
from daguan.core.quantity import quantity
from daguan.core.types import Sentence
from daguan.data.scores import all_metrics
from daguan.data.span_score import check_comparable
from daguan.formats.sources import read_sentences


def score(
    predicted: str | Path | Sequence[Annotated] | Sequence[Iterable[SpanLike]],
    gold: str | Path | Sequence[Annotated],
) -> dict[str, Any]:
    """Returns what `daguan score PREDICTED GOLD --json` prints: span F1 and contest F1, in total and by type.

    Args:
        predicted: a labelled file, in any format that `import` reads; or for each line (tokens, spans), or only its
            spans, as `Model.predict` gives them.
        gold: the same; or (tokens, spans) for each line.

    Returns:
        `{"span": {"p", "r", "f1", "hits", "predicted", "gold", "interval"}, "contest": …, "by_type": {"span": {label:
        …}, "contest": …}}`; scores are fractions, and `interval` is the 95 % bootstrap interval of F1.

    Raises:
        DaguanError: a file or line is malformed, or the lines of both differ.
    """
    read = read_sentences(Path(predicted)) if isinstance(predicted, str | Path) else None
    theirs = _sentences(gold, "gold")
    ours = _sentences(predicted, "predicted", theirs) if read is None else read
    check_comparable(ours, theirs, (_named(predicted, "predicted"), _named(gold, "gold")))
    return all_metrics(ours, theirs)


def _sentences(given: Any, name: str, like: Sequence[Sentence] = ()) -> list[Sentence]:
    """Returns the lines of a file or of a program; lines of spans alone have the tokens of `like`."""
    if isinstance(given, str | Path):
        return read_sentences(Path(given))
    lines = list(given)
    if not lines:
        raise DataError(f"{name}: expected at least one line, got none")
    if like and len(lines) != len(like):
        raise DataError(f"{name}: expected {quantity(len(like), 'line')} as in gold, got {len(lines)}")
    pairs = [
        (like[number].tokens, line) if like and not _has_tokens(line) else line for number, line in enumerate(lines)
    ]
    return [annotated(pair, f"{name}[{number}]") for number, pair in enumerate(pairs)]


def _named(given: Any, name: str) -> str:
    return str(given) if isinstance(given, str | Path) else name


def _has_tokens(line: Any) -> bool:
    """Returns whether a line is (tokens, spans): its first part is a list of strings."""
    pair = isinstance(line, tuple | list) and len(line) == 2
    return pair and isinstance(line[0], tuple | list) and all(isinstance(token, str) for token in line[0])
