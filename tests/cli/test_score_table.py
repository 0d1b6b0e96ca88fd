import pytest

from daguan.cli.tables.scores import no_better, print_scores, print_table, print_types
from daguan.data.format import parse_labelled
from daguan.data.scores import all_metrics

SCORES = all_metrics([parse_labelled("1/a  2/b  3/b")], [parse_labelled("1/a  2_3/o")])


def test_columns_are_as_wide_as_needed(capsys):
    print_table(("x", "name", "F1"), [("1", "a", "9.00"), ("long", "b", "10.00")])
    assert capsys.readouterr().out == "x     name     F1\n1     a      9.00\nlong  b     10.00\n\n"


def test_a_row_a_member_and_reading_in_percent(capsys):
    print_scores("test", {"crf": SCORES, "blend": SCORES})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:] if line]
    expected = ["33.33", "100.00", "50.00", "50.00–50.00"]
    assert rows == [[name, reading, *expected] for name in ("crf", "blend") for reading in ("span", "contest")]


@pytest.mark.parametrize(
    ("f1", "lines"),
    [
        ({"crf": 0.5, "base": 0.4, "blend": 0.6}, []),
        ({"crf": 0.5, "base": 0.4, "blend": 0.45}, ["crf, its best member, out of fold: span F1 45.00 against 50.00"]),
        ({"crf": 0.5, "base": 0.6, "blend": 0.6}, ["base, the n-gram CRF, out of fold: span F1 60.00 against 60.00"]),
        (
            {"crf": 0.5, "base": 0.4, "blend": 0.3},
            [
                "crf, its best member, out of fold: span F1 30.00 against 50.00",
                "base, the n-gram CRF, out of fold: span F1 30.00 against 40.00",
            ],
        ),
    ],
)
def test_a_blend_that_is_no_better_says_so(f1, lines):
    """Whatever the n-gram CRF is named."""
    scores = {name: {"span": {"f1": value}} for name, value in f1.items()}
    found = no_better(scores, "blend", {"crf": "tagger", "base": "ngram_crf"})
    assert found == [f"no better than {line}" for line in lines]


def test_one_member_is_its_own_answer_and_beats_nothing():
    assert no_better({"base": {"span": {"f1": 0.5}}}, "base", {"base": "ngram_crf"}) == []


def test_a_row_a_reading_and_type(capsys):
    print_types(SCORES)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:] if line]
    assert ["a", "span", "100.00", "100.00", "100.00", "1", "of", "1"] in rows
    assert ["b", "contest", "0.00", "0.00", "0.00", "0", "of", "0"] in rows
    assert len(rows) == 4


def test_no_types_at_all_is_a_header_alone(capsys):
    nothing = parse_labelled("1/o")
    print_types(all_metrics([nothing], [nothing]))
    assert len(capsys.readouterr().out.split("\n")) == 3
