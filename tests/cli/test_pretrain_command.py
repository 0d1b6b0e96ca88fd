"""What `pretrain` makes for each kind of encoder, what it says of it, and what its run's name depends on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.cli.test_pipeline import run, submission

from conftest import TINY
from daguan.cli.app import main
from daguan.core.files import read_json
from daguan.core.settings import load
from daguan.data.contest import Contest
from daguan.data.format import read_labelled
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.families.family import family_of
from daguan.formats.code_book import CodeBook
from daguan.models.encoders.loading import load_encoder
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages
from in_process import in_process
from public_encoders import LONG, PUBLIC, bert_of_words, checkpoint, spelt_contest

BERT = ("model.encoder=bert", "model.head=crf")
LSTM = ("model.encoder=lstm", "encoder.ngram_buckets=50", "vectors.kind=word2vec", "vectors.epochs=2")


def words(contest: Path, work: Path, *more: str) -> list[str]:
    return [*TINY, f"data.dir={contest}", f"data.work={work}", *more]


def stages(contest: Path, work: Path, *more: str) -> Stages:
    return Stages(load(Settings, None, words(contest, work, *more)))


def pretrained(contest: Path, work: Path, *more: str) -> Path:
    """The folder that `prepare` and `pretrain` make."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "empty.yaml").touch()
    with in_process():
        for stage in ("prepare", "pretrain"):
            assert main([stage, str(work / "empty.yaml"), *words(contest, work, *more)]) == 0
    return stages(contest, work, *more).pretrain("tagger").path


@pytest.fixture
def public(tmp_path: Path) -> tuple[str, ...]:
    """Settings that start from a checkpoint as from elsewhere."""
    folder = bert_of_words(tmp_path)
    return *BERT, f"encoder.checkpoint={folder}", f"encoder.counts={tmp_path / 'counts.txt'}"


def test_vectors_are_trained_for_an_encoder_without_pretraining_and_twice_the_same(contest, tmp_path) -> None:
    one, other = (pretrained(contest, tmp_path / name, *LSTM) for name in ("one", "other"))
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    encoder = load_encoder(one, 0.0)
    table = encoder.model.get_input_embeddings().weight
    assert table.shape == (len(Vocabulary.load(one)), 128)
    begun = pretrained(contest, tmp_path / "one", *LSTM[:2], f"vectors.kind={one}")  # from the run's own embeddings
    again = load_encoder(begun, 0.0).model.get_input_embeddings().weight
    ratio = again[len(SPECIALS) :] / table[len(SPECIALS) :]
    assert torch.allclose(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-3)


def test_a_checkpoint_is_taken_over_at_once_or_pretrained_further(contest, tmp_path, public) -> None:
    at_once = pretrained(contest, tmp_path / "work", *public, "pretrain.tokens=0")
    further = pretrained(contest, tmp_path / "work", *public)
    theirs = load_encoder(tmp_path / "public", 0.0).model
    ours = load_encoder(at_once, 0.0).model
    assert ours.embeddings.word_embeddings.weight[5].equal(theirs.embeddings.word_embeddings.weight[6])
    assert ours.encoder.layer[0].output.dense.weight.equal(theirs.encoder.layer[0].output.dense.weight)
    moved = load_encoder(further, 0.0).model.encoder.layer[0].output.dense.weight
    assert not moved.equal(theirs.encoder.layer[0].output.dense.weight)
    assert not (further / "start").exists()
    assert Vocabulary.load(at_once).entries == Vocabulary.load(further).entries


def test_a_checkpoint_of_another_type_is_pretrained_further_fine_tuned_and_used(contest, tmp_path, public) -> None:
    from transformers import DebertaV2Config, DebertaV2ForMaskedLM

    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    deberta = DebertaV2Config(
        vocab_size=len(SPECIALS) + len(PUBLIC), **size, max_position_embeddings=32, relative_attention=True,
        position_buckets=8, pos_att_type=["p2c", "c2p"],
    )  # fmt: skip
    DebertaV2ForMaskedLM(deberta).save_pretrained(tmp_path / "public")
    with in_process():
        run(contest, tmp_path, "model.encoder=auto", *public[1:], "members=tagger", "train.epochs=2")
    (blend,) = (tmp_path / "work").glob("blend-*")
    out = tmp_path / "predicted.txt"
    assert main(["predict", str(blend), str(contest / "test.txt"), str(out)]) == 0
    assert read_labelled(out) == read_labelled(submission(tmp_path))


