"""reproduce TASK [key=value …] [--json]: a pointer network learns convex-hull, delaunay or tsp, beside the paper.

It is trained on instances made on the fly for `minutes` of wall clock, then measured on instances held out. Vinyals et
al. 2015, arXiv 1506.03134. The same command continues a run cut short, and measures one that is done. Settings:
n=5 points, minutes=10, seed=1, hidden=128, batch_size=256, learning_rate=6e-3, threads=0 (all), beam=4, held_out=10000,
fewest=0, updates=0 (in place of minutes), warmup, clip, device, checkpoint_seconds, work (where runs are kept).
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from daguan.cli.geometry_plot import drawing
from daguan.cli.geometry_table import print_measured
from daguan.core import settings
from daguan.core.errors import ConfigError
from daguan.core.files import write_text
from daguan.core.progress import Bar, Progress, say
from daguan.core.runs import CHECKPOINT, Run, run_of
from daguan.core.settings import setting
from daguan.core.tables import Row
from daguan.experiments.geometry.tasks import TASKS
from daguan.experiments.pointer_settings import PointingSettings
from daguan.experiments.pointer_training import (
    PointerTrainer,
    answers,
    held_out,
    load_network,
    save_network,
)
from daguan.pipeline.settings import ROOT
from daguan.pipeline.stages import once
from daguan.training.devices import find_device, prepare_process, share_cores

TRAINING = Row("daguan.experiments.pointer_training:PointerTrainer")
PLOT = "predictions.svg"
DRAWN = 12  # instances of the plot
UNLEARNT = ("beam", "held_out", "checkpoint_seconds", "work")  # change nothing of what is learnt


class ReproduceSettings(PointingSettings):
    """The settings of `reproduce`."""

    work: str = setting(str(ROOT / "data" / "work"), "Where runs are kept.")


def main(words: list[str]) -> None:
    task, chosen = parse([word for word in words if word != "--json"])
    prepare_process(share_cores(chosen.engine, 1)[1])
    learnt = {name: value for name, value in settings.to_dict(chosen).items() if name not in UNLEARNT}
    run = run_of(Path(chosen.work), f"reproduce-{task}", learnt, [TRAINING])
    once(run, partial(train, task=task, chosen=chosen))
    measured = measure(run, task, chosen)
    facts = {name: run.manifest()[name] for name in ("updates", "instances", "seconds", "cpu_seconds")}
    print_measured(task, chosen.n, measured)
    print(
        f"{facts['updates']:,} updates on {facts['instances']:,} instances in {facts['seconds']:,.0f} s "
        f"({facts['cpu_seconds']:,.0f} CPU s); beam search of width {chosen.beam} on {chosen.held_out:,} held-out "
        f"instances; {run.path / PLOT}",
        flush=True,
    )
    if "--json" in words:
        print(json.dumps({"task": task, "n": chosen.n, **measured, "beam": chosen.beam, **facts}))


def parse(words: list[str]) -> tuple[str, ReproduceSettings]:
    """Raises ConfigError."""
    if not words or "=" in words[0]:
        raise ConfigError(f"reproduce: expected TASK [key=value …] [--json], TASK one of {', '.join(TASKS)}")
    task = words[0]
    if task not in TASKS:
        raise ConfigError(f"reproduce: expected {' or '.join(TASKS)}, got {task!r}")
    chosen = settings.load(ReproduceSettings, None, words[1:])
    if chosen.n > TASKS[task].most_points:
        raise ConfigError(f"n: expected at most {TASKS[task].most_points} with {task}, got {chosen.n}")
    return task, chosen


def train(run: Run, task: str, chosen: ReproduceSettings) -> None:
    """Write the trained network."""
    trainer = PointerTrainer(task, chosen)
    bar = Bar(f"reproduce {task}")
    for update in trainer.fit(run.path):
        bar.show(
            Progress(update.done, 0, "updates", f"{100 * update.share:.1f} % of the budget, loss {update.loss:.4f}")
        )
    bar.close()
    save_network(run.path, trainer.model, {"task": task, "n": chosen.n})
    run.finish(
        trainer.watch.seconds,
        cpu_seconds=round(trainer.cpu_seconds, 1),
        updates=trainer.done,
        instances=trainer.done * chosen.batch_size,
        loss=round(trainer.loss, 4),
    )
    (run.path / CHECKPOINT).unlink(missing_ok=True)


def measure(run: Run, task: str, chosen: ReproduceSettings) -> dict[str, float]:
    """The figures on the held-out instances, and a plot of the first ones."""
    problem, points = TASKS[task], held_out(chosen)
    say(f"reproduce: measuring {run.path.name} on {len(points):,} instances")
    answered = answers(load_network(run.path, find_device(chosen.engine)), problem, points, chosen.beam)
    targets = problem.solve(points)
    first = slice(DRAWN)
    write_text(run.path / PLOT, drawing(points[first], answered[first], targets[first], problem.polygon))
    return problem.measure(points, answered, targets)
