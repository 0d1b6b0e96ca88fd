"""What a format writes is what it reads, and what it reads it writes."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daguan.core.errors import ConfigError, DataError
from daguan.core.types import Span
from daguan.data.format import BLANK, LIKE_SEPARATOR
from daguan.formats.document import BREAK, Document
from daguan.formats.format import Options
from daguan.formats.repairs import Repairs
from daguan.formats.table import FORMATS, format_of
from daguan.formats.tags import SCHEMES
from format_documents import labels, spans_over, texts, tokenised, untexted, words

FEW = settings(max_examples=25)
NAMES = {"conll": "some.conll", "jsonl": "some.jsonl", "label-studio": "some.json", "spacy": "some.spacy"}


def written_and_read(format: str, documents: list[Document], *, again: bool = True) -> list[Document]:
    """Writes documents and reads them; what is read is written again, and is the same bytes."""
    its = format_of(format)
    with tempfile.TemporaryDirectory() as folder:
        first, second = (Path(folder) / number / NAMES.get(format, "some") for number in ("1", "2"))
        its.write(first, documents, Options())
        found = its.read(first, Options())
        if again:
            its.write(second, found, Options())
            assert content(second) == content(first)
    return found


def content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


conll_words = words.filter(lambda word: not re.search(r"[\t\n\r]|^ *$|^\ufeff", word))
conll_labels = labels.filter(lambda label: not re.search(r"[\t\n\r]", label))


@given(
    documents=st.booleans().flatmap(
        lambda group: st.lists(untexted(conll_words, conll_labels, True, group), min_size=1, max_size=4)
    ),
    scheme=st.sampled_from([*SCHEMES]),
)
def test_conll(documents: list[Document], scheme: str) -> None:
    """Tokens and entities of any text in every scheme; a scheme is found by its letters or named."""
    format, options = format_of("conll"), Options(scheme=scheme)
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "a", Path(folder) / "b"
        format.write(path, documents, options)
        found = format.read(path, options)
        format.write(again, found, Options())
        assert again.read_bytes() == path.read_bytes()
    assert found == documents


@given(st.lists(untexted(conll_words.filter(lambda word: " " not in word), labels, False), min_size=1, max_size=4))
def test_conll_without_tags(documents: list[Document]) -> None:
    assert written_and_read("conll", documents) == documents


@given(st.lists(tokenised(conll_labels, own_tokens=True), min_size=1, max_size=3))
def test_conll_keeps_a_text_of_one_line(documents: list[Document]) -> None:
    whole = [
        document.with_spans(document.spans or ())
        for document in documents
        if document.tokens and not any(re.search(r"[\t\n\r]|^\ufeff", token) for token in document.tokens)
    ]
    if whole:
        for found, document in zip(written_and_read("conll", whole), whole, strict=True):
            assert (found.tokens, found.spans) == (document.tokens, document.spans)
            assert document.text
            if not re.search(r"[\t\n\r]|^ | $", document.text):
                assert found == document


@pytest.mark.parametrize("format", ["jsonl", "label-studio", "spacy"])
def test_marked_text(format: str) -> None:
    @given(
        st.lists(tokenised(labels, own_tokens=True, group=True), max_size=4).filter(
            lambda found: format != "jsonl" or found
        )
    )
    def law(documents: list[Document]) -> None:
        if format == "spacy":  # which knows no empty text that is not annotated
            documents = [one if one.tokens else one.with_spans(()) for one in documents]
        assert written_and_read(format, documents) == documents

    law()


@given(
    st.lists(
        tokenised(labels.filter(lambda label: not re.search(r"[\s;|]", label)), group=True), min_size=1, max_size=4
    )
)
def test_brat(documents: list[Document]) -> None:
    """The names of files are the groups; brat has no tokens of its own, so they are those of the text."""
    unique = {document.group: document for document in documents}
    expected = sorted(unique.values(), key=lambda document: document.group or "")
    assert written_and_read("brat", expected) == expected


@FEW
@given(st.lists(tokenised(labels, own_tokens=True, group=True) | untexted(words, labels), min_size=1, max_size=4))
def test_datasets(documents: list[Document]) -> None:
    assert written_and_read("datasets", documents, again=False) == documents


contest_words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda word: not BLANK.search(word) and "_" not in word and LIKE_SEPARATOR not in word
)


@given(
    st.booleans().flatmap(
        lambda annotated: st.lists(
            untexted(contest_words, st.sampled_from(["a", "b1", "per"]), annotated), min_size=1, max_size=4
        )
    )
)
def test_contest(documents: list[Document]) -> None:
    if documents[0].spans is None and "/" in documents[0].tokens[-1]:
        return  # which is read as a labelled line
    assert written_and_read("contest", documents) == documents


@pytest.mark.parametrize("format", ["jsonl", "label-studio", "spacy"])
def test_tokens_without_a_text_get_one(format: str) -> None:
    @FEW
    @given(st.lists(untexted(words.filter(lambda word: word.strip()), labels), min_size=1, max_size=4))
    def law(documents: list[Document]) -> None:
        found = written_and_read(format, documents, again=False)
        assert found == [document.located() for document in documents]

    law()


TEMPLATES: dict[str, Callable[[Path], object]] = {
    "conll": lambda path: path.write_text(
        "-DOCSTART- -X- O O\n\n"
        "EU  NNP\tI-NP I-ORG\nrejects VBZ I-VP  O\n\n"
        "# a comment\n#1 NN O I-MISC x\n#2 NN O I-MISC\n",
        encoding="utf-8",
    ),
    "jsonl": lambda path: path.write_text(
        '{"id": 7, "text": "EU rejects", "entities": [{"id": 3, "start_offset": 0, "end_offset": 2, "label": "ORG"}], '
        '"Comments": []}\n{"id": 8, "text": "", "meta": {"a": 1}, "entities": []}\n',
        encoding="utf-8",
    ),
    "label-studio": lambda path: path.write_text(
        json.dumps(
            [
                {
                    "id": 1,
                    "data": {"text": "\U0001f600 EU rejects", "source": "x"},
                    "annotations": [
                        {
                            "id": 5,
                            "was_cancelled": False,
                            "result": [
                                {
                                    "id": "e1",
                                    "from_name": "ner",
                                    "to_name": "t",
                                    "type": "labels",
                                    "value": {"start": 2, "end": 4, "text": "EU", "labels": ["ORG"]},
                                },
                                {"id": "x", "type": "choices", "value": {"choices": ["good"]}},
                            ],
                        }
                    ],
                    "predictions": [],
                }
            ],
            ensure_ascii=False,
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    ),
}


@pytest.mark.parametrize("format", TEMPLATES)
def test_what_a_source_holds_beside_its_labels_stays(format: str, tmp_path: Path) -> None:
    path, again, other = (tmp_path / f"{name}{NAMES[format]}" for name in "abc")
    TEMPLATES[format](path)
    documents = format_of(format).read(path, Options())
    assert sum(len(document.spans or ()) for document in documents) >= 1
    format_of(format).write(again, documents, Options())
    assert again.read_text("utf-8") == path.read_text("utf-8")
    format_of(format).write(other, [document.with_spans(()) for document in documents], Options())
    assert [d.tokens for d in format_of(format).read(other, Options())] == [d.tokens for d in documents]
    assert not any(document.spans for document in format_of(format).read(other, Options()))


def result(name: str, start: int, stop: int, label: str, **more: object) -> dict[str, object]:
    """An entity as Label Studio marks it in STUDIO's text."""
    value = {"start": start, "end": stop, "text": WENT[start:stop], "labels": [label]}
    return {"id": name, "from_name": "ner", "to_name": "t", "type": "labels", "value": value} | more


