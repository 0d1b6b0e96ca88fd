"""The changes that the ablations measure, by groups: a name, and the arguments that differ from the base."""

# The default preset has changed because of these tables; the base stays, so that stored results remain comparable.
BASE = ("members=tagger", "train.evaluations=1", "train.epochs=3", "train.schedule=linear")
BERT_RECIPE = ("pretrain.batch_size=32", "pretrain.learning_rate=1e-3", "train.encoder_learning_rate=5e-4")
LSTM = (
    "model.encoder=lstm", "encoder.layers=2", "encoder.ngram_buckets=200000", "train.encoder_learning_rate=3e-3",
    "train.epochs=8",
)  # fmt: skip
CNN = ("model.encoder=cnn", *LSTM[2:], "encoder.layers=4", "encoder.lstm_layers=1")

GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "Heads": {
        "softmax": ("model.head=softmax",),
        "lstm_crf": ("model.head=lstm_crf",),
        "span": ("model.head=span",),
        "biaffine": ("model.head=biaffine",),
        "global_pointer": ("model.head=global_pointer",),
        "pointer": ("model.head=pointer",),
        "crf and biaffine": ("model.head=crf+biaffine",),
    },
    "Encoders": {
        "bert, n-gram start": ("model.encoder=bert", *BERT_RECIPE),
        "roberta, n-gram start": ("model.encoder=roberta", *BERT_RECIPE),
        "albert": ("model.encoder=albert", *BERT_RECIPE),
        "electra": ("model.encoder=electra", *BERT_RECIPE),
        "lstm, word2vec": (*LSTM, "vectors.kind=word2vec"),
        "cnn, word2vec": (*CNN, "vectors.kind=word2vec"),
    },
    "Pretraining objectives": {
        "single tokens": ("pretrain.masking.ngram_share=0",),
        "30 to 15 %": ("pretrain.masking.final_rate=0.15",),
        "sentence order": ("pretrain.objective=mlm+sop",),
        "next sentence": ("pretrain.objective=mlm+nsp",),
        "replaced tokens": ("pretrain.objective=rtd",),
        "all tokens": ("pretrain.objective=all_tokens",),
        "fragments (mass)": ("model.encoder=mass",),
    },
    "Recipe": {
        "6 epochs": ("train.epochs=6",),
        "encoder rate 5e-4": ("train.encoder_learning_rate=5e-4",),
        "encoder rate 2e-3": ("train.encoder_learning_rate=2e-3",),
        "layer-wise rates .8": ("train.layer_decay=0.8",),
        "no token dropout": ("model.token_dropout=0",),
        "no encoder dropout": ("model.encoder_dropout=0",),
        "no n-grams": ("model.ngram_buckets=0",),
    },
    "Regularisers": {
        "mean of logits": ("model.dropout_samples=4", "model.dropout=0.5", "model.dropout_average=logits"),
        "R-Drop": ("model.r_drop=1",),
        "boundary smoothing (of biaffine)": ("model.head=biaffine", "model.boundary_smoothing=0.1"),
        "FGM": ("train.adversary=fgm",),
        "AWP": ("train.adversary=awp", "train.adversary_start=0.3"),
    },
    "Optimisation": {
        "RAdam": ("train.optimiser=radam",),
        "Muon": ("train.optimiser=muon",),
        "Lookahead": ("train.lookahead_steps=6", "train.averaging=none"),
        "Ranger": (
            "train.optimiser=radam", "train.lookahead_steps=6", "train.schedule=flat_cosine", "train.beta1=0.95",
            "train.warmup=0", "train.averaging=none",
        ),
        "flat, then cosine": ("train.schedule=flat_cosine",),
        "no averaging": ("train.averaging=none",),
        "equal average": ("train.averaging=swa",),
        "encoder frozen for an epoch": ("train.frozen_epochs=1",),
        "embeddings and a layer frozen": ("train.frozen_layers=1",),
    },
    "Augmentation": {
        "recombination": ("augmentation.recombination=1",),
        "entity swap": ("augmentation.entity_swap=1",),
        "field dropping": ("augmentation.field_dropping=1",),
        "shuffling": ("augmentation.shuffling=1",),
    },
}  # fmt: skip

FACTORS: dict[str, tuple[str, ...]] = {"base": ()} | {
    name: words for group in GROUPS.values() for name, words in group.items()
}
