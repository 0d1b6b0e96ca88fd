"""Advice follows from the worth of members, from how far they were trained, and from what a budget left out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pandas import DataFrame

from conftest import TINY
from daguan.cli.app import main
from daguan.core.files import write_json
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.report.advice import ADD, CHANGE, DROP, LONGER, Reasons, advice, missing_kinds, reasons
from daguan.report.trust import checked

WORTH: dict[str, Any] = {
    "how": "stack",
    "without": {"bad": -0.01, "weak": 0.001, "cut": 0.02, "good": 0.03, "cheap": 0.02},
    "interval": {"bad": [-0.02, -0.005], "weak": [-0.004, 0.006]}
    | {name: [0.01, 0.04] for name in ("cut", "good", "cheap")},
}
MODELS = DataFrame({"name": ["blend", *WORTH["without"]], "seconds": [5.0, 60.0, 60.0, 600.0, 60.0, 60.0]})
JOBS = DataFrame(
    [
        (name, "fine-tuning", done, 100)
        for name, done in (("bad", 10), ("weak", 100), ("cut", 40), ("cut", 60), ("good", 100), ("cheap", 50))
    ],
    columns=["run", "stage", "updates", "most_updates"],
)


def test_each_member_gets_the_advice_that_its_figures_say() -> None:
    found = advice(MODELS, WORTH, JOBS, Reasons(left_out={"late": "its time was over"}, kinds={"transformer_xl": "xl"}))
    given = dict(zip(found["member"], found["advice"], strict=True))
    assert given == {
        "cheap": LONGER, "cut": LONGER, "bad": DROP, "late": ADD, "transformer_xl": ADD,
    }  # fmt: skip
    whys = found.set_index("member")["why"]
    assert whys["late"] == "its time was over"
    assert whys["transformer_xl"] == "no member is of this kind; 'xl' of configs/cpu_1h.yaml is"
    assert whys["cut"] == "its folds did 100 of the 200 updates that its settings ask for"


def test_a_member_may_be_trained_longer_for_several_reasons_and_changed_but_not_if_it_is_to_be_dropped() -> None:
    said = {name: ["its pretraining was short", "its epochs were few"] for name in ("bad", "cut", "good")}
    found = advice(MODELS, WORTH, JOBS, Reasons(short=said, changes={"bad": "so", "good": "so"}))
    given = {(row.member, row.advice): row.why for row in found.itertuples() if row.member != "cheap"}
    few = "its pretraining was short; its epochs were few"
    assert given == {
        ("bad", DROP): "the blend is better without it; or train it longer: "
        f"its folds did 10 of the 100 updates that its settings ask for; {few}",
        ("cut", LONGER): f"its folds did 100 of the 200 updates that its settings ask for; {few}",
        ("good", LONGER): few,
        ("good", CHANGE): "so",
    }


def test_what_gives_most_a_minute_comes_first() -> None:
    found = advice(MODELS, WORTH, JOBS, Reasons())
    rates = (found["worth"] / found["minutes"]).tolist()
    assert all(first >= second for first, second in pairwise(rates))


@pytest.mark.parametrize(("low", "expected"), [(-0.001, ["weak"]), (0.0005, [])])
def test_of_members_that_do_no_harm_one_is_to_be_dropped_if_its_worth_is_not_shown(
    low: float, expected: list[str]
) -> None:
    others = {name: value for name, value in WORTH["without"].items() if name != "bad"}
    ends = {name: WORTH["interval"][name] for name in others} | {"weak": [low, 0.006]}
    found = advice(MODELS, {"how": "stack", "without": others, "interval": ends}, JOBS, Reasons())
    assert found[found["advice"] == DROP]["member"].tolist() == expected


def test_kinds_of_the_preset_that_no_run_is_of_are_named(tmp_path: Path) -> None:
    modern = {"family": "tagger", "model": {"encoder": "modern"}}
    for name, depends_on in (("modern", modern), ("crf", {"family": "ngram_crf"})):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "manifest.json", {"depends_on": depends_on})
    assert missing_kinds([tmp_path / "modern", tmp_path / "crf"]) == {
        "transformer_xl": "transformer_xl", "tagger without a pretrained encoder": "cnn",
    }  # fmt: skip


@pytest.mark.parametrize(("epochs", "passes"), [(3, 2.0), (10, 2.0), (3, 20.0), (12, 21.0)])
def test_what_settings_give_a_member_is_compared_with_what_is_of_use(
    contest: Path, tmp_path: Path, epochs: int, passes: float
) -> None:
    places = [f"data.{name}={path}" for name, path in (("dir", contest), ("work", tmp_path))]
    words = [*TINY, "members=[tagger,ngram_crf]", *places, f"train.epochs={epochs}"]
    assert main(["prepare", *words]) == 0
    tokens = Stages(load(words)).prepare.manifest()["report"]["corpus"]["tokens"]
    stages = Stages(load([*words, f"pretrain.tokens={round(passes * tokens)}"]))
    for run in stages.members:
        run.path.mkdir()
        family = run.path.name.rpartition("-")[0]
        write_json(run.path / "manifest.json", {"depends_on": {"family": family, "model": {"encoder": "bert"}}})
    found = reasons(stages, {"late": "why"})
    crf, tagger = (run.path.name for run in stages.members)
    few = ["its folds read their lines 3 times (train.epochs), in cpu_1h up to 10 times"] if epochs == 3 else []
    short = ["its pretraining read the text 2.0 times (pretrain.tokens); up to 20 are of use"] if passes == 2 else []
    assert found.short == {tagger: [*short, *few], crf: []}
    assert found.changes.keys() == {crf}
    assert found.left_out == {"late": "why"}


@pytest.mark.parametrize("seed", range(5))
def test_advice_is_checked_on_the_fold_that_it_does_not_know(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = {f"m{number}": rng.normal(size=5).tolist() for number in range(4)}
    gains, drawn = [], []
    for fold in range(5):
        others = {name: sum(one for other, one in enumerate(row) if other != fold) for name, row in table.items()}
        gains.append(-table[min(others, key=lambda name: others[name])][fold])
        drawn.append(-sum(row[fold] for row in table.values()) / 4)
    found = checked(table)
    assert found is not None
    assert found["advised"] == pytest.approx(sum(gains) / 5)
    assert found["random"] == pytest.approx(sum(drawn) / 5)
    assert found["better"] == sum(ours > other for ours, other in zip(gains, drawn, strict=True)) / 5


def test_two_members_leave_no_choice_to_check() -> None:
    assert checked({"a": [0.1, 0.2], "b": [0.0, 0.1]}) is None
    assert checked({}) is None
