"""Reproduces the claims of the papers one after another, and writes docs/claims.md.

    python -m benchmarks.claims [--json] [CLAIM …] [key=value …]

Each claim is run as `daguan reproduce CLAIM [key=value …]` does: all its sides with several seeds, at the sizes that
stand in its row, and a verdict by the rule of experiments/claims/verdict.py, which was written before any run: `holds`
if the 95 % t-interval of the differences paired by seed leaves out zero on the paper's side, `against` if it leaves out
zero on the other side, `not seen at this size` if it contains zero. A difference is the first side's figure minus the
second's. Cells of the tables of sides are means over the seeds ± the standard deviation.

A finished claim is a line of benchmarks/claims.jsonl and is not run again with the same words: delete the line to run
it again. A claim that was cut short continues from its runs in data/benchmarks. docs/claims.md is made from the lines.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from benchmarks.data import WORK
from benchmarks.harness import ROOT, Report, Row, cores, machine, page, table
from daguan.cli.tables.claims import draw, tables_of
from daguan.core.processes import settle_environment
from daguan.core.runs import commit
from daguan.experiments.claims import running
from daguan.experiments.claims.table import CLAIMS

PAGE, RECORDS = ROOT / "docs" / "claims.md", ROOT / "benchmarks" / "claims.jsonl"
PLOTS = ROOT / "docs" / "claims"
Line = dict[str, Any]


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", metavar="CLAIM, key=value", nargs="*", help=f"of {', '.join(CLAIMS)}; none: all")
    parser.add_argument("--json", action="store_true", help="print one JSON object with all rows on the last line")
    asked = parser.parse_args(words)
    chosen = [word for word in asked.words if "=" in word]
    names = [word for word in asked.words if "=" not in word]
    if unknown := [name for name in names if name not in CLAIMS]:
        parser.error(f"expected claims of {', '.join(CLAIMS)}, got {', '.join(unknown)}")
    report = Report("claims", machine(cores()))
    for name in names or CLAIMS:
        lines = recorded()
        if not (of := [line for line in lines if (line["claim"], line["words"]) == (name, chosen)]):
            of = [reproduced(name, chosen)]
            with RECORDS.open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(of[0], ensure_ascii=False) + "\n")
        report.add(row(of[0]))
        write_page(recorded(), report.machine)
    report.show(asked.json)


def reproduced(name: str, words: Sequence[str]) -> Line:
    """Returns the line of a claim, which is run now; its plot goes beside the page."""
    before = os.getloadavg()[2]
    outcome = running.run_claim(name, running.load(name, [f"work={WORK}", *words]))
    plot = PLOTS / plot_name(name, words)
    plot.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(draw(outcome), plot)
    load = f"{before:.1f} to {os.getloadavg()[2]:.1f}"
    about = {"words": list(words), "plot": plot.name, "code": commit(), "cpu": machine(cores())["cpu"], "load": load}
    line = running.record(outcome)
    sizes = {key: value for key, value in line["settings"].items() if key != "work"}  # a path of this machine
    return {**line, **about, "settings": sizes, "tables": tables_of(outcome)}


def plot_name(name: str, words: Sequence[str]) -> str:
    """Returns the name of a file for the plot: words may hold paths."""
    return re.sub("[^A-Za-z0-9]+", "-", " ".join([name, *words])) + ".svg"


def recorded() -> list[Line]:
    """Returns the stored lines, ordered as CLAIMS is."""
    texts = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.is_file() else []
    lines = [json.loads(text) for text in texts]
    return [line for name in CLAIMS for line in lines if line["claim"] == name]


def row(line: Mapping[str, Any]) -> Row:
    """Returns a line's row in the first table of the page."""
    return {
        "command": " ".join(["daguan reproduce", line["claim"], *line["words"]]),
        "claim": line["says"],
        "verdict": line["verdict"],
        "seeds": len({part["seed"] for part in line["parts"]}),
        "minutes": f"{line['seconds'] / 60:.1f}",
        "load": line["load"],
        "commit": line["code"],
    }


def write_page(lines: Sequence[Line], about: Mapping[str, Any]) -> None:
    """Writes docs/claims.md, unless there is no line."""
    if lines:
        parts = [table([row(line) for line in lines]), *(part for line in lines for part in section(line))]
        PAGE.write_text(page("Claims of the papers", "claims", __doc__, about, parts), encoding="utf-8")


def section(line: Line) -> list[str]:
    """Returns the parts of a claim's section: its command, what its sides are, paper and settings, tables, plot."""
    name = " ".join([line["claim"], *line["words"]])
    sizes = ", ".join(f"{key} {value}" for key, value in line["settings"].items() if value != "")
    tables = [table([dict(zip(header, cells, strict=True)) for cells in rows]) for header, rows in line["tables"]]
    sources = f"{line['paper']}. Settings: {sizes}."
    return [f"## {name}", *explanation(line["claim"]), sources, *tables, f"![{name}](claims/{line['plot']})"]


def explanation(name: str) -> list[str]:
    """Returns what the module of a claim says of its sides: the paragraphs of its docstring after the first line."""
    module = import_module(CLAIMS[name].path.partition(":")[0])
    return [textwrap.fill(" ".join(part.split()), 120) for part in (module.__doc__ or "").split("\n\n")[1:]]


if __name__ == "__main__":
    settle_environment()  # as `daguan reproduce` does
    main(sys.argv[1:])
