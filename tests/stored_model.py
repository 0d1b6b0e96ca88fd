"""python tests/stored_model.py: make tests/stored/, a small model of this version's format with its answers.

It is made once for each format (core/runs.py) and committed: later versions of the same format must load it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import daguan
from conftest import TINY, random_sentence, write_contest
from daguan.core.seeds import stream
from in_process import in_process

STORED = Path(__file__).parent / "stored"
KEPT = ("manifest.json", "combination.json", "models.json", "fold*/model", "vocab.txt", "tokens*", "*.bin")
SMALL = {"model.head": "crf", "encoder.hidden": 16, "encoder.feed_forward": 32, "ngram_crf.min_count": 2}


def lines() -> list[tuple[str, ...]]:
    """Returns the lines that the stored answers are for."""
    rng = stream(1, "stored")
    return [random_sentence(rng, length).tokens for length in (1, 5, 12, 25, 40)]


def make(root: Path) -> None:
    """Train the model below a scratch folder, and store what `load` needs."""
    contest = write_contest(root / "contest", train=40)
    (root / "empty.yaml").write_text("", "utf-8")
    places = {"data.work": str(root / "work"), "data.submissions": str(root / "out")}
    settings = dict(word.split("=", 1) for word in TINY) | SMALL | places
    with in_process():
        model = daguan.fit(contest, config=root / "empty.yaml", settings=settings)
    shutil.rmtree(STORED, ignore_errors=True)
    for run in (root / "work").iterdir():
        for path in (path for pattern in KEPT for path in run.glob(pattern) if not run.name.startswith("pretrain-")):
            target = STORED / path.relative_to(root / "work")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)
    spans = [[[s.start, s.stop, s.label, round(s.probability, 4)] for s in found] for found in model.predict(lines())]
    (STORED / "answers.json").write_text(json.dumps(spans), "utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
