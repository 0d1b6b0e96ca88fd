"""The submissions of a report are those of LEADERBOARD.md, with what was recorded of them."""

from __future__ import annotations

from pathlib import Path

from daguan.competition import submissions_table
from daguan.report.leaderboard import submissions


def test_a_command_is_shown_as_it_was_typed(tmp_path: Path) -> None:
    command = "bash scripts/run_all.sh small 'name=a|b'"
    scores = {"span": {"f1": 0.5}, "contest": {"f1": 0.5}}
    manifest = {
        "name": "a-small-1", "final": "blend", "out_of_fold": {"blend": scores}, "test": None, "date": "2019-08-31",
        "commit": "abc", "command": command,
    }  # fmt: skip
    submissions_table.record(tmp_path, manifest)
    shown = submissions(tmp_path)
    assert shown["submission"].tolist() == ["a-small-1"]
    assert shown["command"].tolist() == [command]
    assert shown["public score"].isna().all()
