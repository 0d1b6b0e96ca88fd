"""The input formats of RoBERTa: what a row holds, what pairs are, and that equal numbers of places are learnt from."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from counting_text import counting_blocks
from daguan.core.settings import build
from daguan.data.batches.packing import Blocks
from daguan.data.vocabulary import CLS, PAD, SEP, SPECIALS
from daguan.experiments.claims.format_objective import NOTHING, FormatObjective, FormattedRows, batches_of
from daguan.experiments.claims.input_formats import FORMATS, NO_PAIR, Document
from daguan.models.encoders.settings import EncoderSettings
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

LENGTH, ROWS, WORDS = 32, 4, 40
SIZE = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=LENGTH)
EACH = pytest.mark.parametrize("name", FORMATS)


def documents() -> list[Document]:
    """Documents of one to six sentences, of which every token names its document."""
    rng = np.random.default_rng(0)
    return [
        [np.append(np.full(rng.integers(2, 12), len(SPECIALS) + number), SEP) for _ in range(rng.integers(1, 7))]
        for number in range(WORDS)
    ]


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    return counting_blocks(tmp_path_factory.mktemp("text"), 50, LENGTH)


def objective(blocks: Blocks, name: str) -> FormatObjective:
    prepare_process(1)
    settings = build(PretrainSettings, {"batch_size": ROWS, "tokens": 5 * ROWS * LENGTH})
    engine = EngineSettings(device="cpu", precision="float32")
    made = partial(FormatObjective, documents=documents(), name=name)
    found = Pretrainer("modern", SIZE, settings, engine, blocks, len(SPECIALS) + WORDS, 1, made).objective
    assert isinstance(found, FormatObjective)
    return found


def named(ids: np.ndarray) -> set[int]:
    """The documents of a row."""
    return set(ids[ids >= len(SPECIALS)].tolist())


@EACH
def test_a_row_starts_with_cls_ends_with_sep_and_fits(name: str) -> None:
    for ids, label in FORMATS[name](documents(), LENGTH, np.random.default_rng(1)):
        assert ids[0] == CLS
        assert ids[-1] == SEP
        assert len(ids) <= LENGTH
        assert (label == NO_PAIR) == ("pair" not in name)


def test_formats_of_sentences_hold_every_token_once_and_only_one_crosses_documents() -> None:
    every = sorted(int(token) for document in documents() for part in document for token in part[:-1])
    for name in ("full-sentences", "doc-sentences"):
        rows = [ids for ids, _ in FORMATS[name](documents(), LENGTH, np.random.default_rng(1))]
        assert sorted(int(token) for ids in rows for token in ids if token >= len(SPECIALS)) == every
        assert all(len(named(ids)) == 1 for ids in rows) == (name == "doc-sentences")


def test_full_sentences_have_one_more_sep_between_documents() -> None:
    for ids, _ in FORMATS["full-sentences"](documents(), LENGTH, np.random.default_rng(1)):
        inside = ids[1:]
        ends = np.flatnonzero((inside[:-1] == SEP) & (inside[1:] == SEP))
        joints = [place for place in ends if place + 2 < len(inside)]
        assert len(named(ids)) == len(joints) + 1


@pytest.mark.parametrize("name", ["segment-pair", "sentence-pair"])
def test_half_of_the_pairs_are_of_two_documents_and_their_label_says_which(name: str) -> None:
    labels = []
    for seed in range(20):
        for ids, label in FORMATS[name](documents(), LENGTH, np.random.default_rng(seed)):
            middle = np.flatnonzero((ids[:-1] == SEP) & (ids[1:] == SEP))[0]
            first, second = named(ids[:middle]), named(ids[middle:])
            assert len(first) == len(second) == 1
            assert (first != second) == bool(label)
            labels.append(label)
    assert abs(np.mean(labels) - 0.5) < 3 * 0.5 / len(labels) ** 0.5


def test_a_sentence_pair_has_two_sentences_and_segments_have_as_many_as_fit() -> None:
    def sentences(name: str) -> list[int]:
        rows = FORMATS[name](documents(), LENGTH, np.random.default_rng(1))
        return [int((ids == SEP).sum()) - 1 for ids, _ in rows]

    assert set(sentences("sentence-pair")) == {2}
    assert max(sentences("segment-pair")) > 2


def test_batches_hold_each_row_once_and_no_more_places_than_allowed() -> None:
    lengths = np.random.default_rng(0).integers(3, 30, 500)
    batches = batches_of(lengths.tolist(), 64, np.random.default_rng(1))
    assert sorted(np.concatenate(batches).tolist()) == [*range(500)]
    assert all(lengths[batch].sum() <= 64 for batch in batches)
    assert np.mean([lengths[batch].sum() for batch in batches]) > 48
    assert len(batches_of([99], 64, np.random.default_rng(1))) == 1  # a row that is too long stands alone


@EACH
def test_an_update_asked_for_again_or_by_a_new_run_is_the_same(blocks: Blocks, name: str) -> None:
    one, other = objective(blocks, name), objective(blocks, name)
    first = [one.batch(update) for update in range(12)]
    for update in (11, 2, 0, 11):
        again = other.batch(update)
        for field in ("inputs", "positions", "labels", "pair_labels"):
            assert np.array_equal(getattr(again, field), getattr(first[update], field))


@EACH
def test_padding_changes_no_loss_and_parts_add_up_to_the_whole(blocks: Blocks, name: str) -> None:
    made = objective(blocks, name)
    batch = made.batch(0)
    wide = FormattedRows(
        np.pad(batch.inputs, ((0, 0), (0, 3)), constant_values=PAD),
        np.pad(batch.positions, ((0, 0), (0, 2))),
        np.pad(batch.labels, ((0, 0), (0, 2)), constant_values=NOTHING),
        batch.pair_labels, batch.places, batch.pairs,
    )  # fmt: skip
    with torch.no_grad():
        whole = made.loss(made.model, batch).item()
        parts = [made.loss(made.model, part).item() for part in batch.split(2)]
        assert made.loss(made.model, wide).item() == pytest.approx(whole, rel=1e-5)
    assert sum(parts) == pytest.approx(whole, rel=1e-5)


@EACH
def test_nothing_is_learnt_from_held_out_documents(blocks: Blocks, name: str) -> None:
    made = objective(blocks, name)
    unseen = {int(part[0]) for document in made.unseen for part in document}
    assert unseen
    for update in range(30):
        batch = made.batch(update)
        assert not unseen & set(batch.labels[batch.labels != NOTHING].tolist())
