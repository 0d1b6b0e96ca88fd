"""Masking: labels are what stood there, the counts are exact, the shares are those of the papers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daguan.core.errors import ConfigError
from daguan.core.seeds import stream
from daguan.data.batches.masking import (
    LENGTHS,
    RATE_STEPS,
    Masked,
    MaskingSettings,
    _choose_ngrams,
    _ngram_lengths,
    mask,
    places_per_row,
)
from daguan.data.vocabulary import CLS, MASK, PAD, SEP, SPECIALS, UNK

VOCABULARY = 1000


def packed_rows(count: int, length: int = 128, vocabulary_size: int = VOCABULARY, seed: int = 0) -> np.ndarray:
    """Blocks as packing makes them: [CLS], then lines of some ten tokens, each followed by [SEP]; some [UNK]."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(len(SPECIALS), vocabulary_size, (count, length))
    ids[rng.random(ids.shape) < 0.1] = SEP
    ids[rng.random(ids.shape) < 0.02] = UNK
    ids[:, 0] = CLS
    return ids


def adjacent_pairs(masked: Masked) -> float:
    return float((np.diff(masked.positions, axis=1) == 1).sum(1).mean())


masking_settings = st.builds(
    MaskingSettings,
    rate=st.floats(0.01, 0.4),
    ngram_share=st.sampled_from([0.5, 1.0]),
    max_ngram=st.integers(1, 6),
    ngram_lengths=st.sampled_from(list(LENGTHS)),
    keep=st.floats(0, 0.5),
    random=st.floats(0, 0.5),
) | st.builds(MaskingSettings, rate=st.floats(0.01, 0.4), ngram_share=st.just(0.0), keep=st.floats(0, 0.5))


@given(masking_settings, st.integers(0, 2**32), st.sampled_from([16, 48, 128]))
@examples(deadline=None)
def test_labels_are_the_original_ids_and_nothing_else_changes(settings, seed, length):
    ids = packed_rows(3, length, 50, seed)
    before = ids.copy()
    masked = mask(ids, 50, settings, stream(seed, "mask"))
    assert (ids == before).all()
    assert (masked.labels == np.take_along_axis(ids, masked.positions, 1)).all()
    restored = masked.inputs.copy()
    np.put_along_axis(restored, masked.positions, masked.labels, 1)
    assert (restored == ids).all()


@given(masking_settings, st.integers(0, 2**32))
@examples(deadline=None)
def test_each_row_has_exactly_m_sorted_distinct_places_and_none_is_special(settings, seed):
    masked = mask(packed_rows(3, 64, 50, seed), 50, settings, stream(seed, "mask"))
    assert masked.positions.shape == masked.labels.shape == (3, places_per_row(64, settings.rate))
    assert (np.diff(masked.positions, axis=1) > 0).all()
    assert (masked.labels >= len(SPECIALS)).all()


def test_places_per_row_is_the_nearest_count_but_never_none():
    assert [places_per_row(128, rate) for rate in (0.15, 0.2, 0.4)] == [19, 26, 51]
    assert places_per_row(16, 0.01) == 1


def test_chosen_places_are_80_10_10_masked_random_and_kept():
    masked = mask(packed_rows(1500), VOCABULARY, MaskingSettings(), stream(0, "mask"))
    inputs = np.take_along_axis(masked.inputs, masked.positions, 1)
    by_chance = 0.1 / (VOCABULARY - len(SPECIALS))  # a random token that happens to be the token itself
    for share, expected in [
        ((inputs == MASK).mean(), 0.8),
        ((inputs == masked.labels).mean(), 0.1 + by_chance),
        (((inputs != MASK) & (inputs != masked.labels)).mean(), 0.1 - by_chance),
    ]:
        assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / inputs.size)


