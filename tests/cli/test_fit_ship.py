"""`fit --ship` ends with an exported student: the blend's best tagger, and a warning where a member is above it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.core.files import read_json
from daguan.data.format import read_unlabelled
from daguan.pipeline.shipping.rivals import ahead_of
from exported_models import LABEL, in_a_clean_process, our_spans, require_our_spans
from in_process import in_process
from public_encoders import checkpoint, spelt_contest

CONFIG = [
    "pretrain.tokens=0",
    "members=good,bad,ngram_crf",
    "ensemble.good={model: {encoder: lstm, head: crf}, train: {epochs: 3}}",
    "ensemble.bad={model: {encoder: lstm, head: softmax}, train: {epochs: 1}}",
    "distil.corpus_lines=0",
    "distil.confidence=0",
]
PIECES = "{model: {encoder: auto, pieces: first}, encoder: {checkpoint: public}}"


def words(root: Path, contest: Path, *more: str) -> list[str]:
    (root / "empty.yaml").touch()
    places = [f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return ["fit", str(contest), str(root / "empty.yaml"), *TINY, *CONFIG, *places, *more]


def test_a_run_ends_with_the_exported_student_of_the_best_tagger(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = tmp_path / "shipped"
    with in_process():
        assert main(words(tmp_path, contest, "--ship", str(shipped), "--json")) == 0
    out, said = capsys.readouterr()
    json.loads(out)  # one line
    (student,) = (tmp_path / "work").glob("distil-*")
    manifest = read_json(student / "manifest.json")
    runs = {path.parent.name: read_json(path) for path in (tmp_path / "work").glob("*/manifest.json")}
    taggers = {name: run["out_of_fold"] for name, run in runs.items() if run["depends_on"].get("family") == "tagger"}
    best = max(taggers, key=lambda name: taggers[name])
    assert manifest["depends_on"]["student"] == best
    assert len(taggers) == 2
    assert json.loads((shipped / "config.json").read_text("utf-8"))["model_type"] == "daguan"
    assert f"export: {shipped}: hf, " in said
    for model, gains in ((student, "members"), (student / "model", "members_alone")):
        assert len(manifest[gains]) == 3
        assert set(ahead_of(model)) == {name for name, gain in manifest[gains].items() if gain["f1"] < 0}
    assert any(name.startswith("ngram_crf") for name in ahead_of(student / "model"))
    card = (shipped / "README.md").read_text("utf-8")
    ahead = ahead_of(student)
    for name, lead in ahead.items():
        for command in ("distil", "export"):
            assert f"{command}: warning: {student}: {100 * lead:.2f} points of span F1 below {name} out of fold" in said
        assert f"`{name}` by {100 * lead:.2f} points" in card
    assert said.count(f": warning: {student}") == 2 * len(ahead)
    assert card.count(" points") == len(ahead)


def test_a_public_encoder_is_taught_and_shipped_with_its_tokenizer(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is shipped gives the spans of the student's model alone of all test lines, in a process without daguan."""
    checkpoint(tmp_path / "public", "bert")
    spelt = spelt_contest(contest, tmp_path / "spelt")
    public = PIECES.replace("checkpoint: public", f"checkpoint: {tmp_path / 'public'}")
    shipped = tmp_path / "shipped"
    with in_process():
        more = [f"ensemble.good={public}", "ensemble.good.train.epochs=2", "ensemble.good.model.head=crf"]
        assert main(words(tmp_path, spelt, *more, "members=good", "--ship", str(shipped))) == 0
    assert "exported without its judge, which reads tokens, as the model reads pieces" in capsys.readouterr().err
    (student,) = (tmp_path / "work").glob("distil-*")
    lines = [list(line.tokens) for line in read_unlabelled(spelt / "test.txt")]
    found = in_a_clean_process(LABEL["hf"], [json.dumps(lines), str(shipped)], tmp_path)[str(shipped)]
    require_our_spans(our_spans(student / "model", lines), found, lines)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--ship", "."], ".: expected a new or empty folder"),
        (["--ship", "new", "--to", "tf"], "--to: expected hf or onnx or onnx-int8"),
        (["members=ngram_crf", "--ship", "new"], "distil.student: expected the name of a tagger"),
        (["distil.student=nobody", "--ship", "new"], "distil.student: expected tagger or ngram_crf or soup"),
        (["distil.student=ngram_crf", "--ship", "new"], "distil.student: expected a tagger, as --ship exports it, got"),
        (
            [f"ensemble.bad={PIECES}", "ensemble.bad.model.ngram_buckets=9", "--ship", "new"],
            "bad, which `distil` may make the student: model.ngram_buckets: expected 0 with model.pieces",
        ),
        ([f"ensemble.bad={PIECES}", "--ship", "new"], "public: expected a folder with a checkpoint, got none"),
        (
            ["ensemble.bad.model.head=pointer", "--ship", "new", "--to", "onnx"],
            "bad, which `distil` may make the student: head pointer: expected one that scores a text at once",
        ),
    ],
)
def test_what_cannot_be_shipped_is_refused_before_any_work(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    more: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(words(tmp_path, contest, *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_a_blend_without_a_tagger_has_no_student(
    contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(tmp_path, contest, "members=ngram_crf")
    with in_process():
        assert main(given) == 0
        assert main(["distil", *given[2:], f"data.dir={contest}"]) == 2
    assert "distil.student: expected the name of a tagger, as no member is one that can be taught alone" in (
        capsys.readouterr().err
    )