WENT = "Ann met Bob in Rome , twice"
CANCELLED = {"id": 4, "was_cancelled": True, "result": [result("abc", 0, 3, "LOC")], "draft": None}
STUDIO = [
    {"id": "k", "type": "choices", "from_name": "mood", "to_name": "t", "value": {"choices": ["good"]}},
    result("abc", 0, 4, "PER", meta={"text": ["sure"]}, origin="manual", score=0.5),  # with the blank after it
    {"id": "abc", "type": "choices", "from_name": "sort", "to_name": "t", "value": {"choices": ["first"]}},
    {"from_id": "abc", "to_id": "e1", "type": "relation", "direction": "right", "labels": ["met"]},
    result("e1", 8, 11, "PER", parentID="abc"),
    {"from_id": "rome", "to_id": "e1", "type": "relation", "direction": "left"},
    result("rome", 15, 19, "LOC", parentID="e7"),
    {"id": "none", "type": "labels", "value": {"start": 20, "end": 21, "text": ",", "labels": []}},
]


def studio(folder: Path, results: list[dict[str, object]], text: str = WENT) -> list[Document]:
    """Documents of a task whose second annotation counts."""
    annotations = [CANCELLED, {"id": 5, "lead_time": 1.5, "result": results}, CANCELLED | {"id": 6}]
    task = {"id": 1, "data": {"text": text}, "annotations": annotations, "predictions": [{"result": []}]}
    (folder / "some.json").write_text(json.dumps([task]), "utf-8")
    return format_of("label-studio").read(folder / "some.json", Options())


