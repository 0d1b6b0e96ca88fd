"""The reading of learning curves."""

from benchmarks.efficiency import losses_at, minutes_to
from benchmarks.learning import BERT, BEST_BERT, OURS, contenders

CURVE = [{"minutes": 1.0, "loss": 6.0}, {"minutes": 2.0, "loss": 5.0}, {"minutes": 3.0, "loss": 5.5}]


def test_minutes_to_a_loss_are_those_of_the_first_evaluation_that_reaches_it():
    assert minutes_to(CURVE, 6.5) == 1.0
    assert minutes_to(CURVE, 5.0) == 2.0
    assert minutes_to(CURVE, 4.9) == float("inf")


def test_a_curve_is_read_inside_its_minutes_alone():
    curves = {(name, seed): CURVE for name in (BERT, BEST_BERT) for seed in (1, 2)} | {(OURS, 1): CURVE[:1]}
    assert losses_at(curves, 2.0) == {BERT: "5.000", BEST_BERT: "5.000", OURS: "–"}
    assert losses_at(curves, 0.5) == {BERT: "–", BEST_BERT: "–", OURS: "–"}
    assert losses_at(curves, 1.0)[OURS] == "6.000"
    assert losses_at(curves, 9.0)[BERT] == "–"


def test_the_contenders_differ_in_what_they_should():
    bert, best, ours = (contenders()[name] for name in (BERT, BEST_BERT, OURS))
    assert bert.architecture == best.architecture == "bert"
    assert ours.architecture == "modern"
    assert bert.encoder == best.encoder
    assert {bert.settings.optimiser, best.settings.optimiser, ours.settings.optimiser} == {"adamw", "muon"}
    sizes = [(c.encoder.layers, c.encoder.hidden, c.encoder.heads, c.encoder.feed_forward) for c in (bert, ours)]
    assert sizes[0] == sizes[1]
