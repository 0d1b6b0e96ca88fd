"""Checks daguan on one GPU in at most eight minutes, and on a CPU with small sizes.

    bash scripts/gpu_check.sh [--json]

It runs the tests marked `gpu`, the whole pipeline on the GPU and on the CPU, which must score alike, and a pretraining
that is interrupted and continued, which must end with the bits of an undisturbed one. Then it measures pretraining and
fine-tuning of BERT beside Hugging Face's Trainer, where accelerate is installed, round after round in one run: tokens a
second, the operations that the model needs a second over the best rate of a matrix product found beside it, and the
most memory used. The contest is synthetic, so nothing is fetched. The exit code is 1 if a check failed. On a GPU the
model is BERT base; on a CPU it has 2 layers of 64, and there are no tests marked `gpu`.
"""

from __future__ import annotations

import importlib.util
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from dataclasses import asdict
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from benchmarks import flops, ours, pretraining
from benchmarks.data import DataSet, Text
from benchmarks.harness import ROOT, Comparison, Report, alternate, command, machine, options, our_environment
from benchmarks.sides import Side
from daguan.core.processes import settle_environment
from daguan.core.types import Sentence, Span
from daguan.data.batches.packing import Blocks
from daguan.data.format import format_labelled, format_unlabelled, write_lines
from daguan.training.devices import find_device, prepare_process
from daguan.training.engine_settings import EngineSettings
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer

DEVICE = find_device(EngineSettings()).type
BASE, SMALL = (12, 768), (2, 64)
SIZE = BASE if DEVICE == "cuda" else SMALL
ROUNDS, UPDATES = (3, 10) if DEVICE == "cuda" else (1, 2)
PEER_RUNS = importlib.util.find_spec("accelerate") is not None  # the Trainer needs it
NEAR = 0.05  # of F1, between the scores of two devices: rounding grows in training
LINES = (
    {"train": 1_200, "test": 200, "corpus": 6_000} if DEVICE == "cuda" else {"train": 240, "test": 60, "corpus": 900}
)
UPDATES_TO_RESUME = 6


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    report = Report("gpu_check", machine(1, ours.precision()) | {"device": device_name()})
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_contest(folder / "contest")
        checks: dict[str, Callable[[], str]] = {
            **({"tests marked gpu": run_tests} if DEVICE == "cuda" else {}),
            "the pipeline scores as on a CPU": partial(compare_devices, folder),
            "an interrupted run ends with the same bits": partial(resume, folder),
        }
        for name, check in checks.items():
            start = time.perf_counter()
            fault = check()
            report.add({"check": name, "result": fault or "passed", "seconds": round(time.perf_counter() - start, 1)})
            failed += [name] if fault else []
        text = DataSet.prepared(stage_words(folder, "measured", "cpu")).text
        for work, measure in {"pretraining": measure_pretraining, "fine-tuning": measure_fine_tuning}.items():
            report.add({"work": work, "model": "{}x{}".format(*SIZE), **measure(Text(**text))})
    if not PEER_RUNS:
        report.note("the Trainer did not run, as the package accelerate is missing")
    report.show(asked.json)
    if failed:
        raise SystemExit(1)


def device_name() -> str:
    return torch.cuda.get_device_name() if DEVICE == "cuda" else "cpu"


def write_contest(folder: Path) -> None:
    """Write lines in which each entity follows from the token before it, and text of the same kind."""
    rng = random.Random(0)
    folder.mkdir()
    for name, count in LINES.items():
        sentences = [_sentence(rng) for _ in range(count)]
        write_lines(folder / f"{name}.txt", map(format_labelled if name == "train" else format_unlabelled, sentences))
        if name == "test":
            write_lines(folder / "test_gold.txt", map(format_labelled, sentences))


def _sentence(rng: random.Random) -> Sentence:
    tokens: list[str] = []
    spans = []
    for _ in range(rng.randint(3, 8)):
        tokens += [str(rng.randrange(100, 160)) for _ in range(rng.randint(1, 5))]
        label, size = rng.choice("ab"), rng.randint(1, 3)
        tokens.append({"a": "1", "b": "2"}[label])
        spans.append(Span(len(tokens), len(tokens) + size, label))
        tokens += [str(rng.randrange(10, 60)) for _ in range(size)]
    return Sentence(tuple(tokens), tuple(spans))


def stage_words(folder: Path, work: str, device: str) -> list[str]:
    """Returns the command line of a stage on the contest, with results in a folder of their own."""
    places = [f"data.dir={folder / 'contest'}", f"data.work={folder / work}", f"data.submissions={folder / work}"]
    return [str(ROOT / "configs" / "smoke.yaml"), *places, f"engine.device={device}"]


