"""Taggers: every head learns, nothing depends on padding, and a saved tagger is the same tagger."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from daguan.core.errors import CheckpointError, ConfigError
from daguan.data.batches.collate import Batch, Example, collate
from daguan.data.batches.windows import stitch, windows_of
from daguan.models.encoders.table import FROM_SCRATCH
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.training import prediction
from daguan.training.devices import find_device, prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import TrainedTagger
from tiny_taggers import SCHEME, SENTENCES, STILL, VOCABULARY, examples, pointers, tagger

ENGINE = EngineSettings(device="cpu", precision="float32", threads=1)
NEAR_ZERO = 0.01  # nats a token: under log 2 for the batch, so that its gold answer has more than half of the mass
MORE_HEADS = ("lstm_crf", "lstm_span", "lstm_pointer", "crf+biaffine", "crf+pointer")
every_head = pytest.mark.parametrize("head", [*HEADS, *MORE_HEADS])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    prepare_process(1)


def trained(head: str) -> TrainedTagger:
    settings = ModelSettings(head=head, lstm_hidden=16, **pointers(head, 16))
    return TrainedTagger(tagger(head).eval(), SCHEME, VOCABULARY, settings, window=12, overlap=4)


def widened(batch: Batch, columns: int = 16) -> Batch:
    """The batch with more padding, and other ids in it."""
    assert batch.tag_ids is not None
    ids = torch.nn.functional.pad(batch.token_ids.where(batch.mask, 9), (0, columns), value=11)
    return Batch(ids, batch.lengths, torch.nn.functional.pad(batch.tag_ids, (0, columns)))


@pytest.mark.parametrize(
    ("encoder", "head"), sorted({*product(FROM_SCRATCH, [*HEADS, "lstm_crf"]), *product(["bert"], MORE_HEADS)})
)
def test_each_head_on_each_encoder_fits_one_small_batch_to_no_loss(encoder, head):
    model, batch = tagger(head, encoder=encoder).train(), collate(examples(), 16)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(150):
        loss = model.loss(batch) / batch.num_tokens
        if loss < NEAR_ZERO:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < NEAR_ZERO
    best = model.eval().marginals(batch).argmax(2)
    assert best[batch.mask].equal(batch.tag_ids[batch.mask])


@every_head
def test_the_loss_is_a_sum_over_sentences_in_any_order_and_padding(head):
    model = tagger(head).eval()
    batch = collate(examples(), 16)
    loss = model.loss(batch).item()
    assert model.loss(collate(examples()[::-1], 16)).item() == pytest.approx(loss, rel=1e-5)
    assert model.loss(widened(batch)).item() == pytest.approx(loss, rel=1e-5)
    assert sum(model.loss(collate([example], 16)).item() for example in examples()) == pytest.approx(loss, rel=1e-5)


@every_head
def test_small_batches_answer_as_large_ones_and_spans_count_by_pairs_of_places(head, monkeypatch):
    model = trained(head)
    whole = model.marginals(SENTENCES, ENGINE)
    monkeypatch.setattr(prediction, "BATCH_SCORES", 1)
    for one, other in zip(whole, model.marginals(SENTENCES, ENGINE), strict=True):
        assert np.allclose(one, other, atol=1e-5)
    by_pairs = any(name in head for name in ("span", "biaffine", "global"))
    assert model.tagger.scores_per_row(20) == model.tagger.scores_per_row(10) * (4 if by_pairs else 2)


@every_head
def test_marginals_do_not_depend_on_order_or_padding(head):
    model, batch = tagger(head).eval(), collate(examples(), 16)
    marginals = model.marginals(batch)
    assert marginals.shape == (*batch.token_ids.shape, len(SCHEME))
    assert torch.allclose(marginals.sum(2), batch.mask.float(), atol=1e-5)
    assert torch.allclose(model.marginals(collate(examples()[::-1], 16)).flip(0), marginals, atol=1e-5)
    wide = model.marginals(widened(batch))
    assert torch.allclose(wide[:, : marginals.shape[1]], marginals, atol=1e-5)
    assert (wide[:, marginals.shape[1] :] == 0).all()


@every_head
def test_in_evaluation_the_dropouts_do_not_matter_and_in_training_each_does(head):
    batch, still = collate(examples(), 16), tagger(head)
    for name in STILL:
        noisy = tagger(head, **{name: 0.5})
        noisy.load_state_dict(still.state_dict())
        assert noisy.eval().marginals(batch).equal(still.eval().marginals(batch))
        torch.manual_seed(0)
        assert not noisy.train().marginals(batch).equal(still.train().marginals(batch)), name


def test_smoothing_is_of_the_joined_heads_that_read_it():
    """Seq2seq gives some tags no chance at all: to smooth over those costs without end."""
    batch = collate(examples(), 16)
    plain, smoothed = (tagger("crf+seq2seq", label_smoothing=share).eval().loss(batch) for share in (0.0, 0.1))
    alone, alone_smoothed = (tagger("crf", label_smoothing=share).eval().loss(batch) for share in (0.0, 0.1))
    assert (alone_smoothed - alone).abs() > 0.01
    assert (smoothed - plain).abs() < 10 * (alone_smoothed - alone).abs()


@every_head
def test_every_parameter_learns(head):
    model = tagger(head)
    model.loss(collate(examples(), 16)).backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


@every_head
def test_a_saved_tagger_answers_as_before(head, tmp_path):
    before = trained(head)
    before.save(tmp_path)
    after = TrainedTagger.load(tmp_path, ENGINE)
    assert replace(after, tagger=before.tagger, vocabulary=before.vocabulary) == before
    assert after.vocabulary.entries == before.vocabulary.entries
    weights = after.tagger.state_dict()
    assert all(weights.pop(name).equal(weight) for name, weight in before.tagger.state_dict().items())
    assert not weights
    before.tagger.to_device(find_device(ENGINE))  # as loading does
    pairs = zip(before.marginals(SENTENCES, ENGINE), after.marginals(SENTENCES, ENGINE), strict=True)
    assert all((one == other).all() for one, other in pairs)


def test_answers_come_in_the_order_of_the_lines_and_as_long_as_they_are():
    tagger = trained("lstm_crf")
    answers = tagger.marginals(SENTENCES, ENGINE)  # the last line takes two windows
    assert [answer.shape for answer in answers] == [(len(s.tokens), len(SCHEME)) for s in SENTENCES]
    for sentence, answer in zip(SENTENCES, answers, strict=True):
        assert tagger.marginals([sentence], ENGINE)[0] == pytest.approx(answer, abs=1e-5)
        assert answer.sum(1) == pytest.approx(np.ones(len(answer)), abs=1e-5)


def test_each_window_of_a_long_line_is_read():
    """The windows' own answers to what stands there, the middle of each where it is surest, make the line's."""
    model, line = trained("crf"), SENTENCES[-1]
    windows = windows_of(0, [1] * len(line.tokens), 12, 4)
    assert len(windows) > 1
    answers = []
    for window in windows:
        example = Example(VOCABULARY.encode(line.tokens[window.start : window.stop]))
        answers.append(model.tagger.marginals(collate([example], 16)).detach().numpy()[0, : len(example)])
    assert model.marginals([line], ENGINE)[0] == pytest.approx(stitch(windows, answers), abs=1e-5)
    assert not np.allclose(answers[0][:8], answers[1][:8], atol=1e-3)


@pytest.mark.parametrize("head", ["crf", "biaffine"])
def test_bf16_answers_nearly_as_float32_and_leaves_the_weights_as_they_were(head):
    model = trained(head)
    before = {name: weight.clone() for name, weight in model.tagger.state_dict().items()}
    exact = model.marginals(SENTENCES, ENGINE)
    rough = model.marginals(SENTENCES, ENGINE.replace(precision="bf16"))
    for one, other in zip(exact, rough, strict=True):
        assert np.allclose(one, other, atol=0.03)
        assert not np.array_equal(one, other)
    after = model.tagger.state_dict()
    assert all(after[name].dtype == weight.dtype and after[name].equal(weight) for name, weight in before.items())
    for one, other in zip(exact, model.marginals(SENTENCES, ENGINE), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"no tensors" * 9])
def test_a_damaged_head_is_named(tmp_path, damage):
    trained("crf").save(tmp_path)
    path = tmp_path / "head.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"head\.safetensors"):
        TrainedTagger.load(tmp_path, ENGINE)


def test_a_head_of_another_kind_is_refused(tmp_path):
    trained("crf").save(tmp_path / "crf")
    trained("lstm_crf").save(tmp_path / "lstm")
    (tmp_path / "lstm" / "head.safetensors").replace(tmp_path / "crf" / "head.safetensors")
    with pytest.raises(CheckpointError, match=r"head\.safetensors"):
        TrainedTagger.load(tmp_path / "crf", ENGINE)


@pytest.mark.parametrize("name", ["tagger.json", "head.safetensors", "vocab.txt", "encoder/config.json"])
def test_a_missing_file_is_a_checkpoint_error(tmp_path, name):
    trained("crf").save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        TrainedTagger.load(tmp_path, ENGINE)


@pytest.mark.parametrize("content", ['{"labels": ["a"', "{}", '{"labels": ["a", "b"], "model": {"hea": "crf"}}'])
def test_a_damaged_table_of_contents_is_a_checkpoint_error(tmp_path, content):
    trained("crf").save(tmp_path)
    (tmp_path / "tagger.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"tagger\.json"):
        TrainedTagger.load(tmp_path, ENGINE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoder", "gpt"),
        ("head", "softmaxes"),
        ("lstm_layers", 0),
        ("lstm_hidden", 0),
        ("dropout", 1.0),
        ("token_dropout", -0.1),
    ],
)
def test_impossible_settings_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"^{field}: expected"):
        ModelSettings(**{field: value})
