"""The table of stages and the names of members."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import daguan
from conftest import TINY
from daguan.core.errors import ConfigError
from daguan.core.settings import is_section
from daguan.families.member import MemberSettings
from daguan.pipeline.settings import load
from daguan.pipeline.stages import RESERVED, Stages, decided
from daguan.training import devices
from daguan.training.engine_settings import EngineSettings

FOLDER = re.compile(r'run_of\([^"]*?, f?"([a-z]+)')


def test_every_run_s_folder_is_reserved() -> None:
    texts = [path.read_text("utf-8") for path in Path(daguan.__file__).parent.rglob("*.py")]
    assert {name for text in texts for name in FOLDER.findall(text)} < set(RESERVED)


@pytest.mark.parametrize("name", [*RESERVED, *(f"{name}-x" for name in RESERVED), "blend-small-2", "budget-"])
def test_no_member_has_the_name_of_another_run_s_folder_or_one_that_begins_so(name: str) -> None:
    with pytest.raises(ConfigError, match=f"ensemble: expected names other than prepare, .*, got '{name}'"):
        Stages(load([f"ensemble={{{name}: {{seed: 2}}}}"]))


@pytest.mark.parametrize("name", ["small-blend", "blend_small", "blender", "x-budget", "-"])
def test_a_member_s_name_may_hold_such_a_name_elsewhere(name: str) -> None:
    Stages(load([f"ensemble={{{name}: {{seed: 2}}}}"]))


@pytest.mark.parametrize(("dtype", "word"), [(torch.bfloat16, "bf16"), (torch.float32, "float32")])
def test_jobs_are_given_the_precision_that_auto_means_here(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, word: str
) -> None:
    monkeypatch.setattr(devices, "_faster_dtype", lambda device_type: dtype)
    assert decided(EngineSettings(device="cpu", threads=2)) == EngineSettings(device="cpu", threads=2, precision=word)


# a value of each setting of a member that is in no section, other than the default and as TINY's two folds take it
ALONE = {"seed": "3", "updates": "[3, 4]"}
TEAM = [
    "members=[tagger, ngram_crf, pupil, mix]",
    "ensemble.pupil={pseudo_labels: {teachers: [ngram_crf], weight: 1}}",
    "ensemble.mix={family: soup, soup: {members: [pupil]}}",
]


def test_each_setting_of_a_member_that_is_in_no_section_has_a_value_here() -> None:
    alone = {name for name, field in MemberSettings.model_fields.items() if not is_section(field.annotation)}
    assert alone == {"family", *ALONE}


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("member", ["tagger", "ngram_crf", "pupil", "mix"])
def test_they_are_part_of_the_name_of_its_run_and_of_those_that_are_made_from_it(
    contest: Path, tmp_path: Path, member: str, name: str
) -> None:
    words = [*TINY, *TEAM, f"data.dir={contest}", f"data.work={tmp_path}"]
    plain, changed = (Stages(load([*words, *more])).train(member).path for more in ([], [f"{name}={ALONE[name]}"]))
    assert plain != changed


def test_the_updates_of_each_fold_are_part_of_the_name(contest: Path, tmp_path: Path) -> None:
    words = [*TINY, f"data.dir={contest}", f"data.work={tmp_path}"]
    counts = ("[]", "[3, 4]", "[4, 3]", "[4, 4]")
    assert len({Stages(load([*words, f"updates={count}"])).train("tagger").path for count in counts}) == len(counts)
