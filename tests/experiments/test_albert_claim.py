"""The claim of ALBERT: its parameters to the last one, what layers share, factorised embeddings, a run at toy size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel

from claim_runs import run_at_toy_size
from daguan.core.settings import build
from daguan.experiments.claims import albert
from daguan.experiments.claims.albert_sizes import ALL, ATTENTION, BASE, FFN, NONE, PUBLISHED, Size, parameter_facts
from daguan.experiments.claims.running import load
from daguan.experiments.claims.shared_layers import FactorisedEmbedding, share
from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.settings import EncoderSettings
from toy_news import toy_news

EXACT = {
    "ALBERT-base": 11_683_584,
    "ALBERT-large": 17_683_968,
    "ALBERT-xlarge": 58_724_864,
    "ALBERT-xxlarge": 222_595_584,
}


def built(size: Size) -> int:
    """Returns the parameters of the model that Hugging Face builds, without memory for its weights."""
    common: dict[str, Any] = {
        "vocab_size": 30_000, "hidden_size": size.hidden, "num_hidden_layers": size.layers,
        "num_attention_heads": size.hidden // 64, "intermediate_size": 4 * size.hidden, "max_position_embeddings": 512,
        "type_vocab_size": 2,
    }  # fmt: skip
    with torch.device("meta"):
        if size.embedding == size.hidden:
            return count(BertModel(BertConfig(**common)))
        groups = 1 if size.shared == ALL else size.layers
        model = AlbertModel(AlbertConfig(**common, embedding_size=size.embedding, num_hidden_groups=groups))
        return count(model)


@pytest.mark.parametrize("name", EXACT)
def test_the_parameters_are_those_of_the_published_models_to_the_last_one(name: str) -> None:
    size, _, _ = PUBLISHED[name]
    assert size.parameters == EXACT[name] == built(size)


@pytest.mark.parametrize("name", ["BERT-base", "BERT-large", "E=64, none shared", "E=256, none shared"])
def test_models_without_sharing_are_counted_as_they_are_built(name: str) -> None:
    size, _, _ = PUBLISHED[name]
    assert size.parameters == built(size)


def test_sharing_one_part_is_between_sharing_all_and_none() -> None:
    """What one part saves and what the other saves is together what both save."""
    all_, attention, ffn, none = (replace(BASE, shared=shared).parameters for shared in (ALL, ATTENTION, FFN, NONE))
    assert (none - attention) + (none - ffn) == none - all_
    assert attention > ffn


def test_every_count_that_differs_says_why() -> None:
    facts = {fact.name.removeprefix("parameters of "): fact for fact in parameter_facts()}
    assert {name for name, fact in facts.items() if not fact.agrees} == {"ALBERT-xlarge", "ALBERT-xxlarge", "BERT-base"}
    assert all(bool(fact.note) != fact.agrees for fact in facts.values())


def encoder() -> Any:
    torch.manual_seed(0)
    size = EncoderSettings(layers=3, hidden=64, heads=2, feed_forward=64, max_length=32)
    return MaskedLm("modern", size, 50)


def count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def weights_of(module: torch.nn.Module) -> set[int]:
    return {weight.data_ptr() for weight in module.parameters()}


@pytest.mark.parametrize(("shared", "together", "apart"), [
    (ATTENTION, "attention", "feed_forward"), (FFN, "feed_forward", "attention"),
])  # fmt: skip
def test_layers_share_exactly_what_is_asked(shared: str, together: str, apart: str) -> None:
    lm = encoder()
    share(lm.model.base_model, shared, 64)
    first, *others = lm.model.base_model.layers
    for layer in others:
        assert weights_of(getattr(layer, together)) == weights_of(getattr(first, together))
        assert not weights_of(getattr(layer, apart)) & weights_of(getattr(first, apart))
    saved = count(getattr(first, together)) + count(getattr(first, f"{together}_norm"))
    assert count(encoder()) - count(lm) == 2 * saved


def test_sharing_nothing_changes_nothing_and_sharing_all_leaves_one_layer() -> None:
    inputs, places = torch.randint(5, 50, (2, 9)), torch.arange(4).repeat(2, 1)
    plain, same = encoder(), encoder()
    share(same.model.base_model, NONE, 64)
    assert torch.equal(plain(inputs, places), same(inputs, places))
    share(same.model.base_model, ALL, 64)
    assert len({frozenset(weights_of(layer)) for layer in same.model.base_model.layers}) == 1


def test_factorised_embeddings_are_a_product_and_predict_by_it() -> None:
    lm = encoder()
    share(lm.model.base_model, NONE, 8)
    table = lm.model.base_model.embeddings
    assert isinstance(table, FactorisedEmbedding)
    ids = torch.tensor([[3, 7, 7]])
    assert torch.allclose(table(ids), table.weight[ids], atol=1e-6)
    assert count(table) == 50 * 8 + 8 * 64
    lm(torch.randint(5, 50, (2, 9)), torch.arange(4).repeat(2, 1)).sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in table.parameters())


def test_albert_at_toy_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = f"data={toy_news(tmp_path / 'news')}"
    words = [data, "train_lines=30", "test_lines=0", "layers=2", "hidden=64", "tokens=4096", "epochs=1"]
    found = run_at_toy_size("albert", words, tmp_path / "work", monkeypatch, capsys)
    of = {part["side"]: part["figures"] for part in found["parts"]}
    assert of["all"]["parameters"] < of["ffn"]["parameters"] < of["attention"]["parameters"] < of["none"]["parameters"]
    assert of["none"]["parameters"] < of["bert"]["parameters"]
    assert of["all"]["megabytes"] < of["none"]["megabytes"]
    assert {side for side in of if "pairs" in of[side]} == {"sop"}
    assert of["all"]["updates"] == of["bert"]["updates"] == 4
    assert len(found["facts"]) == len(PUBLISHED)


def test_a_side_in_time_has_the_updates_that_it_can_do_in_the_seconds_of_bert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"data={toy_news(tmp_path / 'news')}", "train_lines=30", "test_lines=0", "layers=1", "hidden=64"]
    chosen = load("albert", [*words, "tokens=4096", "epochs=1", f"work={tmp_path}", "threads=1", "device=cpu"])
    monkeypatch.setattr(albert, "seconds_an_update", lambda _, side, *__: 3.0 if side == albert.BERT else 2.0)
    assert albert.train(albert.IN_TIME, 1, chosen)["updates"] == 6


def test_each_side_of_the_full_grid_is_another_one() -> None:
    full = build(albert.AlbertSettings, {"grid": "full"})
    assert set(albert.sides(full)) == set(albert.FULL) > set(albert.FEW)
    assert len(set(albert.FULL.values())) == len(albert.FULL)
