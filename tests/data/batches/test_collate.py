"""Batches: what is real is masked in, lengths are alike, nothing is lost."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daguan.core.types import Sentence, Span
from daguan.data.batches.collate import (
    FRAME,
    Batch,
    Example,
    bucketed_order,
    collate,
    padded_length,
    sorted_batches,
    to_example,
)
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import PAD, SPECIALS, UNK, Vocabulary

many_lengths = st.lists(st.integers(1, 600), min_size=1, max_size=300)


def padding(lengths: np.ndarray, batches: list[np.ndarray]) -> int:
    return sum(int(lengths[batch].max() * len(batch) - lengths[batch].sum()) for batch in batches)


@pytest.mark.parametrize("multiple", [1, 4, 16])
def test_padded_length_is_the_least_that_is_a_multiple_when_framed(multiple):
    for length in range(1, 700):
        padded = padded_length(length, multiple)
        assert (padded + FRAME) % multiple == 0
        assert length <= padded < length + multiple


@given(st.lists(st.integers(1, 70), min_size=1, max_size=8), st.booleans())
@examples(deadline=None)
def test_a_batch_holds_its_examples_and_else_padding(lengths, annotated):
    rng = np.random.default_rng(0)
    ids = [rng.integers(5, 99, length).tolist() for length in lengths]
    tags = [rng.integers(1, 5, length) if annotated else None for length in lengths]
    batch = collate([Example(*pair) for pair in zip(ids, tags, strict=True)], 4)
    assert batch.token_ids.shape == batch.mask.shape == (len(lengths), padded_length(max(lengths), 4))
    assert batch.mask.sum(1).tolist() == batch.lengths.tolist() == lengths
    assert batch.num_tokens == sum(lengths) == int(batch.mask.sum())
    assert batch.token_ids[batch.mask].tolist() == [id for row in ids for id in row]
    assert (batch.token_ids[~batch.mask] == PAD).all()
    assert (batch.tag_ids is not None) == annotated
    if batch.tag_ids is not None:
        assert batch.tag_ids[batch.mask].tolist() == [tag for row in tags for tag in row]


def test_the_mask_lies_at_the_left_of_each_row():
    mask = collate([Example([7] * 3), Example([7] * 9)], 16).mask
    assert (mask.int().diff(dim=1) <= 0).all()
    assert mask[:, 0].all()


def test_moving_a_batch_keeps_what_it_holds():
    batch = collate([Example([7, 8], np.array([0, 4]))], 16)
    moved = batch.to(torch.device("cpu"))
    assert isinstance(moved, Batch)
    assert moved.token_ids.equal(batch.token_ids)
    assert moved.tag_ids is not None
    assert collate([Example([7])], 16).to(torch.device("cpu")).tag_ids is None


def test_an_example_has_the_ids_and_the_tags_of_its_sentence():
    sentence = Sentence(("7", "8", "x"), (Span(0, 2, "b"),))
    vocabulary, scheme = Vocabulary((*SPECIALS, "7", "8")), TagScheme(("a", "b"))
    example = to_example(sentence, vocabulary, scheme)
    assert example.token_ids == [5, 6, UNK]
    assert example.tag_ids is not None
    assert scheme.decode(example.tag_ids) == sentence.spans
    assert to_example(sentence, vocabulary, None).tag_ids is None


@given(many_lengths, st.integers(1, 9), st.integers(0, 9))
@examples(deadline=None)
def test_buckets_are_a_permutation_in_full_batches_but_for_one(lengths, size, seed):
    batches = bucketed_order(lengths, size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    sizes = sorted(len(batch) for batch in batches)
    assert sizes[0] >= 1
    assert sizes[1:] == [size] * (len(sizes) - 1)


def test_buckets_have_like_lengths_but_batches_come_in_random_order():
    rng = np.random.default_rng(0)
    lengths = rng.lognormal(3.8, 0.6, 5000).astype(int) + 1  # the contest's: median 45, mean 54
    batches = bucketed_order(lengths, 16, rng)
    assert sorted(map(len, batches)) == [8] + [16] * 312
    shuffled = np.array_split(rng.permutation(len(lengths)), len(batches))
    assert padding(lengths, batches) < padding(lengths, shuffled) / 5
    means = np.array([lengths[batch].mean() for batch in batches])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.25


def test_buckets_depend_on_their_stream_alone():
    lengths = list(range(1, 200))
    first, again, other = (np.concatenate(bucketed_order(lengths, 8, np.random.default_rng(s))) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@given(many_lengths, st.integers(1, 5000))
@examples(deadline=None)
def test_sorted_batches_cover_each_index_once_within_the_budget(lengths, tokens):
    batches = sorted_batches(lengths, tokens, 4)
    order = np.concatenate(batches)
    assert sorted(order) == list(range(len(lengths)))
    assert (np.diff(np.asarray(lengths)[order]) <= 0).all()
    for batch in batches:
        assert len(batch) == 1 or len(batch) * padded_length(max(lengths[i] for i in batch), 4) <= tokens


def test_sorted_batches_use_the_budget():
    assert [len(batch) for batch in sorted_batches([14] * 100, 14 * 40, 16)] == [40, 40, 20]
    assert [len(batch) for batch in sorted_batches([14] * 100, 14 * 40, 16, lambda length: 3 * length)] == [40, 40, 20]
    assert [len(batch) for batch in sorted_batches([14, 13, 6], 60, 4, lambda length: 20 // length)] == [1, 1, 1]
    assert [len(batch) for batch in sorted_batches([6, 6, 6], 60, 4, lambda length: 12 // length)] == [2, 1]


@pytest.mark.parametrize(
    "batcher", [lambda n: bucketed_order(n, 4, np.random.default_rng(0)), lambda n: sorted_batches(n, 64, 16)]
)
def test_no_sentences_make_no_batches(batcher):
    assert batcher([]) == []
