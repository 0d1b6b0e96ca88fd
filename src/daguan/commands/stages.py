"""Which stage depends on what, and in which folder it works."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from daguan.commands.settings import ROOT, Settings
from daguan.core.errors import CheckpointError, DataError
from daguan.core.files import sha256_of_file, sha256_of_json
from daguan.core.progress import say
from daguan.core.runs import Run, run_of
from daguan.core.settings import to_dict
from daguan.models.encoder_settings import ENCODERS
from daguan.models.vector_settings import NO_VECTORS
from daguan.text.folds import read_folds
from daguan.training.jobs import FoldJob

FILES = ("train.txt", "test.txt", "corpus.txt")
NEEDED_BY_FAMILY = {"tagger": ("encoder", "model", "train"), "ngram_crf": ("ngram_crf",)}
UNTOLD = ("checkpoint_seconds",)  # settings that change no result


class Stages:
    """The runs of one configuration. A run's key follows from data, settings and the keys of the runs before it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.work = Path(settings.data.work)
        built_in = ROOT / "data" / settings.contest.folder
        self.contest = Path(settings.data.dir) if settings.data.dir else built_in

    @cached_property
    def data_sha256(self) -> dict[str, str]:
        """Raises DataError: the folder, or a file it must hold, is missing."""
        if not self.contest.is_dir():
            hint = "" if self.settings.data.dir else "; run `prepare` first"
            raise DataError(f"{self.contest}: expected a folder with train.txt and test.txt, got none{hint}")
        for name in FILES[:2]:
            if not (self.contest / name).is_file():
                raise DataError(f"{self.contest / name}: expected a file, got nothing at that path")
        return {name: sha256_of_file(self.contest / name) for name in FILES if (self.contest / name).is_file()}

    @cached_property
    def prepare(self) -> Run:
        return self._run("prepare", {"data": self.data_sha256}, "vocabulary", "folds")

    @cached_property
    def pretrain(self) -> Run:
        before = {"prepare": self.prepare.key, "architecture": self.settings.model.encoder, **self._precision}
        start = {str(path): sha256_of_file(path) for path in self._start_files}
        return self._run("pretrain", before | {"start": start}, "encoder", "pretrain" if self._masked_lm else "vectors")

    def pretrains(self, family: str) -> bool:
        """Does the family start from what the stage `pretrain` makes: a masked language model, one that a checkpoint
        gave, or an encoder over token vectors?"""
        encoder, vectors = self.settings.encoder, self.settings.vectors
        some = self.settings.pretrain.tokens > 0 or bool(encoder.checkpoint)
        return family == "tagger" and (some if self._masked_lm else vectors.kind != NO_VECTORS)

    @property
    def _masked_lm(self) -> bool:
        return ENCODERS[self.settings.model.encoder].pretrained

    @property
    def _start_files(self) -> list[Path]:
        """Files from elsewhere that the encoder starts from. Raises DataError: the count table is not there, and
        CheckpointError: the folder is not."""
        files = []
        if folder := self.settings.encoder.checkpoint or self.settings.vectors.folder:
            if not Path(folder).is_dir():
                raise CheckpointError(f"{folder}: expected a folder with a checkpoint, got none")
            files += sorted(path for path in Path(folder).iterdir() if path.is_file() and path.name[0] != ".")
        if counts := self.settings.encoder.counts:
            if not Path(counts).is_file():
                raise DataError(f"{counts}: expected a count table, got nothing at that path")
            files.append(Path(counts))
        return files

    def train(self, family: str) -> Run:
        """The run of a family of models over all folds."""
        before = {"prepare": self.prepare.key}
        if family == "tagger":
            before |= {"pretrain": self.pretrain.key if self.pretrains(family) else "", **self._precision}
        return self._run(family, before, *NEEDED_BY_FAMILY[family])

    @cached_property
    def members(self) -> list[Run]:
        """The trained runs to blend: those named, else this configuration's. Raises CheckpointError."""
        if not self.settings.blend.runs:
            return [self.train(family) for family in sorted(self.settings.members)]
        runs = []
        for name in self.settings.blend.runs:
            stage, _, key = name.rpartition("-")
            run = Run(self.work / name, stage, key, {})
            if run.manifest().get("lines") != self.lines:
                raise CheckpointError(f"blend.runs: {name}: expected a run on these data and folds, got one on others")
            runs.append(run)
        return sorted(runs, key=lambda run: run.path.name)

    @cached_property
    def lines(self) -> str:
        """What runs must share to be blended: the labelled and the test lines, and the folds. A key."""
        data = {name: self.data_sha256[name] for name in FILES[:2]}
        return sha256_of_json({"data": data, "folds": read_folds(self.prepare.path).tolist()})

    @cached_property
    def blend(self) -> Run:
        return run_of(self.work, "blend", {"members": [run.path.name for run in self.members]})

    def _run(self, stage: str, before: dict[str, Any], *sections: str) -> Run:
        everything = json.loads(json.dumps(to_dict(self.settings)))
        told = {name: {k: v for k, v in everything[name].items() if k not in UNTOLD} for name in sections}
        return run_of(self.work, stage, {"seed": self.settings.seed, **before, **told})

    @property
    def _precision(self) -> dict[str, str]:
        return {"precision": str(self.settings.engine.dtype)}

    @property
    def submission(self) -> Path:
        contest = self.contest.resolve().name
        name = f"{contest}-{self.settings.name}-{self.blend.key[:8]}"
        return Path(self.settings.data.submissions) / f"{name}.txt"

    def fold_jobs(self, family: str, threads: int) -> list[FoldJob]:
        run = self.train(family)
        pretrained = str(self.pretrain.path) if self.pretrains(family) else ""
        return [
            FoldJob(
                family=family,
                fold=fold,
                folder=str(run.path / f"fold{fold}"),
                contest=str(self.contest),
                prepared=str(self.prepare.path),
                pretrained=pretrained,
                seed=self.settings.seed,
                threads=threads,
                settings=to_dict(self.settings),
            )
            for fold in range(self.settings.folds.count)
        ]


def once(run: Run, do: Callable[[Run], None]) -> None:
    """Do a stage unless it is done; only one process at a time."""
    if run.finished:
        say(f"{run.stage}: done before ({run.path.name}), skipped")
        return
    with run.locked():
        if not run.finished:  # another process may have finished it just before
            do(run)
