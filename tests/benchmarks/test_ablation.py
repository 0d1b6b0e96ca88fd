"""What the ablations measure, and what they make of it."""

from benchmarks.ablation import BASE_NAME, Record, Trial, missing, rows_of, trials_of
from benchmarks.factors import FACTORS
from benchmarks.harness import machine

from daguan.core.code import code_version

NOW = code_version()[:12]
HERE = machine(1)["cpu"]


def record(factor: str, seed: int, f1: float, code: str = NOW, cpu: str = HERE) -> Record:
    return Record("uner_zh", factor, " ".join(FACTORS[factor]), seed, f1, 1.0, 100.0, None, code, cpu, None)


def test_what_was_measured_is_not_measured_again_and_a_base_is_of_the_same_code():
    trials = list(trials_of(["uner_zh"], ["softmax", "span"], (1, 2)))
    first = [Trial("uner_zh", BASE_NAME, 1), Trial("uner_zh", BASE_NAME, 2)]
    assert missing(trials, []) == first + trials
    measured = [record("softmax", 1, 60.0, "old"), record("softmax", 2, 61.0, "old"), record(BASE_NAME, 1, 59.0, "old")]
    assert missing(trials, measured) == [*first, Trial("uner_zh", "span", 1), Trial("uner_zh", "span", 2)]
    assert missing(trials, [*measured, record(BASE_NAME, 1, 59.5)])[0] == first[1]
    assert (
        missing([*trials, Trial("uner_zh", "biaffine", 1)], [*measured, record(BASE_NAME, 1, 59.5, cpu="other")])[0]
        == first[0]
    )
    assert missing(trials[:1], measured) == []


def test_a_gain_is_over_the_base_of_the_same_seed_code_and_machine():
    records = [
        record(BASE_NAME, 1, 60.0),
        record(BASE_NAME, 2, 62.0),
        record(BASE_NAME, 1, 50.0, "old"),
        record("softmax", 1, 61.0),
        record("softmax", 2, 65.0),
        record("softmax", 1, 52.0, "old"),
        record("softmax", 3, 99.0, cpu="other"),
    ]
    (row,) = [row for row in rows_of(records) if row["factor"] == "softmax"]
    assert (row["seeds"], row["gain"]) == (3, "+2.00 ± 1.00")
    assert row["span F1"].startswith("69.25")


def test_a_factor_that_now_means_other_settings_was_not_measured():
    assert record("softmax", 1, 60.0).current
    assert not Record("uner_zh", "softmax", "model.head=crf", 1, 60.0, 1.0, 100.0, None, NOW, HERE, None).current
    assert not Record("uner_zh", "no such factor", "model.head=crf", 1, 60.0, 1.0, 100.0, None, NOW, HERE, None).current
