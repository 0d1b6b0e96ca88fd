"""A run of the smoke kind works where only some packages are installed, as on a GPU machine without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import TINY

ROOT = Path(__file__).parents[2]
ABSENT = (
    "gensim",
    "optuna",
    "altair",
    "vl_convert",
    "socksio",
    "snownlp",
    "jinja2",
    "pycrfsuite",
    "datasets",
)
SCRIPT = """
import sys
from importlib import metadata
from importlib.machinery import PathFinder

ABSENT, words = set(sys.argv[1].split(",")), sys.argv[2:]

there = PathFinder.find_spec

def fewer(cls, name, path=None, target=None):
    return None if name.partition(".")[0] in ABSENT else there(name, path, target)

PathFinder.find_spec = classmethod(fewer)
version = metadata.version

def found(name):
    if name in ABSENT:
        raise metadata.PackageNotFoundError(name)
    return version(name)

metadata.version = found
import benchmarks.gpu_check
from daguan.cli.app import main
from in_process import in_process

with in_process():
    sys.exit(main(["run", *words]))
"""


def test_a_run_needs_no_package_that_it_does_not_use(contest: Path, tmp_path: Path) -> None:
    places = [f"data.dir={contest}", f"data.work={tmp_path / 'work'}", f"data.submissions={tmp_path / 'out'}"]
    paths = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, ",".join(ABSENT), *TINY, *places], cwd=ROOT, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*.txt"))) == 1
    (manifest,) = (tmp_path / "work").glob("blend-*/manifest.json")
    versions = json.loads(manifest.read_text("utf-8"))["versions"]
    assert (versions["gensim"], versions["optuna"]) == ("none", "none")
    assert versions["torch"] != "none"