def test_random_replacements_are_uniform_over_the_tokens_and_never_special():
    size = 12
    settings = MaskingSettings(keep=0.0, random=1.0)
    masked = mask(packed_rows(300, vocabulary_size=size), size, settings, stream(0, "mask"))
    drawn = np.take_along_axis(masked.inputs, masked.positions, 1)
    counts = np.bincount(drawn.ravel(), minlength=size)
    assert counts[: len(SPECIALS)].sum() == 0
    expected = drawn.size / (size - len(SPECIALS))
    chi_square = ((counts[len(SPECIALS) :] - expected) ** 2 / expected).sum()
    assert chi_square < 28  # 6 degrees of freedom: p < 1e-4


def test_keep_only_changes_nothing_and_mask_only_leaves_nothing():
    ids = packed_rows(5)
    kept = mask(ids, VOCABULARY, MaskingSettings(keep=1.0, random=0.0), stream(0, "mask"))
    assert (kept.inputs == ids).all()
    hidden = mask(ids, VOCABULARY, MaskingSettings(keep=0.0, random=0.0), stream(0, "mask"))
    assert (np.take_along_axis(hidden.inputs, hidden.positions, 1) == MASK).all()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("inverse", [1]),
        ("inverse", [0.5455, 0.2727, 0.1818]),  # ALBERT's
        ("geometric", [0.2 * 0.8**n / (1 - 0.8**10) for n in range(10)]),  # SpanBERT's
        ("uniform", [1 / 3, 1 / 3, 1 / 3]),  # GPT-BERT's
    ],
)
def test_ngram_lengths_follow_the_papers(kind, expected):
    settings = MaskingSettings(ngram_lengths=kind, max_ngram=len(expected))
    lengths = _ngram_lengths((300, 128), settings, stream(1, "lengths"))
    counts = np.bincount(lengths.ravel(), minlength=len(expected) + 1)[1:]
    numbers = lengths.size * np.array(expected)
    assert len(counts) == len(expected)
    assert ((counts - numbers) ** 2 / numbers).sum() < 34  # at most 9 degrees of freedom: p < 1e-4
    if kind == "geometric":
        assert lengths.mean() == pytest.approx(3.8, abs=0.05)


@pytest.mark.parametrize("kind", LENGTHS)
def test_the_masked_runs_are_as_long_as_the_ngrams_drawn(kind):
    """On long rows without specials, sparsely masked, few n-grams meet or are cut short."""
    settings = MaskingSettings(rate=0.02, ngram_share=1.0, max_ngram=4, ngram_lengths=kind)
    masked = mask(np.full((40, 4096), 7), 50, settings, stream(0, "mask"))
    breaks = np.flatnonzero(np.diff(masked.positions.ravel()) != 1)
    counts = np.bincount(np.diff(breaks), minlength=5)[1:5]
    weights = LENGTHS[kind](np.arange(1, 5))
    assert counts / counts.sum() == pytest.approx(weights / weights.sum(), abs=0.05)


def test_a_rate_is_fixed_or_goes_in_even_steps_from_the_first_to_the_final_one():
    assert {MaskingSettings(rate=0.3).at(done, 100) for done in range(100)} == {MaskingSettings(rate=0.3)}
    settings = MaskingSettings(rate=0.3, final_rate=0.15)
    rates = [settings.at(done, 100).rate for done in range(100)]
    assert rates == sorted(rates, reverse=True)
    distinct = list(dict.fromkeys(rates))
    assert distinct == pytest.approx(np.linspace(0.3, 0.15, RATE_STEPS))
    assert {rates.count(rate) for rate in distinct} <= {12, 13}
    assert (places_per_row(128, rates[0]), places_per_row(128, rates[-1])) == (38, 19)
    assert settings.at(0, 1).rate == 0.3


def test_two_hundred_epochs_mask_the_exact_rate_and_every_place_as_often_as_another():
    ids = np.full((1, 65), 7)
    ids[0, 0] = CLS
    counts = np.zeros(65)
    for epoch in range(200):
        np.add.at(counts, mask(ids, 50, MaskingSettings(rate=0.2), stream(0, "mask", epoch)).positions[0], 1)
    assert counts.sum() == 200 * 13
    assert counts[0] == 0
    sigma = np.sqrt(200 * 0.2 * 0.8)
    assert abs(counts[1:] - 200 * 13 / 64).max() < 4 * sigma


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_on_a_free_row_the_first_ngram_is_whole_and_contiguous(n):
    for seed in range(20):
        priority = np.random.default_rng(seed).random(40)
        start = int(priority[: 40 - n].argmin())
        priority[40 - n :] = 1  # an n-gram at the end of the row is cut short
        chosen = _choose_ngrams(np.ones(40, dtype=bool), priority, np.full(40, n), n)
        assert chosen.tolist() == list(range(start, start + n))


