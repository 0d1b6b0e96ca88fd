"""A study is the same by however many workers and however often killed; a trial is run by one of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from fake_study import AXES, SPACE, TRIALS, Fake, outcome_of, settings_of
from study_processes import kill_after, ran, start

from daguan.core.errors import ConfigError, StoppedError
from daguan.core.runs import folder_lock
from daguan.pipeline.tuning import study as studies
from daguan.pipeline.tuning.optuna_study import importances, prunes
from daguan.pipeline.tuning.search import search
from daguan.pipeline.tuning.settings import Axis
from daguan.pipeline.tuning.space import Space
from daguan.pipeline.tuning.study import Study, Watch
from daguan.pipeline.tuning.trials import COMPLETE, FAILED, PRUNED, REPEATED, Outcome, Trial

FEW = 10
REPORTS = ("trials.json", "study.md", "history.svg", "importances.svg")


def reports(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in REPORTS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder, 1).wait() == 0
    return folder


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.open(tmp_path, SPACE, settings_of(1, trials=6), seed=7)


def test_killed_twice_and_resumed_it_has_the_same_tables(whole: Path, tmp_path: Path) -> None:
    for runs in (9, 20):
        kill_after(start(tmp_path, 2), tmp_path, runs)
    assert start(tmp_path, 1).wait() == 0
    assert reports(tmp_path) == reports(whole)
    assert set(ran(tmp_path)) == set(ran(whole))  # a trial that was cut short is run again as it was
    assert len(ran(tmp_path)) <= TRIALS + 4


def test_two_processes_run_each_trial_once(whole: Path, tmp_path: Path) -> None:
    both = [start(tmp_path, 1), start(tmp_path, 1)]
    assert [process.wait() for process in both] == [0, 0]
    assert Counter(ran(tmp_path)) == Counter(ran(whole))
    assert len({line.split()[0] for line in (tmp_path / "ran.txt").read_text("utf-8").splitlines()}) == 2
    assert reports(tmp_path) == reports(whole)


def test_two_machines_on_a_database_run_each_trial_once(whole: Path, tmp_path: Path) -> None:
    """Folders of their own, so they share nothing but the storage."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    folders = [tmp_path / "one" / "study", tmp_path / "two" / "study"]
    kill_after(start(folders[0], 1, storage, FEW), folders[0], 3)  # its running trial is its own to take up again
    both = [start(folder, 1, storage, FEW) for folder in folders]
    assert [process.wait() for process in both] == [0, 0]
    counts = Counter(ran(*folders))
    assert set(counts) == {line for line in ran(whole) if int(line.split()[0]) < FEW}
    assert counts.total() <= FEW + 1
    first = Study.open(whole, SPACE, settings_of(2), seed=7).trials()[:FEW]
    assert Study.open(folders[0], SPACE, settings_of(2, storage), seed=7).trials() == first


@pytest.fixture(scope="module")
def trials(whole: Path) -> list[Trial]:
    return Study.open(whole, SPACE, settings_of(2), seed=7).trials()


def test_pruned_and_failed_trials_are_recorded_and_the_study_goes_on(trials: list[Trial]) -> None:
    assert [trial.index for trial in trials] == list(range(TRIALS))
    states = Counter(trial.state for trial in trials)
    assert states[FAILED] == 3
    assert states[PRUNED] >= 1
    assert states[COMPLETE] + states[FAILED] + states[PRUNED] == TRIALS
    for trial in trials:
        if trial.state == FAILED:
            assert trial.reason == "rate: expected another, got this one"
        elif trial.state == PRUNED:
            assert max(trial.steps) < 100
        else:
            assert trial.outcome == outcome_of(trial)
            assert list(trial.steps) == [25, 50, 75, 100]


