"""A budget of minutes: `prepare` makes its plan once, and every other command follows it.

This is not a command. The plan is a run, budget-KEY, named by the data, the settings and the machine. Members that were
dropped from it later are recorded beside it, and every command leaves them out; the plan and its preset still name
them.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from daguan.core.errors import MissingStageError
from daguan.core.files import read_json, write_json, write_text
from daguan.core.progress import say
from daguan.core.runs import MANIFEST, Run, Stopwatch, run_of
from daguan.core.settings import require, to_dict, vary
from daguan.core.settings_text import settings_text
from daguan.core.tables import Row
from daguan.core.types import Sentence, labels_of
from daguan.data.augmentation import added_tokens
from daguan.data.pretraining_text import prepare_text
from daguan.pipeline import settings as plain
from daguan.pipeline.budget.choosing import Choice, choose
from daguan.pipeline.budget.costs import Facts, Rates, bytes_of, fold_seconds, seconds_of
from daguan.pipeline.budget.measuring import measure
from daguan.pipeline.budget.supervisor import BudgetSupervisor, read_dropped
from daguan.pipeline.budget.trials import FOLDS
from daguan.pipeline.budget.workload import safest_first, start_of, starts, work_of
from daguan.pipeline.engines.supervision import UNSUPERVISED, Supervisor
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once
from daguan.training.devices import cores, cpu_model, find_device, matrix_dtype, memory, share_cores
from daguan.training.engine_settings import EngineSettings

PLAN, PRESET = "plan.json", "plan.yaml"
SCRATCH = "trials"
READ = ("vocabulary", "folds", "encoder", "vectors", "pretrain", "conflicts", "augmentation", "model", "train",
        "ngram_crf", "engine", "budget")  # fmt: skip
CODE = [Row("daguan.pipeline.budget.choosing:choose")]  # the code of measuring changes no choice
MEMORY = 0.8  # share of the available memory; the estimates are rough
AUGMENTED_LINES = 1_000  # lines that show how much augmentation adds
ROUND = 10  # the seconds of planning are rounded up to a multiple


def load(words: list[str]) -> Settings:
    """Returns the settings of a command line; with a budget, as planned and with the members that were not dropped.

    Raises:
        ConfigError: the settings are wrong.
        CheckpointError: there is no plan yet.
    """
    asked = plain.load(words)
    if (run := finished_plan(asked)) is None:
        return asked
    settings, dropped = followed(asked, run), reported_dropped(run)
    left = [member for member in settings.members if not dropped.keys() & set(settings.with_needs(member))]
    return settings.replace(members=tuple(left))


@contextmanager
def supervised(words: list[str]) -> Iterator[tuple[Settings, Supervisor]]:
    """Yields the settings of a command line, as planned if they have a budget, and the supervisor that drops members.

    These settings name all members of the plan.

    Raises:
        ConfigError: the settings are wrong.
        CheckpointError: there is no plan yet, or nothing is prepared.
    """
    asked = plain.load(words)
    if (run := finished_plan(asked)) is None:
        yield asked, UNSUPERVISED
        return
    settings = followed(asked, run)
    reported_dropped(run)
    needs = {member: settings.with_needs(member) for member in settings.trained}
    folds = settings.folds.count
    workers = share_cores(settings.engine, len(needs) * folds)[0]
    before = run.manifest()["seconds"] + Stages(settings).prepare.manifest()["seconds"]
    supervisor = BudgetSupervisor(run.path, read_json(run.path / PLAN), needs, folds, workers, before)
    try:
        yield settings, supervisor
    finally:
        supervisor.clock.keep()


def finished_plan(asked: Settings) -> Run | None:
    """Returns the run of the plan, None without a budget. Raises CheckpointError if there is none yet."""
    run = run_of_plan(asked)
    if run is not None and not run.finished:
        raise MissingStageError(f"{run.path}: expected the plan of budget.minutes, got none", run.stage)
    return run


def reported_dropped(run: Run) -> dict[str, str]:
    dropped = read_dropped(run.path)
    for member, why in dropped.items():
        say(f"budget: without {member}, which was dropped: {why}")
    return dropped


def planned(asked: Settings) -> Settings:
    """Returns the settings as planned, after making the plan if needed. Raises ConfigError for a rung that does not fit
    the settings."""
    if (run := run_of_plan(asked)) is None:
        return asked
    rungs = [
        safest_first(vary(asked, rung, f"budget.rungs, rung {number}"))
        for number, rung in enumerate(asked.budget.rungs)
    ]
    for name in asked.budget.spare:
        require("budget.spare", name in asked.known, " or ".join(asked.known), name)
    for member in dict.fromkeys(name for rung in rungs for name in with_spare(rung)):
        alone = not asked.needs_of(member)  # the estimate has no work of other members
        require("budget.rungs", alone, "members that need no other's run", member)
    engine = asked.engine.replace(workers=workers_of(asked.engine, rungs))
    rungs = [rung.replace(engine=engine) for rung in rungs]
    once(run, partial(make_plan, asked=asked.replace(engine=engine), rungs=rungs))
    return followed(asked, run)


def workers_of(engine: EngineSettings, rungs: list[Settings]) -> int:
    """Returns the number of workers: that of the trials, and so the largest one in training.

    More workers might slow each other down more than was measured.
    """
    members = {name for rung in rungs for name in with_spare(rung)}
    return share_cores(engine, FOLDS * len(members))[0]


def run_of_plan(asked: Settings) -> Run | None:
    """Returns the run of the plan, None without a budget."""
    if not asked.budget.minutes:
        return None
    sized = not any(asked.member(name).encoder.checkpoint for name in asked.known)  # a trial does not know its size
    require("budget.minutes", sized, "0 with encoder.checkpoint", asked.budget.minutes)
    stages, everything = Stages(asked), to_dict(asked)
    del everything["engine"]["kind"]  # where jobs run is in no key
    before = {"data": stages.data_sha256, **{name: everything[name] for name in READ}}
    before |= {name: everything[name] for name in ("seed", "members", "ensemble", "family")}
    machine = {"cores": cores(), "cpu": cpu_model(), "device": find_device(asked.engine).type}
    machine["precision"] = str(matrix_dtype(asked.engine))
    return run_of(stages.work, "budget", before | {"machine": machine}, CODE)


def followed(asked: Settings, run: Run) -> Settings:
    """Returns the settings with the plan's choice and without a budget."""
    return vary(asked, read_json(run.path / PLAN)["changes"], str(run.path / PLAN))


