"""Writes a trained tagger as a folder that Hugging Face's Auto classes load without this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from daguan.core.files import naming, write_json, write_text
from daguan.core.settings import to_dict
from daguan.core.tables import Row
from daguan.data.vocabulary import PAD, UNK
from daguan.formats.translation import Translation
from daguan.models.encoders.architecture import Architecture
from daguan.models.encoders.pieces import Pieces
from daguan.models.heads.table import HEADS
from daguan.models.settings import LSTM, TOGETHER
from daguan.models.tagger import Tagger
from daguan.pipeline.shipping.export import Form
from daguan.pipeline.shipping.modeling_daguan import buffer_of
from daguan.pipeline.shipping.sources import PACKAGE, SHIPPING, Linker
from daguan.pipeline.shipping.stored_judge import StoredJudge, tokens_of, user_entries
from daguan.pipeline.shipping.tokenization_daguan import DaguanTokenizer
from daguan.training.prediction import TrainedTagger

ROOTS = (("configuration_daguan", "DaguanConfig"), ("modeling_daguan", "DaguanForTokenClassification"))
TOKENIZER = ("tokenization_daguan", "DaguanTokenizer")
EQUAL = {"pytorch_crf": "crf"}  # the same model with the same weights, which needs no package of its own
USE = """```python
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

model = AutoModelForTokenClassification.from_pretrained(FOLDER, trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained(FOLDER, trust_remote_code=True)
lines = [["7", "8", "9"]]  # lists of tokens
for spans in model.spans(**tokenizer(lines, is_split_into_words=True, padding=True, return_tensors="pt")):
    print(spans)  # half-open Span(start, stop, label, probability)
label = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple")
print(label("7 8 9"))  # the same entities, by characters of tokens that white space separates
print(label(lines, is_split_into_words=True))  # and of lists of tokens, by characters of the tokens joined by blanks
```

The folder needs `torch`, `transformers` and `safetensors`. `trust_remote_code` lets transformers run its Python files.
"""


def write(trained: TrainedTagger, judge: StoredJudge | None, translation: Translation, folder: Path) -> None:
    """Writes configuration, weights, code and tokenizer into an existing folder."""
    trained = without_packages(trained)
    heads = trained.model.heads
    tensors = {name: torch.from_numpy(array.copy()) for name, array in judge.arrays.items()} if judge else {}
    config = configuration(trained, translation, heads)
    if judge:
        arrays = {name: (str(one.dtype).removeprefix("torch."), [*one.shape]) for name, one in tensors.items()}
        config["judge"] = judge.about(trained.vocabulary, config["labels"]) | {"arrays": arrays}
    named = {buffer_of(name): tensor for name, tensor in tensors.items()}
    with naming(folder):
        write_json(folder / "config.json", config)
        save_file(weights(trained) | named, folder / "model.safetensors", {"format": "pt"})
        for name, text in sources(trained, heads, judge is not None).items():
            write_text(folder / f"{name}.py", text)
        if trained.pieces:
            piece_tokenizer(trained.pieces, texts_of(trained.pieces, translation)).save_pretrained(folder)
        else:
            tokenizer(tokens_of(trained.vocabulary, judge), translation).save_pretrained(folder)


def without_packages(trained: TrainedTagger) -> TrainedTagger:
    """Returns the tagger with heads of ours in place of equal ones that need another package."""
    named = [(LSTM if name.startswith(LSTM) else "", name.removeprefix(LSTM)) for name in trained.model.heads]
    head = TOGETHER.join(prefix + EQUAL.get(name, name) for prefix, name in named)
    if head == trained.model.head:
        return trained
    model = trained.model.replace(head=head)
    tagger = Tagger(trained.tagger.encoder, trained.scheme, model).eval()
    tagger.load_state_dict(trained.tagger.state_dict())
    return replace(trained, tagger=tagger, model=model)


def configuration(trained: TrainedTagger, translation: Translation, heads: Sequence[str]) -> dict[str, Any]:
    """Returns config.json."""
    labels = translation.labels(trained.scheme.labels)
    names = ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]
    (configured, configuration), (modeled, model) = ROOTS
    return {
        "model_type": "daguan",
        "architectures": [model],
        "auto_map": {
            "AutoConfig": f"{configured}.{configuration}",
            "AutoModelForTokenClassification": f"{modeled}.{model}",
        },
        "dtype": "float32",
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
        "labels": labels,
        "window": trained.window,
        "overlap": trained.overlap,
        "rows": len(trained.pieces.table) if trained.pieces else 0,
        "encoder": trained.tagger.encoder.model.config.to_dict(),
        "tagger": to_dict(trained.model) | {"heads": heads},
    }


def weights(trained: TrainedTagger) -> dict[str, Any]:
    """Returns all tensors by their names in the exported model, the heads' tables included."""
    tensors = {f"tagger.{name}": tensor for name, tensor in trained.tagger.state_dict().items()}
    for name, table in trained.tagger.heads.named_buffers(prefix="tagger.heads"):
        tensors.setdefault(name, table)
    if trained.pieces:
        tensors["table"] = trained.pieces.table
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def sources(trained: TrainedTagger, heads: Sequence[str], judged: bool) -> dict[str, str]:
    """Returns the text of each Python file of the folder, by its name without `.py`."""
    written = {f"{SHIPPING}parts": parts_source(trained, judged), "daguan.models.heads.table": heads_source(heads)}
    roots = (*ROOTS, TOKENIZER) if trained.pieces else ROOTS
    return Linker(written).files((SHIPPING + module, name) for module, name in roots)


