import shlex
import subprocess

import pytest

from daguan.competition.submissions_table import FILE, TITLE, record
from daguan.core.errors import DataError

NOTES = "\n## My notes\n\nNever send one again.\n\n| date | decision |\n| --- | --- |\n| 3 May | chose one |\n"


def manifest(name, own=0.9, test=None, command="bash scripts/run_all.sh", commit="abc"):
    scores = {"span": {"f1": test}, "contest": {"f1": test + 0.01}} if test is not None else None
    return {
        "name": name,
        "final": "blend",
        "out_of_fold": {"blend": {"span": {"f1": own}}, "tagger": {"span": {"f1": 0.1}}},
        "test": scores,
        "date": "2019-08-31",
        "commit": commit,
        "command": command,
    }


def rows(folder):
    table = [line for line in (folder / FILE).read_text("utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def test_a_row_by_hand(tmp_path):
    record(tmp_path, manifest("one", 0.91234, 0.8))
    command = "`bash scripts/run_all.sh`"
    assert rows(tmp_path) == [["one", "91.23", "80.00", "81.00", "2019-08-31", "abc", command]]


def test_without_gold_labels_the_test_cells_are_empty_and_stay_so(tmp_path):
    record(tmp_path, manifest("one"))
    record(tmp_path, manifest("two", 0.8))
    assert [row[:5] for row in rows(tmp_path)] == [
        ["one", "90.00", "", "", "2019-08-31"],
        ["two", "80.00", "", "", "2019-08-31"],
    ]


def test_the_same_submission_again_replaces_its_row(tmp_path):
    record(tmp_path, manifest("x-one", 0.5, commit="old"))
    record(tmp_path, manifest("x-two", 0.7))
    record(tmp_path, manifest("x-one", 0.6, commit="new"))
    assert [(row[0], row[1], row[5]) for row in rows(tmp_path)] == [
        ("x-two", "70.00", "abc"),
        ("x-one", "60.00", "new"),
    ]


def test_recording_twice_changes_no_byte(tmp_path):
    for name, own in (("one", 0.5), ("two", 0.7)):
        record(tmp_path, manifest(name, own, 0.4))
    before = (tmp_path / FILE).read_bytes()
    record(tmp_path, manifest("one", 0.5, 0.4))
    assert (tmp_path / FILE).read_bytes() == before


def test_contests_stay_together_the_best_first(tmp_path):
    for name, own in (("x-small", 0.5), ("y-small", 0.95), ("x-big", 0.9), ("y-big", 1.0)):
        record(tmp_path, manifest(name, own))
    assert [row[0] for row in rows(tmp_path)] == ["x-big", "x-small", "y-big", "y-small"]


def test_a_bar_in_the_command_does_not_split_its_cell(tmp_path):
    record(tmp_path, manifest("one", command="run 'a|b' | tee log"))
    record(tmp_path, manifest("two", 0.1))
    assert rows(tmp_path)[0][-1] == "`run 'a\\|b' \\| tee log`"
    assert all(len(row) == 7 for row in rows(tmp_path))


def test_text_and_tables_around_the_table_stay(tmp_path):
    record(tmp_path, manifest("one"))
    path = tmp_path / FILE
    path.write_text("Ours.\n\n" + path.read_text("utf-8") + NOTES, "utf-8")
    record(tmp_path, manifest("two", 0.8))
    text = path.read_text("utf-8")
    assert text.startswith(f"Ours.\n\n{TITLE}\n\n| submission |")
    assert text.endswith(f"\n{NOTES}")
    assert [line.split(" | ")[0] for line in text.split("\n") if line.startswith("| ")][:5] == [
        "| submission", "| ---", "| one", "| two", "| date"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("| submission", "|submission").replace("| --- ", "|---"),
        lambda text: text.replace("| one |", "|one|").replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("| one", "  | one").rstrip("\n"),
    ],
    ids=["no spaces", "CRLF", "byte-order mark", "indented"],
)
def test_a_table_that_was_written_otherwise_keeps_its_rows(tmp_path, edit):
    record(tmp_path, manifest("one"))
    (tmp_path / FILE).write_bytes(edit((tmp_path / FILE).read_text("utf-8")).encode())
    record(tmp_path, manifest("two", 0.8))
    assert [row[0] for row in rows(tmp_path)] == ["one", "two"]


def test_columns_and_rows_of_somebody_else_stay(tmp_path):
    header = "| submission | out-of-fold span F1 | ours |\n|---|---|---|\n"
    (tmp_path / FILE).write_text(header + "| hand-made |  | a \\| b |\n| hand-made |  | again |\n", "utf-8")
    record(tmp_path, manifest("one"))
    record(tmp_path, manifest("one", 0.8))
    assert [(row[0], row[1], row[-1]) for row in rows(tmp_path)] == [
        ("hand-made", "", "a \\| b"), ("hand-made", "", "again"), ("one", "80.00", "")
    ]  # fmt: skip


def test_a_file_without_a_table_gets_one_below_its_text(tmp_path):
    (tmp_path / FILE).write_text("Only notes.", "utf-8")
    record(tmp_path, manifest("one"))
    assert (tmp_path / FILE).read_text("utf-8").startswith("Only notes.\n\n| submission |")


@pytest.mark.parametrize("encoding", ["gbk", "utf-16"])
def test_another_encoding_is_named_with_its_line_and_nothing_is_written(tmp_path, encoding):
    content = "# Submissions\n\n说明\n".encode(encoding)
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DataError, match=r"LEADERBOARD\.md:\d: expected UTF-8, got byte 0x"):
        record(tmp_path, manifest("one"))
    assert (tmp_path / FILE).read_bytes() == content


@pytest.mark.parametrize("word", ["ensemble={a: {},\nb: {}}", "x=it's\r\na \\ line", "one\n", "a|b\nc"])
def test_a_command_of_several_lines_stays_on_one_row_that_a_shell_reads_back(tmp_path, word):
    record(tmp_path, manifest("one", command=shlex.join(["printf", "%s", word])))
    record(tmp_path, manifest("two", 0.1))
    command = rows(tmp_path)[0][-1].strip("`").replace("\\|", "|")
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout.decode() == word
    assert [row[0] for row in rows(tmp_path)] == ["one", "two"]
