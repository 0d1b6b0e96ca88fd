"""The planner on made-up data and rates: what it chooses is paid for, and more time or speed never buys less."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.settings import load, vary
from daguan.families.family import Cost
from daguan.pipeline.budget.choosing import STEP, Choice, choose, rounded_down, two_digits
from daguan.pipeline.budget.costs import (
    BLENDING,
    JUDGED,
    JUDGING,
    ORDERING,
    Facts,
    MemberRates,
    Pretraining,
    Rates,
    Work,
    bytes_of,
    fold_seconds,
    makespan,
    seconds_of,
)  # fmt: skip
from daguan.pipeline.budget.plan import changes_of, tell, workers_of
from daguan.pipeline.budget.workload import safest_first, starts, work_of
from daguan.pipeline.settings import Settings
from daguan.training.engine_settings import EngineSettings

CONFIGS = Path(__file__).parents[3] / "configs"
PRESETS = ("cpu_1h", "cpu_night", "gpu_day")
RATES = {"encoder": 2_000.0, "cnn": 3_000.0, "ngram_crf": 300_000.0}  # as on two AMD cores, of an encoder of 4 layers
LABELLING = {"encoder": 8_000.0, "cnn": 12_000.0, "ngram_crf": 40_000.0}


def facts(lines: int, length: int, text: int = 0, types: int = 3, test: int = 3_000) -> Facts:
    """Lines all of one length; as much other text as is said."""
    tokens = lines * length
    added = {"recombination": 1.0, "entity_swap": 0.8, "field_dropping": 0.5, "shuffling": 0.5}
    text += tokens + test * length
    return Facts(lines, tokens, test, test * length, length, types, text, 6_000, added, tokens // 25)


GRID = {
    f"{lines} lines of {length}, {types} types, {lines // share} test": facts(lines, length, 0, types, lines // share)
    for lines in (1_000, 4_000, 17_000, 45_000)
    for length in (40, 200, 1_000, 2_400)
    for types in (3, 10)
    for share in (5, 2)
}
ROOM = 0.8 * 24 * 2**30
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


@cache
def asked_of(preset: str) -> Settings:
    return load(Settings, CONFIGS / f"{preset}.yaml", ["engine.device=cpu", "engine.workers=2"])


@cache
def rungs_of(preset: str) -> list[Settings]:
    asked = asked_of(preset)
    return [safest_first(vary(asked, rung, f"rung {number}")) for number, rung in enumerate(asked.budget.rungs)]


@cache
def works_of(preset: str) -> list[Work]:
    return [work_of(rung) for rung in rungs_of(preset)]


@cache
def rates_of(preset: str) -> Rates:
    """Returns made-up rates of every member of the rungs; a wider encoder is slower."""
    size = asked_of(preset).encoder
    slower = size.layers * size.hidden**2 / (4 * 256**2)
    members, begun = {}, {}
    for rung in rungs_of(preset):
        begun |= dict.fromkeys(starts(rung), 4_300 / slower)
        for name in rung.members:
            kind = name if name in RATES else "cnn" if name.startswith("cnn") else "encoder"
            share = 1 / slower if kind == "encoder" else 1.0
            members[name] = MemberRates(RATES[kind] * share, LABELLING[kind] * share, 6)
    return Rates(500_000, 3e6, begun, dict.fromkeys(begun, 1e5), members)


def faster(rates: Rates, times: float) -> Rates:
    def all_of(some: dict[str, float]) -> dict[str, float]:
        return {name: rate * times for name, rate in some.items()}

    members = {
        name: replace(one, training=one.training * times, labelling=one.labelling * times)
        for name, one in rates.members.items()
    }
    numbering, reading = rates.numbering * times, rates.reading * times
    return Rates(reading, numbering, all_of(rates.pretraining), all_of(rates.vectors), members)


def limit_of(preset: str) -> float:
    budget = asked_of(preset).budget
    return 60 * budget.share * budget.minutes - 90


def chosen(contest: str, preset: str = "cpu_1h", limit: float = 0.0) -> Choice:
    passes = asked_of(preset).budget.passes
    return choose(works_of(preset), CONTESTS[contest], rates_of(preset), limit or limit_of(preset), passes)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("contest", CONTESTS)
def test_every_contest_gets_a_plan_within_the_minutes_whose_settings_go_together(preset: str, contest: str) -> None:
    asked, choice = asked_of(preset), chosen(contest, preset)
    assert choice.fits
    assert sum(choice.seconds.values()) <= limit_of(preset)
    assert choice.tokens <= asked.budget.passes * CONTESTS[contest].text_tokens
    made = vary(asked, changes_of(asked, choice), "the plan")
    assert "ngram_crf" in made.members
    assert made.budget.minutes == 0
    assert choice == chosen(contest, preset)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_rung_is_taken_by_some_contest_in_some_time(preset: str) -> None:
    """In as much as the rung costs: all before it cost more there."""
    works, rates = works_of(preset), rates_of(preset)
    caps = sorted({work.lines for work in works if work.lines})
    contests = [CONTESTS["45,000 lines"], *(facts(lines, 1_000, test=lines // 3) for lines in caps)]
    limits = [(data, sum(seconds_of(work, data, rates).values())) for data in contests for work in works]
    assert {choose(works, data, rates, limit, 20).rung for data, limit in limits} == set(range(len(works)))


@pytest.mark.parametrize("data", GRID.values(), ids=GRID)
@pytest.mark.parametrize("preset", ["cpu_1h", "cpu_night"])
def test_the_time_is_used_or_everything_is_taken(preset: str, data: Facts) -> None:
    """On a machine of 24 GiB. What has 54 M test tokens to read, label and blend fits neither into it nor into an hour:
    then nothing does."""
    works, rates, passes, limit = works_of(preset), rates_of(preset), asked_of(preset).budget.passes, limit_of(preset)
    choice = choose(works, data, rates, limit, passes, ROOM)
    seconds = [sum(seconds_of(work, data, rates).values()) for work in works]
    fitting = [cost <= limit and bytes_of(work, data) <= ROOM for work, cost in zip(works, seconds, strict=True)]
    used = sum(choice.seconds.values())
    assert choice.fits == any(fitting)
    assert choice.fits == (used <= limit and choice.bytes <= ROOM)
    if data.test_tokens > 50_000_000:
        return
    everything = choice.rung == 0 and choice.tokens == passes * data.text_tokens
    assert choice.fits
    assert used >= 0.65 * limit or everything


def capped_of(preset: str) -> list[Work]:
    """The rungs of fewer lines, and those of the n-gram CRF alone."""
    return [work for work in works_of(preset) if work.lines or len(work.members) == 1]


def worth(work: Work, lines: int) -> tuple[int, int]:
    """Returns the worth of a rung with a limit on lines, as cpu_1h.yaml explains it.

    Two members equal the n-gram CRF alone with three times the lines; at equal worth, two members come first.
    """
    taking_part = min(work.lines or lines, lines)
    return (3 * taking_part if len(work.members) == 2 else taking_part, len(work.members))


@pytest.mark.parametrize("preset", ["cpu_1h", "cpu_night"])
def test_capped_rungs_go_from_rich_to_poor(preset: str) -> None:
    worths = [worth(work, 45_000) for work in capped_of(preset)]
    assert worths == sorted(worths, reverse=True)


@pytest.mark.parametrize("data", GRID.values(), ids=GRID)
@pytest.mark.parametrize("preset", ["cpu_1h", "cpu_night"])
def test_of_capped_rungs_none_that_fits_is_worth_more_than_what_is_taken(preset: str, data: Facts) -> None:
    """Also where caps are above the lines of the contest."""
    capped, rates, lines = capped_of(preset), rates_of(preset), data.train_lines
    costs = [sum(seconds_of(work, data, rates).values()) for work in capped]
    for limit in costs:
        taken = capped[choose(capped, data, rates, limit, 1e9).rung]
        fitting = [work for work, cost in zip(capped, costs, strict=True) if cost <= limit]
        assert worth(taken, lines) == max(worth(work, lines) for work in fitting)


def test_rungs_that_are_the_same_on_the_data_stand_where_the_last_does() -> None:
    data, rung = CONTESTS["4,000 lines"], WORKS[0]
    alone = replace(rung, members=tuple(one for one in rung.members if one.name == "ngram_crf"))
    works = [replace(alone, lines=5_000), replace(rung, lines=3_000), replace(alone, lines=4_000), rung]
    assert choose(works, data, ONE_HOUR, 1e9, 20).rung == 1
    assert choose([*works, replace(rung, lines=9_000)], data, ONE_HOUR, 1e9, 20).rung == 1
    assert choose(works[:1] + works[2:3], data, ONE_HOUR, 1e9, 20).rung == 1


@pytest.mark.parametrize("data", GRID.values(), ids=GRID)
def test_less_memory_gets_a_later_rung_or_none(data: Facts) -> None:
    choice, sizes = choose(WORKS, data, ONE_HOUR, 1e9, 20), [bytes_of(work, data) for work in WORKS]
    assert choice.bytes == pytest.approx(sizes[choice.rung])
    less = choose(WORKS, data, ONE_HOUR, 1e9, 20, choice.bytes - 1)
    assert less.rung > choice.rung
    assert less.fits == (less.bytes < choice.bytes)
    none = choose(WORKS, data, ONE_HOUR, 1e9, 20, min(sizes) - 1)
    assert (none.rung, none.fits) == (len(WORKS) - 1, False)


def test_the_bytes_of_a_small_work_by_hand() -> None:
    data = Facts(100, 1_000_000, 50, 400_000, 10, 2, 5_000, 30)
    (crf, tagger, *_), tags = WORKS[0].members, 9  # the safest comes first
    alone = Work(2, 50, 2, (crf,), (), ())  # of 500,000 tokens that take part, a fold trains on half
    read = 1e9 + 32 * 900_000
    assert bytes_of(alone, data) == pytest.approx(2 * (read + 1_200 * 250_000))
    augmented = replace(alone, members=(replace(crf, augmentation={"shuffling": 2}),))
    half_as_many = replace(data, added={"shuffling": 0.25})
    assert bytes_of(augmented, half_as_many) == pytest.approx(2 * (read + 1.5 * 1_200 * 250_000))
    both = 6 * tags * (400_000 + 2 * 250_000)
    assert bytes_of(replace(alone, members=(tagger,), workers=1), data) == pytest.approx(read + both)
    many = replace(data, test_tokens=10**9)
    of_test = 6 * tags * (10**9 + 2 * 250_000)
    assert bytes_of(alone, many) == pytest.approx(2 * (1e9 + 32 * (10**9 + 500_000) + of_test))
    ensemble = Work(2, 0, 1, (tagger,) * 8, (), ())  # all of whose answers are blended at once
    assert bytes_of(ensemble, data) == pytest.approx(1e9 + 32 * 1_400_000 + 2 * tags * 1_400_000 * 9)


def test_training_has_no_more_workers_than_the_trials_had() -> None:
    rungs = rungs_of("cpu_1h")
    assert workers_of(EngineSettings(device="cpu", workers=64), rungs) == 2 * 5  # a spare member is tried, too
    assert workers_of(EngineSettings(device="cpu", workers=3), rungs) == 3


def test_augmented_lines_count_as_lines() -> None:
    ways = {"recombination": 0.5, "entity_swap": 0.25}
    rung = {"augmentation": ways, "ensemble": {"ngram_crf": {"augmentation": {"recombination": 0, "entity_swap": 0}}}}
    found = work_of(vary(rungs_of("cpu_1h")[0], rung, "a rung")).members
    assert {member.name: member.augmentation for member in found if member.name in ("modern_crf", "ngram_crf")} == {
        "modern_crf": ways,
        "ngram_crf": {},
    }


def test_fewer_lines_get_more_members_and_epochs() -> None:
    rungs = rungs_of("cpu_1h")
    sizes = ("1,000 lines", "4,000 lines", "6,000 lines", "45,000 lines", "45,000 long lines")
    taken = [chosen(size).rung for size in sizes]
    assert taken == sorted(taken)
    richness = [(len(rungs[rung].members), rungs[rung].folds.count, rungs[rung].train.epochs) for rung in taken[:4]]
    assert richness == sorted(set(richness), reverse=True)
    assert {"modern_crf", "transformer_xl", "ngram_crf"} <= set(rungs[taken[2]].members)
    assert rungs[taken[3]].folds.lines == 0
    assert rungs[taken[4]].folds.lines > 0


@given(st.sampled_from(list(CONTESTS.values())), st.floats(60, 40_000), st.floats(1, 3))
def test_more_minutes_never_buy_less(data: Facts, limit: float, more: float) -> None:
    one, other = (choose(WORKS, data, ONE_HOUR, seconds, 20) for seconds in (limit, more * limit))
    assert other.rung <= one.rung
    assert other.rung < one.rung or other.tokens >= one.tokens


@given(st.sampled_from(list(CONTESTS.values())), st.floats(60, 40_000), st.floats(1, 3))
def test_a_faster_machine_never_gets_a_poorer_rung(data: Facts, limit: float, times: float) -> None:
    one, other = (choose(WORKS, data, rates, limit, 20) for rates in (ONE_HOUR, faster(ONE_HOUR, times)))
    assert other.rung <= one.rung
    assert other.rung < one.rung or other.tokens >= one.tokens


def test_pretraining_takes_the_whole_rest_up_to_the_passes() -> None:
    rest = limit_of("cpu_1h") - sum(chosen("6,000 lines").seconds.values())
    assert 0 <= rest <= 0.1 * limit_of("cpu_1h")  # what the second digit leaves
    assert chosen("tiny").tokens == 20 * CONTESTS["tiny"].text_tokens


def test_no_time_gets_the_poorest_rung_and_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    choice = chosen("45,000 lines", limit=1.0)
    assert (choice.rung, choice.fits) == (len(WORKS) - 1, False)
    tell(rungs_of("cpu_1h")[-1], choice, len(WORKS), 1.0, 9.0, 5e8)
    said = capsys.readouterr().err
    assert "even the poorest rung needs an estimated 9 of 1 minutes and 2.0 of 0.5 GB of memory; it is taken" in said


def test_the_costs_of_a_small_work_by_hand() -> None:
    data = Facts(100, 1_000, 50, 400, 10, 2, 5_000, 30)
    rates = Rates(1_000, 2_500, {"e": 50}, {"w": 100}, {"m": MemberRates(10, 20, 7)})
    indexed = replace(rates, members={"m": MemberRates(10, 20, 7, 25)})
    member = WORKS[0].members[0]
    member = replace(member, name="m", cost=Cost(3, 2), augmentation={})
    work = Work(2, 50, 1, (member,), (Pretraining("e", 100, True),), ())
    seconds = seconds_of(work, data, rates)
    fold = 7 + (500 + 400) / 1_000 + 3 * 250 / 10 + (2 * 250 + 400) / 20  # half of the lines take part
    assert seconds["prepare"] == pytest.approx(6 + 1.4 + 2)
    assert seconds["pretrain"] == pytest.approx(6 + 2)
    assert fold_seconds(work, data, rates) == {"m": pytest.approx(fold)}
    assert fold_seconds(work, data, indexed) == {"m": pytest.approx(fold + 250 / 25)}
    assert seconds["train"] == pytest.approx(6 + 2 * fold)
    read, answered = (1_000 + 400) / 1_000, 500 + 400  # the mean is answered beside the member
    blended = BLENDING * (1 + 2 / 12) * answered * 2
    judged = JUDGING * 3 * data.entities / 2
    assert seconds["blend"] == pytest.approx(6 + ORDERING + judged + blended + answered / 1_000)
    assert seconds["submit and score"] == pytest.approx(2 * (6 + read))
    full = seconds_of(work, replace(data, entities=10 * JUDGED), rates)["blend"]
    assert full - seconds["blend"] == pytest.approx(JUDGING * 3 * JUDGED - judged)
    augmented = replace(work, members=(replace(member, augmentation={"entity_swap": 2, "shuffling": 1}),))
    adding = replace(data, added={"entity_swap": 0.2, "shuffling": 0.1, "recombination": 9})
    assert fold_seconds(augmented, adding, rates) == {"m": pytest.approx(fold + 0.5 * 3 * 250 / 10)}
    few = replace(data, entities=60)  # of which half takes part
    more = seconds_of(work, few, rates)["blend"] - seconds["blend"]
    assert more == pytest.approx(JUDGING * 3 * 30)
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


WORKS, ONE_HOUR = works_of("cpu_1h"), rates_of("cpu_1h")
