"""Reads and writes submissions/BOARD.json, the public scores that `plan record` stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daguan.core.errors import CheckpointError, ConfigError
from daguan.core.files import read_json, write_json
from daguan.core.runs import folder_lock

BOARD = "BOARD.json"


def parse_score(text: str) -> float:
    """Parses a score as a fraction. Raises ConfigError, with the fraction that a percentage stands for."""
    try:
        score = float(text)
    except ValueError:
        raise ConfigError(f"score: expected a fraction from 0 to 1, got {text!r}") from None
    if not 0 <= score <= 1:
        hint = f"; {text} % is {score / 100:.6g}" if 1 < score <= 100 else ""
        raise ConfigError(f"score: expected a fraction from 0 to 1, got {text}{hint}")
    return score


def read_scores(folder: Path) -> dict[str, float]:
    """Returns the recorded scores by submission. Raises CheckpointError: the file is damaged."""
    path = folder / BOARD
    entries = _entries(path)
    try:
        return {name: parse_score(str(entry["score"])) for name, entry in entries.items()}
    except (TypeError, KeyError, ConfigError):
        raise CheckpointError(f'{path}: expected entries as "NAME": {{"score": 0.9359}}, got others') from None


def record(folder: Path, name: str, score: float, date: str) -> float | None:
    """Stores the score of a submission; returns the score recorded before, if any."""
    with folder_lock(folder, wait=True):  # two at once would lose one
        before = read_scores(folder).get(name)
        entries = {**_entries(folder / BOARD), name: {"score": score, "recorded": date}}
        write_json(folder / BOARD, dict(sorted(entries.items())))
    return before


def _entries(path: Path) -> dict[str, Any]:
    entries = read_json(path) if path.is_file() else {}
    if not isinstance(entries, dict):
        raise CheckpointError(f"{path}: expected submissions with their scores, got {type(entries).__name__}")
    return entries
