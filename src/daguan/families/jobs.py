"""One fold of one family of models: the unit of work that a worker process does, the same for every family.

A finished job's folder holds model/, held_out.safetensors, test.safetensors and, last, result.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from daguan.core.errors import CheckpointError
from daguan.core.files import read_json, write_json
from daguan.core.progress import Progress
from daguan.core.runs import Stopwatch, folder_lock
from daguan.core.seeds import stream_seed
from daguan.core.settings import build
from daguan.core.types import Score, Sentence, labels_of
from daguan.data.augmentation import AugmentationSettings, augment
from daguan.data.conflicts import ConflictSettings, resolve_conflicts
from daguan.data.contest import Contest
from daguan.data.folds import Fold, FoldSettings, read_fold, training_file
from daguan.data.format import read_labelled, read_unlabelled
from daguan.data.marginals import LineMarginals, Marginals, to_half_precision
from daguan.data.scores import span_score
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import Vocabulary
from daguan.families import ngram_crf
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.families.pseudo_labels import PseudoLabelSettings, read_pseudo_labelled
from daguan.families.soup import Soup
from daguan.families.soup_settings import CHOICES, SoupSettings
from daguan.families.table import FAMILIES
from daguan.models.encoders.loading import load_encoder, new_encoder
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.loop import CHECKPOINT
from daguan.training.prediction import TrainedTagger, annotate, decode_lines, default_overlap

RESULT = "result.json"
MODEL = "model"
HELD_OUT = "held_out.safetensors"
TEST = "test.safetensors"
CHUNK_LINES = 2_000
Report = Callable[[Progress], None]


@dataclass(frozen=True)
class FoldJob:
    """All a worker needs to know, as plain values: a fold of that member, of the family, by the member's settings; the
    fold after the last, which holds nothing out, is all lines.
    `pretrained` is empty where there is no pretrained encoder, `pseudo_labels`, a folder, where there are none. needed:
    folders of this fold of the members it needs."""

    member: str
    family: str
    fold: int
    folder: str
    contest: str
    prepared: str
    pretrained: str
    seed: int
    threads: int
    settings: dict[str, Any]
    needed: list[str] = field(default_factory=list)
    pseudo_labels: str = ""

    @property
    def finished(self) -> bool:
        return (Path(self.folder) / RESULT).is_file()

    @property
    def begun(self) -> bool:
        """There is something that it would continue."""
        return (Path(self.folder) / CHECKPOINT).is_file()

    @property
    def name(self) -> str:
        whole = self.fold == self.settings["folds"]["count"]
        return f"{self.member} on all lines" if whole else f"{self.member} fold {self.fold}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FoldData:
    """What every family trains on, lines with gold, augmented, and lines with pseudo-labels; and what it answers."""

    fold: Fold
    train: list[Sentence]
    pseudo: list[Sentence]
    held_out: list[Sentence]
    test: list[Sentence]
    scheme: TagScheme

    @classmethod
    def read(cls, job: FoldJob) -> FoldData:
        contest = Contest(Path(job.contest))
        folds = build(FoldSettings, job.settings["folds"])
        sentences = read_labelled(training_file(contest, Path(job.prepared), folds))
        fold = read_fold(Path(job.prepared), job.fold)
        augmentation = build(AugmentationSettings, job.settings["augmentation"])
        scheme = TagScheme(labels_of(sentences))
        lines = _settled(job, sentences, scheme)
        training = [line for i in fold.train if (line := lines[i]) is not None]
        return cls(
            fold,
            augment(training, augmentation, stream_seed(job.seed, "fold", job.fold)),
            read_pseudo_labelled(Path(job.pseudo_labels), job.fold) if job.pseudo_labels else [],
            [sentences[i] for i in fold.held_out],
            read_unlabelled(contest.test),
            scheme,
        )


def _settled(job: FoldJob, sentences: Sequence[Sentence], scheme: TagScheme) -> list[Sentence | None]:
    """What to train on in place of each training line."""
    settings = build(ConflictSettings, job.settings["conflicts"])
    parts = Path(job.settings["data"]["work"], settings.run).glob(f"fold*/{HELD_OUT}") if settings.run else ()
    held_out = {line: probs for part in parts for line, probs in Marginals.load(part).by_line().items()}
    return resolve_conflicts(sentences, settings, held_out, scheme)


@dataclass(frozen=True)
class Answers:
    """A family's marginals for the held-out lines, what they score, those for the test lines, and figures for the
    report. Marginals are in half precision, as they are stored: those of all lines may fill the memory."""

    held_out: list[LineMarginals]
    score: Score
    test: list[LineMarginals]
    figures: dict[str, Any]


def run_job(job: FoldJob, report: Report) -> dict[str, Any]:
    """Train, predict, and write the job's folder; returns result.json. Raises DaguanError.

    The worker of a killed parent may live for a moment more: its successor waits for it.
    """
    with folder_lock(Path(job.folder), wait=True):
        return result_of(job) if job.finished else _run_alone(job, report)


def _run_alone(job: FoldJob, report: Report) -> dict[str, Any]:
    folder = Path(job.folder)
    prepare_process(job.threads)
    data = FoldData.read(job)
    answers: Answers = FAMILIES[job.family].load()(job, data, report)
    if data.held_out:
        Marginals.of(data.fold.held_out, answers.held_out).save(folder / HELD_OUT)
    Marginals.of(range(len(data.test)), answers.test).save(folder / TEST)
    about = {"family": job.family, "fold": job.fold, "training_lines": len(data.train)}
    about |= {"pseudo_labelled_lines": len(data.pseudo), "held_out_lines": len(data.held_out)}
    result = {**about, "held_out": asdict(answers.score), "f1": answers.score.f1, **answers.figures}
    write_json(folder / RESULT, result)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return result


def judged(data: FoldData, answers: Iterable[NDArray[Any]]) -> tuple[list[LineMarginals], Score]:
    """The held-out lines' answers, to_half_precision, and what they score as they are, some lines after others."""
    kept: list[LineMarginals] = []
    score, left = Score(), iter(answers)
    for low in range(0, len(data.held_out), CHUNK_LINES):
        gold = data.held_out[low : low + CHUNK_LINES]
        some = list(islice(left, len(gold)))
        score += span_score(annotate(gold, decode_lines(some, data.scheme)), gold)
        kept += to_half_precision(some)
    return kept, score


