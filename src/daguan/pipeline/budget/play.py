"""Carries out a budget: trains as much as the minutes pay for, and keeps the best submission so far in its file.

Workers take tasks in order: one n-gram CRF on some lines and beside it the measuring of this machine's speed, then
those of the members that take part (estimates.py). Each gets its share of the time that remains, so what one leaves
over, or takes too long, is divided among those after it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Condition, Lock
from typing import Any

from daguan.competition import gate
from daguan.core.errors import StoppedError
from daguan.core.files import read_json, real_path, write_atomic
from daguan.core.progress import Bar, Progress, Row, say, shown
from daguan.core.quantity import quantity
from daguan.core.runs import Run, Stopwatch, folder_lock
from daguan.data.decoding import decode_lines
from daguan.data.format import format_labelled, write_lines
from daguan.data.marginals import Marginals
from daguan.families.family import baseline_family
from daguan.families.fold import TEST
from daguan.families.job import RESULT, Job, result_of
from daguan.pipeline import prepare, pretrain, train
from daguan.pipeline.budget.allotment import FIRST, FOLD, MEASURE, PRETRAIN, Task, largest_scale
from daguan.pipeline.budget.estimates import (
    COMMAND,
    FINE_TUNING,
    SPEED,
    STARTING,
    Sizes,
    Speeds,
    are_enough,
    deadline,
    is_baseline,
    is_pretrained,
    last_end,
    least_seconds,
    most_tokens,
    tasks_of,
)
from daguan.pipeline.budget.plan import State, begun, run_of_plan, write_preset, write_state
from daguan.pipeline.engines.running import WorkerError, do_job, engine_of
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once, tell_environment
from daguan.training.prediction import annotate

FIRST_TOKENS, FIRST_SECONDS, FIRST_SHARE = 150_000, 40.0, 0.15  # of the first n-gram CRF, at most
LEAST_SECONDS = 0.001  # of training that a job is allotted, at least; 0 would mean no limit
LEAST_SHARE = 0.3  # of budget.least_epochs: a member whose folds would get less is not begun
EARLY = 0.92  # share of the minutes below which the end is explained
SLOWEST = 2.0  # highest pace of a blend that the start of the first job may suggest
OFTEN = 0.05  # share of the minutes up to which a blend is made whenever a member is complete
POLL_SECONDS = 1.0  # between two looks at the clock
KEEP_SECONDS = 5.0  # the state is stored at most this often, unless a number is fixed


def play(requested: Settings) -> None:
    """Make the plan and everything that it says, unless it is made; the same command continues a killed one. Raises
    WorkerError: no member is complete."""
    prepare.build_contest(Stages(requested))
    run = run_of_plan(requested)
    assert run is not None
    once(run, partial(_play, requested=requested))


def _play(run: Run, requested: Settings) -> None:
    state = begun(run, requested)
    watch = Stopwatch(state.seconds + COMMAND)
    prepare.make(state.followed(requested, requested.members))
    player = Player(run.path, requested, state, watch)
    player.play()
    run.finish(watch.seconds, minutes=requested.budget.minutes)
    player.submission.unlink(missing_ok=True)  # `submit` writes it under its blend's name


class Player:
    """A budget at work. Several threads do its tasks, and hold `changed` while they change it.

    Attributes:
        waiting: tasks that are not begun, in order.
        running: the seconds at which each running task is expected to end, by its name.
        complete: the members all of whose folds are trained.
        pace: measured seconds of a blend divided by the estimated ones.
        over: whether the time of training is over.
    """

    def __init__(self, folder: Path, requested: Settings, state: State, watch: Stopwatch) -> None:
        self.folder, self.requested, self.state, self.watch = folder, requested, state, watch
        self.limit = 60 * requested.budget.minutes
        self.engine = engine_of(requested.engine)  # stopped when the time of training is over
        self.blender = engine_of(requested.engine)
        self.workers, self.threads = state.changes["engine"]["workers"], state.changes["engine"]["threads"]
        self.sizes = Sizes.of(Stages(self.settings))
        self.changed, self.blending = Condition(), Lock()
        self.waiting: list[Task] = []
        self.running: dict[str, float] = {}
        self.complete: list[str] = []
        self.pace, self.stored, self.over = 1.0, time.monotonic(), False
        self.baseline = baseline_family()

    @property
    def settings(self) -> Settings:
        """All members that may take part, with the numbers that are fixed so far."""
        return self.state.followed(self.requested, self.requested.members, self.requested.budget)

    @property
    def submission(self) -> Path:
        """The file of the best submission so far."""
        contest = real_path(Stages(self.requested).contest.folder).name
        return Path(self.requested.data.submissions) / f"{contest}-{self.requested.name}-{self.folder.name}.txt"

    def play(self) -> None:
        """Do all tasks, and blend the complete members at the end. Raises DaguanError."""
        with self.changed:
            self._begin()
        with shown(self.row), ThreadPoolExecutor(self.workers) as executor:
            futures = [executor.submit(self._work) for _ in range(self.workers)]
            try:
                while any(not future.done() for future in futures):
                    wait(futures, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION)
                    self._watch_time()
                    for future in futures:
                        if future.done():
                            future.result()
            finally:  # after an error or an interrupt; otherwise there is nothing to stop
                with self.changed:
                    self.waiting.clear()
                    self.changed.notify_all()
                for engine in (self.engine, self.blender):
                    engine.stop()
                self._store()
        if not self.complete:
            why = "; ".join(f"{member}: {reason}" for member, reason in self.state.dropped.items())
            rest = f"; {self.submission} is what the first n-gram CRF answers" if self.submission.is_file() else ""
            raise WorkerError(f"budget.minutes={self.requested.budget.minutes:g}: no member is complete: {why}{rest}")
        self.blender = engine_of(self.requested.engine)
        self._blend()
        write_preset(self.folder, self.state.followed(self.requested, self.state.submitted))
        self._store()
        all_they_can_use = not any("updates" in changes for changes in self.state.numbers.values())
        if all_they_can_use and not self.state.dropped and self.watch.seconds < EARLY * self.limit:
            used = f"{self.watch.seconds / 60:.1f} of {self.requested.budget.minutes:g} min"
            say(f"budget: ends after {used}, as no member that takes part can use more")

    def row(self) -> Row:
        """Returns what is shown of the whole budget."""
        share, left = min(1.0, self.watch.seconds / self.limit), max(0.0, self.limit - self.watch.seconds)
        return Row("budget", share, f"{self.watch.seconds / 60:.1f} of {self.requested.budget.minutes:g} min", left)

    def _watch_time(self) -> None:
        """End all jobs when the time of training is over, and store the seconds."""
        with self.changed:
            if time.monotonic() - self.stored >= KEEP_SECONDS:
                self._store()
            if self.submission.is_file() and self.watch.seconds >= last_end(
                self.limit, self._blend_seconds(len(self.complete))
            ):
                self.over = True
                self._drop([task.member for task in self.waiting], "no time is left")
                self.engine.stop()

    def _begin(self) -> None:
        """Begin with the first n-gram CRF, and with the choice of members or the measuring that it needs."""
        for member in self.requested.members:
            if is_pretrained(self.requested, member):
                most = most_tokens(self.requested, member, self.sizes.text_tokens)
                self.state.numbers.setdefault(member, {"pretrain": {"tokens": most}})
        if not self.submission.is_file():
            self.waiting.append(Task(FIRST, self.baseline, most=FIRST_SECONDS, overhead=STARTING))
        measured = next((member for member in self.requested.members if is_pretrained(self.requested, member)), None)
        if self.state.members or measured is None:
            self._choose()
        else:
            self.waiting.append(Task(MEASURE, measured, most=0.0, overhead=STARTING))

    def _choose(self) -> None:
        """Choose the members that take part, in order, while each fold gets enough epochs; then plan their tasks."""
        if not self.state.members:
            for member in self.requested.members:
                tried = [*self.state.members, member]
                others = sum(not is_baseline(self.requested, one) for one in tried)
                if others <= 1 or self._are_enough(self._planned(tried), tried):
                    self.state.members = tried
                else:
                    say(f"budget: the minutes do not pay for {member}")
            say(f"budget: {quantity(self.sizes.folds, 'fold')} of {', '.join(self.state.members)}")
            self._store()
        stages = Stages(self.settings)
        self.complete = [member for member in self._taking_part if stages.train(member).finished]
        self.waiting += self._planned(self._taking_part)
        self.changed.notify_all()

    @property
    def _taking_part(self) -> list[str]:
        """The members that were chosen and not dropped, in a new list."""
        return [member for member in self.state.members if member not in self.state.dropped]

    def _planned(self, members: Sequence[str]) -> list[Task]:
        """Returns what these members need, by the speed that is known."""
        return tasks_of(Stages(self.settings), members, self.sizes, Speeds(self.state.speed or SPEED))

    def _are_enough(self, tasks: list[Task], members: Sequence[str]) -> bool:
        """Returns whether each fold among the tasks gets enough epochs beside what runs, for a blend of the members.
        Those of an n-gram CRF need none."""
        scale = largest_scale(tasks, self._free(), self.running, self._deadline(len(members)))
        return are_enough(self.requested, tasks, scale)

    def _estimate_again(self, speed: float) -> None:
        """Take a speed of pretraining that is known better: estimate again what has not begun, and let further members
        take part, in order, if the minutes pay for them by it."""
        self.state.speed = speed
        found = {task.name: task for task in self._planned(self.state.members) if not self._is_begun(task.member)}
        self.waiting = [found.get(task.name, task) for task in self.waiting]
        self._admit()

    def _is_begun(self, member: str) -> bool:
        return any((self.folder / member).glob("fold*"))

    def _admit(self) -> None:
        taking_part = self._taking_part
        for member in self.requested.members:
            if member in self.state.members:
                continue
            taking_part.append(member)
            tasks = [*self.waiting, *(task for task in self._planned(taking_part) if task.member == member)]
            if not self._are_enough(tasks, taking_part):
                return
            self.waiting = tasks
            self.state.members.append(member)
            say(f"budget: the minutes pay for {member} after all")
            self.changed.notify_all()

    def _deadline(self, members: int) -> float:
        """Returns the second at which training is to end, for a blend of that number of members."""
        return deadline(self.limit, self._blend_seconds(members))

    def _blend_seconds(self, members: int) -> float:
        return self.pace * self.sizes.blend_seconds(members)

    # The work of one of several threads

    def _work(self) -> None:
        while found := self._next():
            task, seconds = found
            try:
                self._do(task, seconds)
            finally:  # otherwise the other threads would wait for ever
                with self.changed:
                    self.running.pop(task.name)
                    self.changed.notify_all()

    def _next(self) -> tuple[Task, float] | None:
        """Returns a task and the seconds of training allotted to it; None if there is nothing more to do."""
        with self.changed:
            while self.waiting or self.running:
                self._watch_time()
                pending = {*self.running, *(task.name for task in self.waiting)}
                task = next((task for task in self.waiting if task.after not in pending), None)
                if task is None:
                    self.changed.wait(1.0)
                    continue
                seconds = self._allotted(task)
                if task.kind == FOLD and not self._is_worth_beginning(task, seconds):
                    self._drop([self._least_worthy()], "no time is left")
                    continue
                self.waiting.remove(task)
                self.running[task.name] = self.watch.seconds + task.overhead + min(seconds, task.most)
                return task, seconds
            return None

    def _allotted(self, task: Task) -> float:
        """Returns the task's share of the remaining seconds, even if it was estimated to need fewer."""
        tasks = [task, *(other for other in self.waiting if other is not task)]
        members = len({*self.complete, *(one.member for one in self.waiting)})
        return task.weight * largest_scale(tasks, self._free(), self.running, self._deadline(members))

    def _free(self) -> list[float]:
        """Returns the second at which each worker is free."""
        now = self.watch.seconds
        busy = [max(now, end) for end in self.running.values()]
        return [*busy, *[now] * (self.workers - len(busy))]

    def _is_worth_beginning(self, task: Task, seconds: float) -> bool:
        """Returns whether a fold gets enough epochs for its member to be begun. It always does for n-gram CRFs, for the
        first other member, and for members that are begun."""
        begun = self._is_begun(task.member)
        first = next((one for one in self.state.members if not is_baseline(self.requested, one)), "")
        needed = begun or is_baseline(self.requested, task.member) or task.member == first
        return needed or seconds >= LEAST_SHARE * least_seconds(self.requested, task)

    def _least_worthy(self) -> str:
        """Returns the last member, in order of worth, none of whose folds is begun."""
        waiting = {task.member for task in self.waiting if not self._is_begun(task.member)}
        return max(waiting, key=self.requested.members.index)

    def _do(self, task: Task, seconds: float) -> None:
        """Do the task; a member whose job fails, or is ended for lack of time, is dropped."""
        job, since = self._job(task, seconds), self.watch.seconds
        try:
            with Bar(job.name) as bar:
                done = job.finished or do_job(self.engine, job, bar, partial(self._goes_on, task))
            why = "not all jobs that it needs are done"
        except WorkerError as error:
            done, why = False, str(error)
        except StoppedError:
            if not self.over:
                raise
            done, why = False, "its time was over"
        with self.changed:
            if done:
                self._finish(task, job, self.watch.seconds - since)
            elif task.kind == MEASURE:
                say(f"budget: the speed of {task.member} could not be measured: {why}")
                self._choose()
            elif task.kind != FIRST:
                self._drop(self._sharing(task, self.state.members), why)
            self._store()
        if done and task.kind == FOLD and task.member in self.complete:
            self._blend_often()

    def _goes_on(self, task: Task, progress: Progress) -> bool:
        """Returns whether a job should go on; called whenever its worker reports."""
        if task.kind == FIRST or not self.state.dropped:
            return True
        return not all(member in self.state.dropped for member in self._sharing(task, self.state.members))

    def _job(self, task: Task, seconds: float) -> Job:
        """Returns the job of a task. It works in the plan's folder, as the name of its run depends on numbers that the
        job itself fixes."""
        stages = Stages(self.settings)
        if task.kind == FOLD:
            job = stages.fold_jobs(task.member, self.threads)[task.fold]
            folder = self.folder / task.member / Path(job.folder).name
            return replace(job, folder=str(folder), seconds=max(LEAST_SECONDS, seconds))
        if task.kind == FIRST:
            first = stages.fold_jobs(self.baseline, self.threads)[0]
            lines = max(1, int(self.sizes.lines * FIRST_TOKENS / self.sizes.tokens))
            seconds = min(FIRST_SECONDS, FIRST_SHARE * self.limit)
            return replace(first, fold=first.folds, lines=lines, folder=str(self.folder / FIRST), seconds=seconds)
        start = pretrain.pretrain_job(stages, task.member, self.threads)
        folder = self.folder / f"{task.kind}-{task.member}"
        return replace(start, folder=str(folder), seconds=max(LEAST_SECONDS, seconds), measures=task.kind == MEASURE)

    def _finish(self, task: Task, job: Job, seconds: float) -> None:
        """Take over the numbers that a finished job has fixed and measured."""
        result = result_of(job)
        if task.kind != MEASURE:
            say(f"{job.name}: {job.summary(result)}")
        if task.kind == FIRST:
            self.pace = min(SLOWEST, max(1.0, (seconds - result["seconds"]) / STARTING))  # slow here, slow in a blend
            self._submit_first(Path(job.folder))
        elif task.kind == MEASURE:
            self.state.speed = float(result["tokens_per_second"])
            self._choose()
        elif task.kind == PRETRAIN:
            self._finish_start(task, job, result)
            if "tokens_per_second" in result:
                self._estimate_again(float(result["tokens_per_second"]))
        else:
            self._finish_fold(task, result, seconds)
            speed = float(result.get("tokens_per_second", 0)) / FINE_TUNING
            if is_pretrained(self.requested, task.member) and speed > self.state.speed:
                self._estimate_again(speed)

    def _finish_start(self, task: Task, job: Job, result: dict[str, Any]) -> None:
        """Give the run its name, which depends on its tokens; fix these for all members that may share it."""
        for member in self._sharing(task, self.requested.members) if "tokens" in result else ():
            self.state.numbers[member]["pretrain"]["tokens"] = result["tokens"]
        run = Stages(self.settings).pretrain(task.member)
        assert run is not None
        self._store()  # the numbers by which a restarted plan finds the run
        here = replace(run, path=Path(job.folder))
        tell_environment(here, self.threads)
        pretrain.finish(here, job)
        _move(here.path, run)

    def _finish_fold(self, task: Task, result: dict[str, Any], seconds: float) -> None:
        """Correct the estimates of the member's other folds; after the last one, give its run its name."""
        most = result["seconds"] * result["most_updates"] / result["updates"]
        if seconds > result["seconds"]:
            self.waiting = [
                replace(other, most=most, overhead=seconds - result["seconds"])
                if other.member == task.member
                else other
                for other in self.waiting
            ]
        pending = {*self.running, *(other.name for other in self.waiting)} - {task.name}
        if task.member in self.state.dropped or any(
            replace(task, fold=fold).name in pending for fold in range(self.sizes.folds)
        ):
            return
        folders = [self.folder / task.member / f"fold{fold}" for fold in range(self.sizes.folds)]
        found = [read_json(folder / RESULT) for folder in folders]
        if any(one["updates"] != one["most_updates"] for one in found):
            self.state.numbers.setdefault(task.member, {})["updates"] = [one["updates"] for one in found]
        stages = Stages(self.settings)
        run = stages.train(task.member)
        self._store()
        here, jobs = replace(run, path=self.folder / task.member), stages.fold_jobs(task.member, self.threads)
        tell_environment(here, self.threads)
        jobs = [replace(job, folder=str(folder)) for job, folder in zip(jobs, folders, strict=True)]
        train.finish(stages, task.member, jobs, here)
        _move(here.path, run)
        self.complete.append(task.member)

    def _sharing(self, task: Task, members: Sequence[str]) -> list[str]:
        """Returns those of the members that a task serves."""
        if task.kind != PRETRAIN:
            return [task.member]
        stages = Stages(self.settings)
        return [member for member in members if stages.pretrain(member) == stages.pretrain(task.member)]

    def _drop(self, members: list[str], why: str) -> None:
        """Leave members out; what they alone start from is left out with them."""
        gone = [member for member in dict.fromkeys(members) if member not in (*self.state.dropped, *self.complete)]
        for member in gone:
            self.state.dropped[member] = why
            say(f"budget: DROPPED {member}: {why}")
        self.waiting = [
            task
            for task in self.waiting
            if task.kind == FIRST
            or not all(one in self.state.dropped for one in self._sharing(task, self.state.members))
        ]
        self._store()

    def _store(self) -> None:
        self.state.seconds = round(self.watch.seconds, 1)
        write_state(self.folder, self.state)
        self.stored = time.monotonic()

    # Submissions

    def _submit_first(self, folder: Path) -> None:
        """Submit what the first n-gram CRF answers."""
        stages = Stages(self.settings)
        answers = decode_lines(Marginals.load(folder / TEST).per_line(), stages.prepared.scheme)
        path = self.folder / "first.txt"
        write_lines(path, map(format_labelled, annotate(stages.prepared.test, answers)))
        self._write_submission(path)

    def _write_submission(self, answer: Path) -> None:
        stages = Stages(self.requested)
        gate.check(answer, stages.contest.test)
        with folder_lock(self.submission.parent, wait=True):  # `submit` removes what seems left by a kill
            write_atomic(self.submission, lambda temporary: temporary.write_bytes(answer.read_bytes()))
        say(f"budget: {self.watch.seconds / 60:.1f} min: {self.submission}")

    def _blend_often(self) -> None:
        """Blend the complete members, unless all are complete or a blend takes too much of the minutes."""
        with self.changed:
            more = bool(self.waiting or self.running)
        if more and self.pace * self.sizes.blend_seconds(len(self.complete)) <= OFTEN * self.limit:
            self._blend()

    def _blend(self) -> None:
        """Blend the complete members; submit the answer if its score out of fold is no lower than the last one's."""
        with self.blending:
            self._blend_alone(sorted(self.complete, key=self.requested.members.index))

    def _blend_alone(self, members: list[str]) -> None:
        settings, since = self.state.followed(self.requested, members), self.watch.seconds
        blend = Stages(settings).blend
        if not blend.finished:
            preset = write_preset(self.folder, settings)
            self.blender.run_command(["blend", str(preset)], self.folder / "blend.log", self.threads)
            self.pace = (self.watch.seconds - since) / self.sizes.blend_seconds(len(members))
        manifest = blend.manifest()
        f1 = manifest["out_of_fold"][manifest["final"]]["span"]["f1"]
        if f1 >= self.state.f1:
            self.state.f1, self.state.submitted = f1, members
            self._write_submission(blend.path / f"{manifest['final']}.txt")


def _move(folder: Path, run: Run) -> None:
    """Let a finished folder be the run, in place of what a stopped command left of it; a finished run stays. Raises
    CheckpointError: another process works on it; the plan can go on after that."""
    left = folder.with_name(f"{folder.name}.replaced")
    shutil.rmtree(left, ignore_errors=True)  # a kill may have left it
    with ExitStack() as alone:  # without waiting, as that might take more than the minutes
        alone.enter_context(run.locked())
        for fold in run.path.glob("fold*/"):  # a member's folds are locked one by one
            alone.enter_context(folder_lock(fold, wait=False))
        if run.finished:
            return
        os.rename(run.path, left)
        os.rename(folder, run.path)
    shutil.rmtree(left)
