"""The report of a run on a tiny contest whose tokens look like HTML, and the same page with very many lines."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from conftest import TINY, write_contest
from daguan.cli.app import main
from daguan.report.columns import packed, unpacked
from daguan.report.page_json import page_json
from in_process import in_process

HOSTILE = {"w1": "</script><b>", "w2": "<!--", "w3": "\u202eabc&amp;", "w4": "<script>daguan=0</script>", "w5": "\"'`"}
DATA = re.compile(r'(<script type="application/json" id="page-data">)(.*?)(</script>)', re.DOTALL)


class Scripts(HTMLParser):
    """The elements of a page, as a browser begins them, and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["script"]:
            self.scripts[-1] += data


def data_of(page: str) -> dict[str, Any]:
    """Returns the data of a page."""
    parser = Scripts()
    parser.feed(page)
    found: dict[str, Any] = json.loads(parser.scripts[0])
    return found


def hostile_run(root: Path, *more: str) -> list[str]:
    """Writes a contest with HOSTILE tokens; returns the words of a configuration of n-gram CRFs on it."""
    folder = write_contest(root / "contest")
    for path in folder.iterdir():
        text = path.read_text("utf-8")
        for plain, hostile in HOSTILE.items():
            text = re.sub(rf"(?<![^_\s]){plain}(?=[_/\s]|$)", hostile, text)
        path.write_text(text, "utf-8")
    (root / "empty.yaml").touch()
    places = [f"data.dir={folder}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return [str(root / "empty.yaml"), *TINY, "members=ngram_crf", *places, *more]


def finished(words: list[str]) -> list[str]:
    """Runs the stages of a configuration; returns its words."""
    with in_process():
        for stage in ("prepare", "train", "blend", "submit"):
            assert main([stage, *words]) == 0
    return words


def lengthened(page: str, lines: int) -> str:
    """Returns a page whose training lines are repeated until there are that many in all."""
    match = DATA.search(page)
    assert match is not None
    data = _repeated(json.loads(match[2]), lines)
    return page[: match.start(2)] + page_json(data) + page[match.end(2) :]


def _repeated(data: dict[str, Any], lines: int) -> dict[str, Any]:
    columns, train = data["lines"], data["lines"]["train"]
    times = max(1, (lines - columns["lines"] + train) // train)

    def of_lines(first: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
        """Repeats what belongs to the training lines."""
        cut = first[train]
        sizes = np.diff(first)
        lengths = np.concatenate([np.tile(sizes[:train], times), sizes[train:]])
        return [
            np.concatenate([[0], np.cumsum(lengths)]),
            *(np.concatenate([np.tile(v[:cut], times), v[cut:]]) for v in values),
        ]

    first, text = of_lines(*(unpacked(columns[name]) for name in ("first", "text")))
    folds = unpacked(columns["folds"])
    columns |= {"first": packed(first), "text": packed(text), "lines": len(first) - 1, "train": train * times}
    columns["folds"] = packed([*np.tile(folds[:train], times), *folds[train:]])
    gold = unpacked(columns["tracks"][0]["columns"]["first"])
    for track in columns["tracks"]:
        own = track["columns"]
        names = [name for name in own if name not in ("first", "fate")]
        own_first, *values = of_lines(unpacked(own["first"]), *(unpacked(own[name]) for name in names))
        if "fate" in own:
            own["fate"] = packed(of_lines(gold, unpacked(own["fate"]))[1])
        own |= {"first": packed(own_first)} | {name: packed(value) for name, value in zip(names, values, strict=True)}
    return data
