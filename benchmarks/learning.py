"""Runs one pretraining for a given number of CPU minutes, in a process of its own on one thread.

`python -m benchmarks.learning JOB.json` writes RESULT into the job's folder beside the pretrained encoder. The result
is stored: a job whose RESULT exists is not done again, and jobs of another version of the code are different jobs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.data import WORK, Text
from benchmarks.harness import ROOT, our_environment
from benchmarks.ours import encoder_settings
from daguan.core.code import code_version
from daguan.core.files import read_json, sha256_of_json, write_json
from daguan.core.settings import to_dict
from daguan.data.batches.packing import Blocks
from daguan.models.encoders.settings import EncoderSettings
from daguan.pipeline.settings import load
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

RESULT = "learning.json"
BERT, BEST_BERT, OURS = "BERT, AdamW", "BERT, AdamW, best schedule", "ours"
POINTS = 24  # how many times a run is evaluated
TRIAL_UPDATES = 16  # to find out how many fit into the minutes
ENGINE = EngineSettings(device="cpu", threads=1)


@dataclass(frozen=True)
class Contender:
    """A recipe of pretraining; the minutes determine `tokens` of its settings."""

    architecture: str
    encoder: EncoderSettings
    settings: PretrainSettings


def contenders() -> dict[str, Contender]:
    """Returns BERT as usually pretrained, BERT with the best schedule we found, and the default preset."""
    size = encoder_settings(4, 256)
    best = PretrainSettings(optimiser="adamw", learning_rate=1e-3, batch_size=8, warmup=0.1)
    return {
        BERT: Contender("bert", size, PretrainSettings(optimiser="adamw", learning_rate=5e-4)),
        BEST_BERT: Contender("bert", size, best),
        OURS: of_preset(),
    }


def of_preset(*words: str) -> Contender:
    """The default preset, with settings changed as on a command line."""
    settings = load([str(ROOT / "configs" / "small.yaml"), *words])
    return Contender(settings.model.encoder, settings.encoder, settings.pretrain)


@dataclass(frozen=True)
class Learning:
    """A job of pretraining.

    Attributes:
        contender: the recipe.
        text: the text to read.
        minutes: CPU minutes.
        words: arguments in which the settings differ from ours.
        points: the number of evaluations.
    """

    contender: str
    text: dict[str, str]
    minutes: float
    seed: int
    words: Sequence[str] = ()
    points: int = POINTS

    @property
    def trained(self) -> Contender:
        return of_preset(*self.words) if self.words else contenders()[self.contender]

    @property
    def folder(self) -> Path:
        """Returns the folder of its result, named by everything it depends on."""
        trained = self.trained
        about = [trained.architecture, to_dict(trained.encoder), to_dict(trained.settings)]
        depends_on = [asdict(self), about, code_version()]
        return WORK / "learning" / sha256_of_json(depends_on)[:16]

    @property
    def result(self) -> dict[str, Any] | None:
        """Returns minutes, tokens and loss at each point of the curve; None before it is done."""
        path = self.folder / RESULT
        return dict(read_json(path)) if path.is_file() else None

    def run(self) -> dict[str, Any]:
        """Do it in a process of its own unless it is done."""
        if self.result is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / "job.json", asdict(self))
            words = [sys.executable, "-m", "benchmarks.learning", str(self.folder / "job.json")]
            subprocess.run(words, cwd=ROOT, env=our_environment(1), check=True)
        assert self.result is not None
        return self.result


def train(job: Learning) -> None:
    """Pretrain for the job's CPU minutes, without the time of evaluations.

    The loss is the first that the objective measures: that of the masked language model, or of the generator or the
    decoder.
    """
    prepare_process(1)
    updates = _updates_in(job)
    trainer = _trainer(job, updates)
    curve = []
    spent = 0.0
    fit = trainer.steps()
    while trainer.done < updates:
        start = time.process_time()
        for _ in range(min(-(-updates // job.points), updates - trainer.done)):
            update = next(fit)
        spent += time.process_time() - start
        loss = next(iter(trainer.evaluate().values())).loss
        curve.append({"minutes": round(spent / 60, 2), "tokens": update.tokens, "loss": round(loss, 4)})
        print(f"{job.contender}, {job.minutes:g} minutes, seed {job.seed}: {curve[-1]}", flush=True)
    trainer.model.save(job.folder)
    Text(**job.text).vocabulary.save(job.folder)
    write_json(job.folder / RESULT, {"curve": curve})


def _updates_in(job: Learning) -> int:
    """Returns the number of updates that the minutes allow, by the median of the first few."""
    trial = _trainer(job, TRIAL_UPDATES).steps()
    ends = [time.process_time(), *(time.process_time() for _ in trial)]
    each = statistics.median(end - start for start, end in pairwise(ends))
    return max(1, round(job.minutes * 60 / each))


def _trainer(job: Learning, updates: int) -> Pretrainer:
    text, contender = Text(**job.text), job.trained
    rows = contender.settings.batch_size * contender.settings.accumulation
    tokens = updates * rows * contender.encoder.max_length
    settings = contender.settings.replace(tokens=tokens)
    blocks = Blocks(text.tokens, contender.encoder.max_length)
    size = len(text.vocabulary)
    return Pretrainer(contender.architecture, contender.encoder, settings, ENGINE, blocks, size, job.seed)


if __name__ == "__main__":
    train(Learning(**read_json(Path(sys.argv[1]))))
