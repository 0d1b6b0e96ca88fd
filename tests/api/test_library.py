"""The library as programs use it: trained on a tiny contest in this process, then asked in several ways."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pandas import read_csv
from pandas.testing import assert_frame_equal

import daguan
from conftest import TINY
from daguan.cli.app import main
from daguan.data.format import read_labelled, read_unlabelled
from in_process import in_process

SETTINGS = dict(word.split("=", 1) for word in [*TINY, "model.head=crf", "train.epochs=6"])


@pytest.fixture(scope="module")
def lines(contest: Path) -> list[tuple[str, ...]]:
    return [sentence.tokens for sentence in read_unlabelled(contest / "test.txt")]


@pytest.fixture(scope="module")
def model(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[daguan.Model]:
    """Trained from lists."""
    root = tmp_path_factory.mktemp("library")
    places = {"data.work": str(root / "work"), "data.submissions": str(root / "out")}
    train = [(list(line.tokens), list(line.gold)) for line in read_labelled(contest / "train.txt")]
    test = [line.tokens for line in read_unlabelled(contest / "test.txt")]
    corpus = [line.tokens for line in read_unlabelled(contest / "corpus.txt")]
    (root / "empty.yaml").write_text("", "utf-8")
    with in_process():
        yield daguan.fit(
            train=train, test=test, corpus=corpus, config=root / "empty.yaml", settings={**SETTINGS, **places}
        )


@pytest.mark.parametrize("settings", [{"data.work": "~/x"}, {"data.work": Path("~/x")}, {"data": {"work": "~/x"}}])
def test_lists_are_written_where_the_setting_says(
    settings: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    given: list[list[str]] = []
    monkeypatch.setattr("daguan.pipeline.run.make", given.append)
    with pytest.raises(AttributeError):  # nothing was made to load
        daguan.fit(train=[(["7"], [(0, 1, "a")])], test=[["7"]], settings=settings)
    ((folder,),) = [[word.partition("=")[2] for word in words if word.startswith("data.dir=")] for words in given]
    assert Path(folder).parent == home / "x"
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.txt")} == {"home"}


def test_importing_the_package_loads_nothing_slow_and_scoring_no_torch() -> None:
    code = (
        "import sys, daguan; before = {*sys.modules}\n"
        "daguan.score([[(0, 1, 'a')]], [(['7'], [(0, 1, 'a')])]); dir(daguan)\n"
        "print(*({'torch', 'pandas', 'numpy', 'pydantic'} & before), '|', *({'torch', 'pandas'} & {*sys.modules}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "|\n"


def test_the_names_are_there_and_no_others() -> None:
    assert {name for name in daguan.__all__ if getattr(daguan, name) is not None} == set(daguan.__all__)
    assert set(daguan.__all__) <= set(dir(daguan))
    with pytest.raises(AttributeError, match="module 'daguan' has no attribute 'fitt'"):
        _ = daguan.fitt


def test_a_fitted_model_answers_as_its_submission_and_as_a_loaded_one(
    model: daguan.Model, lines: list[tuple[str, ...]]
) -> None:
    found = model.predict(lines)
    (answer,) = (model.path.parent.parent / "out").glob("*.txt")
    submitted = [list(sentence.gold) for sentence in read_labelled(answer)]
    assert sum(ours == theirs for ours, theirs in zip(found, submitted, strict=True)) >= len(lines) - 1
    assert sum(map(len, found)) > 0
    assert daguan.load(str(model.path)).predict(lines) == found


def test_it_answers_alike_from_threads_in_any_order_and_beside_other_lines(
    model: daguan.Model, lines: list[tuple[str, ...]]
) -> None:
    def exact(lines: list[tuple[str, ...]]) -> list[list[tuple[object, ...]]]:
        return [[(s.start, s.stop, s.label, s.probability) for s in spans] for spans in model.predict(lines)]

    expected = exact(lines)
    with ThreadPoolExecutor(4) as threads:
        assert all(answer == expected for answer in threads.map(exact, [lines] * 8))
    assert model.predict(lines[::-1]) == model.predict(lines)[::-1]
    assert model.predict([]) == []
    assert model.predict([[], lines[0], []])[0] == model.predict([[], lines[0], []])[2] == []


def test_marginals_are_those_of_the_tags(model: daguan.Model, lines: list[tuple[str, ...]]) -> None:
    assert model.tags[:5] == ("O", "B-a", "I-a", "E-a", "S-a")
    for line, probs in zip([*lines, []], model.marginals([*lines, []]), strict=True):
        assert probs.shape == (len(line), len(model.tags))
        assert probs.dtype == np.float32
        assert np.allclose(probs.sum(1), 1, atol=5e-3)


def test_tables_have_a_row_for_each_thing(model: daguan.Model, lines: list[tuple[str, ...]]) -> None:
    entities = model.entities(lines)
    spans = [(n, s.start, s.stop, s.label) for n, found in enumerate(model.predict(lines)) for s in found]
    assert [*entities[["line", "start", "stop", "label"]].itertuples(index=False, name=None)] == spans
    assert entities["text"][0] == "_".join(lines[spans[0][0]][spans[0][1] : spans[0][2]])
    assert entities["probability"].between(0, 1).all()
    board = model.leaderboard()
    assert {name.partition("-")[0] for name in board["name"]} == {"tagger", "ngram_crf", "mean", "blend"}
    assert board["f1"].is_monotonic_decreasing
    assert (board["f1_low"] <= board["f1"]).all()
    assert (board["f1"] <= board["f1_high"]).all()
    members = board[board["family"].notna()]
    assert {"f1_fold0", "f1_fold1", "seconds"} <= set(board)
    assert members[["f1_fold0", "f1_fold1", "seconds"]].notna().all(axis=None)
    assert not model.entities([[]]).size
    bins = model.calibration()
    counts = bins.groupby("type")["entities"].sum()
    assert counts[""] == counts.drop("").sum()
    assert ((bins["low"] <= bins["probability"]) & (bins["probability"] <= bins["high"])).all()


def test_runs_are_those_of_the_work_folder(model: daguan.Model, tmp_path: Path) -> None:
    found = daguan.runs(model.path.parent)
    assert sorted(found["family"]) == ["ngram_crf", "tagger"]
    assert found["lines"].nunique() == 1
    assert daguan.runs(tmp_path).empty


def test_members_and_single_models_are_loaded_too(model: daguan.Model, lines: list[tuple[str, ...]]) -> None:
    (member,) = model.path.parent.glob("tagger-*")
    assert daguan.load(member).predict(lines)
    assert daguan.load(member).leaderboard()["f1_fold1"].notna().all()
    one = daguan.load(member / "fold0")
    assert len(one.predict(lines)) == len(lines)
    with pytest.raises(daguan.DaguanError, match="expected a blend or a member with scores, got a single model"):
        one.leaderboard()


def test_the_scores_are_those_of_the_shell(
    contest: Path, model: daguan.Model, lines: list[tuple[str, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = contest / "test_gold.txt"
    predicted = tmp_path / "predicted.txt"
    assert main(["predict", str(model.path), str(contest / "test.txt"), str(predicted)]) == 0
    capsys.readouterr()
    assert main(["score", str(predicted), str(gold), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    pairs = [(line.tokens, line.gold) for line in read_labelled(gold)]
    spans = model.predict(lines)
    for ours in (predicted, str(predicted), spans, [*zip(lines, spans, strict=True)]):
        assert json.loads(json.dumps(daguan.score(ours, pairs))) == expected
    tuples = [[(span.start, span.stop, span.label) for span in found] for found in spans]
    assert json.loads(json.dumps(daguan.score(tuples, gold))) == expected


TRAIN, TEST = [(["7", "8", "9"], [(0, 2, "a")])], [["7", "8"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": TRAIN}, "expected train and test, got one of them"),
        ({"folder": ".", "train": TRAIN}, "expected a folder or lists, got both"),
        ({"folder": ".", "corpus": TEST}, "expected a folder or lists, got both"),
        ({"corpus": TEST}, "expected train and test, got one of them"),
        ({"train": ["7_8/a"], "test": TEST}, r"train\[0\]: expected \(tokens, spans\), got '7_8/a'"),
        ({"train": [*TRAIN, ("7", [])], "test": TEST}, r"train\[1\]: expected a list of tokens, got '7'"),
        ({"train": [([7], [])], "test": TEST}, r"train\[0\]: expected tokens that are strings, got 7"),
        ({"train": [(["7"], [(0, 2, "a")])], "test": TEST}, r"train\[0\]: expected spans within 1 token"),
        ({"train": [(["7"], [(1, 1, "a")])], "test": TEST}, r"train\[0\]: expected a Span or \(start, stop, label\)"),
        *(
            ({"train": [(["7", "8"], [span])], "test": TEST}, r"train\[0\]: expected a Span or \(start, stop, label\)")
            for span in [
                (0, float("inf"), "a"),
                (0, float("nan"), "a"),
                (0, 1.5, "a"),
                ("0", "1", "a"),
                (0, 1, None),
                daguan.Span(0, 1.0, "a"),
                daguan.Span(0, 1, 3),
            ]  # type: ignore[arg-type]
        ),
        ({"train": [(["7"], ["a"])], "test": TEST}, r"train\[0\]: expected a Span or \(start, stop, label\), got 'a'"),
        ({"train": TRAIN, "test": [["7"], []]}, r"test\[1\]: expected at least one token, got none"),
        ({"folder": "/nowhere"}, "/nowhere: expected a folder with train.txt and test.txt"),
        ({"config": "smal"}, "smal: no such preset"),
        ({"settings": {"data.dir": Path("/nowhere")}}, "/nowhere: expected a folder with train.txt and test.txt"),
        ({"settings": {"seed": {1}}}, "settings: seed: expected text, a number, a list or a dictionary, got: .*set"),
        ({"settings": {"sed": 1}}, "sed: no such setting; did you mean 'seed'?"),
    ],
)
def test_what_is_wrong_is_named(
    given: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(daguan.DaguanError, match=message):
        daguan.fit(**given)  # type: ignore[arg-type]
    assert not list(tmp_path.rglob("*.txt"))


@pytest.mark.parametrize(
    ("predicted", "gold", "message"),
    [
        ([], [], "gold: expected at least one line, got none"),
        ([[]], [(["7"], []), (["8"], [])], "predicted: expected 2 lines as in gold, got 1"),
        ([(["8"], [])], [(["7"], [])], "predicted:1: expected the tokens of gold:1, got others"),
        ([[(0, 9, "a")]], [(["7"], [])], r"predicted\[0\]: expected spans within 1 token"),
        ([[]], [[]], r"gold\[0\]: expected \(tokens, spans\)"),
        ("/nowhere", [(["7"], [])], "/nowhere: expected a file"),
    ],
)
def test_what_cannot_be_scored_is_named(predicted: object, gold: object, message: str) -> None:
    with pytest.raises(daguan.DaguanError, match=message):
        daguan.score(predicted, gold)  # type: ignore[arg-type]


def test_no_folder_without_a_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(daguan.DaguanError, match="expected a blend, a finished run or a model, got none"):
        daguan.load(tmp_path)


def words(model: daguan.Model, contest: Path) -> list[str]:
    """The configuration of the trained model, as a shell has it."""
    root = model.path.parent.parent
    places = {"data.work": str(root / "work"), "data.submissions": str(root / "out")}
    return [
        str(contest),
        str(root / "empty.yaml"),
        *(f"{name}={text}" for name, text in {**SETTINGS, **places}.items()),
    ]


def test_the_shell_fits_the_same(model: daguan.Model, contest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The data are equal, so that nothing is trained again."""
    assert main(["fit", *words(model, contest), "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert Path(found["model"]) == model.path
    assert "done before" in said.err
    board = model.leaderboard().set_index("name")
    for name, calibration in found["calibration"].items():
        assert calibration["total"]["ece"] == board["calibration_error"][name]
        assert sum(of["entities"] for of in calibration["by_type"].values()) == calibration["total"]["entities"]
        assert calibration["total"]["right"] == pytest.approx(found["out_of_fold"][name]["span"]["p"])


def test_a_csv_is_the_same_table(
    model: daguan.Model, contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From each command that prints a leaderboard, the runs or scores."""
    _, *configuration = words(model, contest)
    configuration.append(f"data.dir={contest}")
    path = tmp_path / "table.csv"
    for command in ("score", "blend", "run"):
        assert main([command, *configuration, "--csv", str(path)]) == 0
        assert_frame_equal(read_csv(path), model.leaderboard())
    assert main(["runs", *configuration, "--csv", str(path)]) == 0
    assert_frame_equal(read_csv(path), daguan.runs(model.path.parent).replace("", None), check_dtype=False)
    gold = str(contest / "test_gold.txt")
    assert main(["score", gold, gold, "--csv", str(path)]) == 0
    assert "by_type" not in capsys.readouterr().out
    table = read_csv(path)
    assert (table["f1"] == 1).all()
    assert table["type"].isna().sum() == table["metric"].nunique() == 2


def test_fit_is_run_on_the_folder_in_the_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr("daguan.cli.run.main", lambda words, *_: calls.append(words))
    assert main(["fit", "F", "--minutes", "2.5"]) == main(["fit", "F", "small", "seed=2"]) == main(["fit", "F"]) == 0
    assert calls == [
        ["cpu_1h", "data.dir=F", "budget.minutes=2.5"],
        ["small", "seed=2", "data.dir=F"],
        ["cpu_1h", "data.dir=F"],
    ]


class Standard(io.TextIOWrapper):
    """Standard input with these bytes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), "utf-8")


def test_predict_reads_standard_input_and_writes_standard_output(
    model: daguan.Model,
    contest: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    source = contest / "test.txt"
    assert main(["predict", str(model.path), str(source), str(tmp_path / "out.txt")]) == 0
    capsys.readouterr()
    expected = (tmp_path / "out.txt").read_text("utf-8").splitlines()
    for more in ([], ["-"], ["engine.threads=1"]):
        for given in ("-", str(source)):
            monkeypatch.setattr(sys, "stdin", Standard(source.read_bytes()))
            assert main(["predict", str(model.path), given, *more]) == 0
            assert capsys.readouterr().out.splitlines() == expected


def test_predict_writes_probabilities_as_json(
    model: daguan.Model, contest: Path, lines: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(model.path), str(contest / "test.txt"), "--format", "json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [tuple(one["tokens"]) for one in found] == lines
    for one, spans in zip(found, model.predict(lines), strict=True):
        for written, span in zip(one["spans"], spans, strict=True):
            assert (written["start"], written["stop"], written["label"]) == (span.start, span.stop, span.label)
            assert written["probability"] == pytest.approx(span.probability, abs=1e-3)


@pytest.mark.parametrize(
    ("more", "content", "message"),
    [
        (["-"], b"7_8\n7__8\n", "-:2: expected tokens joined by single '_', got an empty token"),
        (["-"], b"", "-: expected at least one line, got an empty file"),
        (["-"], b"7_8\n\xff\n", "-:2: expected UTF-8, got byte 0xff"),
        (["-", "--json"], b"7", "--json: expected an OUTPUT, as standard output has the labelled lines"),
        (["-", "--format", "xml"], b"7", "--format: expected contest or json, got 'xml'"),
        (["-", "/nowhere/x.txt"], b"7", "/nowhere/x.txt: expected the path of a file in an existing folder"),
    ],
)
def test_a_fault_on_standard_input_writes_nothing(
    model: daguan.Model,
    more: list[str],
    content: bytes,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Standard(content))
    assert main(["predict", str(model.path), *more]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    "pattern",
    ["blend-*/combination.json", "tagger-*/fold0/model/tagger.json", "ngram_crf-*/fold1/model/ngram_crf.json"],
)
def test_a_model_of_another_version_is_refused_with_what_to_do(model: daguan.Model, pattern: str) -> None:
    (path,) = model.path.parent.glob(pattern)
    before = path.read_text("utf-8")
    path.write_text(re.sub(r'"format": \d+', '"format": 99', before.replace("0.1.0", "9.9")), "utf-8")
    try:
        with pytest.raises(
            daguan.DaguanError, match=r"expected format \d, got 99, written by daguan 9.9; train again with"
        ):
            daguan.load(model.path)
    finally:
        path.write_text(before, "utf-8")
