"""Writes a trained tagger as a graph for ONNX Runtime, with its decoding beside it in numpy (decode.py).

The graph goes from numbers of tokens, or of the pieces of words, to the scores of each head. It is traced, which takes
a second, where `torch.export` takes half a minute; tests hold it against the tagger for each encoder and each head.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.onnx import symbolic_helper

from daguan.core.errors import ConfigError
from daguan.core.files import naming, write_json, write_text
from daguan.data.batches.collate import Batch, PieceRows, length_mask
from daguan.data.vocabulary import PAD, SPECIALS
from daguan.formats.translation import Translation
from daguan.models.encoders.modern import DistanceBias
from daguan.models.encoders.pieces import pooled
from daguan.models.heads.base import Head
from daguan.models.heads.crf import CrfHead
from daguan.models.heads.softmax import SoftmaxHead
from daguan.models.heads.span_scoring import SpanScoringHead
from daguan.models.heads.table import HEADS
from daguan.models.settings import ModelSettings
from daguan.models.tagger import Tagger
from daguan.pipeline.shipping import decode
from daguan.pipeline.shipping.export import Form
from daguan.pipeline.shipping.hugging_face import EQUAL, texts_of, without_packages
from daguan.pipeline.shipping.sources import SHIPPING, Linker
from daguan.pipeline.shipping.stored_judge import StoredJudge, tokens_of, user_entries
from daguan.training.prediction import TrainedTagger

OPSET = 18
FRAME = 2  # [CLS] and [SEP]
GRAPH, JUDGE = "model.onnx", "judge"
WITH_MATRICES = ["Conv", "Gather", "LSTM", "MatMul"]
REMEDY = "run: pip install 'daguan[onnx]'"
USE = """```python
from decode import Labeller  # decode.py of this folder

labeller = Labeller(FOLDER)
print(labeller.spans([["7", "8", "9"]]))  # of each line: (start, stop, label, probability), half-open in tokens
```

The folder needs `numpy` 2 and `onnxruntime`, and `tokenizers` if it has a `tokenizer.json`. `decode.py` says what goes
into `model.onnx`, and what follows from the scores of each head that come out of it; where there is a folder `judge`,
its code has the last step.
"""


class Places:
    """The places of the current text, for modules that are called with its length: a graph has no numbers."""

    value: Tensor


class ScoresOfHeads(nn.Module):
    """A tagger's part that becomes the graph. B lines of up to P pieces of words, and T words."""

    def __init__(self, tagger: Tagger, table: Tensor | None) -> None:
        """table (R,): the number of each row of the tokenizer's vocabulary, of a tagger that reads pieces."""
        super().__init__()
        self.tagger, self.table, self.places = deepcopy(tagger), table, Places()
        for parent in [*self.tagger.modules()]:
            for name, child in [*parent.named_children()]:
                if type(child) is DistanceBias:
                    setattr(parent, name, IndexedBias(child, self.places))

    def forward(self, ids: Tensor, lengths: Tensor, *of_words: Tensor) -> tuple[Tensor, ...]:
        """Return the scores of each head: of tags (B,T,K), or of spans (B,T,T,X).

        ids (B,P), lengths (B,); of_words: owners (B,P) and starts (B,T), as `PieceRows` has them, and the number of
        words (B,); nothing where each word is one piece.
        """
        self.places.value = torch.arange(ids.shape[1] + FRAME)
        batch, mask = Batch(ids, lengths, None), length_mask(lengths, ids.shape[1])
        if self.table is not None:
            ids = self.table[ids].masked_fill(~mask, PAD)
        hidden, found = self.tagger.encoder(ids, mask), []
        if of_words:
            owners, starts, words = of_words
            hidden = pooled(hidden, PieceRows(ids, lengths, owners, starts), self.tagger.pieces)
            batch = Batch(starts, words, None)
        for stack in self.tagger.stacks:
            (scores,) = stack.scores(hidden, batch)
            found.append(stack.head.weights(scores) if isinstance(stack.head, SpanScoringHead) else scores)
        return tuple(found)


class IndexedBias(nn.Module):
    """A `DistanceBias` that takes its biases by index: a graph has no windows of a length that is not fixed."""

    def __init__(self, bias: DistanceBias, places: Places) -> None:
        super().__init__()
        self.weight, self.positions, self.places = bias.weight, bias.positions, places

    def forward(self, length: int) -> Tensor:
        places = self.places.value
        return self.weight[:, places - places.unsqueeze(1) + self.positions - 1]


def write(
    trained: TrainedTagger, judge: StoredJudge | None, translation: Translation, folder: Path, int8: bool = False
) -> None:
    """Writes graph, vocabulary or tokenizer, decoding and their description into an existing folder.

    int8: whether the matrices are of 8 bits (dynamic quantisation).
    """
    trained = without_packages(trained)
    heads = [described(stack.head) for stack in trained.tagger.stacks]
    labels = translation.labels(trained.scheme.labels)
    about = {"labels": labels, "window": trained.window, "overlap": trained.overlap, "heads": heads}
    pieces = trained.pieces
    with naming(folder):
        write_graph(trained.tagger, pieces.table if pieces else None, folder / GRAPH)
        if int8:
            quantise(folder / GRAPH)
        if pieces:
            pieces.backend().save(str(folder / "tokenizer.json"))
            about |= {"texts": texts_of(pieces, translation), "unknown": pieces.tokenizer.unk_token_id}
        else:
            tokens = user_entries(tokens_of(trained.vocabulary, judge), translation)[len(SPECIALS) :]
            write_json(folder / "vocabulary.json", {token: id for id, token in enumerate(tokens, start=len(SPECIALS))})
        if judge:
            about["judge"] = judge.about(trained.vocabulary, labels)
            write_judge(judge, folder)
        write_json(folder / "model.json", about)
        shutil.copyfile(decode.__file__, folder / "decode.py")


