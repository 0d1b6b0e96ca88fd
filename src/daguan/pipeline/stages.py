"""The stages of a configuration: one row of a table each, with what a stage depends on and what makes its folder.

A run's key follows from the data, the settings that are read, the keys of the runs before it, and the code that makes
it (core/code.py). The folders of runs stand side by side in the work folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from daguan.core.errors import CheckpointError, DataError, MissingStageError
from daguan.core.files import real_path, sha256_of_file, sha256_of_json
from daguan.core.progress import say
from daguan.core.read_settings import chosen_rows, read_settings
from daguan.core.runs import MANIFEST, Run, accepted_run, other_environment, run_of
from daguan.core.settings import Section, require
from daguan.core.tables import Row
from daguan.data.contest import TEST, TRAIN, Contest
from daguan.data.folds import read_folds, training_file
from daguan.ensemble.distillation import best_on_other_folds
from daguan.families.family import family_of
from daguan.families.fold import FoldJob
from daguan.families.member import MemberSettings
from daguan.families.table import FAMILIES
from daguan.formats.code_book import CodeBook
from daguan.formats.corrections import corrected_in
from daguan.formats.importing import folder_in
from daguan.formats.parts import is_foreign
from daguan.formats.translation import Translation, reading_of
from daguan.models.encoders import hub
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline.settings import Settings
from daguan.training.engine_settings import EngineSettings

if TYPE_CHECKING:
    from daguan.pipeline.work.prepared import PreparedContest

READ = (".json", ".safetensors", ".txt")  # the files of a checkpoint's folder that are read
WITHOUT_EFFECT = ("checkpoint_seconds",)  # settings that change no result
IN_TRAINING = ("weight", "length")  # settings of pseudo-labels that labelling does not read
BY_CONTENT = ("checkpoint", "counts", "runs")  # settings that name files or runs, whose content is in the key


class Inputs(NamedTuple):
    """What a run depends on.

    Attributes:
        facts: hashes of data, keys of runs, and values, by name.
        settings: the settings that the sections are of.
        sections: the sections of them that the stage reads.
        rows: the rows of tables that are chosen otherwise than by a setting in these sections.
    """

    facts: dict[str, Any]
    settings: Section | None = None
    sections: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StageRow(Row):
    """One stage; `path` names the function that makes its folder, whose module and imports are in a run's key.

    `reads` are the sections of settings that the stage reads; a member's are those of its family.

    Attributes:
        inputs: gives what a run depends on, of the stages of a configuration and the name of a member.
    """

    inputs: Callable[[Stages, str], Inputs]


class Stages:
    """The runs of one configuration.

    Attributes:
        imports: whether the contest is made of data in another format.
        original: the contest without corrections.
        contest: with those of data.corrections.

    Raises:
        ConfigError: a member has the name of another run's folder, or one that begins so.
        DataError: data.dir is in another format, and has two files for one part; or there are no such corrections.
    """

    def __init__(self, settings: Settings) -> None:
        for member in settings.ensemble:
            free = member.partition("-")[0] not in RESERVED  # as readers find the runs of a stage by "blend-*"
            expected = f"names other than {', '.join(RESERVED)}, alone or before '-'"
            require("ensemble", free, expected, member)
        self.settings = settings
        self.work = Path(settings.data.work)
        built_in = Path("data") / settings.contest.folder
        source = Path(settings.data.dir)
        self.imports = bool(settings.data.dir) and is_foreign(source)
        folder = folder_in(self.work, source) if self.imports else source
        self.original = Contest(folder if settings.data.dir else built_in)
        marked = settings.data.corrections
        self.contest = corrected_in(self.work, self.original, Path(marked)) if marked else self.original
        self._runs: dict[tuple[str, str], Run] = {}  # members may need others, and these others again

    def run(self, stage: str, member: str = "") -> Run:
        """Returns the run of a stage, for a member where there is one of each. Raises DataError or CheckpointError:
        something that it depends on is missing."""
        if (stage, member) not in self._runs:
            row = STAGES[stage]
            inputs = row.inputs(self, member)
            code = [row, *inputs.rows]
            facts = dict(inputs.facts)
            if inputs.settings is not None:
                facts |= read_sections(inputs.settings, inputs.sections)
                code += chosen_rows(inputs.settings, inputs.sections)
            run = run_of(self.work, member if stage == "member" else stage, facts, code)
            self._runs[stage, member] = accepted_run(run, self.settings.data.accept_code)
        return self._runs[stage, member]

    @cached_property
    def data_sha256(self) -> dict[str, str]:
        """The hashes of the contest's files, and of its code book. Raises DataError: a file that it must have is
        missing."""
        made = self.settings.data.corrections or self.imports or not self.settings.data.dir
        if made and not self.contest.folder.is_dir():
            which = "corrected" if self.settings.data.corrections else "imported" if self.imports else "built-in"
            raise MissingStageError(f"{self.contest.folder}: expected the {which} contest, got none", "prepare")
        book = CodeBook.files(self.contest) if CodeBook.is_in(self.contest) else ()
        return self.contest.sha256() | {path.name: sha256_of_file(path) for path in book}

    @cached_property
    def translation(self) -> Translation:
        """Between the user's text and the contest's lines; each trained model keeps it. Raises DataError: damaged."""
        return Translation.of(self.contest)

    def member(self, name: str) -> MemberSettings:
        """Returns the settings of a member, with a folder in place of a checkpoint on the hub.

        Raises MissingStageError: that is not fetched, which `prepare` does.
        """
        made = self.settings.member(name)
        if not hub.is_on_hub(made.encoder.checkpoint):
            return made
        return made.replace(encoder=made.encoder.replace(checkpoint=hub.here(made.encoder.checkpoint)))

    @property
    def prepare(self) -> Run:
        return self.run("prepare")

    def pretrain(self, member: str) -> Run | None:
        """Returns the run that makes what a member starts from, which members may share; None if it starts afresh."""
        settings = self.settings.member(member)
        starts = family_of(settings.family).starts_from_pretraining(settings)
        return self.run("pretrain", member) if starts else None

    def train(self, member: str) -> Run:
        """Returns the run of a member over all folds."""
        return self.run("member", member)

    def pseudo_labels(self, member: str) -> Run | None:
        """Returns the run in which the member's teachers label lines for it, which members may share; None without
        teachers."""
        return self.run("pseudo", member) if self.settings.member(member).pseudo_labels.teachers else None

    def teachers(self, member: str) -> list[Run]:
        """Returns the runs that label lines for the member, in the order of a blend's."""
        runs = [self.train(teacher) for teacher in self.settings.member(member).pseudo_labels.teachers]
        return sorted(runs, key=lambda run: run.path.name)

    @property
    def blend(self) -> Run:
        return self.run("blend")

    @property
    def distil(self) -> Run:
        return self.run("distil")

    @cached_property
    def members(self) -> list[Run]:
        """The trained runs to blend: those that blend.runs names, else this configuration's. Raises CheckpointError."""
        if not self.settings.blend.runs:
            return [self.train(member) for member in sorted(self.settings.members)]
        runs = [self.named("blend.runs", name) for name in self.settings.blend.runs]
        return sorted(runs, key=lambda run: run.path.name)

    def require_trained(self) -> None:
        """Raises MissingStageError: the first stage before the blend that has not been run."""
        self.prepare.manifest()
        for member in () if self.settings.blend.runs else self.settings.members:
            if not self.train(member).finished and (pretrain := self.pretrain(member)):
                pretrain.manifest()
        for run in self.members:
            run.manifest()

    @property
    def answer(self) -> Run:
        """The run whose answer is submitted and shipped. It has the manifest and the files of a blend."""
        return self.blend

    def answered(self) -> dict[str, Any]:
        """Returns the manifest of `answer`. Raises MissingStageError: the first stage that has not been run."""
        self.require_trained()
        return self.answer.manifest()

    @property
    def families(self) -> dict[str, str]:
        """The family of each run to blend, by the run's name. Raises CheckpointError: the first that is not trained."""
        return {run.path.name: run.manifest()["depends_on"]["family"] for run in self.members}

    @property
    def judged(self) -> list[Run]:
        """The runs whose held-out answers teach a student's judge: one that stands for the student, and its partner's,
        if there is one."""
        return [self.stand_in, *([self.train(self.partner)] if self.partner else [])]

    @cached_property
    def stand_in(self) -> Run:
        """The run that stands for the student: its own member's or, if that is not trained, the best of the blend,
        which is an n-gram CRF only if all are."""
        own, runs = self.train(self.settings.distil.student), {run.path.name: run for run in self.members}
        if own.finished:
            return own
        folds = {name: run.manifest()["folds"] for name, run in runs.items()}
        others = {name: of for name, of in folds.items() if not family_of(self.families[name]).is_baseline}
        return runs[best_on_other_folds(others or folds)]

    @cached_property
    def partner(self) -> str:
        """The member that is shipped with a student: the blend's best n-gram CRF that needs no other member, but not
        the one that stands for the student; empty if there is none."""
        paths = {run.path for run in self.members} - {self.stand_in.path}
        found = [name for name in self.settings.members if self._is_baseline(name) and not self.settings.needs_of(name)]
        runs = {name: self.train(name) for name in found if self.train(name).path in paths}
        return best_on_other_folds({name: run.manifest()["folds"] for name, run in runs.items()}) if runs else ""

    def _is_baseline(self, member: str) -> bool:
        return family_of(self.settings.member(member).family).is_baseline

    def named(self, setting: str, name: str) -> Run:
        """Returns the trained run that a setting names. Raises CheckpointError: it is missing, or on other lines."""
        stage, _, key = name.rpartition("-")
        run = Run(self.work / name, stage, key, {}, {})
        if not run.finished:
            raise CheckpointError(f"{setting}: {run.path}: expected the finished stage {stage!r}, got none")
        if run.manifest().get("lines") != self.lines:
            raise CheckpointError(f"{setting}: {name}: expected a run on these data and folds, got one on others")
        return run

    @cached_property
    def prepared(self) -> PreparedContest:
        """What stages after `prepare` read."""
        from daguan.pipeline.work.prepared import PreparedContest

        return PreparedContest(
            self.contest, self.train_file, self.sha256_of_lines, self.prepare.path, self.settings.seed
        )

    @property
    def train_file(self) -> Path:
        """The training lines that take part."""
        return training_file(self.contest, self.prepare.path, self.settings.folds)

    @cached_property
    def sha256_of_lines(self) -> dict[str, str]:
        """The hashes of the training lines that take part and of the lines to label, by their paths."""
        data = self.data_sha256
        train = sha256_of_file(self.train_file) if self.settings.folds.lines else data[TRAIN]
        return {str(self.train_file): train, str(self.contest.test): data[TEST]}

    @property
    def scored_lines(self) -> int:
        """How many training lines take part; a fold holds out each of them."""
        return len(read_folds(self.prepare.path))

    @cached_property
    def lines(self) -> str:
        """A key of what runs must share to be blended: the labelled and the test lines, and the folds."""
        data = dict(zip((TRAIN, TEST), self.sha256_of_lines.values(), strict=True))
        return sha256_of_json({"data": data, "folds": read_folds(self.prepare.path).tolist()})

    @property
    def submission(self) -> Path:
        contest = real_path(self.contest.folder).name
        name = f"{contest}-{self.settings.name}-{self.answer.key[:8]}"
        return Path(self.settings.data.submissions) / f"{name}.txt"

    def fold_jobs(self, member: str, threads: int) -> list[FoldJob]:
        """Returns the jobs of a member, one for each fold."""
        settings, run, pretrain = self.member(member), self.train(member), self.pretrain(member)
        pseudo, family = self.pseudo_labels(member), family_of(settings.family)
        engine = decided(self.settings.engine)
        return [
            FoldJob(
                member=member,
                settings=settings,
                engine=engine if family.uses_gpu else engine.replace(device="cpu"),
                fold=fold,
                folds=self.settings.folds.count,
                folder=str(run.path / f"fold{fold}"),
                train=str(self.train_file),
                test=str(self.contest.test),
                sha256=self.sha256_of_lines,
                prepared=str(self.prepare.path),
                threads=threads,
                processes=engine.devices if family.divides else 1,
                pretrained=str(pretrain.path) if pretrain else "",
                needed=[str(self.train(need).path / f"fold{fold}") for need in family.needs(settings)],
                pseudo_labels=str(pseudo.path) if pseudo else "",
                conflicts_run=str(self.work / settings.conflicts.run) if settings.conflicts.run else "",
            )
            for fold in range(self.settings.folds.count)
        ]


