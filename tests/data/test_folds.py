from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.errors import CheckpointError, ConfigError
from daguan.core.types import Sentence, Span, labels_of
from daguan.data.contest import Contest
from daguan.data.folds import (
    FoldSettings,
    assign_folds,
    document_of_line,
    draw_lines,
    draw_numbers,
    read_fold,
    read_folds,
    units_taking_part,
    write_folds,
)


def sentence(text, types):
    """A line of its own text with one entity of each type."""
    tokens = (str(text), *types)
    return Sentence(tokens, tuple(Span(i, i + 1, label) for i, label in enumerate(types, start=1)))


MANY = [sentence(i, types) for i, types in enumerate(["", "a", "b", "ab", "", "abc", "a"] * 20)]
LINES = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", "a", "b", "ab"])), min_size=1, max_size=60)


@given(LINES, st.integers(2, 6), st.integers(0, 2**40))
def test_every_line_is_held_out_once_and_equal_texts_together(lines, count, seed):
    sentences = [Sentence((str(text),), (Span(0, 1, types[0]),) if types else ()) for text, types in lines]
    texts = {sentence.tokens for sentence in sentences}
    if count > len(texts):
        with pytest.raises(ConfigError, match=r"folds\.count: expected at most the"):
            assign_folds(sentences, FoldSettings(count=count, seed=seed))
        return
    folds = assign_folds(sentences, FoldSettings(count=count, seed=seed))
    assert folds.shape == (len(sentences),)
    assert set(folds.tolist()) == set(range(count))
    assert len({(line.tokens, fold) for line, fold in zip(sentences, folds, strict=True)}) == len(texts)


@pytest.mark.parametrize("count", [2, 5, 10])
def test_each_set_of_types_is_shared_out_within_one_text(count):
    folds = assign_folds(MANY, FoldSettings(count=count, seed=1))
    types = [tuple(span.label for span in line.gold) for line in MANY]
    shares = Counter(zip(types, folds.tolist(), strict=True))
    for stratum, total in Counter(types).items():
        assert total >= count  # big enough to be a stratum of its own
        assert all(abs(shares[stratum, fold] - total / count) < 1 for fold in range(count))


def test_copies_of_a_text_count_once_in_the_shares():
    """A thousand copies of one line weigh as one, or their fold would get nothing else."""
    sizes = Counter(assign_folds([MANY[0]] * 1000 + MANY[1:], FoldSettings(count=5, seed=1))[1000:].tolist())
    assert max(sizes.values()) - min(sizes.values()) <= 5


def test_the_seed_decides_and_nothing_else():
    one, again, other = (assign_folds(MANY, FoldSettings(count=5, seed=seed)).tolist() for seed in (1, 1, 2))
    assert one == again
    assert one != other


@pytest.mark.parametrize("rare", [["abc"], ["abc", "bc"], ["abc", "bc", "c", "ac", "abd", "d"]])
def test_rare_sets_of_types_do_not_fail(rare):
    lines = [*MANY[:50], *(sentence(f"rare{i}", types) for i, types in enumerate(rare))]
    assert set(assign_folds(lines, FoldSettings(count=5, seed=1)).tolist()) == set(range(5))


def test_nothing_but_rare_sets_does_not_fail():
    lines = [sentence(i, types) for i, types in enumerate(["", "a", "b", "c", "ab"])]
    assert sorted(assign_folds(lines, FoldSettings(count=5, seed=1)).tolist()) == [0, 1, 2, 3, 4]


def test_more_folds_than_texts_are_refused():
    with pytest.raises(ConfigError) as error:
        assign_folds([*MANY[:4], *MANY[:4]], FoldSettings(count=5, seed=1))
    assert str(error.value) == "folds.count: expected at most the 4 distinct training lines, got 5"


@pytest.mark.parametrize("count", [1, 0, -1])
def test_fewer_than_two_folds_are_refused(count):
    with pytest.raises(ConfigError, match=f"^count: expected at least 2, got {count}"):
        FoldSettings(count=count)


def test_folds_survive_their_file_and_part_the_lines(tmp_path):
    folds = assign_folds(MANY, FoldSettings(count=5, seed=1))
    write_folds(tmp_path, folds)
    assert read_folds(tmp_path).tolist() == folds.tolist()
    parts = [read_fold(tmp_path, index) for index in range(5)]
    assert sorted(line for fold in parts for line in fold.held_out.tolist()) == list(range(len(MANY)))
    for fold in parts:
        assert sorted([*fold.train, *fold.held_out]) == list(range(len(MANY)))
        assert np.all(folds[fold.held_out] == fold.index)
    beyond = read_fold(tmp_path, 5)
    assert beyond.train.tolist() == list(range(len(MANY)))
    assert len(beyond.held_out) == 0


