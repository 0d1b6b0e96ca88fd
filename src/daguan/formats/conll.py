"""CoNLL files: a token a line, its columns parted by tabs or blanks, empty lines between sentences.

Which columns hold tokens and tags, and the scheme of the tags, is found by what they hold. Lines with `#` that are no
row are comments; `# newdoc` and -DOCSTART- begin a document, and `# text` holds the text of a sentence. What is written
to documents of such a file changes their tags and no other byte, but for line ends.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from daguan.core.errors import DataError
from daguan.core.quantity import quantity
from daguan.core.types import Span
from daguan.data.format import iter_lines, shorten, write_lines
from daguan.formats.document import Document, find_tokens
from daguan.formats.format import Format, Options
from daguan.formats.repairs import Repairs
from daguan.formats.tags import SCHEMES, decode, encode, guess_scheme, is_tag

CELL = {"\t": re.compile(r"(?:^|(?<=\t))[^\t]*"), " ": re.compile(r"[^ \t]+")}
BETWEEN_DOCUMENTS = "-DOCSTART-"
NEW_DOCUMENT = re.compile(r"# *newdoc(?: +id *= *(.*))?")
TEXT = re.compile(r"# *text *= (.*)")
RANGE = re.compile(r"\d+[-.]\d+[ \t]")
NUMBERED = re.compile(r"\d+([-.]\d+)?")
NO_TOKEN = re.compile(rf"[\t\n\r]|^ *$|^\ufeff|^{BETWEEN_DOCUMENTS}")
NO_LONE_TOKEN = re.compile(rf"{NO_TOKEN.pattern}| ")
NO_TAG = re.compile(r"[\t\n\r]")
NO_NAME = re.compile(r"[\t\n\r]|^$|^ | $")
Line = tuple[int, str]  # its number from 1, and its text


@dataclass(frozen=True)
class Layout:
    """The columns of a file.

    Attributes:
        separator: a tab, or a blank for any blanks and tabs.
        columns: how many a row has.
        token, tag: which one holds what, from 0; tag is None where no tags are.
        numbered: whether the first column counts the tokens; lines of ranges (`1-2`) are then no tokens.
    """

    separator: str
    columns: int
    token: int
    tag: int | None
    numbered: bool

    def cells(self, line: str) -> list[re.Match[str]]:
        return list(CELL[self.separator].finditer(line))

    def values(self, line: str) -> list[str]:
        return cells_of(line, self.separator)

    def is_comment(self, line: str) -> bool:
        if self.numbered and RANGE.match(line):
            return True
        if not line.startswith("#"):
            return False
        if self.tag is None:
            return self.columns > 1 or line.startswith("# ")
        values = self.values(line)
        return len(values) != self.columns or not is_tag(values[self.tag])


def cells_of(line: str, separator: str) -> list[str]:
    """Returns what is between tabs, or between blanks."""
    return line.split(separator) if separator == "\t" else CELL[separator].findall(line)


@dataclass(frozen=True)
class Original:
    """The lines of a sentence as they are in its file, with those before it, and the layout and scheme.

    Attributes:
        rows: the places of the rows among the lines.
        after: the lines at the end of the file, for its last sentence.
    """

    lines: tuple[str, ...]
    rows: tuple[int, ...]
    layout: Layout
    scheme: str
    after: tuple[str, ...] = ()


def read(path: Path, options: Options) -> list[Document]:
    lines = list(iter_lines(path))
    layout = _layout(path, lines, options)
    sentences = list(_sentences(lines, layout))
    if not sentences:
        raise DataError(f"{path}: expected at least one sentence, got none")
    rows = [[line for line in sentence if _is_row(line[1], layout)] for sentence in sentences]
    values = [[_values(path, line, layout) for line in sentence] for sentence in rows]
    tags = [] if layout.tag is None else [[row[layout.tag] for row in sentence] for sentence in values]
    scheme = options.scheme or guess_scheme(tags)
    group: str | None = None
    documents: list[Document] = []
    reached = 0
    for number, (sentence, its_rows, its_values) in enumerate(zip(sentences, rows, values, strict=True)):
        first, last = its_rows[0][0], its_rows[-1][0]
        before = [text for _, text in lines[reached : first - 1]]
        group = _group(before, layout, group, documents)
        tokens = tuple(row[layout.token] for row in its_values)
        place = f"{path}:{first}"
        spans = _spans(path, its_rows, tags[number], scheme, options.repairs) if tags else None
        whole = tuple(text for _, text in lines[reached:last])
        after = tuple(text for _, text in lines[last:]) if number == len(sentences) - 1 else ()
        original = Original(whole, tuple(n - reached - 1 for n, _ in its_rows), layout, scheme, after)
        comments = [text for _, text in sentence if layout.is_comment(text)]
        text, offsets = _text([*before, *comments], tokens)
        documents.append(Document(tokens, spans, text, offsets, group, original, place))
        reached = last
    return documents


def _layout(path: Path, lines: Sequence[Line], options: Options) -> Layout:
    """Returns the layout of a file's lines. Raises DataError: no column of tags among several, or no such column."""
    texts = [text for _, text in lines if not _is_blank(text) and not text.startswith(BETWEEN_DOCUMENTS)]
    candidates = [text for text in texts if "\t" in text or not text.startswith("# ")] or texts
    separator = "\t" if 2 * sum("\t" in text for text in candidates) >= max(len(candidates), 1) else " "
    cells = [cells_of(text, separator) for text in candidates]
    columns = Counter(map(len, cells)).most_common(1)[0][0] if cells else 1
    rows = [row for row in cells if len(row) == columns]
    numbered = columns > 2 and _counts([row[0] for row in rows])
    given = {options.token_column - 1, options.tag_column - 1} - {-1}
    if max(given, default=0) >= columns:
        raise DataError(f"{path}: expected {quantity(max(given) + 1, 'column')}, got {columns} in most lines")
    tag = options.tag_column - 1 if options.tag_column else _tag_column(rows, {options.token_column - 1})
    if tag is not None and columns == 1:
        raise DataError(f"{path}: expected a column of tokens beside that of tags, got one column in most lines")
    if tag is None and columns > 1:
        number = next(number for number, text in lines if text == candidates[0])
        expected = "expected a column of tags such as O and B-PER (--tag-column names it)"
        raise DataError(f"{path}:{number}: {expected}, got {shorten(candidates[0])}")
    token = next(column for column in range(int(numbered), columns) if column != tag)
    return Layout(separator, columns, options.token_column - 1 if options.token_column else token, tag, numbered)


