"""Trains a pointer network on a geometry problem, and measures it on held-out instances."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from daguan.core import settings
from daguan.core.errors import ConfigError
from daguan.core.progress import Bar, Progress, say
from daguan.core.quantity import quantity
from daguan.core.runs import CHECKPOINT, Run, run_of
from daguan.core.tables import Row
from daguan.experiments.geometry.polygons import Points, Sequences
from daguan.experiments.geometry.tasks import TASKS
from daguan.experiments.pointer_network import PointerNetwork
from daguan.experiments.pointer_settings import PointingSettings
from daguan.experiments.pointer_training import (
    PointerTrainer,
    answers,
    held_out,
    load_network,
    save_network,
)
from daguan.pipeline.stages import once
from daguan.training.devices import find_device, prepare_process, share_cores

TRAINING = Row("daguan.experiments.pointer_training:PointerTrainer")
DRAWN = 12  # instances that are returned for a plot
UNLEARNT = (
    "tested",
    "beam",
    "held_out",
    "checkpoint_seconds",
    "work",
)  # settings that do not change the trained network


def load(task: str, words: Sequence[str]) -> PointingSettings:
    """Return the settings that the words `key=value` give. Raises ConfigError: no such task, or a wrong setting."""
    if task not in TASKS:
        raise ConfigError(f"reproduce: expected {' or '.join(TASKS)}, got {task!r}")
    chosen = settings.load(PointingSettings, None, words)
    for name in ("n", "tested"):
        if getattr(chosen, name) > TASKS[task].most_points:
            most = TASKS[task].most_points
            raise ConfigError(f"{name}: expected at most {most} with {task}, got {getattr(chosen, name)}")
    return chosen


def make(task: str, chosen: PointingSettings) -> Run:
    """Train the network unless it is trained, and return its run."""
    prepare_process(share_cores(chosen.engine, 1)[1], chosen.engine)
    learnt = {name: value for name, value in settings.to_dict(chosen).items() if name not in UNLEARNT}
    run = run_of(Path(chosen.work), f"reproduce-{task}", learnt, [TRAINING])
    once(run, partial(train, task=task, chosen=chosen))
    return run


def train(run: Run, task: str, chosen: PointingSettings) -> None:
    """Write the trained network."""
    trainer = PointerTrainer(task, chosen)
    with Bar(f"reproduce {task}") as bar:
        for update in trainer.fit(run.path):
            bar.show(Progress(update.done, 0, "updates", update.loss, note=f"{100 * update.share:.1f} % of the budget"))
    assert isinstance(trainer.model, PointerNetwork)
    save_network(run.path, trainer.model, {"task": task, "n": chosen.n})
    run.finish(
        trainer.watch.seconds,
        cpu_seconds=round(trainer.cpu_seconds, 1),
        updates=trainer.done,
        instances=trainer.done * chosen.batch_size,
        loss=round(trainer.loss, 4),
    )
    (run.path / CHECKPOINT).unlink(missing_ok=True)


def measure(
    run: Run, task: str, chosen: PointingSettings
) -> tuple[dict[str, float], tuple[Points, Sequences, Sequences]]:
    """Return the results on the held-out instances, and points, answers and targets of the first DRAWN of them."""
    problem, points = TASKS[task], held_out(chosen)
    say(f"reproduce: measuring {run.path.name} on {quantity(len(points), 'instance')}")
    answered = answers(load_network(run.path, find_device(chosen.engine)), problem, points, chosen.beam)
    targets = problem.solve(points)
    first = slice(DRAWN)
    return problem.measure(points, answered, targets), (points[first], answered[first], targets[first])
