"""Fine-tuning: tagged tokens a second, BERT-CRF and BERT-LSTM-CRF of 4x256, against Hugging Face's Trainer.

The peer is this model in the run_ner example: Trainer and DataCollatorForTokenClassification on random batches of 16
lines padded to the longest, BERT with its default dropouts, an nn.LSTM on packed sequences, a linear layer and
pytorch-crf. Ours is daguan's TaggerTrainer, with averaged weights and everything else it ships. Both see the training
lines of at most 126 tokens; only real tokens count. "one process" has 2 threads on either side; "as shipped" is two
fold workers of one thread each, as the local engine runs them, against one peer of 2 threads. The peer runs in two
shells (see `harness.shells`), and the faster one counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import data, flops, ours
from benchmarks.data import Text
from benchmarks.harness import Aim, Comparison, Report, alternate, best, machine, options, our_environment, shells
from benchmarks.sides import Side
from daguan.core.types import Sentence
from daguan.data.vocabulary import CLS, SEP

THREADS = 2
BATCH = 16
AIM = 3.0
HEADS = ("crf", "lstm_crf")
UPDATES = 20  # a round
ROUNDS = 5
IGNORED = -100  # the label of [CLS], [SEP] and padding
DROPOUT = 0.3  # daguan's own before and after the LSTM
ENDLESS = 100_000  # updates of the peer's schedule, more than a run ever does


class PeerTagger(nn.Module):
    """BERT, an LSTM if wanted, a linear layer and pytorch-crf."""

    def __init__(self, bert: nn.Module, hidden: int, tags: int, lstm: bool) -> None:
        from torchcrf import CRF

        super().__init__()
        self.bert = bert
        self.dropout = nn.Dropout(DROPOUT)
        self.lstm = nn.LSTM(hidden, 128, batch_first=True, bidirectional=True) if lstm else None
        self.emit = nn.Linear(256 if lstm else hidden, tags)
        self.crf = CRF(tags, batch_first=True)
        self.tokens = 0  # tagged so far

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The mean loss of a sentence; the first place is [CLS]."""
        hidden = self.bert(input_ids, attention_mask=attention_mask).last_hidden_state[:, 1:]
        tags, mask = labels[:, 1:], labels[:, 1:] != IGNORED
        self.tokens += int(mask.sum())
        if self.lstm is not None:
            hidden = self._read(self.dropout(hidden), mask.sum(1))
        emissions = self.emit(self.dropout(hidden)).float()
        loss = -self.crf(emissions, tags.masked_fill(~mask, 0), mask, reduction="mean")
        return {"loss": loss, "logits": emissions}

    def _read(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        assert self.lstm is not None
        packed = nn.utils.rnn.pack_padded_sequence(hidden, lengths, batch_first=True, enforce_sorted=False)
        read, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=hidden.shape[1]
        )  # fmt: skip
        return read


class Peer:
    """Hugging Face's Trainer, as run_ner sets it up."""

    def __init__(self, text: Mapping[str, str], layers: int, hidden: int, head: str, precision: str) -> None:
        from transformers import BertModel, DataCollatorForTokenClassification, Trainer, set_seed

        from benchmarks import hugging_face

        torch.set_num_threads(THREADS)
        set_seed(1)
        whole = Text(**text)
        bert = BertModel(hugging_face.config(layers, hidden, len(whole.vocabulary)), add_pooling_layer=False)
        self.model = PeerTagger(bert, hidden, len(whole.scheme), head == "lstm_crf")
        arguments = hugging_face.arguments(precision, BATCH, ENDLESS, learning_rate=5e-4)
        collator = DataCollatorForTokenClassification(hugging_face.tokenizer(whole.vocabulary))
        examples = [peer_example(sentence, whole) for sentence in whole.short]
        self.trainer = hugging_face.SteppedTrainer(Trainer(self.model, arguments, collator, examples), THREADS)

    def train(self, updates: int) -> dict[str, Any]:
        """Do that number of updates; returns the tagged tokens they read and the seconds they took."""
        start = time.perf_counter()
        before = self.model.tokens
        self.trainer.run(updates)
        flops.settle()
        return {"tokens": self.model.tokens - before, "seconds": time.perf_counter() - start}

    def tokens_a_second(self, updates: int) -> float:
        spent = self.train(updates)
        return float(spent["tokens"] / spent["seconds"])


def peer_example(sentence: Sentence, text: Text) -> dict[str, list[int]]:
    """Returns ids between [CLS] and [SEP], which have no label."""
    tags = text.scheme.encode(len(sentence.tokens), sentence.gold).tolist()
    ids = text.vocabulary.encode(sentence.tokens)
    return {"input_ids": [CLS, *ids, SEP], "labels": [IGNORED, *tags, IGNORED]}


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    text = data.prepared(asked.quick)
    size = ours.QUICK_SIZE if asked.quick else ours.SIZES["4x256"]
    report = Report("finetuning", machine(THREADS, ours.precision()))
    for head in HEADS:
        given = {"text": asdict(text), "layers": size[0], "hidden": size[1], "head": head}
        rates = measure(given, *((2, 2) if asked.quick else (ROUNDS, UPDATES)))
        shell = best(rates, shells(THREADS))
        for layout in ("one process", "as shipped"):
            found = Comparison.of_rates(rates[layout], rates[shell])
            row = {"model": f"bert + {head}", "ours": layout, **found.row("tokens/s"), "shell": shell}
            report.add(row, Aim.at_least(f"bert + {head}, {layout}", AIM, found.ratio, " x"))
    report.note("peer: Hugging Face Trainer and DataCollatorForTokenClassification, as in run_ner, with pytorch-crf")
    report.show(asked.json)


def measure(given: dict[str, Any], rounds: int, updates: int) -> dict[str, list[float]]:
    """Tokens a second of each layout of ours and of the peer in each shell, round by round."""
    with ExitStack() as stack:

        def our_side(threads: int, seed: int) -> Side:
            more = given | {"batch_size": BATCH, "threads": threads, "seed": seed}
            return stack.enter_context(Side("benchmarks.ours:Training", our_environment(threads), **more))

        groups = {"one process": [our_side(THREADS, 1)], "as shipped": [our_side(1, 1), our_side(1, 2)]}
        for shell, environment in shells(THREADS).items():
            side = Side("benchmarks.finetuning:Peer", environment, precision=ours.precision(), **given)
            groups[shell] = [stack.enter_context(side)]
        calls = {name: partial(rate, sides, updates) for name, sides in groups.items()}
        alternate(1, calls)  # warm
        return alternate(rounds, calls)


def rate(sides: list[Side], updates: int) -> float:
    """Tokens a second of sides that work at the same time, until the last of them is done."""
    for side in sides:
        side.send("train", updates=updates)
    answers = [side.receive() for side in sides]
    return sum(answer["tokens"] for answer in answers) / max(answer["seconds"] for answer in answers)


if __name__ == "__main__":
    main(sys.argv[1:])
