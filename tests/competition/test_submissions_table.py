from daguan.competition.submissions_table import FILE, record


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
