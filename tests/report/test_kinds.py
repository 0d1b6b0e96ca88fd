"""Kinds of errors are counted as nervaluate does, and the counts of entities are those of span F1."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from nervaluate.entities import Entity
from nervaluate.strategies import StrictEvaluation

from daguan.core.types import Sentence, Span
from daguan.data.span_score import span_score
from daguan.report.kinds import BOTH, CORRECT, LONG, MISSED, SHIFTED, SHORT, SPURIOUS, TYPE, kinds

LENGTH = 9
DIFFERENT = (TYPE, LONG, SHORT, SHIFTED, BOTH)


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, ...]:
    found, reached = [], 0
    while reached < LENGTH and draw(st.booleans()):
        start = draw(st.integers(reached, LENGTH - 1))
        reached = draw(st.integers(start + 1, LENGTH))
        found.append(Span(start, reached, draw(st.sampled_from("ab"))))
    return tuple(found)


@given(spans(), spans())
def test_they_are_nervaluates_of_its_strict_scheme(predicted: tuple[Span, ...], gold: tuple[Span, ...]) -> None:
    def entities(some: tuple[Span, ...]) -> list[Entity]:
        return [Entity(label=span.label, start=span.start, end=span.stop - 1) for span in some]

    expected, _ = StrictEvaluation().evaluate(entities(gold), entities(predicted), ["a", "b"])
    found, fates = kinds(predicted, gold)
    counted, missed = Counter(found), Counter(fates)[MISSED]
    assert counted[CORRECT] == expected.correct
    assert sum(counted[kind] for kind in DIFFERENT) == expected.incorrect
    assert (counted[SPURIOUS], missed) == (expected.spurious, expected.missed)


@given(spans(), spans())
def test_what_is_correct_is_what_span_f1_counts(predicted: tuple[Span, ...], gold: tuple[Span, ...]) -> None:
    tokens = tuple("x" * LENGTH)
    found, fates = kinds(predicted, gold)
    assert (len(found), len(fates)) == (len(predicted), len(gold))
    hits = span_score([Sentence(tokens, predicted)], [Sentence(tokens, gold)]).hits
    assert found.count(CORRECT) == fates.count(CORRECT) == hits
    assert sorted(kind for kind in found if kind != SPURIOUS) == sorted(fate for fate in fates if fate != MISSED)


def test_each_kind_by_its_example() -> None:
    gold = (Span(2, 5, "a"),)
    examples = {
        CORRECT: Span(2, 5, "a"), TYPE: Span(2, 5, "b"), LONG: Span(2, 6, "a"), SHORT: Span(3, 5, "a"),
        SHIFTED: Span(3, 6, "a"), BOTH: Span(3, 6, "b"),
    }  # fmt: skip
    assert {kind: kinds((span,), gold) for kind, span in examples.items()} == {
        kind: ([kind], [kind]) for kind in examples
    }
    assert kinds((Span(0, 2, "a"),), gold) == ([SPURIOUS], [MISSED])
