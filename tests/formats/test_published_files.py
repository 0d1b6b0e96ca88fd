"""Published data sets as people have them, which are not in this repository, are read and written unmodified."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from daguan.cli.app import main
from daguan.data.format import read_labelled
from daguan.formats.document import Document
from daguan.formats.format import Options
from daguan.formats.table import format_of, guess

TEXT = Path(__file__).parents[3] / "shared" / "text"
pytestmark = pytest.mark.skipif(not TEXT.is_dir(), reason=f"{TEXT} is not there: these files are not distributed")
COUNTS = {"wnut17": (3394 + 1009, 1287, 1079), "ncbi": (5432 + 923, 940, 960), "uner_zh": (3997 + 500, 500, 763)}


@pytest.mark.parametrize("name", COUNTS)
def test_one_command_imports_a_set_and_its_labels_come_back_byte_for_byte(name: str, tmp_path: Path) -> None:
    train, test, entities = COUNTS[name]
    assert main(["import", str(TEXT / name), str(tmp_path / name)]) == 0
    gold = read_labelled(tmp_path / name / "test_gold.txt")
    assert (len(read_labelled(tmp_path / name / "train.txt")), len(gold)) == (train, test)
    assert sum(len(sentence.gold) for sentence in gold) == entities
    assert (tmp_path / name / "groups.txt").is_file() == (name == "uner_zh")
    output = tmp_path / "out.conll"
    assert main(["export", str(tmp_path / name / "test_gold.txt"), str(tmp_path / name), str(output)]) == 0
    (source,) = (path for path in (TEXT / name).iterdir() if "test" in path.name)
    assert output.read_bytes() == source.read_bytes()


def entities_of(documents: Iterable[Document]) -> tuple[str, list[tuple[int, int]]]:
    """All characters that are no white space, and the ranges of entities in them."""
    characters, found = "", []
    for document in documents:
        starts = [len(characters)]
        for token in document.tokens:
            characters += re.sub(r"\s", "", token)
            starts.append(len(characters))
        found += [(starts[span.start], starts[span.stop]) for span in document.spans or ()]
    return characters, found


def test_both_forms_of_a_part_hold_the_same_entities() -> None:
    columns, folder = TEXT / "ncbi" / "test.tsv", TEXT / "ncbi" / "brat" / "test"
    one, other = (entities_of(format_of(guess(path)).read(path, Options())) for path in (columns, folder))
    assert one == other
    assert len(one[1]) == 960
