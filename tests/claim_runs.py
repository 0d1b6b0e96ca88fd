"""Runs a claim at toy size as a user does: stopped, continued, shown again."""

from __future__ import annotations

import dataclasses
import json
import sys
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from daguan.cli.app import main
from daguan.experiments.claims.parts import claim_of
from daguan.experiments.claims.table import CLAIMS


def run_at_toy_size(
    name: str, words: list[str], work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """Returns the JSON of a claim with two seeds that was interrupted in the second side and continued.

    Checks that no part is trained twice, that a finished claim is only shown, and that each side has its row.
    """
    trained: list[tuple[str, int]] = []
    claim = claim_of(name)
    stops_at = 2

    @wraps(claim.train)
    def train(side: str, seed: int, chosen: Any) -> Any:
        if len(trained) + 1 == stops_at:
            raise KeyboardInterrupt
        trained.append((side, seed))
        return claim.train(side, seed, chosen)

    module = sys.modules[CLAIMS[name].path.partition(":")[0]]
    monkeypatch.setattr(module, "CLAIM", dataclasses.replace(claim, train=train))
    command = ["reproduce", name, *words, "seeds=2", f"work={work}", "threads=1", "device=cpu"]
    assert main(command) == 130
    assert len(trained) == 1
    stops_at = 0
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert len(trained) == len(set(trained))
    parts = list(trained)
    assert main(command) == 0
    assert capsys.readouterr().out == shown
    assert main([*command, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert trained == parts
    sides = {side for side, _ in parts}
    assert parts == [(part["side"], part["seed"]) for part in found["parts"]]
    assert all(f"\n{side} " in shown for side in sides)
    assert f"{name}: {found['verdict']}" in shown
    assert Path(found["plot"]).is_file()
    compared = [one["figure"] for one in found["comparisons"]]
    assert compared or found["facts"]
    return found
