"""A public encoder with its own tokenizer, fine-tuned by daguan and by Hugging Face's loop, on readable data.

    python -m benchmarks.public_encoder ENCODER [--minutes N] [--seeds N] [--json] [DATA …]

ENCODER is a folder in Hugging Face layout; the data are `ncbi` and `wnut17` of ../shared/text. The peer is the loop of
Hugging Face's course: AutoModelForTokenClassification, AdamW, a linearly falling rate, batches of 16 lines, the label
of a word at its first piece, the class of the highest logit. Ours is the tagger of configs/public.yaml: "alone" with
the softmax of the peer, and with its CRF and n-gram features; both have averaged weights. All train on all training
lines for the same minutes (the number of updates follows from the speed of the first ones, after which training begins
again) and in the same precision. The rate of each is the best of RATES by one model with the first nine tenths of the
training lines, for a fifth of the minutes, on the last tenth. "blend" is configs/public.yaml whole, with the CRF's
rate: `run` with these minutes as its budget, which trains the folds of the tagger and the n-gram CRF, prepares and
blends. On two cores it needs a few minutes to make a member at all.

Scores are strict span F1 on the test part: the mean over seeds, its 95 % interval by a bootstrap over lines, and the
least and the highest of a seed; a gain over the peer is on the same resampled lines. Every model's answer is a line of
data/benchmarks/public_encoder.jsonl and is not made again: delete the line to do so. So the same command continues,
and more seeds use what is there.

The first line says how long the rest takes: N minutes a rate of five for each of three sides, and N for each seed of
four sides, so 15 N minutes a data set with three seeds, and about a tenth more to measure speeds and to label. Ten
minutes and both data sets: five and a half hours. `ncbi --minutes 4`: 1.1 hours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contests import printed
from benchmarks.data import SHARED, WORK
from benchmarks.harness import ROOT, Report, Row, command, cores, machine
from benchmarks.ours import precision
from benchmarks.token_classification import ENGINE, Peer, Task
from daguan.core.types import Score, Sentence, Span, labels_of
from daguan.data.bootstrap import resampled_f1
from daguan.data.contest import Contest
from daguan.data.decoding import decode_lines
from daguan.data.format import read_labelled
from daguan.data.span_score import span_scores
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import VocabularySettings, count_to_vocabulary
from daguan.formats.code_book import CodeBook
from daguan.formats.importing import build_in, folder_in
from daguan.models.encoders.loading import Encoder
from daguan.models.encoders.pieces import Pieces
from daguan.models.encoders.public_checkpoint import load_public_checkpoint
from daguan.models.tagger import Tagger
from daguan.pipeline.settings import load
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.prediction import TrainedTagger, annotate, default_overlap

PRESET, DATA = str(ROOT / "configs" / "public.yaml"), ("ncbi", "wnut17")
RECORDS = WORK / "public_encoder.jsonl"
RATES = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4)
PEER, ALONE, CRF, BLEND = "Hugging Face's loop", "daguan, alone", "daguan, CRF and n-grams", "daguan, blend"
TUNED = {PEER: (), ALONE: ("model.head=softmax", "model.ngram_buckets=0"), CRF: ()}
TUNING = "tuning"  # in place of a seed
SHARE = 1 / 5  # of the minutes, for each rate
WARM, TIMED = 5, 20  # updates before the speed is measured, and for it
Lines = list[Score]  # the counts of each line


def measured_updates(minutes: float, step: Callable[[], object]) -> int:
    """Returns how many updates fit into the minutes, by the speed of some."""
    for _ in range(WARM):
        step()
    since = time.monotonic()
    for _ in range(TIMED):
        step()
    return max(1, round(60 * minutes * TIMED / (time.monotonic() - since)))


class Ours:
    """A tagger of configs/public.yaml with some changes, trained on given lines."""

    def __init__(
        self, encoder: Path, task: Task, rate: float, seed: int, updates: int = 0, changes: Sequence[str] = ()
    ) -> None:
        torch.manual_seed(seed)
        words = [PRESET, f"encoder.checkpoint={encoder}", f"train.encoder_learning_rate={rate:g}", *changes]
        made = load(words).member("public")
        counts = Counter(token for line in [*task.train, *task.test] for token in line.tokens)
        vocabulary = count_to_vocabulary(counts, VocabularySettings(min_count=1))
        pieces = Pieces.of_checkpoint(encoder, task.texts)
        model = load_public_checkpoint(made.model.encoder, made.encoder, pieces.vocabulary)
        scheme, size = TagScheme(labels_of(task.train)), made.encoder
        tagger = Tagger(Encoder(model.base_model, made.model.encoder_dropout), scheme, made.model)
        self.trained = TrainedTagger(tagger, scheme, vocabulary, made.model, size.window, default_overlap(size), pieces)
        self.trainer = TaggerTrainer(self.trained, made.train, ENGINE, task.train, [], seed, updates=updates)
        self.steps = self.trainer.steps()

    def step(self) -> None:
        next(self.steps)

    def train(self) -> None:
        for _ in self.steps:
            pass

    def spans(self, lines: Sequence[Sentence]) -> list[tuple[Span, ...]]:
        return decode_lines(self.trained.marginals(lines, ENGINE), self.trained.scheme)


def lines_of(side: str, encoder: Path, task: Task, rate: float, seed: int, minutes: float) -> Lines:
    """Returns the counts of each test line, by a model that was trained for the minutes."""
    if side == PEER:
        updates = measured_updates(minutes, Peer(encoder, task, rate, seed).step)
        peer = Peer(encoder, task, rate, seed)
        peer.train(updates)
        spans = peer.spans(task.test)
    else:
        new = partial(Ours, encoder, task, rate, seed, changes=TUNED[side])
        ours = new(updates=measured_updates(minutes, new().step))
        ours.train()
        spans = ours.spans(task.test)
    return span_scores(annotate(task.test, spans), task.test)


def lines_of_blend(
    folder: Path, encoder: Path, test: Sequence[Sentence], rate: float, seed: int, minutes: float
) -> Lines:
    """Returns the counts of each test line, by configs/public.yaml within the minutes. Raises SystemExit: they were too
    few for any member."""
    words = [PRESET, f"data.dir={folder}", f"data.work={WORK}", f"data.submissions={WORK / 'submissions'}"]
    words += [f"encoder.checkpoint={encoder}", f"train.encoder_learning_rate={rate:g}", f"seed={seed}"]
    words += [f"budget.minutes={minutes:g}", "budget.weights={public: 20}"]
    command("run", words)
    found = json.loads(printed("score", [*words, "--json"]))
    return span_scores(read_labelled(Path(found["model"], f"{found['final']}.txt")), test)


class Records:
    """The answers so far."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def known(self, key: dict[str, Any]) -> Lines | None:
        """Returns the counts that were stored, None if there are none."""
        lines = self.path.read_text("utf-8").splitlines() if self.path.is_file() else []
        stored = next((one["lines"] for one in map(json.loads, lines) if one["key"] == key), None)
        return None if stored is None else [Score(*counts) for counts in stored]

    def of(self, key: dict[str, Any], measure: Callable[[], Lines]) -> Lines:
        """Returns the stored counts, or measures and stores them, with their F1 and the minutes that all took."""
        if (stored := self.known(key)) is not None:
            return stored
        since = time.monotonic()
        lines = measure()
        took = round((time.monotonic() - since) / 60, 2)
        counts = [(line.hits, line.predicted, line.gold) for line in lines]
        record = {"key": key, "f1": percent(lines), "took": took, "lines": counts}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(
            f"{key['data']}, {key['side']}, {key['rate']:g}, {key['seed']}: {percent(lines):.2f}, {took} min",
            flush=True,
        )
        return lines


