"""Makes the run of `blend`."""

from __future__ import annotations

from functools import partial

from daguan.core.progress import say
from daguan.core.runs import environment
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once
from daguan.pipeline.work.blend import blend


def make(settings: Settings) -> Stages:
    """Blend the members, who are trained; returns the stages. Raises CheckpointError: the first that is not trained."""
    stages = Stages(settings)
    stages.require_trained()
    _tell_versions(stages)
    paths = [member.path for member in stages.members]
    once(stages.blend, partial(blend, prepared=stages.prepared, members=paths, settings=settings.blend))
    return stages


def _tell_versions(stages: Stages) -> None:
    """Say which members were trained under other versions of libraries. Raises CheckpointError: one is not trained."""
    now = environment()["versions"]
    for member in stages.members:
        then = member.manifest()["versions"]
        if others := [f"{name} {version}" for name, version in then.items() if now.get(name) != version]:
            say(f"blend: {member.path.name} was trained with {', '.join(others)}")
