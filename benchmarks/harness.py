"""The parts of every table: the machine, alternating runs, ratios and aims, and how they are printed.

Sides are measured alternately in one run, because a machine's speed drifts: `alternate` calls them round after round,
every other round in reverse order. A comparison is the ratio of the medians, with the least and the greatest ratio of
a round as its spread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from daguan.cli.app import main as daguan
from daguan.core.processes import ENVIRONMENT
from daguan.core.runs import commit

ROOT = Path(__file__).parents[1]
Row = dict[str, Any]
WIDTH = 120  # of a document's lines


@dataclass(frozen=True)
class Options:
    """Options of a table's command line.

    Attributes:
        json: print one object as the last line of the output.
        quick: use the smallest sizes that still run every line.
    """

    json: bool
    quick: bool


def options(words: Sequence[str], about: str | None) -> Options:
    """Read a table's command line; `about` is the table's docstring."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object with aims and rows on the last line")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes, as a smoke test; figures mean little")
    read = parser.parse_args(words)
    return Options(read.json, read.quick)


def command(name: str, words: Iterable[str]) -> None:
    """Run a command of daguan in this process, as a user types it. Raises SystemExit: it failed."""
    if code := daguan([name, *words]):
        raise SystemExit(code)


def our_environment(threads: int) -> dict[str, str]:
    """Returns the variables of our processes, as `python -m daguan` and its workers set them."""
    return dict(os.environ) | ENVIRONMENT | {"OMP_NUM_THREADS": str(threads)}


def peer_environment() -> dict[str, str]:
    """Returns a plain shell's variables: nothing is set that tunes threads or memory."""
    tuned = {"OMP_NUM_THREADS", "MALLOC_ARENA_MAX", "LD_PRELOAD", *ENVIRONMENT}
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    return {name: value for name, value in os.environ.items() if name not in tuned} | quiet


def shells(threads: int) -> dict[str, dict[str, str]]:
    """Returns the environments in which a peer runs, so that spinning threads do not decide; the faster one counts."""
    return {"plain": peer_environment(), "as ours": our_environment(threads)}


def cores() -> int:
    """Returns the number of cores this process may use (all of the machine if the system does not say)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(threads: int, precision: str = "float32") -> dict[str, Any]:
    """Returns the facts needed to compare figures; `load` says how busy the machine was before."""
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "threads": threads,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "torch": metadata.version("torch"),
        "transformers": metadata.version("transformers"),
        "precision": precision,
        "load": round(os.getloadavg()[0], 1),
    }


def _cpu_model() -> str:
    about = Path("/proc/cpuinfo")
    fields = [line.partition(":") for line in about.read_text().splitlines()] if about.is_file() else []
    found = {name.strip(): value.strip() for name, _, value in reversed(fields)}
    numbers = ", ".join(f"{name} {found[name]}" for name in ("cpu family", "model") if name in found)
    return f"{found.get('model name', 'unknown')} ({numbers})" if numbers else "unknown"


def alternate(rounds: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Call each side once a round, every other round in reverse order; returns what each gave, round by round."""
    given: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(list(sides)))
        for name in order:
            given[name].append(sides[name]())
    return given


def best(given: Mapping[str, Sequence[float]], names: Iterable[str]) -> str:
    """The side with the highest median of those named."""
    return max(names, key=lambda name: statistics.median(given[name]))


@dataclass(frozen=True)
class Comparison:
    """Medians of ours and the peer's, their ratio (over 1: ours is better), and its least and greatest in a round."""

    ours: float
    peer: float
    ratio: float
    low: float
    high: float

    @classmethod
    def of_rates(cls, ours: Sequence[float], peer: Sequence[float]) -> Comparison:
        """Compares figures that are better the larger they are; figure i of both is of round i."""
        ratios = [a / b for a, b in zip(ours, peer, strict=True)]
        medians = statistics.median(ours), statistics.median(peer)
        return cls(*medians, medians[0] / medians[1], min(ratios), max(ratios))

    @classmethod
    def of_seconds(cls, ours: Sequence[float], peer: Sequence[float]) -> Comparison:
        """Compares figures that are better the smaller they are."""
        ratios = [b / a for a, b in zip(ours, peer, strict=True)]
        medians = statistics.median(ours), statistics.median(peer)
        return cls(*medians, medians[1] / medians[0], min(ratios), max(ratios))

    def row(self, unit: str) -> Row:
        """As columns of a table."""
        spread = f"{self.low:.2f}–{self.high:.2f}"
        return {f"ours, {unit}": self.ours, f"peer, {unit}": self.peer, "ratio": self.ratio, "spread": spread}


@dataclass(frozen=True)
class Aim:
    """A value to reach, in words, and the measured value."""

    name: str
    aim: str
    measured: float
    reached: bool

    @classmethod
    def at_least(cls, name: str, bound: float, measured: float, unit: str = "") -> Aim:
        return cls(name, f">= {bound:g}{unit}", round(measured, 4), measured >= bound)

    @classmethod
    def below(cls, name: str, bound: float, measured: float, unit: str = "") -> Aim:
        return cls(name, f"< {bound:g}{unit}", round(measured, 4), measured < bound)


@dataclass
class Report:
    """A table in the making: rows (each a dictionary, of one kind a group), remarks and aims."""

    title: str
    machine: Mapping[str, Any]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)

    def add(self, row: Row, *aims: Aim) -> None:
        """Add a finished row and print it at once, as tables take their time."""
        self.rows.append(row)
        self.aims += aims
        print(", ".join(f"{name} {text(value)}" for name, value in row.items()), flush=True)

    def note(self, remark: str) -> None:
        self.notes.append(remark)

    def show(self, as_json: bool) -> None:
        """The machine, all rows as tables, remarks, aims; then, if asked for, everything as one line of JSON."""
        print(f"\n# {self.title}\n" + ", ".join(f"{name} {value}" for name, value in self.machine.items()))
        for group in _same_columns(self.rows):
            print("\n" + table(group))
        print("\n".join(["", *self.notes]))
        if self.aims:
            print("\n" + table([asdict(aim) for aim in self.aims]))
        if as_json:
            print(json.dumps(self.to_json(), ensure_ascii=False))

    def to_json(self) -> dict[str, Any]:
        aims = [asdict(aim) for aim in self.aims]
        return {
            "table": self.title,
            "machine": dict(self.machine),
            "aims": aims,
            "rows": self.rows,
            "notes": self.notes,
        }


def _same_columns(rows: Iterable[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return list(groups.values())


def page(title: str, module: str, doc: str | None, about: Mapping[str, Any], parts: Iterable[str]) -> str:
    """Returns a document that a table writes: its command, its docstring below the usage, and the parts."""
    facts = ", ".join(f"{name} {value}" for name, value in about.items() if name != "load")
    made = wrapped(f"Made by `python -m benchmarks.{module}` at {commit()}: {facts}.")
    explained = (doc or "").strip().split("\n\n")[2:]
    return "\n\n".join([f"# {title}", made, *explained, *parts]) + "\n"


def wrapped(sentences: str) -> str:
    return textwrap.fill(sentences, WIDTH, break_on_hyphens=False)


def table(rows: Sequence[Row]) -> str:
    """Rows of the same columns as a Markdown table."""
    lines = [list(rows[0]), *([text(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)


def text(value: Any) -> str:
    """A figure at the precision a reader wants: three digits, or whole with thousands marked."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and abs(value) >= 1000):
        return f"{value:,.0f}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
