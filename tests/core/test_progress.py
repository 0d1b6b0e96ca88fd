from daguan.core.progress import Progress


def test_progress_survives_the_line_between_two_processes():
    progress = Progress(3, 10, "tokens", "loss 1.5\nF1 线")
    line = progress.to_line()
    assert "\n" not in line
    assert Progress.from_line(line) == progress