def _counts(cells: Sequence[str]) -> bool:
    """Returns whether cells count tokens from 1 in each sentence; ranges (`1-2`) and empty nodes do not count."""
    if not all(NUMBERED.fullmatch(cell) for cell in cells):
        return False
    numbers = [int(cell) for cell in cells if cell.isdecimal()]
    return all(number in (1, before + 1) for before, number in pairwise([0, *numbers]))


def _tag_column(rows: Sequence[Sequence[str]], others: set[int]) -> int | None:
    """Returns the column in which most cells are tags, the last of several; None where there is none."""
    shares = {}
    for column in {*range(len(rows[0]) if rows else 0)} - others:
        counts = Counter(row[column] for row in rows)
        shares[column] = sum(count for cell, count in counts.items() if is_tag(cell)) / len(rows)
    best = max(shares, key=lambda column: (shares[column], column), default=0)
    return best if shares.get(best, 0) > 0.5 and len(rows[0]) > 1 else None


def _is_blank(text: str) -> bool:
    return not text.strip(" \t")


def _is_row(text: str, layout: Layout) -> bool:
    return not layout.is_comment(text) and not text.startswith(BETWEEN_DOCUMENTS)


def _sentences(lines: Sequence[Line], layout: Layout) -> Iterator[list[Line]]:
    """Yields the lines of each sentence, comments among them."""
    for blank, group in groupby(lines, key=lambda line: _is_blank(line[1])):
        sentence = list(group)
        if not blank and any(_is_row(text, layout) for _, text in sentence):
            yield sentence


def _values(path: Path, line: Line, layout: Layout) -> list[str]:
    number, text = line
    values = layout.values(text)
    if len(values) != layout.columns:
        name = "tabs" if layout.separator == "\t" else "blanks"
        raise DataError(
            f"{path}:{number}: expected {quantity(layout.columns, 'column')} with {name} between, got {len(values)}"
        )
    if not values[layout.token]:
        raise DataError(f"{path}:{number}: expected a token in column {layout.token + 1}, got none")
    if layout.tag is not None and not is_tag(values[layout.tag]):
        raise DataError(f"{path}:{number}: expected a tag such as O or B-PER, got {shorten(values[layout.tag])}")
    return values


