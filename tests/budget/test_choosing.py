"""The planner on made-up data and rates: what it chooses is paid for, and more time or speed never buys less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.budget.choosing import STEP, Choice, choose, rounded_down, two_digits
from daguan.budget.costs import Facts, MemberRates, Pretraining, Rates, Work, makespan, seconds_of
from daguan.commands.budget import changes_of, tell
from daguan.commands.settings import Settings
from daguan.commands.workload import starts, work_of
from daguan.core.settings import load, vary

CONFIGS = Path(__file__).parents[2] / "configs"
PRESETS = ("cpu_1h", "cpu_night", "gpu_day")
RATES = {"encoder": 2_000.0, "cnn": 3_000.0, "ngram_crf": 300_000.0}  # as on two AMD cores, of an encoder of 4 layers
LABELLING = {"encoder": 8_000.0, "cnn": 12_000.0, "ngram_crf": 40_000.0}


def facts(lines: int, length: int, text: int = 0, types: int = 3, test: int = 3_000) -> Facts:
    """Lines all of one length; as much other text as is said."""
    tokens = lines * length
    return Facts(lines, tokens, test, test * length, length, types, text + tokens + test * length, 6_000)


CONTESTS = {
    "1,000 lines": facts(1_000, 45, 2_000_000, types=10, test=500),
    "4,000 lines": facts(4_000, 45, 2_000_000),
    "6,000 lines": facts(6_000, 45, 2_000_000),
    "no corpus": facts(6_000, 45),
    "17,000 lines and much text": facts(17_000, 40, 100_000_000),
    "45,000 lines": facts(45_000, 50, 2_000_000),
    "45,000 long lines": facts(45_000, 1_000, 2_000_000),
    "lines of 2,400 tokens": facts(2_000, 2_400, 1_000_000, test=500),
    "tiny": facts(20, 10, test=5),
}


def rungs_of(name: str) -> list[Settings]:
    asked = load(Settings, CONFIGS / f"{name}.yaml", ["engine.device=cpu", "engine.workers=2"])
    return [vary(asked, rung, f"rung {number}") for number, rung in enumerate(asked.budget.rungs)]


def rates_of(rungs: list[Settings], speed: float = 1.0) -> Rates:
    """Of every member of the rungs; those of a larger encoder are slower as its layers are wider."""

    def kind(name: str, rung: Settings) -> str:
        member = rung.member(name)
        return "ngram_crf" if member.family == "ngram_crf" else "cnn" if member.model.encoder == "cnn" else "encoder"

    def slower(rung: Settings) -> float:
        return rung.encoder.layers * rung.encoder.hidden**2 / (4 * 256**2)

    members = {}
    for rung in rungs:
        for name in rung.members:
            of = kind(name, rung)
            share = speed / (slower(rung) if of == "encoder" else 1)
            members[name] = MemberRates(RATES[of] * share, LABELLING[of] * share)
    named = {name: rung for rung in rungs for name, _ in starts(rung)}
    pretraining = {name: 4_300 * speed / slower(rung) for name, rung in named.items()}
    return Rates(500_000 * speed, 3e6 * speed, pretraining, dict.fromkeys(named, 100000.0 * speed), members)


def limit_of(rungs: list[Settings]) -> float:
    return 60 * rungs[0].budget.share * rungs[0].budget.minutes - 90


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("contest", CONTESTS)
def test_every_contest_gets_a_plan_within_the_minutes_whose_settings_go_together(preset: str, contest: str) -> None:
    rungs = rungs_of(preset)
    works, rates = [work_of(rung) for rung in rungs], rates_of(rungs)
    choice = choose(works, CONTESTS[contest], rates, limit_of(rungs), rungs[0].budget.passes)
    assert choice.fits
    assert sum(choice.seconds.values()) <= limit_of(rungs)
    assert choice.tokens <= rungs[0].budget.passes * CONTESTS[contest].text_tokens
    asked = load(Settings, CONFIGS / f"{preset}.yaml", ["engine.device=cpu", "engine.workers=2"])
    made = vary(asked, changes_of(asked, choice), "the plan")
    assert "ngram_crf" in made.members
    assert (made.budget.minutes, made.pretrain.tokens > 0) == (0, True)
    assert choose(works, CONTESTS[contest], rates, limit_of(rungs), rungs[0].budget.passes) == choice


def test_fewer_lines_get_more_members_and_epochs() -> None:
    rungs = rungs_of("cpu_1h")
    works, rates = [work_of(rung) for rung in rungs], rates_of(rungs)
    sizes = ("1,000 lines", "4,000 lines", "6,000 lines", "45,000 lines", "45,000 long lines")
    chosen = [choose(works, CONTESTS[size], rates, limit_of(rungs), 20).rung for size in sizes]
    assert chosen == sorted(chosen)
    assert chosen[0] == 0
    assert {"modern_crf", "cnn", "ngram_crf"} <= set(rungs[chosen[2]].members)
    assert rungs[chosen[3]].folds.lines == 0
    assert rungs[chosen[4]].folds.lines > 0


@given(st.sampled_from(list(CONTESTS.values())), st.floats(60, 40_000), st.floats(1, 3))
def test_more_minutes_never_buy_less(data: Facts, limit: float, more: float) -> None:
    one, other = (choose(WORKS, data, ONE_HOUR, seconds, 20) for seconds in (limit, more * limit))
    assert other.rung <= one.rung
    assert other.rung < one.rung or other.tokens >= one.tokens


@given(st.sampled_from(list(CONTESTS.values())), st.floats(60, 40_000), st.floats(1, 3))
def test_a_faster_machine_never_gets_a_poorer_rung(data: Facts, limit: float, faster: float) -> None:
    one, other = choose(WORKS, data, ONE_HOUR, limit, 20), choose(WORKS, data, rates_of(RUNGS, faster), limit, 20)
    assert other.rung <= one.rung
    assert other.rung < one.rung or other.tokens >= one.tokens


def test_pretraining_takes_the_whole_rest_up_to_the_passes() -> None:
    rest = limit_of(RUNGS) - sum(chosen("6,000 lines").seconds.values())
    assert 0 <= rest <= 0.1 * limit_of(RUNGS)  # what the second digit leaves
    assert chosen("tiny").tokens == 20 * CONTESTS["tiny"].text_tokens


def chosen(contest: str, limit: float = 0.0) -> Choice:
    return choose(WORKS, CONTESTS[contest], ONE_HOUR, limit or limit_of(RUNGS), 20)


def test_no_time_gets_the_poorest_rung_and_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    choice = chosen("45,000 lines", limit=1.0)
    assert (choice.rung, choice.fits) == (len(RUNGS) - 1, False)
    tell(RUNGS[-1], choice, len(RUNGS), 1.0, 9.0)
    assert "even the poorest rung is reckoned to take 9 of 1 minutes" in capsys.readouterr().err


def test_the_costs_of_a_small_work_by_hand() -> None:
    data = Facts(100, 1_000, 50, 400, 10, 2, 5_000, 30)
    rates = Rates(1_000, 2_500, {"e": 50}, {"w": 100}, {"m": MemberRates(10, 20)})
    member = work_of(RUNGS[0]).members[0]
    work = Work(2, 50, 1, (replace(member, name="m", passes=3, labellings=2),), (Pretraining("e", 100, True),), ())
    seconds = seconds_of(work, data, rates)
    fold = 6 + (500 + 400) / 1_000 + 3 * 250 / 10 + (2 * 250 + 400) / 20  # half of the lines take part
    assert seconds["prepare"] == pytest.approx(6 + 1.4 + 2)
    assert seconds["pretrain"] == pytest.approx(6 + 2)
    assert seconds["train"] == pytest.approx(6 + 2 * fold)
    with_vectors = replace(work, vectors=(("w", 1_000, 5), ("w", 0, 1)))
    assert seconds_of(with_vectors, data, rates)["pretrain"] == pytest.approx(6 + 2 + 50 + 50)


@given(st.lists(st.floats(0, 100), max_size=12), st.integers(1, 4))
def test_workers_share_the_jobs_in_order(jobs: list[float], workers: int) -> None:
    seconds = makespan(jobs, workers)
    assert max(sum(jobs) / workers, max(jobs, default=0)) <= seconds + 1e-6
    assert seconds <= sum(jobs) / workers + max(jobs, default=0) + 1e-6
    assert makespan([job / 2 for job in jobs], workers) <= seconds


@given(st.floats(1e-3, 1e9))
def test_rates_are_rounded_down_by_less_than_a_step(rate: float) -> None:
    assert rate / STEP / 1.01 <= rounded_down(rate) <= rate * 1.005


@given(st.integers(0, 10**12))
def test_two_digits_are_kept(number: int) -> None:
    rounded = two_digits(number)
    assert rounded <= number <= rounded * 1.1 + 1
    assert len(str(rounded).rstrip("0")) <= 2


RUNGS = rungs_of("cpu_1h")
WORKS = [work_of(rung) for rung in RUNGS]
ONE_HOUR = rates_of(RUNGS)
