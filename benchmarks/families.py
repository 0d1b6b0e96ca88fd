"""Measures every family of models on one slice of people_daily: alone, added to BERT and RoBERTa, and all blended.

    python -m benchmarks.families [--json] [--quick] [MEMBER …]

All encoders are pretrained for the same CPU minutes, mass and transformer_xl by their own objectives, the others as
masked language models; all taggers are trained by the recipe of the ablations' base (with the rates that the ablations
give BERT and its relatives, and more epochs for encoders that are not pretrained), on the two halves of the first 3,000
training lines in turn. Scores are strict span F1 on the held-out lines, and on the test part by the mean of both folds.
A gain is that of the blend with the member over the blend without it, with its paired bootstrap interval of 95 % and
p-value (data/bootstrap.py). Seconds are CPU time of the two folds and of pretraining. Runs are stored in
data/benchmarks and not repeated.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import data
from benchmarks.ablation import COST, LINES, OF_PRETRAINING, QUICK, run_all
from benchmarks.data import DataSet
from benchmarks.factors import BASE, BERT_RECIPE, CNN, LSTM
from benchmarks.harness import Report, Row, command, cores, machine, options
from benchmarks.learning import OURS, Learning
from benchmarks.ours import precision
from daguan.core.files import read_json
from daguan.core.types import Score, Sentence, labels_of
from daguan.data.bootstrap import Gain, paired_gain
from daguan.data.folds import read_folds
from daguan.data.format import read_labelled
from daguan.data.span_score import span_scores
from daguan.data.tags import TagScheme
from daguan.data.text_index import TextIndex
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.blending import MemberResults, load_member, load_text_index, nested_spans
from daguan.ensemble.combination import OutOfFoldData
from daguan.families.fold import FoldJob
from daguan.models.encoders.table import PRETRAINED
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.training.prediction import annotate

_BERT = ("model.encoder=bert", *BERT_RECIPE)
MINUTES, MINUTES_QUICK = 6.0, 0.1
REFERENCE = ("bert crf", "roberta crf")  # the members to which each other one is added
MEMBERS: dict[str, tuple[str, ...]] = {
    "n-gram CRF": ("members=ngram_crf",),
    "bert crf": _BERT,
    "roberta crf": ("model.encoder=roberta", *BERT_RECIPE),
    "albert crf": ("model.encoder=albert", *BERT_RECIPE),
    "modern crf": (),
    "lstm crf, word2vec": (*LSTM, "vectors.kind=word2vec"),
    "cnn crf, word2vec": (*CNN, "vectors.kind=word2vec"),
    "bert pointer": (*_BERT, "model.head=pointer"),
    "mass crf": ("model.encoder=mass",),
    "mass seq2seq": ("model.encoder=mass", "model.head=seq2seq"),
    "transformer_xl crf": ("model.encoder=transformer_xl",),
}


@dataclass(frozen=True)
class Family:
    """A member: its command line, the run of its encoder if it is pretrained, and its folds."""

    name: str
    quick: bool

    @property
    def words(self) -> list[str]:
        size = QUICK if self.quick and self.name != "n-gram CRF" else ()
        return [*slice_words(self.quick), *BASE, *size, *MEMBERS[self.name]]

    @property
    def stages(self) -> Stages:
        return Stages(load(self.words))

    @property
    def pretraining(self) -> Learning | None:
        settings = load(self.words)
        if settings.members != ("tagger",) or settings.model.encoder not in PRETRAINED:
            return None
        words = [word for word in MEMBERS[self.name] if word.startswith(OF_PRETRAINING)]
        return Learning(OURS, DataSet(self.stages).text, MINUTES_QUICK if self.quick else MINUTES, 1, words)

    @property
    def folder(self) -> Path:
        (family,) = load(self.words).members
        name = self.stages.train(family).path.name
        return data.WORK / "families" / (f"{name}-{self.pretraining.folder.name}" if self.pretraining else name)

    @property
    def jobs(self) -> list[FoldJob]:
        (family,) = load(self.words).members
        jobs = self.stages.fold_jobs(family, threads=1)
        if self.pretraining:
            jobs = [dataclasses.replace(job, pretrained=str(self.pretraining.folder)) for job in jobs]
        return [dataclasses.replace(job, folder=str(self.folder / f"fold{job.fold}")) for job in jobs]

    @property
    def seconds(self) -> float:
        """Returns the CPU seconds of pretraining and folds."""
        folds = sum(read_json(Path(job.folder) / COST)["cpu_seconds"] for job in self.jobs)
        return float(folds + (60 * self.pretraining.run()["curve"][-1]["minutes"] if self.pretraining else 0))


@dataclass(frozen=True)
class Contest:
    """The lines and gold labels on which members are scored."""

    train: list[Sentence]
    test: list[Sentence]
    fold_of_line: np.ndarray
    scheme: TagScheme
    text: TextIndex
    seed: int

    @classmethod
    def of(cls, stages: Stages) -> Contest:
        train = read_labelled(stages.train_file)
        test = read_labelled(stages.contest.test_gold)
        folds, text = read_folds(stages.prepare.path), load_text_index(stages.prepare.path)
        return cls(train, test, folds, TagScheme(labels_of(train)), text, stages.settings.seed)

    def scored(self, members: Sequence[MemberResults], method: str = "mean") -> tuple[list[Score], list[Score]]:
        """Returns the scores of a blend of members, line by line, out of fold and on the test part."""
        answers = [member.held_out for member in members]
        data = OutOfFoldData(self.train, self.fold_of_line, answers, self.scheme, self.seed, self.text)
        learner = METHODS[method].load().learner(data)
        of_test = [member.test for member in members]
        whole = learner.fit(np.ones(len(self.train), bool)).adapted_to(self.test, of_test)
        test = annotate(self.test, whole.spans(self.test, of_test))
        out_of_fold = annotate(self.train, nested_spans(learner, data))
        return span_scores(out_of_fold, self.train), span_scores(test, self.test)


def main(words: list[str]) -> None:
    chosen = [word for word in words if word in MEMBERS]
    asked = options([word for word in words if word not in MEMBERS], __doc__)
    families = [Family(name, asked.quick) for name in dict.fromkeys([*REFERENCE, *(chosen or MEMBERS)])]
    DataSet.prepared(slice_words(asked.quick))
    train(families)
    contest = Contest.of(families[0].stages)
    members = {family.name: load_member(family.folder, 2) for family in families}
    report = Report("families", machine(1, precision()))
    for family in families:
        report.add(row_of(family, members, contest))
    for row in blends(members, contest):
        report.add(row)
    report.show(asked.json)


def train(families: Sequence[Family]) -> None:
    """Pretrain, then train all folds, a run a core."""
    learnings = {learning.folder: learning for family in families if (learning := family.pretraining)}
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda learning: learning.run(), learnings.values()))
    for family in families:
        if not family.pretraining and "members=ngram_crf" not in family.words:
            command("pretrain", family.words)  # token vectors
    run_all([job for family in families for job in family.jobs])


def slice_words(quick: bool) -> list[str]:
    """The command line of a stage on the slice, in halves."""
    return [*data.words(quick), *(() if quick else LINES), "folds.count=2"]


def row_of(family: Family, members: dict[str, MemberResults], contest: Contest) -> Row:
    alone, test = contest.scored([members[family.name]])
    reference = [members[name] for name in REFERENCE]
    loss = family.pretraining.run()["curve"][-1]["loss"] if family.pretraining else None
    row: Row = {
        "member": family.name,
        "held-out loss": "–" if loss is None else f"{loss:.2f}",
        "seconds": round(family.seconds),
        "out of fold": f"{100 * sum_of(alone).f1:.2f}",
        "test": f"{100 * sum_of(test).f1:.2f}",
        "adds to both BERTs": "–",
    }
    if family.name not in REFERENCE:
        row["adds to both BERTs"] = gain(
            contest.scored([*reference, members[family.name]])[0], contest.scored(reference)[0]
        )
    return row


def blends(members: dict[str, MemberResults], contest: Contest) -> list[Row]:
    """Returns the references, and all members by each method; gains are over the plain mean of all."""
    mean, of_test = contest.scored(list(members.values()))
    rows = [("both BERTs", *contest.scored([members[name] for name in REFERENCE])), ("all, mean", mean, of_test)]
    for method in ("weights", "stack"):
        rows.append((f"all, {method}", *contest.scored(list(members.values()), method)))
    return [
        {
            "blend": name,
            "out of fold": f"{100 * sum_of(scores).f1:.2f}",
            "test": f"{100 * sum_of(test).f1:.2f}",
            "over the mean of all": "–" if scores is mean else gain(scores, mean),
        }
        for name, scores, test in rows
    ]


def gain(ours: Sequence[Score], theirs: Sequence[Score]) -> str:
    return text_of(paired_gain(ours, theirs))


def text_of(found: Gain) -> str:
    low, high = found.interval
    return f"{100 * found.f1:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}), p {found.p_value:.4f}"


def sum_of(scores: Sequence[Score]) -> Score:
    return sum(scores, Score(0, 0, 0))


if __name__ == "__main__":
    main(sys.argv[1:])
