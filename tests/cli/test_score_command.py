import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from daguan.cli.app import main
from daguan.data.format import read_labelled
from daguan.data.scores import all_metrics

GOLD = "1_2/a  3/o\n4_5/b\n6/o"
PREDICTED = "1_2/a  3/o\n4/b  5/b\n6/o"


@pytest.fixture
def files(tmp_path):
    def write(predicted, gold=GOLD):
        (tmp_path / "pred.txt").write_text(predicted)
        (tmp_path / "gold.txt").write_text(gold)
        return [str(tmp_path / "pred.txt"), str(tmp_path / "gold.txt")]

    return write


def test_scoring_imports_no_torch():
    program = "import sys, daguan.__main__, daguan.cli.score, daguan.cli.check; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "daguan.cli.score" in loaded
    assert not {"torch", "transformers", "sklearn", "pandas", "scipy"} & set(loaded)


def test_json_is_one_line_alone_and_comes_within_a_second(files):
    """Seconds of processor time: a busy machine must not fail it. Importing torch alone would."""
    words = files("\n".join([PREDICTED] * 500), "\n".join([GOLD] * 500))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "daguan", "score", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert json.loads(done.stdout)["span"]["hits"] == 500
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_the_json_is_both_readings_of_the_files(files, capsys):
    words = files(PREDICTED)
    assert main(["score", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == all_metrics(*(read_labelled(Path(word)) for word in words))
    assert (found["span"]["hits"], found["span"]["predicted"], found["span"]["gold"]) == (1, 3, 2)


def test_without_json_there_are_tables_only(files, capsys):
    assert main(["score", *files(PREDICTED)]) == 0
    out = capsys.readouterr().out
    assert "{" not in out
    assert "33.33" in out  # precision
    assert "40.00" in out  # F1


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        ("1_2/a  3/o\n4_9/b\n6/o", "{pred}:2: expected the tokens of {gold}:2, got others"),
        ("1_2/a  3/o\n4_5/b", "{pred}: expected 3 lines as in {gold}, got 2"),
        ("1_2/a  3/o\n4_5\n6/o", "{pred}:2: expected tokens/label with a lower-case label, got '4_5'"),
    ],
)
def test_files_that_do_not_match_exit_2_with_one_line(files, capsys, predicted, message):
    pred, gold = files(predicted)
    assert main(["score", pred, gold]) == 2
    assert capsys.readouterr().err == f"daguan: {message.format(pred=pred, gold=gold)}\n"
