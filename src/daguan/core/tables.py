"""Rows of the tables from which settings choose by name; the code behind a row is imported only when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Row:
    """One choice of a table.

    Attributes:
        path: `module:Name` of the class, function or object that implements the choice.
        reads: the settings that only some rows of the table read, and that this one does.
        about: what the choice is, with its source, for the help of the setting that chooses it.
    """

    path: str
    reads: tuple[str, ...] = ()
    about: str = ""

    def load(self) -> Any:
        """Returns the object that `path` names; its module is imported, and no other row's."""
        module, _, name = self.path.partition(":")
        return getattr(import_module(module), name)


def names_in(table: Mapping[str, Row]) -> str:
    """Return the names of a table's rows with what they are, for a setting's help: `a (…), b or c (…)`."""
    names = [f"{name} ({row.about})" if row.about else name for name, row in table.items()]
    return " or ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def readers_of(table: Mapping[str, Row], setting: str) -> tuple[str, ...]:
    """Returns the names of the rows that read the setting."""
    return tuple(name for name, row in table.items() if setting in row.reads)
