"""Settings as a configuration file, each under its help."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from daguan.core.settings import Section, to_dict

WIDTH = 120


def settings_text(settings: Section, left_out: tuple[str, ...] = ()) -> str:
    """Returns YAML that, loaded again, gives the same settings, but for sections left out; each line under its help."""
    return "\n".join([*_comment(type(settings).__doc__, ""), *_lines(settings, "", left_out)]) + "\n"


def _lines(settings: Section, indent: str, left_out: tuple[str, ...] = ()) -> Iterator[str]:
    plain = to_dict(settings)
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name in left_out:
            continue
        if isinstance(value, Section):
            yield from ("", *_comment(type(value).__doc__, indent), f"{indent}{name}:")
            yield from _lines(value, f"{indent}  ")
        else:
            yield from _comment(field.description, indent)
            yield f"{indent}{name}: {json.dumps(plain[name], ensure_ascii=False)}"


def _comment(text: str | None, indent: str) -> list[str]:
    start, words = f"{indent}# ", " ".join((text or "").split())
    return textwrap.wrap(words, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)
