"""Measures this machine's speed by the first seconds of a configuration's own jobs, on a sample of its contest."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from daguan.core.files import write_text
from daguan.core.progress import Bar, shown
from daguan.core.settings import vary
from daguan.core.settings_text import settings_text
from daguan.data.batches.packing import HELD_OUT_BLOCKS
from daguan.data.contest import Contest
from daguan.data.format import iter_lines, write_lines
from daguan.families.fold import FoldJob
from daguan.families.job import Job, result_of
from daguan.families.member import MemberSettings
from daguan.formats.corrections import copy
from daguan.formats.importing import translating
from daguan.pipeline.budget.allotment import FOLD, PRETRAIN
from daguan.pipeline.budget.estimates import LABELLING, SPEED, Sizes, Speeds, is_baseline, is_pretrained
from daguan.pipeline.engines.running import Engine, engine_of
from daguan.pipeline.pretrain import pretrain_job, starts_of
from daguan.pipeline.settings import DataSettings, Settings
from daguan.pipeline.stages import Stages
from daguan.pipeline.work.pretrain import PretrainJob
from daguan.training.devices import cores, find_device, matrix_dtype, share_cores
from daguan.training.loop import MEASURED_SECONDS, WARM_UPDATES
from daguan.training.operations import matrix_rate, operations_per_token

LINES, TEST_LINES, TEXT_LINES = 1_500, 300, 10_000  # of the sample, at most
UPDATES = 10_000  # of a pretraining that is measured: enough for its seconds
TRAINED = 4.0  # seconds that a fold trains after its speed is measured
RATE_SECONDS = 0.5
SHARE = 0.6  # of a processor's matrix rate that pretraining reaches
SLOW_SECONDS = 4.0  # of an update; slower encoders are estimated by the matrix rate
PUBLIC = "-public"  # after the name of a run: the folder of the public encoder that it starts from
QUICK = 5e10  # operations of an update that no machine needs seconds for


@dataclass(frozen=True)
class Measurement:
    """What was measured here.

    Attributes:
        command: seconds that `prepare` took on the sample, most of them to load what it needs.
    """

    speeds: Speeds
    command: float


def measure(settings: Settings, contest: Contest, folder: Path) -> Measurement:
    """Measures in an empty folder; returns the speeds of each member's own jobs, folds side by side as in a run.

    Raises:
        DataError: a malformed line in the sample.
        WorkerError: a job failed.
    """
    write_sample(contest, folder / "contest")
    sample = sampled(settings, folder)
    engine, began = engine_of(settings.engine), time.monotonic()
    write_text(folder / "sample.yaml", settings_text(sample, left_out=("budget",)))
    engine.run_command(["prepare", str(folder / "sample.yaml")], folder / "prepare.log", 1)
    command, stages = time.monotonic() - began, Stages(sample)
    members = [member for member in sample.trained if not sample.needs_of(member)]
    encoders, starting = _encoders(stages, members, engine)
    first = next(iter(encoders.values()), SPEED)
    folds, labels, more = _folds(stages, [one for one in members if not _is_slow(stages, one)], engine)
    return Measurement(Speeds(first, encoders, folds, labels, starting | more), command)


def write_sample(contest: Contest, folder: Path) -> None:
    """Writes a contest of the first lines of another, without their documents: these may be fewer than the folds.
    Raises DataError: no lines."""
    folder.mkdir(parents=True)
    for path, lines in ((contest.train, LINES), (contest.test, TEST_LINES), (contest.corpus, TEXT_LINES)):
        if path.is_file() or path != contest.corpus:
            write_lines(folder / path.name, _first(path, lines))
    for path in translating(contest):
        copy(path, folder / path.name)


def _first(path: Path, lines: int) -> Iterable[str]:
    return (line for _, line in islice(iter_lines(path), lines))


def sampled(settings: Settings, folder: Path) -> Settings:
    """Returns the settings on the sample in a folder, with all their lines, each by itself, and without a budget.

    Without the runs that settings name, as those are of other lines; of members that are then alike, the first stays.
    """
    places = DataSettings(dir=str(folder / "contest"), work=str(folder / "work"), submissions=str(folder / "out"))
    whole = Settings()
    folds, members = settings.folds.replace(lines=0, group=1), settings.members
    found = settings.replace(data=places, folds=folds, blend=whole.blend, budget=whole.budget)
    without = {"conflicts": {"run": whole.conflicts.run}}
    changes = without | {"members": members[:1], "ensemble": dict.fromkeys(settings.ensemble, without)}
    found = vary(found, changes, "the sample")
    made = [found.member(name) for name in members]
    return found.replace(members=tuple(one for place, one in enumerate(members) if made[place] not in made[:place]))


def _encoders(
    stages: Stages, members: Sequence[str], engine: Engine
) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Returns the tokens a second of each pretrained encoder by member, and the seconds besides."""
    starts = {
        member: run for member, run in starts_of(stages, members).items() if is_pretrained(stages.settings, member)
    }
    workers, threads = share_cores(stages.settings.engine, max(1, len(starts)))
    quick = [member for member in starts if not _is_slow(stages, member)]
    jobs = {member: _endless(replace(pretrain_job(stages, member, threads), measures=True)) for member in quick}
    seconds = _run(engine, [*jobs.values()], workers)
    speeds = {member: float(result_of(job)["tokens_per_second"]) for member, job in jobs.items()}
    speeds |= {member: _by_rate(stages, member) for member in starts if member not in quick}
    starting = {}
    for member, job in jobs.items():
        text = int(stages.prepare.manifest()["report"]["corpus"]["tokens"])
        length, each = job.settings.encoder.max_length, tokens_per_update(job.settings) / speeds[member]
        evaluation = min(HELD_OUT_BLOCKS * length, text / 10) / (LABELLING * speeds[member])
        starting[PRETRAIN, member] = max(0.0, seconds[job.folder] - MEASURED_SECONDS - WARM_UPDATES * each) + evaluation
    shared = {
        member: next((first for first, run in starts.items() if run == stages.pretrain(member)), "")
        for member in members
    }
    return {member: speeds[first] for member, first in shared.items() if first}, starting


