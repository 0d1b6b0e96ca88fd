"""Estimates the time, memory and disk of each stage: by speeds measured here, or by stated figures of a machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from daguan.core.settings import vary
from daguan.core.types import Sentence
from daguan.data.contest import Contest
from daguan.data.folds import units_taking_part
from daguan.data.format import format_labelled, format_unlabelled, iter_corpus, split_tokens, write_lines
from daguan.data.vocabulary import SPECIALS
from daguan.families.family import family_of
from daguan.pipeline import prepare
from daguan.pipeline.budget import resources
from daguan.pipeline.budget.allotment import FOLD, PRETRAIN, Task, folds_and_lines, largest_scale, makespan
from daguan.pipeline.budget.estimates import (
    BLEND,
    COMMAND,
    GPU,
    PREPARE_LINE,
    PREPARE_TOKEN,
    SPEED,
    STARTING,
    SUBMIT_TOKEN,
    Sizes,
    Speeds,
    are_enough,
    deadline,
    is_baseline,
    is_pretrained,
    most_tokens,
    tasks_of,
)
from daguan.pipeline.budget.measuring import measure, tokens_per_update
from daguan.pipeline.budget.plan import run_of_plan
from daguan.pipeline.budget.resources import Need
from daguan.pipeline.settings import DataSettings, Settings
from daguan.pipeline.stages import Stages
from daguan.training.devices import cores, find_device, gpus, jobs_at_a_time
from daguan.training.engine_settings import EngineSettings
from daguan.training.operations import operations_per_token

ROWS = ("prepare", "pretrain", "train", "blend", "submit")
LINE_TOKENS, LINE_ENTITIES, TYPES = 51, 1.95, 3  # the official contest's, for sizes that are stated
ENTRIES = 20_000  # of a vocabulary, where there is no text to count them in
SAMPLE_LINES = 20_000  # of a corpus whose tokens are not counted
LOADED = BLEND / 2  # of the seconds of a blend, those that a command which has trained has spent already
UPDATE = 0.05  # seconds of an update on a GPU, at least: its operations start one after another (assumed, not measured)
DIVIDED = 0.9  # share of the speed of N GPUs together that one pretraining on all of them reaches (assumed)


@dataclass(frozen=True)
class Machine:
    """The machine that an estimate is for.

    Attributes:
        cores: number of cores.
        gpus: number of GPUs; 0 for none.
        measured: whether the speeds were measured here.
        command: seconds until a command has loaded what it needs.
    """

    cores: int
    gpus: int = 0
    measured: bool = False
    command: float = COMMAND

    def workers(self, engine: EngineSettings, jobs: int) -> int:
        """Returns the number of jobs at a time, at least 1, which share_cores chooses here."""
        return max(1, jobs_at_a_time(engine, self.gpus or self.cores, jobs))


@dataclass(frozen=True)
class StageEstimate:
    """What one stage takes.

    Attributes:
        memory: bytes of all processes at once.
        gpu_memory: bytes of each GPU.
        disk: bytes that stay.
    """

    stage: str
    seconds: float = 0.0
    memory: float = 0.0
    gpu_memory: float = 0.0
    disk: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """The estimate of a whole run.

    Attributes:
        members: the members that take part; a budget may pay for some of them only.
        entries: number of entries of the vocabulary.
    """

    machine: Machine
    sizes: Sizes
    speeds: Speeds
    members: tuple[str, ...]
    entries: int
    stages: tuple[StageEstimate, ...]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def to_json(self) -> dict[str, object]:
        speeds = {"pretraining": self.speeds.speed, **{f"pretraining {k}": v for k, v in self.speeds.encoders.items()}}
        return {
            "machine": asdict(self.machine),
            "sizes": asdict(self.sizes),
            "tokens_per_second": {name: round(speed) for name, speed in speeds.items()},
            "members": list(self.members),
            "stages": [asdict(stage) for stage in self.stages],
            "seconds": self.seconds,
            "memory": max(stage.memory for stage in self.stages),
            "disk": sum(stage.disk for stage in self.stages),
        }


def stated_sizes(lines: int, test_lines: int, corpus_tokens: int, folds: int) -> Sizes:
    """Returns the sizes of a contest like the official one, with these numbers."""
    tokens, test = lines * LINE_TOKENS, test_lines * LINE_TOKENS
    return Sizes(lines, tokens, round(lines * LINE_ENTITIES), TYPES, test, corpus_tokens + tokens + test, folds)


def read_sizes(stages: Stages) -> tuple[Sizes, int]:
    """Returns the sizes of a configuration's contest, and the entries of its vocabulary. Before `prepare` has counted
    its text, both follow from the first lines of the corpus. Raises DataError."""
    settings = stages.settings
    train, test = stages.contest.read()
    units = units_taking_part(stages.contest, train, settings.folds)
    if stages.prepare.finished:
        entries = int(stages.prepare.manifest()["report"]["corpus"]["vocabulary"])
        return replace(Sizes.of(stages), units=units), entries
    tokens, known = _corpus_tokens(stages.contest.corpus)
    labelled = sum(len(sentence.tokens) for sentence in (*train, *test))
    known |= {token for sentence in (*train, *test) for token in sentence.tokens}
    if 0 < settings.folds.lines < len(train):
        train = train[: settings.folds.lines]
    sizes = Sizes.of_lines(train, test, tokens + labelled, settings.folds.count)
    return replace(sizes, units=units), resources.entries_of(settings, len(known) + len(SPECIALS))


def _corpus_tokens(corpus: Path) -> tuple[int, set[str]]:
    """Returns about how many tokens a corpus has, and the different ones in its first lines."""
    if not corpus.is_file():
        return 0, set()
    tokens, size, known = 0, 0, set[str]()
    for _, line in islice(iter_corpus(corpus), SAMPLE_LINES):
        found = split_tokens(line)
        known.update(found)
        tokens, size = tokens + len(found), size + len(line.encode()) + 1
    return round(tokens * corpus.stat().st_size / max(1, size)), known


def measured_here(settings: Settings, size: tuple[int, int, int] | None) -> Estimate:
    """Returns the estimate for this machine, after about a minute of measuring.

    size: labelled lines, test lines and corpus tokens; None for those of the configuration's contest.
    """
    stages = Stages(settings)
    prepare.build_contest(stages)
    with TemporaryDirectory() as folder:
        found = measure(settings, stages.contest, Path(folder))
    there = 0 if find_device(settings.engine).type == "cpu" else len(gpus(settings.engine)) or 1
    machine = Machine(cores(), there, True, found.command)
    if size is None:
        return estimated(stages, *read_sizes(stages), found.speeds, machine)
    return _without_contest(settings, size, found.speeds, machine)


def stated_machine(
    settings: Settings, size: tuple[int, int, int] | None, tokens_per_second: float, operations: float, devices: int
) -> Estimate:
    """Returns the estimate for a machine elsewhere.

    Args:
        tokens_per_second: of pretraining by one worker; 0 to follow from `operations`.
        operations: floating-point operations a second that pretraining reaches on one worker's device.
        devices: GPUs, 0 for none. `pretrain` is assumed to have engine.devices of that number, `train` of one.
    """
    machine, anywhere = Machine(cores(), devices), settings.replace(engine=settings.engine.replace(device="cpu"))
    if size is not None:
        entries = resources.entries_of(settings, ENTRIES)
        speeds = stated_speeds(settings, entries, tokens_per_second, operations, devices)
        return _without_contest(anywhere, size, speeds, machine)
    stages = Stages(anywhere)
    prepare.build_contest(stages)
    sizes, entries = read_sizes(stages)
    speeds = stated_speeds(settings, entries, tokens_per_second, operations, devices)
    return estimated(stages, sizes, entries, speeds, machine)


def stated_speeds(
    settings: Settings, entries: int, tokens_per_second: float, operations: float, devices: int
) -> Speeds:
    """Returns the speeds that follow from stated figures. What has no encoder runs on the processor's cores."""
    encoders = {}
    for member in settings.trained:
        config = settings.member(member)
        if is_baseline(settings, member):
            continue
        each = operations_per_token(config.encoder, entries, config.pretrain.masking.rate)
        speed = tokens_per_second or operations / each
        encoders[member] = min(speed, tokens_per_update(config) / UPDATE) if devices else speed
    elsewhere = SPEED if devices or not tokens_per_second else tokens_per_second
    return Speeds(elsewhere, encoders, update=UPDATE if devices else 0.0)


