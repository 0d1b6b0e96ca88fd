"""Conditions for a setting to be read, by the paths of other settings such as `train.averaging`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from daguan.core.tables import Row, readers_of


@dataclass(frozen=True)
class Need:
    """A condition for a setting to be read.

    Attributes:
        words: the condition, for messages and the reference.
        met: whether it holds of the whole settings.
    """

    words: str
    met: Callable[[Any], bool]


Reader = Need | Callable[[str], Need | None]  # a condition, or a function that makes it from its setting's path, if any


def value_at(settings: Any, path: str) -> Any:
    """Returns the value of the setting `section.key`."""
    return reduce(getattr, path.split("."), settings)


def over_zero(path: str) -> Need:
    """Returns the condition that the setting at `path` is over 0."""
    return Need(f"{path} is over 0", lambda whole: value_at(whole, path) > 0)


def sibling_over_zero(name: str) -> Callable[[str], Need]:
    """Returns the condition that the setting `name` of the same section is over 0."""
    return lambda path: over_zero(f"{path.rpartition('.')[0]}.{name}")


def chosen(path: str, *names: str) -> Need:
    """Returns the condition that the setting at `path` is one of the names."""
    return Need(f"{path} is {' or '.join(names)}", lambda whole: value_at(whole, path) in names)


def by_row(
    path: str, table: Mapping[str, Row], choice: Callable[[Any], str] | None = None
) -> Callable[[str], Need | None]:
    """Returns the condition that the setting at `path` chooses a row of the table that reads the setting.

    There is none for settings that no row names: those are always read. `choice` gives the row's name from the whole
    settings, where the setting at `path` may leave it open.
    """
    choose = choice or (lambda whole: value_at(whole, path))

    def need(setting: str) -> Need | None:
        name = setting.partition(".")[2]
        readers = readers_of(table, name)
        words = f"{path} is {' or '.join(readers)}"
        return Need(words, lambda whole: choose(whole) in readers_of(table, name)) if readers else None

    return need
