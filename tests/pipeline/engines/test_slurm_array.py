"""The scripts of docs/scale.md, played by a scheduler of three small commands: two jobs of the array get SIGTERM, go
back into the queue, and continue."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from conftest import TINY
from daguan.cli.app import main
from in_process import in_process

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"
FOLDS = ["members=tagger", "pretrain.tokens=0", "train.epochs=30", "engine.threads=1"]
COMMANDS = {
    "python": 'exec {python} "$@"',
    "daguan": 'exec {python} -m daguan "$@"',
    # runs the tasks of the array one after another, again where they were put back into the queue
    "sbatch": """
        count=${2#--array=1-}
        [ "$1" = --wait ] || exit 9
        failed=0
        for task in $(seq "$count"); do
            while :; do
                rm -f "$STATE/requeue"
                code=0
                SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1 bash "$3" || code=$?
                echo "$task $code" >>"$STATE/ended"
                [ -e "$STATE/requeue" ] || break
            done
            [ $code -eq 0 ] || failed=1
        done
        exit $failed""",
    # the first step gets SIGTERM as soon as it has a checkpoint, as where a job's time is almost over; the first one of
    # the second job is killed by it at once
    "srun": """
        [ $SLURM_ARRAY_TASK_ID = 2 ] && ! [ -e "$STATE/killed" ] && touch "$STATE/killed" && exit 143
        [ -e "$STATE/srun" ] && exec "$@"
        touch "$STATE/srun"
        "$@" &
        step=$! job=${!#}
        while kill -0 $step 2>/dev/null && ! [ -e "${job%/*}/checkpoint.safetensors" ]; do sleep 0.02; done
        kill -TERM $step
        wait $step""",
    "scontrol": '[[ "$1 $2" = "requeue 7_"[12] ]] && touch "$STATE/requeue"',
}


def test_an_array_ends_with_the_submission_of_one_machine(contest: Path, tmp_path: Path) -> None:
    words = [*TINY, *FOLDS, f"data.dir={contest}"]
    script, loop = documented([*words, "data.work=slurm/work", "data.submissions=slurm/out"])
    (tmp_path / "jobs.sh").write_text(script, "utf-8")
    paths = f"{scheduler(tmp_path)}{os.pathsep}{os.environ['PATH']}"
    changed = {"PATH": paths, "STATE": str(tmp_path), "PYTHONPATH": str(PAGE.parents[1] / "src")}
    played = subprocess.run(
        ["bash", "-c", loop], cwd=tmp_path, env=os.environ | changed, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert played.returncode == 0, played.stderr
    assert (tmp_path / "ended").read_text("ascii").splitlines() == ["1 130", "1 0", "2 143", "2 0"]
    assert "stopped after update" in played.stderr
    with in_process():
        assert main(["run", *words, f"data.work={tmp_path}/work", f"data.submissions={tmp_path}/out"]) == 0
    for pattern in ("out/*.txt", "work/tagger-*/fold*/*.safetensors"):
        alone, array = (
            {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob(pattern)}
            for folder in (tmp_path, tmp_path / "slurm")
        )
        assert alone == array != {}


def documented(words: list[str]) -> tuple[str, str]:
    """Return the page's two scripts, with these words in place of the page's."""
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (script,) = (block for block in blocks if "#SBATCH" in block)
    (loop,) = (block for block in blocks if "sbatch --wait" in block and "--gres" not in block)
    changed, count = re.subn(r'^words=".*"$', f'words="{shlex.join(words)}"', loop, flags=re.MULTILINE)
    assert count == 1
    return script, changed


def scheduler(folder: Path) -> Path:
    """Return a folder with commands of the names that the scripts call."""
    place = folder / "bin"
    place.mkdir()
    for name, text in COMMANDS.items():
        (place / name).write_text("#!/bin/bash\n" + text.replace("{python}", shlex.quote(sys.executable)), "utf-8")
        (place / name).chmod(0o755)
    return place