def _without_contest(settings: Settings, size: tuple[int, int, int], speeds: Speeds, machine: Machine) -> Estimate:
    """Returns the estimate for sizes alone: nothing of it is finished."""
    with TemporaryDirectory() as name:
        contest = Contest(Path(name) / "contest")
        line = Sentence.of([(("1",), "a")])
        write_lines(contest.train, [format_labelled(line)])
        write_lines(contest.test, [format_unlabelled(line)])
        places = DataSettings(dir=str(contest.folder), work=f"{name}/work", submissions=f"{name}/out")
        sizes = stated_sizes(*size, settings.folds.count)
        entries = resources.entries_of(settings, ENTRIES)
        return estimated(Stages(settings.replace(data=places)), sizes, entries, speeds, machine)


def estimated(stages: Stages, sizes: Sizes, entries: int, speeds: Speeds, machine: Machine) -> Estimate:
    """Returns the estimate of what is not finished."""
    if (plan := run_of_plan(stages.settings)) and plan.finished:
        rows = tuple(map(StageEstimate, ROWS))
        return Estimate(machine, sizes, speeds, stages.settings.members, entries, rows)
    preparing = _prepare_seconds(sizes, machine)
    if stages.settings.budget.minutes:
        settings, sizes, tasks, scale = _budgeted(stages, sizes, speeds, machine, preparing)
        stages = Stages(settings)
    else:
        tasks, scale = [replace(task, weight=1.0) for task in _tasks(stages, sizes, speeds, machine)], math.inf
    settings = stages.settings
    blend = sizes.blend_seconds(len(settings.members)) - (0.0 if settings.budget.minutes else LOADED)
    rows = (
        _row("prepare", stages.prepare.finished, preparing, [resources.preparing(sizes, entries)]),
        *_training_rows(settings, sizes, entries, tasks, scale, machine),
        _row("blend", stages.blend.finished, pace_of(speeds) * blend, [resources.blending(settings, sizes)]),
        _row("submit", stages.submission.is_file(), SUBMIT_TOKEN * sizes.test_tokens, [resources.submitting(sizes)]),
    )
    return Estimate(machine, sizes, speeds, settings.members, entries, rows)


