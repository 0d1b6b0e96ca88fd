"""The common parts of the peers, as in Hugging Face's examples: a word-level tokenizer, BERT, the Trainer."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, PreTrainedTokenizerFast, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging

from benchmarks.data import LENGTH, WORK
from daguan.data.vocabulary import CLS, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary

logging.disable_progress_bar()


def tokenizer(vocabulary: Vocabulary) -> PreTrainedTokenizerFast:
    """Our vocabulary as a fast tokenizer of words between blanks, framed by [CLS] and [SEP]."""
    table = {entry: number for number, entry in enumerate(vocabulary.entries)}
    words = Tokenizer(WordLevel(table, unk_token=SPECIALS[UNK]))
    words.pre_tokenizer = WhitespaceSplit()
    edges = [(SPECIALS[CLS], CLS), (SPECIALS[SEP], SEP)]
    words.post_processor = TemplateProcessing(single=f"{SPECIALS[CLS]} $A {SPECIALS[SEP]}", special_tokens=edges)
    names = {"pad": PAD, "unk": UNK, "cls": CLS, "sep": SEP, "mask": MASK}
    specials = {f"{name}_token": SPECIALS[number] for name, number in names.items()}
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=LENGTH, **specials)


def config(layers: int, hidden: int, vocabulary_size: int, **more: Any) -> BertConfig:
    """BERT of our size; what `more` leaves open is Hugging Face's default, dropouts of 0.1 among them."""
    return BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden // 64),
        intermediate_size=4 * hidden,
        max_position_embeddings=LENGTH,
        pad_token_id=PAD,
        **more,
    )


def arguments(precision: str, batch_size: int, updates: int, **more: Any) -> TrainingArguments:
    """The examples' arguments, without evaluation, checkpoints, or progress bars."""
    return TrainingArguments(
        output_dir=str(WORK / "trainer"),
        use_cpu=not torch.cuda.is_available(),
        bf16=precision == "bf16",
        per_device_train_batch_size=batch_size,
        max_steps=updates,
        lr_scheduler_type="linear",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **more,
    )


class SteppedTrainer:
    """`Trainer.train()` a few updates at a time: it runs in a thread of its own that waits after the last of them."""

    def __init__(self, trainer: Trainer, threads: int) -> None:
        self.trainer, self.threads = trainer, threads
        self.todo: SimpleQueue[int] = SimpleQueue()
        self.finished: SimpleQueue[bool] = SimpleQueue()
        self.thread: Thread | None = None
        trainer.add_callback(_Pause(self.todo, self.finished))

    def run(self, updates: int) -> None:
        """Raises RuntimeError: the training ended; its own error, if any, is on standard error."""
        self.todo.put(updates)
        if self.thread is None:
            self.thread = Thread(target=self._train, daemon=True)
            self.thread.start()
        if not self.finished.get():
            raise RuntimeError("the trainer ended before its updates were done")

    def _train(self) -> None:
        torch.set_num_threads(self.threads)
        try:
            self.trainer.train()
        finally:
            self.finished.put(False)


class _Pause(TrainerCallback):
    """Counts updates down; at zero reports, and waits for the next number."""

    def __init__(self, todo: SimpleQueue[int], finished: SimpleQueue[bool]) -> None:
        self.todo, self.finished = todo, finished
        self.left = 0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.left = self.todo.get()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.left -= 1
        if not self.left:
            self.finished.put(True)
            self.left = self.todo.get()
