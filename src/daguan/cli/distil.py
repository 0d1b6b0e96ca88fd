"""The command `distil`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration, print_json, write_csv
from daguan.cli.tables.students import print_students


def main(words: Words, accept_code: AcceptCode = False, csv: Csv = None, as_json: Json = False) -> None:
    """Teach the blend to a small student, to ship in its place.

    A student is one small model, which has the settings of distil.student or the blend's best tagger; the blend's
    n-gram CRF; and a judge, a stack that chooses among the spans that one of these two proposes. Two students are
    trained. The first learns from fold 0's models and a blend of them, and is scored beside its teachers and its model
    alone on the lines that fold 0 holds out. The second learns on all lines from the whole blend and is the one to
    ship: `predict` takes the folder that is named at the end. A warning names each member that is above the student.
    """
    from daguan.pipeline import distil
    from daguan.pipeline.budget.plan import load

    run = distil.make(load(configuration(words, accept_code)))
    found = {name: run.manifest()[name] for name in ("sides", "gains", "members", "members_alone", "labelled")}
    write_csv(csv, "named", found["sides"])
    if as_json:
        print_json({"model": str(run.path), **found})
    else:
        print_students(found["sides"], found["gains"])
        print(f"model: {run.path}")
