"""Numbers with what they count, for messages."""

from __future__ import annotations


def quantity(number: int, noun: str) -> str:
    """Returns a number with its noun, which is given in the singular: `1 line`, `2,000 lines`, `0 entities`."""
    return f"{number:,} {noun if number == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeou":
        return f"{noun.removesuffix('y')}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "sh", "tch")) else f"{noun}s"
