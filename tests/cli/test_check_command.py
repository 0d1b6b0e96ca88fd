import subprocess
import sys

import pytest

from daguan.cli.app import main

TEST = "1_2_3\n4_5"


@pytest.fixture
def files(tmp_path):
    def write(submission):
        (tmp_path / "test.txt").write_text(TEST)
        (tmp_path / "sub.txt").write_text(submission)
        return [str(tmp_path / "sub.txt"), str(tmp_path / "test.txt")]

    return write


def test_a_good_submission_exits_0_and_a_bad_one_2_with_one_line(files):
    command = [sys.executable, "-m", "daguan", "check"]
    good = subprocess.run(command + files("1_2/a  3/o\n4_5/o"), capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.endswith("sub.txt: 2 lines, good\n")
    words = files("1_2/a  3/o\n4/o  5/o")
    bad = subprocess.run(command + words, capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == (f"daguan: {words[0]}:2: expected neighbouring o segments merged into one, got '4/o  5/o'\n")


def test_labels_may_be_named(files, capsys):
    words = files("1_2/a  3/o\n4_5/b")
    assert main(["check", *words]) == 0
    assert main(["check", *words, "labels=a,b"]) == 0
    capsys.readouterr()
    assert main(["check", *words, "labels=a,c"]) == 2
    assert capsys.readouterr().err == f"daguan: {words[0]}:2: expected a label of a, c, o, got 'b' on '4_5'\n"


@pytest.mark.parametrize("words", [[], ["sub.txt"], ["a", "b", "c"], ["a", "b", "labels=a", "labels=b"]])
def test_other_words_are_refused_in_one_line(words, capsys):
    assert main(["check", *words]) == 2
    assert capsys.readouterr().err == "daguan: check: expected SUBMISSION TEST [labels=a,b,c]\n"


def test_an_unknown_command_is_refused_in_one_line(capsys):
    assert main(["chekc"]) == 2
    assert capsys.readouterr().err == "daguan: chekc: no such command; did you mean 'check'?\n"


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--help"], 0), (["help"], 0)])
def test_help_names_every_command(words, code, capsys):
    assert main(words) == code
    assert "check " in capsys.readouterr().out
