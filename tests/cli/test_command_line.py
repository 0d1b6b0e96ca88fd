"""The command line: help is quick, mistakes get one clear line and exit code 2, nothing is half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from daguan.__main__ import COMMANDS, main


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "daguan", *words], capture_output=True, text=True, check=False)


def test_help_names_every_command_and_loads_no_torch() -> None:
    answer = call("--help")
    assert answer.returncode == 0
    assert all(command in answer.stdout for command in COMMANDS)
    code = "import sys; import daguan.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepaer"], "prepaer: no such command"),
        (["prepare", "nowhere.yaml"], "nowhere.yaml: expected a configuration file"),
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
            "train.optimiser: expected adamw or radam with model.encoder=lstm, got 'muon'",
        ),
        (
            ["prepare", "pretrain.objective=rtd", "encoder.checkpoint=/nowhere"],
            "pretrain.objective: expected mlm, alone or with + with encoder.checkpoint, got 'rtd'",
        ),
        (
            ["prepare", "model.encoder=auto"],
            "encoder.checkpoint: expected a folder with model.encoder=auto, which is what a checkpoint holds, got ''",
        ),
        (
            ["prepare", "pretrain.objective=mass", "model.encoder=modern"],
            "pretrain.objective: expected mlm or mlm+sop or mlm+nsp or rtd or all_tokens with model.encoder=modern",
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
        (["predict", "one"], "predict: expected MODEL INPUT OUTPUT"),
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
