"""Runs that a shipped model should not be below: members of its blends, and the best n-gram CRF of the same folds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daguan.core.files import read_json
from daguan.core.progress import say
from daguan.core.runs import MANIFEST
from daguan.ensemble.distillation import ALONE, MEMBERS, MEMBERS_ALONE, STUDENT
from daguan.pipeline.ledger import read_ledger

NGRAM_CRF = "ngram_crf"


def ngram_crf(work: Path, lines: str) -> list[str]:
    """Returns the name of the best n-gram CRF out of fold, if there is one that may be blended with runs of `lines`."""
    return [entry.run for entry in read_ledger(work) if entry.family == NGRAM_CRF and entry.lines == lines][:1]


def ahead_of(model: Path) -> dict[str, float]:
    """Returns by how much span F1 rivals are ahead of a model out of fold, from 0 to 1, by name and the most first.

    model: its folder, in or below that of its run. A student, or its model alone, is compared on the lines that the
        scored one held out.
    """
    run = run_of(model)
    manifest = read_json(run / MANIFEST) if run else {}
    found: dict[str, float] = {}
    if run and MEMBERS in manifest:
        gains = manifest[MEMBERS if side_of(model, run) == STUDENT else MEMBERS_ALONE]
        found = {name: -gain["f1"] for name, gain in gains.items()}
    elif run and "lines" in manifest:
        found = {name: f1 - manifest["out_of_fold"] for name, f1 in _f1_of_rivals(run, manifest).items()}
    return {name: lead for name, lead in sorted(found.items(), key=lambda item: -item[1]) if lead > 0}


def side_of(model: Path, run: Path) -> str:
    """Returns which side of a student's run a model in it is: the run's folder is the student, any other the model
    alone. In a run of before students had judges, the student is the model."""
    judged = MEMBERS_ALONE in read_json(run / MANIFEST)
    return ALONE if judged and model.resolve() != run.resolve() else STUDENT


def _f1_of_rivals(run: Path, manifest: dict[str, Any]) -> dict[str, float]:
    """Returns the span F1 out of fold of the rivals of a member's run, by name."""
    names = {*ngram_crf(run.parent, manifest["lines"])}
    for blend in run.parent.glob(f"blend-*/{MANIFEST}"):
        members = read_json(blend)["depends_on"]["members"]
        names |= {*members} if run.name in members else set()
    return {entry.run: entry.f1 for entry in read_ledger(run.parent) if entry.run in names - {run.name}}


def warn(command: str, model: Path) -> dict[str, float]:
    """Says which rivals are ahead of a model that is shipped; returns them as `ahead_of`."""
    found = ahead_of(model)
    for name, lead in found.items():
        say(f"{command}: warning: {model}: {100 * lead:.2f} points of span F1 below {name} out of fold")
    return found


def run_of(model: Path) -> Path | None:
    """Returns the folder of the finished run that a model is in, if it is there."""
    path = model.absolute()
    return next((folder for folder in (path, *path.parents[:2]) if (folder / MANIFEST).is_file()), None)
