"""Writes the blend's answer as a checked submission, with its manifest and its row in the table of submissions."""

from __future__ import annotations

import datetime
import shlex
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from daguan.competition import gate
from daguan.competition import submissions_table as leaderboard
from daguan.core.files import sha256_of_file, write_atomic, write_json, write_text
from daguan.core.progress import say
from daguan.core.quantity import quantity
from daguan.core.runs import FORMAT, environment, folder_lock
from daguan.core.settings import to_dict
from daguan.core.settings_text import settings_text
from daguan.data.scores import score_files
from daguan.pipeline import settings as plain
from daguan.pipeline.budget.plan import load
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages


def make(words: list[str]) -> tuple[Path, dict[str, Any]]:
    """Check the blend's answer, write it with its manifest and its row in the table of submissions, and return its path
    and the manifest."""
    settings = load(words)
    stages = Stages(settings)
    blend = stages.answered()
    answer = stages.answer.path / f"{blend['final']}.txt"
    lines = gate.check(answer, stages.contest.test)  # before anything is written
    leaderboard.read(stages.submission.parent)
    gold = stages.contest.test_gold
    test = stages.translation.scores(score_files(answer, gold)) if gold.is_file() else None
    with folder_lock(stages.submission.parent, wait=True):  # two at once would lose a row
        write_atomic(stages.submission, partial(shutil.copyfile, answer))
        if plain.load(words).budget.minutes:  # as another plan may choose other settings
            words = [str(stages.submission.with_suffix(".yaml"))]
            write_text(Path(words[0]), settings_text(settings, left_out=("budget",)))
        manifest = _manifest(settings, stages, words, test)
        write_json(stages.submission.with_suffix(".json"), manifest)
        leaderboard.record(stages.submission.parent, manifest)
    say(f"submit: {stages.submission} ({quantity(lines, 'line')}, checked)")
    return stages.submission, manifest


def _manifest(settings: Settings, stages: Stages, words: list[str], test: dict[str, Any] | None) -> dict[str, Any]:
    blend = stages.answer.manifest()
    members = {run.path.name: run.manifest() for run in stages.members}
    pretrained = [run for member in settings.trained if (run := stages.pretrain(member)) and run.finished]
    pseudo = [run for member in settings.trained if (run := stages.pseudo_labels(member)) and run.finished]
    trained = [run for member in settings.trained if (run := stages.train(member)).finished]
    runs = [stages.prepare, *pretrained, *trained, *pseudo, *stages.members, stages.answer]
    return {
        "format": FORMAT,
        "name": stages.submission.stem,
        "command": shlex.join(["bash", "scripts/run_all.sh", *words]),
        "date": datetime.date.today().isoformat(),
        "config": to_dict(settings),
        "seed": settings.seed,
        "data_sha256": stages.data_sha256,
        "submission_sha256": sha256_of_file(stages.submission),
        "out_of_fold": {name: stages.translation.scores(found) for name, found in blend["out_of_fold"].items()},
        "scored_lines": stages.scored_lines,
        "folds": {name: [fold["f1"] for fold in member["folds"]] for name, member in members.items()},
        "test": test,
        "final": blend["final"],
        "method": blend["method"],
        "gains": blend["gains"],
        "seconds": {run.path.name: run.manifest()["seconds"] for run in runs},
        **environment(),
    }