@dataclass(frozen=True)
class DataTable:
    """The models of one data set, whose contest is in a folder."""

    folder: Path
    name: str
    encoder: Path
    minutes: float
    seeds: int
    records: Records

    @cached_property
    def whole(self) -> Task:
        """All training lines and the test lines."""
        contest = Contest(self.folder)
        return Task(read_labelled(contest.train), read_labelled(contest.test_gold), CodeBook.texts(contest))

    @cached_property
    def tuning(self) -> Task:
        """The first nine tenths of the training lines, and the last."""
        train, low = self.whole.train, len(self.whole.train) * 9 // 10
        return Task(train[:low], train[low:], self.whole.texts)

    def key(self, side: str, rate: float, seed: int | str) -> dict[str, Any]:
        about = {"data": self.name, "encoder": self.encoder.name, "minutes": self.minutes}
        return about | {"side": side, "rate": rate, "seed": seed}

    def minutes_left(self) -> float:
        """Returns the minutes of training of all models that are not stored. A side whose rate is not known yet has
        all of its seeds before it."""
        tuned = {side: [self.records.known(self.key(side, rate, TUNING)) for rate in RATES] for side in TUNED}
        left = SHARE * sum(one is None for of_side in tuned.values() for one in of_side)
        for side in (*TUNED, BLEND):
            known = all(one is not None for one in tuned[CRF if side == BLEND else side])
            rate = self.rate(side) if known else 0.0
            stored = [self.records.known(self.key(side, rate, seed)) for seed in range(1, self.seeds + 1)]
            left += sum(one is None for one in stored)
        return self.minutes * left

    def rate(self, side: str) -> float:
        """Returns the best rate of a side; the blend has that of the CRF."""
        tuned = CRF if side == BLEND else side
        minutes, found = SHARE * self.minutes, {}
        for rate in RATES:
            measure = partial(lines_of, tuned, self.encoder, self.tuning, rate, 0, minutes)
            found[rate] = percent(self.records.of(self.key(tuned, rate, TUNING), measure))
        return max(found, key=found.__getitem__)

    def answers(self, side: str) -> list[Lines]:
        """Returns what each seed's model answers."""
        rate, found = self.rate(side), []
        for seed in range(1, self.seeds + 1):
            measure = partial(lines_of, side, self.encoder, self.whole, rate, seed, self.minutes)
            if side == BLEND:
                test = self.whole.test
                measure = partial(lines_of_blend, self.folder, self.encoder, test, rate, seed, self.minutes)
            found.append(self.records.of(self.key(side, rate, seed), measure))
        return found

    def rows(self) -> Iterator[Row]:
        """Gives a row for each side."""
        peer: list[Lines] = []
        for side in (*TUNED, BLEND):
            found = self.answers(side)
            peer = peer or found
            f1s = [percent(lines) for lines in found]
            yield {
                "data": self.name,
                "side": side,
                "rate": f"{self.rate(side):g}",
                "minutes": f"{self.minutes:g}",
                "test F1": interval(statistics.mean(f1s), resampled(found)),
                "seeds": f"{len(f1s)}: {min(f1s):.1f} to {max(f1s):.1f}",
                "over the peer": "" if side == PEER else gain(found, peer),
            }


