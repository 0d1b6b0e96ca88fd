from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from daguan.core.types import Sentence, Span
from daguan.ensemble.non_overlapping import best_non_overlapping

SPANS = st.builds(lambda start, size, label: Span(start, start + size, label), st.integers(0, 6), st.integers(1, 4),
                  st.sampled_from("ab"))  # fmt: skip
VALUES = st.dictionaries(SPANS, st.integers(-3, 8).map(float), max_size=7)


def disjoint(spans):
    ordered = sorted(spans)
    return all(one.stop <= other.start for one, other in pairwise(ordered))


@given(VALUES)
def test_no_disjoint_set_has_a_higher_sum(values):
    chosen = best_non_overlapping(values)
    sets = (some for size in range(len(values) + 1) for some in combinations(values, size) if disjoint(some))
    assert sum(values[span] for span in chosen) == max(sum(values[span] for span in some) for some in sets)
    assert Sentence(("x",) * 10, chosen).gold == chosen  # sorted and disjoint
    assert all(values[span] > 0 for span in chosen)


@given(VALUES)
def test_the_order_in_which_they_come_changes_nothing(values):
    assert best_non_overlapping(dict(reversed(values.items()))) == best_non_overlapping(values)
