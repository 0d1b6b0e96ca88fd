"""docs/extending.md is true: with its files in a copy of the repository, the repository's own checks pass there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daguan.core.code import module_key, module_keys
from daguan.pipeline import stages

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")
ADDITION = re.compile(
    r"The\s+new\s+(file|row|function)(?:\s+of\s+`(\w+)`\s+in|,\s+above\s+`(\w+)`\s+in)?\s+`([^`]+)`:\n\n```python\n(.*?)```",
    re.DOTALL,
)
ADDITIONS = [match.groups() for match in ADDITION.finditer(PAGE)]
FILES = [path for kind, _, _, path, _ in ADDITIONS if kind == "file"]
CHANGED = sorted({path for kind, _, _, path, _ in ADDITIONS if kind != "file"})
STAGES = "src/daguan/pipeline/stages.py"
NEW_NAMES = ("focal", "averaging", "smoothed", "nadam", "f1_weights", "boundaries", "agreement")
TESTS = [
    "tests/test_architecture.py", "tests/test_readme.py", "tests/pipeline/test_reference.py",
    "tests/models/test_tagger.py", "tests/models/encoders/test_encoders.py", "tests/nn/test_optimisers.py",
    "tests/training/test_optimisation.py", "tests/training/test_objectives.py", "tests/ensemble/test_blending.py",
]  # fmt: skip


OF_ALL = ("circles", "test_the_tree", "test_the_pages")  # tests of no single row
LEFT_OUT = ("albert", "roberta", "electra", "mass", "transformer_xl", "cnn")  # encoders, which cost time


def name_of(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".")


def not_copied(folder: str, names: list[str]) -> set[str]:
    """What is not in the repository."""
    if Path(folder) == ROOT / "data":
        return {name for name in names if name != "README.md"}
    return {name for name in names if re.fullmatch(r"\.git|\.venv|\..*_cache|__pycache__|.*\.egg-info", name)}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with everything that the page adds."""
    folder = tmp_path_factory.mktemp("copy") / "daguan"
    shutil.copytree(ROOT, folder, ignore=not_copied, symlinks=True)
    for kind, table, above, path, code in ADDITIONS:
        assert kind == "file" or (folder / path).is_file(), path
        text = "" if kind == "file" else (folder / path).read_text("utf-8")
        if kind == "row":
            head, start, rest = text.partition(f"\n{table} = {{\n")
            rows, end, rest = rest.partition("\n}\n")
            assert end, (table, path)
            text = f"{head}{start}{rows}\n{code.rstrip()}{end}{rest}"
        elif kind == "function":
            text = text.replace(f"\n{above} = {{\n", f"\n{code}\n\n{above} = {{\n")
        (folder / path).write_text(text or code, "utf-8")
    run(folder, "-m", "daguan.pipeline.reference")
    return folder


def run(folder: Path, *words: str) -> str:
    """The output of a Python command in the copy, which must succeed."""
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'src'}:{folder}:{folder / 'tests'}"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_part_is_one_new_file_and_one_changed_file() -> None:
    parts = re.findall(r"^\| \[[\w ]+\]\(#", PAGE, re.MULTILINE)
    assert len(FILES) == len(set(FILES)) == len(CHANGED) == len(parts) == 7


def test_lint_format_and_types(copy: Path) -> None:
    paths = [*FILES, *CHANGED]
    run(copy, "-m", "ruff", "check", "--no-cache", *paths)
    run(copy, "-m", "ruff", "format", "--no-cache", "--check", *paths)
    if (ROOT / ".mypy_cache").is_dir():  # the types of libraries, without which it takes a minute
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
    run(copy, "-m", "mypy", *paths)


def test_the_tests_of_the_tables_take_the_new_rows(copy: Path) -> None:
    chosen = f"({' or '.join((*NEW_NAMES, *OF_ALL))}) and not ({' or '.join(LEFT_OUT)})"
    printed = run(copy, "-m", "pytest", "-p", "no:cacheprovider", "-vv", "-x", *TESTS, "-k", chosen)
    assert all(f"{name}" in printed for name in NEW_NAMES), printed


def test_no_other_part_is_made_anew(copy: Path) -> None:
    """Runs depend on none of the files that the page changes, but for their tables, which are in no key."""
    tables = [name_of(path) for path in CHANGED if path != STAGES]
    code = f"from daguan.core.code import module_key; print(*map(module_key, {tables}))"
    assert run(copy, "-c", code).split() == [*map(module_key, tables)]
    assert name_of(STAGES) not in module_keys(row.path.partition(":")[0] for row in stages.STAGES.values())


def test_the_metric_is_taken_where_scores_are(copy: Path) -> None:
    (copy / "lines.txt").write_text("1_2/a  3/o\n4/b\n", "utf-8")
    code = """
from pathlib import Path
from daguan.data.scores import score_files
print(score_files(Path("lines.txt"), Path("lines.txt"))["boundary"]["f1"])
"""
    assert run(copy, "-c", code) == "1.0\n"


def test_the_stage_makes_its_folder(copy: Path) -> None:
    code = """
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from daguan.core.runs import run_of
from daguan.data.marginals import Marginals
from daguan.families.fold import HELD_OUT
from daguan.pipeline.stages import STAGES
from noisy_members import SCHEME, noisy_data

data = noisy_data((0.5, 3.0))
folders = [Path("member0"), Path("member1"), Path("member2")]
for folder, answers in zip(folders, (data.marginals[0], *data.marginals), strict=True):
    for fold in range(3):
        lines = np.flatnonzero(data.fold_of_line == fold)
        (folder / f"fold{fold}").mkdir(parents=True)
        Marginals.of(lines, [answers[line] for line in lines]).save(folder / f"fold{fold}" / HELD_OUT)
prepared = SimpleNamespace(train=data.gold, folds=3, scheme=SCHEME)
made = run_of(Path("."), "agreement", {}, [STAGES["agreement"]])
made.path.mkdir()
STAGES["agreement"].load()(made, prepared, folders)
found = made.manifest()["agreement"]
assert found["member0 member1"] == 1.0 > found["member1 member2"] > 0.0, found
"""
    run(copy, "-c", code)
