"""Values as YAML and the command line write them, turned into what a setting's type takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args, get_origin

from daguan.core.setting_errors import is_model
from daguan.core.yaml_text import read_yaml

COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Word:
    """The value of `key=value` on the command line, before it is known which type it is to have."""

    text: str

    @property
    def parsed(self) -> Any:
        """Returns the value that YAML reads, or the text itself where it is not YAML."""
        try:
            return read_yaml(self.text, COMMAND_LINE)
        except ValueError:
            return self.text

    def __repr__(self) -> str:
        return repr(self.parsed if self.text else "")


def cast(hint: Any, value: Any) -> Any:
    """Returns the value in the form that the type takes; unchanged, for pydantic to refuse, where there is none."""
    origin = get_origin(hint)
    if isinstance(value, Word):
        if hint is str:
            return value.text
        value = value.parsed if origin is not tuple or value.text.startswith("[") else value.text
    if origin is tuple:
        return _list(get_args(hint)[0], value)
    if is_model(hint) or (isinstance(origin, type) and issubclass(origin, dict)):
        return _section(hint, value)
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _number(hint, value) if hint in (int, float) else value


def _list(hint: Any, value: Any) -> Any:
    """Returns a list from a list as YAML gives it, or from a word `a,b`."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        value = [item.strip() for item in str(value).split(",")] if value != "" else []
    return tuple(cast(hint, item) for item in value or ()) if isinstance(value, list | tuple | None) else value


def _section(hint: Any, value: Any) -> Any:
    """Returns a section; YAML reads an empty one as None."""
    if value is None:
        return {}
    if get_origin(hint) is dict and isinstance(value, dict):
        return {str(key): cast(get_args(hint)[1], item) for key, item in value.items()}
    return value


def _number(hint: type, value: Any) -> Any:
    """Returns a number that is written as text, and a whole number that is written as 4.0 or 2e1."""
    if isinstance(value, bool):
        return value
    try:
        if hint is float and isinstance(value, str | int):
            return float(value)
        if isinstance(value, str):
            value = int(value) if value.lstrip("+-").isdecimal() else float(value)
    except (ValueError, OverflowError):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() and hint is int else value
