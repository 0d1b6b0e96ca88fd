"""Makes the runs of `pretrain`: what members start from, once each though several members share it."""

from __future__ import annotations

from functools import partial

from daguan.core.errors import DivergenceError
from daguan.core.progress import say
from daguan.core.runs import Run
from daguan.pipeline.engines.supervision import UNSUPERVISED, Supervisor
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once
from daguan.pipeline.work.pretrain import pretrain
from daguan.training.devices import share_cores


def make(settings: Settings, supervisor: Supervisor = UNSUPERVISED) -> list[Run]:
    """Make the runs of the members that the supervisor keeps, unless they are made; returns all of them."""
    stages = Stages(settings)
    stages.prepare.manifest()
    runs: dict[str, tuple[Run, list[str]]] = {}
    for member in filter(supervisor.keeps, settings.trained):
        if run := stages.pretrain(member):
            runs.setdefault(run.key, (run, []))[1].append(member)
    if not runs:
        say("pretrain: no member starts from a pretrained encoder or from token vectors, nothing to do")
    for run, members in runs.values():
        try:
            make_one(stages, run, members, supervisor)
        except DivergenceError as error:
            supervisor.failed(error, *members)
    return [run for run, _ in runs.values()]


def make_one(
    stages: Stages, run: Run, members: list[str], supervisor: Supervisor = UNSUPERVISED, wait: bool = False
) -> None:
    """Make one run for the members that share it. Raises DivergenceError."""
    settings, engine = stages.settings.member(members[0]), stages.settings.engine
    goes_on = partial(supervisor.is_worth_making, members)
    make = partial(pretrain, prepared=stages.prepare.path, settings=settings, engine=engine, goes_on=goes_on)
    once(run, make, wait, share_cores(engine, 1)[1])