def write_judge(judge: StoredJudge, folder: Path) -> None:
    """Writes the package `judge`, which decode.py imports, and the arrays of the n-gram CRF."""
    arrays: Any = judge.arrays
    np.savez(folder / f"{JUDGE}.npz", **arrays)
    (folder / JUDGE).mkdir()
    write_text(folder / JUDGE / "__init__.py", "")
    for name, text in Linker({}).files([(f"{SHIPPING}judging", "Judge")]).items():
        write_text(folder / JUDGE / f"{name}.py", text)


def described(head: Head) -> dict[str, Any]:
    """Returns what decode.py needs of a head."""
    if isinstance(head, CrfHead):
        rules, size = head.crf.rules().detach(), head.extra_width
        moves, start, end = torch.split(rules, [size * size, size, size])
        tables = {"transitions": moves.view(size, size), "start": start, "end": end}
        return {"kind": "chain", **{name: table.tolist() for name, table in tables.items()}}
    return {"kind": "spans" if isinstance(head, SpanScoringHead) else "tags"}


def searches(model: ModelSettings) -> str:
    """Returns why a graph cannot hold a tagger: its decoding calls the network at every step. Empty where it can."""
    for name in model.scorers:
        head = HEADS[EQUAL.get(name, name)].load()
        if not issubclass(head, CrfHead | SpanScoringHead) and head is not SoftmaxHead:
            return (
                f"head {name}: expected one that scores a text at once, got one whose beam search calls its decoder at "
                "every step, which a graph cannot hold; use --to hf"
            )
    return ""


def write_graph(tagger: Tagger, table: Tensor | None, path: Path) -> None:
    """Traces the tagger on a small batch."""
    batch = {"ids": torch.full((3, 12), len(SPECIALS)), "lengths": torch.tensor([12, 7, 3])}
    axes = {"ids": {0: "lines", 1: "words" if table is None else "pieces"}, "lengths": {0: "lines"}}
    if table is not None:
        owners, starts = torch.arange(12).expand(3, 12) // 2, torch.arange(0, 12, 2).expand(3, 6)
        batch |= {"owners": owners, "starts": starts, "words": torch.tensor([6, 4, 2])}
        axes |= {"owners": axes["ids"], "starts": {0: "lines", 1: "words"}, "words": {0: "lines"}}
    outputs = [f"scores{number}" for number in range(len(tagger.stacks))]
    for name, stack in zip(outputs, tagger.stacks, strict=True):
        axes[name] = dict.fromkeys(range(1, 3 if isinstance(stack.head, SpanScoringHead) else 2), "words") | {
            0: "lines"
        }
    with torch.no_grad(), warnings.catch_warnings(), _operations():
        warnings.simplefilter("ignore")  # of tracing in general; the tests compare what is traced
        torch.onnx.export(
            ScoresOfHeads(tagger, table).eval(), tuple(batch.values()), str(path), dynamo=False, opset_version=OPSET,
            input_names=[*batch], output_names=outputs, dynamic_axes=axes,
        )  # fmt: skip


def quantise(path: Path) -> None:
    """Replaces a graph by one whose matrices are of 8 bits."""
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as scratch:
        plain = Path(scratch) / path.name
        quant_pre_process(path, plain, skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(plain, path, op_types_to_quantize=WITH_MATRICES)


def require_onnx() -> None:
    """Raises ConfigError: a package is not there."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"--to onnx: expected the package {error.name}, got none; {REMEDY}") from None


@contextmanager
def _operations() -> Iterator[None]:
    """Adds operations that torch's exporter does not know, for the time of an export."""
    added = {"aten::mT": _transposed, "aten::__xor_": _xor, "aten::__rshift_": _shifted}
    exporter: Any = torch.onnx  # its type stubs lack these functions
    for name, symbolic in added.items():
        exporter.register_custom_op_symbolic(name, symbolic, OPSET)
    try:
        yield
    finally:
        for name in added:
            exporter.unregister_custom_op_symbolic(name, OPSET)


def _transposed(graph: Any, matrices: Any) -> Any:
    *outer, rows, columns = range(symbolic_helper._get_tensor_rank(matrices) or 0)
    return graph.op("Transpose", matrices, perm_i=[*outer, columns, rows])


def _xor(graph: Any, one: Any, other: Any) -> Any:
    return graph.op("BitwiseXor", one, other)


def _shifted(graph: Any, number: Any, places: Any) -> Any:
    """Returns number >> places of signed integers, rounded down: ONNX shifts unsigned ones alone."""
    size = graph.op("Pow", graph.op("Constant", value_t=torch.tensor(2)), graph.op("Cast", places, to_i=7))
    return graph.op("Div", graph.op("Sub", number, graph.op("Mod", number, size)), size)


FORM = Form(write, USE, require_onnx, searches)
FORM_INT8 = Form(partial(write, int8=True), USE, require_onnx, searches)
