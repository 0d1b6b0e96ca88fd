"""The README's tree is what the disk holds."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LISTED_AS_FOLDERS = ("configs", "tests")


def tree() -> set[str]:
    """Every path the README's tree names: two spaces of indent a level, three or more before a remark."""
    block = (ROOT / "README.md").read_text("utf-8").partition("## What is where")[2].split("```")[1]
    paths = set()
    parents: list[str] = []
    for line in block.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r"\s{3,}", line.strip())[0].split()
        paths |= {"".join(parents[:depth]) + name for name in names}
        if names[0].endswith("/"):
            parents = [*parents[:depth], names[0]]
    return paths


def disk() -> set[str]:
    """Files that belong to the repository, tests and configurations as their folders."""
    paths = {"README.md", "LICENSE", "pyproject.toml", "requirements.txt", ".ci/run", "data/README.md"}
    paths |= {"submissions/LEADERBOARD.md", *(f"{folder}/" for folder in LISTED_AS_FOLDERS)}
    for pattern in ("scripts/*", "docs/*", "benchmarks/*", "src/daguan/**/*.py"):
        paths |= {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if path.is_file()}
    return {path for path in paths if not path.endswith("__init__.py")}


def test_the_tree_names_what_there_is() -> None:
    named = tree()
    folders = {path for path in named if path.endswith("/")}
    assert all((ROOT / path).is_dir() for path in folders)
    assert named - folders == disk() - {path for path in disk() if path.endswith("/")}
    assert {f"{folder}/" for folder in LISTED_AS_FOLDERS} <= folders


def test_every_configuration_states_its_cost_and_loads() -> None:
    from daguan.core.settings import load
    from daguan.pipeline.settings import Settings

    for path in (ROOT / "configs").glob("*.yaml"):
        assert "Cost:" in path.read_text("utf-8") or "For one GPU:" in path.read_text("utf-8")
        assert load(Settings, path).name == path.stem
