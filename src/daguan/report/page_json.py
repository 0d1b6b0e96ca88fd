"""JSON that is safe inside a script element of a page."""

from __future__ import annotations

import json
from typing import Any

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def page_json(value: Any) -> str:
    """Returns JSON without white space, in which no text can end a script element or begin a comment (HTML standard,
    §4.12.1.3)."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character, escape in ESCAPES.items():
        text = text.replace(character, escape)
    return text
