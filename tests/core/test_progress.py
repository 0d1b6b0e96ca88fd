import pytest

from daguan.core.progress import Progress


def test_progress_survives_the_line_between_two_processes():
    progress = Progress(3, 10, "tokens", 1.5, (0.1, 0.2), "one\n线")
    line = progress.to_line()
    assert "\n" not in line
    assert Progress.from_line(line) == progress


@pytest.mark.parametrize(
    "line", ["", "\n", "hello", "7", "[]", "{}", '{"done": 1', '{"f1s": [], "done": 1, "what": 2}', "null"]
)
def test_any_other_line_is_no_progress(line):
    assert Progress.from_line(line) is None