@pytest.mark.parametrize("more", [("pretrain.tokens=0", "model.pieces=first"), ("model.pieces=mean",)])
def test_a_checkpoint_that_keeps_its_tokenizer_reads_the_words_of_the_contest(contest, tmp_path, more, capsys) -> None:
    """At once or pretrained further; lines have more pieces than the window, and one token has, too."""
    checkpoint(tmp_path / "public", "bert")
    spelt = spelt_contest(contest, tmp_path / "spelt")
    settings = ("model.encoder=auto", f"encoder.checkpoint={tmp_path / 'public'}", "model.head=crf", *more)
    with in_process():
        run(spelt, tmp_path, *settings, "members=tagger", "train.epochs=1")
    (word,) = (token for token, text in CodeBook.texts(Contest(spelt)).items() if text == LONG)
    often = sum(token == word for line in read_labelled(spelt / "train.txt") for token in line.tokens)
    assert f"tagger: cut {often} tokens to the window of 30 pieces, in " in capsys.readouterr().err
    (blend,) = (tmp_path / "work").glob("blend-*")
    out = tmp_path / "predicted.txt"
    assert main(["predict", str(blend), str(contest / "test.txt"), str(out)]) == 0
    assert read_labelled(out) == read_labelled(submission(tmp_path))
    (spelt / "vocab.tsv").write_text((spelt / "vocab.tsv").read_text("utf-8").replace("heart", "hearts"), "utf-8")
    pretrain = stages(spelt, tmp_path / "work", *settings).pretrain("tagger")
    assert not pretrain.finished  # other words are another run


def test_a_run_is_named_after_what_it_starts_from(contest, tmp_path, public) -> None:
    (tmp_path / "empty.yaml").touch()
    main(["prepare", str(tmp_path / "empty.yaml"), *words(contest, tmp_path)])

    def key(*more: str) -> str:
        return stages(contest, tmp_path, *more).pretrain("tagger").key

    before = key(*public)
    folder = tmp_path / "public"
    (folder / "README.md").write_text("about it", "utf-8")
    folder.rename(tmp_path / "moved")
    assert key(*public[:2], f"encoder.checkpoint={tmp_path / 'moved'}/", public[3]) == before
    (tmp_path / "moved").rename(folder)
    assert key(*LSTM, "pretrain.tokens=5") == key(*LSTM) != key(*LSTM, "vectors.epochs=3")
    (tmp_path / "counts.txt").write_text("the 9\nof 8\nand 7\n", "utf-8")
    assert key(*public) != before


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (BERT, True),
        ((*BERT, "pretrain.tokens=0"), False),
        ((*BERT, "pretrain.tokens=0", "encoder.checkpoint=somewhere"), True),
        (LSTM, True),
        (LSTM[:1], False),
    ],
)
def test_there_is_a_stage_where_there_is_something_to_learn_or_take(contest, tmp_path, settings, expected) -> None:
    made = load(Settings, None, words(contest, tmp_path, *settings))
    starts = {name: family_of(name).starts_from_pretraining(made.member(name)) for name in ("tagger", "ngram_crf")}
    assert starts == {"tagger": expected, "ngram_crf": False}


@pytest.mark.parametrize("setting", ["encoder.checkpoint=/nowhere", "vectors.kind=/nowhere"])
def test_a_missing_folder_is_named(contest, tmp_path, capsys, setting) -> None:
    encoder = "bert" if setting.startswith("encoder") else "cnn"
    (tmp_path / "empty.yaml").touch()
    arguments = [str(tmp_path / "empty.yaml"), *words(contest, tmp_path, f"model.encoder={encoder}", setting)]
    assert main(["prepare", *arguments]) == 2
    assert "/nowhere: expected a folder with a checkpoint, got none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("objective", "measured"),
    [
        ("mlm", {"mlm"}),
        ("mlm+sop", {"mlm", "sop"}),
        ("rtd", {"generator", "rtd", "chosen"}),
        ("mass", {"mass"}),
    ],
)
def test_figures_of_an_objective_are_said_and_kept(
    contest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], objective: str, measured: set[str]
) -> None:
    encoder = "mass" if objective == "mass" else "bert"
    run = pretrained(contest, tmp_path, f"model.encoder={encoder}", f"pretrain.objective={objective}")
    manifest = read_json(run / "manifest.json")
    assert manifest["objective"] == objective
    assert manifest["held_out"].keys() == measured
    said = capfd.readouterr().err
    for name, figures in manifest["held_out"].items():
        assert f"{name} loss {figures['loss']:.3f}, accuracy {100 * figures['accuracy']:.1f} %" in said
    assert load_encoder(run, 0.0).out_features == 32
    assert not list(run.glob("checkpoint*"))
