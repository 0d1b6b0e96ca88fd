"""Lines and entities of sizes that no contest had yet: time and memory grow with the size, not with its square."""

from __future__ import annotations

import time

import numpy as np
import pytest

from daguan.core.types import Sentence, Span
from daguan.data.folds import FoldSettings, assign_folds
from daguan.data.format import format_labelled, parse_labelled
from daguan.data.lexicon import Lexicon
from daguan.data.span_score import span_score
from daguan.data.tags import TagScheme
from daguan.ensemble.span_candidates import SpanCandidates, _neighbours
from daguan.ensemble.span_counts import SpanCounter

SECONDS = 20.0  # of one core; what grows with the square takes minutes


@pytest.fixture(autouse=True)
def in_time():
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


def line(entities, length=1, period=5, labels=("a",)):
    """Entities of that length, one token outside after each; tokens repeat."""
    tokens, spans = [], []
    for number in range(entities):
        spans.append(Span(len(tokens), len(tokens) + length, labels[number % len(labels)]))
        tokens += [f"a{place % period}" for place in range(length)] + ["0"]
    return Sentence(tuple(tokens), tuple(spans))


def sure(sentence, scheme):
    """Marginals that are nearly certain of the gold tags."""
    probs = np.full((len(sentence.tokens), len(scheme)), 1e-3, np.float16)
    probs[np.arange(len(probs)), scheme.encode(len(probs), sentence.gold)] = 0.99
    return probs


@pytest.mark.parametrize("sentence", [line(1, 10_000), line(40_000), line(200, 50)], ids=["long", "many", "both"])
def test_a_line_is_written_read_scored_and_looked_up(sentence):
    assert parse_labelled(format_labelled(sentence)) == sentence
    assert span_score([sentence], [sentence]).f1 == 1
    lexicon = Lexicon.of([sentence, sentence], ("a",), np.array([0, 1]))
    string = sentence.tokens[: sentence.gold[0].stop]
    assert lexicon.counts[lexicon.number(string)].tolist() == 2 * [2 * [len(sentence.gold)]]


@pytest.mark.parametrize("sentence", [line(1, 10_000), line(3_000)], ids=["long", "many"])
def test_a_stack_has_the_candidates_of_a_line(sentence):
    scheme = TagScheme(("a",))
    found = SpanCandidates.of([[sure(sentence, scheme)]], scheme)
    assert set(sentence.gold) <= set(found.spans)
    assert np.isfinite(found.features).all()


def test_pairs_of_spans_are_compared_in_parts_with_the_same_result(monkeypatch):
    starts = np.arange(300) * 2
    bounds = np.stack([np.repeat([0, 1, 2], [250, 0, 50]), starts, starts + 1, starts % 3], 1)
    odds = np.linspace(-3, 3, len(bounds))
    whole = _neighbours(bounds, odds)
    monkeypatch.setattr("daguan.ensemble.span_candidates.PAIRS", 700)
    assert np.array_equal(_neighbours(bounds, odds), whole)


def test_more_entities_in_a_line_than_two_bytes_count():
    sentence, scheme = line(40_000), TagScheme(("a",))
    marginals = [sure(sentence, scheme), np.roll(sure(sentence, scheme), 1, 0)]
    counter = SpanCounter([sentence], [[member] for member in marginals], scheme)
    assert counter.counts((1.0, 0.0)).tolist() == [[40_000, 80_000]]


def test_a_thousand_types():
    labels = tuple(sorted(f"t{number}" for number in range(1_000)))
    scheme, sentence = TagScheme(labels), line(1_000, 2, labels=labels)
    assert scheme.decode(scheme.encode(len(sentence.tokens), sentence.gold)) == sentence.gold
    lines = [Sentence((label, str(number)), (Span(0, 1, label),)) for label in labels for number in range(2)]
    folds = assign_folds(lines, FoldSettings(), np.arange(len(lines)) // 2)
    assert np.bincount(folds).min() > 0
