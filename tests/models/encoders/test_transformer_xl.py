"""Transformer-XL: reading in segments is reading at once under a mask, and both directions are one reading."""

from __future__ import annotations

import pytest
import torch
from test_encoders import mask_of, random_ids, scattered
from torch import Tensor

from daguan.models.encoders.loading import Encoder, MaskedLm
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.transformer_xl import Direction, TransformerXlConfig, reversed_places
from daguan.models.pretraining_heads import BidirectionalLm
from daguan.nn.transformer_xl import Memory, falling_distances, sinusoids

SETTINGS = EncoderSettings(layers=3, hidden=24, heads=2, feed_forward=48, max_length=32)
LENGTH = 48
CPU = torch.device("cpu")


def direction(same_length: bool = False, clamp: int = 0) -> Direction:
    config = TransformerXlConfig(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16, memory=5,
        same_length=same_length, clamp=clamp,
    )  # fmt: skip
    module = Direction(config).double()
    scattered(module)
    return module


def text(rows: int = 2) -> Tensor:
    return torch.randn(rows, LENGTH, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def empty(rows: int, length: int) -> Memory:
    memory = Memory.empty(3, rows, length, 12, CPU)
    return Memory(memory.states.double(), memory.kept)


def by_segments(module: Direction, hidden: Tensor, segment: int, length: int) -> Tensor:
    memory, read = empty(len(hidden), length), []
    for part in hidden.split(segment, 1):
        out, memory = module.follow(part, memory)
        read.append(out)
    return torch.cat(read, 1)


def at_once(module: Direction, hidden: Tensor, blocked: Tensor) -> Tensor:
    """One pass over the whole under a mask (T,T)."""
    positions = sinusoids(falling_distances(LENGTH, 0, module.config.clamp, CPU), 12).double()
    for layer in module.layers:
        hidden = layer(hidden, None, positions, blocked)
    return module.final_norm(hidden)


def mask_of_segments(segment: int, length: int, window: int) -> Tensor:
    """True where S·⌊i/S⌋ − M ≤ j ≤ i, and i − j < window if there is one, does not hold."""
    i, j = torch.arange(LENGTH).unsqueeze(1), torch.arange(LENGTH)
    seen = (j <= i) & (j >= i // segment * segment - length)
    return ~(seen & (i - j < window) if window else seen)


@pytest.mark.parametrize("clamp", [0, 4])
@pytest.mark.parametrize("same_length", [False, True])
@pytest.mark.parametrize(("segment", "length"), [(8, 48), (8, 8), (8, 5), (6, 17)])
@torch.no_grad()
def test_segments_with_memory_are_one_pass_under_a_mask(
    segment: int, length: int, same_length: bool, clamp: int
) -> None:
    module = direction(same_length, clamp)
    whole = at_once(module, text(), mask_of_segments(segment, length, length if same_length else 0))
    assert (by_segments(module, text(), segment, length) - whole).abs().max() < 1e-12


@pytest.mark.parametrize(("length", "equal"), [(48, True), (17, False), (5, False), (0, False)])
@torch.no_grad()
def test_a_memory_of_all_that_was_is_plain_causal_attention_and_a_shorter_one_is_not(length: int, equal: bool) -> None:
    module = direction()
    apart = (by_segments(module, text(), 6, length) - module(text())).abs().max()
    assert (apart < 1e-12) == equal
    assert equal or apart > 1e-3


@torch.no_grad()
def test_with_same_length_a_line_is_read_under_the_window_of_pretraining() -> None:
    module = direction(same_length=True)
    window = module.config.memory
    expected = at_once(module, text(), mask_of_segments(LENGTH, LENGTH, window))
    assert torch.allclose(module(text()), expected, atol=1e-12)


@torch.no_grad()
def test_the_clamp_reads_far_distances_as_one() -> None:
    plain, clamped = direction(), direction(clamp=4)
    assert plain(text())[:, :5].equal(clamped(text())[:, :5])
    assert not torch.allclose(plain(text()), clamped(text()))
    assert torch.allclose(plain(text()), direction(clamp=LENGTH)(text()), atol=1e-12)


@pytest.mark.parametrize("place", [0, 7, 8, 30])
@torch.no_grad()
def test_nothing_before_a_token_knows_of_it(place: int) -> None:
    module, changed = direction(), text()
    changed[:, place] += 1.0
    before, after = (by_segments(module, given, 8, 13) for given in (text(), changed))
    assert before[:, :place].equal(after[:, :place])
    assert (before[:, place:] != after[:, place:]).any(2)[:, :6].all()


@torch.no_grad()
def test_a_row_that_forgets_reads_on_as_from_the_start_and_the_others_remember() -> None:
    module, (first, second) = direction(), text().split(24, 1)
    _, memory = module.follow(first, empty(2, 20))
    fresh = torch.tensor([True, False])
    read, later = module.follow(second, memory.cleared(fresh))
    assert torch.allclose(read[0], module(second)[0], atol=1e-12)
    assert not torch.allclose(read[1], module(second)[1])
    _, other = module.follow(first.flip(1), empty(2, 20))
    perturbed, _ = module.follow(second, other.cleared(fresh))
    assert perturbed[0].equal(read[0])
    assert not torch.allclose(perturbed[1], read[1])
    assert later.kept.tolist() == [20, 20]


def test_no_gradient_goes_into_the_memory() -> None:
    module = direction()
    first, second = (part.clone().requires_grad_() for part in text().split(24, 1))
    _, memory = module.follow(first, empty(2, 20))
    read, _ = module.follow(second, memory)
    read.sum().backward()
    assert first.grad is None
    assert second.grad is not None
    assert second.grad.any()


@pytest.fixture
def model() -> MaskedLm:
    torch.manual_seed(0)
    return scattered(MaskedLm("transformer_xl", SETTINGS, 60))


@torch.no_grad()
def test_backwards_is_forwards_on_the_reversed_text_with_the_same_weights(model: MaskedLm) -> None:
    base = model.model.base_model
    base.back.load_state_dict(base.onward.state_dict())
    ids = random_ids(3, 14)
    onward, back = base(ids).last_hidden_state.chunk(2, dim=2)
    of_reversed = base(ids.flip(1)).last_hidden_state.chunk(2, dim=2)[0]
    assert back.equal(of_reversed.flip(1))
    assert not torch.allclose(onward, back)


@torch.no_grad()
def test_backwards_begins_at_each_line_s_own_end(model: MaskedLm) -> None:
    """A token knows of what is before it forwards, and of what is after it backwards, and of no padding."""
    encoder, ids, mask = Encoder(model.model.base_model, 0.0), random_ids(2, 10), mask_of([10, 6], 10)
    changed = ids.clone()
    changed[:, 3] = 59
    (onward, back), (changed_onward, changed_back) = (encoder(given, mask).chunk(2, dim=2) for given in (ids, changed))
    assert onward[:, :3].equal(changed_onward[:, :3])
    assert (onward[1, 3:6] != changed_onward[1, 3:6]).any(1).all()
    assert back[1, 4:6].equal(changed_back[1, 4:6])
    assert (back[1, :4] != changed_back[1, :4]).any(1).all()


def test_places_are_reversed_up_to_the_length() -> None:
    places = reversed_places(torch.zeros(2, 5), mask_of([5, 2], 5))
    assert places.tolist() == [[4, 3, 2, 1, 0], [1, 0, 2, 3, 4]]
    assert reversed_places(torch.zeros(2, 5), None).tolist() == [[4, 3, 2, 1, 0]] * 2


@torch.no_grad()
def test_logits_are_of_the_next_token_and_the_loss_is_theirs(model: MaskedLm) -> None:
    """The scaffold's loss without memory is the cross entropy of its guesses, of which the first are the model's."""
    lm, ids = BidirectionalLm(model), random_ids(3, 2, 14)
    guesses = lm.guess(ids)
    assert torch.allclose(guesses[0], model.model(ids[:, 0]).logits.flatten(0, 1), atol=1e-5)
    losses, after = lm(ids, ids.roll(1, 2), lm.empty_memories(3))
    for side, logits in enumerate(guesses):
        wanted = ids.roll(1, 2)[:, side].flatten()
        expected = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
        assert losses[side].item() == pytest.approx(expected.item(), rel=1e-4)
    assert [memory.kept.tolist() for memory in after] == [[14] * 3] * 2


def test_each_direction_has_half_of_the_widths_and_sublayers_start_as_zero() -> None:
    base = MaskedLm("transformer_xl", SETTINGS, 60).model.base_model
    assert base.config.width == 12
    for layer in (layer for side in base.directions for layer in side.layers):
        assert layer.gate.weight.shape == (2 * 16, 12)
        assert not layer.attention.output.weight.any()
        assert not layer.down.weight.any()
    embedded = base.embed(random_ids(1, 8))
    assert torch.allclose(base.onward(embedded), base.onward.final_norm(embedded))