def run_tagger(job: FoldJob, data: FoldData, report: Report) -> Answers:
    """Encoder and head, fine-tuned."""
    engine = build(EngineSettings, job.settings["engine"])
    trained = _new_tagger(job, data.scheme)
    settings = build(TrainSettings, job.settings["train"])
    seed = stream_seed(job.seed, "tagger", job.fold, *([settings.seed] if settings.seed else []))
    weight = build(PseudoLabelSettings, job.settings["pseudo_labels"]).weight
    trainer = TaggerTrainer(trained, settings, engine, data.train, data.held_out, seed, data.pseudo, weight)
    for update in trainer.fit(Path(job.folder)):
        best = f", F1 {100 * max(update.f1s):.2f}" if update.f1s else ""
        last = ", predicting" if update.tokens == update.total_tokens else ""
        report(Progress(update.tokens, update.total_tokens, "tok", f"loss {update.loss:.3f}{best}{last}", update.f1s))
    trained.save(Path(job.folder) / MODEL)
    figures = {
        "seconds": round(trainer.watch.seconds, 1),
        "tokens_per_second": round(trainer.tokens / trainer.watch.seconds),
        "f1s": trainer.f1s,
        "lost_entities": trainer.lost_entities,
        "parameters": sum(parameter.numel() for parameter in trained.tagger.parameters()),
    }
    return _answers(trained, data, engine, figures)


