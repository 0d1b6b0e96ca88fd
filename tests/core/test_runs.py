import subprocess
import sys
import time
from pathlib import Path

import pytest

import daguan.core.runs
from daguan.core.errors import CheckpointError
from daguan.core.runs import Stopwatch, code_version, run_of, source_files

INPUTS = {"seed": 1, "data": {"train.txt": "12ab"}, "bert": {"layers": 2}}


def test_the_key_does_not_depend_on_the_order_of_inputs(tmp_path):
    assert run_of(tmp_path, "train", INPUTS) == run_of(tmp_path, "train", dict(reversed(INPUTS.items())))


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 2},
        {"seed": "1"},
        {"data": {"train.txt": "12ac"}},
        {"data": {"test.txt": "12ab"}},
        {"bert": {"layers": 3}},
        {"bert": {"layers": 2, "heads": 2}},
        {"more": None},
    ],
)
def test_the_key_and_folder_change_with_any_input(tmp_path, changed):
    one, other = run_of(tmp_path, "train", INPUTS), run_of(tmp_path, "train", INPUTS | changed)
    assert one.key != other.key
    assert one.path != other.path


def test_the_key_changes_with_stage_and_version(tmp_path, monkeypatch):
    keys = [run_of(tmp_path, "train", INPUTS).key, run_of(tmp_path, "blend", INPUTS).key]
    monkeypatch.setattr(daguan.core.runs, "code_version", lambda: "other sources")
    keys.append(run_of(tmp_path, "train", INPUTS).key)
    assert len(set(keys)) == 3


def test_the_code_that_makes_a_run_is_in_its_key():
    """The key covers all commands that finish a run; a change elsewhere leaves it unchanged."""
    root = Path(daguan.core.runs.__file__).parents[1]
    hashed = source_files(root)
    makers = [path for path in (root / "cli").glob("*.py") if ".finish(" in path.read_text("utf-8")]
    assert len(makers) > 5
    for path in makers:
        name = f"cli/{path.name}"
        assert name in hashed or f'"{name}"' in path.read_text("utf-8")
    assert {"pipeline/stages.py", "ensemble/stacking.py"} < set(hashed)
    assert not [name for name in hashed if name.startswith("pipeline/tuning/") or name.endswith("score.py")]
    assert set(source_files(root, ["pipeline/tuning", "cli/tune.py"])) - set(hashed) == {
        "cli/tune.py", *(str(path.relative_to(root)) for path in (root / "pipeline/tuning").glob("*.py"))
    }  # fmt: skip
    assert code_version() != code_version("pipeline/tuning")
    missing = [name for name in daguan.core.runs.RESULT_FREE if not (root / name).exists()]
    assert not missing


def test_no_manifest_before_the_end_then_one_with_all_facts(tmp_path):
    run = run_of(tmp_path, "train", INPUTS)
    assert not run.finished
    with pytest.raises(CheckpointError) as error:
        run.manifest()
    assert str(error.value) == f"{run.path}: expected the finished stage 'train', got none; run it first"
    run.finish(1.26, scores={"f1": 0.5})
    assert run.finished
    manifest = run.manifest()
    assert {"stage": "train", "key": run.key, "depends_on": INPUTS, "seconds": 1.3} == {
        name: manifest[name] for name in ("stage", "key", "depends_on", "seconds")
    }
    assert manifest["scores"] == {"f1": 0.5}
    assert manifest["versions"]["daguan"] == daguan.__version__


def test_a_damaged_manifest_is_a_checkpoint_error(tmp_path):
    run = run_of(tmp_path, "train", INPUTS)
    run.path.mkdir()
    (run.path / "manifest.json").write_text('{"stage": "tr')
    with pytest.raises(CheckpointError):
        run.manifest()


def test_a_run_is_made_by_one_at_a_time(tmp_path):
    run = run_of(tmp_path, "train", INPUTS)
    with run.locked(), pytest.raises(CheckpointError, match="expected to work here alone"), run.locked():
        pass
    with run.locked():  # free again
        pass


def test_another_process_finds_the_run_locked(tmp_path):
    run = run_of(tmp_path, "train", {})
    program = (
        "import sys; from pathlib import Path; from daguan.core.runs import run_of\n"
        "with run_of(Path(sys.argv[1]), 'train', {}).locked(): print('in')"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with run.locked():
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "CheckpointError" in refused.stderr
    assert refused.stdout == ""
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "in\n"


def test_the_lock_is_released_when_the_work_fails(tmp_path):
    run = run_of(tmp_path, "train", {})
    with pytest.raises(RuntimeError), run.locked():
        raise RuntimeError
    with run.locked():
        assert not run.finished


def test_a_stopwatch_carries_on(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    first = Stopwatch()
    now[0] += 5
    second = Stopwatch(first.seconds)
    now[0] += 2
    assert (first.seconds, second.seconds) == (7, 7)
