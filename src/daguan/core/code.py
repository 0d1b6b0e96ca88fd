"""The part of a run's key that follows from the code: what its modules compute, not what they say.

A key covers the modules that a stage's work imports, and those of the table rows that its settings choose by name
(rows are loaded by name, so imports alone would miss them; the other rows of a table do not count). The
syntax tree of each module counts, without comments, docstrings, the text of messages, and declarations of settings,
whose values are in a key by themselves: work outlives an edit of these.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from threading import Lock

from daguan.core.files import sha256_of_json

PACKAGE = "daguan"
MESSAGES: dict[str, tuple[int | str, ...]] = {  # calls with text for people, and which arguments hold it
    "say": (0,), "print": (0,), "Bar": (0,), "require": (0, 2),
}  # fmt: skip

DECLARATIONS = ("setting", "section")
SCRIPTS = ("__init__", "__main__")
PARSING = Lock()  # Python 3.11 may raise SystemError where two threads parse at a time (its issue 106905)


def closure(roots: Iterable[str]) -> list[str]:
    """The modules of this package that the roots import, directly or not, and the roots; sorted."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imports(module)
    return sorted(found)


def module_keys(roots: Iterable[str]) -> dict[str, str]:
    """A short hash of each module in the closure of the roots."""
    return {module: module_key(module) for module in closure(roots)}


def changed_modules(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The modules that compute something else than before, are new, or are gone; sorted. Both as `module_keys`."""
    return sorted(module for module in {*before, *now} if before.get(module) != now.get(module))


def code_version() -> str:
    """Returns a hash of what all modules of this package compute."""
    root = Path(__file__).parents[1]
    files = sorted(path.relative_to(root.parent).with_suffix("") for path in root.rglob("*.py"))
    return sha256_of_json(module_keys(".".join(file.parts) for file in files if file.name not in SCRIPTS))


@cache
def module_key(module: str) -> str:
    """A short hash of what one module computes."""
    return sha256_of_json(ast.dump(_computation(_tree(module))))[:12]


@cache
def _imports(module: str) -> list[str]:
    """The modules of this package that a module imports anywhere, except for type checkers alone."""
    found = set()
    for node in _statements(_tree(module), of_types=False):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if _path(name) else node.module for name in names}
    return sorted(name for name in found if name.partition(".")[0] == PACKAGE and _path(name))


def _statements(tree: ast.AST, of_types: bool) -> Iterator[ast.AST]:
    """All statements of a tree, each before those within it. They hold all imports and functions, so no expression is
    looked at. of_types: also those under `if TYPE_CHECKING`."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for node in getattr(tree, name, ()):
            if of_types or not _is_of_types(node):
                yield node
                yield from _statements(node, of_types)


def _is_of_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _tree(module: str) -> ast.Module:
    path = _path(module)
    assert path is not None, module
    with PARSING:
        return ast.parse(path.read_text("utf-8"))


@cache
def _path(module: str) -> Path | None:
    """The source file of a module of this package; None where there is none of that name."""
    if module == PACKAGE or not module.startswith(f"{PACKAGE}."):
        return None
    root = Path(__file__).parents[1].joinpath(*module.split(".")[1:])
    files = (root.with_suffix(".py"), root / "__init__.py")
    return next((path for path in files if path.is_file()), None)


def _computation(tree: ast.Module) -> ast.Module:
    """Returns the tree without what its module says and declares; it is changed in place."""
    for node in chain([tree], _statements(tree, of_types=True)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_said(part)] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            _blank_messages(node)
    return tree


def _is_said(statement: ast.stmt) -> bool:
    """Returns whether a statement is a docstring, declares a setting, or defines a table of rows (core/tables.py)."""
    value = getattr(statement, "value", None)
    if isinstance(statement, ast.Expr):
        return isinstance(value, ast.Constant)
    if isinstance(value, ast.Dict):
        return bool(value.values) and all(_called(row).endswith("Row") for row in value.values)
    return _called(value) in DECLARATIONS


def _called(value: object) -> str:
    """Returns the name of the function that an expression calls, without what it is an attribute of; empty if it is no
    call."""
    called = value.func if isinstance(value, ast.Call) else None
    return called.id if isinstance(called, ast.Name) else f".{called.attr}" if isinstance(called, ast.Attribute) else ""


def _blank_messages(function: ast.FunctionDef) -> None:
    """Empty the strings of a function's messages, and of local names that only messages read."""
    nodes = [*ast.walk(function)]
    messages = [message for node in nodes for message in _messages(node)]
    if not messages:
        return
    within = {id(node) for message in messages for node in ast.walk(message)}
    loads = [node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    names, elsewhere = {node.id for node in loads}, {node.id for node in loads if id(node) not in within}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in names - elsewhere:
                messages.append(node.value)
    for node in (node for message in messages for node in ast.walk(message)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        elif isinstance(node, ast.JoinedStr):
            node.values = []


def _messages(node: ast.AST) -> list[ast.expr]:
    """The expressions of a node that are text for people: what is raised, and arguments of MESSAGES."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return node.exc.args
    if isinstance(node, ast.Call) and (where := MESSAGES.get(_called(node), ())):
        named = [keyword.value for keyword in node.keywords if keyword.arg and keyword.arg in where]
        return named + [node.args[place] for place in where if isinstance(place, int) and place < len(node.args)]
    return []