def studio_written(folder: Path, documents: list[Document]) -> list[dict[str, object]]:
    """The results of the annotation that counts, as written; the two that are cancelled are as they were."""
    format_of("label-studio").write(folder / "out.json", documents, Options())
    assert format_of("label-studio").read(folder / "out.json", Options()) == documents
    (task,) = json.loads((folder / "out.json").read_text("utf-8"))
    first, its, last = task["annotations"]
    assert (first, last, its["id"], its["lead_time"]) == (CANCELLED, CANCELLED | {"id": 6}, 5, 1.5)
    results: list[dict[str, object]] = its["result"]
    return results


ANN, BOB, ROME = Span(0, 1, "PER"), Span(2, 3, "PER"), Span(4, 5, "LOC")


@pytest.mark.parametrize(
    ("results", "text"),
    [
        (STUDIO, WENT),
        ([], WENT),
        ([result("a", 0, 3, "PER"), result("b", 0, 3, "PER")], WENT),  # one entity, marked twice
        ([{"type": "labels", "value": {"start": 0, "end": 3, "labels": ["PER", "PER"]}}], WENT),
        ([{"type": "labels", "value": {"start": 3, "end": 6, "labels": ["PER"], "text": "Ann"}}], "\U0001f600 Ann"),
        ([{"type": "labels", "value": {"start": 0, "end": 5, "labels": ["X"], "text": "a\\n b"}}], "a\n  b"),
    ],
)
def test_label_studio_with_the_same_labels_is_the_same_json(
    results: list[dict[str, object]], text: str, tmp_path: Path
) -> None:
    documents = studio(tmp_path, results, text)
    assert studio_written(tmp_path, documents) == results


def test_an_entity_of_short_label_studio_keeps_what_it_has(tmp_path: Path) -> None:
    first, second = {"start": 0, "end": 4, "labels": ["PER"], "x": 1}, {"start": 8, "end": 11, "labels": ["PER"]}
    task = {"id": 1, "text": WENT, "label": [first, second], "sentiment": "good"}
    (tmp_path / "a.json").write_text(json.dumps([task]), "utf-8")
    (document,) = format_of("label-studio").read(tmp_path / "a.json", Options())
    new = {"start": 15, "end": 19, "text": "Rome", "labels": ["LOC"]}
    for spans, expected in (
        ([ANN, BOB], [first, second]),
        ([Span(0, 1, "ORG"), ROME], [first | {"labels": ["ORG"]}, new]),
    ):
        format_of("label-studio").write(tmp_path / "b.json", [document.with_spans(spans)], Options())
        assert json.loads((tmp_path / "b.json").read_text("utf-8")) == [task | {"label": expected}]


def test_an_entity_of_label_studio_keeps_its_result_under_another_label(tmp_path: Path) -> None:
    (document,) = studio(tmp_path, STUDIO)
    found = studio_written(tmp_path, [document.with_spans([Span(0, 1, "ORG"), BOB, ROME])])
    changed = {**STUDIO[1], "value": {"start": 0, "end": 4, "text": "Ann ", "labels": ["ORG"]}}
    assert found == [STUDIO[0], changed, *STUDIO[2:]]


def test_what_is_said_of_an_entity_of_label_studio_goes_with_it(tmp_path: Path) -> None:
    (document,) = studio(tmp_path, STUDIO)
    choices, _, _, _, bob, relation, rome, unlabelled = STUDIO
    alone = {key: value for key, value in bob.items() if key != "parentID"}
    assert studio_written(tmp_path, [document.with_spans([BOB, ROME])]) == [choices, alone, relation, rome, unlabelled]
    assert studio_written(tmp_path, [document.with_spans([ANN, ROME])]) == [*STUDIO[:3], rome, unlabelled]
    assert studio_written(tmp_path, [document.with_spans([])]) == [choices, unlabelled]


