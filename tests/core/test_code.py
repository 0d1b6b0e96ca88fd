"""A run's key follows from what code computes: a constant changed in its closure changes it, a message does not."""

from __future__ import annotations

import ast
import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

import daguan
from daguan.core import code
from daguan.core.read_settings import chosen_rows
from daguan.families.family import family_of
from daguan.families.table import FAMILIES
from daguan.models.heads.table import HEADS
from daguan.pipeline.settings import load
from daguan.pipeline.stages import STAGES

SOURCE = Path(daguan.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if path.name != "__init__.py" and path.stat().st_size and path.name != "__main__.py"
)
SOME = MODULES[::4]
MEMBER = load(["members=[tagger]"]).member("tagger")
ROOTS = {name: [row.path.partition(":")[0]] for name, row in STAGES.items()}
ROOTS["tagger"] = [
    row.path.partition(":")[0]
    for row in (
        STAGES["member"],
        FAMILIES["tagger"],
        *family_of("tagger").rows(MEMBER),
        *chosen_rows(MEMBER, family_of("tagger").reads),
    )
]


@pytest.mark.parametrize("stage", ROOTS)
def test_a_constant_changes_the_key_of_what_it_is_in_the_closure_of(
    monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """In each module of the closure, and in no other."""
    read, key_of_module = code._tree, code.module_key
    closure, before = set(code.closure(ROOTS[stage])), code.module_keys(ROOTS[stage])
    assert "daguan.core.seeds" in closure
    for edited in MODULES:
        with monkeypatch.context() as patch:
            patch.setattr(code, "_tree", partial(with_another_constant, edited, read))
            patch.setattr(code, "module_key", partial(key_of_edited, edited, key_of_module))
            assert (code.module_keys(ROOTS[stage]) != before) == (edited in closure), edited


def key_of_edited(edited: str, cached: Any, module: str) -> str:
    key: str = (cached.__wrapped__ if module == edited else cached)(module)
    return key


def with_another_constant(edited: str, read: Callable[[str], ast.Module], module: str) -> ast.Module:
    tree = read(module)
    if module == edited:
        tree.body.append(ast.parse("ADDED = 1").body[0])
    return tree


@pytest.mark.parametrize("stage", STAGES)
def test_no_module_above_the_work_of_a_stage_is_in_its_key(stage: str) -> None:
    closure = code.closure(ROOTS[stage])
    pipeline = [f"daguan.pipeline.{name}" for name in ("settings", "stages", "budget", "tuning", "engines")]
    above = ("daguan.cli", "daguan.experiments", "daguan.competition", *pipeline)
    assert not [module for module in closure if module.startswith(above)]


def test_only_the_chosen_rows_are_in_the_key_of_a_member() -> None:
    closure = code.closure(ROOTS["tagger"])
    (head,) = MEMBER.model.scorers
    others = {row.path.partition(":")[0] for name, row in HEADS.items() if name != head}
    assert HEADS[head].path.partition(":")[0] in closure
    assert not (others - code_of_bases(head)) & set(closure)
    assert "daguan.families.soup_fold" not in closure


def code_of_bases(head: str) -> set[str]:
    """Return the modules that a head is built on: these may be heads too."""
    return set(code.closure([HEADS[head].path.partition(":")[0]]))


BEFORE = '''
"""A module."""
from daguan.core.progress import say
LIMIT = 3  # of something
HEADS = {"crf": Row("a:B"), "span": HeadRow("c:D", reads=("x",))}
class Settings(Section):
    """Settings."""
    width: int = setting(3, "The width.", ge=1)
def work(width: int) -> int:
    """Work."""
    expected = f"at most {LIMIT}"
    if width > LIMIT:
        raise ConfigError(f"width: expected {expected}, got {width}")
    say(f"work: {width}")
    return width * 2
'''
SAYS = {
    "a comment": ("# of something", "# of something else"),
    "a docstring": ('"""Work."""', '"""Do the work."""'),
    "the docstring of a module": ('"""A module."""', '"""Another."""'),
    "the text of an error": ("expected {expected}, got", "wanted {expected}, but got"),
    "the text of a message": ("work: {width}", "worked: {width}"),
    "a name that only messages read": ("at most {LIMIT}", "no more than {LIMIT}"),
    "the help of a setting": ("The width.", "Width in tokens."),
    "a row of a table": ('"span": HeadRow', '"other": Row("e:F"), "span": HeadRow'),
    "the default of a setting": ("setting(3,", "setting(4,"),
}
COMPUTES = {
    "a constant": ("LIMIT = 3", "LIMIT = 4"),
    "a formula": ("width * 2", "width * 3"),
    "a condition": ("width > LIMIT", "width >= LIMIT"),
    "a new name": ("LIMIT = 3", "LIMIT = 3\nMORE = 1"),
}


def key_of(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    monkeypatch.setattr(code, "_tree", lambda module: ast.parse(text))
    code.module_key.cache_clear()
    found = code.module_key("a module")
    code.module_key.cache_clear()
    return found


@pytest.mark.parametrize("what", SAYS)
def test_what_code_says_leaves_the_key(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    old, new = SAYS[what]
    assert old in BEFORE
    assert key_of(monkeypatch, BEFORE) == key_of(monkeypatch, BEFORE.replace(old, new))


@pytest.mark.parametrize("what", COMPUTES)
def test_what_code_computes_changes_the_key(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    old, new = COMPUTES[what]
    assert old in BEFORE
    assert key_of(monkeypatch, BEFORE) != key_of(monkeypatch, BEFORE.replace(old, new))


def test_changed_modules_are_those_that_compute_something_else_are_new_or_gone() -> None:
    before, now = {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "4", "d": "5"}
    assert code.changed_modules(before, now) == ["b", "c", "d"]


class Yielding:
    """Garbage that lets other threads go on when it is collected, also in the midst of a parse."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0)


def test_threads_that_compute_keys_at_a_time_get_the_keys_of_one() -> None:
    alone = [code.module_key(module) for module in SOME]
    threshold = gc.get_threshold()
    gc.set_threshold(20)
    try:
        with ThreadPoolExecutor(4) as executor:
            found = list(executor.map(keys_among_garbage, range(4)))
    finally:
        gc.set_threshold(*threshold)
    assert found == [alone] * 4


def keys_among_garbage(_: int) -> list[str]:
    return [key_among_garbage(module) for module in SOME]


def key_among_garbage(module: str) -> str:
    Yielding()
    key: str = cast(Any, code.module_key).__wrapped__(module)
    return key
