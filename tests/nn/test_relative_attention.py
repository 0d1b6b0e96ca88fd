"""Relative attention: distances by an explicit gather, sinusoids, what is seen, what is remembered."""

import math

import pytest
import torch
from torch import Tensor, nn

from daguan.nn.transformer_xl import (
    FORBIDDEN,
    Memory,
    RelativeAttention,
    attend,
    blocked_positions,
    falling_distances,
    rel_shift,
    sinusoids,
)

HEADS, SIZE = 3, 4
WIDTH = HEADS * SIZE
CPU = torch.device("cpu")


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture
def attention() -> RelativeAttention:
    torch.manual_seed(0)
    module = RelativeAttention(WIDTH, HEADS).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_()
    return module


@pytest.mark.parametrize(("segment", "memory"), [(1, 0), (5, 0), (1, 7), (4, 3), (3, 9)])
def test_the_shift_is_a_gather_of_distances(segment: int, memory: int) -> None:
    scores = random(2, 3, segment, memory + segment)  # column c is of distance M+S−1−c
    shifted = rel_shift(scores)
    for place in range(segment):
        for other in range(memory + place + 1):
            distance = memory + place - other
            column = memory + segment - 1 - distance
            assert shifted[:, :, place, other].equal(scores[:, :, place, column])


def test_sinusoids_are_all_sines_then_all_cosines() -> None:
    table = sinusoids(torch.tensor([0.0, 3.0]), 8)
    assert table[0].tolist() == [0.0] * 4 + [1.0] * 4
    expected = [math.sin(3 / 10_000 ** (2 * i / 8)) for i in range(4)]
    assert table[1, :4].tolist() == pytest.approx(expected)
    assert sinusoids(torch.arange(3.0), 5).shape == (3, 5)


def test_distances_fall_to_0_and_stop_at_the_clamp() -> None:
    assert falling_distances(2, 3, 0, CPU).tolist() == [4, 3, 2, 1, 0]
    assert falling_distances(2, 3, 2, CPU).tolist() == [2, 2, 2, 1, 0]


@pytest.mark.parametrize("window", [0, 4])
def test_a_place_sees_itself_and_what_of_its_own_text_is_before_it(window: int) -> None:
    blocked = blocked_positions(3, 5, torch.tensor([0, 2, 5]), window, CPU)
    for row, kept in enumerate((0, 2, 5)):
        for place in range(3):
            seen = {other for other in range(8) if not blocked[row, place, other]}
            first = max(5 - kept, 5 + place - window + 1 if window else 0)
            assert seen == set(range(first, 5 + place + 1))


def test_with_same_length_each_place_sees_as_many_as_the_memory_is_long() -> None:
    blocked = blocked_positions(4, 6, torch.tensor([6]), 6, CPU)
    assert (~blocked).sum(2).tolist() == [[6] * 4]


@torch.no_grad()
def test_attention_is_the_paper_s_formula(attention: RelativeAttention) -> None:
    segment, memory = 4, 3
    context = random(2, memory + segment, WIDTH)
    positions = sinusoids(falling_distances(segment, memory, 0, CPU).double(), WIDTH)
    got = attention(context[:, memory:], context, positions, blocked_positions(segment, memory, None, 0, CPU))
    query = attention.query_norm(attention.query(context[:, memory:]).unflatten(2, (HEADS, SIZE)))
    keys, value = attention.read(context).unflatten(2, (2, HEADS, SIZE)).unbind(2)
    key = attention.key_norm(keys)
    u, v = attention.content_bias.view(HEADS, SIZE), attention.position_bias.view(HEADS, SIZE)
    mixed = torch.zeros(2, segment, HEADS, SIZE, dtype=torch.float64)
    for place in range(segment):
        there = memory + place
        distances = torch.arange(there, -1, -1, dtype=torch.float64)
        relative = attention.position(sinusoids(distances, WIDTH)).unflatten(1, (HEADS, SIZE))  # (J,heads,D)
        q = query[:, place]
        by_content = ((q + u)[:, None] * key[:, : there + 1]).sum(3)
        by_position = ((q + v)[:, None] * relative).sum(3)
        share = ((by_content + by_position) / SIZE**0.5).softmax(1)
        mixed[:, place] = (share[..., None] * value[:, : there + 1]).sum(1)
    assert torch.allclose(got, attention.output(mixed.flatten(2)), atol=1e-12)


def test_attention_on_a_cpu_is_that_on_a_gpu() -> None:
    query, key, value = random(HEADS, 2, 5, SIZE), random(HEADS, 2, 8, SIZE), random(HEADS, 2, 8, SIZE)
    added, blocked = random(HEADS, 2, 5, 8), blocked_positions(5, 3, torch.tensor([1, 3]), 0, CPU)
    bias = (added / SIZE**0.5).masked_fill(blocked, FORBIDDEN)
    expected = nn.functional.scaled_dot_product_attention(query, key, value, bias)
    assert torch.allclose(attend(query, key, value, added, blocked), expected, atol=1e-12)


def test_memory_is_the_last_of_what_was_read_and_has_no_gradient() -> None:
    memory = Memory.empty(2, 3, 5, WIDTH, CPU)
    assert memory.kept.tolist() == [0, 0, 0]
    first, second = (torch.randn(2, 3, 4, WIDTH, requires_grad=True) for _ in range(2))
    later = memory.after(first.unbind()).cleared(torch.tensor([False, True, False])).after(second.unbind())
    assert later.kept.tolist() == [5, 4, 5]
    assert later.states.equal(torch.cat([first, second], 2)[:, :, -5:])
    assert not later.states.requires_grad
    assert memory.after(first.unbind()).kept.tolist() == [4, 4, 4]


def test_a_memory_of_no_length_stays_empty() -> None:
    memory = Memory.empty(1, 2, 0, WIDTH, CPU).after([torch.randn(2, 4, WIDTH)])
    assert (memory.length, memory.kept.tolist()) == (0, [0, 0])


def test_rows_of_a_memory_are_taken_and_put_back() -> None:
    whole, rows = Memory.empty(1, 4, 2, WIDTH, CPU), torch.tensor([1, 3])
    whole.put(rows, whole.of(rows).after([torch.ones(2, 2, WIDTH)]))
    assert whole.kept.tolist() == [0, 2, 0, 2]
    assert whole.states.sum((0, 2, 3)).tolist() == [0, 2 * WIDTH, 0, 2 * WIDTH]
