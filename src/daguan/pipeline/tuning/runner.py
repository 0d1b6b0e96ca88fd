"""One trial of a study: a configuration, prepared, pretrained and trained into the runs that its commands would make.

What trials share, down to a fold, is therefore made once, and a trial's folds are there for `train` and `blend`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from daguan.core.files import write_text
from daguan.core.progress import Bar, Progress
from daguan.core.runs import Run, folder_lock
from daguan.core.settings_text import settings_text
from daguan.core.types import Score
from daguan.families.family import family_of
from daguan.families.fold import FoldJob
from daguan.families.job import result_of
from daguan.pipeline.engines.running import do_job, engine_of
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages
from daguan.pipeline.tuning.space import Parameters, changes_of
from daguan.pipeline.tuning.study import Watch
from daguan.pipeline.tuning.trials import Outcome, Trial
from daguan.training.devices import share_cores

CONFIGURATION = "trial.yaml"
QUEUE = "queue"  # folder whose lock is held while a trial prepares or pretrains: one at a time takes all cores


class TrialRunner:
    """Runs trials of a configuration, from any thread; `stop` ends them all."""

    def __init__(self, settings: Settings, folder_of: Callable[[int], Path]) -> None:
        self.settings, self.folder_of = settings, folder_of
        self.engine = engine_of(settings.engine)
        # as `train` divides them, since the bits depend on it
        self.threads = share_cores(settings.engine, len(settings.trained) * settings.folds.count)[1]

    def stop(self) -> None:
        self.engine.stop()

    def __call__(self, trial: Trial, watch: Watch) -> Outcome | None:
        """Returns None when `watch` ended it. Raises DaguanError: these settings do not go together, or do not work."""
        folder = self.folder_of(trial.index)
        settings = varied(self.settings, trial.parameters)
        settings = settings.replace(members=(settings.tune.member,))
        write_text(folder / CONFIGURATION, settings_text(settings, left_out=("tune",)))
        stages = Stages(settings)
        seconds = self._before(stages, folder)
        score = Score()
        for job in stages.fold_jobs(settings.tune.member, self.threads)[: settings.tune.folds]:
            result = self._fold(job, trial.index, watch)
            if result is None:
                return None
            score += Score(**result["held_out"])
            seconds += result["seconds"]
        return Outcome(score.f1, round(seconds, 1))

    def _before(self, stages: Stages, folder: Path) -> float:
        """Make what the folds need, by its own commands; returns the seconds of pretraining."""
        self._make(stages.prepare, folder)
        if (pretrain := stages.pretrain(stages.settings.tune.member)) is None:
            return 0.0
        self._make(pretrain, folder)
        return float(pretrain.manifest()["seconds"])

    def _make(self, run: Run, folder: Path) -> None:
        if run.finished:
            return
        with folder_lock(run.path.parent / QUEUE, wait=True):
            with run.locked(wait=True):  # what a killed study began may still be at it
                pass
            if not run.finished:
                words, log = [run.stage, str(folder / CONFIGURATION)], folder / f"{run.stage}.log"
                self.engine.run_command(words, log, share_cores(self.settings.engine, 1)[1])

    def _fold(self, job: FoldJob, index: int, watch: Watch) -> dict[str, Any] | None:
        """Train it, or take its result, and let `watch` see each evaluation once, whatever was done before."""
        shown = Evaluations(job, watch)
        if not job.finished:
            with Bar(f"trial {index} fold {job.fold}") as bar:
                if not do_job(self.engine, job, bar, shown.of_progress):
                    return None
        result = result_of(job)
        return result if shown.of([*result.get("f1s", []), result["f1"]]) else None


class Evaluations:
    """Passes on each evaluation of a fold, with its step: 100 times the fold, and the share trained in per cent. The
    n-gram CRF has one, at its end."""

    def __init__(self, job: FoldJob, watch: Watch) -> None:
        self.fold, self.watch = job.fold, watch
        self.count = family_of(job.settings.family).evaluations(job.settings)
        self.seen = 0
        self.go_on = True

    def of_progress(self, progress: Progress) -> bool:
        return self.of(progress.f1s)

    def of(self, f1s: Sequence[float]) -> bool:
        for f1 in f1s[self.seen :]:
            self.seen += 1
            self.go_on = self.go_on and self.watch(100 * self.fold + round(100 * self.seen / self.count), f1)
        return self.go_on


def varied(settings: Settings, parameters: Parameters) -> Settings:
    """The configuration with the trial's parameters. Raises ConfigError: they do not go together."""
    return settings.with_changes(settings.tune.member, changes_of(parameters), "the trial")
