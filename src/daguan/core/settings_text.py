"""All settings as a configuration file, each section under what its docstring says of it."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator
from typing import Any

from daguan.core.settings import to_dict


def settings_text(settings: Any, left_out: tuple[str, ...] = ()) -> str:
    """YAML that, loaded again, gives the same settings, but for sections left out."""
    return "\n".join(_lines(settings, "", left_out)) + "\n"


def _lines(settings: Any, indent: str, left_out: tuple[str, ...] = ()) -> Iterator[str]:
    plain = to_dict(settings)
    about = inspect.cleandoc(type(settings).__doc__ or "")
    yield from (f"{indent}# {line}".rstrip() for line in about.splitlines())
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in left_out:
            continue
        if dataclasses.is_dataclass(value):
            yield f"\n{indent}{field.name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{field.name}: {json.dumps(plain[field.name], ensure_ascii=False)}"
