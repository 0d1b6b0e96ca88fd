"""Settings: frozen dataclasses, filled from defaults < YAML < command line by one strict loader.

An unknown key fails with a suggestion; a value is cast by its field's type (PyYAML reads `3e-5` as a string).
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from daguan.core.errors import ConfigError

T = TypeVar("T")


def load(kind: type[T], path: Path | None, overrides: Iterable[str] = ()) -> T:
    """Build `kind` from the YAML file and `section.key=value` words.

    Raises:
        ConfigError: no such file or setting, or a value that does not fit.
    """
    values: dict[str, Any] = {}
    if path is not None:
        _merge(values, _read_yaml(path), str(path))
    for word in overrides:
        _merge(values, _read_override(word), "command line")
    return build(kind, values, "", str(path) if path else "command line")


def build(kind: type[T], values: Mapping[str, Any], prefix: str = "", place: str = "settings") -> T:
    """Build the dataclass `kind` from nested dictionaries. Raises ConfigError as `load` does."""
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, kind))}
    hints = typing.get_type_hints(kind)
    filled = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in fields:
            raise ConfigError(f"{place}: {name}: no such setting{_suggestion(str(key), fields)}")
        filled[key] = _cast(hints[key], value, name, place)
    try:
        return kind(**filled)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def to_dict(settings: Any) -> dict[str, Any]:
    """The settings as nested plain values that `build` takes back unchanged."""
    plain: dict[str, Any] = dataclasses.asdict(settings)
    return plain


def require(name: str, holds: bool, expected: str, got: object) -> None:
    """For __post_init__ checks. Raises ConfigError: `name: expected …, got …`."""
    if not holds:
        raise ConfigError(f"{name}: expected {expected}, got {got!r}")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: expected a configuration file, got nothing at that path") from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path}: expected YAML, got {' '.join(str(error).split())}") from None
    if not isinstance(values or {}, dict):
        raise ConfigError(f"{path}: expected settings as `key: value`, got {type(values).__name__}")
    return values or {}


def _read_override(word: str) -> dict[str, Any]:
    name, equals, text = word.partition("=")
    if not equals or not name:
        raise ConfigError(f"command line: expected key=value, got {word!r}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    for key in reversed(name.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def _merge(into: dict[str, Any], values: Mapping[str, Any], place: str, prefix: str = "") -> None:
    for key, value in values.items():
        known = into.get(key)
        if isinstance(known, dict) != isinstance(value, dict) and known is not None:
            raise ConfigError(f"{place}: {prefix}{key}: expected {_noun(known)}, got {_noun(value)}")
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value, place, f"{prefix}{key}.")
        else:
            into[key] = value


def _noun(value: object) -> str:
    return "a section" if isinstance(value, dict) else f"the value {value!r}"


def _suggestion(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _cast(hint: Any, value: Any, name: str, place: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{place}: {name}: expected a section, got {value!r}")
        return build(typing.cast(type, hint), value, f"{name}.", place)
    origin = typing.get_origin(hint)
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else str(value).split(",") if value not in (None, "") else []
        return tuple(_cast(typing.get_args(hint)[0], item, name, place) for item in items)
    assert origin not in (typing.Union, types.UnionType), f"{name}: union types are not supported"
    try:
        return _cast_scalar(hint, value)
    except (ValueError, TypeError):
        raise ConfigError(f"{place}: {name}: expected {hint.__name__}, got {value!r}") from None


def _cast_scalar(hint: type, value: Any) -> Any:
    if hint is bool:
        if not isinstance(value, bool):
            raise ValueError
        return value
    if isinstance(value, bool | dict | list) or value is None:
        raise ValueError
    if hint is int:
        number = float(value)
        if number != int(number):
            raise ValueError
        return int(value) if isinstance(value, int) else int(number)
    if hint is float and not float("-inf") < float(value) < float("inf"):
        raise ValueError
    return hint(value)