def test_a_trial_is_pruned_below_the_median_of_those_it_knows(trials: list[Trial]) -> None:
    for trial in trials:
        known = [other for other in trials if other.index <= trial.index - 2 and other.state == COMPLETE]
        for step in (25, 50, 75):
            if step in trial.steps and len(known) >= settings_of(2).startup:
                there = sorted(other.steps[step] for other in known)
                median = (there[len(there) // 2] + there[(len(there) - 1) // 2]) / 2
                assert (trial.state == PRUNED and step == max(trial.steps)) == (trial.steps[step] < median)


def test_a_fold_is_judged_by_what_others_had_on_it_alone() -> None:
    """On an easier one before, this trial was better than they are here."""
    known = [
        Trial(n, COMPLETE, {}, {50: 0.87, 100: 0.88, 150: 0.84, 200: 0.85 + n / 1000}, Outcome(0.87, 1.0))
        for n in range(4)
    ]
    assert prunes(known, {50: 0.86}, 2)
    good = {50: 0.87, 100: 0.88}
    assert not prunes(known, good, 2)
    assert prunes(known, {**good, 150: 0.7}, 2)
    assert not prunes(known, {**good, 150: 0.845, 200: 0.86}, 2)


def test_what_is_drawn_depends_on_seed_and_number_alone(tmp_path: Path) -> None:
    def drawn(name: str, seed: int) -> list[object]:
        study = Study.open(tmp_path / name, SPACE, settings_of(1, trials=8), seed)
        search(study, Fake(tmp_path / "ran.txt"), 1)
        return [trial.parameters for trial in study.trials()]

    assert drawn("one", 7) == drawn("two", 7) != drawn("three", 8)


def test_parameters_lie_in_the_space_and_conditions_hold(trials: list[Trial]) -> None:
    for trial in trials:
        drawn = trial.parameters
        assert 1e-4 <= drawn["rate"] <= 1e-1
        assert drawn["head"] in AXES["head"].choices
        assert drawn["layers"] in range(1, 10)
        assert type(drawn["layers"]) is int
        assert ("smoothing" in drawn) == (drawn["head"] in ("crf", "span"))
        assert drawn.get("smoothing", 0) in (0, 0.1, 0.2, pytest.approx(0.3), 0.4)
    assert len({str(trial.parameters) for trial in trials}) == TRIALS


def test_importances_are_shares_and_the_setting_that_decides_comes_first() -> None:
    def trial(index: int) -> Trial:
        drawn = {"rate": 1e-3 * (1 + index % 7), "layers": 1 + index % 9}
        return Trial(index, COMPLETE, drawn, outcome=Outcome(1 - abs(drawn["layers"] - 3) / 10, 1.0))

    trials = [trial(index) for index in range(60)]
    found = importances(SPACE, trials)
    assert list(found) == ["layers", "rate"]
    assert sum(found.values()) == pytest.approx(1)
    assert importances(SPACE, trials) == found
    assert importances(SPACE, trials[:3]) == {}


def test_with_two_objectives_draws_follow_the_seconds_too(study: Study, tmp_path: Path) -> None:
    settings = settings_of(1, trials=14).replace(objective="f1+seconds")
    study = Study.open(tmp_path / "both", SPACE, settings, seed=7)
    search(study, Fake(tmp_path / "ran.txt"), 1)
    trials = study.trials()
    assert [trial.outcome for trial in trials if trial.state == COMPLETE] == [
        outcome_of(trial) for trial in trials if trial.state == COMPLETE
    ]
    assert any(trial.state == PRUNED for trial in trials)
    alone = replace(study, store=Study.open(tmp_path / "f1", SPACE, settings_of(1), 7).store, folder=tmp_path / "f1")
    search(replace(alone, settings=settings_of(1, trials=14)), Fake(tmp_path / "ran.txt"), 1)
    known = settings.startup + 2  # one failed
    assert [trial.parameters for trial in alone.trials()][:known] == [trial.parameters for trial in trials][:known]
    assert [trial.parameters for trial in alone.trials()] != [trial.parameters for trial in trials]


def test_more_trials_continue_a_study(study: Study, tmp_path: Path) -> None:
    search(study, Fake(tmp_path / "ran.txt"), 1)
    first = study.trials()
    search(replace(study, settings=settings_of(1, trials=9)), Fake(tmp_path / "ran.txt"), 1)
    assert study.trials()[:6] == first
    assert len(study.trials()) == 9


def test_a_space_with_no_more_to_draw_repeats_nothing(tmp_path: Path) -> None:
    space = Space({"layers": Axis(low=1, high=3)}, frozenset({"layers"}))
    study = Study.open(tmp_path, space, settings_of(1, trials=8), seed=1)
    seen = []

    def run(trial: Trial, watch: Watch) -> Outcome:
        seen.append(trial.parameters["layers"])
        return Outcome(0.5, 1.0)

    search(study, run, 1)
    assert sorted(seen) == [1, 2, 3]
    assert [trial.state for trial in study.trials()[3:]] == [REPEATED] * 5
    assert all(trial.reason.startswith("the same as trial ") for trial in study.trials()[3:])


def test_a_trial_stopped_is_left_to_the_next_process(study: Study, tmp_path: Path) -> None:
    def stopped(trial: Trial, watch: Watch) -> Outcome:
        watch(25, 0.1)
        raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        search(study, stopped, 1)
    (left,) = study.trials()
    assert not left.finished
    search(study, Fake(tmp_path / "ran.txt"), 1)
    assert study.trials()[0].parameters == left.parameters
    assert study.trials()[0].finished


def test_no_trial_begins_before_those_it_waits_for_have_ended(study: Study) -> None:
    two = replace(study, settings=settings_of(2))
    with two.claimed() as first, two.claimed() as second, two.claimed() as third:
        assert first is not None
        assert second is not None
        assert (first.trial.index, second.trial.index, third) == (0, 1, None)


def test_a_silent_machine_loses_its_trial_and_what_it_says_later_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    here, there = (
        Study.open(tmp_path / name / "study", SPACE, settings_of(1, storage, trials=1), seed=7) for name in "ab"
    )
    with there.claimed() as lost:
        assert lost is not None
        with here.claimed() as none:
            assert none is None
        monkeypatch.setattr(studies, "SILENT_SECONDS", -1.0)
        with here.claimed() as taken:
            assert taken is not None
            assert (taken.trial, taken.number) == (lost.trial, lost.number + 1)
            assert not there.store.finish(lost, COMPLETE, Outcome(0.9, 1.0))
            assert here.store.finish(taken, COMPLETE, Outcome(0.5, 1.0))
    (trial,) = there.trials()
    assert trial.outcome == Outcome(0.5, 1.0)


def test_of_two_that_begin_the_same_trial_the_first_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines draw at the same moment."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    here, there = (
        Study.open(tmp_path / name / "study", SPACE, settings_of(1, storage, trials=1), seed=7) for name in "ab"
    )
    begin = type(here.store).begin

    def slow(store: object, *arguments: object) -> object:
        if store is here.store:
            with there.claimed() as record:
                assert record is not None
        return begin(store, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(here.store), "begin", slow)
    with here.claimed() as record:
        assert record is None
    assert len(here.trials()) == 1


def test_the_time_over_nothing_begins(study: Study, tmp_path: Path) -> None:
    search(replace(study, settings=study.settings.replace(timeout=1e-9)), Fake(tmp_path / "ran.txt"), 1)
    assert study.trials() == []


def test_a_storage_that_is_none_is_refused(tmp_path: Path) -> None:
    for storage in ("nonsense", "nonsense://x", f"sqlite:///{tmp_path}/no/such/folder/study.db"):
        with pytest.raises(ConfigError, match=r"^tune.storage: expected a database that answers, got: [^\n]*$"):
            Study.open(tmp_path / "study", SPACE, settings_of(1, storage), seed=7)


def test_a_trial_whose_folder_is_held_is_not_begun(study: Study) -> None:
    """Whoever holds it is at work on it, though another machine has given it up."""
    with folder_lock(study.folder_of(0), wait=False), study.claimed() as record:
        assert record is None