@pytest.mark.parametrize("special", range(1, 8))
@pytest.mark.parametrize("start", range(8))
def test_an_ngram_ends_before_a_special(start, special):
    maskable = np.ones(12, dtype=bool)
    maskable[special] = False
    priority = np.linspace(0.1, 0.9, 12)
    priority[start], priority[11] = 0.0, 0.05  # first the n-gram at `start`, then one at the far end
    stop = special if start <= special < start + 3 else start + 3
    chosen = _choose_ngrams(maskable, priority, np.full(12, 3), stop - start + 1)
    assert chosen.tolist() == [*range(start, stop), 11]


def test_ngrams_do_not_run_past_the_row_and_skip_taken_places():
    priority = np.array([0.3, 0.2, 0.4, 0.0])
    chosen = _choose_ngrams(np.ones(4, dtype=bool), priority, np.full(4, 3), 4)
    assert chosen.tolist() == [3, 1, 2, 0]


def test_the_same_stream_gives_the_same_masks_and_another_gives_others():
    ids = packed_rows(4)
    first, again, other = (mask(ids, VOCABULARY, MaskingSettings(), stream(0, "mask", epoch)) for epoch in (1, 1, 2))
    assert (first.inputs == again.inputs).all()
    assert (first.positions == again.positions).all()
    assert (first.positions != other.positions).any(axis=1).all()


@pytest.mark.parametrize("ngram_share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("length", [16, 128])
@pytest.mark.parametrize("first", [0, 1])
def test_a_block_of_one_token_lines_has_places_enough(length, first, ngram_share):
    ids = np.full((20, length), SEP)
    ids[:, 1 + first :: 2] = 7
    ids[:, 0] = CLS
    masked = mask(ids, 50, MaskingSettings(rate=0.4, ngram_share=ngram_share), stream(0, "mask"))
    assert masked.positions.shape == (20, places_per_row(length, 0.4))
    assert (masked.labels == 7).all()


@pytest.mark.parametrize("ngram_share", [0.0, 1.0])
def test_a_block_of_unknown_tokens_stops_nothing_and_asks_for_no_separator(ngram_share):
    ids = np.full((4, 16), UNK)
    ids[:, 0], ids[:, 5], ids[:, 9] = CLS, SEP, 7
    masked = mask(ids, 50, MaskingSettings(ngram_share=ngram_share), stream(0, "mask"))
    assert not np.isin(masked.labels, (PAD, CLS, SEP, MASK)).any()


def test_ngram_masks_cluster_and_single_ones_do_not():
    ids = packed_rows(300)

    def pairs(**settings):
        return adjacent_pairs(mask(ids, VOCABULARY, MaskingSettings(**settings), stream(0, "mask")))

    single, mixed, ngrams = (pairs(ngram_share=share) for share in (0.0, 0.5, 1.0))
    assert single * 1.2 < mixed < ngrams / 1.1
    assert pairs(ngram_share=1.0, max_ngram=1) == pytest.approx(single, rel=0.1)
    assert pairs(ngram_share=1.0, max_ngram=6) > ngrams * 1.1


@pytest.mark.parametrize(
    "values",
    [
        {"rate": 0},
        {"rate": 0.41},
        {"final_rate": 0.41},
        {"ngram_share": 1.1},
        {"max_ngram": 0},
        {"ngram_lengths": "poisson"},
        {"keep": -0.1},
        {"keep": 0.6, "random": 0.6},
    ],
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(ConfigError, match=f"^{next(iter(values))}.*: expected"):
        MaskingSettings(**values)
