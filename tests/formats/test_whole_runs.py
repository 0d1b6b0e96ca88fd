"""Whole runs on data in another format, and on anonymised data, whose every artefact holds no text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import daguan
from daguan.cli.app import main
from daguan.formats.format import Options
from daguan.formats.table import format_of
from in_process import in_process

SMOKE = str(Path(__file__).parents[2] / "configs" / "smoke.yaml")
PERSONS = ["Quixotella Zumbrecht", "Wojvodan Kyrplax", "Ottfrida Blumsqual", "Ysgrimnar Dwexholm"]
PLACES = ["Grindelquist", "Vlorzhavn Ost", "Xanthopuy"]
SENTENCES = [
    "{person} reiste gestern nach {place} zurück .",
    "In {place} wohnte Doktor {person} fortan .",
    "Regen fiel .",
]
LABELS = {"person": "Patientin", "place": "Klinikort"}


def marked(sentence: str, number: int) -> dict[str, object]:
    names = {"person": PERSONS[number % len(PERSONS)], "place": PLACES[number % len(PLACES)]}
    text = sentence.format(**names)
    found = [(text.find(name), kind) for kind, name in names.items() if name in text]
    return {"text": text, "label": [[start, start + len(names[kind]), LABELS[kind]] for start, kind in sorted(found)]}


def write_source(folder: Path) -> Path:
    folder.mkdir()
    records = [marked(SENTENCES[number % len(SENTENCES)], number) for number in range(75)]
    for name, some in (("train", records[:60]), ("test", records[60:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in some), "utf-8")
    return folder


def run_words(root: Path, data: Path) -> list[str]:
    places = [f"data.dir={data}", f"data.work={root / 'work'}", f"data.submissions={root / 'out'}"]
    return ["run", SMOKE, *places, "pretrain.tokens=3072", "vocabulary.min_count=1", "encoder.max_length=32"]


def test_no_artefact_of_a_run_on_anonymised_data_holds_its_text(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, root, key = write_source(tmp_path / "owner"), tmp_path / "elsewhere", tmp_path / "key.json"
    assert main(["anonymise", str(source), str(root / "folder"), "--key", str(key)]) == 0
    capfd.readouterr()
    with in_process():
        assert main(run_words(root, root / "folder")) == 0
    printed = "".join(capfd.readouterr())
    text = (source / "train.jsonl").read_text("utf-8").encode().decode("unicode_escape")
    secret = set(re.findall(r"\w{5,}", text)) - {"label"} | {*LABELS.values()}
    assert len(secret) > 15
    spellings = [spelt for word in secret for spelt in (word.encode(), word.encode("utf-16-le"), word.lower().encode())]
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        content = str(path.relative_to(root)).encode() + path.read_bytes()
        assert not [word for word in spellings if word in content], path
    assert not [word for word in secret if word in printed]
    assert all(word in key.read_text("utf-8") for word in secret)  # so that the spellings are those of the data
    (submission,) = (root / "out").glob("*.txt")
    output = tmp_path / "labelled.jsonl"
    assert main(["restore", str(submission), str(key), str(output)]) == 0
    found = format_of("jsonl").read(output, Options())
    gold = format_of("jsonl").read(source / "test.jsonl", Options())
    assert [document.text for document in found] == [document.text for document in gold]
    assert {label for document in found for *_, label in document.entities()} <= {*LABELS.values()}


def test_a_run_takes_data_in_another_format_and_its_models_answer_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_source(tmp_path / "notes")
    with in_process():
        assert main(run_words(tmp_path, source)) == 0
        assert main(["distil", *run_words(tmp_path, source)[1:], "distil.student=tagger"]) == 0
    (folder,) = (tmp_path / "work").glob("import-notes-*")
    said = capsys.readouterr().err
    assert f"imported {source} into {folder}: lines of train.txt 60, test.txt 15, test_gold.txt 15" in said
    (submission,) = (tmp_path / "out").glob("import-notes-*.txt")
    assert main(["export", str(submission), str(folder), str(tmp_path / "labelled.jsonl")]) == 0
    before = (folder / "train.txt").stat().st_mtime_ns
    assert main(["score", *run_words(tmp_path, source)[1:]]) == 0
    assert (folder / "train.txt").stat().st_mtime_ns == before
    (folder / "vocab.tsv").unlink()  # a model needs no data
    (blend,), (student,) = ((tmp_path / "work").glob(f"{name}-*") for name in ("blend", "distil"))
    for model in (blend, student.rename(tmp_path / "shipped")):
        assert main(["predict", str(model), str(source / "test.jsonl"), str(tmp_path / "new.jsonl")]) == 0
        found, given = (
            format_of("jsonl").read(path, Options()) for path in (tmp_path / "new.jsonl", source / "test.jsonl")
        )
        assert [document.text for document in found] == [document.text for document in given]
        assert {label for document in found for *_, label in document.entities()} <= {*LABELS.values()}
        assert any(document.spans for document in found)
        assert daguan.load(model).labels == ("Klinikort", "Patientin")
        assert main(["score", str(tmp_path / "new.jsonl"), str(source / "test.jsonl")]) == 0


def test_what_cannot_be_imported_is_refused_with_the_command_that_has_the_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_source(tmp_path / "notes")
    (source / "test.jsonl").write_text('{"text": "a b", "label": [[0, 3, "X"], [2, 3, "Y"]]}', "utf-8")
    assert main(run_words(tmp_path, source)) == 2
    message = capsys.readouterr().err
    assert "test.jsonl:1: expected entities that do not overlap" in message
    assert "--repair overlaps" in message
    assert "options of `import SOURCE FOLDER`" in message
    assert not [*tmp_path.glob("work/import*/t*")]
