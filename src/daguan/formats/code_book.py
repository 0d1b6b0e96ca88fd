"""The numbers that stand for tokens in a contest's folder, and the labels that stand for labels of any text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from daguan.core.errors import DataError
from daguan.core.types import Sentence, Span
from daguan.data.contest import Contest
from daguan.data.format import LABEL, OUTSIDE, iter_lines, shorten, write_lines
from daguan.formats.document import Document

LABELS = "labels.tsv"  # beside Contest.vocabulary
UNKNOWN = "?"  # the first character of what stands for an unknown token, so that it is never one of the numbers
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\ufeff": "\\ufeff"}
UNESCAPES = {escape: text for text, escape in ESCAPES.items()}
ESCAPE = re.compile(r"\\(?:ufeff|.)")
Shuffle = Callable[[list[str]], object]


@dataclass
class CodeBook:
    """What stands for what, both ways.

    Attributes:
        tokens: the number that stands for each token.
        labels: the contest's label that stands for each label.
    """

    tokens: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def add(self, documents: Iterable[Document], shuffle: Shuffle | None = None) -> None:
        """Adds the tokens and labels that are new: in the order of the text, or shuffled.

        A label of the contest has the letters of the label that it stands for, or of shuffled ones a letter alone.
        """
        documents = list(documents)
        tokens = [*dict.fromkeys(token for document in documents for token in document.tokens)]
        tokens = [token for token in tokens if token not in self.tokens]
        labels = sorted({span.label for document in documents for span in document.spans or ()} - {*self.labels})
        if shuffle:
            shuffle(tokens)
            shuffle(labels)
        self.tokens |= {token: str(number) for number, token in enumerate(tokens, start=len(self.tokens))}
        taken = {OUTSIDE, *self.labels.values()}
        for label in labels:
            plain = re.sub("[^a-z0-9]", "", label.lower()).lstrip("0123456789") or "label"
            self.labels[label] = next(name for name in _names("a" if shuffle else plain) if name not in taken)
            taken.add(self.labels[label])

    def encode(self, document: Document, start: int, stop: int) -> Sentence:
        """Returns tokens [start, stop) of a document, with the entities within, as a line of the contest."""
        tokens = self.encode_tokens(document.tokens[start:stop])
        if document.spans is None:
            return Sentence(tokens)
        inside = (span for span in document.spans if start <= span.start and span.stop <= stop)
        return Sentence(tokens, tuple(Span(s.start - start, s.stop - start, self.labels[s.label]) for s in inside))

    def encode_tokens(self, tokens: Iterable[str]) -> tuple[str, ...]:
        """Returns what stands for tokens. Each unknown one gets a token of its own that no contest of numbers has."""
        return tuple(self.tokens.get(token, UNKNOWN + token) for token in tokens)

    def decode_spans(self, spans: Iterable[Span], place: str) -> Iterator[Span]:
        """Yields entities with the labels of the source. Raises DataError: a label that stands for none."""
        labels = {mapped: label for label, mapped in self.labels.items()}
        for span in spans:
            if span.label not in labels:
                raise DataError(f"{place}: expected a label of {', '.join(labels)}, got {shorten(span.label)}")
            yield replace(span, label=labels[span.label])

    def decode(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yields lines of the contest with the tokens and labels of the source. Raises DataError: a number or a label
        that stands for none."""
        tokens = {mapped: token for token, mapped in self.tokens.items()}
        for document in documents:
            if unknown := [token for token in document.tokens if token not in tokens]:
                raise DataError(f"{document.place}: expected numbers of the code book, got {shorten(unknown[0])}")
            spans = None if document.spans is None else tuple(self.decode_spans(document.spans, document.place))
            yield replace(document, tokens=tuple(tokens[token] for token in document.tokens), spans=spans)

    @staticmethod
    def files(contest: Contest) -> tuple[Path, Path]:
        """Returns the paths that `save` writes."""
        return contest.vocabulary, contest.folder / LABELS

    @staticmethod
    def texts(contest: Contest) -> dict[str, str]:
        """Returns the text that each token of a contest stands for, as its `vocab.tsv` says; none without that file.
        Raises DataError: a line of it is not as `save` writes it."""
        return dict(_lines(contest.vocabulary, re.compile(r"\S+"))) if contest.vocabulary.is_file() else {}

    @classmethod
    def is_in(cls, contest: Contest) -> bool:
        """Returns whether numbers and labels of a contest stand for something."""
        return all(path.is_file() for path in cls.files(contest))

    def save(self, contest: Contest) -> None:
        """Writes `vocab.tsv` and `labels.tsv`: the substitute, a tab, and the text with `\\t` for a tab."""
        for path, table in zip(self.files(contest), (self.tokens, self.labels), strict=True):
            write_lines(path, [*(f"{mapped}\t{escape(text)}" for text, mapped in table.items()), ""])

    @classmethod
    def load(cls, contest: Contest) -> CodeBook:
        """Reads what `save` wrote. Raises DataError: no such file, or a line of it is not as written."""
        vocabulary, labels = cls.files(contest)
        return cls(_read(vocabulary, re.compile("[0-9]+")), _read(labels, LABEL))


def _names(first: str) -> Iterator[str]:
    """Yields a label and further ones: for a single letter the letters after it, then with numbers."""
    letters = [chr(code) for code in range(ord(first), ord("z") + 1)] if len(first) == 1 else [first]
    yield from letters
    number = 2
    while True:
        yield from (f"{letter}{number}" for letter in letters)
        number += 1


def escape(text: str) -> str:
    return "".join(ESCAPES.get(character, character) for character in text)


def unescape(text: str) -> str:
    return ESCAPE.sub(lambda found: UNESCAPES.get(found.group(), found.group()), text)


def _read(path: Path, mapped: re.Pattern[str]) -> dict[str, str]:
    table = {text: code for code, text in _lines(path, mapped)}
    if len({*table.values()}) < len(table):
        raise DataError(f"{path}: expected each number and label once, got one twice; the file is damaged")
    return table


def _lines(path: Path, mapped: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yields what stands for a text, and the text. Raises DataError: no such file, or a line is not as written."""
    lines = [] if path.is_file() and not path.stat().st_size else iter_lines(path)
    for number, line in lines:
        code, tab, text = line.partition("\t")
        if not tab or not mapped.fullmatch(code):
            raise DataError(
                f"{path}:{number}: expected what stands for a text, a tab, and the text, got {shorten(line)}"
            )
        yield code, unescape(text)
