"""Settings: frozen dataclasses, filled from defaults < YAML < command line by one strict loader.

An unknown key fails with a suggestion; a value is cast by its field's type (PyYAML reads `3e-5` as a string).
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml

from daguan.core.errors import ConfigError

T = TypeVar("T")


class Changes(dict[str, Any], Generic[T]):
    """Nested values of some of the settings of a kind, cast and with known names: what `vary` takes."""


@dataclasses.dataclass(frozen=True)
class Need(Generic[T]):
    """A setting of T, by its name or `section.key`, that something reads only where `met` holds, which `words` say.

    A class of settings has a table of them, NEEDS. Left out is what presets set for a part that a word may switch off,
    as model.ngram_dropout with model.ngram_buckets=0: to be asked for more words would be a nuisance.
    """

    setting: str
    words: str
    met: Callable[[T], bool]


def load(kind: type[T], path: Path | None, overrides: Iterable[str] = ()) -> T:
    """Build `kind` from the YAML file and `section.key=value` words.

    Raises:
        ConfigError: no such file or setting, or a value that does not fit; it says which of the two places is meant.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path is not None:
        _merge(values, _read_yaml(path), str(path), origins)
    for word in overrides:
        _merge(values, _read_override(word), "command line", origins)
    return _build(kind, values, "", _Places(origins, str(path) if path else "command line"))


def build(kind: type[T], values: Mapping[str, Any], place: str = "settings") -> T:
    """Build the dataclass `kind` from nested dictionaries. Raises ConfigError as `load` does."""
    return _build(kind, values, "", _Places({}, place))


def vary(settings: T, changes: Mapping[str, Any], place: str) -> T:
    """The settings with some of them changed. Raises ConfigError, naming the place."""
    values = to_dict(settings)
    _merge(values, changes, place, {})
    return build(type(settings), values, place)


def changes(kind: type[T], values: Mapping[str, Any], place: str) -> Changes[T]:
    """Some settings of a kind, cast and with known names; whether they go together is not asked. Raises ConfigError."""
    return _changes(kind, values, "", _Places({}, place))


def nested(path: str, value: Any) -> dict[str, Any]:
    """`section.key` and its value as sections hold it."""
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def type_of(kind: type, path: str, place: str) -> Any:
    """The type of the setting `section.key`, or the dataclass of a section. Raises ConfigError: there is none."""
    hint: Any = kind
    for key in path.split("."):
        known: dict[str, Any] = _fields(hint) if isinstance(hint, type) and dataclasses.is_dataclass(hint) else {}
        if key not in known:
            raise ConfigError(f"{place}: {path}: no such setting{_suggestion(key, known) if known else ''}")
        hint = known[key]
    return hint


@dataclasses.dataclass(frozen=True)
class _Places:
    """Where each setting was given, for messages."""

    origins: Mapping[str, str]
    default: str

    def error(self, name: str, message: str) -> ConfigError:
        return ConfigError(f"{self.origins.get(name, self.default)}: {name}: {message}")


def _build(kind: type[T], values: Mapping[str, Any], prefix: str, places: _Places) -> T:
    filled = {key: _cast(hint, value, name, places) for key, hint, value, name in _known(kind, values, prefix, places)}
    try:
        return kind(**filled)
    except ConfigError as error:  # from __post_init__: `key: expected …`
        name, _, message = str(error).partition(": ")
        raise places.error(f"{prefix}{name}", message) from None


def _changes(kind: type[T], values: Mapping[str, Any], prefix: str, places: _Places) -> Changes[T]:
    """As `_build`, of those settings only that are given."""
    filled: Changes[T] = Changes()
    for key, hint, value, name in _known(kind, values, prefix, places):
        if dataclasses.is_dataclass(hint):
            filled[key] = _changes(typing.cast(type, hint), _section(value, name, places), f"{name}.", places)
        else:
            filled[key] = _cast(hint, value, name, places)
    return filled


def _known(kind: type, values: Mapping[str, Any], prefix: str, places: _Places) -> Iterator[tuple[str, Any, Any, str]]:
    """(key, type, value, whole name) of each setting given."""
    fields = _fields(kind)
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in fields:
            raise places.error(name, f"no such setting{_suggestion(str(key), fields)}")
        yield key, fields[key], value, name


