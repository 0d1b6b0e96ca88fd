"""Writes all text of a contest as token ids, with its vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

from daguan.core.progress import Bar, Progress, say
from daguan.core.types import Sentence
from daguan.data.batches.packing import NumberedText, token_file, write_token_file
from daguan.data.format import format_unlabelled, iter_corpus
from daguan.data.vocabulary import VocabularySettings, count_to_vocabulary

REPORT_LINES = 50_000

Item = TypeVar("Item")


def prepare_text(folder: Path, corpus: Path, labelled: list[Sentence], settings: VocabularySettings) -> dict[str, Any]:
    """Writes the vocabulary and the token file of the distinct lines into `folder`; returns the counts.

    Args:
        corpus: unlabelled lines; the file may be missing.
        labelled: the training and test lines, which come after the corpus.
    """
    with TemporaryFile(dir=folder) as scratch:  # an unnamed file: it vanishes even if we are killed
        text = NumberedText(scratch)
        if corpus.exists():
            text.add_corpus(corpus, _counted(iter_corpus(corpus), "read", "lines", REPORT_LINES))
        else:
            say(f"prepare: no {corpus.name} in {corpus.parent}: pretraining on train and test alone")
        for sentence in labelled:
            text.add(format_unlabelled(sentence))
        counts = text.counts()
        vocabulary = count_to_vocabulary(counts, settings)
        vocabulary.save(folder)
        chunks = _counted(text.ids(vocabulary), "write ids", "chunks", 1)
        write_token_file(token_file(folder, len(vocabulary)), chunks)
    lines = {"lines": text.lines, "distinct_lines": text.distinct_lines, "blank_lines": text.blank_lines}
    return lines | {"tokens": counts.total(), "types": len(counts), "vocabulary": len(vocabulary)}


def _counted(items: Iterator[Item], name: str, unit: str, report_every: int) -> Iterator[Item]:
    with Bar(f"prepare: {name}") as bar:
        for number, item in enumerate(items, start=1):
            if number % report_every == 0:
                bar.show(Progress(number, 0, unit))
            yield item
