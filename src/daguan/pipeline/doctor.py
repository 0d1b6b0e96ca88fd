"""What this machine offers, whether the contest's folder is good, and the preset for both; a remedy for each fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import torch

from daguan.core.errors import DaguanError
from daguan.core.files import require_writable
from daguan.core.quantity import quantity
from daguan.core.runs import MANIFEST
from daguan.core.shared_disks import lock_doubt
from daguan.data.batches.packing import NumberedText
from daguan.data.contest import Contest
from daguan.data.folds import assign_folds, document_of_line
from daguan.data.format import iter_corpus
from daguan.data.people_daily import is_built
from daguan.formats.importing import build_in
from daguan.models.encoders import hub
from daguan.pipeline import prepare
from daguan.pipeline.budget import resources
from daguan.pipeline.budget.allotment import FEWEST, folds_and_lines
from daguan.pipeline.budget.estimates import MEMORY, PROCESS, SPEED, TRAINED_TOKEN
from daguan.pipeline.estimate import ENTRIES, stated_machine
from daguan.pipeline.settings import DEFAULT, Settings, load
from daguan.pipeline.stages import Stages
from daguan.pipeline.work.prepare import read_checked
from daguan.training.devices import cores, cpu_model, find_device, matrix_dtype, memory
from daguan.training.engine_settings import EngineSettings
from daguan.training.operations import matrix_rate

RATE_SECONDS = 0.4  # of each measured matrix rate
CORPUS_LINES = 100_000  # that are checked; `prepare` checks all
HOUR, NIGHT, GPU_DAY = "cpu_1h", "cpu_night", "gpu_day"  # the presets that fit themselves to a contest of any size
BF16 = ("bf16", torch.bfloat16)
PRECISIONS = (("float32", torch.float32), BF16)


@dataclass(frozen=True)
class Offer:
    """What the machine offers.

    Attributes:
        memory: bytes available without swapping.
        fast_bf16: whether engine.precision=auto takes bf16 on the processor.
        rates: operations a second of matrix products, by device and precision.
        gpus: bytes of memory of each GPU, by its name.
        disk: bytes that are free where the work folder goes.
        locks: why locks may not hold between machines there; empty where they do, or on a disk of one machine.
    """

    cpu: str
    cores: int
    memory: float
    fast_bf16: bool
    rates: dict[str, float]
    gpus: tuple[tuple[str, int], ...]
    disk: int
    locks: str = ""


@dataclass(frozen=True)
class Contents:
    """What a contest's folder holds; all 0 where it is not built yet, or could not be read.

    Attributes:
        corpus: bytes of the unlabelled lines.
        checked: how many of these were checked.
    """

    folder: str
    built: bool = True
    lines: int = 0
    tokens: int = 0
    types: int = 0
    test_lines: int = 0
    corpus: int = 0
    checked: int = 0


@dataclass(frozen=True)
class Diagnosis:
    """All that was found.

    Attributes:
        preset: the one to take, and why.
        to_fetch: the checkpoints on the hub that are not here yet; without them nothing says whether a run has room.
        faults: one line each, with a remedy.
    """

    offer: Offer
    contest: Contents
    preset: str
    why: str
    faults: tuple[str, ...]
    to_fetch: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def diagnose(settings: Settings) -> Diagnosis:
    """Returns what is found here for a configuration."""
    offer = offered(Path(settings.data.work))
    faults = _failing(lambda: find_device(settings.engine), "engine.device=auto takes what is there")
    with TemporaryDirectory() as folder:
        contest, wrong, readable = examine(settings, Path(folder))
        faults += wrong
        checkpoints = {settings.member(one).encoder.checkpoint for one in settings.trained}
        to_fetch = [] if faults else sorted(filter(hub.is_absent, checkpoints))
        if contest.lines and not faults:
            faults += [*_missing_runs(readable), *([] if to_fetch else room_faults(readable, offer))]
    preset, why = chosen(offer, contest, built_in=not settings.data.dir)
    return Diagnosis(offer, contest, preset, why, tuple(faults), tuple(to_fetch))


def offered(work: Path) -> Offer:
    """Returns what this machine offers to runs in a work folder."""
    torch.set_num_threads(cores())
    gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    devices = [("processor", torch.device("cpu")), *((f"GPU {n}", torch.device("cuda", n)) for n in range(len(gpus)))]
    rates = {
        f"{place} {name}": matrix_rate(dtype, RATE_SECONDS, device)
        for place, device in devices
        for name, dtype in PRECISIONS
    }
    there = next(path for path in (work.absolute(), *work.absolute().parents) if path.is_dir())
    return Offer(
        cpu=cpu_model(),
        cores=cores(),
        memory=memory(),
        fast_bf16=matrix_dtype(EngineSettings(device="cpu")) == torch.bfloat16,
        rates=rates,
        gpus=tuple((gpu.name, gpu.total_memory) for gpu in gpus),
        disk=shutil.disk_usage(there).free,
        locks=lock_doubt(there),
    )


def examine(settings: Settings, folder: Path) -> tuple[Contents, list[str], Settings]:
    """Returns what the contest's folder holds, what is wrong with it, and the settings of a contest with these lines.

    folder: an empty one, into which data in another format are imported. What is wrong is what `prepare` would refuse.
    """
    try:
        stages = Stages(settings)
    except DaguanError as error:
        return Contents(settings.data.dir), [f"{error}; `import --help` names the options for other formats"], settings
    faults = _failing(partial(prepare.require_places, stages), "data.submissions=FOLDER and name=NAME choose others")
    faults += _failing(partial(require_writable, stages.work), "data.work=FOLDER chooses another")
    if not settings.data.dir and not is_built(settings.contest, stages.original):
        return Contents(str(stages.original.folder), built=False), [*faults, *_missing_inputs(stages)], settings
    contest, readable = stages.original, settings
    if stages.imports:
        contest = Contest(folder / "contest")
        readable = settings.replace(data=settings.data.replace(dir=str(contest.folder)))
        wrong = _failing(partial(build_in, contest.folder, Path(settings.data.dir)), "`import --repair` mends some")
        if wrong:
            return Contents(settings.data.dir), [*faults, *wrong], settings
    contents, wrong = _read(settings, contest)
    return contents, [*faults, *wrong, *_missing_inputs(Stages(readable))], readable


def _missing_inputs(stages: Stages) -> list[str]:
    return _failing(
        partial(prepare.require_inputs, stages, fetches=False), "give the path that it has here, or leave it empty"
    )


def _missing_runs(settings: Settings) -> list[str]:
    """Returns what is wrong with the runs that settings name; before `prepare`, only whether they are there."""
    stages = Stages(settings)
    named = {*settings.blend.runs, *(settings.member(one).conflicts.run for one in settings.trained)} - {""}
    if stages.prepare.finished or not all((stages.work / name / MANIFEST).is_file() for name in named):
        return _failing(partial(prepare.require_runs, stages), "`runs` lists those that are there")
    return []


def _read(settings: Settings, contest: Contest) -> tuple[Contents, list[str]]:
    """Returns what the files of a contest's folder hold, and what is wrong with them."""
    remedy = "data/README.md has the formats, and `import` reads others"
    if wrong := _failing(contest.sha256, remedy):
        return Contents(settings.data.dir), wrong
    faults, checked = [], [0]
    if contest.corpus.is_file():
        faults += _failing(partial(_check_corpus, contest.corpus, checked), remedy)
    try:
        train, test = read_checked(contest)
    except (DaguanError, OSError) as error:
        return Contents(settings.data.dir), [f"{error}; {remedy}", *faults]
    folds = settings.folds
    if settings.budget.minutes:  # whose plan takes as few as there have to be
        folds = folds.replace(count=FEWEST)
    faults += _failing(
        lambda: assign_folds(train, folds, document_of_line(contest, len(train), folds)),
        "folds.count=2 needs two lines or groups, and folds.group=1 no groups",
    )
    contents = Contents(
        folder=settings.data.dir or str(contest.folder),
        lines=len(train),
        tokens=sum(len(sentence.tokens) for sentence in train),
        types=len({span.label for sentence in train for span in sentence.gold}),
        test_lines=len(test),
        corpus=contest.corpus.stat().st_size if contest.corpus.is_file() else 0,
        checked=checked[0],
    )
    return contents, faults


