"""The command line: help is quick, mistakes get one clear line and exit code 2, nothing is half-written."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

import daguan
from daguan.cli.app import COMMANDS, main
from daguan.competition import gate
from daguan.experiments.pointer_settings import PointingSettings
from daguan.models.encoders.table import learns
from daguan.nn.tables import WITHOUT_MATRICES
from daguan.pipeline.settings import PRESETS, Settings
from daguan.training.objectives.table import OBJECTIVES

OF_ANY = [name for name in OBJECTIVES if learns("bert", name)]
WITHOUT_GENERATOR = [name for name in OF_ANY if not OBJECTIVES[name].generator]


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "daguan", *words], capture_output=True, text=True, check=False)


HEAVY = ("torch", "transformers", "sklearn", "scipy", "pandas", "spacy", "datasets")


def test_help_names_every_command_and_loads_nothing_slow() -> None:
    answer = call("--help")
    assert answer.returncode == 0
    assert all(f"\n  {command} " in answer.stdout for command in COMMANDS)
    assert "..." not in answer.stdout
    asked = [["--help"], *([command, "--help"] for command in COMMANDS)]
    code = (
        f"from daguan.cli.app import main; print(*(main(words) for words in {asked})); import sys; print(*sys.modules)"
    )
    *_, codes, loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert set(codes.split()) == {"0"}
    assert not set(HEAVY) & set(loaded.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_lists_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: python -m daguan {command} ")
    assert "\n  --json " in text
    assert ("\n  --accept-code " in text) == ("[CONFIG]" in text)
    assert ("\nSettings read:" in text) == (COMMANDS[command].settings is not None)


def settings_in_help(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    assert main([command, "--help"]) == 0
    return set(re.findall(r"^  ([a-z_]+)  ", capsys.readouterr().out.partition("Settings read:")[2], re.MULTILINE))


def test_the_help_lists_the_settings_that_a_command_reads(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of a stage and of the stages before it; `settings` reads all."""
    assert settings_in_help("settings", capsys) == set(Settings.model_fields)
    assert settings_in_help("predict", capsys) == {"engine"}
    assert settings_in_help("reproduce", capsys) == set(PointingSettings.model_fields)
    stages = [settings_in_help(command, capsys) for command in ("prepare", "pretrain", "train", "blend", "distil")]
    assert all(before < after or before == after for before, after in pairwise(stages))
    assert {"vocabulary", "folds"} <= stages[0]
    assert stages[1] - stages[0] >= {"model", "encoder", "pretrain", "vectors"}
    assert stages[2] - stages[1] >= {"train", "augmentation", "ngram_crf", "soup"}
    assert stages[4] - stages[3] == {"distil"}


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"daguan {daguan.__version__}\n"


def test_the_shell_completes_commands_and_options() -> None:
    def completed(words: str, place: int) -> set[str]:
        asked = {"_DAGUAN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}
        command = [sys.executable, "-m", "daguan"]
        answer = subprocess.run(
            command, env={**os.environ, **asked}, cwd=PRESETS.parent, capture_output=True, text=True, check=True
        )
        return set(answer.stdout.split())

    assert completed("daguan pre", 1) == {"prepare", "pretrain", "predict"}
    assert completed("daguan train --j", 2) == {"--json"}
    assert completed("daguan train train.ep", 2) == {"train.epochs="}
    assert completed("daguan train configs/cpu", 2) == {"configs/cpu_1h.yaml", "configs/cpu_night.yaml"}
    assert completed("daguan train cpu", 2) == {"cpu_1h", "cpu_night"}
    script = call("--show-completion").stdout
    assert not script or "_DAGUAN_COMPLETE" in script  # empty where no shell is found


def test_an_interrupted_command_says_how_to_continue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gate, "check", interrupted)
    assert main(["check", "a", "b"]) == 130
    assert capsys.readouterr().err == "daguan: interrupted; the same command continues\n"


def test_sigterm_ends_a_command_as_ctrl_c_does(tmp_path: Path) -> None:
    """While it reads lines that do not come."""
    os.mkfifo(tmp_path / "test.txt")
    words = [sys.executable, "-m", "daguan", "check", str(tmp_path / "submission"), str(tmp_path / "test.txt")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        writer = None
        while writer is None and process.poll() is None:
            with suppress(OSError):  # until the command opens it to read
                writer = os.open(tmp_path / "test.txt", os.O_WRONLY | os.O_NONBLOCK)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, "daguan: interrupted; the same command continues\n")
    assert writer is not None
    os.close(writer)


