"""The table of heads. A new head is one file in this folder and one row here (docs/extending.md)."""

from __future__ import annotations

from daguan.core.tables import Row

HEADS = {
    "softmax": Row("daguan.models.heads.softmax:SoftmaxHead", ("label_smoothing",)),
    "crf": Row("daguan.models.heads.crf:CrfHead", ("label_smoothing",), "Lafferty et al. 2001"),
    "pytorch_crf": Row("daguan.models.heads.pytorch_crf:PytorchCrfHead", about="the same by the pytorch-crf package"),
    "span": Row(
        "daguan.models.heads.span:SpanHead", ("label_smoothing",), "starts, then stops given them, as rank 9's"
    ),
    "biaffine": Row(
        "daguan.models.heads.biaffine:BiaffineHead",
        ("pointer_size", "boundary_smoothing", "boundary_distance"),
        "Yu et al. 2020, arXiv 2005.07150",
    ),
    "global_pointer": Row(
        "daguan.models.heads.global_pointer:GlobalPointerHead",
        ("pointer_size",),
        "the efficient one of Su et al. 2022, arXiv 2208.03054",
    ),
    "pointer": Row(
        "daguan.models.heads.pointer:PointerHead",
        ("pointer_size", "beam", "label_smoothing"),
        "Vinyals et al. 2015, arXiv 1506.03134",
    ),
    "seq2seq": Row(
        "daguan.models.heads.seq2seq:Seq2SeqHead", ("decoder_layers", "beam"), "a decoder that generates the tags"
    ),
}
