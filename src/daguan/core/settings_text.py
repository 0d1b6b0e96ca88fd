"""Settings as text, all derived from their declarations: a configuration file, the reference, and a JSON Schema."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterator

from daguan.core.settings import Section, to_dict

WIDTH = 120


def settings_text(settings: Section, left_out: tuple[str, ...] = ()) -> str:
    """Return YAML that, loaded again, gives the same settings, but for sections left out; each under its help."""
    return "\n".join(_lines(settings, "", left_out)) + "\n"


def _lines(settings: Section, indent: str, left_out: tuple[str, ...] = ()) -> Iterator[str]:
    yield from _comment(inspect.cleandoc(type(settings).__doc__ or ""), indent)
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name in left_out:
            continue
        if isinstance(value, Section):
            yield f"\n{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield from _comment(field.description or "", indent)
            yield f"{indent}{name}: {json.dumps(to_dict(settings)[name], ensure_ascii=False)}"


def _comment(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(" ".join(text.split()), WIDTH, initial_indent=start, subsequent_indent=start)
