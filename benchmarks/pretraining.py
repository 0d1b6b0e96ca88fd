"""Pretraining: tokens a second of the masked language model, BERT 4x256 and 8x512, against Hugging Face's Trainer.

The peer is the model of the run_mlm example: Trainer and DataCollatorForLanguageModeling, (a) with the default config's
dropouts of 0.1, (b) with none, in a plain shell; ours runs with daguan's process environment, and a row shows the
effect of that environment on (b). All start from the same weights and read the same blocks of 128 tokens by 32, single
tokens masked at 15 %, for the same number of updates of AdamW at the same linear schedule, in the same precision on 2
threads. One function gives the held-out loss of each at the end. Efficiency is the number of floating-point operations
that the model needs a second, over the best rate of a matrix product found beside it in the same process (see `flops`).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import data, flops, ours
from benchmarks.data import LENGTH, Text
from benchmarks.harness import (
    Aim,
    Comparison,
    Report,
    Row,
    alternate,
    machine,
    options,
    our_environment,
    peer_environment,
)
from benchmarks.sides import Side
from daguan.core.seeds import stream
from daguan.data.batches.masking import MaskingSettings, mask
from daguan.data.batches.packing import Blocks
from daguan.training.devices import prepare_process
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

THREADS = 2
BATCH = 32
RATE = 0.15
LEARNING_RATE = 1e-3
WARMUP = 0.06
SEED = 1
OUR_SHELL = "b, in our shell"
EQUAL = "b, dropouts 0"  # the peer that differs from ours in order and masks alone
PEERS = {"a, dropouts 0.1": 0.1, EQUAL: 0.0, OUR_SHELL: 0.0}
AIMS = {"a, dropouts 0.1": 2.0, EQUAL: 1.7}
EFFICIENCY = 0.6
NOISE = 0.05  # nats between ours and EQUAL
ROUNDS = 3
UPDATES = {"4x256": 12, "8x512": 4}  # a round
MASKING = MaskingSettings(rate=RATE, ngram_share=0.0)


class Ours:
    """daguan's pretraining, with the arguments the `pretrain` command would give it."""

    def __init__(self, text: dict[str, str], layers: int, hidden: int, updates: int) -> None:
        prepare_process(THREADS)
        whole = Text(**text)
        settings = PretrainSettings(
            tokens=updates * BATCH * LENGTH, batch_size=BATCH, optimiser="adamw", learning_rate=LEARNING_RATE,
            weight_decay=0.01, warmup=WARMUP, masking=MASKING,
        )  # fmt: skip
        encoder, engine = ours.encoder_settings(layers, hidden), ours.engine_settings(THREADS)
        blocks = Blocks(whole.tokens, LENGTH)
        self.trainer = Pretrainer("bert", encoder, settings, engine, blocks, len(whole.vocabulary), SEED)
        self.updates = self.trainer.steps()

    def save(self, folder: str) -> None:
        """In Hugging Face layout."""
        self.trainer.model.save(Path(folder))

    def rate(self, updates: int) -> float:
        """Returns the tokens a second over that number of updates."""
        start = time.perf_counter()
        for _ in range(updates):
            next(self.updates)
        flops.settle()
        return updates * BATCH * LENGTH / (time.perf_counter() - start)

    def memory_gb(self) -> float:
        return flops.memory_gb()

    def matmul_rate(self, precision: str, seconds: float) -> float:
        """Operations a second of the fastest matrix product on all threads."""
        return flops.matmul_rate(precision, seconds)


class Peer:
    """Hugging Face's Trainer, as run_mlm sets it up, from our starting weights."""

    def __init__(
        self, text: dict[str, str], layers: int, hidden: int, updates: int, dropout: float, precision: str, start: str
    ) -> None:
        from transformers import BertForMaskedLM, DataCollatorForLanguageModeling, Trainer, set_seed

        from benchmarks import hugging_face

        torch.set_num_threads(THREADS)
        set_seed(SEED)
        whole = Text(**text)
        dropouts = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        config = hugging_face.config(layers, hidden, len(whole.vocabulary), **dropouts)
        self.model = BertForMaskedLM.from_pretrained(start, config=config)
        tokenizer = hugging_face.tokenizer(whole.vocabulary)
        arguments = hugging_face.arguments(
            precision, BATCH, updates, learning_rate=LEARNING_RATE, adam_beta2=0.98, adam_epsilon=1e-6,
            weight_decay=0.01, warmup_steps=round(WARMUP * updates),
        )  # fmt: skip
        collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=RATE)
        trainer = Trainer(self.model, arguments, collator, train_blocks(whole, tokenizer))
        self.trainer = hugging_face.SteppedTrainer(trainer, THREADS)

    def save(self, folder: str) -> None:
        self.model.save_pretrained(folder)

    def rate(self, updates: int) -> float:
        """Returns the tokens a second over that number of updates."""
        start = time.perf_counter()
        self.trainer.run(updates)
        flops.settle()
        return updates * BATCH * LENGTH / (time.perf_counter() - start)


