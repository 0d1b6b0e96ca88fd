"""A model that reads words in the pieces of a public tokenizer labels as ours does, exported to any form."""

from __future__ import annotations

from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import EsmTokenizer

import daguan
from daguan.core.errors import CheckpointError
from daguan.core.settings import build
from daguan.data.batches.windows import windows_of
from daguan.formats.code_book import CodeBook
from daguan.formats.translation import Translation
from daguan.models.encoders.pieces import Pieces
from daguan.models.heads.table import HEADS
from daguan.models.settings import FIRST, LSTM, MEAN, ModelSettings
from daguan.pipeline.shipping.decode import pieces_of, windows
from daguan.pipeline.shipping.hugging_face import piece_tokenizer, texts_of
from daguan.pipeline.shipping.onnx_runtime import searches
from daguan.pipeline.shipping.tokenization_daguan import DaguanTokenizer
from exported_models import answers_of, piece_lines, require_our_spans, stored_pieces
from public_encoders import TYPES, tokenizer_of

Cases = dict[str, tuple[str, str, dict[str, Any]]]
ORDER = (*[*TYPES][2:], *[*TYPES][:2])  # so that the pointer of random weights, over electra, finds something
BOOK = CodeBook({"Heart": "0", "of\tmice": "1", "[MASK]": "2"}, {"PER": "a"})
TEXTS = {"Heart": "of\tmice", "of": "", "b": "heartmice", "?!": "a"}
NAMES = (*HEADS, f"{LSTM}crf", f"crf+{LSTM}span")
# each type with both poolings, and each head: they meet in features of words alone
CASES: Cases = {
    f"{name}-{head}-{pooling}": (name, head, {"pieces": pooling})
    for head, (pooling, name) in zip(cycle(NAMES), product((FIRST, MEAN), ORDER), strict=False)
}
CASES["texts"] = ("roberta", "crf", {"pieces": MEAN, "texts": TEXTS})


@pytest.fixture(scope="module", params=["hf", "onnx"])
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the models of all cases answer, ours and exported."""
    if request.param == "onnx":
        pytest.importorskip("onnxruntime")
    cases = {name: case for name, case in CASES.items() if request.param == "hf" or not searched(case[1])}
    return answers_of(cases, request.param, tmp_path_factory.mktemp(request.param), stored_pieces, piece_lines())


def searched(head: str) -> bool:
    return bool(searches(build(ModelSettings, {"head": head}, place="test")))


@pytest.mark.parametrize("name", CASES)
def test_every_type_and_every_head_gives_our_spans(name: str, answers: dict[str, Any]) -> None:
    searches = searched(CASES[name][1])
    if name not in answers:
        assert searches
        return
    ours, theirs = answers[name]
    assert searches or any(ours)
    require_our_spans(ours, theirs, piece_lines())


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "unigram"])
@pytest.mark.parametrize(
    ("texts", "translation"),
    [
        ({}, Translation()),
        (TEXTS, Translation()),
        ({"0": "Heart", "1": "of\tmice", "2": "[MASK]"}, Translation(BOOK)),
    ],
)
def test_words_have_the_pieces_that_we_read(
    kind: str, texts: dict[str, str], translation: Translation, tmp_path: Path
) -> None:
    tokenizer_of(kind).save_pretrained(tmp_path / "from")
    pieces = Pieces.of_checkpoint(tmp_path / "from", texts)
    piece_tokenizer(pieces, texts_of(pieces, translation)).save_pretrained(tmp_path / "out")
    made = DaguanTokenizer.from_pretrained(tmp_path / "out")
    lines = [[], ["\u200b", "of\tmice", ""], *piece_lines()]
    expected = [pieces.encode(translation.encode(line)) for line in lines]
    rows = pieces_of(lines, pieces.backend(), dict(texts_of(pieces, translation)), pieces.tokenizer.unk_token_id)
    assert [[pieces.table[of_word].tolist() for of_word in line] for line in rows] == expected
    given = made(lines, is_split_into_words=True, padding=True, return_tensors="pt")
    for ids, words, line in zip(given["input_ids"], given["words"], expected, strict=True):
        assert pieces.table[ids[words > 0]].tolist() == [piece for of_word in line for piece in of_word]
        assert words[words > 0].tolist() == [number for number, of_word in enumerate(line, 1) for _ in of_word]


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "unigram"])
def test_the_pieces_of_a_word_reach_from_its_start_to_its_end(kind: str, tmp_path: Path) -> None:
    tokenizer_of(kind).save_pretrained(tmp_path)
    made = piece_tokenizer(Pieces.of_checkpoint(tmp_path, {}), {})
    text = "  Heart\u200b \u200b\tfailure  [MASK] a-b\n"
    found = made(text, return_offsets_mapping=True)
    pairs = [*zip(found["words"], found["offset_mapping"], strict=True)]
    places = [[place for word, place in pairs if word == number] for number in range(1, max(found["words"]) + 1)]
    assert [text[of_word[0][0] : of_word[-1][1]] for of_word in places] == text.split()


def test_a_graph_cuts_windows_as_we_do() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        costs = rng.integers(1, 12, rng.integers(1, 60)).tolist()
        size = int(rng.integers(12, 40))
        overlap = int(rng.integers(0, size))
        ours = [(w.start, w.stop, w.keep_start, w.keep_stop) for w in windows_of(0, costs, size, overlap)]
        assert windows(costs, size, overlap) == ours


def test_n_grams_over_pieces_are_refused(tmp_path: Path) -> None:
    model = stored_pieces(tmp_path / "model", "bert", "crf", FIRST, ngram_buckets=9)
    with pytest.raises(CheckpointError, match=r"model\.ngram_buckets: expected 0 with model\.pieces"):
        daguan.load(model).export(tmp_path / "out")


def test_a_tokenizer_in_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("<cls>\n<pad>\n<eos>\n<unk>\nof\n<mask>\n", "utf-8")
    EsmTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    pieces = Pieces.of_checkpoint(tmp_path, {})
    with pytest.raises(CheckpointError, match="expected a tokenizer to export, got EsmTokenizer, which is Python code"):
        pieces.backend()


def test_the_card_and_the_words_are_those_of_a_public_encoder(tmp_path: Path) -> None:
    model = stored_pieces(tmp_path / "model", "distilbert", "crf", FIRST)
    Translation(BOOK).save(model)
    folder = daguan.load(model).export(tmp_path / "out")
    card = (folder / "README.md").read_text("utf-8")
    assert "encoder `distilbert`, head `crf`" in card
    assert "pieces of words, by the tokenizer of the public checkpoint below it" in card
    assert "- It reads 30 pieces of words at once." in card
