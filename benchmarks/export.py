"""Compares the exported forms of a tagger or a student with ours: lines a second, megabytes, F1, and lines answered
alike.

    python -m benchmarks.export MODEL CONTEST [--json] [--quick]

MODEL is the folder of one model (…/fold0/model of a tagger's run) or that of a student, CONTEST the folder with its
test.txt and test_gold.txt. All compute in float32, but for the matrices of onnx-int8, with one thread and in one
process. The forms are loaded by examples/exported.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness import ROOT, Comparison, Report, Row, alternate, machine, options
from daguan.core.types import Sentence, Span
from daguan.data.contest import Contest
from daguan.data.format import read_labelled, read_unlabelled
from daguan.data.span_score import span_score
from daguan.ensemble.distillation import megabytes
from daguan.ensemble.labelling import load_members
from daguan.formats.translation import Translation
from daguan.pipeline.shipping.export import CPU, FORMS, export
from daguan.pipeline.work.predict import files_of, find_models, predict
from daguan.training.devices import prepare_process

OURS, ROUNDS, QUICK = "ours", 5, 50
Label = Callable[[Sequence[Sentence]], list[Sentence]]


def main(words: list[str]) -> None:
    model, contest = Path(words[0]), Contest(Path(words[1]))
    asked = options(words[2:], __doc__)
    report = Report("export", machine(1))
    for row in measured(model, contest, asked.quick):
        report.add(row)
    report.show(asked.json)


def measured(model: Path, contest: Contest, quick: bool = False) -> Iterator[Row]:
    """Gives a row for each form, and for ours."""
    prepare_process(1)
    test, gold = read_unlabelled(contest.test), read_labelled(contest.test_gold)
    rounds, test, gold = (1, test[:QUICK], gold[:QUICK]) if quick else (ROUNDS, test, gold)
    with exported(model) as sides:
        found = {name: label(test) for name, (label, _) in sides.items()}
        rates = alternate(rounds, {name: partial(rate, label, test) for name, (label, _) in sides.items()})
    for name, (_, size) in sides.items():
        compared = Comparison.of_rates(rates[name], rates[OURS])
        alike = sum(one.gold == other.gold for one, other in zip(found[name], found[OURS], strict=True))
        f1 = 100 * span_score(found[name], gold).f1
        row = {"form": name, "span F1": f"{f1:.2f}", "lines like ours": f"{alike} of {len(test)}", "MB": size}
        spread = f"{compared.low:.2f}–{compared.high:.2f}"
        yield row | {"lines/s": compared.ours, "ratio": compared.ratio, "spread": spread}


@contextmanager
def exported(model: Path) -> Iterator[dict[str, tuple[Label, float]]]:
    """Gives what labels lines, and its megabytes, by form."""
    sys.path.insert(0, str(ROOT / "examples"))
    from exported import load

    paths, combination = find_models(model)
    members, translation = load_members(paths, CPU), Translation.load(paths[0][0])
    sides: dict[str, tuple[Label, float]] = {
        OURS: (
            lambda test: [plain(one) for one in predict(members, combination, test)],
            megabytes(files_of(model)),
        )
    }
    with TemporaryDirectory() as scratch:
        for form in FORMS:
            export(model, Path(scratch) / form, form)
            spans = load(Path(scratch) / form).spans
            sides[form] = partial(labelled, spans, translation), megabytes([Path(scratch) / form])
        yield sides


def labelled(
    spans: Callable[..., list[list[Any]]], translation: Translation, test: Sequence[Sentence]
) -> list[Sentence]:
    """Returns the lines with what an exported model finds in the user's own tokens, by the contest's labels."""
    book = translation.book
    words = {number: token for token, number in book.tokens.items()} if book else {}
    labels = dict(book.labels) if book else {}
    found = spans([[words.get(token, token) for token in one.tokens] for one in test])
    return [
        replace(one, spans=tuple(Span(e.start, e.stop, labels.get(e.label, e.label)) for e in line))
        for one, line in zip(test, found, strict=True)
    ]


def plain(sentence: Sentence) -> Sentence:
    """Returns the sentence without the probabilities of its entities."""
    return replace(sentence, spans=tuple(Span(span.start, span.stop, span.label) for span in sentence.gold))


def rate(label: Label, test: Sequence[Sentence]) -> float:
    """Returns lines a second: windows, scores, decoding, probabilities."""
    start = time.perf_counter()
    label(test)
    return len(test) / (time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1:])