def _answers(trained: TrainedTagger, data: FoldData, engine: EngineSettings, figures: dict[str, Any]) -> Answers:
    held_out, score = judged(data, trained.marginals(data.held_out, engine))
    watch = Stopwatch()
    test = trained.marginals(data.test, engine, np.float16)
    figures["test_tokens_per_second"] = round(sum(map(len, test)) / watch.seconds)
    return Answers(held_out, score, test, figures)


def _new_tagger(job: FoldJob, scheme: TagScheme) -> TrainedTagger:
    model, size = build(ModelSettings, job.settings["model"]), build(EncoderSettings, job.settings["encoder"])
    torch.manual_seed(stream_seed(job.seed, "tagger-weights", job.fold))
    if job.pretrained:
        vocabulary = Vocabulary.load(Path(job.pretrained))
        encoder = load_encoder(Path(job.pretrained), model.encoder_dropout)
    else:
        vocabulary = Vocabulary.load(Path(job.prepared))
        encoder = new_encoder(model.encoder, size, len(vocabulary), model.encoder_dropout)
    tagger = Tagger(encoder, scheme, model)
    if job.pretrained:
        tagger.start_from(Path(job.pretrained))
    return TrainedTagger(tagger, scheme, vocabulary, model, size.window, default_overlap(size))


def run_ngram_crf(job: FoldJob, data: FoldData, report: Report) -> Answers:
    """The n-gram baseline. It cannot be resumed inside a fold: a killed fold starts again. A line with pseudo-labels is
    a line as any other."""
    settings = build(NgramCrfSettings, job.settings["ngram_crf"])
    folder = Path(job.folder) / MODEL
    watch, ends = Stopwatch(), list[float]()

    def show(iteration: int, loss: float) -> None:
        ends.append(watch.seconds)
        report(Progress(iteration, settings.iterations, "it", f"loss {loss:.0f}"))

    ngram_crf.train([*data.train, *data.pseudo], data.scheme, settings, folder, show)
    each = (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else 0.0
    figures = {"seconds": round(watch.seconds, 1), "seconds_an_iteration": round(each, 4)}
    model = ngram_crf.NgramCrf(folder)
    watch = Stopwatch()
    test = to_half_precision(model.marginals(sentence) for sentence in data.test)
    figures["test_tokens_per_second"] = round(sum(map(len, test)) / watch.seconds)
    held_out, score = judged(data, (model.marginals(sentence) for sentence in data.held_out))
    return Answers(held_out, score, test, figures)


def run_soup(job: FoldJob, data: FoldData, report: Report) -> Answers:
    """The average of taggers that other members trained on this fold. Nothing is trained, and a killed fold starts
    again. Raises CheckpointError: they are not there, or cannot be averaged."""
    engine = build(EngineSettings, job.settings["engine"])
    settings = build(SoupSettings, job.settings["soup"])
    watch = Stopwatch()
    soup = Soup([TrainedTagger.load(Path(folder) / MODEL, engine) for folder in job.needed])
    f1s: list[float] = []

    def judge(trained: TrainedTagger) -> float:
        f1s.append(judged(data, trained.marginals(data.held_out, engine))[1].f1)
        report(Progress(len(f1s), 2 * len(soup) - 1, "soup", f"F1 {100 * f1s[-1]:.2f}"))
        return f1s[-1]

    chosen = CHOICES[settings.choice].load()(soup, judge)
    trained = soup.stir(chosen)
    trained.save(Path(job.folder) / MODEL)
    figures = {"seconds": round(watch.seconds, 1), "averaged": sorted(settings.members[i] for i in chosen)}
    return _answers(trained, data, engine, figures)


def result_of(job: FoldJob) -> dict[str, Any]:
    """Raises CheckpointError: the job has not finished."""
    if not job.finished:
        raise CheckpointError(f"{job.folder}: expected a finished fold, got none; run `train` first")
    return dict(read_json(Path(job.folder) / RESULT))
