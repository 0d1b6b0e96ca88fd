"""Builds a contest's folder from a source: numbers for tokens, labels of the contest, and maps to restore both."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daguan.core.errors import ConfigError, DataError
from daguan.core.files import read_json, real_path, require_utf8, sha256_of_json, write_atomic, write_json
from daguan.core.types import Sentence
from daguan.data.contest import Contest
from daguan.data.format import format_labelled, format_unlabelled, write_lines
from daguan.formats.code_book import CodeBook, Shuffle
from daguan.formats.document import Document
from daguan.formats.format import require_new
from daguan.formats.parts import require_no_part, require_outside, sha256_of
from daguan.formats.sources import Source, read_source

VERSION = 1
ORIGIN = "import.json"


@dataclass
class Key:
    """What the owner of anonymised data keeps: the maps, and the source of each folder, by a hash of its test lines."""

    book: CodeBook = field(default_factory=CodeBook)
    origins: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes the key to a file that its owner alone may read."""
        values = {"version": VERSION, "tokens": self.book.tokens, "labels": self.book.labels, "origins": self.origins}

        def write(temporary: Path) -> None:
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

        write_atomic(path, write)

    @classmethod
    def load(cls, path: Path) -> Key:
        """Raises CheckpointError or DataError: no key of this version."""
        values = read_json(path)
        if not isinstance(values, dict) or values.get("version") != VERSION:
            raise DataError(f"{path}: expected a key of version {VERSION}, got another file or version")
        tables = [values.get(name) for name in ("tokens", "labels", "origins")]
        if not all(isinstance(table, dict) for table in tables) or not all(map(_is_origin, values["origins"].values())):
            raise DataError(f"{path}: expected a key with tokens, labels and origins, got a damaged one")
        return cls(CodeBook(values["tokens"], values["labels"]), values["origins"])


@dataclass(frozen=True)
class Built:
    """What was built.

    Attributes:
        lines: how many lines each file has.
        entities: how many are in train.txt and in test_gold.txt.
        groups: how many documents the training lines are from; 0 if nobody knows.
        labels: what stands for each label.
        tokens: how many are different.
        repairs: how often each repair was made.
        formats: the format of each part.
    """

    lines: dict[str, int]
    entities: dict[str, int]
    groups: int
    labels: dict[str, str]
    tokens: int
    repairs: dict[str, int]
    formats: dict[str, str]


def build(source: Source, folder: Path, like: Path | None = None) -> Built:
    """Builds a contest's folder with `vocab.tsv`, `labels.tsv` and `import.json`; one that it built before is replaced.

    `like` is a folder built before, whose numbers and labels are kept.

    Raises:
        ConfigError: the folder is at a place that the source is read from, or a name is not UTF-8.
        DataError: as `read_source`, or the folder holds files of a contest from elsewhere, or a part of the source.
    """
    contest = Contest(folder)
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: expected a folder, got a file")
    _require_apart(source, folder)
    _require_ours(contest, source)
    book = CodeBook.load(Contest(like)) if like else CodeBook()
    made = _made(source, contest, book, None)
    write_json(folder / ORIGIN, {"version": VERSION})  # until the folder is whole
    made.write()
    book.save(contest)
    write_json(folder / ORIGIN, {"version": VERSION, "origin": made.origin})
    return made.built


def files_of(contest: Contest) -> tuple[Path, ...]:
    """Returns the paths of all files that a contest may have, those of an import among them."""
    files = (contest.train, contest.test, contest.test_gold, contest.corpus, contest.groups)
    return (*files, *translating(contest))


def translating(contest: Contest) -> tuple[Path, ...]:
    """Returns the files that say what a contest's tokens and labels stand for, and how its text was read; each may be
    missing."""
    return *CodeBook.files(contest), contest.folder / ORIGIN


def _require_ours(contest: Contest, source: Source) -> None:
    """Raises CheckpointError or DataError: the folder has files that `build` would lose, and did not write."""
    folder = contest.folder
    there = [path for path in files_of(contest) if os.path.lexists(path)]
    origin = read_json(folder / ORIGIN) if (folder / ORIGIN).is_file() else None
    if there and not (isinstance(origin, dict) and "version" in origin):
        expected = "expected a new folder, or one that import made"
        raise DataError(f"{folder}: {expected}, got a folder with {there[0].name} from elsewhere")
    targets = {real_path(path) for path in there}  # a link is written through
    for part in source.parts().values():
        if real_path(part) in targets or real_path(part).parent == real_path(folder):
            raise DataError(f"{folder}: expected a folder without the source, got one that holds {part}")


def _require_apart(source: Source, *paths: Path) -> None:
    """Raises ConfigError: what is written to the paths would change the source, or a name is not UTF-8."""
    parts = source.parts()
    for path in (*paths, Path(source.path), *parts.values()):
        require_utf8(path)
    for path in paths:
        require_outside(path, parts.values())
        require_no_part(path, Path(source.path))


