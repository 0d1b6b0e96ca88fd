"""The source files of an exported model: from the package's own modules, what one model needs to label text.

An exported model runs without this package. Its code is not written a second time, and no formula stands twice: the
modules are cut down to what `modeling_daguan.py` reaches, as a linker drops what no one calls, and their imports of
each other become relative ones. A module stays a file of its own, because names such as FORBIDDEN mean another thing
in another module.

A definition is needed if a needed one names it. A method is needed if a needed definition has its name after a dot,
whatever the object: more than is called may be written, but never less. Annotations are never evaluated and need
no class, so classes that only training reads are left out although signatures name them.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import daguan
from daguan.core.runs import WRITTEN_BY

PACKAGE = "daguan"
SHIPPING = "daguan.pipeline.shipping."
CALLED = frozenset({"forward"})  # methods that torch calls
FUTURE = "__future__"
Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass
class Module:
    """A module of this package.

    Attributes:
        name: with dots.
        text: its source.
        needed: the names of its definitions that are needed.
    """

    name: str
    text: str
    needed: set[str] = field(default_factory=set)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def definitions(self) -> dict[str, Definition]:
        """The definition of each name at the top level."""
        found: dict[str, Definition] = {}
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = (part for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))
                found.update((part.id, node) for part in names)
        return found

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """The module, and the name in it or nothing, of each name imported at the top level."""
        found = {}
        for node in self.tree.body:
            if isinstance(node, ast.Import):
                found.update({alias.asname or alias.name: (alias.name, "") for alias in node.names})
            elif isinstance(node, ast.ImportFrom) and node.module != FUTURE:
                found.update({alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names})
        return found

    @property
    def file(self) -> str:
        """The name of its file in an exported folder, without the suffix."""
        short = self.name.removeprefix(SHIPPING)
        return short.removeprefix(f"{PACKAGE}.").replace(".", "_")


class Mentions(NamedTuple):
    """What a part of a definition mentions.

    Attributes:
        names: the names that it reads.
        attributes: the names after dots.
        annotated: the names in annotations.
    """

    names: set[str]
    attributes: set[str]
    annotated: set[str]


class Linker:
    """Finds what some definitions need, and writes it."""

    def __init__(self, replaced: Mapping[str, str]) -> None:
        """replaced: the text of modules that are written for this model in place of the package's own."""
        self.modules = {name: Module(name, text) for name, text in replaced.items()}
        self.mentioned = set(CALLED)
        self._known: dict[ast.AST, Mentions] = {}

    def module(self, name: str) -> Module:
        if name not in self.modules:
            path = Path(daguan.__file__).parent.joinpath(*name.split(".")[1:]).with_suffix(".py")
            self.modules[name] = Module(name, path.read_text("utf-8"))
        return self.modules[name]

    def files(self, roots: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Returns the text of each file, by its name without `.py`, that the roots (module, definition) need."""
        self._need(roots)
        needed = [module for module in self.modules.values() if module.needed]
        return {module.file: self._text(module) for module in needed}

    def _need(self, roots: Iterable[tuple[str, str]]) -> None:
        """Marks what is needed, until nothing new is: a method that becomes needed may need more."""
        waiting = [self._origin(*root) for root in roots]
        for module, name in waiting:  # all methods of a root are for the user
            node = module.definitions[name]
            self.mentioned |= {part.name for part in ast.walk(node) if isinstance(part, ast.FunctionDef)}
        before = None
        while waiting or before != self.mentioned:
            before = set(self.mentioned)
            for module, name in waiting:
                module.needed.add(name)
            waiting = []
            for module in [*self.modules.values()]:
                for part in [part for name in module.needed for part in self._parts(module.definitions[name])]:
                    mentions = self._mentions(part)
                    self.mentioned |= mentions.attributes
                    names = mentions.names | {name for name in mentions.annotated if self._is_alias(module, name)}
                    needed = [self._origin(module.name, name) for name in names if self._is_own(module, name)]
                    waiting += [origin for origin in needed if origin[1] not in origin[0].needed]

    def _mentions(self, part: ast.AST) -> Mentions:
        if part not in self._known:
            self._known[part] = mentions_of(part)
        return self._known[part]

    def _is_own(self, module: Module, name: str) -> bool:
        imported, _ = module.imports.get(name, ("", ""))
        return name in module.definitions or imported.partition(".")[0] == PACKAGE

    def _is_alias(self, module: Module, name: str) -> bool:
        """Returns whether a name may be that of a type, which only annotations read, in this module."""
        return isinstance(module.definitions.get(name), ast.Assign)

    def _origin(self, module: str, name: str) -> tuple[Module, str]:
        """Returns the module that defines a name, followed through imports, and its name there."""
        here = self.module(module)
        return (here, name) if name in here.definitions else self._origin(*here.imports[name])

    def _parts(self, node: Definition) -> Iterator[ast.AST]:
        """Gives the parts of a definition without the methods that are not needed."""
        if not isinstance(node, ast.ClassDef):
            yield node
            return
        yield from (*node.bases, *(keyword.value for keyword in node.keywords), *node.decorator_list)
        yield from (part for part in node.body if not self._is_spare(part))

    def _is_spare(self, part: ast.stmt) -> bool:
        """Returns whether a part of a class is a method that nothing calls."""
        return isinstance(part, ast.FunctionDef) and part.name not in self.mentioned and not part.name.startswith("__")

    def _text(self, module: Module) -> str:
        """Returns the text of a module's file."""
        nodes = dict.fromkeys(node for name, node in module.definitions.items() if name in module.needed)
        mentions = [self._mentions(part) for node in nodes for part in self._parts(node)]
        read = {name for mention in mentions for name in mention.names | mention.annotated}
        title = f"# What an exported model needs of {module.name}, {PACKAGE} {WRITTEN_BY[PACKAGE]}; Apache License 2.0."
        said = ast.get_docstring(module.tree, clean=False)
        head = [title, *([f'"""{said}"""'] if said else []), f"from {FUTURE} import annotations"]
        return (
            "\n\n".join([*head, *self._imports(module, read), *(self._source(module, node) for node in nodes)]) + "\n"
        )

    def _imports(self, module: Module, read: set[str]) -> list[str]:
        """Returns the blocks of lines that import what is read: of Python, of other packages, of this package."""
        wholes, parts = [], defaultdict(list)
        for name, (where, original) in module.imports.items():
            if name not in read:
                continue
            if where.partition(".")[0] == PACKAGE:
                origin, original = self._origin(where, original)
                if original not in origin.needed:  # an annotation alone names it
                    continue
                where = f".{origin.file}"
            if original:
                parts[where].append(original if original == name else f"{original} as {name}")
            else:
                wholes.append(f"import {where}" if where == name else f"import {where} as {name}")
        lines = [*wholes, *(f"from {where} import {', '.join(these)}" for where, these in sorted(parts.items()))]
        blocks = [[line for line in lines if _kind(line) == kind] for kind in range(3)]
        return ["\n".join(block) for block in blocks if block]

    def _source(self, module: Module, node: Definition) -> str:
        """Returns the lines of a definition without those of methods that are not needed."""
        lines = module.text.split("\n")
        cut = [part for part in node.body if self._is_spare(part)] if isinstance(node, ast.ClassDef) else []
        gone = {number for part in cut for number in range(_first_line(part), (part.end_lineno or 0) + 1)}
        kept = [n for n in range(_first_line(node), (node.end_lineno or 0) + 1) if n not in gone]
        text = "\n".join(lines[number - 1] for number in kept).rstrip()
        while "\n\n\n" in text:
            text = text.replace("\n\n\n", "\n\n")
        return f"\n{text}" if isinstance(node, ast.FunctionDef | ast.ClassDef) else text


def _kind(line: str) -> int:
    """Returns 0 for an import of Python's own modules, 1 of another package's, 2 of this package's."""
    module = line.split()[1]
    if module.startswith("."):
        return 2
    return 0 if module.partition(".")[0] in sys.stdlib_module_names else 1


def _first_line(node: ast.stmt) -> int:
    """Returns the number of the line on which a statement begins, its decorators included."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def mentions_of(node: ast.AST) -> Mentions:
    """Returns what a node mentions."""
    names: set[str] = set()
    attributes: set[str] = set()
    annotated: set[str] = set()
    waiting = [(node, False)]
    while waiting:
        child, in_annotation = waiting.pop()
        if isinstance(child, ast.Name):
            (annotated if in_annotation else names).add(child.id)
        elif isinstance(child, ast.Attribute) and not in_annotation:
            attributes.add(child.attr)
        for name, value in ast.iter_fields(child):
            inside = in_annotation or name in ("annotation", "returns")
            items = value if isinstance(value, list) else [value]
            waiting += [(item, inside) for item in items if isinstance(item, ast.AST)]
    return Mentions(names, attributes, annotated)