def decided(engine: EngineSettings) -> EngineSettings:
    """Returns the settings with the precision that `auto` means here, as the keys of runs have it: on the machine that
    does a job it may mean another one."""
    from daguan.training.devices import matrix_dtype

    return engine.replace(precision="bf16" if "bfloat16" in str(matrix_dtype(engine)) else "float32")


def _prepare(stages: Stages, _: str) -> Inputs:
    facts: dict[str, Any] = {"data": stages.data_sha256}
    if reading := reading_of(stages.contest):
        facts["reading"] = reading
    return Inputs(facts, stages.settings, STAGES["prepare"].reads)


def _pretrain(stages: Stages, member: str) -> Inputs:
    settings = stages.member(member)
    row = ENCODERS[settings.model.encoder]
    start = {name: sha256_of_file(path) for name, path in start_files(settings).items()}
    facts = {"architecture": settings.model.encoder, "start": start} | _trained_with(stages, settings)
    if settings.model.pieces and stages.contest.vocabulary.is_file():
        facts["texts"] = sha256_of_file(stages.contest.vocabulary)
    if settings.model.pieces:
        facts["pieces"] = True
    if commit := hub.commit_of(settings.encoder.checkpoint):
        facts["commit"] = commit
    return Inputs(facts, settings, ("encoder", "pretrain" if row.pretrained else "vectors"), (row,))


