"""Which stage depends on what, and in which folder it works."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from daguan.core.errors import CheckpointError, DataError
from daguan.core.files import sha256_of_file, sha256_of_json
from daguan.core.progress import say
from daguan.core.runs import MANIFEST, Run, run_of
from daguan.core.settings import to_dict
from daguan.data.contest import TEST, TRAIN, Contest
from daguan.data.folds import read_folds, training_file
from daguan.families.jobs import FoldJob
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline.settings import ROOT, Settings
from daguan.training.devices import matrix_dtype
from daguan.training.token_vector_settings import NO_VECTORS

NEEDED_BY_FAMILY = {
    "tagger": ("encoder", "conflicts", "augmentation", "model", "train"),
    "ngram_crf": ("conflicts", "augmentation", "ngram_crf"),
    "soup": ("soup",),
}
UNTOLD = ("checkpoint_seconds", "checkpoint", "counts")  # change no result, or by the content of what they name
READ = (".json", ".safetensors", ".bin", ".txt")  # what of a checkpoint's folder is read


class Stages:
    """The runs of one configuration. A run's key follows from data, settings and the keys of the runs before it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.work = Path(settings.data.work)
        built_in = ROOT / "data" / settings.contest.folder
        self.contest = Contest(Path(settings.data.dir) if settings.data.dir else built_in)

    @cached_property
    def data_sha256(self) -> dict[str, str]:
        """Raises DataError: the folder, or a file it must hold, is missing."""
        if not self.settings.data.dir and not self.contest.folder.is_dir():
            raise DataError(f"{self.contest.folder}: expected the built-in contest, got none; run `prepare` first")
        return self.contest.sha256()

    @cached_property
    def prepare(self) -> Run:
        before = {"data": self.data_sha256, **told(self.settings, "vocabulary", "folds")}
        return run_of(self.work, "prepare", before)

    def pretrain(self, member: str) -> Run | None:
        """Of what the member starts from: a pretrained encoder, or one over token vectors; None if from neither.
        Members may share one. Raises DataError or CheckpointError: what that itself starts from is not there."""
        settings = self.settings.member(member)
        if not pretrains(settings):
            return None
        start = {name: self._sha256(path) for name, path in _start_files(settings).items()}
        before = {"architecture": settings.model.encoder, "start": start, **self._before(settings)}
        learnt = "pretrain" if ENCODERS[settings.model.encoder].pretrained else "vectors"
        return run_of(self.work, "pretrain", before | told(settings, "encoder", learnt))

    @cached_property
    def _hashed(self) -> dict[Path, str]:
        return {}

    def _sha256(self, path: Path) -> str:
        """Of a file from elsewhere, read once: a command knows one state of it."""
        if path not in self._hashed:
            self._hashed[path] = sha256_of_file(path)
        return self._hashed[path]

    def train(self, member: str) -> Run:
        """The run of a member over all folds."""
        if member not in self._trained:  # members may need others, and these others again
            self._trained[member] = self._train(member)
        return self._trained[member]

    @cached_property
    def _trained(self) -> dict[str, Run]:
        return {}

    def _train(self, member: str) -> Run:
        settings = self.settings.member(member)
        before = self._before(settings)
        if settings.conflicts.run:
            self._named("conflicts.run", settings.conflicts.run)
        if settings.family == "tagger":
            pretrain = self.pretrain(member)
            before |= {"pretrain": pretrain.key if pretrain else ""}
        if settings.needs:
            before |= {"needs": sorted(self.train(need).key for need in settings.needs)}
        if pseudo := self.pseudo_labels(member):
            before |= {"pseudo_labels": {"run": pseudo.key, "weight": settings.pseudo_labels.weight}}
        return run_of(self.work, member, before | told(settings, *NEEDED_BY_FAMILY[settings.family]))

    def pseudo_labels(self, member: str) -> Run | None:
        """Of what the member's teachers label for it; None if it has none. Members may share one."""
        if not (runs := self.teachers(member)):
            return None
        asked = to_dict(self.settings.member(member).pseudo_labels)
        choice = {name: value for name, value in asked.items() if name not in ("teachers", "weight")}
        before = {"teachers": [run.path.name for run in runs], "method": self.settings.blend.method, "choice": choice}
        return run_of(self.work, "pseudo", before | {"prepare": self.prepare.key, "seed": self.settings.seed})

    def teachers(self, member: str) -> list[Run]:
        """The runs that label lines for the member, in the order of a blend's."""
        runs = [self.train(teacher) for teacher in self.settings.member(member).pseudo_labels.teachers]
        return sorted(runs, key=lambda run: run.path.name)

    @cached_property
    def members(self) -> list[Run]:
        """The trained runs to blend: those named, else this configuration's. Raises CheckpointError."""
        if not self.settings.blend.runs:
            return [self.train(member) for member in sorted(self.settings.members)]
        runs = [self._named("blend.runs", name) for name in self.settings.blend.runs]
        return sorted(runs, key=lambda run: run.path.name)

    @property
    def families(self) -> dict[str, str]:
        """Of the runs to blend, by name. Raises CheckpointError: the first that is not trained."""
        return {run.path.name: run.manifest()["depends_on"]["family"] for run in self.members}

    def _named(self, setting: str, name: str) -> Run:
        """A trained run that a setting names. Raises CheckpointError: it is not there, or on other lines."""
        stage, _, key = name.rpartition("-")
        run = Run(self.work / name, stage, key, {})
        if run.manifest().get("lines") != self.lines:
            raise CheckpointError(f"{setting}: {name}: expected a run on these data and folds, got one on others")
        return run

    @property
    def gold_file(self) -> Path:
        """All lines whose labels are known, whether they take part or not."""
        return self.contest.train

    @property
    def train_file(self) -> Path:
        """The training lines that take part."""
        return training_file(self.contest, self.prepare.path, self.settings.folds)

    @property
    def scored_lines(self) -> int:
        """How many training lines take part, all of which a fold holds out."""
        return len(read_folds(self.prepare.path))

    @cached_property
    def lines(self) -> str:
        """What runs must share to be blended: the labelled and the test lines, and the folds. A key."""
        data = {name: self.data_sha256[name] for name in (TRAIN, TEST)}
        if self.settings.folds.lines:
            data[TRAIN] = sha256_of_file(self.train_file)
        return sha256_of_json({"data": data, "folds": read_folds(self.prepare.path).tolist()})

    @cached_property
    def blend(self) -> Run:
        asked = self.settings.blend
        way = {"method": asked.method, "lookup": asked.lookup, "seed": self.settings.seed, "prepare": self.prepare.key}
        return run_of(self.work, "blend", {"members": [run.path.name for run in self.members], **way})

    @cached_property
    def distil(self) -> Run:
        """Of one model that the blend teaches."""
        before = {"blend": self.blend.path.name, "student": self.train(self.settings.distil.student).path.name}
        return run_of(self.work, "distil", before | told(self.settings, "distil"))

    def _before(self, settings: Settings) -> dict[str, Any]:
        """What all that is trained with these settings depends on."""
        before = {"family": settings.family, "seed": settings.seed, "prepare": self.prepare.key}
        return before | ({"precision": str(matrix_dtype(settings.engine))} if settings.family != "ngram_crf" else {})

    @property
    def submission(self) -> Path:
        contest = self.contest.folder.resolve().name
        name = f"{contest}-{self.settings.name}-{self.blend.key[:8]}"
        return Path(self.settings.data.submissions) / f"{name}.txt"

    def fold_jobs(self, member: str, threads: int) -> list[FoldJob]:
        settings, run, pretrain = self.settings.member(member), self.train(member), self.pretrain(member)
        pseudo = self.pseudo_labels(member)
        return [
            FoldJob(
                member=member,
                family=settings.family,
                fold=fold,
                folder=str(run.path / f"fold{fold}"),
                contest=str(self.contest.folder),
                prepared=str(self.prepare.path),
                pretrained=str(pretrain.path) if pretrain else "",
                seed=settings.seed,
                threads=threads,
                settings=to_dict(settings),
                needed=[str(self.train(need).path / f"fold{fold}") for need in settings.needs],
                pseudo_labels=str(pseudo.path) if pseudo else "",
            )
            for fold in range(settings.folds.count)
        ]