def _training_rows(
    settings: Settings, sizes: Sizes, entries: int, tasks: Sequence[Task], scale: float, machine: Machine
) -> tuple[StageEstimate, StageEstimate]:
    """Returns the estimates of `pretrain` and `train`. Under a budget they overlap; else folds follow the pretraining
    that ends last."""
    gpu = machine.gpus > 0
    starts = [task for task in tasks if task.kind == PRETRAIN]
    folds = [task for task in tasks if task.kind == FOLD]
    train = machine.workers(settings.engine, len(settings.trained) * sizes.folds)
    pretrain = train if settings.budget.minutes else machine.workers(settings.engine, max(1, len(starts)))
    pretrain = 1 if gpu and not machine.measured else pretrain
    first = _seconds(starts, scale, pretrain)
    after = _seconds(tasks, scale, train) - first if settings.budget.minutes else _seconds(folds, scale, train)
    needs = [resources.pretraining(settings, task.member, entries, gpu) for task in starts]
    more = [resources.fold(settings, task.member, sizes, entries, gpu) for task in folds]
    return _row("pretrain", not starts, first, needs, pretrain), _row("train", not folds, max(0.0, after), more, train)


def pace_of(speeds: Speeds) -> float:
    """Returns how long a process takes to start here, as a multiple of what is usual."""
    return sum(speeds.starting.values()) / (STARTING * len(speeds.starting)) if speeds.starting else 1.0


