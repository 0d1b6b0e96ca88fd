"""Standard streams of any encoding, closed or full; each case is a process of its own."""

import os
import subprocess
import sys

import pytest

TEXT = "1–2 … ≤ § 线"
PRINTS = f"from daguan.core.streams import settle_streams, take_stdout; settle_streams(); print({TEXT!r})"


def run(program, redirect="", **environment):
    words = ["sh", "-c", f'"$0" -c "$1" {redirect}', sys.executable, program]
    return subprocess.run(words, capture_output=True, env=os.environ | environment, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "gb2312", "utf-8", "utf-16"])
def test_characters_that_an_encoding_lacks_are_replaced(encoding):
    done = run(PRINTS, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding).rstrip() == TEXT.encode(encoding, "replace").decode(encoding)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_open_again_and_no_file_gets_its_number(tmp_path, closed):
    program = (
        "import os, sys; from daguan.core.streams import settle_streams; settle_streams()\n"
        f"file = open({str(tmp_path / 'data')!r}, 'w'); assert file.fileno() > 2\n"
        "print('out'); print('err', file=sys.stderr); os.system('echo child; echo child >&2')\n"
        "file.write('whole'); assert sys.stderr.isatty() is False; sys.stdin.buffer.read()"
    )
    assert run(program, closed).returncode == 0
    assert (tmp_path / "data").read_text() == "whole"


def test_a_workers_reports_are_apart_from_what_anything_else_prints():
    program = (
        "import os, sys; from daguan.core.streams import settle_streams, take_stdout\n"
        "settle_streams(); reports = take_stdout(); print('from Python'); os.write(1, b'from C\\n')\n"
        "os.system('echo from a child'); print('report', file=reports, flush=True)"
    )
    done = run(program)
    assert done.stdout == b"report\n"
    assert sorted(done.stderr.decode().split("\n")) == ["", "from C", "from Python", "from a child"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("word", "redirect", "code"),
    [
        ("--version", ">/dev/full", 74), ("--version", "| true", 0), ("--version", ">&-", 0), ("--version", "2>&-", 0),
        ("--help", ">/dev/full", 74), ("--help", "| true", 0), ("nonsense", ">/dev/full", 2),
        ("nonsense", "2>/dev/full", 2),
    ],
)  # fmt: skip
def test_a_command_whose_output_has_no_place_ends_in_order(word, redirect, code, unbuffered):
    program = f"import sys; sys.argv = ['daguan', '{word}']; from daguan.__main__ import run; sys.exit(run())"
    done = run(program, redirect, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
