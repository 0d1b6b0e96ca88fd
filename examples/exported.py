"""Loads a model that `daguan export` wrote, as `hf`, `onnx` or `onnx-int8`, without daguan.

    from exported import load
    load("FOLDER").spans([["7", "8", "9"]])  # of each line: half-open Entity(start, stop, label, probability) in tokens

The other examples share this file. It runs the Python code that the export wrote into the folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

Lines = Sequence[Sequence[str]]


class Entity(NamedTuple):
    """An entity: where it begins, where it has ended, its type and its probability."""

    start: int
    stop: int
    label: str
    probability: float


@dataclass(frozen=True)
class Exported:
    """A loaded model.

    Attributes:
        name: the name of its folder.
        labels: the types of entities.
        spans: returns the entities of each line of tokens; tokens have no white space, lines have any length.
    """

    name: str
    labels: tuple[str, ...]
    spans: Callable[[Lines], list[list[Entity]]]


def load(folder: str | Path, threads: int = 1) -> Exported:
    """Returns the model of a folder, which computes with this number of threads.

    Raises:
        FileNotFoundError: there is no exported model.
    """
    place = Path(folder).absolute()
    for name, loader in (("model.onnx", _onnx), ("config.json", _hugging_face)):
        if (place / name).is_file():
            labels, spans = loader(place, threads)
            return Exported(place.name, tuple(labels), spans)
    raise FileNotFoundError(f"{place}: expected a folder that `daguan export` wrote, got no model.onnx or config.json")


def _onnx(folder: Path, threads: int) -> tuple[list[str], Callable[[Lines], list[list[Entity]]]]:
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    labeller = _module(folder / "decode.py").Labeller(folder, sess_options=options)
    return labeller.about["labels"], lambda lines: [[Entity(*one) for one in line] for line in labeller.spans(lines)]


def _module(path: Path) -> Any:
    """Returns the module of a file, whose folder is on no path."""
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path}: expected a Python file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _hugging_face(folder: Path, threads: int) -> tuple[list[str], Callable[[Lines], list[list[Entity]]]]:
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    torch.set_num_threads(threads)
    model = AutoModelForTokenClassification.from_pretrained(folder, trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)

    def spans(lines: Lines) -> list[list[Entity]]:
        given = tokenizer([*map(list, lines)], is_split_into_words=True, padding=True, return_tensors="pt")
        found = model.spans(**given)
        return [[Entity(one.start, one.stop, one.label, one.probability) for one in line] for line in found]

    return json.loads((folder / "config.json").read_text("utf-8"))["labels"], spans
