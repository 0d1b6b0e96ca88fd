import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.competition.gate import check
from daguan.core.errors import DataError
from daguan.data.format import format_labelled, format_unlabelled, write_lines
from pieces import sentence_of

TOKEN = st.text(st.sampled_from("17/ao-线\u0301"), min_size=1, max_size=3)
PIECES = st.lists(st.tuples(st.lists(TOKEN, min_size=1, max_size=3), st.sampled_from("oabc")), min_size=1, max_size=5)
TEST = "1_2_3\n4_5\n6\n"
GOOD = "1_2/a  3/o\n4_5/o\n6/b"


@pytest.fixture
def refusal(tmp_path):
    """The message for a submission to TEST, without the folder."""

    def message_of(submission, labels=None, test=TEST):
        (tmp_path / "test.txt").write_text(test)
        content = submission if isinstance(submission, bytes) else submission.encode()
        (tmp_path / "sub.txt").write_bytes(content)
        with pytest.raises(DataError) as error:
            check(tmp_path / "sub.txt", tmp_path / "test.txt", labels)
        return str(error.value).removeprefix(f"{tmp_path}/")

    return message_of


@given(st.lists(PIECES, min_size=1, max_size=5))
def test_whatever_we_write_may_be_sent(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("gate")
    sentences = list(map(sentence_of, lines))
    write_lines(folder / "test.txt", map(format_unlabelled, sentences))
    write_lines(folder / "sub.txt", map(format_labelled, sentences))
    assert check(folder / "sub.txt", folder / "test.txt") == len(sentences)


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_final_newline_is_as_good_as_none(tmp_path, end):
    (tmp_path / "test.txt").write_text(TEST)
    (tmp_path / "sub.txt").write_text(GOOD + end)
    assert check(tmp_path / "sub.txt", tmp_path / "test.txt") == 3


@pytest.mark.parametrize(
    ("submission", "message"),
    [
        ("1_9/a  3/o\n4_5/o\n6/b", "sub.txt:1: expected token 2 to be '2', got '9'"),
        ("1_2/a  3/o\n4_05/o\n6/b", "sub.txt:2: expected token 2 to be '5', got '05'"),
        ("2_1/a  3/o\n4_5/o\n6/b", "sub.txt:1: expected token 1 to be '1', got '2'"),
        ("1_2/a\n4_5/o\n6/b", "sub.txt:1: expected 3 tokens as in the test line, got 2"),
        ("1_2/a  3_3/o\n4_5/o\n6/b", "sub.txt:1: expected 3 tokens as in the test line, got 4"),
        ("1_2/a  3/o\n6/b\n4_5/o", "sub.txt:2: expected the tokens of test line 2, got those of 3"),
        ("4_5/o\n1_2/a  3/o\n6/b", "sub.txt:1: expected the tokens of test line 1, got those of 2"),
        ("1_2/a  3/o\n4_5/o", "sub.txt:2: expected 3 lines as in test.txt, got 2"),
        ("1_2/a  3/o\n4_5/o\n6/b\n7/o", "sub.txt:4: expected 3 lines as in test.txt, got more"),
        ("1_2/a  3/o\n4/o  5/o\n6/b", "sub.txt:2: expected neighbouring o segments merged into one, got '4/o  5/o'"),
        ("1/a  2/o  3/o\n4_5/o\n6/b", "sub.txt:1: expected neighbouring o segments merged into one, got '2/o  3/o'"),
        (GOOD.replace("\n", "\r\n"), "sub.txt:1: expected LF line ends, got a CR"),
        (GOOD + "\r\n", "sub.txt:3: expected LF line ends, got a CR"),
        ("\ufeff" + GOOD, "sub.txt:1: expected plain UTF-8, got a byte-order mark"),
        ("", "sub.txt: expected at least one line, got an empty file"),
        (GOOD + "\n\n", "sub.txt:4: expected segments such as 7_8/a, got an empty line"),
        ("1_2/a  3/o\n\n6/b", "sub.txt:2: expected segments such as 7_8/a, got an empty line"),
        (
            "1_2/a 3/o\n4_5/o\n6/b",
            "sub.txt:1: expected tokens without white space, joined by '_', got '1_2/a 3'",
        ),
        ("1_2/a  3\n4_5/o\n6/b", "sub.txt:1: expected tokens/label with a lower-case label, got '3'"),
        ("1_2/a  3/O\n4_5/o\n6/b", "sub.txt:1: expected tokens/label with a lower-case label, got '3/O'"),
        (b"1_2/a  3/o\n4_\xff/o\n6/b", "sub.txt:2: expected UTF-8, got byte 0xff"),
    ],
)
def test_a_fault_is_refused_by_place_expected_and_got(refusal, submission, message):
    assert refusal(submission) == message


def test_adjacent_entities_of_one_type_need_no_merging(tmp_path):
    (tmp_path / "test.txt").write_text("1_2\n")
    (tmp_path / "sub.txt").write_text("1/a  2/a")
    assert check(tmp_path / "sub.txt", tmp_path / "test.txt") == 1


def test_labels_come_from_train_beside_test(tmp_path, refusal):
    (tmp_path / "train.txt").write_text("1/a  2/o\n3/c")
    assert refusal(GOOD) == "sub.txt:3: expected a label of a, c, o, got 'b' on '6'"
    (tmp_path / "train.txt").write_text("1/a  2/o\n3/b")
    assert check(tmp_path / "sub.txt", tmp_path / "test.txt") == 3


def test_labels_given_beat_those_of_train(tmp_path, refusal):
    (tmp_path / "train.txt").write_text("1/a  2/b")
    assert refusal(GOOD, labels=["a"]) == "sub.txt:3: expected a label of a, o, got 'b' on '6'"
    assert check(tmp_path / "sub.txt", tmp_path / "test.txt", ["a", "b"]) == 3
    assert refusal(GOOD, labels=[]) == "sub.txt:1: expected a label of o, got 'a' on '1_2'"


@given(st.lists(PIECES, min_size=1, max_size=4), st.data())
def test_any_line_put_in_another_place_is_refused(tmp_path_factory, lines, data):
    folder = tmp_path_factory.mktemp("gate")
    sentences = list(map(sentence_of, lines))
    mixed = data.draw(st.permutations(sentences))
    write_lines(folder / "test.txt", map(format_unlabelled, sentences))
    write_lines(folder / "sub.txt", map(format_labelled, mixed))
    wrong = [i for i, (a, b) in enumerate(zip(sentences, mixed, strict=True), start=1) if a.tokens != b.tokens]
    if not wrong:
        assert check(folder / "sub.txt", folder / "test.txt") == len(sentences)
        return
    with pytest.raises(DataError) as error:
        check(folder / "sub.txt", folder / "test.txt")
    other = [sentence.tokens for sentence in sentences].index(mixed[wrong[0] - 1].tokens) + 1
    assert str(error.value) == (
        f"{folder}/sub.txt:{wrong[0]}: expected the tokens of test line {wrong[0]}, got those of {other}"
    )


def test_a_directory_and_missing_files_are_refused(tmp_path):
    (tmp_path / "test.txt").write_text(TEST)
    (tmp_path / "sub.txt").write_text(GOOD)
    for submission, test, message in [
        (tmp_path, tmp_path / "test.txt", f"{tmp_path}: expected a file, got a directory"),
        (tmp_path / "no", tmp_path / "test.txt", f"{tmp_path}/no: expected a file, got nothing at that path"),
        (tmp_path / "sub.txt", tmp_path / "no", f"{tmp_path}/no: expected a file, got nothing at that path"),
        (tmp_path / "sub.txt", tmp_path, f"{tmp_path}: expected a file, got a directory"),
    ]:
        with pytest.raises(DataError) as error:
            check(submission, test)
        assert str(error.value) == message
