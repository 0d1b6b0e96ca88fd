"""The page of a study shows all trials, what the settings are worth, and asks for nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from daguan.pipeline.tuning.optuna_study import importances
from daguan.pipeline.tuning.settings import Axis, TuneSettings
from daguan.pipeline.tuning.space import Space
from daguan.pipeline.tuning.study import Study
from daguan.pipeline.tuning.trials import COMPLETE, FAILED, PRUNED, Outcome, Trial
from daguan.report import study_plots
from daguan.report.study_page import study_page
from report_pages import Scripts

AXES = {
    "train.rate": Axis(low=1e-4, high=1e-2, log=True),
    "train.epochs": Axis(low=2, high=10, step=2),
    "model.head": Axis(choices=("crf", "softmax")),
    "model.loss": Axis(choices=(0.0, 0.5), when={"model.head": "softmax"}),
}
SPACE = Space(AXES, frozenset({"train.epochs"}))


def trial(index: int) -> Trial:
    head = ("crf", "softmax")[index % 2]
    parameters = {"train.rate": 1e-4 * 10 ** (index / 6), "train.epochs": 2 + 2 * (index % 5), "model.head": head}
    parameters |= {"model.loss": 0.5} if head == "softmax" else {}
    f1 = 0.5 + 0.02 * (index % 5) + 0.001 * index
    return Trial(index, COMPLETE, parameters, {50: f1 - 0.1, 100: f1}, Outcome(f1, 20.0 + index))


TRIALS = [
    *(trial(index) for index in range(12)),
    replace(trial(12), state=PRUNED, outcome=None),
    replace(trial(13), state=FAILED, outcome=None, steps={}, reason="<b>the loss</b> was no number"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study.open(tmp_path_factory.mktemp("study"), SPACE, TuneSettings(trials=14), seed=3)


@pytest.fixture(scope="module")
def page(study: Study) -> str:
    return study_page(study, TRIALS, ["tune.yaml", "seed=3"], 0.51).html()


def test_every_trial_has_a_row_with_its_settings(page: str) -> None:
    table = page[page.index('aria-label="All trials"') :]
    rows = re.findall(r"<tr.*?</tr>", table[: table.index("</table>")], re.DOTALL)[1:]
    assert len(rows) == len(TRIALS)
    for row, one in zip(rows, TRIALS, strict=True):
        cells = re.findall(r"<bdi>(.*?)</bdi>", row)
        assert cells[:2] == [str(one.index), one.state]
        assert {study_plots.text_of(value) for value in one.parameters.values()} <= set(cells)


def test_the_best_trial_and_its_score_elsewhere_are_at_the_top(page: str) -> None:
    top = page[page.index('<dl class="cards">') : page.index("</dl>")]
    assert "59.10" not in top
    best = max((one for one in TRIALS if one.outcome), key=lambda one: one.outcome.f1 if one.outcome else 0)
    assert best.outcome is not None
    assert f"{100 * best.outcome.f1:.2f}" in top
    assert "51.00" in top


def test_importances_are_optunas_in_its_order(page: str) -> None:
    table = page[page.index('aria-label="Importance of each setting"') :]
    named = re.findall(r"<td class=\"text\".*?<bdi>(.*?)</bdi>", table[: table.index("</table>")])
    assert named == [*importances(SPACE, TRIALS)]


def test_each_setting_has_a_plot_and_the_page_has_no_other_script(page: str) -> None:
    parser = Scripts()
    parser.feed(page)
    assert len(parser.scripts) == 1
    assert "b" not in parser.tags[parser.tags.index("main") :]
    for path in AXES:
        assert f"F1 by {path}" in page
    assert page.count("<svg") == 5 + len(AXES)


@pytest.mark.parametrize("path", AXES)
def test_axes_run_from_0_to_1(path: str) -> None:
    axis = AXES[path]
    ends = (axis.choices[0], axis.choices[-1]) if axis.choices else (axis.low, axis.high)
    assert [study_plots.place(axis, end) for end in ends] == [0, 1]
    if axis.log:
        assert study_plots.place(axis, (axis.low * axis.high) ** 0.5) == pytest.approx(0.5)
