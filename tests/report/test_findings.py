"""Laws of the tables of a report, on a few lines with known answers."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import random_sentence
from daguan.core.types import Score, Sentence, Span
from daguan.data.span_score import span_score
from daguan.data.tags import TagScheme
from daguan.report import errors, suspicions
from daguan.report.columns import unpacked
from daguan.report.curves import events
from daguan.report.lines import counts, line_columns, spans_of
from daguan.report.occurrences import Text, occurrences
from daguan.report.places import contested, ranks, string_columns
from daguan.report.shift import shift
from daguan.report.tracks import FINAL, GOLD, MEMBER, Labelled, Track

LABELS = {label: label.upper() for label in "abcd"}
SCHEME = TagScheme(tuple(LABELS))


def answers(lines: list[Sentence], rng: np.random.Generator) -> list[tuple[Span, ...]]:
    """Gold spans, some of them left out or of another type, with probabilities."""
    return [
        tuple(
            Span(span.start, span.stop, span.label if rng.random() < 0.8 else "a", round(float(rng.random()), 3))
            for span in line.gold
            if rng.random() < 0.8
        )
        for line in lines
    ]


def marginals(lines: list[Sentence], spans: list[tuple[Span, ...]]) -> list[np.ndarray]:
    """Marginals that give those spans 0.9."""
    found = []
    for line, of_line in zip(lines, spans, strict=True):
        tags = SCHEME.encode(len(line.tokens), of_line)
        probs = np.full((len(tags), len(SCHEME)), 0.1 / (len(SCHEME) - 1), np.float16)
        probs[np.arange(len(tags)), tags] = 0.9
        found.append(probs)
    return found


@pytest.fixture(scope="module")
def found() -> Labelled:
    rng = np.random.default_rng(3)
    lines = [random_sentence(rng, int(length)) for length in rng.integers(2, 30, 60)]
    train, test = lines[:40], lines[40:]
    final, member, tested = answers(train, rng), answers(train, rng), answers(test, rng)
    return Labelled(
        train=train,
        test=test,
        tracks=[
            Track("gold", GOLD, [line.gold for line in train], [line.gold for line in test]),
            Track("blend", FINAL, final, tested),
            Track("crf", MEMBER, member, tested),
        ],
        fold_of_line=np.arange(40) % 3,
        scheme=SCHEME,
        members=["crf"],
        marginals=[marginals(train, final)],
        test_marginals=[marginals(test, tested)],
    )


def expected_scores(found: Labelled, track: Track) -> tuple[Score, Score]:
    scored = []
    for lines, spans in ((found.train, track.train), (found.test, track.test or [])):
        scored.append(span_score([Sentence(line.tokens, s) for line, s in zip(lines, spans, strict=True)], lines))
    return scored[0], scored[1]


def test_the_columns_hold_all_tracks_and_their_counts_are_those_of_span_f1(found: Labelled) -> None:
    vocabulary: dict[str, int] = {}
    columns = json.loads(json.dumps(line_columns(found, [*LABELS.values()], vocabulary)))
    tokens, first, text = [*vocabulary], unpacked(columns["first"]), unpacked(columns["text"])
    lines = [tuple(tokens[i] for i in text[low:high]) for low, high in pairwise(first)]
    assert lines == [line.tokens for line in found.sentences]
    for track, stored in zip(found.tracks, columns["tracks"], strict=True):
        spans = spans_of(stored, [*LABELS])
        assert spans == track.lines
        assert all(
            abs(a.probability - b.probability) <= 0.5 / 255
            for ours, theirs in zip(spans, track.lines, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        )
    counted = counts(columns)
    assert {track.name: tuple(counted[track.name]) for track in found.answers} == {
        track.name: expected_scores(found, track) for track in found.answers
    }


def test_marginals_are_kept_where_the_members_are_unsure(found: Labelled) -> None:
    kept = line_columns(found, [*LABELS], {})["marginals"]
    places, tags = unpacked(kept["tokens"]), unpacked(kept["tag"]).reshape(-1, len(kept["tracks"]), kept["best"])
    whole = np.concatenate([*found.means()])
    assert places.tolist() == np.flatnonzero(whole.max(1) < kept["sure"]).tolist()
    assert (tags[:, 0, 0] == whole[places].argmax(1)).all()


@pytest.mark.parametrize("most", [1, 30])
def test_of_too_many_unsure_tokens_the_least_sure_are_kept(
    found: Labelled, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    noisy = [(probs * rng.uniform(0.5, 1, (len(probs), 1))).astype(np.float16) for probs in found.marginals[0]]
    varied = Labelled(**{**vars(found), "marginals": [noisy]})
    monkeypatch.setattr("daguan.report.lines.MOST_KEPT", most)
    places = unpacked(line_columns(varied, [*LABELS], {})["marginals"]["tokens"])
    surest = np.concatenate([*varied.means()]).max(1)
    assert 0 < len(places) <= most
    assert surest[places].max() < np.delete(surest, places).min()


@pytest.mark.parametrize("way", errors.WAYS)
def test_the_classes_of_each_property_add_up(found: Labelled, way: str) -> None:
    table = errors.by_property(found, LABELS)
    for track in found.answers:
        rows = table[(table["by"] == way) & (table["track"] == track.name)]
        total, _ = expected_scores(found, track)
        assert rows[["hits", "predicted", "gold"]].sum().tolist() == [total.hits, total.predicted, total.gold]


def test_kinds_confusion_and_disagreement_add_up(found: Labelled) -> None:
    by_kind = errors.by_kind(found).set_index("track")
    for track in found.answers:
        total, _ = expected_scores(found, track)
        assert by_kind.loc[track.name].drop("missed").sum() == total.predicted
        apart = errors.disagreement(found)
        assert apart.loc[track.name, track.name] == 0
    assert (apart.to_numpy() == apart.to_numpy().T).all()
    confusion = errors.confusion(found, found.final, LABELS)
    total, _ = expected_scores(found, found.final)
    assert confusion.to_numpy().sum() - confusion[errors.NOTHING].sum() == total.predicted
    assert confusion.to_numpy().sum() - confusion.loc[errors.NOTHING].sum() == total.gold  # no span overlaps two
    assert sum(confusion.loc[label, label] for label in LABELS.values()) == total.hits


def test_a_planted_label_error_is_suspected_first(found: Labelled) -> None:
    line = next(number for number, of_line in enumerate(found.final.train) if of_line == found.train[number].gold != ())
    wrong = [*found.gold.train]
    wrong[line] = ()
    sure = [tuple(Span(s.start, s.stop, s.label, 0.999) for s in of_line) for of_line in found.final.train]
    tracks = [found.gold._replace(train=wrong), found.final._replace(train=sure)]
    planted = Labelled(**{**vars(found), "tracks": tracks})
    assert suspicions.label_errors(planted, LABELS)["line"].iloc[0] == line


@pytest.mark.parametrize("answered", [0.8, 0.95])
def test_a_sure_other_answer_is_suspected_before_none_where_models_miss_entities(
    found: Labelled, answered: float
) -> None:
    """Four lines have one entity each: the models find one, miss two and give one another type."""
    lines = [Sentence(("1", "2", "3"), (Span(0, 2, "a"),)) for _ in range(4)]
    final = [(Span(0, 2, "a", 0.9),), (), (), (Span(0, 2, "b", answered),)]
    tracks = [Track("gold", GOLD, [line.gold for line in lines], []), Track("blend", FINAL, final, [])]
    asked = {"train": lines, "tracks": tracks, "marginals": [marginals(lines, final)]}
    table = suspicions.label_errors(Labelled(**{**vars(found), **asked}), LABELS)
    assert table["line"].tolist() == [3, 1, 2]
    assert table["suspicion"].iloc[0] <= answered
    assert table["suspicion"].iloc[1:].max() <= 1 / 4  # their recall


def test_suspicions_are_probabilities_and_fall(found: Labelled) -> None:
    table = suspicions.label_errors(found, LABELS)
    assert table["suspicion"].between(0, 1).all()
    assert table["suspicion"].is_monotonic_decreasing


def test_strings_in_several_ways_are_those_that_brute_force_finds(found: Labelled) -> None:
    table = suspicions.ambiguous_strings(found, LABELS).set_index("string")
    ways: dict[str, set[str]] = {}
    for sentence in found.train:
        inside = {place for span in sentence.gold for place in range(span.start, span.stop)}
        for start in range(len(sentence.tokens)):
            for stop in range(start + 1, len(sentence.tokens) + 1):
                label = next((s.label for s in sentence.gold if (s.start, s.stop) == (start, stop)), None)
                if label or inside.isdisjoint(range(start, stop)):
                    ways.setdefault("_".join(sentence.tokens[start:stop]), set()).add(label or "")
    assert set(table.index) == {string for string, labels in ways.items() if len(labels) > 1}


def test_places_are_those_of_brute_force(found: Labelled, tmp_path: Path) -> None:
    strings = found.strings()
    text = Text(line.tokens for line in found.sentences)
    places = occurrences(strings, text)
    for number, (line, begin) in enumerate(zip(found.sentences, text.first.tolist(), strict=True)):
        size = len(line.tokens)
        pairs = ((start, stop) for start in range(size) for stop in range(start + 1, size + 1))
        expected = [(strings[s], begin + a, begin + b) for a, b in pairs if (s := line.tokens[a:b]) in strings]
        here = text.lines_of(places.start) == number
        assert [*zip(*(one[here].tolist() for one in places), strict=True)] == expected
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join("_".join(line.tokens) for line in found.test), "utf-8")
    differing = contested(strings, [track.lines for track in found.tracks], found.sentences)
    columns = string_columns(strings, found.sentences, corpus, differing, {}, None)
    in_test = [
        sum(line.tokens[at : at + len(string)] == string for line in found.test for at in range(len(line.tokens)))
        for string in strings
    ]
    assert unpacked(columns["corpus"]).tolist() == in_test
    assert_neighbours(found, [*strings], columns)
    assert {[*strings][number] for number in unpacked(columns["places"]["string"])} <= differing


def assert_neighbours(found: Labelled, strings: list[tuple[str, ...]], columns: dict[str, Any]) -> None:
    """The commonest five of each side, in train, test and a corpus that repeats test; ties in the order of text."""
    for side, offset in (("left", -1), ("right", 1)):
        first, counts = unpacked(columns[side]["first"]), unpacked(columns[side]["count"])
        for number, string in enumerate(strings):
            met: Counter[str] = Counter()
            for line in [*found.sentences, *found.test]:
                padded = ("", *line.tokens, "")
                for at in range(1, len(line.tokens) + 1):
                    if padded[at : at + len(string)] == string:
                        met[padded[at - 1 if offset < 0 else at + len(string)]] += 1
            expected = sorted(met.values(), reverse=True)[:5]
            assert counts[first[number] : first[number + 1]].tolist() == expected


def test_equal_counts_share_a_rank() -> None:
    assert ranks(np.array([5, 9, 5, 1])).tolist() == [2, 1, 2, 4]


def test_lines_of_another_kind_are_told_apart_and_lower_the_score_to_expect(found: Labelled) -> None:
    """Where test is like the half of train on which the answer is wrong, a drop is expected."""
    easy = [Sentence(("e", f"w{n % 7}", "f"), (Span(0, 1, "a"),)) for n in range(60)]
    hard = [Sentence(("h", f"w{n % 7}", "g"), (Span(0, 1, "a"),)) for n in range(60)]
    right, wrong = (Span(0, 1, "a"),), (Span(1, 2, "a"),)
    train, test = [*easy, *hard], hard
    tracks = [
        Track("gold", GOLD, [line.gold for line in train], None),
        Track("blend", FINAL, [right] * 60 + [wrong] * 60, None),
    ]
    moved = shift(Labelled(**{**vars(found), "train": train, "test": test, "tracks": tracks}), 1)
    assert moved is not None
    assert moved.f1 == 0.5
    assert moved.expected < 0.35
    assert moved.auc > 0.6
    assert shift(Labelled(**{**vars(found), "train": train[:5], "test": test[:5], "tracks": tracks}), 1) is None


def test_seconds_leave_out_the_time_between_processes_and_a_cut_line_is_skipped(tmp_path: Path) -> None:
    def event(second: int, kind: str, **facts: object) -> str:
        return json.dumps(
            {"time": f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}+00:00", "job": "j", "event": kind, **facts}
        )

    path = tmp_path / "events.jsonl"
    progress = {"total": 8, "unit": "tok", "loss": 1.0}
    lines = [event(0, "begins"), event(10, "progress", done=2, **progress), '{"time": "2026', event(300, "begins")]
    lines += [event(310, "progress", done=8, f1=0.5, **progress), event(311, "ends")]
    path.write_text("\n".join(lines), "utf-8")
    found = [(one["done"], one["share"], one["seconds"], one["f1"]) for one in events(path)]
    assert found == [(2, 0.25, 10.0, None), (8, 1.0, 20.0, 0.5)]
