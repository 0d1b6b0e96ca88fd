"""What holds for every method of the table."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from daguan.core.errors import CheckpointError, ConfigError
from daguan.core.runs import WRITTEN_BY
from daguan.core.types import Sentence
from daguan.data.decoding import decode_lines
from daguan.data.marginals import Marginals
from daguan.data.span_score import span_score
from daguan.ensemble.blend_settings import METHODS, BlendSettings
from daguan.ensemble.blending import (
    BLEND,
    MemberResults,
    gains,
    label_all,
    load_blend,
    load_member,
    models_of,
    nested_spans,
    save_blend,
)
from noisy_members import SCHEME, noisy_data, prepare, with_other_gold

METHOD = pytest.mark.parametrize("method", METHODS)


def blended_by(method, data):
    return replace(data, settings=BlendSettings(method=method))


def tokens(sentences):
    return [Sentence(line.tokens) for line in sentences]


@METHOD
def test_nothing_that_scores_a_fold_was_fitted_to_its_gold(method):
    """Not by so much as a coefficient: lines of a fold are labelled the same, whatever their gold is."""
    data = noisy_data((1.5, 2.5), lines=45)
    other = with_other_gold(data, fold=2)
    kept = data.fold_of_line != 2
    ours, theirs = (METHODS[method].load().learner(one) for one in (data, other))
    assert ours.fit(kept).to_json() == theirs.fit(kept).to_json()
    held_out = np.flatnonzero(~kept)
    first, second = nested_spans(ours, data), nested_spans(theirs, other)
    assert [first[line] for line in held_out] == [second[line] for line in held_out]


@METHOD
def test_a_learner_says_of_held_out_lines_what_its_combination_says(method):
    """To the bit, probabilities too, though a learner may have described the lines already."""
    data = blended_by(method, noisy_data((1.5, 2.5), lines=45))
    learner = METHODS[method].load().learner(data)
    for fold in range(3):
        fitted, lines = learner.fit(data.fold_of_line != fold), np.flatnonzero(data.fold_of_line == fold).tolist()
        marginals = [[member[line] for line in lines] for member in data.marginals]
        expected = fitted.spans([data.gold[line] for line in lines], marginals)
        found = learner.held_out(fitted, data, lines)
        assert [*map(probabilities, found)] == [*map(probabilities, expected)]


def probabilities(spans):
    return [(span, span.probability) for span in spans]


@METHOD
def test_what_is_reported_of_a_blend_is_the_nested_answer(method):
    data = noisy_data((1.5, 2.5), lines=45)
    members = [MemberResults(f"m{i}", marginals, marginals[:7]) for i, marginals in enumerate(data.marginals)]

    def reported(of):
        return label_all(members, blended_by(method, of), tokens(of.gold[:7]))[-1].out_of_fold

    found = [line.spans for line in reported(data)]
    assert found == nested_spans(METHODS[method].load().learner(data), data)
    others = [line.spans for line in reported(with_other_gold(data, fold=2))]
    held_out = np.flatnonzero(data.fold_of_line == 2)
    assert [found[line] for line in held_out] == [others[line] for line in held_out]


@METHOD
def test_twice_is_the_same_and_json_keeps_it(method, tmp_path):
    data = noisy_data((1.5, 2.5, 2.0), lines=45)
    everything = np.ones(45, bool)
    fitted = METHODS[method].load().learner(data).fit(everything)
    assert METHODS[method].load().learner(data).fit(everything).to_json() == fitted.to_json()
    prepared, runs = tmp_path / "prepare-1", [tmp_path / "one-1", tmp_path / "two-1"]
    save_blend(tmp_path / "blend-1", method, fitted, models_of(runs, 2), prepare(prepared, data.gold))
    models, read = load_blend(tmp_path / "blend-1")
    assert models == [[tmp_path / run / f"fold{fold}" / "model" for fold in (0, 1)] for run in ("one-1", "two-1")]
    assert read.labels == SCHEME.labels
    assert read.spans(data.gold, data.marginals) == fitted.spans(data.gold, data.marginals)
    shutil.rmtree(prepared)
    if method == "stack":
        with pytest.raises(CheckpointError, match=r"prepare-1.*expected a vocabulary"):
            load_blend(tmp_path / "blend-1")
    else:
        assert load_blend(tmp_path / "blend-1")[0] == models


@METHOD
def test_gold_is_not_read_when_labelling(method):
    data = noisy_data((1.5, 2.5), lines=45)
    fitted = METHODS[method].load().learner(data).fit(np.ones(45, bool))
    assert fitted.spans(tokens(data.gold), data.marginals) == fitted.spans(data.gold, data.marginals)


@METHOD
def test_rows_are_members_their_mean_and_the_blend(method):
    data = noisy_data((1.5, 2.5), lines=24)
    members = [MemberResults(f"m{i}", marginals, marginals[:7]) for i, marginals in enumerate(data.marginals)]
    test = tokens(data.gold[:7])
    rows = label_all(members, blended_by(method, data), test)
    assert [row.name for row in rows] == ["m0", "m1", *(["mean"] if method != "mean" else []), BLEND]
    for row, marginals in zip(rows, data.marginals, strict=False):
        assert [line.spans for line in row.out_of_fold] == decode_lines(marginals, SCHEME)
    found = gains(rows, data.gold)
    assert list(found) == [row.name for row in rows[:-1]]
    f1 = [span_score(row.out_of_fold, data.gold).f1 for row in rows]
    assert [gain["f1"] for gain in found.values()] == pytest.approx([f1[-1] - other for other in f1[:-1]])
    alone = label_all(members[:1], blended_by(method, data), test)
    assert [row.name for row in alone] == ["m0", *([BLEND] if method != "mean" else [])]


def test_members_of_other_lines_are_refused():
    data = noisy_data((1.5,), lines=12)
    (marginals,) = data.marginals
    for wrong in (marginals[1:], [*marginals[1:], marginals[0][:0]]):
        with pytest.raises(CheckpointError, match="expected marginals for 12 lines"):
            label_all([MemberResults("m", wrong, marginals)], blended_by("mean", data), tokens(data.gold))


def test_folds_that_leave_a_line_out_or_answer_it_twice_are_refused(tmp_path):
    marginals = [np.ones((2, 5), np.float16)] * 2
    for fold, lines in enumerate(([0, 1], [2, 3])):
        Marginals.of(lines, marginals).save(tmp_path / f"fold{fold}" / "held_out.safetensors")
        Marginals.of([0, 1], marginals).save(tmp_path / f"fold{fold}" / "test.safetensors")
    member = load_member(tmp_path, 2)
    assert (len(member.held_out), len(member.test)) == (4, 2)
    for lines in ([1, 2], [2, 4]):
        Marginals.of(lines, marginals).save(tmp_path / "fold1" / "held_out.safetensors")
        with pytest.raises(CheckpointError, match="expected an answer for each of 4 lines"):
            load_member(tmp_path, 2)


def test_an_unknown_method_is_refused():
    with pytest.raises(ConfigError, match=r"method: expected mean or weights or .* got 'median'"):
        BlendSettings(method="median")


@pytest.mark.parametrize("values", [{}, {"method": "median"}, {"method": "vote"}, {"method": "mean", "labels": 3}])
def test_a_damaged_blend_is_refused(tmp_path, values):
    (tmp_path / "models.json").write_text("[]", "utf-8")
    (tmp_path / "combination.json").write_text(json.dumps(WRITTEN_BY | values), "utf-8")
    with pytest.raises(CheckpointError, match="expected a fitted blend"):
        load_blend(tmp_path)
