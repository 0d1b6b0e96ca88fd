"""What a fold's student is taught: nothing of the gold that the fold holds out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import random_sentence
from daguan.core.errors import CheckpointError, DataError
from daguan.core.types import Sentence, Span
from daguan.data.marginals import Marginals
from daguan.ensemble.blend_settings import METHODS, BlendSettings
from daguan.ensemble.labelling import LabelledLine
from daguan.ensemble.pseudo_labels import Teachers, counts_of, lines_to_label, select_reliable
from daguan.families.fold import HELD_OUT, TEST
from daguan.families.pseudo_labels import PseudoLabelSettings, labelled_file, read_pseudo_labelled
from daguan.training.engine_settings import EngineSettings
from noisy_members import noisy_answers, noisy_data, with_other_gold

GIVEN = noisy_data((1.5, 2.5), lines=45)
RNG = np.random.default_rng(3)
TEST_GOLD = [random_sentence(RNG, 20) for _ in range(30)]
BARE = [Sentence(("1",), ())]  # gold of which no share is asked
TEST_LINES = [Sentence(line.tokens) for line in TEST_GOLD]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two members' stored marginals for 3 folds; each fold's model has a mind of its own about the test lines."""
    folder = tmp_path_factory.mktemp("runs")
    for number, marginals in enumerate(GIVEN.marginals):
        for fold in range(3):
            where = folder / f"m{number}-1" / f"fold{fold}"
            held_out = np.flatnonzero(GIVEN.fold_of_line == fold)
            Marginals.of(held_out, [marginals[line] for line in held_out]).save(where / HELD_OUT)
            Marginals.of(range(30), noisy_answers(TEST_GOLD, 2.0, RNG)).save(where / TEST)
    return sorted(folder.iterdir())


def blended_by(method, given):
    return replace(given, settings=BlendSettings(method=method))


def taught(runs, given, method, fold):
    teachers = Teachers.of(runs, blended_by(method, given))
    return teachers.blend(fold).label(TEST_LINES, range(30), [], EngineSettings(device="cpu"))["test"]


@pytest.mark.parametrize("method", METHODS)
def test_a_folds_pseudo_labels_know_nothing_of_the_gold_that_it_holds_out(runs, method):
    """Neither what is answered nor how sure of it they are, whatever the gold of its lines is."""
    other = with_other_gold(GIVEN, fold=2)
    assert taught(runs, GIVEN, method, 2) == taught(runs, other, method, 2)
    if method in ("stack", "thresholds", "weights+thresholds"):  # these learn: the gold of other folds is in them
        assert taught(runs, GIVEN, method, 1) != taught(runs, other, method, 1)


def test_each_fold_is_taught_by_its_own_models(runs):
    first, second = (taught(runs, GIVEN, "mean", fold) for fold in (0, 1))
    assert first != second
    teachers = Teachers.of(runs, blended_by("mean", GIVEN))
    for fold in range(3):  # those that would label other lines, too
        assert teachers.blend(fold).models == [[run / f"fold{fold}" / "model"] for run in runs]
    assert [verdict.sentence.tokens for verdict in first] == [line.tokens for line in TEST_LINES]


def test_runs_on_other_lines_are_refused(runs):
    with pytest.raises(CheckpointError, match="expected marginals for 44 lines"):
        Teachers.of(runs, replace(blended_by("mean", GIVEN), gold=GIVEN.gold[1:]))
    teachers = Teachers.of(runs, blended_by("mean", GIVEN))
    with pytest.raises(CheckpointError, match="expected marginals for 29 lines"):
        teachers.blend(0).label(TEST_LINES[1:], [0], [], EngineSettings(device="cpu"))


def settings(**named) -> PseudoLabelSettings:
    return PseudoLabelSettings(teachers=("m",), **named)


@pytest.mark.parametrize("name", ["confidence", "agreement"])
def test_a_higher_threshold_keeps_a_part(runs, name):
    found = taught(runs, GIVEN, "stack", 0)
    least = settings(confidence=0.0)
    asked = [settings(**({"confidence": 0.0} | {name: value})) for value in np.linspace(0, 1, 11)]
    steps = [select_reliable(found, one, BARE) for one in asked]
    assert steps[0] == select_reliable(found, least, BARE) == [verdict.sentence for verdict in found]
    assert all(set(higher) <= set(lower) for lower, higher in pairwise(steps))
    assert len(steps[-1]) < len(steps[0])


def test_limits_are_kept():
    lines = [Sentence((str(number),), ()) for number in range(4)]
    found = [LabelledLine(line, *of) for line, of in zip(lines, ((1, 1), (1, 0.5), (0.99, 1), (0, 0)), strict=True)]
    assert select_reliable(found, settings(confidence=1.0), BARE) == lines[:2]
    assert select_reliable(found, settings(confidence=1.0, agreement=1.0), BARE) == lines[:1]
    assert select_reliable(found, settings(confidence=0.0, agreement=1.0), BARE) == [lines[0], lines[2]]
    assert select_reliable(found, settings(confidence=0.0), BARE) == lines


@given(st.lists(st.booleans(), max_size=40), st.lists(st.booleans(), min_size=1, max_size=40))
def test_lines_without_an_entity_are_no_larger_a_share_than_among_gold(offered, gold):
    def lines(have):
        return [Sentence((str(place),), (Span(0, 1, "a"),) if has else ()) for place, has in enumerate(have)]

    found = [LabelledLine(line, 1.0, 1.0) for line in lines(offered)]
    taken = select_reliable(found, settings(confidence=0.5), lines(gold))
    bare = sum(not line.gold for line in taken)
    assert [line for line in taken if line.gold] == [line for line in lines(offered) if line.gold]
    assert taken == [line for line in lines(offered) if line in taken]
    assert bare * sum(gold) <= (len(taken) - bare) * gold.count(False) or not any(gold)
    if bare < offered.count(False):  # one more would be too many
        assert (bare + 1) * sum(gold) > (len(taken) - bare) * gold.count(False)


def test_each_text_is_offered_once_and_none_that_stands_in_train():
    one, two, three = (Sentence((token,)) for token in "123")
    assert lines_to_label([one, two, one, three, three], [Sentence(two.tokens, ())]) == [0, 3]


@pytest.mark.parametrize("draws", [0, 1, 3])
def test_figures_count_what_is_offered_kept_and_in_it(draws):
    """Each line once, however often its labels are drawn."""
    times = max(1, draws)
    taken = [line for line in TEST_GOLD if line.gold]
    counts = counts_of([LabelledLine(line, 1.0, 1.0) for line in TEST_GOLD * times], taken * times, draws)
    assert counts == {"offered": 30, "kept": len(taken), "entities": sum(len(line.gold) for line in TEST_GOLD)}


def test_a_file_may_be_empty_yet_not_missing(tmp_path):
    labelled_file(tmp_path, 1).touch()
    assert read_pseudo_labelled(tmp_path, 1) == []
    with pytest.raises(DataError, match="expected a file"):
        read_pseudo_labelled(tmp_path, 0)
