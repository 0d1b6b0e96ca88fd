"""Data as people publish them go from files to a model and back to files unmodified, by the commands that a user types.

The data are small: sentences with the quirks of three published sets, and the first sentences of these sets where they
are there (they are not distributed).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest

import daguan
from conftest import TINY
from daguan.cli.app import main
from daguan.formats.document import Document
from daguan.formats.format import Options
from daguan.formats.table import format_of
from in_process import in_process

TEXT = Path(__file__).parents[3] / "shared" / "text"
SETS = {  # the file of each part
    "wnut17": ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
    "ncbi": ("train.tsv", "devel.tsv", "test.tsv"),
    "uner_zh": ("zh-train.iob2", "zh-dev.iob2", "zh-test.iob2"),
}
SENTENCES = (60, 6, 12)  # of each part
NAMES = {"creative-work": ["The Wire", "Dark_Souls II"], "PER": ["李 白", "@x/o"], "Disease": ["Wilms tumor", "T-PLL"]}


def tokens_of(rng: random.Random) -> list[tuple[str, str]]:
    """The tokens of a sentence with their tags."""
    label = rng.choice([*NAMES])
    first, *others = rng.choice(NAMES[label]).split()
    entity = [(first, f"B-{label}"), *((other, f"I-{label}") for other in others)]
    words = [(rng.choice(["saw", "RT", ":)", "1_000", "#now", "，"]), "O") for _ in range(rng.randint(2, 6))]
    return [*words[:2], *entity, *words[2:]]


def sentence_of(name: str, number: int, rng: random.Random) -> str:
    """A sentence with the line that ends it."""
    tokens = tokens_of(rng)
    if name != "uner_zh":
        end = "\t" if name == "wnut17" and number % 3 else ""
        return "".join(f"{token}\t{tag}\n" for token, tag in tokens) + f"{end}\n"
    rows = "".join(f"{place}\t{token}\t{tag}\t-\t-\n" for place, (token, tag) in enumerate(tokens, start=1))
    about = f"# newdoc id = d{number // 3}\n" if number % 3 == 0 else ""
    return f"{about}# sent_id = s{number}\n# text = {''.join(token for token, _ in tokens)}\n{rows}\n"


def write_made(name: str, folder: Path) -> None:
    rng = random.Random(7)
    for file, count in zip(SETS[name], SENTENCES, strict=True):
        (folder / file).write_text("".join(sentence_of(name, number, rng) for number in range(count)), "utf-8")


def write_published(name: str, folder: Path) -> None:
    for part, count in zip(("train", "dev", "test"), SENTENCES, strict=True):
        (file,) = (file for file in (TEXT / name).iterdir() if part in file.name)
        with file.open(encoding="utf-8", newline="") as lines:
            (folder / file.name).write_text("".join(first_sentences(lines, count)), "utf-8", newline="")


def first_sentences(lines: Iterator[str], count: int) -> Iterator[str]:
    blocks = groupby(lines, key=lambda line: not line.strip())
    for _, (_, block) in zip(range(2 * count), blocks, strict=False):
        yield from block


def documents_of(path: Path) -> list[Document]:
    return format_of("conll").read(path, Options())


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("write", [write_made, write_published])
def test_one_command_trains_and_the_answer_is_the_users_file_with_other_labels(
    name: str, write: Callable[[str, Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if write is write_published and not TEXT.is_dir():
        pytest.skip(f"{TEXT} is not there")
    (source := tmp_path / name).mkdir()
    write(name, source)
    (config := tmp_path / "empty.yaml").write_text("", "utf-8")
    places = [f"data.work={tmp_path / 'work'}", f"data.submissions={tmp_path / 'out'}"]
    with in_process():
        assert main(["fit", str(source), str(config), *TINY, "members=[ngram_crf]", *places, "--json"]) == 0
    fitted = json.loads(capsys.readouterr().out)
    (test,) = (path for path in source.iterdir() if "test" in path.name)
    output = tmp_path / test.name
    assert main(["predict", fitted["model"], str(test), str(output)]) == 0
    gold, found = documents_of(test), documents_of(output)
    assert [document.tokens for document in found] == [document.tokens for document in gold]
    model = daguan.load(fitted["model"])
    assert [list(one.spans or ()) for one in found] == model.predict([one.tokens for one in gold])
    assert set(model.labels) == {
        span.label
        for path in source.iterdir()
        if path != test
        for one in documents_of(path)
        for span in one.spans or ()
    }
    again = tmp_path / f"again-{test.name}"
    pairs = zip(found, gold, strict=True)
    format_of("conll").write(again, [one.with_spans(theirs.spans or ()) for one, theirs in pairs], Options())
    assert again.read_bytes() == test.read_bytes()  # nothing but labels differs
    capsys.readouterr()
    assert main(["score", str(output), str(test), "--json"]) == 0
    scored, expected = json.loads(capsys.readouterr().out), fitted["test"][fitted["final"]]
    assert scored["span"]["gold"] == expected["span"]["gold"]
    assert scored["span"]["f1"] == pytest.approx(expected["span"]["f1"], abs=0.05)
    assert write is write_published or scored["span"]["f1"] > 0.5
