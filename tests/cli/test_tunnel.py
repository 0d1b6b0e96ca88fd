"""A checkpoint that arrives only through a tunnel on loopback: pproxy is the server and the client of shadowsocksr.

The server's connections leave from an address of their own, and the hub answers that address alone.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import TINY
from hub_server import NAME, HubServer, hub_of

pytestmark = pytest.mark.services
if "DAGUAN_SERVICES" not in os.environ:  # scripts/test_services.sh sets it: there, absence is an error
    pytest.importorskip("pproxy", reason="scripts/test_services.sh installs pproxy, a proxy that speaks shadowsocksr")

ABROAD = "127.0.0.2"
TUNNEL = "ssr://aes-256-cfb-py:a-password@127.0.0.1:{port}"
FILES = {"config.json": b"{}", "model.safetensors": bytes(20_000), "vocab.txt": b"a\nb\n"}
FETCH = f"from daguan.models.encoders.hub import fetch, here; fetch('hub:{NAME}'); print(here('hub:{NAME}'))"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def proxy(port: int, *words: str) -> Iterator[None]:
    """pproxy in a process of its own, listening at a port."""
    process = subprocess.Popen([sys.executable, "-m", "pproxy", *words], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with hub_of(FILES) as server:
        server.only_from = ABROAD
        yield server


@pytest.fixture(scope="module")
def tunnel() -> Iterator[int]:
    """The local port of a tunnel, which speaks socks5 and HTTP there, as the client of a JSON file does."""
    far, near = free_port(), free_port()
    server = ("-l", f"{TUNNEL.format(port=far)}/@{ABROAD},http_simple")
    client = ("-l", f"socks5+http://127.0.0.1:{near}", "-r", f"{TUNNEL.format(port=far)}/,http_simple")
    with proxy(far, *server), proxy(near, *client):
        yield near


def run(hub: HubServer, home: Path, words: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these variables, and no other proxy's."""
    ours = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    where = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home / "cache")}
    command = [sys.executable, *words]
    return subprocess.run(command, env=ours | where | more, cwd=home, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("variables", [{"ALL_PROXY": "socks5h://127.0.0.1:{}"}, {"HTTP_PROXY": "http://127.0.0.1:{}"}])
def test_a_checkpoint_arrives_through_the_tunnel_and_is_there_without_it(
    hub: HubServer, tunnel: int, tmp_path: Path, variables: dict[str, str]
) -> None:
    hub.asked.clear()
    alone = run(hub, tmp_path, ["-c", FETCH])
    assert "expected an answer of" in alone.stderr
    assert hub.asked == []
    fetched = run(hub, tmp_path, ["-c", FETCH], **{name: text.format(tunnel) for name, text in variables.items()})
    assert fetched.returncode == 0, fetched.stderr
    folder = Path(fetched.stdout.strip())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert hub.fetched == set(FILES)
    hub.asked.clear()
    assert run(hub, tmp_path, ["-c", FETCH]).stdout == fetched.stdout
    assert hub.asked == []


def test_prepare_says_what_to_set_without_the_tunnel_and_fetches_with_it(
    hub: HubServer, tunnel: int, contest: Path, tmp_path: Path
) -> None:
    model = ["model.encoder=bert", "model.head=crf", f"encoder.checkpoint=hub:{NAME}"]
    words = ["-m", "daguan", "prepare", *TINY, f"data.dir={contest}", *model]
    alone = run(hub, tmp_path, words)
    assert alone.returncode == 2
    assert "Traceback" not in alone.stderr
    for word in ("HTTPS_PROXY", "ALL_PROXY", "HF_ENDPOINT", f"into data/checkpoints/{NAME} by hand"):
        assert word in alone.stderr
    through = run(hub, tmp_path, words, ALL_PROXY=f"socks5h://127.0.0.1:{tunnel}")
    assert through.returncode == 0, through.stderr
    assert f"fetched hub:{NAME}, commit " in through.stderr


def test_a_tunnel_whose_server_is_gone_is_one_line(hub: HubServer, tmp_path: Path) -> None:
    near = free_port()
    client = ("-l", f"socks5://127.0.0.1:{near}", "-r", TUNNEL.format(port=free_port()))
    with proxy(near, *client):
        ended = run(hub, tmp_path, ["-c", FETCH], ALL_PROXY=f"socks5h://127.0.0.1:{near}")
    assert ended.returncode != 0
    assert "expected an answer of" in ended.stderr