def origin_of(folder: Path) -> dict[str, Any] | None:
    """Returns where an imported contest is from; None where it was not imported. Raises DataError: it is not whole, or
    of another version."""
    path = folder / ORIGIN
    if not path.is_file():
        return None
    values = read_json(path)
    if not isinstance(values, dict) or values.get("version") != VERSION or not _is_origin(values.get("origin")):
        raise DataError(f"{path}: expected a whole import of version {VERSION}, got another; import it again")
    origin: dict[str, Any] = values["origin"]
    return origin


def _is_origin(value: Any) -> bool:
    """Returns whether a value of JSON says where an imported contest is from."""
    return isinstance(value, dict) and all(isinstance(value.get(name), dict) for name in ("source", "sha256"))


def folder_in(work: Path, path: Path) -> Path:
    """Returns the folder below `work` that a source with these contents is imported into."""
    parts = {part: sha256_of(file) for part, file in Source(path=str(path)).parts().items()}
    name = re.sub(r"[^\w.-]", "-", real_path(path).stem)
    return work / f"import-{name}-{sha256_of_json({'version': VERSION, **parts})[:8]}"


def build_in(folder: Path, path: Path) -> Built | None:
    """Builds the folder of `folder_in` by default options, unless it is there; None if it is.

    Raises:
        DataError: as `build`; the message names the command that has other options.
    """
    if (folder / ORIGIN).is_file() and "origin" in read_json(folder / ORIGIN):
        return None
    try:
        return build(Source(path=str(path)), folder)
    except DataError as error:
        raise DataError(f"{error} (these are options of `import SOURCE FOLDER`)") from None


def anonymise(source: Source, folder: Path, key: Path) -> Built:
    """Builds a contest's folder that holds no text, and keeps the maps in the file `key`, which may be there.

    Raises:
        ConfigError: the key would be in the folder, either at a place that the source is read from, or a name is not
            UTF-8.
        DataError: as `read_source`, or the folder holds something.
    """
    if real_path(key).is_relative_to(real_path(folder)):
        raise ConfigError(f"{key}: expected a key outside of {folder}, which others may see")
    require_new(folder)
    _require_apart(source, folder, key)
    kept = Key.load(key) if key.exists() else Key()
    made = _made(source, Contest(folder), kept.book, secrets.SystemRandom().shuffle)
    kept.origins[test_key(made.files[Contest(folder).test])] = made.origin
    kept.save(key)  # first: without it the folder is worth nothing
    made.write()
    return made.built


def test_key(lines: Iterable[str]) -> str:
    """Returns a hash of unlabelled lines."""
    return sha256_of_json([*lines])


@dataclass(frozen=True)
class _Made:
    files: dict[Path, list[str]]
    origin: dict[str, Any]
    built: Built

    def write(self) -> None:
        """Writes the files; those without lines are removed."""
        for path, lines in self.files.items():
            if lines:
                write_lines(path, lines)
            else:
                path.unlink(missing_ok=True)


def _made(source: Source, contest: Contest, book: CodeBook, shuffle: Shuffle | None) -> _Made:
    options = source.options()
    documents = read_source(source, options)
    known = {*book.labels}
    book.add(documents.all, shuffle)
    if source.only_test and known:  # a model of the known labels gives no others
        book.labels = {label: mapped for label, mapped in book.labels.items() if label in known}
    train = [*documents.train, *documents.dev]
    groups = [*_groups(documents.train, "train", source.whole), *_groups(documents.dev, "dev", source.whole)]
    gold = not source.only_test and all(document.spans is not None for document in documents.test)
    files = {
        contest.train: _lines(train, book, source.whole, format_labelled),
        contest.groups: _numbered(groups) if len({*groups}) < len(groups) else [],
        contest.test: _lines(documents.test, book, source.whole, format_unlabelled),
        contest.test_gold: _lines(documents.test, book, source.whole, format_labelled) if gold else [],
        contest.corpus: _lines(documents.corpus, book, source.whole, format_unlabelled),
    }
    hashes = {part: sha256_of(path) for part, path in source.parts_to_label().items()}
    built = Built(
        lines={path.name: len(lines) for path, lines in files.items() if lines},
        entities={
            path.name: sum(len(document.spans or ()) for document in its)
            for path, its in ((contest.train, train), (contest.test_gold, documents.test if gold else []))
            if its
        },
        groups=len({*files[contest.groups]}),
        labels=dict(book.labels),
        tokens=len({token for document in documents.all for token in document.tokens}),
        repairs=dict(options.repairs.counts),
        formats=documents.formats,
    )
    return _Made(files, {"source": source.absolute().to_json(), "sha256": hashes}, built)


def _lines(documents: Sequence[Document], book: CodeBook, whole: bool, write: Callable[[Sentence], str]) -> list[str]:
    return [write(book.encode(document, *part)) for document in documents for part in document.lines(whole)]


def _groups(documents: Sequence[Document], part: str, whole: bool) -> list[str]:
    """Returns a name of the document of each line; ids count from one in every file, so the part is in it."""
    names = [
        f"{part} {document.group!r} {place if document.group is None else ''}"
        for place, document in enumerate(documents)
    ]
    return [name for name, document in zip(names, documents, strict=True) for _ in document.lines(whole)]


def _numbered(names: Sequence[str]) -> list[str]:
    numbers = {name: str(number) for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]