def _group(before: Sequence[str], layout: Layout, group: str | None, documents: Sequence[Document]) -> str | None:
    """Returns the document of a sentence, by the lines before it: named, or counted."""
    for text in before:
        named = NEW_DOCUMENT.fullmatch(text)
        if named or text.startswith(BETWEEN_DOCUMENTS):
            counted = len({document.group for document in documents} - {None}) + 1
            group = (named and named[1]) or str(counted)
    return group


def _text(comments: Sequence[str], tokens: Sequence[str]) -> tuple[str | None, tuple[tuple[int, int], ...] | None]:
    """Returns the text of a sentence and the offsets of its tokens, where a comment gives it and it holds them."""
    text = next((found[1] for comment in reversed(comments) if (found := TEXT.fullmatch(comment))), None)
    offsets = find_tokens(tokens, text) if text is not None else None
    return (text, offsets) if offsets else (None, None)


def _spans(path: Path, rows: Sequence[Line], tags: Sequence[str], scheme: str, repairs: Repairs) -> tuple[Span, ...]:
    def illegal(place: int, problem: str) -> None:
        number = rows[min(place, len(rows) - 1)][0]
        repairs.make("tags", f"{path}:{number}", f"{problem} (scheme {scheme}; --scheme names another)")

    try:
        return decode(tags, scheme, illegal)
    except ValueError as error:
        number = next(number for (number, _), tag in zip(rows, tags, strict=True) if not _knows(scheme, tag))
        raise DataError(f"{path}:{number}: {error}") from None


def _knows(scheme: str, tag: str) -> bool:
    return is_tag(tag) and tag[0] in {"O", "B", *SCHEMES[scheme]}


def write(path: Path, documents: Sequence[Document], options: Options) -> None:
    lines: list[str] = []
    group: str | None = None
    for document in documents:
        if isinstance(document.source, Original):
            lines += _rewritten(document, document.source, options)
        else:
            lines += _rows(document, document.group != group, options)
        group = document.group
    if documents and isinstance(documents[-1].source, Original):
        lines += documents[-1].source.after
    write_lines(path, [*lines, ""])


def _rewritten(document: Document, original: Original, options: Options) -> list[str]:
    """Returns the lines of a sentence with the tags of the document."""
    layout, lines = original.layout, list(original.lines)
    if document.spans is None:
        return lines
    tags = encode(len(document.tokens), document.spans, options.scheme or original.scheme)
    for row, tag in zip(original.rows, tags, strict=True):
        if re.search(r"[\t\n\r]" if layout.separator == "\t" or layout.tag is None else r"[ \t\n\r]", tag):
            raise DataError(f"{document.place}: expected labels without the separator of columns, got {shorten(tag)}")
        if layout.tag is None:
            lines[row] += f"\t{tag}"
        else:
            start, stop = layout.cells(lines[row])[layout.tag].span()
            lines[row] = lines[row][:start] + tag + lines[row][stop:]
    return lines


def _rows(document: Document, begins: bool, options: Options) -> list[str]:
    """Returns the lines of a sentence in two columns, or in one if it is not annotated, and an empty line.

    Raises:
        DataError: a reader would take a token, a label or an id for something else.
    """
    tagged = document.spans is not None
    tags = encode(len(document.tokens), document.spans or (), options.scheme or "bio2")
    for name, text, refused in (
        *(("tokens", token, NO_TOKEN if tagged else NO_LONE_TOKEN) for token in document.tokens),
        *(("labels", tag, NO_TAG) for tag in tags),
        ("ids", document.group or "1", NO_NAME),
    ):
        if refused.search(text):
            raise DataError(f"{document.place}: expected {name} that a CoNLL file can hold, got {shorten(text)}")
    comments = [f"# newdoc id = {document.group}"] if begins and document.group is not None else []
    if document.text is not None and find_tokens(document.tokens, document.text) == document.offsets:
        comments += [] if NO_NAME.search(document.text) else [f"# text = {document.text}"]
    rows = [f"{token}\t{tag}" if tagged else token for token, tag in zip(document.tokens, tags, strict=True)]
    return [*comments, *rows, ""] if rows else []


FORMAT = Format(read, write)
