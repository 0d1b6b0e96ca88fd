"""Settings: frozen sections of settings, each declared in one line and checked wherever a section is made.

That line gives a setting's name, type, default, bounds or choices, the condition for it to be read, and its help. The
loader, the command `settings`, docs/reference.md and the JSON Schema all follow from it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeGuard, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from daguan.core.casting import COMMAND_LINE, Word, cast
from daguan.core.errors import ConfigError
from daguan.core.files import is_utf8
from daguan.core.needs import Reader
from daguan.core.setting_errors import CHOICE, PROBLEM, SECTION, Places, config_error, is_model, suggestion
from daguan.core.yaml_text import read_yaml

NOTHING = "''"  # the word for an empty path
PARTIAL = {"partial": True}  # pydantic's context where only some settings are given
Kind = TypeVar("Kind", bound="Section")


def setting(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    multiple_of: int | None = None,
    choices: Collection[str] | None = None,
    is_path: bool = False,
    reads_when: Reader | tuple[Reader, ...] = (),
) -> Any:
    """Declares a setting: `epochs: int = setting(8, "Passes over the training lines.", ge=1)`.

    ge, gt, le, lt and multiple_of are bounds. `choices` are the names that it may have beside its default: a tuple, or
    a table with the names as keys, whose new rows are new choices. `reads_when` is the condition, or all conditions,
    for the setting to be read; where it is not read, only the default is accepted. `is_path` says that the text is a
    path: `~` is expanded, and what no file may be named is refused.
    """
    made: Any = Field(default, description=help, ge=ge, gt=gt, le=le, lt=lt, multiple_of=multiple_of)
    readers = reads_when if isinstance(reads_when, tuple) else (reads_when,)
    made.metadata.append(Declared(choices, default, readers, is_path))
    return made


def section(kind: type[Kind]) -> Any:
    """Declares an inner section: `train: TrainSettings = section(TrainSettings)`. Its docstring is its help."""
    made: Any = Field(default_factory=kind)
    made.metadata.append(Declared())
    return made


@dataclass(frozen=True)
class Declared:
    """What pydantic does not know of a setting. It stands in the field's metadata, where pydantic calls its methods.

    Attributes:
        choices: the names that the setting may have beside its default; None where it takes any value of its type.
        readers: the conditions for the setting to be read.
        is_path: whether it is a path.
    """

    choices: Collection[str] | None = None
    default: Any = None
    readers: tuple[Reader, ...] = ()
    is_path: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Casts the value, then checks its type and bounds, then the choices."""
        checked = handler(source)
        if self.choices is not None:
            checked = core_schema.no_info_after_validator_function(self._require_choice, checked)
        checked = core_schema.no_info_before_validator_function(partial(cast, source), checked)
        return core_schema.no_info_before_validator_function(self._as_path, checked) if self.is_path else checked

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(schema)
        return found if self.choices is None else {**found, "enum": list(dict.fromkeys([self.default, *self.choices]))}

    def _require_choice(self, value: str) -> str:
        names = self.choices or ()
        if value != self.default and value not in names:
            raise PydanticCustomError(CHOICE, "{expected}", {"expected": " or ".join(names)})
        return value

    def _as_path(self, value: Any) -> Any:
        """Returns the path with `~` expanded.

        Refused are names that are not UTF-8, as manifests hold them, and an empty word, as of a variable that is not
        set; where a setting is empty by default, two quotes are the word for it.
        """
        text = value.text if isinstance(value, Word) else value
        if not isinstance(text, str):
            return value
        if not text and isinstance(value, Word):
            raise PydanticCustomError(CHOICE, "a path" if self.default else f"a path, or {NOTHING} for none")
        if text == NOTHING and not self.default:
            return ""
        found = os.path.expanduser(text)
        if found.startswith("~"):
            raise PydanticCustomError(CHOICE, "a path, where ~ is the folder of a user")
        if not is_utf8(os.path.realpath(found)):
            raise PydanticCustomError(CHOICE, "a path whose whole name is UTF-8; rename its folder")
        return found


class Section(BaseModel):
    """Settings that belong together. Each is declared by `setting`, a section within it by `section`.

    Attributes:
        READ_WHEN: conditions beside their own for all its settings, such as `by_row`, by which a table's rows say what
            they read.

    Raises:
        ConfigError: a value does not fit, or there is no such setting.
    """

    READ_WHEN: ClassVar[tuple[Reader, ...]] = ()
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise config_error(type(self), error, Places()) from None

    # pydantic then makes inner sections without this __init__, and the outermost one reports faults by their whole path
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def check(self) -> None:
        """Checks settings against each other, by `require`; a section that needs it overrides this."""

    @model_validator(mode="after")
    def _checked(self, info: ValidationInfo) -> Self:
        if info.context != PARTIAL:
            with _as_problem():
                self.check()
        return self

    def replace(self, **values: Any) -> Self:
        """Returns this section with some settings changed and all checked again. Raises ConfigError."""
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | values)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Returns what `replace` does: pydantic's own copy would not check."""
        return self.replace(**(update or {}))