@cache
def _fields(kind: Any) -> dict[str, Any]:
    """Names and types."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def to_dict(settings: Any) -> dict[str, Any]:
    """The settings as nested plain values that `build` takes back unchanged."""
    plain: dict[str, Any] = dataclasses.asdict(settings)
    return plain


def require(name: str, holds: bool, expected: str, got: object) -> None:
    """For __post_init__ checks; `name` is the field's. Raises ConfigError: `name: expected …, got …`."""
    if not holds:
        raise ConfigError(f"{name}: expected {expected}, got {got!r}")


def require_read(settings: Any, prefix: str = "") -> None:
    """For __post_init__ of the whole: no setting, its own or of a section, differs from its default where nothing reads
    it, by the tables NEEDS. Raises ConfigError: `name: expected … unless …, got …`."""
    for need in getattr(settings, "NEEDS", ()):
        *sections, name = need.setting.split(".")
        section = reduce(getattr, sections, settings)
        value, default = getattr(section, name), getattr(type(section), name)
        fits = value == default or need.met(settings)
        require(f"{prefix}{need.setting}", fits, f"{default!r} unless {need.words}", value)
    for field in dataclasses.fields(settings):
        if dataclasses.is_dataclass(section := getattr(settings, field.name)):
            require_read(section, f"{prefix}{field.name}.")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: expected a configuration file, got nothing at that path") from None
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise ConfigError(f"{path}: expected YAML, got {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected settings as `key: value`, got {type(values).__name__}")
    return values


@dataclasses.dataclass(frozen=True)
class _Text:
    """A value from the command line: what it says, and what YAML would make of it."""

    text: str

    @property
    def parsed(self) -> Any:
        try:
            return yaml.safe_load(self.text)
        except (yaml.YAMLError, ValueError):  # not YAML (or no such date): the text itself
            return self.text

    def __repr__(self) -> str:
        return repr(self.parsed)


def _read_override(word: str) -> dict[str, Any]:
    name, equals, text = word.partition("=")
    if not equals or not name:
        raise ConfigError(f"command line: expected key=value, got {word!r}")
    value: Any = _Text(text)
    if text.startswith("{") and isinstance(value.parsed, dict):
        value = value.parsed
    return nested(name, value)


def _merge(
    into: dict[str, Any], values: Mapping[str, Any], place: str, origins: dict[str, str], prefix: str = ""
) -> None:
    for key, value in values.items():
        name = f"{prefix}{key}"
        known = into.get(key)
        if isinstance(known, dict) != isinstance(value, dict) and known is not None:
            raise ConfigError(f"{place}: {name}: expected {_noun(known)}, got {_noun(value)}")
        origins[name] = place
        if isinstance(value, dict):
            into[key] = known or {}
            _merge(into[key], value, place, origins, f"{name}.")
        else:
            into[key] = value


def _noun(value: object) -> str:
    return "a section" if isinstance(value, dict) else f"the value {value!r}"


def _suggestion(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _cast(hint: Any, value: Any, name: str, places: _Places) -> Any:
    if isinstance(value, _Text):
        value = value.text if hint is str else value.parsed
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), _section(value, name, places), f"{name}.", places)
    origin, of = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return tuple(_cast(of[0], item, name, places) for item in _items(value, name, places))
    if origin is dict:
        section = _section(value, name, places)
        return {str(key): _cast(of[1], item, f"{name}.{key}", places) for key, item in section.items()}
    if origin is Changes:
        return _changes(of[0], _section(value, name, places), f"{name}.", places)
    assert origin not in (typing.Union, types.UnionType), f"{name}: union types are not supported"
    try:
        return _cast_scalar(hint, value)
    except (ValueError, TypeError, OverflowError):
        raise places.error(name, f"expected {hint.__name__}, got {value!r}") from None


def _section(value: Any, name: str, places: _Places) -> dict[str, Any]:
    """A section; one with nothing in it is None in YAML."""
    if not isinstance(value, dict | None):
        raise places.error(name, f"expected a section, got {value!r}")
    return value or {}


def _items(value: Any, name: str, places: _Places) -> list[Any]:
    """A list as YAML gives it, or as words write it: `a,b`."""
    if isinstance(value, dict):
        raise places.error(name, f"expected a list, got {value!r}")
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value in (None, "") else [item.strip() for item in str(value).split(",")]


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