def _member(stages: Stages, member: str) -> Inputs:
    settings = stages.settings.member(member)
    family = family_of(settings.family)
    facts = {"family": settings.family} | _trained_with(stages, settings)
    if settings.updates:
        facts["updates"] = list(settings.updates)
    if settings.conflicts.run:
        stages.named("conflicts.run", settings.conflicts.run)
    if pretrain := stages.pretrain(member):
        facts["pretrain"] = pretrain.key
    if needs := family.needs(settings):
        facts["needs"] = sorted(stages.train(need).key for need in needs)
    if pseudo := stages.pseudo_labels(member):
        chosen = {name: getattr(settings.pseudo_labels, name) for name in IN_TRAINING}
        facts["pseudo_labels"] = {"run": pseudo.key, **chosen}
    return Inputs(facts, settings, family.reads, (FAMILIES[settings.family], *family.rows(settings)))


def _pseudo(stages: Stages, member: str) -> Inputs:
    asked = stages.settings.member(member).pseudo_labels
    choice = {name: value for name, value in dict(asked).items() if name not in ("teachers", *IN_TRAINING)}
    facts = {"teachers": [run.path.name for run in stages.teachers(member)], "choice": choice}
    plain = stages.settings.blend.replace(lookup=False)  # pseudo-labels look no line up
    return Inputs(facts | _blended(stages), stages.settings.replace(blend=plain), ("blend",))