def _prepare_seconds(sizes: Sizes, machine: Machine) -> float:
    return machine.command + PREPARE_TOKEN * sizes.text_tokens + PREPARE_LINE * sizes.lines


def _tasks(stages: Stages, sizes: Sizes, speeds: Speeds, machine: Machine) -> list[Task]:
    """Returns what all members need, their evaluations included. A pretraining elsewhere is divided among all GPUs; one
    here is measured as it is divided."""
    settings, tasks = stages.settings, list[Task]()
    shared = max(1.0, DIVIDED * machine.gpus) if machine.gpus > 1 and not machine.measured else 1.0
    for task in tasks_of(stages, settings.trained, sizes, speeds):
        if task.kind == FOLD:
            config = settings.member(task.member)
            labelled = (family_of(config.family).evaluations(config) - 1) * sizes.tokens / sizes.folds
            task = replace(task, overhead=task.overhead + labelled / speeds.labelling(task.member))
        elif is_pretrained(settings, task.member):
            task = replace(task, most=task.most / shared)
        tasks.append(task)
    return tasks


def _seconds(tasks: Sequence[Task], scale: float, workers: int) -> float:
    return makespan(tasks, scale, [0.0] * workers, {}) if tasks else 0.0


def _row(name: str, finished: bool, seconds: float, needs: Sequence[Need], workers: int = 1) -> StageEstimate:
    """Returns the estimate of a stage, all 0 if it is finished. Its memory is enough for the largest needs at once."""
    if finished:
        return StageEstimate(name)
    largest = sorted((need.memory for need in needs), reverse=True)[:workers]
    gpu = max((need.gpu_memory for need in needs), default=0.0)
    return StageEstimate(name, seconds, sum(largest), gpu, sum(need.disk for need in needs))


def _budgeted(
    stages: Stages, sizes: Sizes, speeds: Speeds, machine: Machine, preparing: float
) -> tuple[Settings, Sizes, list[Task], float]:
    """Returns the settings, sizes and tasks that the minutes pay for, with the scale of their seconds."""
    requested = stages.settings
    workers, limit = machine.workers(requested.engine, machine.gpus or machine.cores), 60 * requested.budget.minutes
    worth = GPU if machine.gpus else 1.0
    folds, lines = folds_and_lines(sizes.tokens, sizes.lines, sizes.units or sizes.lines, limit * workers * worth)
    sizes = _cut(sizes, folds, lines)
    pretrained = [one for one in requested.members if is_pretrained(requested, one)]
    numbers = {one: {"pretrain": {"tokens": most_tokens(requested, one, sizes.text_tokens)}} for one in pretrained}
    settings = vary(requested, {"folds": {"count": folds}, "ensemble": numbers}, "the estimate")
    free, chosen, found, scale = [preparing] * workers, list[str](), list[Task](), 0.0
    for member in requested.members:
        tried = [*chosen, member]
        tasks = _tasks(Stages(settings.replace(members=tuple(tried))), sizes, speeds, machine)
        end = deadline(limit, pace_of(speeds) * sizes.blend_seconds(len(tried)))
        given = largest_scale(tasks, free, {}, end) if tasks else 0.0
        if sum(not is_baseline(requested, one) for one in tried) <= 1 or are_enough(settings, tasks, given):
            chosen, found, scale = tried, tasks, given
    return settings.replace(members=tuple(chosen)), sizes, found, scale


def _cut(sizes: Sizes, folds: int, lines: int) -> Sizes:
    """Returns the sizes with that number of folds and of training lines, 0 for all."""
    share = min(1.0, lines / sizes.lines) if lines else 1.0
    parts: Mapping[str, int] = {name: round(share * getattr(sizes, name)) for name in ("lines", "tokens", "entities")}
    return replace(sizes, folds=folds, **parts)