def pretrains(settings: Settings) -> bool:
    """Does what these settings make start from what the stage `pretrain` makes: an encoder that has learnt or that a
    checkpoint gave, or one over token vectors?"""
    learns = settings.pretrain.tokens > 0 or bool(settings.encoder.checkpoint)
    begins = settings.vectors.kind != NO_VECTORS
    return settings.family == "tagger" and (learns if ENCODERS[settings.model.encoder].pretrained else begins)


def _start_files(settings: Settings) -> dict[str, Path]:
    """Files from elsewhere that the encoder starts from, by name. Raises DataError: the count table is not there, and
    CheckpointError: the folder is not."""
    files = {}
    if folder := settings.encoder.checkpoint or settings.vectors.folder:
        if not Path(folder).is_dir():
            raise CheckpointError(f"{folder}: expected a folder with a checkpoint, got none")
        there = (path for path in sorted(Path(folder).iterdir()) if path.is_file() and path.name[0] != ".")
        files = {path.name: path for path in there if path.suffix in READ and path.name != MANIFEST}
    if counts := settings.encoder.counts:
        if not Path(counts).is_file():
            raise DataError(f"{counts}: expected a count table, got nothing at that path")
        files["counts/"] = Path(counts)
    return files


def told(settings: Settings, *sections: str) -> dict[str, Any]:
    """What those sections say that may change a result."""
    everything = json.loads(json.dumps(to_dict(settings)))
    return {name: {k: v for k, v in everything[name].items() if k not in UNTOLD} for name in sections}


def once(run: Run, do: Callable[[Run], None], wait: bool = False) -> None:
    """Do a stage unless it is done; only one process at a time. Raises CheckpointError: another one is at it, and we
    are not to wait."""
    if run.finished:
        say(f"{run.stage}: done before ({run.path.name}), skipped")
        return
    with run.locked(wait):
        if not run.finished:  # another process may have finished it just before
            do(run)