class Changes(dict[str, Any], Generic[Kind]):
    """Nested values of some settings of a kind, each cast and checked by itself: what `vary` takes."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The JSON Schema is that of the kind, none of whose settings is required."""
        (kind,) = get_args(source)

        def checked(value: Any, _: Any) -> Changes[Any]:
            if not isinstance(value, dict):
                raise PydanticCustomError(SECTION, "a section")
            with _as_problem():
                return changes(kind, value)

        plain = core_schema.plain_serializer_function_ser_schema(dict)
        return core_schema.no_info_wrap_validator_function(checked, handler.generate_schema(kind), serialization=plain)


@contextmanager
def _as_problem() -> Iterator[None]:
    """Hands a ConfigError to pydantic, which adds the section's path to the name it begins with."""
    try:
        yield
    except ConfigError as error:
        raise PydanticCustomError(PROBLEM, "{message}", {"message": str(error)}) from None


def is_section(hint: Any) -> TypeGuard[type[Section]]:
    """Returns whether a type is a section of settings."""
    return is_model(hint)


def require(name: str, holds: bool, expected: str, got: object) -> None:
    """Raises ConfigError `name: expected …, got …` unless it holds."""
    if not holds:
        raise ConfigError(f"{name}: expected {expected}, got {got!r}")


def load(kind: type[Kind], path: Path | None, overrides: Iterable[str] = ()) -> Kind:
    """Builds `kind` from its defaults, over them the YAML file, and over both the words `section.key=value`.

    Raises:
        ConfigError: no such file or setting, or a value that does not fit; the message names the file or the command
            line.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path is not None:
        _merge(values, _read_file(path), str(path), origins)
    for word in overrides:
        _merge(values, _read_override(word), COMMAND_LINE, origins)
    return _build(kind, values, Places(origins, str(path) if path else COMMAND_LINE))


def build(kind: type[Kind], values: Mapping[str, Any], place: str = "settings") -> Kind:
    """Builds `kind` from nested dictionaries. Raises ConfigError, naming the place."""
    return _build(kind, values, Places(default=place))


def vary(settings: Kind, changes: Mapping[str, Any], place: str) -> Kind:
    """Returns the settings with some of them changed and all checked again. Raises ConfigError, naming the place."""
    values = to_dict(settings)
    _merge(values, changes, place, {})
    return build(type(settings), values, place)


def changes(kind: type[Kind], values: Mapping[str, Any], place: str = "") -> Changes[Kind]:
    """Returns some settings of a kind, each cast and checked by itself. Raises ConfigError."""
    return Changes(_build(kind, values, Places(default=place), PARTIAL).model_dump(exclude_unset=True))


def to_dict(settings: Section) -> dict[str, Any]:
    """Returns the settings as nested plain values that `build` takes back unchanged."""
    return settings.model_dump()


def nested(path: str, value: Any) -> dict[str, Any]:
    """Returns the value of `section.key` as sections hold it."""
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def type_of(kind: type[Section], path: str, place: str) -> Any:
    """Returns the type of the setting `section.key`, or the class of a section. Raises ConfigError: there is none."""
    hint: Any = kind
    for key in path.split("."):
        known = hint.model_fields if is_section(hint) else {}
        if key not in known:
            raise ConfigError(f"{place}: {path}: no such setting{suggestion(key, known) if known else ''}")
        hint = known[key].annotation
    return hint


def _build(kind: type[Kind], values: Mapping[str, Any], places: Places, context: Any = None) -> Kind:
    try:
        return kind.model_validate(values, context=context)
    except ValidationError as error:
        raise config_error(kind, error, places) from None


def _read_file(path: Path) -> dict[str, Any]:
    if not is_utf8(str(path)):
        raise ConfigError(f"{path}: expected a path whose whole name is UTF-8; rename the file or its folder")
    try:
        values = read_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise ConfigError(f"{path}: expected a configuration file, got nothing at that path") from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: expected YAML, got {' '.join(str(error).split())}") from None
    if not isinstance(values, dict | None):
        raise ConfigError(f"{path}: expected settings as `key: value`, got {type(values).__name__}")
    return values or {}


def _read_override(word: str) -> dict[str, Any]:
    name, equals, text = word.partition("=")
    if not is_utf8(word):
        raise ConfigError(f"{COMMAND_LINE}: expected UTF-8, got {word!r}; rename the file or folder if it is a path")
    if not equals or not name:
        raise ConfigError(f"{COMMAND_LINE}: expected key=value, got {word!r}")
    value = Word(text)
    is_section = text.startswith("{") and isinstance(value.parsed, dict)
    return nested(name, value.parsed if is_section else value)


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