def percent(lines: Lines) -> float:
    """Returns F1 in percent."""
    return 100 * sum(lines, Score()).f1


def resampled(found: Sequence[Lines]) -> Any:
    """Returns (resamples,): the mean F1 of several models on the same lines, drawn with replacement."""
    return 100 * np.mean([resampled_f1(lines) for lines in found], axis=0)


def interval(value: float, drawn: Any, form: str = ".1f") -> str:
    """Returns a value with its 95 % interval."""
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def gain(ours: Sequence[Lines], peer: Sequence[Lines]) -> str:
    """Returns the difference of mean F1 with its interval."""
    means = [statistics.mean(percent(lines) for lines in found) for found in (ours, peer)]
    return interval(means[0] - means[1], resampled(ours) - resampled(peer), "+.1f")


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", type=Path, metavar="ENCODER", help="a folder in Hugging Face layout")
    parser.add_argument("names", metavar="DATA", nargs="*", help=f"of {', '.join(DATA)}; none: all")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training each model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object with all rows on the last line")
    asked = parser.parse_args(words)
    WORK.mkdir(parents=True, exist_ok=True)
    records, report = Records(RECORDS), Report("public_encoder", machine(cores(), precision()))
    tables = []
    for name in asked.names or DATA:
        source = SHARED.parent / "text" / name
        folder = folder_in(WORK, source)
        build_in(folder, source)
        tables.append(DataTable(folder, name, asked.encoder, asked.minutes, asked.seeds, records))
    print(f"{sum(table.minutes_left() for table in tables):.0f} min of training are left", flush=True)
    for table in tables:
        for row in table.rows():
            report.add(row)
    report.show(asked.json)


if __name__ == "__main__":
    main(sys.argv[1:])
