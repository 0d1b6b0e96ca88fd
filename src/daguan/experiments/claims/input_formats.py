"""The four input formats of RoBERTa (Liu et al. 2019, arXiv 1907.11692 §4.2), on text with known documents.

A row is at most T places: [CLS], then sentences, each ended by [SEP]. One more [SEP] stands between documents, and
between the two segments of a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from daguan.data.batches.masking import Ids
from daguan.data.vocabulary import CLS, SEP

Document = Sequence[Ids]  # its sentences
NO_PAIR = -100  # the label of a row that is no pair, which cross_entropy ignores


Row = tuple[Ids, int]  # the ids of a row, and its pair's label
Format = Callable[[Sequence[Document], int, np.random.Generator], list[Row]]


def full_sentences(documents: Sequence[Document], length: int, rng: np.random.Generator) -> list[Row]:
    """Returns rows of whole sentences; a row goes on with the next document, after one more [SEP]."""
    sentences = [part for document in documents for part in (*document, np.array([SEP]))]
    return [(row, NO_PAIR) for row in _packed(sentences[:-1], length - 1)]


def doc_sentences(documents: Sequence[Document], length: int, rng: np.random.Generator) -> list[Row]:
    """Returns rows of whole sentences of one document."""
    return [(row, NO_PAIR) for document in documents for row in _packed(document, length - 1)]


def segment_pairs(documents: Sequence[Document], length: int, rng: np.random.Generator) -> list[Row]:
    """Returns pairs of segments, each of several sentences (BERT's own format)."""
    return _pairs([[*_packed(document, (length - 2) // 2, framed=False)] for document in documents], rng)


def sentence_pairs(documents: Sequence[Document], length: int, rng: np.random.Generator) -> list[Row]:
    """Returns pairs of sentences."""
    most = (length - 2) // 2
    return _pairs([[_cut(sentence, most) for sentence in document] for document in documents], rng)


FORMATS: dict[str, Format] = {
    "segment-pair": segment_pairs,
    "sentence-pair": sentence_pairs,
    "full-sentences": full_sentences,
    "doc-sentences": doc_sentences,
}


def _packed(sentences: Sequence[Ids], most: int, framed: bool = True) -> Iterator[Ids]:
    """Yields as many whole sentences together as fit into `most` places; a longer sentence is cut."""
    gathered: list[Ids] = []
    for sentence in sentences:
        sentence = _cut(sentence, most)
        if not gathered and len(sentence) == 1:
            continue  # a row does not begin with the end of a document
        if sum(map(len, gathered)) + len(sentence) > most:
            yield _joined(gathered, framed)
            gathered = []
        gathered.append(sentence)
    if gathered:
        yield _joined(gathered, framed)


def _cut(sentence: Ids, most: int) -> Ids:
    return sentence if len(sentence) <= most else np.append(sentence[: most - 1], SEP)


def _joined(sentences: Sequence[Ids], framed: bool) -> Ids:
    return np.concatenate([[CLS], *sentences] if framed else sentences)


def _pairs(segments: Sequence[Document], rng: np.random.Generator) -> list[Row]:
    """Returns neighbours of a document as pairs, in half of them with another document's segment in second place.

    A document begins with its first segment or with its second one, so that all have a turn over the epochs; one of a
    single segment has no pair.
    """
    rows = []
    for number, document in enumerate(segments):
        shift = int(rng.integers(2)) if len(document) > 2 else 0
        for first, second in zip(document[shift::2], document[shift + 1 :: 2], strict=False):
            other = bool(rng.random() < 0.5) and len(segments) > 1
            if other:
                elsewhere = segments[(number + int(rng.integers(1, len(segments)))) % len(segments)]
                second = elsewhere[int(rng.integers(len(elsewhere)))]
            rows.append((np.concatenate([[CLS], first, [SEP], second]), int(other)))
    return rows
