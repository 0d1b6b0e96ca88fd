"""Which files of a source are for training, for development and for testing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from daguan.core.errors import ConfigError, DataError
from daguan.core.files import real_path, require_utf8, sha256_of_file, sha256_of_json
from daguan.data.contest import Contest
from daguan.formats.contest_lines import is_labelled
from daguan.formats.table import SAVED, find_format, guess

TRAIN, DEV, TEST, CORPUS = PARTS = ("train", "dev", "test", "corpus")
WORDS = {TRAIN: "train(?:ing)?", DEV: "dev(?:el(?:opment)?)?|val(?:id(?:ation)?)?", TEST: "test(?:ing)?|eval"}
NAMED = {part: re.compile(rf"(?<![a-z])(?:{words})(?![a-z])") for part, words in WORDS.items()}


def is_contest(folder: Path) -> bool:
    """Returns whether a folder holds a contest: train.txt and test.txt, and the first line of train is a contest's."""
    contest = Contest(folder)
    return contest.test.is_file() and contest.train.is_file() and is_labelled(contest.train)


def is_foreign(path: Path) -> bool:
    """Returns whether a path holds data in another format than a contest's folder."""
    contest = Contest(path)
    if contest.train.is_file():
        return contest.train.stat().st_size > 0 and find_format(contest.train) not in (None, "contest")
    if not path.is_dir() or contest.test.is_file():
        return path.is_file()
    return _is_one(path) or any(_part(file) for file in path.iterdir())


def parts_of(source: Path) -> dict[str, Path]:
    """Returns the path of each part of a source, found by names that hold train, dev, devel, valid, val, test or eval.

    A file, and a folder that is one source by itself, is one part, named train. Raises DataError: nothing at the path,
    no such names, or two for one part.
    """
    if not source.exists():
        raise DataError(f"{source}: expected a file or a folder, got nothing at that path")
    if source.is_file() or _is_one(source):
        return {TRAIN: source}
    if is_contest(source):
        contest = Contest(source)
        test = contest.test_gold if contest.test_gold.is_file() else contest.test
        return {TRAIN: contest.train, TEST: test} | ({CORPUS: contest.corpus} if contest.corpus.is_file() else {})
    parts: dict[str, Path] = {}
    for path in sorted(source.iterdir()):
        part = _part(path)
        if part is None:
            continue
        if part in parts:
            both = f"{parts[part].name} and {path.name}"
            raise DataError(
                f"{source}: expected one file for {part}, got {both}; name the file to train on, and --test"
            )
        parts[part] = path
    if parts:
        return parts
    guess(source)  # which says so where it is no source at all
    return {TRAIN: source}


def _part(path: Path) -> str | None:
    """Returns the part that the name of a path names."""
    name = path.name.lower()
    return next((part for part, words in NAMED.items() if words.search(name) and not name.startswith(".")), None)


def _is_one(folder: Path) -> bool:
    return all((folder / name).is_file() for name in SAVED) or any(folder.glob("*.ann"))


def require_outside(path: Path, parts: Iterable[Path]) -> None:
    """Raises ConfigError: what is written to a path would be in a part that is a folder, all of which is read."""
    for part in parts:
        if part.is_dir() and real_path(path).is_relative_to(real_path(part)):
            raise ConfigError(f"{path}: expected a path outside of {part}, all of which is read, got one inside")


def require_no_part(path: Path, source: Path) -> None:
    """Raises ConfigError: what is written to a path would be taken for a part of a source, by its name."""
    target, root = real_path(path), real_path(source)
    if target != root and target.is_relative_to(root) and root.is_dir() and not is_contest(root):
        named = root / target.relative_to(root).parts[0]
        if part := _part(named):
            raise ConfigError(f"{path}: expected a path that is no part of {source}, got a name of the part {part}")


def sha256_of(path: Path) -> str:
    """Returns a hash of a file, or of the names and contents of all files in a folder. Raises ConfigError: a name is
    not UTF-8."""
    if path.is_file():
        return sha256_of_file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        require_utf8(file)
    return sha256_of_json({file.relative_to(path).as_posix(): sha256_of_file(file) for file in files})
