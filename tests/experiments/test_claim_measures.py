"""RECL by its definition, ROUGE-L by enumeration, MASS's variants, rank 9's faults: what claims compute."""

from __future__ import annotations

from itertools import combinations, pairwise, product

import numpy as np
import pytest
import torch

from daguan.core.types import Sentence, Span
from daguan.data.batches.fragments import fragment_length
from daguan.data.batches.masking import MaskingSettings
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import CLS, MASK, SPECIALS
from daguan.experiments.claims.beginnings import common, rouge_l
from daguan.experiments.claims.effective_context import effective_context, relative_gains
from daguan.experiments.claims.mass_variants import BLANKED, SHUFFLED, FedLm, SeparateLm, noisy, scattered
from daguan.experiments.claims.rank9_faults import cut, in_ngrams, read_leniently, token_vote, without_single_tokens
from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.pretraining_heads import FragmentLm

SCHEME = TagScheme(("a", "b"))
V = len(SPECIALS) + 50


def ids(rows: int, length: int) -> np.ndarray:
    found = np.random.default_rng(0).integers(len(SPECIALS), V, (rows, length))
    found[:, 0] = CLS
    return found


def test_gains_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    losses = {name: rng.uniform(0, 5, (3, 40)) for name in "abc"}
    found = relative_gains(losses, 0.25)
    for name, shorter in product("abc", (0, 1)):
        baseline = [min(losses[other][shorter][t] for other in "abc") for t in range(40)]
        hardest = sorted(range(40), key=lambda t: -baseline[t])[:10]
        before = np.exp(np.mean([min(baseline[t], losses[name][shorter][t]) for t in hardest]))
        after = np.exp(np.mean([min(baseline[t], losses[name][shorter + 1][t]) for t in hardest]))
        assert found[name][shorter] == pytest.approx((before - after) / before)


def test_a_model_that_context_does_not_help_gains_nothing_and_one_it_helps_does() -> None:
    still = np.full((3, 20), 2.0)
    falling = np.array([[2.0], [1.5], [1.0]]).repeat(20, axis=1)
    gains = relative_gains({"still": still, "falling": falling}, 0.5)
    assert gains["still"] == [0, 0]
    assert gains["falling"] == pytest.approx([1 - np.exp(-0.5)] * 2)
    assert effective_context(gains["still"], [8, 16, 24]) == 8
    assert effective_context(gains["falling"], [8, 16, 24]) == 24
    assert effective_context([0.02, 0.009, 0.5], [8, 16, 24, 32]) == 16


def test_the_longest_common_subsequence_is_the_longest_of_all() -> None:
    for one, other in product(product(range(3), repeat=4), repeat=2):
        all_of_one = {chosen for size in range(5) for chosen in combinations(one, size)}
        all_of_other = {chosen for size in range(5) for chosen in combinations(other, size)}
        assert common(one, other) == max(map(len, all_of_one & all_of_other))
    assert rouge_l(torch.tensor([[1, 2, 3, 4]]), torch.tensor([[2, 9, 4, 1]])) == 0.5


def test_scattered_places_are_as_many_as_a_fragment_s_and_the_token_before_each_is_fed() -> None:
    rows = ids(30, 20)
    found = scattered(rows, 0.5, V, MaskingSettings(), np.random.default_rng(1))
    assert found.positions.shape == (30, fragment_length(20, 0.5))
    assert (np.diff(found.positions, axis=1) > 0).all()
    assert found.positions.min() >= 1
    assert (np.diff(found.positions, axis=1) > 1).any()
    assert np.array_equal(found.labels, np.take_along_axis(rows, found.positions, 1))
    assert np.array_equal(found.fed, np.take_along_axis(rows, found.positions - 1, 1))
    unmasked = np.ones_like(rows, dtype=bool)
    np.put_along_axis(unmasked, found.positions, False, 1)
    assert np.array_equal(found.inputs[unmasked], rows[unmasked])