def parts_source(trained: TrainedTagger, judged: bool) -> str:
    """Returns the source of parts.py for the tagger's encoder, and its judge if it has one."""
    model, architecture = trained.tagger.encoder.model, trained.tagger.encoder.architecture
    kind, config = type(model), type(model.config)
    own = kind.__module__.partition(".")[0] == PACKAGE
    imports = [f"from {kind.__module__ if own else 'transformers'} import {config.__name__}, {kind.__name__}"]
    attention = "" if own else f', attn_implementation="{model.config._attn_implementation}"'
    pooler = ", add_pooling_layer=False" if "add_pooling_layer" in signature(kind).parameters else ""
    body = [f"model = {kind.__name__}({config.__name__}.from_dict(fields{attention}){pooler})"]
    if (complete := architecture.complete) is not Architecture.__dataclass_fields__["complete"].default:
        imports.append(f"from {complete.__module__} import {complete.__name__}")
        body.append(f"{complete.__name__}(model)")
    indented = "".join(f"    {line}\n" for line in [*body, "return model"])
    about = '    """Return the encoder without weights, from the fields of its configuration."""\n'
    if judged:
        imports.append(f"from {SHIPPING}judging import Judge")
    made = "Judge(about, arrays)" if judged else "None"
    judge = f"\n\ndef new_judge(about: dict[str, Any], arrays: dict[str, Any]) -> Any:\n    return {made}\n"
    head = '"""The parts of this model."""\n\nfrom __future__ import annotations\n\nfrom typing import Any\n\n'
    encoder = f"\n\n\ndef new_encoder(fields: dict[str, Any]) -> Any:\n{about}{indented}"
    return head + "\n".join(imports) + encoder + judge


def heads_source(heads: Sequence[str]) -> str:
    """Returns the source of the table of heads, with the rows of these alone."""
    rows = {name: HEADS[name] for name in sorted({head.removeprefix(LSTM) for head in heads})}
    classes = {name: _class_of(row) for name, row in rows.items()}
    imports = "".join(f"from {module} import {kind}\n" for module, kind in classes.values())
    table = "".join(f'    "{name}": SimpleNamespace(load=lambda: {kind}),\n' for name, (_, kind) in classes.items())
    return (
        '"""The heads of this model."""\n\nfrom __future__ import annotations\n\nfrom types import SimpleNamespace\n\n'
        f"{imports}\nHEADS = {{\n{table}}}\n"
    )


def _class_of(row: Row) -> tuple[str, str]:
    module, _, name = row.path.partition(":")
    return module, name


def tokenizer(tokens: Sequence[str], translation: Translation) -> PreTrainedTokenizerFast:
    """Returns a tokenizer of the user's own tokens: what stands between white space is one token, known or not.

    Special tokens have names that no text has, because a token that is spelt like one is unknown to the model.

    tokens: of the contest, by their numbers, special ones first.
    """
    entries = user_entries(tokens, translation)
    words = Tokenizer(models.WordLevel({entry: id for id, entry in enumerate(entries)}, unk_token=entries[UNK]))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=entries[PAD],
        unk_token=entries[UNK],
        split_special_tokens=True,
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
    )


def piece_tokenizer(pieces: Pieces, texts: Mapping[str, str]) -> DaguanTokenizer:
    """Returns the tokenizer of a public encoder, which counts the words, and reads texts for those that stand for them.
    Raises CheckpointError: as `Pieces.backend`."""
    its = pieces.tokenizer
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    specials = {name: token for name in names if (token := getattr(its, name))}
    return DaguanTokenizer(  # type: ignore[no-untyped-call]
        tokenizer_object=pieces.backend(),
        **{"pad_token": its.unk_token} | specials,
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
        texts=dict(texts),
        auto_map={"AutoTokenizer": [None, ".".join(TOKENIZER)]},
    )


def texts_of(pieces: Pieces, translation: Translation) -> Mapping[str, str]:
    """Returns the text that each of the user's tokens stands for, if it stands for one and is no text itself."""
    return {} if translation.book else pieces.texts


FORM = Form(write, USE)
