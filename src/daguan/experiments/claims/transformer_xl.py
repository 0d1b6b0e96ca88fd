"""Transformer-XL (Dai et al. 2019, arXiv 1901.02860, tables 6, 8 and 9): recurrence, relative positions, long contexts.

Five small language models read people_daily forwards in segments, all with the modern encoder's blocks, but for the
LSTM. What the models see in training is as long with recurrence as it is in the paper's ablation: a memory of one
segment. RECL is by the paper's definition over the models of one seed, on the tenth of the tokens that are hardest. A
memory of 0 stands beside the LSTM, whose state reaches back without one, and beside the model with absolute positions,
which cannot use one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from daguan.core.seeds import stream_seed
from daguan.core.settings import require, setting
from daguan.data.batches.packing import ids_of
from daguan.experiments.claims.claim import Claim, Column, Comparison, Figures, Panel, Part, mean_curves
from daguan.experiments.claims.effective_context import effective_context, relative_gains
from daguan.experiments.claims.language_models import LanguageModel, LstmLm, XlLm
from daguan.experiments.claims.language_training import (
    EVALUATED,
    LanguageTrainer,
    losses_with,
    perplexity,
    spread,
    times_as_fast,
)
from daguan.experiments.claims.text import TextClaimSettings, inputs_of, text_of
from daguan.models.encoders.modern import gated_width
from daguan.models.encoders.transformer_xl import TransformerXlConfig

HARDEST = 0.1  # share of the tokens that count for RECL, the paper's r
ADDED = (0, 1, 2, 4, 8)  # memories in evaluation, in segments
MEASURED = "speed_ratio"


class Kind(NamedTuple):
    """How a side differs from the others."""

    relative: bool = True
    recurrent: bool = True
    rnn: bool = False


KINDS = {
    "transformer-xl": Kind(),
    "no-recurrence": Kind(recurrent=False),
    "absolute": Kind(relative=False, recurrent=False),
    "rnn": Kind(rnn=True),
    "absolute-recurrence": Kind(relative=False),
}
FULL_ONLY = ("absolute-recurrence",)


class TransformerXlSettings(TextClaimSettings):
    """The settings of `reproduce transformer-xl`. Labels are not read."""

    corpus_lines: int = setting(20_000, "Unlabelled lines of people_daily, the first of the file; 0 for all.", ge=0)
    layers: int = setting(2, "Layers of each model.", ge=1)
    width: int = setting(128, "Width of each model, a multiple of 64.", gt=0, multiple_of=64)
    segment: int = setting(32, "Tokens of a segment, and of the memory in training.", ge=2)
    batch_size: int = setting(16, "Streams that an update reads side by side.", ge=1)
    tokens: int = setting(1_200_000, "Tokens to train on, repeats counted.", ge=1)
    learning_rate: float = setting(3e-3, "Peak learning rate.", gt=0)
    held_out: int = setting(20_000, "Tokens at the end of the text that nothing trains on.", ge=100)
    step: int = setting(16, "Tokens by which contexts grow, for RECL.", ge=1)
    steps: int = setting(8, "Number of contexts, for RECL.", ge=2)
    judged: int = setting(600, "Held-out tokens that are judged with each context, for RECL.", ge=10)
    speed_context: int = setting(800, "Tokens of context in the measurement of speed.", ge=1)

    def check(self) -> None:
        least = max(EVALUATED * self.segment * (ADDED[-1] + 3), self.step * self.steps + self.judged)
        least = max(least, self.speed_context + self.segment)
        require("held_out", self.held_out >= least, f"at least {least:,}", self.held_out)


def sides(chosen: TransformerXlSettings) -> Sequence[str]:
    return [side for side in KINDS if chosen.full or side not in FULL_ONLY]


def train(side: str, seed: int, chosen: TransformerXlSettings) -> Figures:
    """Returns perplexities by the memory in evaluation, losses by context, and the speed with memory."""
    text = text_of(chosen, corpus_alone=True)  # labelled lines are out of their texts
    ids = torch.from_numpy(np.concatenate([chunk.astype(np.int64) for chunk in ids_of(text.tokens)]))
    seen, held_out = ids[: -chosen.held_out], ids[-chosen.held_out :]
    kind, size = KINDS[side], len(text.vocabulary)
    torch.manual_seed(stream_seed(seed, "language-model"))
    model = _new(kind, chosen, size)
    memory = chosen.segment if kind.recurrent else 0
    updates = max(1, chosen.tokens // (chosen.batch_size * chosen.segment))
    trainer = LanguageTrainer(
        model, seen, chosen.batch_size, chosen.segment, memory, kind.recurrent, updates, chosen.learning_rate
    )
    for _ in trainer.steps():
        pass
    return _measured(model, kind, held_out, chosen)


def _new(kind: Kind, chosen: TransformerXlSettings, vocabulary_size: int) -> LanguageModel:
    config = TransformerXlConfig(
        vocab_size=vocabulary_size, hidden_size=2 * chosen.width, num_hidden_layers=chosen.layers,
        num_attention_heads=chosen.width // 32, intermediate_size=gated_width(4 * chosen.width),
        max_position_embeddings=chosen.segment,
    )  # fmt: skip
    if kind.rnn:
        return LstmLm(vocabulary_size, chosen.width, chosen.layers, config.initializer_range)
    return XlLm(config, kind.relative)


def _measured(model: LanguageModel, kind: Kind, held_out: Tensor, chosen: TransformerXlSettings) -> Figures:
    segment, longest = chosen.segment, ADDED[-1] * chosen.segment
    stuck = bool(model.longest) and not kind.recurrent
    memories = [0] if stuck else [count * segment for count in ADDED]
    found = [perplexity(model, held_out, segment, memory, longest) for memory in memories]
    contexts = contexts_of(chosen)
    places = torch.tensor(spread(contexts[-1], len(held_out), chosen.judged))
    losses = [losses_with(model, held_out, places, context, segment, kind.recurrent) for context in contexts]
    figures: Figures = {
        "perplexity": min(found),
        "best_memory": memories[found.index(min(found))],
        "memories": memories,
        "perplexities": found,
        "losses": [[round(loss, 4) for loss in row.tolist()] for row in losses],
    }
    if kind == Kind():
        figures[MEASURED] = times_as_fast(model, held_out, segment, chosen.speed_context)
    return figures


def contexts_of(chosen: TransformerXlSettings) -> list[int]:
    """Returns the lengths of context by which RECL is measured."""
    return [chosen.step * number for number in range(1, chosen.steps + 1)]


def relate(figures: dict[str, Figures], chosen: TransformerXlSettings) -> dict[str, Figures]:
    """Adds RECL and the gains it is read from, of all models of a seed as one group."""
    contexts = contexts_of(chosen)
    gains = relative_gains({side: np.array(one["losses"]) for side, one in figures.items()}, HARDEST)
    return {
        side: {name: value for name, value in one.items() if name != "losses"}
        | {"recl": effective_context(gains[side], contexts), "gains": gains[side], "contexts": contexts[1:]}
        for side, one in figures.items()
    }


def plot(parts: Sequence[Part], chosen: TransformerXlSettings) -> Sequence[Panel]:
    return [
        Panel(
            "Attention length",
            "memory in evaluation, tokens",
            "perplexity",
            mean_curves(parts, "memories", "perplexities"),
        ),
        Panel("Relative gain of longer contexts", "context, tokens", "gain", mean_curves(parts, "contexts", "gains")),
    ]


CLAIM = Claim(
    paper="Dai et al. 2019, arXiv 1901.02860, tables 6, 8 and 9",
    settings=TransformerXlSettings,
    sides=sides,
    train=train,
    comparisons=(
        Comparison("perplexity", "transformer-xl", "no-recurrence", -1, "26.77 against 29.02 (table 6)"),
        Comparison("perplexity", "transformer-xl", "absolute", -1, "26.77 against 30.97 (table 6, half losses)"),
        Comparison("perplexity", "no-recurrence", "absolute", -1, "29.02 against 30.97 (table 6, half losses)"),
        Comparison("recl", "transformer-xl", "no-recurrence", 1, "700 against 300 (table 8)"),
        Comparison("recl", "transformer-xl", "absolute", 1, "700 against 128 (table 8)"),
        Comparison("recl", "transformer-xl", "rnn", 1, "900 against 400 of an LSTM (table 8)"),
        Comparison("perplexity", "transformer-xl", "rnn", -1, "not available"),
        Comparison("perplexity", "transformer-xl", "absolute-recurrence", -1, "§3.3 rules the latter out"),
    ),
    columns={
        "perplexity": Column("perplexity"),
        "best_memory": Column("at a memory of", digits=0),
        "recl": Column("RECL", digits=0),
        MEASURED: Column("times as fast with memory", digits=0),
    },
    plot=plot,
    relate=relate,
    inputs=inputs_of,
)  # fmt: skip