def test_a_noisy_row_keeps_cls_blanks_a_tenth_and_moves_no_token_far() -> None:
    rows = np.tile(np.arange(len(SPECIALS), V), (200, 1))
    rows = np.concatenate([np.full((200, 1), CLS), rows], axis=1)
    found = noisy(rows, np.random.default_rng(1))
    assert (found[:, 0] == CLS).all()
    blank = found[:, 1:] == MASK
    assert blank.mean() == pytest.approx(BLANKED, abs=3 * (0.09 / blank.size) ** 0.5)
    moved = np.abs(found[:, 1:] - rows[:, 1:])[~blank]
    assert 0 < moved.max() < SHUFFLED


def test_places_of_ngrams_are_those_with_a_masked_neighbour() -> None:
    found = in_ngrams(np.array([[1, 2, 5, 8, 9, 10], [0, 2, 4, 6, 8, 10]]))
    assert found.tolist() == [[True, True, False, True, True, True], [False] * 6]


def test_legal_tags_are_read_as_they_are_and_illegal_ones_without_an_error() -> None:
    for tags in product(range(len(SCHEME)), repeat=3):
        found = read_leniently(tags, SCHEME)
        assert all(one.stop <= other.start for one, other in pairwise(found))
        try:
            expected = SCHEME.decode(tags)
        except ValueError:
            continue
        assert found == expected


def test_a_vote_on_tokens_can_find_what_no_model_has_and_equal_answers_stay() -> None:
    one, other, third = (Span(0, 2, "a"),), (Span(0, 3, "a"),), (Span(1, 3, "a"),)
    assert token_vote([one, one, other], 4, SCHEME) == one
    found = token_vote([one, other, third], 4, SCHEME)
    assert found not in (one, third)
    assert token_vote([(), (), ()], 4, SCHEME) == ()


def test_a_cut_line_loses_the_entities_beyond_it_and_bio_those_of_one_token() -> None:
    spans = (Span(0, 1, "a"), Span(2, 4, "b"), Span(5, 6, "a"))
    assert cut(Sentence(tuple("abcdef"), spans), 3) == Sentence(tuple("abc"), spans[:1])
    assert without_single_tokens(spans) == spans[1:2]


def fragment_model(kind: type[FragmentLm]) -> FragmentLm:
    torch.manual_seed(0)
    size = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=16, decoder_layers=1)
    made = kind(MaskedLm("mass", size, V))
    for parameter in made.parameters():  # sublayers start at zero
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return made.train(False)


@torch.no_grad()
def test_a_fed_decoder_reads_every_token_before_a_place_and_none_from_it_on() -> None:
    model, row = fragment_model(FedLm), torch.from_numpy(ids(1, 16))
    inputs, positions = row.clone(), torch.arange(6, 10)[None]
    inputs[:, 6:10] = MASK
    found = model(inputs, row, positions)
    for place in range(1, 16):
        changed = row.clone()
        changed[0, place] = (row[0, place] + 1 - len(SPECIALS)) % (V - len(SPECIALS)) + len(SPECIALS)
        same = torch.isclose(model(inputs, changed, positions), found, atol=1e-6).all(1).tolist()
        assert same == [place >= step for step in range(6, 10)]


@torch.no_grad()
def test_the_decoder_of_a_language_model_reads_no_encoder_and_only_earlier_tokens() -> None:
    model, row = fragment_model(SeparateLm), torch.from_numpy(ids(1, 12))
    assert isinstance(model, SeparateLm)
    found = model.read_on(row)
    changed = row.clone()
    changed[0, 7] = len(SPECIALS) if row[0, 7] > len(SPECIALS) else V - 1
    assert torch.allclose(model.read_on(changed)[:7], found[:7], atol=1e-6)
    assert not torch.allclose(model.read_on(changed)[7:], found[7:], atol=1e-3)
    for parameter in model.lm.model.modern.layers.parameters():
        parameter.zero_()
    assert torch.equal(model.read_on(row), found)
