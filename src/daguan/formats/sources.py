"""The documents of a source, by what they are for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from daguan.core.errors import ConfigError, DataError
from daguan.core.files import real_path
from daguan.core.seeds import stream
from daguan.core.types import Sentence
from daguan.data.format import read_labelled
from daguan.formats.contest_lines import is_labelled
from daguan.formats.document import Document
from daguan.formats.format import Options
from daguan.formats.parts import CORPUS, DEV, TEST, TRAIN, parts_of
from daguan.formats.repairs import Repairs
from daguan.formats.table import CONTEST, find_format, format_of, guess

DEV_USES = ("train", "corpus", "leave")
SEED = 2019  # a source is divided in the same way whatever seed a run uses


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is imported, and how; the options of `import`.

    Attributes:
        path: a file or a folder.
        format: a name of FORMATS; empty: found for each part.
        test, corpus: paths of parts that `path` does not hold.
        test_share: the share of documents that become the test part where there is none.
        dev: the use of the part for development.
        whole: whether a text is one line, and not cut at its line breaks.
        only_test: whether all documents are to be labelled.
        tokens, token_column, tag_column, scheme: as `Options`.
        repairs: the names of the repairs that are allowed.

    Raises:
        ConfigError: a value that may not be.
    """

    path: str
    format: str = ""
    test: str = ""
    corpus: str = ""
    test_share: float = 0
    dev: str = DEV_USES[0]
    whole: bool = False
    only_test: bool = False
    tokens: str = "words"
    token_column: int = 0
    tag_column: int = 0
    scheme: str = ""
    repairs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.dev not in DEV_USES:
            raise ConfigError(f"--dev: expected {' or '.join(DEV_USES)}, got {self.dev!r}")
        if not 0 <= self.test_share < 1:
            raise ConfigError(f"--test-share: expected 0 to below 1, got {self.test_share}")

    def options(self) -> Options:
        return Options(
            tokens=self.tokens,
            token_column=self.token_column,
            tag_column=self.tag_column,
            scheme=self.scheme,
            repairs=Repairs(self.repairs),
        )

    def parts(self) -> dict[str, Path]:
        """Returns the path of each part. Raises DataError: as `parts_of`."""
        given = {TEST: self.test, CORPUS: self.corpus}
        return parts_of(Path(self.path)) | {part: Path(path) for part, path in given.items() if path}

    def parts_to_label(self) -> dict[str, Path]:
        """Returns the paths of the parts that the documents to label are in. Raises DataError: there are none."""
        parts = self.parts()
        names = [*parts] if self.only_test else [TEST if TEST in parts else TRAIN]
        if missing := [name for name in names if name not in parts]:
            raise DataError(f"{self.path}: expected a part for {missing[0]}, got {' and '.join(parts)}")
        return {name: parts[name] for name in names}

    def format_of(self, path: Path) -> str:
        return self.format or guess(path)

    def absolute(self) -> Source:
        """Returns the source with paths that hold in any folder."""
        path, test, corpus = (
            str(real_path(Path(value))) if value else "" for value in (self.path, self.test, self.corpus)
        )
        return replace(self, path=path, test=test, corpus=corpus)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"repairs": list(self.repairs)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Source:
        """Raises ConfigError: values of another version."""
        if {*values} != {field.name for field in fields(cls)}:
            raise ConfigError(
                f"expected a source with {', '.join(f.name for f in fields(cls))}, got {', '.join(values)}"
            )
        return cls(**values | {"repairs": tuple(values["repairs"])})


@dataclass(frozen=True)
class Documents:
    """The documents of a source.

    Attributes:
        train: annotated ones.
        dev: annotated ones of the part for development, to train on.
        test: those to label, with their annotation if they have one.
        corpus: those without labels, and those whose labels are not wanted.
        formats: the format of each part that was read.
    """

    train: list[Document]
    dev: list[Document]
    test: list[Document]
    corpus: list[Document]
    formats: dict[str, str]

    @property
    def all(self) -> list[Document]:
        return [*self.train, *self.dev, *self.test, *self.corpus]


def read_source(source: Source, options: Options) -> Documents:
    """Returns the documents of a source. Raises DataError: as the readers, or nothing to train on or to label."""
    found, formats = _read(source, options, source.parts())
    train, dev, corpus = (found.get(part, []) for part in (TRAIN, DEV, CORPUS))
    test = _to_label(source, found)
    if source.only_test:
        return Documents([], [], test, [], formats)
    if TEST not in found:
        train, _ = _divided(train, source.test_share)
    others = [*train, *(dev if source.dev != "leave" else ())]
    dev = [document for document in dev if source.dev == "train" and document.spans is not None]
    train = [document for document in train if document.spans is not None]
    labelled = {id(document) for document in (*train, *dev)}
    corpus = [*corpus, *(document for document in others if id(document) not in labelled)]
    for name, documents, remedy in (
        ("annotated documents", train, "name the file to train on"),
        ("a part to label", test, "name it with --test FILE, or hold a share out with --test-share 0.2"),
    ):
        if not any(document.tokens for document in documents):
            raise DataError(f"{source.path}: expected {name}, got none; {remedy}")
    return Documents(train, dev, test, corpus, formats)


def read_to_label(source: Source, options: Options) -> tuple[list[Document], str]:
    """Returns the documents to label alone, as `read_source` does, and their format."""
    found, formats = _read(source, options, source.parts_to_label())
    return _to_label(source, found), next(iter(formats.values()))


def read_sentences(path: Path) -> list[Sentence]:
    """Returns the annotated sentences of data in any format; documents without tokens are left out.

    Raises:
        DataError: as the readers, or a document is not annotated.
    """
    name = find_format(path) or CONTEST
    if name == CONTEST or (name == "conll" and is_labelled(path)):  # whatever its name
        return read_labelled(path)
    documents = [one for one in format_of(name).read(path, Options()) if one.tokens]
    for document in documents:
        if document.spans is None:
            raise DataError(f"{document.place}: expected labels, got a text without them")
    return [Sentence(document.tokens, document.spans) for document in documents]


def _read(
    source: Source, options: Options, parts: Mapping[str, Path]
) -> tuple[dict[str, list[Document]], dict[str, str]]:
    formats = {part: source.format_of(path) for part, path in parts.items()}
    return {part: format_of(formats[part]).read(path, options) for part, path in parts.items()}, formats


def _to_label(source: Source, found: Mapping[str, list[Document]]) -> list[Document]:
    if source.only_test:
        return [document for part in found.values() for document in part]
    return found[TEST] if TEST in found else _divided(found[TRAIN], source.test_share)[1]


def _divided(documents: Sequence[Document], share: float) -> tuple[list[Document], list[Document]]:
    """Returns the documents that stay and those of the share, in order; those of one group stay together."""
    groups = [f"group {document.group}" if document.group else str(place) for place, document in enumerate(documents)]
    sizes, taken, size = Counter(groups), set[str](), 0
    for name in map(str, stream(SEED, "test share").permutation(sorted(sizes))):
        if size >= share * len(groups):
            break
        taken.add(name)
        size += sizes[name]
    return (
        [document for document, group in zip(documents, groups, strict=True) if group not in taken],
        [document for document, group in zip(documents, groups, strict=True) if group in taken],
    )
