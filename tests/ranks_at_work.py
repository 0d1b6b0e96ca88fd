"""A rank that trains tiny models in float64: python ranks_at_work.py FOLDER UPDATES [shard] [lost].

It continues from the checkpoints in the folder, does that number of further updates, and the first rank writes all
weights and scores. With `shard` each rank keeps a share of the weights. With `lost` the last rank is killed after the
first update of the last model.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save_file

from daguan.core.settings import build
from daguan.data.batches.packing import Blocks, NumberedText, write_token_file
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.shares import local
from daguan.training import ranks
from daguan.training.devices import prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.fine_tuning import TaggerTrainer
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.loop import Trainer
from daguan.training.prediction import TrainedTagger
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer
from tiny_taggers import SCHEME, SENTENCES, VOCABULARY, tagger

SIZE = EncoderSettings(layers=1, hidden=32, heads=2, feed_forward=64, max_length=32, memory=16)
ENGINE = EngineSettings(device="cpu", precision="float32")
LINES = ["_".join(str((3 * line + 7 * place) % 23) for place in range(20)) for line in range(60)]
PRETRAINING = {"tokens": 6 * 7 * 32, "batch_size": 7, "checkpoint_seconds": 0}  # 7 rows: no two ranks have equally many
TUNING = {"epochs": 2, "batch_size": 1, "accumulation": 3, "checkpoint_seconds": 0, "evaluations": 2}
SHARDED = {  # an encoder's optimiser
    **dict.fromkeys(("modern", "electra", "mass", "transformer_xl"), "adamw"),
    "bert": "radam",
    "albert": "lamb",
}
UPDATES = dict.fromkeys(SHARDED, 6) | dict.fromkeys(("tagger", "attacked", "lookahead"), 4)


def pretrainer(architecture: str, folder: Path, engine: EngineSettings, **more: object) -> Pretrainer:
    vocabulary = Vocabulary([*SPECIALS, *map(str, range(23))])
    path = folder / f"tokens-{ranks.rank()}.u2"
    with path.with_suffix(".lines").open("w+b") as lines:
        text = NumberedText(lines)
        for line in LINES:
            text.add(line)
        write_token_file(path, text.ids(vocabulary))
    settings = build(PretrainSettings, PRETRAINING | more)
    return Pretrainer(architecture, SIZE, settings, engine, Blocks(path, SIZE.max_length), len(vocabulary), seed=1)


def tuner(engine: EngineSettings, **more: object) -> TaggerTrainer:
    dropouts = {"encoder_dropout": 0.1, "dropout": 0.2, "token_dropout": 0.1, "r_drop": 0.5, "encoder": "modern"}
    network = tagger("crf", **dropouts, ngram_buckets=64)
    trained = TrainedTagger(network, SCHEME, VOCABULARY, network_settings(dropouts), SIZE.window, 8)
    # four lines and three batches an update: the second update has one line
    return TaggerTrainer(trained, build(TrainSettings, TUNING | more), engine, SENTENCES, SENTENCES, seed=2)


def network_settings(dropouts: dict[str, object]):
    from daguan.models.settings import ModelSettings

    return ModelSettings(head="crf", **dropouts)


def trainers_of(folder: Path, shard: bool) -> dict[str, Trainer]:
    if not shard:
        return {
            "modern": pretrainer("modern", folder, ENGINE),
            "transformer_xl": pretrainer("transformer_xl", folder, ENGINE),
            "tagger": tuner(ENGINE),
            "attacked": tuner(ENGINE, adversary="fgm", lookahead_steps=2),
        }
    engine = ENGINE.replace(devices=2, shard=True)
    return {
        **{name: pretrainer(name, folder, engine, optimiser=optimiser) for name, optimiser in SHARDED.items()},
        "tagger": tuner(engine, adversary="fgm"),
        "lookahead": tuner(
            engine, optimiser="radam", adversary="awp", lookahead_steps=2, frozen_layers=1, frozen_epochs=1
        ),
    }


def main(folder: Path, updates: int, shard: bool, lost: bool) -> None:
    prepare_process(1)
    trainers = trainers_of(folder, shard)
    held = {name: sum(local(one).numel() for one in trainer.model.parameters()) for name, trainer in trainers.items()}
    *_, last = trainers.values()
    tensors, figures = {}, {}
    for name, trainer in trainers.items():
        (folder / name).mkdir(exist_ok=True)
        for _ in islice(trainer.fit(folder / name), updates):
            if lost and trainer is last and ranks.rank() == ranks.ranks() - 1:
                os.kill(os.getpid(), signal.SIGKILL)
        tensors |= {f"{name}/{key}": value.detach().clone() for key, value in trainer.state()[0].items()}
        figures[name] = {"loss": trainer.loss, "done": trainer.done}
        if isinstance(trainer, Pretrainer):
            figures[name] |= {key: (one.loss, one.accuracy) for key, one in trainer.evaluate().items()}
        else:
            answers = trainer.trained.marginals(SENTENCES, ENGINE)
            tensors |= {f"{name}/marginals{i}": torch.from_numpy(array) for i, array in enumerate(answers)}
    if ranks.is_first():
        save_file(tensors, folder / "tensors.safetensors")
        (folder / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    (folder / f"held-{ranks.rank()}.json").write_text(json.dumps(held), encoding="utf-8")


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    with ranks.joined():
        main(Path(sys.argv[1]), int(sys.argv[2]), shard="shard" in sys.argv, lost="lost" in sys.argv)
