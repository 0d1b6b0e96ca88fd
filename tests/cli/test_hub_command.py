"""A run from a checkpoint on the hub: `prepare` fetches it, and all commands after it need no network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from conftest import TINY
from daguan.cli.app import main
from daguan.core.runs import Run
from daguan.models.encoders.hub import here
from daguan.pipeline import doctor
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from hub_server import COMMIT, NAME, HubServer, hub_of, point_at
from in_process import in_process
from public_encoders import bert_of_words, checkpoint, spelt_contest


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    folder = bert_of_words(tmp_path)
    with hub_of({path.name: path.read_bytes() for path in folder.iterdir()}) as one:
        point_at(one.endpoint, tmp_path, monkeypatch)
        yield one
    close_session()


def words(contest: Path, checkpoint: str = f"hub:{NAME}") -> list[str]:
    model = ["model.encoder=bert", "model.head=crf", f"encoder.checkpoint={checkpoint}", "encoder.counts=counts.txt"]
    return [*TINY, f"data.dir={contest}", "data.work=work", *model, "pretrain.tokens=0", "members=tagger"]


def pretraining(words: list[str]) -> Run:
    run = Stages(load(words)).pretrain("tagger")
    assert run is not None
    return run


def test_a_run_is_named_after_the_content_and_the_commit_and_needs_no_network_again(
    contest: Path, server: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", *words(contest)]) == 0
    with in_process():
        assert main(["pretrain", *words(contest)]) == 0
    run = pretraining(words(contest))
    assert run.manifest()["depends_on"]["commit"] == COMMIT
    assert constants.HF_HUB_CACHE not in json.dumps(run.manifest()["depends_on"])
    by_path = pretraining(words(contest, "public"))
    assert by_path.depends_on | {"commit": COMMIT} == run.depends_on

    server.asked.clear()
    shutil.move(constants.HF_HUB_CACHE, "moved")
    capsys.readouterr()
    assert main(["pretrain", *words(contest)]) == 2
    assert "got none; run: python -m daguan prepare name=tiny" in capsys.readouterr().err
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(Path("moved").absolute()))
    (Path(here(f"hub:{NAME}")) / "added.json").write_text("which another program has fetched")
    assert pretraining(words(contest)).path == run.path
    assert main(["prepare", *words(contest)]) == 0
    assert main(["pretrain", *words(contest)]) == 0
    assert server.asked == []


def test_a_checkpoint_from_the_hub_keeps_its_own_tokenizer(
    contest: Path, server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes with the files of its tokenizer, and then does what the same folder does, without a network."""
    checkpoint(tmp_path / "published", "bert")
    server.files = {path.name: path.read_bytes() for path in (tmp_path / "published").iterdir()}
    spelt = spelt_contest(contest, tmp_path / "spelt")

    def given(of: str) -> list[str]:
        model = ["model.encoder=auto", "model.pieces=first", "model.head=crf", f"encoder.checkpoint={of}"]
        return [
            *TINY,
            f"data.dir={spelt}",
            "data.work=work",
            *model,
            "members=tagger",
            "pretrain.tokens=0",
            "train.epochs=1",
        ]

    assert main(["prepare", *given(f"hub:{NAME}")]) == 0
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= server.fetched
    server.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    files = []
    with in_process():
        for of in (f"hub:{NAME}", "published"):
            assert main(["pretrain", *given(of)]) == 0
            assert main(["train", *given(of)]) == 0
            run = Stages(load(given(of))).train("tagger")
            paths = [pretraining(given(of)).path, *sorted(run.path.glob("fold*"))]
            found = [file for path in paths for file in sorted(path.rglob("*.safetensors"))]
            files.append([file.read_bytes() for file in found])
    assert files[0] == files[1]
    assert len(files[0]) > 2
    assert server.asked == []


def test_doctor_fetches_nothing(
    contest: Path, server: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer = doctor.Offer("a processor", 2, 16e9, False, {}, (), 10**12)
    monkeypatch.setattr(doctor, "offered", lambda work: offer)
    assert main(["doctor", *words(contest)]) == 0
    assert f"encoder   hub:{NAME}: `prepare` will fetch it" in capsys.readouterr().out
    assert server.asked == []
    assert main(["doctor", *words(contest, "hub:model")]) == 2
    assert "encoder.checkpoint: expected hub:OWNER/NAME" in capsys.readouterr().err


def test_without_a_network_prepare_ends_with_one_line(
    contest: Path, server: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1")
    close_session()
    assert main(["prepare", *words(contest)]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("daguan: "))
    assert line.startswith(f"daguan: hub:{NAME}: expected an answer of {server.endpoint}, got ")
    assert not list(Path("work").glob("prepare-*"))
