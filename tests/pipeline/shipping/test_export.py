"""What can be exported, what is refused, and what is written beside the weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import daguan
from daguan.cli.app import main
from daguan.core.errors import CheckpointError
from daguan.data.tags import TagScheme
from daguan.data.vocabulary import SPECIALS, UNK, Vocabulary
from daguan.formats.code_book import CodeBook
from daguan.formats.translation import Translation
from daguan.pipeline.shipping.hugging_face import tokenizer
from daguan.pipeline.shipping.modeling_daguan import bio_logits
from daguan.pipeline.shipping.stored_judge import user_entries
from stored_model import STORED

(BLEND,) = STORED.glob("blend-*")
(TAGGER,) = STORED.glob("tagger-*")
(NGRAM_CRF,) = STORED.glob("ngram_crf-*")


def test_the_command_writes_a_folder_with_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "made" / "out"
    assert main(["export", str(TAGGER / "fold1"), str(target), "--to", "hf", "--licence", "mit"]) == 0
    said = capsys.readouterr().err
    assert f"export: {target}: hf, 0." in said
    assert f"warning: {TAGGER / 'fold1' / 'model'}: 14.95 points of span F1 below {NGRAM_CRF.name} out of fold" in said
    card = (target / "README.md").read_text("utf-8")
    assert card.startswith("---\nlicense: mit\n")
    assert f"# {TAGGER.name}\n" in card
    assert "| train | 41 | 807 |" in card
    assert "| 21 lines that it held out | 82.69 | 61.43 | 70.49 |" in card
    assert "| all training lines, each by the model of its fold | 87.96 | 73.64 | 80.17 (73.31–87.18) |" in card
    assert f"are ahead of it out of fold:** `{NGRAM_CRF.name}` by 14.95 points.\n" in card
    config = json.loads((target / "config.json").read_text("utf-8"))
    assert config["labels"] == ["a", "b", "c", "d"]
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert main(["export", str(TAGGER / "fold1"), str(target), "--to", "hf"]) == 2
    assert f"{target}: expected a new or empty folder" in capsys.readouterr().err


def test_no_exported_file_names_this_package_in_an_import(tmp_path: Path) -> None:
    folder = daguan.load(TAGGER / "fold0").export(tmp_path / "out")
    texts = [path.read_text("utf-8") for path in folder.glob("*.py")]
    assert len(texts) > 15
    assert not [text for text in texts if "import daguan" in text or "from daguan" in text]


@pytest.mark.parametrize(
    ("model", "words", "message"),
    [
        (BLEND, ["--to", "hf"], "expected one model to export, got 4 whose answers are combined; export one of them"),
        (TAGGER, ["--to", "hf"], "expected one model to export, got 2 whose answers are combined; export one of them"),
        (NGRAM_CRF / "fold0", ["--to", "hf"], "expected a tagger to export, got an n-gram CRF"),
        (STORED, ["--to", "hf"], "expected a blend, a finished run or a model, got none"),
        (TAGGER / "fold0", ["--to", "tf"], "--to: expected hf or onnx or onnx-int8"),
        (TAGGER / "fold0", [], "export: expected PREDICTED FOLDER OUTPUT, or MODEL FOLDER --to FORM, got 'two words'"),
        (TAGGER / "fold0", ["third", "--to", "hf"], "expected MODEL FOLDER with --to, got 'a third word, third'"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    model: Path, words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(model), str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not [*tmp_path.iterdir()]


def test_a_blend_in_python_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="or the student that `distil` makes of all"):
        daguan.load(BLEND).export(tmp_path / "out")


def test_the_tokenizer_reads_the_users_own_tokens() -> None:
    """Special tokens, and numbers that stand for no token of the user, are unknown, as to the model."""
    vocabulary = Vocabulary((*SPECIALS, "0", "1", "2", "7"))
    book = CodeBook({"Ann": "0", "[MASK]": "1", "7": "2"}, {"PER": "per"})
    made = tokenizer(vocabulary.entries, Translation(book))

    def ids(line: list[str]) -> list[int]:
        found = made([line], is_split_into_words=True)["input_ids"][0]
        assert found == made(" ".join(line))["input_ids"]
        return list(found)

    line = ["Ann", "[MASK]", "7", "0", "[PAD]", "went", "[UNK]", "Ann"]
    assert ids(line) == vocabulary.encode(Translation(book).encode(line)) == [5, 6, 7, UNK, UNK, UNK, UNK, 5]
    assert len(user_entries(vocabulary.entries, Translation(book))) == len(vocabulary)
    plain = tokenizer(vocabulary.entries, Translation())
    words = ["0", "7", "[CLS]", "x"]
    assert plain([words], is_split_into_words=True)["input_ids"] == [vocabulary.encode(words)]


def test_logits_are_highest_at_the_decoded_tag() -> None:
    """Decoding may choose a tag that is not the most probable one of its token."""
    scheme = TagScheme(("a", "b"))
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(len(scheme)), 200).astype(np.float16)
    tags = rng.integers(0, len(scheme), 200)
    names = ["O", "B-a", "I-a", "B-b", "I-b"]
    as_bio = {"B": "B", "I": "I", "E": "I", "S": "B"}
    expected = [tag if tag == "O" else as_bio[tag[0]] + tag[1:] for tag in (scheme.tags[i] for i in tags)]
    later = np.zeros(len(tags), bool)
    assert [names[i] for i in bio_logits(probs, tags, later).argmax(1)] == expected
    inside = [name.replace("B-", "I-") for name in expected]
    assert [names[i] for i in bio_logits(probs, tags, ~later).argmax(1)] == inside


def test_a_stored_model_with_the_users_own_labels_is_exported_with_them(tmp_path: Path) -> None:
    book = CodeBook({token: str(i) for i, token in enumerate(["w1", "w2"])}, {"PER son": "a"})
    model = tmp_path / "model"
    shutil.copytree(TAGGER / "fold0" / "model", model)
    Translation(book).save(model)
    folder = daguan.load(model).export(tmp_path / "out")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["labels"] == ["PER son", "b", "c", "d"]
    assert config["id2label"]["1"] == "B-PER son"