def _blend(stages: Stages, _: str) -> Inputs:
    facts = {"members": [run.path.name for run in stages.members]}
    return Inputs(facts | _blended(stages), stages.settings, ("blend",))


def _distil(stages: Stages, _: str) -> Inputs:
    student = stages.train(stages.settings.distil.student)
    judged = [run.path.name for run in stages.judged]
    facts = {"blend": stages.answer.path.name, "student": student.path.name, "judged": judged}
    return Inputs(facts, stages.settings, STAGES["distil"].reads)


def _trained_with(stages: Stages, settings: MemberSettings) -> dict[str, Any]:
    """Returns what all that is trained with these settings depends on."""
    from daguan.training.devices import matrix_dtype

    facts = {"seed": settings.seed, "prepare": stages.prepare.key}
    if family_of(settings.family).computes_in_precision:
        facts["precision"] = str(matrix_dtype(stages.settings.engine))
    return facts


def _blended(stages: Stages) -> dict[str, Any]:
    """Returns what every blend of members depends on beside these."""
    return {"seed": stages.settings.seed, "prepare": stages.prepare.key}


STAGES = {
    "prepare": StageRow("daguan.pipeline.work.prepare:prepare", ("vocabulary", "folds"), inputs=_prepare),
    "pretrain": StageRow(
        "daguan.pipeline.work.pretrain:pretrain", ("model", "encoder", "vectors", "pretrain"), inputs=_pretrain
    ),
    "pseudo": StageRow("daguan.pipeline.work.pseudo_label:pseudo_label", ("pseudo_labels", "blend"), inputs=_pseudo),
    "member": StageRow("daguan.families.jobs:run_job", inputs=_member),
    "blend": StageRow("daguan.pipeline.work.blend:blend", ("blend",), inputs=_blend),
    "distil": StageRow("daguan.pipeline.work.distil:distil", ("distil",), inputs=_distil),
}
# folders of runs that are no member's
RESERVED = (*STAGES, "budget", "tune", "rehearse", "play", "advice", "reproduce", "import", "corrected", "report")


