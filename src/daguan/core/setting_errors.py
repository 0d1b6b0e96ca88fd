"""Pydantic's errors in the words of this project: `place: name: expected …, got …`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from daguan.core.errors import ConfigError

# our own types of errors: not one of the choices, no section, settings that do not go together
CHOICE, SECTION, PROBLEM = "choice", "section", "problem"
BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"}


@dataclass(frozen=True)
class Places:
    """Where settings were given.

    Attributes:
        origins: the place of each setting, by its path.
        default: the place of all others; empty to name none.
    """

    origins: Mapping[str, str] = field(default_factory=dict)
    default: str = ""

    def error(self, name: str, message: str) -> ConfigError:
        """Returns the error that names the place and the setting."""
        parts = (self.origins.get(name, self.default), name, message)
        return ConfigError(": ".join(part for part in parts if part))


def config_error(kind: type[BaseModel], error: ValidationError, places: Places) -> ConfigError:
    """Returns the first fault that pydantic found in values for `kind`."""
    fault = error.errors(include_url=False)[0]
    names: list[str] = []
    hint: Any = kind
    found: FieldInfo | None = None
    for part in fault["loc"]:
        if isinstance(part, int) and get_origin(hint) is tuple:  # an item of a list, which messages do not number
            hint = get_args(hint)[0]
            continue
        part = str(part)  # YAML has numbers as keys, too
        names.append(part)
        if not is_model(hint):
            hint = get_args(hint)[1]
        elif part in hint.model_fields:
            found = hint.model_fields[part]
            hint = found.annotation
        else:
            return places.error(".".join(names), f"no such setting{suggestion(part, hint.model_fields)}")
    if fault["type"] == PROBLEM:
        name, _, message = fault["msg"].partition(": ")
        return places.error(".".join([*names, name]), message)
    if fault["type"] == CHOICE:
        expected = fault["msg"]
    else:
        expected = bounds_of(found) if found and fault["type"] in BOUNDS else name_of(hint)
    return places.error(".".join(names), f"expected {expected}, got {fault['input']!r}")


def suggestion(key: str, known: Iterable[str]) -> str:
    """Returns what to say after an unknown name: the nearest known one, or else all."""
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def bounds_of(declared: FieldInfo) -> str:
    """Returns a setting's bounds in words, empty if it has none."""
    bounds = {
        name: getattr(one, name)
        for one in declared.metadata
        for name in ("ge", "gt", "le", "lt", "multiple_of")
        if getattr(one, name, None) is not None
    }
    multiple = bounds.pop("multiple_of", None)
    if bounds.keys() == {"ge", "le"}:
        words = [f"{bounds['ge']} to {bounds['le']}"]
    else:
        phrases = {"ge": "at least", "gt": "over", "le": "at most", "lt": "under"}
        words = [f"{phrase} {bounds[name]}" for name, phrase in phrases.items() if name in bounds]
    return ", ".join(words if multiple is None else [f"a multiple of {multiple}", *words])


def name_of(hint: Any) -> str:
    """Returns a type's name for users."""
    if is_model(hint) or issubclass(get_origin(hint) or hint, dict):
        return "a section"
    return "a list" if get_origin(hint) is tuple else str(hint.__name__)


def is_model(hint: Any) -> bool:
    """Returns whether a type is a section of settings."""
    return isinstance(hint, type) and issubclass(hint, BaseModel)
