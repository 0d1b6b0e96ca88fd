"""Which settings are read: their declarations by path, and what the values of the whole make of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from daguan.core.needs import Need, Reader, value_at
from daguan.core.settings import Declared, Section, is_section, require
from daguan.core.tables import Row


class Setting(NamedTuple):
    """One setting of the whole.

    Attributes:
        path: `section.key`.
        field: its declaration.
        needs: the conditions, all of which must hold, for it to be read.
    """

    path: str
    field: FieldInfo
    needs: tuple[Need, ...]


@cache
def settings_of(kind: type[Section]) -> tuple[Setting, ...]:
    """Returns every setting of a section and of its inner sections."""
    return tuple(_settings_of(kind, "", ()))


def _settings_of(kind: type[Section], prefix: str, readers: tuple[Reader, ...]) -> Iterator[Setting]:
    readers = (*readers, *kind.READ_WHEN)
    for name, field in kind.model_fields.items():
        path, inner = f"{prefix}{name}", field.annotation
        if inner is not None and is_section(inner):
            yield from _settings_of(inner, f"{path}.", readers)
        else:
            needs = (one if isinstance(one, Need) else one(path) for one in (*readers, *declared(field).readers))
            yield Setting(path, field, tuple(need for need in needs if need is not None))


def declared(field: FieldInfo) -> Declared:
    """Returns what `setting` or `section` declared that pydantic does not know of."""
    return next(one for one in field.metadata if isinstance(one, Declared))


def require_read(whole: Section) -> None:
    """Raises ConfigError `name: expected … unless …, got …` where nothing reads a setting that is not its default."""
    for path, field, needs in settings_of(type(whole)):
        if (value := value_at(whole, path)) != field.default:
            for need in needs:
                require(path, need.met(whole), f"{field.default!r} unless {need.words}", value)


def read_settings(whole: Section, sections: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Gives `section.key` and the value of each setting in these sections that something reads."""
    for path, _, needs in settings_of(type(whole)):
        if path.partition(".")[0] in sections and all(need.met(whole) for need in needs):
            yield path, value_at(whole, path)


def chosen_rows(whole: Section, sections: Collection[str]) -> list[Row]:
    """Returns the rows of tables that the settings in these sections choose by name, of those that something reads."""
    fields = {path: field for path, field, _ in settings_of(type(whole))}
    chosen = ((declared(fields[path]).choices, value) for path, value in read_settings(whole, sections))
    return [names[value] for names, value in chosen if isinstance(names, Mapping) and isinstance(names.get(value), Row)]
