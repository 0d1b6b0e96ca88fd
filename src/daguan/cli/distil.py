"""distil [CONFIG] [key=value …] [--json]: the blend taught to one small model, distil.student, to ship in its place.

Two students are trained. One as fold 0 is, by fold 0's models and a blend of them: its score on the lines that fold 0
holds out stands beside those of its teachers. The other, which is shipped, on all lines, by the whole blend; `predict`
takes the folder that is named at the end. Both are judged at the end alone, as the latter has no lines to be best on.
"""

from __future__ import annotations

import json

from daguan.cli.student_table import print_students
from daguan.families.fold import MODEL
from daguan.pipeline import distil
from daguan.pipeline.budget.plan import load


def main(words: list[str]) -> None:
    run = distil.make(load([word for word in words if word != "--json"]))
    found = {name: run.manifest()[name] for name in ("sides", "gains", "labelled")}
    print_students(found["sides"], found["gains"])
    print(f"model: {run.path / MODEL}")
    if "--json" in words:
        print(json.dumps({"model": str(run.path / MODEL), **found}))
