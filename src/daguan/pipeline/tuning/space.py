"""A search space, checked against the settings it varies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from daguan.core.errors import ConfigError
from daguan.core.settings import Section, changes, is_section, nested, require, type_of
from daguan.pipeline.tuning.settings import Axis

PLACE = "tune.space"
Parameters = dict[str, Any]  # path of a setting -> its value


@dataclass(frozen=True)
class Space:
    """Paths of settings and their axes, in the order of drawing, and which of them hold whole numbers."""

    axes: Mapping[str, Axis]
    whole: frozenset[str]

    @property
    def conditional(self) -> bool:
        return any(axis.when for axis in self.axes.values())

    def applies(self, path: str, drawn: Parameters) -> bool:
        """Whether this setting is searched, given the values drawn before it."""
        when = self.axes[path].when
        return all(before in drawn and drawn[before] in _allowed(value) for before, value in when.items())


def checked_space(kind: type[Section], axes: Mapping[str, Axis], fixed: Collection[str]) -> Space:
    """Returns the space over settings of that kind, except for the fixed sections and keys.

    Raises:
        ConfigError: no such setting, one that may not vary, a value of the wrong type, a condition on nothing.
    """
    require(PLACE, bool(axes), "one setting or more", dict(axes))
    for number, (path, axis) in enumerate(axes.items()):
        section = path.partition(".")[0]
        require(f"{PLACE}.{path}", section not in fixed, f"a setting other than {', '.join(fixed)}", path)
        _check_values(kind, path, axis)
        _check_condition(path, axis, dict(list(axes.items())[:number]))
        for other in axes:
            require(f"{PLACE}.{path}", not other.startswith(f"{path}."), "each setting once", other)
    whole = {path for path in axes if type_of(kind, path, PLACE) is int}
    return Space(axes, frozenset(whole))


def _check_values(kind: type[Section], path: str, axis: Axis) -> None:
    hint = type_of(kind, path, PLACE)
    for value in axis.choices:
        if is_section(hint) and not isinstance(value, dict):
            raise ConfigError(f"{PLACE}.{path}: expected choices of settings, as it is a section, got {value!r}")
        changes(kind, nested(path, value), PLACE)
    if axis.choices:
        return
    require(f"{PLACE}.{path}", hint in (int, float), "choices, as it holds no number", "a range")
    whole = all(float(value).is_integer() for value in (axis.low, axis.high, axis.step))
    require(f"{PLACE}.{path}", hint is float or whole, "whole numbers", (axis.low, axis.high, axis.step))


def _check_condition(path: str, axis: Axis, before: Mapping[str, Axis]) -> None:
    for other, value in axis.when.items():
        name = f"{PLACE}.{path}.when"
        require(name, other in before and bool(before[other].choices), "settings with choices, placed before", other)
        for one in _allowed(value):
            require(name, one in before[other].choices, f"choices of {other}", one)


def _allowed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def changes_of(parameters: Parameters) -> dict[str, Any]:
    """Returns the parameters as nested sections, the form that `vary` takes."""
    sections: dict[str, Any] = {}
    for path, value in parameters.items():
        *parents, key = path.split(".")
        section = sections
        for parent in parents:
            section = section.setdefault(parent, {})
        if isinstance(value, dict):
            section.setdefault(key, {}).update(value)
        else:
            section[key] = value
    return sections
