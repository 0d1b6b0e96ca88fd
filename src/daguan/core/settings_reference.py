"""The reference of all settings and the JSON Schema for editors, both made from the declarations."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from daguan.core.read_settings import Setting, declared, settings_of
from daguan.core.setting_errors import bounds_of
from daguan.core.settings import Section, is_section

HEAD = ("setting", "type", "default", "values", "read when", "meaning")
TYPES = {int: "whole number", float: "number", bool: "true or false", str: "text", Any: "value"}


def reference(kind: type[Section]) -> str:
    """Returns Markdown with a table for each section: setting, type, default, values, when it is read, and meaning."""
    by_section: dict[str, list[Setting]] = {}
    for one in settings_of(kind):
        by_section.setdefault(one.path.rpartition(".")[0], []).append(one)
    return "\n".join(line for path, about in sections_of(kind) for line in _table(path, about, by_section[path]))


def json_schema(kind: type[Section]) -> str:
    """Returns the JSON Schema of a configuration file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **kind.model_json_schema()}
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"


def sections_of(kind: type[Section], prefix: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Gives the path and the class of a section and of all its inner sections."""
    yield prefix.removesuffix("."), kind
    for name, field in kind.model_fields.items():
        if field.annotation is not None and is_section(field.annotation):
            yield from sections_of(field.annotation, f"{prefix}{name}.")


def _table(path: str, kind: type[Section], settings: list[Setting]) -> Iterator[str]:
    yield f"## {path or 'Top level'}\n"
    yield f"{_joined(inspect.cleandoc(kind.__doc__ or ''))}\n"
    yield _row(HEAD)
    yield _row("---" for _ in HEAD)
    for one in settings:
        default = json.dumps(one.field.default, ensure_ascii=False)
        needs = " and ".join(need.words for need in one.needs)
        cells = (f"`{one.path}`", type_name(one.field.annotation), f"`{default}`", _values(one), needs)
        yield _row((*cells, one.field.description or ""))
    yield ""


def _row(cells: Any) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _joined(text: str) -> str:
    return " ".join(text.split())


def _values(one: Setting) -> str:
    choices = declared(one.field).choices
    return bounds_of(one.field) if choices is None else ", ".join(f"`{name}`" for name in choices)


def type_name(hint: Any) -> str:
    """Returns what users call a type."""
    if get_origin(hint) is tuple:
        return f"list of {type_name(get_args(hint)[0])}s"
    return TYPES.get(hint, "section")
