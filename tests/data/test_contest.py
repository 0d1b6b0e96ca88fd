import pytest

from daguan.core.errors import DataError
from daguan.data.contest import Contest


def contest_of(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return Contest(folder)


def test_reading_returns_training_and_test_lines(tmp_path):
    train, test = contest_of(tmp_path, train="1_2/a  3/o\n4/o", test="5_6\n").read()
    assert [line.tokens for line in train] == [("1", "2", "3"), ("4",)]
    assert [(line.tokens, line.spans) for line in test] == [(("5", "6"), None)]


def test_training_lines_without_an_entity_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"train\.txt: expected at least one entity"):
        contest_of(tmp_path, train="1/o", test="2").read()


def test_hashes_name_the_required_files_and_the_corpus_and_follow_changes(tmp_path):
    contest = contest_of(tmp_path, train="1/a", test="2", test_gold="2/a")
    before = contest.sha256()
    assert list(before) == ["train.txt", "test.txt"]
    after = contest_of(tmp_path, test="23", corpus="4").sha256()
    assert list(after) == ["train.txt", "test.txt", "corpus.txt"]
    assert after["train.txt"] == before["train.txt"]
    assert after["test.txt"] != before["test.txt"]


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_missing_file_is_named(tmp_path, missing):
    contest = contest_of(tmp_path, **{name: "1/a" for name in ("train", "test") if name != missing})
    with pytest.raises(DataError, match=rf"{missing}\.txt: expected a file"):
        contest.sha256()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone: expected a folder with train\.txt and test\.txt"):
        Contest(tmp_path / "gone").sha256()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("p\n\np", r"groups\.txt:2: expected the id of a document, got an empty line"),
        ("p\nq", r"groups\.txt:3: expected 3 ids, one for each line of train\.txt, got 2"),
        ("p\nq\nq\np", r"groups\.txt:4: expected 3 ids, one for each line of train\.txt, got 4"),
        ("", r"groups\.txt: expected at least one line, got an empty file"),
    ],
)
def test_groups_are_one_id_for_each_training_line(tmp_path, groups, message):
    contest = contest_of(tmp_path, train="1/a\n2/o\n3/o", test="2", groups="p\nq\np\n")
    assert contest.read_groups(3) == ["p", "q", "p"]
    assert list(contest.sha256()) == ["train.txt", "test.txt", "groups.txt"]
    with pytest.raises(DataError, match=message):
        contest_of(tmp_path, groups=groups).read_groups(3)
