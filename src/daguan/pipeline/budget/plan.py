"""A budget's plan: the run budget-KEY, the numbers that are fixed so far, and the settings that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from daguan.core.errors import MissingStageError
from daguan.core.files import read_json, write_json, write_text
from daguan.core.runs import Run, run_of
from daguan.core.settings import require, to_dict, vary
from daguan.core.settings_text import settings_text
from daguan.core.tables import Row
from daguan.data.folds import draw_lines, units_taking_part
from daguan.pipeline import settings as plain
from daguan.pipeline.budget.allotment import folds_and_lines
from daguan.pipeline.budget.settings import BudgetSettings
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, decided

STATE, PRESET = "plan.json", "plan.yaml"
FREE = ("name", "data", "contest", "blend", "distil", "tune", "plan", "rehearse")  # may change under a plan
OF_NO_KEY = ("kind", "address", "memory", "tensorboard")  # settings of the engine: where jobs run, and what they draw
CODE = [Row("daguan.pipeline.budget.allotment:largest_scale")]
NO_BUDGET = BudgetSettings()


@dataclass
class State:
    """What a plan has fixed so far.

    Attributes:
        changes: changes of the requested settings: folds, workers, threads and precision.
        seconds: seconds of wall clock that were used.
        speed: tokens a second of pretraining, by one worker; 0 before it is measured.
        members: those that take part, in order; none before they are chosen.
        numbers: by member, the changes of its settings: tokens of pretraining, and updates of its folds once all ended.
        dropped: by member, why it does not take part after all.
        submitted: "first", or the members of the blend that is submitted.
        f1: of that blend, out of fold.
    """

    changes: dict[str, Any]
    seconds: float = 0.0
    speed: float = 0.0
    members: list[str] = field(default_factory=list)
    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    f1: float = -1.0

    def followed(self, requested: Settings, members: Sequence[str], budget: BudgetSettings = NO_BUDGET) -> Settings:
        """Returns the settings with these members, and without a budget unless one is given."""
        numbers = {member: changes for member, changes in self.numbers.items() if member in members}
        found = vary(requested, {**self.changes, "ensemble": numbers}, "the plan")
        return found.replace(members=tuple(members), budget=budget)

    def why_not(self, member: str) -> str:
        """Returns why a member is not in the submitted blend."""
        never = "the minutes did not pay for it" if member not in self.members else "the blend was no better with it"
        return self.dropped.get(member, never)


def load(words: list[str]) -> Settings:
    """Returns the settings of a command line; with a budget, as its finished plan has them. Raises ConfigError, or
    MissingStageError: the plan is not finished."""
    requested = plain.load(words)
    run = run_of_plan(requested)
    if run is None:
        return requested
    if not run.finished:
        raise MissingStageError(f"{run.path}: expected the finished plan of budget.minutes, got none", run.stage)
    state = read_state(run.path)
    return state.followed(requested, state.submitted)


def load_sized(words: list[str]) -> Settings:
    """Returns the settings of a command line; with a budget, with its folds, which are fixed before anything else."""
    requested = plain.load(words)
    run = run_of_plan(requested)
    return requested if run is None else begun(run, requested).followed(requested, requested.members)


def run_of_plan(requested: Settings) -> Run | None:
    """Returns the run of the plan, None without a budget. Raises ConfigError."""
    if not requested.budget.minutes:
        return None
    for member in requested.budget.weights:
        require("budget.weights", member in requested.members, " or ".join(requested.members), member)
    for member in requested.members:
        needs = requested.needs_of(member)
        require("budget.minutes", not needs, f"0 with {member}, which needs other members", requested.budget.minutes)
    from daguan.training.devices import cores, cpu_model, find_device, matrix_dtype

    stages = Stages(requested)
    before = {name: value for name, value in to_dict(requested).items() if name not in FREE}
    for name in OF_NO_KEY:
        del before["engine"][name]
    machine = {"cores": cores(), "cpu": cpu_model(), "device": find_device(requested.engine).type}
    machine["precision"] = str(matrix_dtype(requested.engine))
    return run_of(stages.work, "budget", {**before, "data": stages.data_sha256, "machine": machine}, CODE)


def begun(run: Run, requested: Settings) -> State:
    """Returns the state of a plan, which begins with its folds and workers."""
    if not (run.path / STATE).is_file():
        write_state(run.path, State(first_changes(requested)))
    return read_state(run.path)


def first_changes(requested: Settings) -> dict[str, Any]:
    """Returns the changes that follow from the data and the machine alone."""
    from daguan.pipeline.budget.estimates import GPU, MEMORY, PROCESS, TRAINED_TOKEN
    from daguan.training.devices import cores, find_device, memory, share_cores

    contest, asked = Stages(requested).contest, requested.folds
    train, _ = contest.read()
    taking = draw_lines(train, asked.lines or len(train), asked.seed)
    tokens = sum(len(sentence.tokens) for sentence in taking)
    workers, _ = share_cores(requested.engine, cores())
    workers = max(1, min(workers, int(MEMORY * memory() / (PROCESS + TRAINED_TOKEN * tokens))))
    worth = GPU if find_device(requested.engine).type != "cpu" else 1.0
    units, seconds = units_taking_part(contest, train, asked), 60 * requested.budget.minutes * workers * worth
    count, lines = folds_and_lines(tokens, len(taking), units, seconds)
    while 0 < lines < len(taking):
        if units_taking_part(contest, train, asked.replace(count=count, lines=lines)) >= count:
            break
        lines *= 2  # all lines that were drawn are of one document
    threads = requested.engine.threads or max(1, cores() // workers)
    precision = decided(requested.engine).precision
    folds = {"count": count, "lines": min(asked.lines or lines, lines or asked.lines)}
    return {"folds": folds, "engine": {"precision": precision, "workers": workers, "threads": threads}}


def read_state(folder: Path) -> State:
    return State(**read_json(folder / STATE))


def write_state(folder: Path, state: State) -> None:
    write_json(folder / STATE, asdict(state))


def write_preset(folder: Path, settings: Settings) -> Path:
    """Write the settings, without a budget, as the preset of the plan so far; returns its path."""
    write_text(folder / PRESET, settings_text(settings, left_out=("budget",)))
    return folder / PRESET


@dataclass(frozen=True)
class Played:
    """A finished budget.

    Attributes:
        minutes: minutes that were allowed.
        seconds: seconds that were used.
        submitted: the members of the blend that is submitted.
        left_out: why a member of the settings is not in that blend, by its name.
    """

    minutes: float
    seconds: float
    submitted: list[str]
    left_out: dict[str, str]

    def __str__(self) -> str:
        return f"{self.seconds / 60:.1f} of {self.minutes:g} min used"


def played(words: list[str]) -> Played | None:
    """Returns the finished budget of a command line; None without one."""
    requested = plain.load(words)
    run = run_of_plan(requested)
    if run is None or not run.finished:
        return None
    state = read_state(run.path)
    others = [member for member in requested.members if member not in state.submitted]
    left_out = {member: state.why_not(member) for member in others}
    return Played(requested.budget.minutes, run.manifest()["seconds"], state.submitted, left_out)


def used(words: list[str]) -> str:
    """Returns how many minutes of a budget were used; empty without one."""
    found = played(words)
    return f"budget: {found}" if found else ""