def make_plan(run: Run, asked: Settings, rungs: list[Settings]) -> None:
    """Measure, choose, and write both files of the plan."""
    watch, began, budget = Stopwatch(), time.time(), asked.budget
    for left in run.path.glob(f"{SCRATCH}-*"):  # of a plan cut short
        shutil.rmtree(left, ignore_errors=True)
    scratch = Path(mkdtemp(prefix=f"{SCRATCH}-", dir=run.path))  # a worker of such a plan does not know this one
    facts, rates = tried(scratch, asked, rungs)
    shutil.rmtree(scratch, ignore_errors=True)
    spent = ROUND * math.ceil(watch.seconds / ROUND)
    limit, room = 60 * budget.share * budget.minutes - spent, MEMORY * memory()
    there = of_tried(rungs, rates.members)
    choice = choose([work_of(rung) for rung in there.values()], facts, rates, limit, budget.passes, room)
    choice = replace(choice, rung=list(there)[choice.rung])
    chosen = there[choice.rung]
    full = full_rung(chosen, rates.members, lambda rung: bytes_of(work_of(rung), facts) <= room)
    work, spare = work_of(full), list(full.members[len(chosen.members) :])
    fold, blended = fold_seconds(work, facts, rates), seconds_of(work, facts, rates)["blend"]
    choice = replace(choice, seconds=choice.seconds | {"blend": blended})
    changes = changes_of(asked, choice) | {"members": list(full.members)}
    minutes = round((spent + sum(choice.seconds.values())) / 60, 1)
    about = {"minutes": budget.minutes, "estimated": minutes, "planning": spent, "spare": spare, "fold": fold}
    about |= asdict(choice)
    write_json(run.path / PLAN, {**about, "changes": changes, "facts": asdict(facts), "rates": asdict(rates)})
    preset = vary(asked, changes, "the plan")
    head = f"# Planned for {budget.minutes:g} minutes on {cores()} cores; the estimate is {minutes:g} minutes.\n"
    write_text(run.path / PRESET, head + settings_text(preset, left_out=("budget",)))
    tell(preset, choice, len(rungs), budget.minutes, minutes, room, spare)
    run.finish(watch.seconds, began=began)


