import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import daguan
from daguan.core import runs
from daguan.core.errors import CheckpointError
from daguan.core.files import TEMPORARY
from daguan.core.runs import Stopwatch, accepted_run, differences, folder_lock, other_environment, run_of
from daguan.core.tables import Row

CODE = [Row("daguan.core.seeds:stream")]
INPUTS = {"seed": 1, "data": {"train.txt": "12ab"}, "bert": {"layers": 2}}


def test_the_key_does_not_depend_on_the_order_of_inputs(tmp_path):
    assert run_of(tmp_path, "train", INPUTS, CODE) == run_of(tmp_path, "train", dict(reversed(INPUTS.items())), CODE)


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
    one, other = run_of(tmp_path, "train", INPUTS, CODE), run_of(tmp_path, "train", INPUTS | changed, CODE)
    assert one.key != other.key
    assert one.path != other.path


def test_the_key_changes_with_stage_and_code(tmp_path):
    runs = [run_of(tmp_path, "train", INPUTS, CODE), run_of(tmp_path, "blend", INPUTS, CODE)]
    runs.append(run_of(tmp_path, "train", INPUTS, [*CODE, Row("daguan.data.tags:TagScheme")]))
    assert len({run.key for run in runs}) == 3


def test_a_run_of_other_code_is_taken_where_it_is_accepted_and_says_so(tmp_path):
    old = run_of(tmp_path, "train", INPUTS, CODE)
    old.finish(1.0)
    new = run_of(tmp_path, "train", INPUTS, [*CODE, Row("daguan.data.tags:TagScheme")])
    other = run_of(tmp_path, "train", INPUTS | {"seed": 2}, CODE)
    assert accepted_run(new, accept=False) == new
    taken = accepted_run(new, accept=True)
    assert (taken.path, taken.key) == (old.path, old.key)
    assert accepted_run(other, accept=True) == other
    assert accepted_run(new, accept=False) == taken  # once accepted, it stays so
    accepted = taken.manifest()["accepted"][new.key]
    assert "daguan.data.tags" in accepted["changed"]
    assert "daguan.core.seeds" not in accepted["changed"]


def test_a_run_says_why_it_is_another_one(tmp_path):
    old = run_of(tmp_path, "train", INPUTS, CODE)
    old.finish(1.0)
    manifest = old.manifest()
    assert differences(manifest, old) == []
    changed = run_of(tmp_path, "train", INPUTS | {"bert": {"layers": 3}, "seed": 2}, CODE)
    assert differences(manifest, changed) == ["bert.layers", "seed"]
    code = run_of(tmp_path, "train", INPUTS, [Row("daguan.data.tags:TagScheme")])
    assert "daguan.data.tags" in differences(manifest, code)


def test_a_run_of_an_earlier_version_is_named_as_such(tmp_path):
    run = run_of(tmp_path, "train", INPUTS, CODE)
    run.finish(1.0)
    manifest = json.loads((run.path / "manifest.json").read_text("utf-8"))
    del manifest["format"]
    (run.path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(CheckpointError, match=r"expected format 3, got none, written by daguan 0.1.0; train again"):
        run.manifest()
    assert accepted_run(run_of(tmp_path, "train", INPUTS, []), accept=True).path != run.path


def test_a_run_that_goes_on_under_other_versions_says_so(tmp_path):
    run = run_of(tmp_path, "train", INPUTS, CODE)
    assert other_environment(run, 2) == ""
    assert other_environment(run, 2) == ""
    assert other_environment(run, 1) == "threads 2"
    versions = json.loads((run.path / "environment.json").read_text("utf-8"))
    (run.path / "environment.json").write_text(json.dumps(versions | {"torch": "1.0"}), "utf-8")
    assert other_environment(run, 2) == "torch 1.0"


def test_no_manifest_before_the_end_then_one_with_all_facts(tmp_path):
    run = run_of(tmp_path, "train", INPUTS, CODE)
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
    run = run_of(tmp_path, "train", INPUTS, CODE)
    run.path.mkdir()
    (run.path / "manifest.json").write_text('{"stage": "tr')
    with pytest.raises(CheckpointError):
        run.manifest()


def test_a_run_is_made_by_one_at_a_time(tmp_path):
    run = run_of(tmp_path, "train", INPUTS, CODE)
    with run.locked(), pytest.raises(CheckpointError, match="expected to work here alone"), run.locked():
        pass
    with run.locked():  # free again
        pass


def test_another_process_finds_the_run_locked(tmp_path):
    run = run_of(tmp_path, "train", {}, [])
    program = (
        "import sys; from pathlib import Path; from daguan.core.runs import run_of\n"
        "with run_of(Path(sys.argv[1]), 'train', {}, []).locked(): print('in')"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with run.locked():
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "CheckpointError" in refused.stderr
    assert refused.stdout == ""
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "in\n"


def test_the_lock_is_released_when_the_work_fails(tmp_path):
    run = run_of(tmp_path, "train", {}, [])
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


def test_a_command_that_waits_says_for_what(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "PATIENCE", 0.05)
    first = threading.Thread(target=hold, args=(tmp_path, 0.5))
    first.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with folder_lock(tmp_path, wait=True):
        pass
    first.join()
    assert capsys.readouterr().err == f"{tmp_path.name}: waits for another process that works in {tmp_path}\n"
    with folder_lock(tmp_path, wait=True):
        pass
    assert capsys.readouterr().err == ""


def hold(folder, seconds):
    with folder_lock(folder, wait=False):
        (folder / "held").touch()
        time.sleep(seconds)


def test_a_leftover_that_its_writer_renames_at_that_moment_does_no_harm(tmp_path, monkeypatch):
    """One who writes there without the lock is still at it."""
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: iter([folder / pattern.replace("*", "gone")]))
    with folder_lock(tmp_path, wait=False):
        assert not (tmp_path / TEMPORARY.replace("*", "gone")).exists()