def _check_corpus(path: Path, checked: list[int]) -> None:
    """Read the first lines as `prepare` does. Raises DataError."""

    def counted() -> Iterator[tuple[int, str]]:
        for number, line in islice(iter_corpus(path), CORPUS_LINES):
            checked[0] = number
            yield number, line

    with TemporaryFile() as scratch:
        NumberedText(scratch).add_corpus(path, counted())


def _failing(check: Callable[[], object], remedy: str) -> list[str]:
    """Returns the message of a check that fails, with a remedy; none if it does not."""
    try:
        check()
    except (DaguanError, OSError) as error:
        return [f"{error}; {remedy}"]
    return []


def room_faults(settings: Settings, offer: Offer) -> list[str]:
    """Returns what a run of the configuration would lack: memory, memory of the GPU, disk. A budget fits itself to the
    memory."""
    gpus = min(1, len(offer.gpus)) if find_device(settings.engine).type != "cpu" else 0
    found = stated_machine(settings, None, SPEED, 0.0, gpus)
    faults = []
    for stage in () if settings.budget.minutes else found.stages:
        if stage.memory > offer.memory:
            faults.append(
                f"memory: expected about {_gb(stage.memory)} for the stage {stage.stage} of {settings.name}, got "
                f"{_gb(offer.memory)} available; fewer engine.workers or a larger pretrain.accumulation needs less"
            )
        if gpus and stage.gpu_memory > offer.gpus[0][1]:
            faults.append(
                f"memory of {offer.gpus[0][0]}: expected about {_gb(stage.gpu_memory)} for the stage {stage.stage} of "
                f"{settings.name}, got {_gb(offer.gpus[0][1])}; a smaller pretrain.batch_size with "
                "pretrain.accumulation needs less"
            )
    disk = sum(stage.disk for stage in found.stages)
    if disk > offer.disk:
        faults.append(
            f"{settings.data.work}: expected about {_gb(disk)} of disk for {settings.name}, got {_gb(offer.disk)} "
            "free; free some, or data.work=FOLDER on another disk"
        )
    return faults


def chosen(offer: Offer, contest: Contents, built_in: bool) -> tuple[str, str]:
    """Returns the preset for a machine and a contest, and why."""
    if offer.gpus:
        day = load([GPU_DAY])
        need = resources.pretraining(day, day.members[1], ENTRIES, gpu=True).gpu_memory
        if max(size for _, size in offer.gpus) >= need:
            return GPU_DAY, f"a GPU has the {_gb(need)} that its encoder needs; never measured as a whole"
    if built_in:
        return DEFAULT, "it is tuned on the built-in contest and takes half an hour on 2 cores"
    fits = int(MEMORY * offer.memory / (PROCESS + TRAINED_TOKEN * contest.tokens))
    workers = max(1, min(offer.cores, fits))
    hour = 60 * load([HOUR]).budget.minutes * workers
    if contest.tokens and folds_and_lines(contest.tokens, contest.lines, contest.lines, hour)[1]:
        return (
            NIGHT,
            f"an hour of {quantity(workers, 'process')} is too short for {quantity(contest.lines, 'labelled line')}",
        )
    return (
        HOUR,
        f"it divides an hour, or budget.minutes=N, among {quantity(workers, 'process')}; {NIGHT} is for eight hours",
    )


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