@pytest.mark.parametrize("module", ["daguan.cli.app", "typer", "daguan.core.streams"])
def test_an_interrupt_while_modules_are_imported_is_one_line_too(module: str) -> None:
    program = f"""
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from daguan.__main__ import run
sys.exit(run())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "daguan: interrupted\n")


def test_a_full_disk_has_a_code_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gate, "check", full)
    assert main(["check", "a", "b"]) == 74
    assert capsys.readouterr().err == "daguan: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepaer"], "prepaer: no such command; did you mean 'prepare'?"),
        (["prepare", "--jsn"], "--jsn: no such option; known: --accept-code, --json, --help"),
        (["--jsn"], "--jsn: no such option"),
        (["prepare", "--json=yes"], "Option '--json' does not take a value."),
        (["prepare", "nowhere.yaml"], "nowhere.yaml: expected a configuration file"),
        (["prepare", "smal"], "smal: no such preset and no such file; did you mean 'small'?"),
        (["prepare", "pretrain.tokns=5"], "pretrain.tokns: no such setting; did you mean 'tokens'?"),
        (["prepare", "pretrain.tokens=many"], "pretrain.tokens: expected int, got 'many'"),
        (["prepare", "encoder.hidden=33"], "encoder.hidden: expected an even multiple of encoder.heads, got 33"),
        (["prepare", "encoder.groups=2"], "encoder.groups: expected 1 unless model.encoder is albert, got 2"),
        (["prepare", "encoder.counts=f"], "encoder.counts: expected '' unless encoder.checkpoint is given, got 'f'"),
        (["prepare", "vectors.kind=word2vec"], "vectors.kind: expected 'none' unless model.encoder is lstm or cnn"),
        (["prepare", "members=tagger,oracle"], "members: expected tagger or ngram_crf or soup, got 'oracle'"),
        (["prepare", "train.frozen_layers=9"], "train.frozen_layers: expected at most 4, the encoder's layers, got 9"),
        (
            ["prepare", "model.encoder=lstm", "train.optimiser=muon"],
            f"train.optimiser: expected {' or '.join(WITHOUT_MATRICES)} with model.encoder=lstm, got 'muon'",
        ),
        (
            ["prepare", "pretrain.objective=rtd", "encoder.checkpoint=/nowhere"],
            f"pretrain.objective: expected {' or '.join(WITHOUT_GENERATOR)} with encoder.checkpoint, got 'rtd'",
        ),
        (
            ["prepare", "model.encoder=auto"],
            "encoder.checkpoint: expected a folder with model.encoder=auto, which is what a checkpoint holds, got ''",
        ),
        (
            ["prepare", "pretrain.objective=mass", "model.encoder=modern"],
            f"pretrain.objective: expected {' or '.join(OF_ANY)} with model.encoder=modern, got 'mass'",
        ),
        (["prepare", "pretrain.generator_layers=0.5"], "pretrain.generator_layers: expected 0.25 unless"),
        (
            ["prepare", "pretrain.replaced_weight=10", "pretrain.objective=all_tokens"],
            "pretrain.replaced_weight: expected 50.0 unless pretrain.objective is rtd, got 10.0",
        ),
        (["prepare", "encoder.decoder_layers=1"], "encoder.decoder_layers: expected 2 unless model.encoder is mass"),
        (["prepare", "pretrain.fragment=0.3"], "pretrain.fragment: expected 0.5 unless pretrain.objective is mass"),
        (["prepare", "data.dir=/nowhere"], "/nowhere: expected a folder with train.txt and test.txt"),
        (["check", "one"], "check: expected SUBMISSION TEST"),
        (["predict", "one"], "predict: expected MODEL INPUT [OUTPUT]"),
        (["score", "/nowhere/a.txt", "/nowhere/b.txt"], "/nowhere/a.txt: expected a file"),
    ],
)
def test_a_mistake_gets_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_predict_refuses_a_folder_without_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in.txt"
    source.write_text("1_2_3", "utf-8")
    assert main(["predict", str(tmp_path), str(source), str(tmp_path / "out.txt")]) == 2
    assert "expected a blend, a finished run or a model" in capsys.readouterr().err
    assert not (tmp_path / "out.txt").exists()
