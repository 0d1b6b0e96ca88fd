import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daguan.data.folds import FoldSettings
from daguan.data.format import parse_labelled, parse_unlabelled
from daguan.data.report import data_report, format_report

CORPUS = {"lines": 1234, "distinct_lines": 1200, "tokens": 5678, "vocabulary": 99, "blank_lines": 3}
TRAIN = ["1_2/a  3/o", "1_2/a  3/o", "1/a  2_3/o", "4/o", "5_6_7/b  8/b"]
TEST = ["1_2_3", "4_9", "9_10_9", "4"]


def report_on(train=TRAIN, test=TEST):
    found = data_report([parse_labelled(line) for line in train], [parse_unlabelled(line) for line in test], CORPUS)
    return found | {"groups": {}}


def test_sizes_by_hand():
    report = report_on()
    assert (report["train"]["lines"], report["train"]["tokens"], report["train"]["token_types"]) == (5, 14, 8)
    assert (report["test"]["lines"], report["test"]["tokens"]) == (4, 9)
    assert report["train"]["length"]["mean"] == 2.8
    assert report["train"]["length"]["max"] == 4
    assert report["corpus"] == CORPUS


def test_entities_by_hand():
    entities = report_on()["entities"]
    assert (entities["count"], entities["lines_without"]) == (5, 1)
    counts = {
        label: (found["count"], found["length"]["mean"], found["length"]["max"])
        for label, found in entities["by_label"].items()
    }
    assert counts == {"a": (3, 1.7, 2), "b": (2, 2.0, 3)}


def test_leaks_by_hand():
    report = report_on()
    assert report["duplicate_train_lines"] == 2  # three lines of one text
    assert report["texts_with_conflicting_labels"] == 1
    assert report["test_lines_found_in_train"] == 2
    assert (report["test"]["unseen_tokens"], report["test"]["unseen_types"]) == (4, 2)


def test_equal_copies_are_no_conflict():
    report = report_on(train=["1/a  2/o"] * 3)
    assert (report["duplicate_train_lines"], report["texts_with_conflicting_labels"]) == (2, 0)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_lengths_are_numpys_percentiles(lengths):
    found = report_on(train=["_".join("7" * length) + "/o" for length in lengths])["train"]["length"]
    assert [found["p50"], found["p95"], found["p99"]] == np.percentile(lengths, (50, 95, 99)).tolist()
    assert found["mean"] == round(sum(lengths) / len(lengths), 1)


def test_the_text_names_every_label_and_the_large_numbers():
    text = format_report(report_on(), FoldSettings(count=7))
    for part in ("5 lines, 14 tokens", "a: 3 (mean 1.7, max 2", "b: 2 (mean 2.0, max 3", "1,234 lines", "5,678 tokens"):
        assert part in text
    assert "folds   7, stratified" in text


def test_the_text_says_where_folds_are_whole_documents():
    report = report_on() | {"groups": {"count": 1234, "largest": 56}}
    for group, source in ((0, "the documents of groups.txt"), (9, "runs of 9 lines")):
        assert f"folds   7, whole groups: {source}, joined where they share a text (1,234, the largest of 56" in (
            format_report(report, FoldSettings(count=7, group=group))
        )
