"""Checkpoints on the hub, with a small HTTP server in its place: what is fetched, what is refused, what is said."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils import close_session

from daguan.core.errors import CheckpointError, ConfigError, DaguanError, MissingStageError
from daguan.models.encoders import hub
from daguan.models.encoders.loading import load_encoder, read_masked_lm
from daguan.models.encoders.pieces import Pieces
from daguan.models.encoders.public_checkpoint import PublicVocabulary
from hub_server import COMMIT, NAME, HubServer, hub_of, point_at

CHECKPOINT = f"hub:{NAME}"
NEEDED = {"config.json": b"{}", "model.safetensors": b"w" * 2000, "vocab.txt": b"a\nb\n"}
UNWANTED = {
    "pytorch_model.bin": b"pickled",
    "modeling.py": b"code",
    "README.md": b"text",
    "model.fp16.safetensors": b"other weights",
    "onnx/config.json": b"{}",
    "onnx/model.safetensors": b"others",
}
Revise = Callable[[HubServer], object]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_of(NEEDED | UNWANTED) as one:
        point_at(one.endpoint, tmp_path, monkeypatch)
        yield one
    close_session()


def refused(checkpoint: str = CHECKPOINT, kind: type[DaguanError] = CheckpointError) -> str:
    with pytest.raises(kind) as caught:
        hub.fetch(checkpoint)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_read_is_fetched_once_and_nothing_else(server: HubServer) -> None:
    with pytest.raises(MissingStageError, match=r"^hub:some-one/a-model: expected its files .* run it first$"):
        hub.here(CHECKPOINT)
    hub.fetch(CHECKPOINT)
    assert server.fetched == set(NEEDED)
    folder = Path(hub.here(CHECKPOINT))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == NEEDED
    assert hub.commit_of(str(folder)) == COMMIT
    server.asked.clear()
    hub.fetch(CHECKPOINT)
    hub.fetch(f"{CHECKPOINT}@{COMMIT}")
    assert hub.here(f"{CHECKPOINT}@{COMMIT}") == str(folder)
    assert server.asked == []


def test_files_put_by_hand_are_taken_before_all_others(server: HubServer) -> None:
    folder = hub.BY_HAND / NAME
    folder.mkdir(parents=True)
    for name in ("config.json", "vocab.txt"):
        (folder / name).write_bytes(NEEDED[name])
    assert f"{folder}: expected config.json, model.safetensors" in refused()
    (folder / "model.safetensors").write_bytes(b"mine")
    hub.fetch(CHECKPOINT)
    assert (hub.here(CHECKPOINT), hub.commit_of(hub.here(CHECKPOINT))) == (str(folder), "")
    assert server.asked == []


@pytest.mark.parametrize("name", NEEDED)
def test_a_repository_that_lacks_something_is_refused_before_anything_is_fetched(server: HubServer, name: str) -> None:
    del server.files[name]
    assert f"got no {name}" in refused().replace("tokenizer.json or ", "")
    assert server.fetched == set()


def test_shards_of_weights_are_all_needed(server: HubServer) -> None:
    shards = [f"model-{number:05}-of-00002.safetensors" for number in (1, 2)]
    del server.files["model.safetensors"]
    index = {"weight_map": {"a": shards[0], "b": shards[1]}}
    server.files |= {hub.INDEX: json.dumps(index).encode(), shards[0]: b"1"}
    assert f"got no {shards[1]}" in refused()
    folder = hub.BY_HAND / NAME
    folder.mkdir(parents=True)
    for file, content in (server.files | {shards[1]: b"2"}).items():
        if hub.is_read(file):
            (folder / file).write_bytes(content)
    assert hub.here(CHECKPOINT) == str(folder)


def test_an_interrupted_download_is_no_checkpoint(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)  # between its own attempts
    server.breaks = True
    assert "received 1000 bytes, expected 2000" in refused()
    assert hub.found(CHECKPOINT) is None
    server.breaks = False
    hub.fetch(CHECKPOINT)
    assert (Path(hub.here(CHECKPOINT)) / "model.safetensors").read_bytes() == NEEDED["model.safetensors"]


def test_without_a_network_one_line_says_what_to_set_and_where_to_put_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        point_at(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path, monkeypatch)
        monkeypatch.setattr(hub, "SECONDS", 0.05)
        nobody = refused()
        silent.listen()
        unanswered = refused()
    assert "got ConnectError: " in nobody
    assert "got ReadTimeout: " in unanswered
    for line in (nobody, unanswered):
        for word in ("HTTPS_PROXY", "ALL_PROXY", "HF_ENDPOINT", f"into {hub.BY_HAND / NAME} by hand"):
            assert word in line


@pytest.mark.parametrize("proxy", ["socks://127.0.0.1:1", "socks5h://127.0.0.1:1", "http://127.0.0.1:1"])
def test_a_proxy_that_is_none_is_named_with_the_remedy(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """Ubuntu's settings write socks:// where the client knows socks5:// and socks5h://."""
    close_session()
    monkeypatch.setenv("ALL_PROXY", proxy)
    assert "set HTTPS_PROXY or ALL_PROXY to a proxy (http://HOST:PORT, socks5h://HOST:PORT)" in refused()
    assert server.asked == []


def test_offline_only_what_is_here_counts(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    line = refused()
    assert "as HF_HUB_OFFLINE is set, got none" in line
    assert f"into {hub.BY_HAND / NAME} by hand" in line
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.fetch(CHECKPOINT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    server.asked.clear()
    hub.fetch(CHECKPOINT)
    assert server.asked == []


@pytest.mark.parametrize(
    ("checkpoint", "kind", "message"),
    [
        ("hub:model", ConfigError, "encoder.checkpoint: expected hub:OWNER/NAME or hub:OWNER/NAME@REVISION, got"),
        ("hub:a--b/..", ConfigError, "encoder.checkpoint: expected a name on the hub, got"),
        ("hub:no/such", CheckpointError, "hub:no/such: expected such a repository at "),
        (f"{CHECKPOINT}@v9", CheckpointError, f"{CHECKPOINT}@v9: expected such a revision at "),
    ],
)
def test_a_name_of_nothing(server: HubServer, checkpoint: str, kind: type[DaguanError], message: str) -> None:
    assert refused(checkpoint, kind).startswith(message)


def test_a_path_is_no_name_on_the_hub(server: HubServer) -> None:
    hub.fetch("./hub:a/b")
    assert server.asked == []


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("name", [NAME, "model"])
def test_a_folder_without_the_files_is_not_looked_for_on_the_hub(server: HubServer, name: str, there: bool) -> None:
    """Also where its name could be that of a repository, as a mistyped name of a folder may be."""
    folder = Path(name)
    if there:
        folder.mkdir(parents=True)
    for read in (
        PublicVocabulary.read,
        partial(Pieces.of_checkpoint, texts={}),
        partial(load_encoder, dropout=0.0),
        partial(read_masked_lm, architecture="bert"),
    ):
        with pytest.raises(CheckpointError, match=rf"^{name}: expected [^\n]+$"):
            read(folder)
    assert server.asked == []
