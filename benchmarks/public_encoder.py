"""A public encoder with its own tokenizer, fine-tuned by daguan and by Hugging Face's loop, on readable data.

    python -m benchmarks.public_encoder ENCODER [--minutes N] [--seeds N] [--json] [DATA …]

ENCODER is a folder in Hugging Face layout; the data are `ncbi` and `wnut17` of ../shared/text. The peer is the loop of
Hugging Face's course: AutoModelForTokenClassification, AdamW, a linearly falling rate, batches of 16 lines, the label
of a word at its first piece, the class of the highest logit. Ours is the tagger of configs/public.yaml: a CRF, n-gram
features, averaged weights. Both train on all training lines for the same minutes (the number of updates follows from
the speed of the first ones, after which training begins again) and in the same precision. The rate of each is the best
of RATES by one model with the first nine tenths of the training lines, for a fifth of the minutes, on the last tenth.
"blend" is configs/public.yaml whole: three folds of it, each for a third of the minutes, and the n-gram CRF.

Scores are strict span F1 on the test part, the mean over seeds with the least and the highest. Every model's score is a
line of data/benchmarks/public_encoder.jsonl and is not measured again: delete the line to do so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from benchmarks.contests import printed
from benchmarks.data import SHARED, WORK
from benchmarks.harness import ROOT, Report, command, cores, machine
from benchmarks.ours import precision
from daguan.core.seeds import stream
from daguan.core.types import Sentence, Span, labels_of
from daguan.data.batches.collate import bucketed_order
from daguan.data.contest import Contest
from daguan.data.format import read_labelled
from daguan.data.span_score import span_score
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import VocabularySettings, count_to_vocabulary
from daguan.formats.code_book import CodeBook
from daguan.formats.importing import build_in, folder_in
from daguan.models.encoders.loading import Encoder
from daguan.models.encoders.pieces import Pieces
from daguan.models.encoders.public_checkpoint import load_public_checkpoint
from daguan.models.tagger import Tagger
from daguan.pipeline.settings import load
from daguan.training.devices import autocast
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.prediction import TrainedTagger, annotate, decode_lines, default_overlap

PRESET, DATA = str(ROOT / "configs" / "public.yaml"), ("ncbi", "wnut17")
RECORDS = WORK / "public_encoder.jsonl"
RATES = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4)
PEER, OURS, BLEND = "Hugging Face's loop", "daguan's tagger", "blend"
BATCH, LENGTH, WARM, TIMED = 16, 128, 5, 20  # lines; pieces; updates before the speed is measured, and for it
IGNORED = -100
ENGINE = EngineSettings()


@dataclass(frozen=True)
class Task:
    """What a model is trained on and scored on."""

    train: Sequence[Sentence]
    test: Sequence[Sentence]
    texts: dict[str, str]


def measured_updates(minutes: float, step: Callable[[], object]) -> int:
    """Returns how many updates fit into the minutes, by the speed of some."""
    for _ in range(WARM):
        step()
    since = time.monotonic()
    for _ in range(TIMED):
        step()
    return max(1, round(60 * minutes * TIMED / (time.monotonic() - since)))


class Peer:
    """Hugging Face's loop for token classification."""

    def __init__(self, encoder: Path, task: Task, rate: float, seed: int) -> None:
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        torch.manual_seed(seed)
        self.task, self.seed = task, seed
        self.tokenizer = AutoTokenizer.from_pretrained(encoder, add_prefix_space=True)
        self.classes = ["O", *(f"{edge}-{label}" for label in labels_of(task.train) for edge in "BI")]
        self.model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=len(self.classes))
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=rate)
        self.examples = [self._example(line) for line in task.train]
        self.rate, self.batches = rate, iter(())

    def _words(self, line: Sentence) -> list[str]:
        return [self.task.texts.get(token, token) for token in line.tokens]

    def _example(self, line: Sentence) -> tuple[list[int], list[int]]:
        cut = self.tokenizer(self._words(line), is_split_into_words=True, truncation=True, max_length=LENGTH)
        names = ["O"] * len(line.tokens)
        for span in line.gold:
            names[span.start : span.stop] = [f"B-{span.label}", *[f"I-{span.label}"] * (span.stop - span.start - 1)]
        owners = cut.word_ids()
        firsts = [owner is not None and owner != before for owner, before in zip(owners, [None, *owners], strict=False)]
        labels = [self.classes.index(names[o]) if f else IGNORED for o, f in zip(owners, firsts, strict=True)]
        return cut["input_ids"], labels

    def train(self, updates: int) -> None:
        for update in range(updates):
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate * (1 - update / updates)
            self.step()

    def step(self) -> None:
        """Do an update on the next lines."""
        self.model.train()
        indices = next(self.batches, None)
        if indices is None:
            lengths = [len(ids) for ids, _ in self.examples]
            self.epoch = getattr(self, "epoch", -1) + 1
            self.batches = iter(bucketed_order(lengths, BATCH, stream(self.seed, "peer", self.epoch)))
            indices = next(self.batches)
        chosen = [self.examples[i] for i in indices]
        width = max(len(ids) for ids, _ in chosen)
        ids, labels = (
            torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows])
            for rows, fill in zip(zip(*chosen, strict=True), (self.tokenizer.pad_token_id, IGNORED), strict=True)
        )
        mask = torch.arange(width) < torch.tensor([[len(row)] for row, _ in chosen])
        with autocast(ENGINE):
            logits = self.model(ids, attention_mask=mask.long()).logits
        self.optimiser.zero_grad()
        torch.autograd.backward(cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()

    @torch.no_grad()
    def spans(self, lines: Sequence[Sentence]) -> list[tuple[Span, ...]]:
        """Returns the spans of the classes with the highest logits; words that were cut off are in none."""
        self.model.eval()
        found = []
        for line in lines:
            words = self._words(line)
            cut = self.tokenizer(
                words, is_split_into_words=True, truncation=True, max_length=LENGTH, return_tensors="pt"
            )
            with autocast(ENGINE):
                best = self.model(**cut).logits[0].argmax(1).tolist()
            names = ["O"] * len(words)
            for place, owner in reversed(list(enumerate(cut.word_ids()))):
                if owner is not None:
                    names[owner] = self.classes[best[place]]
            found.append(spans_of(names))
        return found


def spans_of(names: Sequence[str]) -> tuple[Span, ...]:
    """Returns the entities of BIO tags; an I- without a B- of its label before it begins one, as seqeval counts it."""
    spans: list[Span] = []
    for place, name in enumerate(names):
        edge, _, label = name.partition("-")
        before = spans[-1] if spans else None
        if edge == "I" and before and before.stop == place and before.label == label:
            spans[-1] = Span(before.start, place + 1, label)
        elif edge != "O":
            spans.append(Span(place, place + 1, label))
    return tuple(spans)


class Ours:
    """The tagger of configs/public.yaml, trained on given lines."""

    def __init__(self, encoder: Path, task: Task, rate: float, seed: int, updates: int = 0) -> None:
        torch.manual_seed(seed)
        made = load([PRESET, f"encoder.checkpoint={encoder}", f"train.encoder_learning_rate={rate:g}"]).member("public")
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


def f1_of(side: str, encoder: Path, task: Task, rate: float, seed: int, minutes: float) -> float:
    """Returns the F1 on the test part of a model that was trained for the minutes."""
    if side == PEER:
        updates = measured_updates(minutes, Peer(encoder, task, rate, seed).step)
        peer = Peer(encoder, task, rate, seed)
        peer.train(updates)
        spans = peer.spans(task.test)
    else:
        ours = Ours(encoder, task, rate, seed, measured_updates(minutes, Ours(encoder, task, rate, seed).step))
        ours.train()
        spans = ours.spans(task.test)
    return 100 * span_score(annotate(task.test, spans), task.test).f1


def blend_f1(folder: Path, encoder: Path, rate: float, seed: int, minutes: float) -> float:
    """Returns the F1 on the test part of configs/public.yaml, three folds for a third of the minutes each."""
    words = [PRESET, f"data.dir={folder}", f"data.work={WORK}", f"data.submissions={WORK / 'submissions'}"]
    words += [f"encoder.checkpoint={encoder}", f"train.encoder_learning_rate={rate:g}", f"seed={seed}", "folds.count=3"]
    words += [f"budget.minutes={minutes:g}", "budget.weights={public: 20}"]
    command("run", words)
    found = json.loads(printed("score", [*words, "--json"]))
    return 100 * found["test"][found["final"]]["span"]["f1"]


class Records:
    """The scores so far."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, key: dict[str, Any], measure: Callable[[], float]) -> float:
        """Returns the stored score, or measures and stores it."""
        lines = self.path.read_text("utf-8").splitlines() if self.path.is_file() else []
        for line in map(json.loads, lines):
            if line["key"] == key:
                return float(line["f1"])
        f1 = measure()
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "f1": f1}) + "\n")
        return f1


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
    for name in asked.names or DATA:
        source = SHARED.parent / "text" / name
        folder = folder_in(WORK, source)
        build_in(folder, source)
        contest = Contest(folder)
        train, test, texts = read_labelled(contest.train), read_labelled(contest.test_gold), CodeBook.texts(contest)
        low = len(train) * 9 // 10
        tuning, whole = Task(train[:low], train[low:], texts), Task(train, test, texts)
        rates = {}
        for side in (PEER, OURS):
            key = {"data": name, "encoder": asked.encoder.name, "side": side, "minutes": asked.minutes}
            found = {}
            for rate in RATES:
                measure = partial(f1_of, side, asked.encoder, tuning, rate, 0, asked.minutes / 5)
                found[rate] = records.of(key | {"rate": rate, "seed": "tuning"}, measure)
            rates[side] = max(found, key=found.__getitem__)
        for side in (PEER, OURS, BLEND):
            rate = rates[PEER if side == PEER else OURS]
            key = {"data": name, "encoder": asked.encoder.name, "side": side, "minutes": asked.minutes, "rate": rate}
            f1s = []
            for seed in range(1, asked.seeds + 1):
                measure = partial(f1_of, side, asked.encoder, whole, rate, seed, asked.minutes)
                if side == BLEND:
                    measure = partial(blend_f1, folder, asked.encoder, rate, seed, asked.minutes)
                f1s.append(records.of(key | {"seed": seed}, measure))
            report.add(
                {
                    "data": name,
                    "side": side,
                    "rate": f"{rate:g}",
                    "minutes": f"{asked.minutes:g}",
                    "test F1": f"{statistics.mean(f1s):.1f} ({min(f1s):.1f} to {max(f1s):.1f})",
                    "seeds": len(f1s),
                }
            )
    report.show(asked.json)


if __name__ == "__main__":
    main(sys.argv[1:])
