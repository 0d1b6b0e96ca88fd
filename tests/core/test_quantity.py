"""Numbers with their nouns, and that every message of the package writes them so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import daguan
from daguan.core.quantity import quantity

TREES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(Path(daguan.__file__).parent.rglob("*.py"))}
BETWEEN = r"^ (?:(?!in |on |of |has )[a-z-]+ ){0,2}"  # adjectives


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [
        (1, "line", "1 line"),
        (0, "line", "0 lines"),
        (2_000, "test line", "2,000 test lines"),
        (1, "entity", "1 entity"),
        (3, "vocabulary entry", "3 vocabulary entries"),
        (2, "day", "2 days"),
        (2, "process", "2 processes"),
        (8, "epoch", "8 epochs"),
        (8, "batch", "8 batches"),
    ],
)
def test_a_noun_agrees_with_its_number(number: int, noun: str, expected: str) -> None:
    assert quantity(number, noun) == expected


def nouns() -> set[str]:
    """The nouns that the package counts, in the plural."""
    calls = [
        node for tree in TREES.values() for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "quantity"
    ]  # fmt: skip
    texts = [str(call.args[1].value) for call in calls if isinstance(call.args[1], ast.Constant)]
    return {quantity(2, text).split()[-1] for text in texts}


def fixed_plurals(tree: ast.AST, refused: re.Pattern[str]) -> Iterator[str]:
    """Yields plurals that follow a value in an f-string, unless it is a constant or has decimals."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
                decimals = value.format_spec is not None and re.search(r"\.[1-9]f", ast.unparse(value.format_spec))
                is_constant = isinstance(value.value, ast.Name) and value.value.id.isupper()
                if not decimals and not is_constant and refused.match(str(after.value)):
                    yield f"line {node.lineno}: {ast.unparse(value)}{after.value}"


def test_no_message_has_a_plural_whatever_the_number_is() -> None:
    refused = re.compile(rf"{BETWEEN}(?:{'|'.join(sorted(nouns()))})\b(?!/)")
    found = [f"{path.name}: {text}" for path, tree in TREES.items() for text in fixed_plurals(tree, refused)]
    assert not found, "\n".join(found)