def run_tests() -> str:
    """Runs the tests marked `gpu`. Returns what failed, nothing if all passed. A warning of a library in a version that
    the project does not pin is no failure."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "default", "-m", "gpu", "tests/training/test_gpu.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else " ".join(done.stdout.split()[-60:])


def compare_devices(folder: Path) -> str:
    """Runs the whole pipeline on the CPU and on the device. Returns how their scores differ, nothing if little."""
    scores = {}
    for device in dict.fromkeys(("cpu", DEVICE)):
        words = stage_words(folder, device, device)
        command("run", words)
        with redirect_stdout(StringIO()) as out:
            command("score", [*words, "--json"])
        found = json.loads(out.getvalue())["out_of_fold"]
        scores[device] = {row.rpartition("-")[0] or row: of["span"]["f1"] for row, of in found.items()}
    far = {row: f1 for row, f1 in scores[DEVICE].items() if abs(f1 - scores["cpu"][row]) > NEAR}
    return f"expected {scores['cpu']} within {NEAR}, got {far}" if far else ""


def resume(folder: Path) -> str:
    """Pretrains with a break and without one. Returns the first difference, nothing if there is none."""
    text = Text(**DataSet.prepared(stage_words(folder, "resumed", "cpu")).text)
    prepare_process(1)

    def trainer() -> Pretrainer:
        settings = PretrainSettings(tokens=UPDATES_TO_RESUME * 8 * 128, batch_size=8, checkpoint_seconds=0)
        size = ours.encoder_settings(*SMALL)
        blocks = Blocks(text.tokens, size.max_length)
        return Pretrainer("modern", size, settings, EngineSettings(), blocks, len(text.vocabulary), seed=1)

    whole, broken, continued = trainer(), trainer(), trainer()
    list(whole.steps())
    (folder / "broken").mkdir()
    for update in broken.fit(folder / "broken"):
        if update.done == UPDATES_TO_RESUME // 2:
            break
    list(continued.fit(folder / "broken"))
    for name, weight in whole.model.named_parameters():
        if not weight.equal(continued.model.get_parameter(name)):
            return f"expected the same bits of {name}, got others"
    return ""


def measure_pretraining(text: Text) -> dict[str, Any]:
    """Returns the row of pretraining."""
    given = {"text": asdict(text), "layers": SIZE[0], "hidden": SIZE[1], "updates": (1 + ROUNDS) * UPDATES}
    with tempfile.TemporaryDirectory() as start, ExitStack() as stack:
        sides = {"ours": stack.enter_context(Side("benchmarks.pretraining:Ours", our_environment(1), **given))}
        sides["ours"].call("save", folder=start)
        if PEER_RUNS:
            more = given | {"dropout": 0.0, "precision": ours.precision(), "start": start}
            sides["peer"] = stack.enter_context(Side("benchmarks.pretraining:Peer", our_environment(1), **more))
        operations = flops.per_token(*SIZE, len(text.vocabulary), pretraining.RATE)
        return compared(sides, "rate", operations)


def measure_fine_tuning(text: Text) -> dict[str, Any]:
    """Returns the row of fine-tuning."""
    given = {"text": asdict(text), "layers": SIZE[0], "hidden": SIZE[1], "head": "crf"}
    with ExitStack() as stack:
        mine = Side("benchmarks.ours:Training", our_environment(1), batch_size=16, threads=1, **given)
        sides = {"ours": stack.enter_context(mine)}
        if PEER_RUNS:
            peer = Side("benchmarks.finetuning:Peer", our_environment(1), precision=ours.precision(), **given)
            sides["peer"] = stack.enter_context(peer)
        return compared(sides, "tokens_a_second", flops.per_token(*SIZE, 0, 0.0))


def compared(sides: dict[str, Side], method: str, operations: float) -> dict[str, Any]:
    """Returns tokens a second of the sides, and of ours the share of the matrix rate and the memory."""
    calls = {name: partial(side.call, method, updates=UPDATES) for name, side in sides.items()}
    alternate(1, calls)  # warm
    rates = alternate(ROUNDS, calls)
    mine = statistics.median(rates["ours"])
    share = operations * mine / flops.matmul_rate(ours.precision(), 1.0)
    row = Comparison.of_rates(rates["ours"], rates["peer"]).row("tokens/s") if PEER_RUNS else {"ours, tokens/s": mine}
    return row | {"share of the matrix rate": share, "GB": sides["ours"].call("memory_gb")}


if __name__ == "__main__":
    settle_environment()  # products on a GPU are only deterministic with it
    main(sys.argv[1:])
