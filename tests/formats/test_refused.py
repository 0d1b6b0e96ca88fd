"""What a source may not hold is refused with its place and a remedy, or repaired and counted where that is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daguan.core.errors import ConfigError, DataError
from daguan.core.types import Span
from daguan.formats.format import Options
from daguan.formats.repairs import REPAIRS, Repairs
from daguan.formats.table import format_of, guess

TEXT = "Ann Lee-Ray went to New York"


def jsonl(*entities: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "some.jsonl"
        path.write_text('{"text": "x", "label": []}\n' + json.dumps({"text": TEXT, "label": entities}) + "\n", "utf-8")
        return path

    return write


def brat(*lines: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "x.txt").write_text(TEXT, "utf-8")
        (folder / "x.ann").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return folder

    return write


def conll(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "some.conll"
        path.write_text(text, "utf-8")
        return path

    return write


def studio(text: str, *annotations: list[dict[str, object]]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "some.json"
        results = [{"result": [{"type": "labels", "value": value} for value in values]} for values in annotations]
        path.write_text(json.dumps([{"data": {"text": text}, "annotations": results}]), "utf-8")
        return path

    return write


REPAIRED = [
    (jsonl([0, 7, "PER"], [4, 11, "PER"]), "overlaps", "some.jsonl:2", [Span(1, 4, "PER")]),
    (jsonl([0, 11, "PER"], [4, 7, "PER"]), "overlaps", "some.jsonl:2", [Span(0, 4, "PER")]),
    (jsonl([4, 7, "PER"], [4, 7, "LOC"]), "overlaps", "some.jsonl:2", [Span(1, 2, "PER")]),
    (jsonl([0, 2, "PER"]), "cuts", "some.jsonl:2", [Span(0, 1, "PER")]),
    (jsonl([13, 15, "X"], [20, 28, "LOC"]), "cuts", "some.jsonl:2", [Span(4, 5, "X"), Span(6, 8, "LOC")]),
    (jsonl([3, 4, "PER"]), "empty", "some.jsonl:2", []),
    (jsonl([3, 3, "PER"]), "empty", "some.jsonl:2", []),
    (brat("R1\tx", "T1\tPER 0 3;8 11\tAnn Ray"), "fragments", "x.ann:2", [Span(0, 4, "PER")]),
    (brat("T1\tPER 0 7\tAnn Lee", "T2\tPER 4 11\tLee-Ray"), "overlaps", "x.ann:1", [Span(1, 4, "PER")]),
    (brat("T1\tPER 1 3\tnn"), "cuts", "x.ann:1", [Span(0, 1, "PER")]),
    (
        conll("Ann O\nLee B-PER\n\nRay O\nLee I-PER\nX B-PER"),
        "tags",
        "some.conll:5",
        [Span(1, 2, "PER"), Span(2, 3, "PER")],
    ),
    (conll("Ann B-PER\nLee O\nRay S-PER"), "tags", "some.conll:2", [Span(0, 1, "PER"), Span(2, 3, "PER")]),
    (conll("Ann S-PER\nLee B-PER"), "tags", "some.conll:2", [Span(0, 1, "PER"), Span(1, 2, "PER")]),
    (
        studio("a b", [{"start": 0, "end": 1, "labels": ["X"]}], [{"start": 2, "end": 3, "labels": ["X"]}]),
        "annotators",
        "some.json: task 1",
        [Span(1, 2, "X")],
    ),
    (studio("a b", [{"start": 0, "end": 3, "labels": ["X", "Y"]}]), "overlaps", "task 1", [Span(0, 2, "X")]),
]


@pytest.mark.parametrize(("write", "repair", "place", "spans"), REPAIRED)
def test_it_is_refused_or_repaired(
    write: Callable[[Path], Path], repair: str, place: str, spans: list[Span], tmp_path: Path
) -> None:
    path = write(tmp_path)
    format = format_of(guess(path))
    others = Repairs([name for name in REPAIRS if name != repair])
    with pytest.raises(DataError) as refused:
        format.read(path, Options(repairs=others))
    assert f"{place}: expected " in str(refused.value)
    assert f"; --repair {repair} {REPAIRS[repair]}" in str(refused.value)
    allowed = Repairs([repair])
    (*_, annotated) = (document.spans for document in format.read(path, Options(repairs=allowed)))
    assert annotated == tuple(spans)
    assert allowed.counts == {repair: 1}


REFUSED = [
    (jsonl([0, 99, "PER"]), "some.jsonl:2: expected offsets within 28 characters, got 0 and 99"),
    (jsonl([-1, 3, "PER"]), "some.jsonl:2: expected offsets within"),
    (jsonl([0, 3]), "some.jsonl:2: expected an entity such as"),
    (jsonl([0, True, "PER"]), "some.jsonl:2: expected an entity such as"),
    (jsonl("PER"), "some.jsonl:2: expected an entity such as"),
    (brat("T1\tPER 0 4\tLee"), "x.ann:1: expected 'Lee' at 0 4, got 'Ann '"),
    (brat("T1 PER 0 3 Ann"), "x.ann:1: expected an entity such as"),
    (conll("a\tO\nb\n"), "some.conll:2: expected 2 columns with tabs between, got 1"),
    (conll("a\tO\n\tO\n"), "some.conll:2: expected a token in column 1, got none"),
    (conll("a O\nb o\nc O"), "some.conll:2: expected a tag such as O or B-PER, got 'o'"),
    (conll("a NN\nb VB\n"), "some.conll:1: expected a column of tags"),
    (conll("a B-X\nb E-X\nc L-X"), "some.conll:2: expected a tag of BILOU"),
    (conll("\n \n"), "some.conll: expected at least one sentence, got none"),
    (studio("a b", [{"start": 0, "end": 1, "labels": ["X"], "text": "b"}]), "task 1: expected 'b' at 0, got 'a'"),
    (studio("a b", [{"start": 0, "end": 1}]), "task 1: expected an entity with start, end and labels"),
]


@pytest.mark.parametrize(("write", "message"), REFUSED)
def test_what_no_repair_makes_good(write: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(DataError) as refused:
        format_of(guess(path)).read(path, Options(repairs=Repairs(REPAIRS)))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "text": "b"}', "1: expected JSON with each key once, got 'text' twice"),
        ('{"text": "a"', "1: expected JSON, got"),
        ("[" * 100_000, "1: expected JSON, got brackets that are nested too deeply"),
        ('{"text": ' + "9" * 5_000 + "}", "1: expected JSON, got a number of too many digits"),
        ('{"text": "\\ud83d"}', "1: expected whole characters"),
        ('{"text": 1}', "1: expected a record with 'text', got '1'"),
        ('["text"]', "1: expected an object, got"),
        ('{"text": "a", "label": "positive"}', "1: expected a list of entities under 'label', got 'positive'"),
        ('{"text": "a", "label": [], "spans": []}', "1: expected entities under one of"),
        ('{"text": "a b", "tokens": [[2, 3], [0, 1]]}', "1: expected tokens such as [0, 5]"),
    ],
)
def test_malformed_records(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(line, "utf-8")
    with pytest.raises(DataError, match=r"some\.jsonl:1") as refused:
        format_of("jsonl").read(path, Options())
    assert message in str(refused.value)


def test_offsets_of_utf_16_are_known_by_the_text_that_results_repeat(tmp_path: Path) -> None:
    text = "\U0001f600\U0001f600 Ann went"
    for start in (3, 5):  # in characters, and in UTF-16 units
        path = studio(text, [{"start": start, "end": start + 3, "labels": ["PER"], "text": "Ann"}])(tmp_path)
        (document,) = format_of("label-studio").read(path, Options())
        assert document.entities() == [(3, 6, "PER")]


def test_an_unknown_repair_format_or_option_is_named() -> None:
    with pytest.raises(ConfigError, match="--repair all: no such repair; known: overlaps, cuts"):
        Repairs(["all"])
    with pytest.raises(ConfigError, match="--format: expected conll or jsonl"):
        format_of("xml")
    with pytest.raises(ConfigError, match="--scheme: expected bio or"):
        Options(scheme="iob")
    with pytest.raises(ConfigError, match="--token-column, --tag-column: expected two columns, got 2 for both"):
        Options(token_column=2, tag_column=2)


@pytest.mark.parametrize("columns", [{"tag_column": 1}, {"tag_column": 1, "token_column": 2}, {"token_column": 2}])
def test_columns_that_a_file_does_not_have_are_refused(columns: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"some\.conll: expected (a column of tokens beside|2 columns)"):
        format_of("conll").read(conll("B-X\nO\n")(tmp_path), Options(**columns))  # type: ignore[arg-type]


def test_a_format_is_guessed_by_content_where_no_name_tells_it(tmp_path: Path) -> None:
    for name, content, format in (
        ("a.json", '[{"data": {"text": ""}}]', "label-studio"),
        ("b.json", '{"text": ""}\n{"text": ""}', "jsonl"),
        ("a.txt", "7_8/a  9/o", "contest"),
        ("b.txt", "Ann B-PER\nLee I-PER", "conll"),
        ("c.annotated", "\nAnn\tO", "conll"),
    ):
        (tmp_path / name).write_text(content, "utf-8")
        assert guess(tmp_path / name) == format
    (tmp_path / "d.bin").write_text("x", "utf-8")
    with pytest.raises(DataError, match="got others; --format: conll, jsonl"):
        guess(tmp_path / "d.bin")


@pytest.mark.parametrize(
    ("content", "format"),
    [
        ("[_7_8\n7_8", "contest"),
        ("{_7_8\n7_8", "contest"),
        ("[7_8\n7__8", "contest"),
        ("[7]\n7_8", "contest"),
        ("[7]_8\n7_8", "contest"),
        ("[\n7_8", "contest"),
        ("{\n{\n7_8", "contest"),
        ('{"_7', "contest"),
        ('[{"text":"a"}]', "label-studio"),
        ("[]", "label-studio"),
        ('[{"data":{"text":"a_b"},"annotations":[]},\n{"data":{"text":"b"}}]', "label-studio"),
        ('[\n{\n"data":{"text":"a"}\n}\n]', "label-studio"),
        ('[\n {\n  "text": "a"\n }\n]', "label-studio"),
        ('[\n {\n  "text": "a"\n }', "label-studio"),
        ('[{"data": {"text": "a"', "label-studio"),
        ("[" * 100_000, "label-studio"),
        ('{"text":"a","label":[]}\n{"text":"b"}', "jsonl"),
        ('{\n "text": "a"\n}', "jsonl"),
    ],
)
def test_a_line_of_the_contest_that_begins_with_a_bracket_is_no_json(content: str, format: str, tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text(content, "utf-8")
    assert guess(tmp_path / "some.txt") == format
    (tmp_path / "some.json").write_text(content, "utf-8")  # which says so
    assert guess(tmp_path / "some.json") == ("label-studio" if content.startswith("[") else "jsonl")


TEXTS, NAMES, NUMBERS = "string", "names", "int64"  # the kinds of the columns of datasets
OFFSET_PAIRS = "offsets"


def dataset(path: Path, rows: list[dict[str, Any]], **kinds: str) -> Path:
    """Saves rows as datasets does; the columns are lists of a kind, or values of `=kind`."""
    import datasets

    pairs = datasets.List(datasets.List(datasets.Value("int64")))

    def feature(kind: str) -> Any:
        if kind == OFFSET_PAIRS:
            return pairs
        plain = kind.removeprefix("=")
        one = datasets.ClassLabel(names=["O", "B-PER", "I-PER"]) if plain == NAMES else datasets.Value(plain)
        return one if plain != kind else datasets.List(one)

    features = datasets.Features({name: feature(kind) for name, kind in kinds.items()})
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(path))
    return path


AB = {"tokens": ["a", "b"]}
PLACED = {"tokens": TEXTS, "text": f"={TEXTS}", "offsets": OFFSET_PAIRS}


@pytest.mark.parametrize(
    ("row", "kinds", "message"),
    [
        (AB | {"tags": [-1, 0]}, {"tokens": TEXTS, "tags": NAMES}, "a number of a tag from 0 to 2, got -1"),
        (AB | {"tags": [0, None]}, {"tokens": TEXTS, "tags": NAMES}, "a number of a tag from 0 to 2, got 'null'"),
        (AB | {"tags": [-1]}, {"tokens": TEXTS, "tags": NAMES}, "2 tags, got 1"),
        (AB | {"tags": [0, 1]}, {"tokens": TEXTS, "tags": NUMBERS}, "a tag such as O or B-PER, or a number that"),
        (AB | {"tags": [-100, 1]}, {"tokens": TEXTS, "tags": NUMBERS}, "a tag such as O or B-PER, or a number that"),
        (AB | {"tags": ["O", None]}, {"tokens": TEXTS, "tags": TEXTS}, "a tag such as O or B-PER, or a number that"),
        (AB | {"tags": ["NN", ""]}, {"tokens": TEXTS, "tags": TEXTS}, "a tag such as O or B-PER, or a number that"),
        (AB | {"labels": 1}, {"tokens": TEXTS, "labels": f"={NAMES}"}, "a list of tags, got '1'"),
        ({"tokens": None}, {"tokens": TEXTS}, "a list of tokens, got 'null'"),
        ({"tokens": "a b"}, {"tokens": f"={TEXTS}"}, "a list of tokens, got "),
        ({"tokens": ["a", None]}, {"tokens": TEXTS}, "tokens of text, got 'null'"),
        ({"tokens": [1.5]}, {"tokens": "float64"}, "tokens of text, got '1.5'"),
        (AB | {"text": "a b", "offsets": [[0, 1], [1, 2]]}, PLACED, "offsets at which the text holds the tokens"),
        (AB | {"text": "a b", "offsets": [[0, 1]]}, PLACED, "offsets at which the text holds the tokens"),
        (AB | {"text": "a b", "offsets": [[0, 1], [2]]}, PLACED, "tokens such as [0, 5]"),
        (AB | {"text": "a b", "offsets": [[0, 1], None]}, PLACED, "tokens such as [0, 5]"),
        (AB | {"text": None, "offsets": [[0, 1], [2, 3]]}, PLACED, "a row with 'text', as it has 'offsets'"),
    ],
)
def test_a_row_of_datasets_that_cannot_be_read_is_named(
    row: dict[str, Any], kinds: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = dataset(tmp_path / "saved", [row], **kinds)
    with pytest.raises(DataError) as refused:
        format_of("datasets").read(path, Options())
    assert str(refused.value).startswith(f"{path}: row 1: expected {message}")


@pytest.mark.parametrize("state", ["{}", "[]", "x", '{"_data_files": 3}'])
def test_a_damaged_folder_of_datasets_is_named(state: str, tmp_path: Path) -> None:
    path = dataset(tmp_path / "saved", [AB], tokens=TEXTS)
    (path / "state.json").write_text(state, "utf-8")
    with pytest.raises(DataError, match="saved: expected a folder that datasets saved, got: "):
        format_of("datasets").read(path, Options())


def test_rows_of_unknown_tags_are_not_annotated_and_numbers_are_text(tmp_path: Path) -> None:
    rows = [
        {"tokens": [7, 8], "tags": [-1, -1], "document": 3},
        {"tokens": [7, 8], "tags": [1, 2], "document": 4},
        {"tokens": [9], "tags": None, "document": None},
        {"tokens": [], "tags": [], "document": 4},
    ]
    path = dataset(tmp_path / "saved", rows, tokens=NUMBERS, tags=NAMES, document=f"={NUMBERS}")
    found = format_of("datasets").read(path, Options())
    assert [(one.tokens, one.spans, one.group) for one in found] == [
        (("7", "8"), None, "3"),
        (("7", "8"), (Span(0, 2, "PER"),), "4"),
        (("9",), None, None),
        ((), (), "4"),
    ]
    format_of("datasets").write(tmp_path / "again", found, Options())
    assert format_of("datasets").read(tmp_path / "again", Options()) == found
    import datasets

    assert datasets.load_from_disk(str(tmp_path / "again")).to_list() == rows


@pytest.mark.parametrize("digits", [18, 19, 5_000])
def test_an_offset_of_any_length_is_refused_in_brat(digits: int, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Smith", "utf-8")
    (tmp_path / "a.ann").write_text(f"T1\tPER 0 {'9' * digits}\tSmith\n", "utf-8")
    with pytest.raises(DataError, match=r"a\.(ann|txt):?1?: expected (an entity|offsets)"):
        format_of("brat").read(tmp_path, Options())
