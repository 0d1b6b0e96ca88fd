"""The table of heads. A new head is one file in this folder and one row here (docs/extending.md)."""

from __future__ import annotations

from daguan.core.tables import Row

HEADS = {
    "softmax": Row("daguan.models.heads.softmax:SoftmaxHead", ("label_smoothing",)),
    "crf": Row("daguan.models.heads.crf:CrfHead", ("label_smoothing",)),
    "pytorch_crf": Row("daguan.models.heads.pytorch_crf:PytorchCrfHead"),
    "span": Row("daguan.models.heads.span:SpanHead", ("label_smoothing",)),
    "biaffine": Row(
        "daguan.models.heads.biaffine:BiaffineHead", ("pointer_size", "boundary_smoothing", "boundary_distance")
    ),
    "global_pointer": Row("daguan.models.heads.global_pointer:GlobalPointerHead", ("pointer_size",)),
    "pointer": Row("daguan.models.heads.pointer:PointerHead", ("pointer_size", "beam", "label_smoothing")),
    "seq2seq": Row("daguan.models.heads.seq2seq:Seq2SeqHead", ("decoder_layers", "beam")),
}