def train_blocks(text: Text, tokenizer: Any) -> list[dict[str, list[int]]]:
    """Returns the blocks on which daguan trains, as the example's data set has them: lists, specials marked."""
    blocks = Blocks(text.tokens, LENGTH)
    specials = tokenizer.all_special_ids
    ids = blocks.take(blocks.split(SEED)[0])
    marks = np.isin(ids, specials).astype(int)
    return [
        {"input_ids": row.tolist(), "special_tokens_mask": mark.tolist()} for row, mark in zip(ids, marks, strict=True)
    ]


@torch.no_grad()
def held_out_loss(folder: Path, text: Text) -> float:
    """Returns the nats at the masked places of the held-out blocks, the same ones for every model."""
    from transformers import BertForMaskedLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = BertForMaskedLM.from_pretrained(folder).eval()
    blocks = Blocks(text.tokens, LENGTH)
    held_out = blocks.split(SEED)[1]
    losses = []
    for low in range(0, len(held_out), BATCH):
        ids = blocks.take(held_out[low : low + BATCH])
        masked = mask(ids, len(text.vocabulary), MASKING, stream(SEED, "held-out", low))
        logits = model(torch.from_numpy(masked.inputs)).logits
        chosen = logits.gather(1, torch.from_numpy(masked.positions).unsqueeze(2).expand(-1, -1, logits.shape[2]))
        labels = torch.from_numpy(masked.labels)
        losses.append(nn.functional.cross_entropy(chosen.flatten(0, 1), labels.flatten(), reduction="none"))
    return torch.cat(losses).mean().item()


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    text = data.prepared(asked.quick)
    report = Report("pretraining", machine(THREADS, ours.precision()))
    sizes = {"2x64": ours.QUICK_SIZE} if asked.quick else ours.SIZES
    for name, (layers, hidden) in sizes.items():
        rounds, updates = (2, 2) if asked.quick else (ROUNDS, UPDATES[name])
        measure(report, text, name, (layers, hidden), rounds, updates)
    report.note("peer: Hugging Face Trainer and DataCollatorForLanguageModeling, as in run_mlm")
    report.show(asked.json)


def measure(report: Report, text: Text, name: str, size: tuple[int, int], rounds: int, updates: int) -> None:
    """Add the rows of one size: both peers, and the efficiency."""
    given = {"text": asdict(text), "layers": size[0], "hidden": size[1], "updates": (1 + rounds) * updates}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = start_sides(stack, given, folder)
        calls = {key: partial(side.call, "rate", updates=updates) for key, side in sides.items()}
        precision = ours.precision()  # the other may take minutes
        calls[precision] = partial(sides["ours"].call, "matmul_rate", precision=precision, seconds=1.0)
        alternate(1, calls)  # warm
        rates = alternate(rounds, calls)
        for key, side in sides.items():
            side.call("save", folder=f"{folder}/{key}")
        losses = {key: held_out_loss(Path(folder) / key, text) for key in sides}
    for peer in PEERS:
        found = Comparison.of_rates(rates["ours"], rates[peer])
        row = {"size": name, "peer": peer, **found.row("tokens/s")}
        report.add(row | {"ours, held-out loss": losses["ours"], "peer, held-out loss": losses[peer]})
        if peer in AIMS:
            report.aims.append(Aim.at_least(f"{name} against {peer}", AIMS[peer], found.ratio, " x"))
    worse = losses["ours"] - losses[EQUAL]
    report.aims.append(Aim.below(f"{name}: held-out loss over that of {EQUAL}", NOISE, worse, " nats"))
    report.add(*efficiency(name, flops.per_token(*size, len(text.vocabulary), RATE), rates))


def start_sides(stack: ExitStack, given: dict[str, Any], folder: str) -> dict[str, Side]:
    """Ours and the peers, the peers from our starting weights."""
    sides = {"ours": stack.enter_context(Side("benchmarks.pretraining:Ours", our_environment(THREADS), **given))}
    sides["ours"].call("save", folder=f"{folder}/start")
    more = given | {"precision": ours.precision(), "start": f"{folder}/start"}
    for peer, dropout in PEERS.items():
        shell = our_environment(THREADS) if peer == OUR_SHELL else peer_environment()
        sides[peer] = stack.enter_context(Side("benchmarks.pretraining:Peer", shell, dropout=dropout, **more))
    return sides


def efficiency(name: str, operations: float, rates: Mapping[str, Sequence[float]]) -> tuple[Row, Aim]:
    """Returns each round's operations a second over the best matrix product of the same round."""
    best = rates[ours.precision()]
    row: Row = {"size": name, "MFLOP a token": operations / 1e6}
    shares = {}
    for side in ("ours", *PEERS):
        shares[side] = statistics.median(operations * rate / most for rate, most in zip(rates[side], best, strict=True))
        row[f"{side}, share of the machine"] = shares[side]
    row["best matmul, GFLOP/s"] = max(best) / 1e9
    row["share of the best round's"] = operations * statistics.median(rates["ours"]) / max(best)
    return row, Aim.at_least(f"{name}: share of the machine", EFFICIENCY, shares["ours"])


if __name__ == "__main__":
    main(sys.argv[1:])
