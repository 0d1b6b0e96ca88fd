"""All settings as a configuration file, each section under what its docstring says of it."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator
from typing import Any


def settings_text(settings: Any) -> str:
    """YAML that, loaded again, gives the same settings."""
    return "\n".join(_lines(settings, "")) + "\n"


def _lines(settings: Any, indent: str) -> Iterator[str]:
    about = inspect.cleandoc(type(settings).__doc__ or "")
    yield from (f"{indent}# {line}".rstrip() for line in about.splitlines())
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield f"\n{indent}{field.name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{field.name}: {json.dumps(value, ensure_ascii=False)}"