def test_a_new_entity_of_label_studio_has_an_id_of_its_own(tmp_path: Path) -> None:
    (document,) = studio(tmp_path, STUDIO)
    spans = [ANN, Span(1, 2, "X"), ROME, Span(6, 7, "X")]  # Bob is gone, and his id e1 is not given again
    found = studio_written(tmp_path, [document.with_spans(spans)])
    assert found[-2:] == [result("e2", 4, 7, "X"), result("e3", 22, 27, "X")]
    assert found[:-2] == [*STUDIO[:3], *STUDIO[6:]]


@FEW
@given(st.text("a\U0001f600 ", max_size=12), st.data())
def test_any_entities_in_place_of_others_whose_offsets_count_units_are_read_again(
    text: str, data: st.DataObject
) -> None:
    """Also those whose texts would be found at the same numbers of characters."""
    value = {"start": 3, "end": 4, "text": "b", "labels": ["X"]}
    with tempfile.TemporaryDirectory() as folder:
        given = [{"id": "x", "type": "labels", "value": value}]
        (document,) = studio(Path(folder), given, f"\U0001f600 b {text}")
        assert document.entities() == [(2, 3, "X")]
        studio_written(Path(folder), [document.with_spans(data.draw(spans_over(len(document.tokens), labels)))])


BRAT = (
    "T1\tPER 0 4\tAnn \n"
    "T3\tMeet 4 7\tmet\n"
    "#1\tAnnotatorNotes T1\tT7 and T5 are free\n"
    "E1\tMeet:T3 Who:T1 Whom:T7\n"
    "A1\tPast E1\n"
    "T7\tPER 8 11\tBob\n"
    "R1\tmet Arg1:T1 Arg2:T7\t\n"
    "*\tEquiv T1 T7\n"
    "#2\tAnnotatorNotes R1\tindeed\n"
    "A2\tStage T7 T1\n"
    "N1\tReference T8 UMLS:T1\tRome\n"
    "T8\tLOC 15 19;20 21\tRome ,\n"
    "#3\tAnnotatorNotes A1\tsure\n"
)


def brat(folder: Path, lines: str, text: str = WENT) -> Document:
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / "a.txt").write_bytes(text.encode())
    (folder / "in" / "a.ann").write_bytes(lines.encode())
    (document,) = format_of("brat").read(folder / "in", Options())
    return document


def brat_written(folder: Path, document: Document) -> str:
    with tempfile.TemporaryDirectory(dir=folder) as output:
        format_of("brat").write(Path(output), [document], Options())
        assert format_of("brat").read(Path(output), Options()) == [document]
        return (Path(output) / "a.ann").read_bytes().decode()


@pytest.mark.parametrize(
    "lines",
    [
        BRAT,
        BRAT.replace("\n", "\r\n"),
        "\ufeff" + BRAT.removesuffix("\n"),
        "",
        "\n",
        "R1\tmet Arg1:T1 Arg2:T2\n\n# a comment\nE1\n",
        "T1\tPER 0 3\tAnn\nT1\tPER 0 3\tAnn\nA1\tBoss T1\n",  # one entity, marked twice
        "T1\tA|B 0 3\tAnn\n",
    ],
)
def test_brat_with_the_same_labels_is_the_same_bytes(lines: str, tmp_path: Path) -> None:
    assert brat_written(tmp_path, brat(tmp_path, lines)) == lines


PLACES = {"T1": Span(0, 1, "PER"), "T3": Span(1, 2, "Meet"), "T7": Span(2, 3, "PER"), "T8": Span(4, 6, "LOC")}


def test_an_entity_of_brat_keeps_its_line_under_another_label(tmp_path: Path) -> None:
    for ends in ("\n", "\r\n"):
        lines = BRAT.replace("\n", ends)
        document = brat(tmp_path, lines)
        assert document.spans == tuple(PLACES.values())
        spans = [Span(one.start, one.stop, f"{one.label}2") for one in PLACES.values()]
        expected = re.sub(r"^(T\d\t\w+)", r"\g<1>2", lines, flags=re.MULTILINE)
        assert brat_written(tmp_path, document.with_spans(spans)) == expected


