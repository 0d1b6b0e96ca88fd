"""`estimate` prints a row for each stage, and refuses figures that say nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daguan.cli.app import main

STATED = ["estimate", "base12", "--size", "17000,3000,93e6", "--tflops", "300"]


def test_the_official_contest_on_gpus_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "stages.csv"
    assert main([*STATED, "--gpus", "1", "--json", "--csv", str(table)]) == 0
    one = json.loads(capsys.readouterr().out)
    names = [stage["stage"] for stage in one["stages"]]
    assert names == ["prepare", "pretrain", "train", "blend", "submit"]
    assert one["seconds"] == pytest.approx(sum(stage["seconds"] for stage in one["stages"]))
    assert [line.split(",")[0] for line in table.read_text("utf-8").splitlines()] == ["stage", *names]
    assert main([*STATED, "--gpus", "8"]) == 0
    said = capsys.readouterr().out
    assert "17,000 labelled lines" in said
    assert "GPU memory" in said
    assert not any(tmp_path.glob("data"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpus", "2"], "--gpus: expected --tflops or --tokens-per-second beside it"),
        (["--tflops", "9", "--tokens-per-second", "9"], "--tokens-per-second: expected nothing beside --tflops"),
        (["--size", "1,1,0", "--tflops", "9"], "--size: expected LINES,TEST,CORPUS"),
        (["--size", "9,9", "--tflops", "9"], "--size: expected LINES,TEST,CORPUS"),
        (["--size", "9,9,inf", "--tflops", "9"], "--size: expected LINES,TEST,CORPUS"),
    ],
)
def test_figures_that_say_nothing(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