def _folds(
    stages: Stages, members: Sequence[str], engine: Engine
) -> tuple[dict[str, float], dict[str, float], dict[tuple[str, str], float]]:
    """Returns the tokens a second that each member trains on and labels, and the seconds besides.

    As many folds of a member as fit run side by side, since a core that works beside others is slower than alone.
    """
    settings = stages.settings
    workers, threads = share_cores(settings.engine, len(settings.trained) * settings.folds.count)
    jobs = [_brief(job) for one in members for job in stages.fold_jobs(one, threads)[:workers]]
    _run(engine, _public_starts(stages, members), 1)
    seconds = _run(engine, jobs, workers)
    sizes, folds, labels, starting = Sizes.of(stages), dict[str, float](), dict[str, float](), {}
    for job in reversed(jobs):  # the first of each member is the last to be noted
        result, member = result_of(job), job.member
        baseline = is_baseline(settings, member)
        training = max(0.05, result["seconds"])
        folds[member] = sizes.fold_tokens * result["updates"] / training if baseline else result["tokens_per_second"]
        labels[member] = max(1.0, result["test_tokens_per_second"])
        labelling = (sizes.tokens / sizes.folds + sizes.test_tokens) / labels[member]
        measuring = 0.0 if baseline else min(MEASURED_SECONDS, training * result["most_updates"] / result["updates"])
        starting[FOLD, member] = max(0.0, seconds[job.folder] - training - labelling - measuring)
    return folds, labels, starting


def _run(engine: Engine, jobs: Sequence[Job], workers: int) -> dict[str, float]:
    """Does the jobs, `workers` at a time; returns the seconds of each by its folder."""

    def run(job: Job) -> tuple[str, float]:
        since = time.monotonic()
        with Bar(f"measure {job.name}") as bar:
            engine.run(job, bar, lambda progress: True)
        return job.folder, time.monotonic() - since

    if not jobs:
        return {}
    with shown(), ThreadPoolExecutor(workers) as executor:
        try:
            return dict(executor.map(run, jobs))
        finally:  # after an error or an interrupt; otherwise there is nothing to stop
            if not all(job.finished for job in jobs):
                engine.stop()


def _brief(job: FoldJob) -> FoldJob:
    """Returns a fold's job that trains for seconds and without evaluations, which would fill the seconds.

    It starts from new weights or from a public encoder, which alone knows its size and its pieces.
    """
    without = job.settings.replace(train=job.settings.train.replace(evaluations=1))
    start = f"{job.pretrained}{PUBLIC}" if job.pretrained and job.settings.encoder.checkpoint else ""
    return replace(job, settings=without, seconds=TRAINED, pretrained=start)


def _public_starts(stages: Stages, members: Sequence[str]) -> list[PretrainJob]:
    """Returns the jobs that write the public encoders of these members, as they are."""
    _, threads = share_cores(stages.settings.engine, 1)
    jobs = [pretrain_job(stages, member, threads) for member in starts_of(stages, members)]
    return [
        replace(job, settings=_with_tokens(job.settings, 0), folder=f"{job.folder}{PUBLIC}", processes=1)
        for job in jobs
        if job.settings.encoder.checkpoint
    ]


def _endless(job: Any) -> Any:
    """Returns a job of pretraining with more updates than are measured."""
    return replace(job, settings=_with_tokens(job.settings, UPDATES * tokens_per_update(job.settings)))


def _with_tokens(settings: MemberSettings, tokens: int) -> MemberSettings:
    """Returns a member's settings with that number of tokens of pretraining."""
    return settings.replace(pretrain=settings.pretrain.replace(tokens=tokens))


def tokens_per_update(config: MemberSettings) -> int:
    return config.pretrain.batch_size * config.pretrain.accumulation * config.encoder.max_length


def _is_slow(stages: Stages, member: str) -> bool:
    """Returns whether an update of a member's encoder takes so long that its speed is not measured."""
    config, engine = stages.settings.member(member), stages.settings.engine
    if is_baseline(stages.settings, member) or find_device(engine).type != "cpu":
        return False
    operations = tokens_per_update(config) * _operations(stages, config)
    return operations > QUICK and operations / (SHARE * _rate(matrix_dtype(engine))) > SLOW_SECONDS


def _by_rate(stages: Stages, member: str) -> float:
    """Returns tokens a second of pretraining by the rate of the machine's matrix products."""
    operations = _operations(stages, stages.settings.member(member))
    return SHARE * _rate(matrix_dtype(stages.settings.engine)) / operations


def _operations(stages: Stages, config: MemberSettings) -> float:
    entries = int(stages.prepare.manifest()["report"]["corpus"]["vocabulary"])
    return operations_per_token(config.encoder, entries, config.pretrain.masking.rate)


@cache
def _rate(dtype: torch.dtype) -> float:
    torch.set_num_threads(cores())
    return matrix_rate(dtype, RATE_SECONDS)
