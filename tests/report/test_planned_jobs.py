"""Jobs are listed once, pretraining first, with what a budget planned and what they took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daguan.core.files import write_json
from daguan.report.jobs import FINE_TUNING, PRETRAINING, jobs, with_starts


def run(folder: Path, depends_on: dict[str, Any], results: dict[str, dict[str, Any]], planned: float) -> Path:
    """A finished run with a job in each of these folders of it."""
    write_json(folder / "manifest.json", {"depends_on": depends_on, "commit": "abc"})
    for name, result in results.items():
        write_json(folder / name / "result.json", result)
        write_json(folder / name / "job.json", {"seconds": planned})
    return folder


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    for key in "pq":
        (tmp_path / f"pretrain-{key}").mkdir()
        run(tmp_path / f"pretrain-{key}", {}, {".": {"seconds": 30.0, "updates": 4, "most_updates": 4}}, 31.0)
    found = []
    for name, start in (("one", "p"), ("two", "p"), ("three", "q"), ("crf", "")):
        about = {"updates": 3, "most_updates": 5, "f1": 0.5}
        results = {f"fold{fold}": {"seconds": 10.0 + fold, **about} for fold in (0, 1)}
        (tmp_path / f"{name}-1" / "fold0").mkdir(parents=True)
        (tmp_path / f"{name}-1" / "fold1").mkdir()
        depends_on = {"pretrain": start} if start else {}
        found.append(run(tmp_path / f"{name}-1", depends_on, results, 0.0 if name == "crf" else 12.0))
    return found


def test_each_run_is_there_once_and_after_its_pretraining(members: list[Path]) -> None:
    runs = with_starts([*members, members[0]])
    names = [one.folder.name for one in runs]
    assert names == ["pretrain-p", "pretrain-q", *(folder.name for folder in members)]
    assert [one.stage for one in runs] == [PRETRAINING] * 2 + [FINE_TUNING] * 4


def test_what_was_planned_is_beside_what_was_used(members: list[Path]) -> None:
    table = jobs(with_starts(members)).set_index(["run", "job"])
    assert table.loc[("pretrain-p", ""), ["planned", "seconds"]].tolist() == [31.0, 30.0]
    columns = ["planned", "seconds", "updates", "most_updates"]
    assert table.loc[("two-1", "fold1"), columns].tolist() == [12.0, 11.0, 3, 5]
    assert table.loc[[("crf-1", "fold0"), ("crf-1", "fold1")], "planned"].isna().all()
    assert len(table) == 2 + 4 * 2
