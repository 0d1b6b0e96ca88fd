"""What the ablations change, by groups: a name, and the words of the command line that differ from the base."""

BASE = ("members=tagger", "train.evaluations=1")

GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "Heads": {
        "softmax": ("model.head=softmax",),
        "lstm_crf": ("model.head=lstm_crf",),
        "span": ("model.head=span",),
        "biaffine": ("model.head=biaffine",),
        "global_pointer": ("model.head=global_pointer",),
        "crf and biaffine": ("model.head=crf+biaffine",),
    },
    "Regularisers": {
        "label smoothing": ("model.label_smoothing=0.1",),
        "multi-sample dropout": ("model.dropout_samples=4", "model.dropout=0.5"),
        "mean of logits": ("model.dropout_samples=4", "model.dropout=0.5", "model.dropout_average=logits"),
        "dropout of the head .5": ("model.dropout=0.5",),
        "R-Drop": ("model.r_drop=1",),
        "boundary smoothing (of biaffine)": ("model.head=biaffine", "model.boundary_smoothing=0.1"),
        "no token dropout": ("model.token_dropout=0",),
        "no encoder dropout": ("model.encoder_dropout=0",),
        "no n-grams": ("model.ngram_buckets=0",),
        "layer-wise rates .8": ("train.layer_decay=0.8",),
        "no averaging": ("train.ema_decay=0",),
    },
    "Augmentation": {
        "recombination": ("augmentation.recombination=1",),
        "recombination, none outside": ("augmentation.recombination=1", "augmentation.outside_share=0"),
        "entity swap": ("augmentation.entity_swap=1",),
        "field dropping": ("augmentation.field_dropping=1",),
        "shuffling": ("augmentation.shuffling=1",),
    },
}

FACTORS: dict[str, tuple[str, ...]] = {"base": ()} | {
    name: words for group in GROUPS.values() for name, words in group.items()
}