@pytest.mark.parametrize(
    ("gone", "lines"),
    [
        ("T1", "T1 #1 E1 A1 R1 * #2 #3"),
        ("T3", "T3 E1 A1 #3"),
        ("T7", "T7 E1 A1 R1 * #2 A2 #3"),
        ("T8", "N1 T8"),
    ],
)
def test_what_refers_to_an_entity_of_brat_goes_with_it(gone: str, lines: str, tmp_path: Path) -> None:
    document = brat(tmp_path, BRAT)
    found = brat_written(tmp_path, document.with_spans([one for name, one in PLACES.items() if name != gone]))
    stay = [line for line in BRAT.splitlines(keepends=True) if line.split("\t")[0] not in lines.split()]
    assert found == "".join(stay)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_a_new_entity_of_brat_has_a_free_name(ends: str, last: bool, tmp_path: Path) -> None:
    lines = BRAT.replace("\n", ends)
    document = brat(tmp_path, lines if last else lines.removesuffix(ends))
    found = brat_written(tmp_path, document.with_spans([*PLACES.values(), Span(6, 7, "X")]))
    assert found == f"{lines}T2\tX 22 27\ttwice{ends}"
    found = brat_written(tmp_path, document.with_spans([Span(0, 2, "X"), Span(6, 7, "X")]))
    assert found == f"T2\tX 0 7\tAnn met{ends}T4\tX 22 27\ttwice{ends}"


@pytest.mark.parametrize(
    ("line", "repair", "repaired"),
    [
        ("T4\tPER 0 3;8 11\tAnn Bob", "fragments", "T4\tPER 0 11\tAnn met Bob"),
        ("T4\tPER 1 3\tnn", "cuts", "T4\tPER 0 3\tAnn"),
        ("T4\tPER 0 11\tAnn met Bob\nT5\tPER 8 11\tBob\nA2\tBoss T5", "overlaps", "T4\tPER 0 11\tAnn met Bob"),
    ],
)
def test_a_repaired_entity_of_brat_is_written_as_it_is_now(
    line: str, repair: str, repaired: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text(WENT, "utf-8")
    (tmp_path / "a.ann").write_text(f"{line}\nA1\tBoss T4\n", "utf-8")
    (document,) = format_of("brat").read(tmp_path, Options(repairs=Repairs([repair])))
    assert brat_written(tmp_path, document) == f"{repaired}\nA1\tBoss T4\n"


HOLDING = [name for name in FORMATS if name != "text"]  # labels


@pytest.mark.parametrize("source", HOLDING)
@pytest.mark.parametrize("target", HOLDING)
def test_entities_pass_from_every_format_to_every_other(source: str, target: str, tmp_path: Path) -> None:
    documents = [
        Document(("eu", "says", "no"), (Span(0, 1, "org"),)),
        Document(("in", "new", "york"), (Span(1, 3, "loc"),)),
    ]
    first, second = tmp_path / "first", tmp_path / "second"
    format_of(source).write(first, documents, Options())
    format_of(target).write(second, format_of(source).read(first, Options()), Options())
    found = format_of(target).read(second, Options())
    assert [(document.tokens, document.spans) for document in found] == [(d.tokens, d.spans) for d in documents]


@pytest.mark.parametrize("format", ["conll", "contest"])
@pytest.mark.parametrize("token", ["a\tb", "a\nb", "\r", " "])
def test_what_a_format_cannot_hold_is_refused(format: str, token: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected tokens"):
        format_of(format).write(tmp_path / "some", [Document((token, "b"), ())], Options())
    assert not [*tmp_path.iterdir()]


@given(texts.filter(lambda text: bool(text.strip())))
def test_a_plain_text_is_read_with_the_places_of_its_tokens_and_never_written(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.txt"
        path.write_bytes(text.encode())
        (document,) = format_of("text").read(path, Options())
        assert (document.text, document.spans) == (text, None)
        assert len(document.lines()) <= len(BREAK.split(text))
        with pytest.raises(ConfigError, match="expected a format that can hold labels, got plain text"):
            format_of("text").write(path, [document], Options())
        assert path.read_bytes() == text.encode()


def test_a_text_of_white_space_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(" \n", "utf-8")
    with pytest.raises(DataError, match=r"a\.txt: expected a text, got nothing"):
        format_of("text").read(tmp_path / "a.txt", Options())