def test_missing_folds_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="expected the folds that `prepare` writes, got nothing"):
        read_folds(tmp_path)


@given(LINES, st.integers(2, 70), st.integers(0, 2**40))
def test_drawn_lines_keep_their_order_and_every_type(lines, count, seed):
    sentences = [sentence(number, types) for number, (_, types) in enumerate(lines)]
    drawn = draw_lines(sentences, count, seed)
    assert drawn == [line for line in sentences if line in drawn]
    assert min(count, len(sentences)) <= len(drawn) <= max(count, 2)  # two types
    assert labels_of(drawn) == labels_of(sentences)
    assert drawn == draw_lines(sentences, count, seed)


def test_another_seed_draws_other_lines():
    assert draw_lines(MANY, 20, 1) != draw_lines(MANY, 20, 2)


@given(LINES, st.lists(st.integers(0, 12), min_size=60, max_size=60), st.integers(2, 4), st.integers(0, 2**40))
def test_the_lines_of_a_document_share_a_fold_and_so_do_equal_texts(lines, documents, count, seed):
    sentences = [Sentence((str(text),), (Span(0, 1, types[0]),) if types else ()) for text, types in lines]
    ids = np.array(documents[: len(lines)])
    links = [{("text", line.tokens), ("document", document)} for line, document in zip(sentences, ids, strict=True)]
    groups = joined(links)
    if count > len(groups):
        with pytest.raises(ConfigError, match=rf"expected at most the {len(groups)} groups of training lines"):
            assign_folds(sentences, FoldSettings(count=count, seed=seed), ids)
        return
    folds = assign_folds(sentences, FoldSettings(count=count, seed=seed), ids)
    assert set(folds.tolist()) == set(range(count))
    for group in groups:
        assert len({fold for link, fold in zip(links, folds, strict=True) if link <= group}) == 1


def joined(links):
    """Returns the unions of all sets that overlap, if only through others."""
    groups = []
    for link in links:
        apart = [group for group in groups if not group & link]
        groups = [*apart, link.union(*(group for group in groups if group & link))]
    return groups


@pytest.mark.parametrize("count", [2, 5])
def test_documents_are_spread_evenly(count):
    documents = np.repeat(np.arange(35), [1, 1, 2, 3, 3, 10, 8] * 5)
    folds = assign_folds(MANY, FoldSettings(count=count, seed=1), documents)
    lines = np.bincount(folds)
    assert lines.max() - lines.min() <= 2
    for label in "abc":
        entities = np.bincount(folds, [sum(span.label == label for span in line.gold) for line in MANY])
        assert entities.max() - entities.min() <= 3
    assert not np.array_equal(folds, assign_folds(MANY, FoldSettings(count=count, seed=2), documents))


def test_documents_are_those_of_the_file_or_neighbouring_lines_or_none(tmp_path):
    def found(group):
        documents = document_of_line(Contest(tmp_path), 5, FoldSettings(group=group))
        return documents if documents is None else documents.tolist()

    assert found(0) is None
    (tmp_path / "groups.txt").write_text("x\ny 1\nx\nz\ny 1\n")
    assert found(0) == [0, 1, 0, 2, 1]
    assert found(1) is None
    assert found(2) == [0, 0, 1, 1, 2]


@given(LINES, st.integers(0, 9), st.integers(0, 3), st.integers(0, 2**40))
def test_there_can_be_as_many_folds_as_units_take_part_and_no_more(lines, drawn, group, seed):
    sentences = [Sentence((str(text),), (Span(0, 1, types[0]),) if types else ()) for text, types in lines]
    settings = FoldSettings(count=2, seed=seed, group=group, lines=0 if drawn < 2 else drawn)
    units = units_taking_part(Contest(Path("none")), sentences, settings)
    numbers = draw_numbers(sentences, settings.lines or len(sentences), seed)
    documents = document_of_line(Contest(Path("none")), len(sentences), settings)
    taking, of = [sentences[i] for i in numbers], None if documents is None else documents[numbers]
    asked = FoldSettings(count=max(2, units), seed=seed, group=group)
    if units >= 2:
        assert set(assign_folds(taking, asked, of).tolist()) == set(range(units))
    with pytest.raises(ConfigError, match=rf"expected at most the {units} "):
        assign_folds(taking, asked.replace(count=max(2, units + 1)), of)
