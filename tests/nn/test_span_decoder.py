"""The pointer network's probabilities, and its beam, against brute force: every sequence of choices, one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from daguan.core.types import Span
from daguan.data.tags import TagScheme
from daguan.nn.span_beam import best_sequences
from daguan.nn.span_decoder import NO_MORE, Reading, SpanDecoder, choice_loss, in_reading_order
from daguan.nn.spans import gold_spans

TWO = TagScheme(("a", "b"))
WIDTH, SIZE = 6, 4
WIDE = 10_000


def drawn(seed: int = 0, types: int = 2) -> SpanDecoder:
    torch.manual_seed(seed)
    decoder = SpanDecoder(WIDTH, SIZE, types).double()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter)
    return decoder


def features(rows: int, length: int, seed: int = 1) -> Tensor:
    return torch.randn(rows, length, WIDTH, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def reading_of(decoder: SpanDecoder, length: int, padding: int = 0, extra: Tensor | None = None) -> Reading:
    mask = torch.arange(length + padding).unsqueeze(0) < length
    return decoder.open(decoder.read(features(1, length + padding), extra), mask)


def every_set(decoder: SpanDecoder, reading: Reading) -> dict[tuple[int, ...], float]:
    """The tags of each set of spans → its probability, by all choices one after another."""
    length, row = int(reading.mask.sum()), torch.tensor([0])

    def go_on(
        state: Tensor, told: Tensor, since: int, log: float, spans: list[Span]
    ) -> Iterator[tuple[float, list[Span]]]:
        after = decoder.follow(told.unsqueeze(1), state)[:, 0]
        starts = decoder.starts(reading, row, after, torch.tensor([since]))[0]
        yield log + float(starts[NO_MORE]), spans
        for first in range(since, length):
            at = torch.tensor([first])
            stops = decoder.stops(reading, row, after, at)[0]
            for last in range(first, length):
                to = torch.tensor([last])
                for kind, of_type in enumerate(decoder.types_of(reading, row, after, at, to)[0].tolist()):
                    chance = log + float(starts[1 + first]) + float(stops[last]) + of_type
                    told = decoder.spans(reading, row, at, to, torch.tensor([kind]))
                    yield from go_on(after, told, last + 1, chance, [*spans, Span(first, last + 1, TWO.labels[kind])])

    with torch.no_grad():
        found = list(go_on(reading.state, decoder.begin.unsqueeze(0), 0, 0.0, []))
    sets = {tuple(TWO.encode(reading.mask.shape[1], spans).tolist()): math.exp(log) for log, spans in found}
    assert len(sets) == len(found)  # each is met once
    return sets


@torch.no_grad()
def loss_of(decoder: SpanDecoder, reading: Reading, tags: Tensor) -> float:
    choices = decoder.choices(reading, gold_spans(tags, reading.mask))
    return sum(float(choice_loss(logs, chosen, 0.0)) for logs, chosen in choices)


@pytest.mark.parametrize(("length", "padding"), [(1, 0), (2, 1), (3, 0), (3, 2)])
def test_all_sets_of_spans_have_one_order_each_and_sum_to_one(length: int, padding: int) -> None:
    decoder = drawn()
    sets = every_set(decoder, reading_of(decoder, length, padding))
    assert len(sets) == {1: 3, 2: 11, 3: 41}[length]
    assert sum(sets.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("length", "padding"), [(1, 1), (3, 0), (3, 2)])
def test_the_loss_is_minus_the_logarithm_of_the_probability(length: int, padding: int) -> None:
    decoder = drawn(1)
    reading = reading_of(decoder, length, padding)
    for tags, chance in every_set(decoder, reading).items():
        assert loss_of(decoder, reading, torch.tensor([tags])) == pytest.approx(-math.log(chance), rel=1e-9)


@pytest.mark.parametrize(("length", "padding"), [(1, 0), (3, 0), (3, 2)])
def test_a_beam_wide_enough_finds_every_set_with_its_probability(length: int, padding: int) -> None:
    decoder = drawn(2)
    reading = reading_of(decoder, length, padding)
    tags, logs = best_sequences(decoder, reading, WIDE)
    chances = logs[0].exp()
    found = {tuple(path): chance for path, chance in zip(tags[0].tolist(), chances.tolist(), strict=True) if chance}
    expected = every_set(decoder, reading)
    assert found.keys() == expected.keys()
    assert all(found[path] == pytest.approx(expected[path], rel=1e-9) for path in found)
    assert int((chances > 0).sum()) == len(expected)
    assert (logs.diff() <= 0).all()


def test_a_narrow_beam_keeps_sets_that_do_not_overlap_with_their_true_probabilities() -> None:
    decoder = drawn(3)
    mask = torch.arange(9) < torch.tensor([[9], [1], [6]])
    reading = decoder.open(decoder.read(features(3, 9), None), mask)
    for width in (1, 3):
        tags, logs = best_sequences(decoder, reading, width)
        assert tags.shape == (3, width, 9)
        for row, way in ((row, way) for row in range(3) for way in range(width) if logs[row, way] > -1e9):
            length = int(mask[row].sum())
            assert TWO.encode(length, TWO.decode(tags[row, way, :length])).tolist() == tags[row, way, :length].tolist()
            assert (tags[row, way, length:] == 0).all()
            alone = Reading(*(values[row : row + 1] for values in reading))
            assert float(logs[row, way]) == pytest.approx(-loss_of(decoder, alone, tags[row : row + 1, way]))


@pytest.mark.parametrize(("own", "spans"), [(60.0, 40), (-60.0, 0)])
def test_a_sentence_may_hold_a_span_at_every_token_or_none(own: float, spans: int) -> None:
    decoder = drawn(4)
    extra = torch.zeros(1, 40, decoder.extra_width, dtype=torch.double)
    extra[..., :2], extra[..., 2] = own, 60
    tags, logs = best_sequences(decoder, reading_of(decoder, 40, extra=extra), 2)
    assert len(TWO.decode(tags[0, 0])) == spans
    assert float(logs[0, 0]) == pytest.approx(0, abs=1e-3)


def test_pointers_point_at_tokens_from_the_place_on() -> None:
    decoder = drawn()
    reading = reading_of(decoder, 4, padding=2)
    row, state = torch.zeros(5, dtype=torch.long), torch.randn(5, SIZE).double()
    since = torch.arange(5)
    chances = decoder.starts(reading, row, state, since).exp()
    allowed = (torch.arange(6) >= since.unsqueeze(1)) & (torch.arange(6) < 4)
    assert ((chances[:, 1:] > 0) == allowed).all()
    assert (chances[:, NO_MORE] > 0).all()
    stops = decoder.stops(reading, row[:4], state[:4], since[:4]).exp()
    assert ((stops > 0) == allowed[:4]).all()
    assert torch.allclose(stops.sum(1), torch.ones(4).double())


def test_what_padding_holds_is_not_read() -> None:
    decoder = drawn()
    mask = torch.tensor([[True] * 4 + [False] * 3])
    spans = gold_spans(torch.tensor([[4, 0, 1, 3, 0, 0, 0]]), mask)
    noisy = torch.where(mask.unsqueeze(2), features(1, 7), 1e3)
    for one, other in zip(
        *(decoder.choices(decoder.open(decoder.read(these, None), mask), spans) for these in (features(1, 7), noisy)),
        strict=True,
    ):
        assert torch.equal(one[0].exp(), other[0].exp())


def test_own_scores_are_chances_of_being_the_first_taken_from_any_place_on() -> None:
    scores = torch.randn(1, 5, dtype=torch.double, generator=torch.Generator().manual_seed(5))
    mask = torch.tensor([[True] * 4 + [False]])
    ordered, taken = in_reading_order(scores, mask)[0], scores[0].sigmoid()
    for since in range(5):
        left = torch.cat([ordered[:1], ordered[1 + since : 5]]).softmax(0)
        passed = torch.cat([torch.ones(1).double(), (1 - taken[since:4]).cumprod(0)])
        assert torch.allclose(left, torch.cat([passed[-1:], taken[since:4] * passed[:-1]]))


def test_smoothing_spreads_a_share_over_what_might_be_chosen() -> None:
    logs = torch.tensor([[0.5, 0.25, 0.25, 0.0]]).log().clamp(min=-1e30)
    loss = choice_loss(logs, torch.tensor([1]), 0.3)
    expected = 0.7 * math.log(4) + 0.1 * (math.log(2) + 2 * math.log(4))
    assert float(loss) == pytest.approx(expected)
