"""Compares the training of the n-gram CRF with CRFsuite's, on the same features, penalties and iterations.

    python -m benchmarks.ngram_crf [--json] [--quick]

Times are CPU seconds on one core, labelling the test part included; the sides alternate. Losses and strict span F1 on
the test part are those after 100 iterations.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.crfsuite import crfsuite
from benchmarks.data import SHARED
from benchmarks.harness import Report, machine, options
from daguan.core.types import Score, Sentence, Span, labels_of
from daguan.data.decoding import decode_lines
from daguan.data.format import read_labelled
from daguan.data.ngram_features import features
from daguan.data.span_score import span_scores
from daguan.data.tags import TagScheme
from daguan.families.ngram_crf import NgramCrf, train
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.training.prediction import annotate

CONTESTS, ROUNDS = ("uner_zh", "klue_ko", "ncbi"), 3
SETTINGS = NgramCrfSettings(c1=0.05, c2=0.003, iterations=100)
QUICK = SETTINGS.replace(iterations=10)


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    settings, report = QUICK if asked.quick else SETTINGS, Report("n-gram CRF", machine(1))
    for name in CONTESTS[:1] if asked.quick else CONTESTS:
        lines, gold = (read_labelled(SHARED / name / part) for part in ("train.txt", "test_gold.txt"))
        scheme, times = TagScheme(labels_of(lines)), []
        for _ in range(1 if asked.quick else ROUNDS):
            start = time.process_time()
            answer, loss = _ours(lines, gold, scheme, settings)
            middle = time.process_time()
            peer, losses = _crfsuite(lines, gold, scheme, settings)
            times.append((middle - start, time.process_time() - middle))
        ratios = [theirs / ours for ours, theirs in times]
        ours, theirs = np.median(times, 0)
        report.add(
            {
                "contest": name,
                "ours, s": f"{ours:.1f}",
                "CRFsuite, s": f"{theirs:.1f}",
                "ratio": f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                "loss": f"{loss:.0f} / {losses:.0f}",
                "test F1": f"{_f1(answer, gold):.2f} / {_f1(peer, gold):.2f}",
            }
        )
    report.show(asked.json)


def _ours(
    lines: Sequence[Sentence], test: Sequence[Sentence], scheme: TagScheme, settings: NgramCrfSettings
) -> tuple[list[tuple[Span, ...]], float]:
    losses: list[float] = []
    with TemporaryDirectory() as folder:
        train(lines, scheme, settings, Path(folder), lambda iteration, loss: losses.append(loss))
        return decode_lines(NgramCrf(Path(folder)).marginals(test), scheme), losses[-1]


def _crfsuite(
    lines: Sequence[Sentence], test: Sequence[Sentence], scheme: TagScheme, settings: NgramCrfSettings
) -> tuple[list[tuple[Span, ...]], float]:
    tagger, losses = crfsuite(lines, scheme, settings)
    number = {tag: index for index, tag in enumerate(scheme.tags)}
    answers = []
    for sentence in test:
        rows = features([sentence.tokens])[0].tolist()
        probs = np.zeros((len(rows), len(scheme)), np.float32)
        tagger.set([[str(feature) for feature in row] for row in rows])
        for tag in tagger.labels():
            probs[:, number[tag]] = [tagger.marginal(tag, place) for place in range(len(rows))]
        answers.append(probs)
    return decode_lines(answers, scheme), losses[-1]


def _f1(answers: Sequence[tuple[Span, ...]], gold: Sequence[Sentence]) -> float:
    return 100 * sum(span_scores(annotate(gold, answers), gold), Score()).f1


if __name__ == "__main__":
    main(sys.argv[1:])
