"""Labels a file or a folder in any format with what was trained, and answers in the user's own text."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from daguan.core.errors import DataError
from daguan.core.runs import Stopwatch
from daguan.core.settings import require
from daguan.core.types import Sentence
from daguan.data.format import STANDARD, format_labelled, iter_lines, read_unlabelled, write_lines
from daguan.ensemble.labelling import load_members
from daguan.formats.document import Document
from daguan.formats.exporting import Line, lines_of, with_spans, write
from daguan.formats.format import require_new
from daguan.formats.parts import is_contest
from daguan.formats.repairs import REPAIRS
from daguan.formats.sources import Source, read_to_label
from daguan.formats.table import CONTEST, FORMATS, find_format, format_of, guess_new
from daguan.formats.translation import Translation
from daguan.pipeline.work.predict import find_models, predict
from daguan.training.devices import prepare_process, share_cores
from daguan.training.engine_settings import EngineSettings

TEXT, JSON = "text", "json"
NUMBERS = re.compile(r"[0-9]+(_[0-9]+)*(/.*)?")  # a line of a contest in which numbers stand for tokens


@dataclass(frozen=True)
class Unlabelled:
    """What is to be labelled.

    Attributes:
        sentences: the lines, in the tokens of the contest that the models know.
        format: of the source.
        documents: of the source; none if it is of lines of a contest, which are answered as they are.
        lines: which tokens of which document each line is.
    """

    sentences: list[Sentence]
    format: str
    documents: Sequence[Document] = ()
    lines: Sequence[Line] = ()


def label(
    folder: Path, source: Path, target: Path, engine: EngineSettings, read_as: str = "", written: str = ""
) -> dict[str, Any]:
    """Labels a source by the models of a folder, and returns how many lines, by how many models and how fast.

    Standard input and output stand for the path `-`.

    Args:
        read_as: the format of the source, a key of FORMATS; empty: found by its name and content.
        written: the format of the answer, a key of FORMATS or `json`, which has probabilities; empty: as the name of
            the target says, and else as the source.

    Raises:
        DaguanError: no model, a source that is not as its format says, or a target that cannot be written.
    """
    require("--from", not read_as or read_as in FORMATS, " or ".join(FORMATS), read_as)
    paths, combination = find_models(folder)
    translation = Translation.load(paths[0][0])
    unlabelled = _read(source, read_as or _format_to_label(source, translation), translation)
    written = written or (CONTEST if unlabelled.format == CONTEST else guess_new(target, unlabelled.format))
    _require_target(target, written, unlabelled.format)
    prepare_process(share_cores(engine, 1)[1], engine)
    members = load_members(paths, engine)
    watch = Stopwatch()
    labelled = predict(members, combination, unlabelled.sentences)
    facts = _write(target, written, labelled, unlabelled, translation)
    tokens, seconds = sum(len(sentence.tokens) for sentence in unlabelled.sentences), watch.seconds
    return {
        "lines": len(unlabelled.sentences),
        "models": sum(map(len, members)),
        "lines_per_second": len(unlabelled.sentences) / seconds,
        "tokens_per_second": tokens / seconds,
        **facts,
    }


def _format_to_label(source: Path, translation: Translation) -> str:
    """Returns the format of a source; empty for a folder with a file for each part, whose formats may differ.

    If numbers stand for tokens, a file without a known format is a contest's if it holds numbers, and else a text.
    """
    is_pipe = source.exists() and not source.is_file() and not source.is_dir()
    if source == STANDARD or is_pipe or is_contest(source):
        return CONTEST
    found = find_format(source)
    if found not in (None, CONTEST):
        return found or ""
    if source.is_dir():
        return ""
    first = next(line for _, line in iter_lines(source))
    return TEXT if translation.book and not NUMBERS.fullmatch(first) else CONTEST


def _read(source: Path, format: str, translation: Translation) -> Unlabelled:
    """Returns what is to be labelled; labels that the source has are not read. Raises ConfigError or DataError."""
    if format == CONTEST:
        return Unlabelled(read_unlabelled(source), CONTEST)
    its = Source(path=str(source), format=format, only_test=True, repairs=tuple(REPAIRS), **translation.reading)
    if source == STANDARD:
        documents, found = format_of(format).read(source, its.options()), format
    else:
        documents, found = read_to_label(its, its.options())
    documents = [replace(document, spans=None) for document in documents]
    lines = lines_of(documents, its.whole)
    sentences = [Sentence(translation.encode(documents[number].tokens[start:stop])) for number, start, stop in lines]
    return Unlabelled(sentences, found, documents, lines)


def _require_target(target: Path, written: str, source: str) -> None:
    """Raises ConfigError or DataError: no answer can be written there in that format."""
    known = [CONTEST, JSON] if source == CONTEST else [JSON, *(name for name in FORMATS if name != TEXT)]
    require("--format", written in known, " or ".join(known), written)
    if written in FORMATS and FORMATS[written].is_folder:
        require("OUTPUT", target != STANDARD, f"a folder to write, as {written} is one", "standard output")
        require_new(target)
    elif target != STANDARD and (target.is_dir() or not target.absolute().parent.is_dir()):
        raise DataError(f"{target}: expected the path of a file in an existing folder")


def _write(
    target: Path, written: str, labelled: Iterable[Sentence], unlabelled: Unlabelled, translation: Translation
) -> dict[str, Any]:
    """Writes the labelled lines, and returns what is known of the documents."""
    if unlabelled.format == CONTEST:
        _write_lines(target, map(format_labelled if written == CONTEST else _json_of_line, labelled))
        return {}
    spans = [translation.decode(sentence.gold) for sentence in labelled]
    documents = with_spans(unlabelled.documents, unlabelled.lines, spans)
    if written == JSON:
        _write_lines(target, map(_json_of, documents))
    else:
        with _file_of(target) as path:
            write(documents, path, written)
    return {
        "documents": len(documents),
        "entities": sum(map(len, spans)),
        "format": written,
        "unknown_tokens": sum(translation.unknown(document.tokens) for document in documents),
    }


def _json_of_line(sentence: Sentence) -> str:
    """Returns a labelled line as JSON: its tokens, and its spans with their probabilities."""
    return json.dumps({"tokens": sentence.tokens, "spans": [*map(asdict, sentence.gold)]}, ensure_ascii=False)


def _json_of(document: Document) -> str:
    """Returns a labelled document as JSON: its tokens, its spans with their probabilities, and where it has a text, the
    text with the range of characters of each token."""
    text = {} if document.text is None else {"text": document.text, "offsets": document.offsets}
    spans = [*map(asdict, document.spans or ())]
    return json.dumps({**text, "tokens": document.tokens, "spans": spans}, ensure_ascii=False)


def _write_lines(target: Path, lines: Iterator[str]) -> None:
    """Writes lines to a file whole, or to standard output one by one."""
    if target != STANDARD:
        write_lines(target, lines)
        return
    for line in lines:  # data are UTF-8 wherever they are written
        sys.stdout.buffer.write(f"{line}\n".encode())


@contextmanager
def _file_of(target: Path) -> Iterator[Path]:
    """Gives the path to write: the target, or a file whose bytes go to standard output afterwards."""
    if target != STANDARD:
        yield target
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "answer"
        yield path
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
