"""Static masking gives a block the same masks in every epoch, dynamic masking others, by the rules of `mask`."""

from __future__ import annotations

import numpy as np
import pytest

from counting_text import counting_blocks
from daguan.core.settings import build
from daguan.data.batches.masking import MaskingSettings, mask, mask_statically, places_per_row
from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import SPECIALS
from daguan.models.encoders.settings import EncoderSettings
from daguan.training.engine_settings import EngineSettings
from daguan.training.objectives.masked_lm import MlmObjective
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

SIZE = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=32)
V = len(SPECIALS) + 40
EPOCHS, ROWS = 4, 5
Seen = dict[int, list[bytes]]  # by block, what the model reads of it in each epoch


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    return counting_blocks(tmp_path_factory.mktemp("text"), 50, SIZE.max_length)


def seen(blocks: Blocks, static_masks: int) -> Seen:
    """What the model reads of each block in EPOCHS epochs."""
    values = {"batch_size": ROWS, "masking": {"static_masks": static_masks}}
    engine = EngineSettings(device="cpu", precision="float32")
    settings = build(PretrainSettings, values)
    objective = Pretrainer("modern", SIZE, settings, engine, blocks, V, seed=1).objective
    assert isinstance(objective, MlmObjective)
    found: Seen = {int(block): [] for block in objective.train}
    update = 0
    while any(len(inputs) < EPOCHS for inputs in found.values()):
        batch = objective.batch(update)
        for block, inputs, places in zip(objective.order.of(update), batch.inputs, batch.positions, strict=True):
            found[int(block)].append(inputs.tobytes() + places.tobytes())
        update += 1
    return {block: inputs[:EPOCHS] for block, inputs in found.items()}


def test_one_static_mask_is_the_same_in_every_epoch_and_a_dynamic_one_never(blocks: Blocks) -> None:
    assert all(len(set(inputs)) == 1 for inputs in seen(blocks, 1).values())
    assert all(len(set(inputs)) == EPOCHS for inputs in seen(blocks, 0).values())


def test_epochs_take_several_static_masks_in_turn(blocks: Blocks) -> None:
    for first, second, third, fourth in seen(blocks, 2).values():
        assert (first, second) == (third, fourth)
        assert first != second


def test_blocks_have_static_masks_of_their_own(blocks: Blocks) -> None:
    assert len({inputs[0] for inputs in seen(blocks, 1).values()}) == len(seen(blocks, 1))


def test_a_statically_masked_row_is_the_row_that_mask_makes_of_it() -> None:
    ids = np.random.default_rng(0).integers(len(SPECIALS), V, (6, 40))
    settings = MaskingSettings()
    whole = mask_statically(ids, V, settings, map(np.random.default_rng, range(6)))
    assert whole.positions.shape == (6, places_per_row(40, settings.rate))
    for number, row in enumerate(ids):
        alone = mask(row[None], V, settings, np.random.default_rng(number))
        for name in ("inputs", "positions", "labels"):
            assert np.array_equal(getattr(whole, name)[number], getattr(alone, name)[0])
