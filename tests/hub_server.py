"""A small HTTP server in the hub's place: what huggingface_hub's client asks of one model's repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

NAME = "some-one/a-model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(ThreadingHTTPServer):
    """A hub with one repository, whose only revisions are `main` and its commit.

    Attributes:
        files: the repository's files by name.
        asked: the lines of all requests so far, such as `GET /api/models/…`.
        only_from: the address whose connections are answered; empty for any.
        breaks: whether the connection breaks in the middle of weights.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.asked = dict(files), list[str]()
        self.only_from, self.breaks = "", False

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self.only_from in ("", client_address[0])

    @property
    def fetched(self) -> set[str]:
        """The files that were sent."""
        return {line.rpartition("/")[2] for line in self.asked if line.startswith("GET") and "/resolve/" in line}


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        files = self.server.files
        known = (f"/api/models/{NAME}/revision/{{}}", f"/api/models/{NAME}/tree/{{}}", f"/{NAME}/resolve/{{}}/")
        about, tree, resolve = ([pattern.format(one) for one in ("main", COMMIT)] for pattern in known)
        if path in about:
            self._send_json({"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})
        elif path in tree:
            self._send_json([{"type": "file", "path": n, "size": len(b), "oid": _oid(b)} for n, b in files.items()])
        elif name := next((path.removeprefix(one) for one in resolve if path.removeprefix(one) in files), ""):
            self._send(files[name], {"ETag": f'"{_oid(files[name])}"', "X-Repo-Commit": COMMIT})
        else:
            code = "RevisionNotFound" if NAME in path else "RepoNotFound"
            self._send(b"{}", {"X-Error-Code": code}, 404)

    def _send_json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, body: bytes, headers: Mapping[str, str], code: int = 200) -> None:
        self.send_response(code)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            broken = self.server.breaks and self.path.endswith(".safetensors")
            self.wfile.write(body[: len(body) // 2] if broken else body)
            self.close_connection = self.close_connection or broken

    def log_message(self, *_: Any) -> None:
        pass


def _oid(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


@contextmanager
def hub_of(files: Mapping[str, bytes]) -> Iterator[HubServer]:
    server = HubServer(files)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def point_at(endpoint: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub ask this endpoint, without a proxy, and keep its cache in a folder, which becomes the current
    one."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.chdir(folder)
    close_session()
