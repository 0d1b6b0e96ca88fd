"""Trains everything from raw files or lists, and returns the model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from daguan.api.lines import Annotated, Tokens, annotated, tokens_of
from daguan.api.model import Model, load
from daguan.core.errors import ConfigError, DataError
from daguan.core.types import Sentence
from daguan.data.contest import Contest
from daguan.data.format import write_lines
from daguan.formats.code_book import CodeBook
from daguan.formats.contest_lines import is_held, line_of
from daguan.formats.document import Document
from daguan.pipeline.settings import load as load_settings

BUDGET = "cpu_1h"  # the preset that fits into any number of minutes


def fit(
    folder: str | Path | None = None,
    *,
    train: Sequence[Annotated] | None = None,
    test: Sequence[Tokens] | None = None,
    corpus: Iterable[Tokens] = (),
    minutes: float | None = None,
    config: str | Path = BUDGET,
    settings: Mapping[str, Any] | None = None,
) -> Model:
    """Trains all members, blends them, writes a checked submission, and returns the blend.

    The data are a folder with train.txt and test.txt, a file or a folder in another format, lists, or without all of
    these the built-in contest. Runs and submissions go below the current folder, into data/work and submissions. The
    same call skips what is finished and continues what was interrupted.

    Args:
        folder: as `data.dir`.
        train: for each line (tokens, spans); a span is a `Span` or (start, stop, label), half-open. Tokens and labels
            may hold any text, and the model answers with the same labels.
        test: the tokens of each line to label.
        corpus: the tokens of unlabelled lines; may be empty.
        minutes: the time that training may take; None for what the configuration says.
        config: the name of a preset, or a file of settings.
        settings: changes of single settings, such as {"seed": 7}. With minutes, the number of folds follows from these.

    Raises:
        DaguanError: data or settings are wrong; the message names the place.
    """
    from daguan.pipeline import run

    changes = dict(settings or {})
    if minutes is not None:
        changes["budget.minutes"] = minutes
    if folder is not None or train is not None or test is not None or corpus:
        changes["data.dir"] = _data(folder, train, test, corpus, words_of(config, changes))
    stages = run.make(words_of(config, changes))
    return load(stages.answer.path)


def words_of(config: str | Path, changes: Mapping[str, Any]) -> list[str]:
    """Returns a configuration and changes of settings as the words of a command line."""
    return [str(config), *(f"{name}={_word_of(name, value)}" for name, value in changes.items())]


def _word_of(name: str, value: Any) -> str:
    """Returns the value of a setting as the command line has it. Raises ConfigError: no setting can have it."""
    if isinstance(value, str | PathLike):
        return fspath(value)
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"settings: {name}: expected text, a number, a list or a dictionary, got: {error}") from None


def _data(
    folder: str | Path | None,
    train: Sequence[Annotated] | None,
    test: Sequence[Tokens] | None,
    corpus: Iterable[Tokens],
    words: list[str],
) -> str:
    """Returns the folder with the data, which is written below the settings' `data.work` if they are lists. Raises
    ConfigError or DataError."""
    if folder is not None:
        if train is not None or test is not None or corpus:
            raise ConfigError("fit: expected a folder or lists, got both")
        return str(folder)
    if train is None or test is None:
        raise ConfigError("fit: expected train and test, got one of them")
    parts = {
        "train": [annotated(line, f"train[{number}]") for number, line in enumerate(train)],
        "test": [_unlabelled(line, f"test[{number}]") for number, line in enumerate(test)],
        "corpus": [_unlabelled(line, f"corpus[{number}]") for number, line in enumerate(corpus)],
    }
    return str(_written(parts, Path(load_settings(words).data.work)).folder)


def _unlabelled(tokens: Tokens, place: str) -> Sentence:
    if not (found := tokens_of(tokens, place)):
        raise DataError(f"{place}: expected at least one token, got none")
    return Sentence(found)


def _written(parts: Mapping[str, Sequence[Sentence]], work: Path) -> Contest:
    """Returns the contest of these lines, which is written. If its files cannot hold a token or a label, numbers stand
    for all tokens and labels of the contest for all labels."""
    book = None if all(map(is_held, chain(*parts.values()))) else CodeBook()
    if book:
        documents = {name: [Document(one.tokens, one.spans) for one in some] for name, some in parts.items()}
        book.add(chain(*documents.values()))
        parts = {name: [book.encode(one, 0, len(one.tokens)) for one in some] for name, some in documents.items()}
    lines = {name: [*map(line_of, some)] for name, some in parts.items()}
    facts = [lines, book.tokens, book.labels] if book else lines
    contest = Contest(work / f"contest-{sha256(json.dumps(facts).encode()).hexdigest()[:12]}")
    for name, some in lines.items():
        if some or name != "corpus":
            write_lines(getattr(contest, name), some)
    if book:
        book.save(contest)
    return contest