def read_sections(settings: Section, sections: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns the settings in these sections that something reads and that can change a result, as plain values."""
    found: dict[str, dict[str, Any]] = {name: {} for name in sections}
    for path, value in read_settings(settings, found):
        section, _, name = path.partition(".")
        if name not in (*WITHOUT_EFFECT, *BY_CONTENT):
            found[section][name] = json.loads(json.dumps(value))
    return found


def start_files(settings: MemberSettings) -> dict[str, Path]:
    """Returns the files from elsewhere that an encoder starts from, by name. Raises DataError or CheckpointError: the
    count table, or the folder of the checkpoint, does not exist."""
    files = {}
    if folder := settings.encoder.checkpoint or settings.vectors.folder:
        if not Path(folder).is_dir():
            raise CheckpointError(f"{folder}: expected a folder with a checkpoint, got none")
        found = (path for path in sorted(Path(folder).iterdir()) if path.is_file() and path.name[0] != ".")
        read = (path for path in found if path.suffix in READ and path.name != MANIFEST)
        fetched = bool(hub.commit_of(folder))  # beside files that other programs may have fetched
        files = {path.name: path for path in read if not fetched or hub.is_read(path.name)}
    if counts := settings.encoder.counts:
        if not Path(counts).is_file():
            raise DataError(f"{counts}: expected a count table, got nothing at that path")
        files["counts/"] = Path(counts)
    return files


def once(run: Run, make: Callable[[Run], None], wait: bool = False, threads: int = 1) -> None:
    """Makes a run unless it is made; only one process at a time.

    threads: on which its bytes depend. Raises CheckpointError: another process is at it, and we are not to wait.
    """
    if run.finished:
        say(f"{run.stage}: done before ({run.path.name}), skipped")
        return
    with run.locked(wait):
        if not run.finished:  # another process may have finished it just before
            tell_environment(run, threads)
            make(run)


def tell_environment(run: Run, threads: int) -> None:
    """Say what was different when an unfinished run was begun, if anything."""
    if difference := other_environment(run, threads):
        say(f"{run.stage}: continues a run that was begun with {difference}; its bytes may differ")
