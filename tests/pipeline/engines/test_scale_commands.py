"""The commands of docs/scale.md are ones that daguan accepts, and several devices make the runs that one makes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from string import Template

import pytest

from conftest import TINY
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages

PAGE = (Path(__file__).parents[3] / "docs" / "scale.md").read_text("utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Returns the words that each command gives to `load`, with the page's variables in their place."""
    found = []
    for block in BLOCKS:
        variables = dict(re.findall(r'^(\w+)="(.*)"$', block, re.MULTILINE))
        text = Template(block).safe_substitute(variables)
        found += re.findall(r"(?:daguan (?:prepare|pretrain|run)|pipeline\.job_files) ([^#>\n]+)", text)
    return found


@pytest.mark.parametrize("words", commands())
def test_every_command_of_the_page_has_settings_that_exist(words: str) -> None:
    assert load(shlex.split(words)).data.dir == "FOLDER"


def test_the_page_has_the_full_contest_in_each_way() -> None:
    everywhere = [load(shlex.split(words)) for words in commands() if words.startswith("base12")]
    assert {(one.engine.kind, one.engine.devices) for one in everywhere} == {
        (kind, devices) for kind in ("local", "ray") for devices in (1, 8)
    }


def test_a_pretraining_by_several_devices_is_the_one_that_a_run_looks_for(contest: Path, tmp_path: Path) -> None:
    words = [*TINY, f"data.dir={contest}", f"data.work={tmp_path}"]
    alone, together = (Stages(load([*words, *more])) for more in ([], ["engine.devices=8", "train.accumulation=8"]))
    assert alone.pretrain("tagger") == together.pretrain("tagger")
    assert alone.train("tagger") != together.train("tagger")