def tried(scratch: Path, asked: Settings, rungs: list[Settings]) -> tuple[Facts, Rates]:
    """Returns the facts of the data and the rates of the machine."""
    contest, watch = Stages(asked).contest, Stopwatch()
    train, test = contest.read()
    read = watch.seconds
    text = prepare_text(scratch, contest.corpus, [*train, *test], asked.vocabulary)
    numbered = watch.seconds - read
    facts = facts_of(train, test, text, asked)
    richest = rungs[0].replace(members=with_spare(rungs[0]))
    return facts, measure([richest, *rungs[1:]], scratch, train, test, facts, read, numbered)


def with_spare(rung: Settings) -> tuple[str, ...]:
    """Returns the rung's members and all that may be trained beside them."""
    return tuple(dict.fromkeys([*rung.members, *rung.budget.spare]))


def full_rung(rung: Settings, tried: Collection[str], fits: Callable[[Settings], bool]) -> Settings:
    """Returns the rung with its spare members.

    They are those whose trials succeeded, that start from nothing which the rung does not make, and that fit into
    memory.
    """
    made, full = {"", *starts(rung)}, rung
    for name in with_spare(rung)[len(rung.members) :]:
        more = full.replace(members=(*full.members, name))
        if name in tried and start_of(rung.member(name)) in made and fits(more):
            full = more
    return full


def of_tried(rungs: list[Settings], names: Collection[str]) -> dict[int, Settings]:
    """Returns the rungs by number, each with those members whose trials succeeded; rungs without one are left out."""
    members = [tuple(member for member in rung.members if member in names) for rung in rungs]
    return {
        number: rung.replace(members=left)
        for number, (rung, left) in enumerate(zip(rungs, members, strict=True))
        if left
    }


def facts_of(train: list[Sentence], test: list[Sentence], text: Mapping[str, int], asked: Settings) -> Facts:
    lengths = [[len(sentence.tokens) for sentence in part] for part in (train, test)]
    return Facts(
        train_lines=len(train),
        train_tokens=sum(lengths[0]),
        test_lines=len(test),
        test_tokens=sum(lengths[1]),
        longest_line=max(map(max, lengths)),
        types=len(labels_of(train)),
        text_tokens=text["tokens"],
        vocabulary=text["vocabulary"],
        entities=sum(len(sentence.gold) for sentence in train),
        added=added_tokens(train[:: math.ceil(len(train) / AUGMENTED_LINES)], asked.augmentation, asked.seed),
    )


def changes_of(asked: Settings, choice: Choice) -> dict[str, Any]:
    """Returns the changes of the plan: the rung's settings, the tokens of pretraining, and settings that depend on the
    machine."""
    precision = "bf16" if "bfloat16" in str(matrix_dtype(asked.engine)) else "float32"
    rung = dict(asked.budget.rungs[choice.rung])
    rung["pretrain"] = {"tokens": choice.tokens} if choice.tokens else rung.get("pretrain", {})
    engine = {"precision": precision, "workers": asked.engine.workers}
    return {**rung, "engine": engine, "budget": {"minutes": 0, "rungs": [], "spare": []}}


def tell(
    preset: Settings, choice: Choice, rungs: int, budget: float, minutes: float, room: float, spare: Sequence[str] = ()
) -> None:
    """Print the choice. room: the bytes of memory that may be used."""
    if not choice.fits:
        costs = f"{minutes:.0f} of {budget:g} minutes and {choice.bytes / 1e9:.1f} of {room / 1e9:.1f} GB of memory"
        say(f"budget: even the poorest rung needs an estimated {costs}; it is taken")
    lines = f", {preset.folds.lines:,} training lines" if preset.folds.lines else ""
    tokens = f", {choice.tokens:,} tokens of pretraining" if choice.tokens else ""
    members = ", ".join(name for name in preset.members if name not in spare)
    rest = f"; in the remaining time {', '.join(spare)}" if spare else ""
    say(
        f"budget: rung {choice.rung} of 0 to {rungs - 1}: {members}; {preset.folds.count} folds, "
        f"{preset.train.epochs} epochs{lines}{tokens}; an estimated {minutes:.0f} of {budget:g} minutes{rest}"
    )


def used(words: list[str], blend: Path) -> str:
    """Returns the used minutes of the budget, from the plan's start to the blend's end.

    Empty without a budget, or if the blend is older than the plan.
    """
    asked = plain.load(words)
    run = run_of_plan(asked)
    if run is None or not (blend / MANIFEST).is_file():
        return ""
    minutes = ((blend / MANIFEST).stat().st_mtime - run.manifest()["began"]) / 60
    return f"budget: {minutes:.1f} of {asked.budget.minutes:g} minutes from plan to blend" if minutes > 0 else ""
