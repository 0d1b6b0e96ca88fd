"""What a trained model keeps of the data that it was fitted to, so that it reads and answers in the user's own words.

A contest of other text than its files can hold has numbers for tokens (`vocab.tsv`) and labels of its own
(`labels.tsv`). Every model of such a contest has both in its folder, so that it can be copied without the contest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_json
from daguan.core.runs import WRITTEN_BY, require_current
from daguan.core.types import Span
from daguan.data.contest import Contest
from daguan.formats.code_book import CodeBook
from daguan.formats.importing import origin_of
from daguan.formats.sources import Source

FILE = "code_book.json"
READING = ("whole", "tokens")  # the options that new text is read by, too
DEFAULTS = {option.name: option.default for option in fields(Source) if option.name in READING}


@dataclass(frozen=True)
class Translation:
    """Translates between a user's text and the lines of a contest.

    Attributes:
        book: what stands for tokens and labels; None where the contest has the user's own ones.
        reading: the options of `import` by which the text was read, without those that have their default.
    """

    book: CodeBook | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, contest: Contest) -> Translation:
        """Returns the translation of a contest. Raises DataError: its code book, or where it is from, is damaged."""
        return cls(CodeBook.load(contest), reading_of(contest)) if CodeBook.is_in(contest) else cls()

    def save(self, folder: Path) -> None:
        """Writes the translation beside a model; nothing where the user's own tokens and labels are the contest's."""
        if self.book:
            maps = {"tokens": self.book.tokens, "labels": self.book.labels, "reading": dict(self.reading)}
            write_json(folder / FILE, {**WRITTEN_BY, **maps})

    @classmethod
    def load(cls, folder: Path) -> Translation:
        """Returns the translation beside a model. Raises CheckpointError: it is damaged, or of another version."""
        path = folder / FILE
        if not path.is_file():
            return cls()
        values = read_json(path)
        try:
            require_current(path, values)
            book = CodeBook(dict(values["tokens"]), dict(values["labels"]))
            return cls(book, {name: values["reading"][name] for name in READING if name in values["reading"]})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: expected a code book, got: {error!r}; the file is damaged") from None

    def encode(self, tokens: Sequence[str]) -> tuple[str, ...]:
        """Returns what stands for the user's tokens in the contest; unknown ones remain unknown."""
        return self.book.encode_tokens(tokens) if self.book else tuple(tokens)

    def decode(self, spans: Iterable[Span]) -> list[Span]:
        """Returns spans with the user's labels."""
        return list(self.book.decode_spans(spans, FILE) if self.book else spans)

    def labels(self, labels: Iterable[str]) -> tuple[str, ...]:
        """Returns the user's labels for those of the contest; one that stands for none stays."""
        its = {mapped: label for label, mapped in self.book.labels.items()} if self.book else {}
        return tuple(its.get(label, label) for label in labels)

    def by_type(self, figures: Mapping[str, Any]) -> dict[str, Any]:
        """Returns figures by label of the contest as figures by the user's labels."""
        return dict(zip(self.labels(figures), figures.values(), strict=True))

    def scores(self, scores: Mapping[str, Any]) -> dict[str, Any]:
        """Returns scores as `data/scores.py` has them whose types are the user's labels."""
        return {**scores, "by_type": {metric: self.by_type(found) for metric, found in scores["by_type"].items()}}

    def unknown(self, tokens: Iterable[str]) -> int:
        """Returns how many tokens occur nowhere in the data that the model was fitted to, as far as the model knows."""
        return sum(token not in self.book.tokens for token in tokens) if self.book else 0


def reading_of(contest: Contest) -> dict[str, Any]:
    """Returns the options by which an imported contest's text was read, without those that have their default. Raises
    DataError: as `origin_of`."""
    if not CodeBook.is_in(contest):
        return {}
    source = (origin_of(contest.folder) or {}).get("source", {})
    return {name: source[name] for name in READING if source.get(name, DEFAULTS[name]) != DEFAULTS[name]}
