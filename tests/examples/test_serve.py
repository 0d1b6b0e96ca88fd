"""The service answers concurrent requests as daguan does line by line, and refuses what is beyond its limits."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from daguan.core.seeds import stream
from daguan.pipeline.shipping.export import export
from exported_models import WITHOUT, lines, our_spans, piece_lines, stored, stored_pieces
from served import Service, served

pytestmark = pytest.mark.services
if "DAGUAN_SERVICES" not in os.environ:  # scripts/test_services.sh sets it: there, absence is an error
    for name in ("fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(name, reason="scripts/test_services.sh installs examples/requirements.txt")

LIMITS = ["--body", "4000", "--lines", "12", "--tokens", "100", "--batch-tokens", "256"]
LINES, AT_ONCE, REQUESTS = lines(), 16, 60


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored(tmp_path_factory.mktemp("model"), "modern", "crf")


@pytest.fixture(scope="module")
def ours(model: Path) -> list[list[tuple[int, int, str, float]]]:
    return our_spans(model)


@pytest.fixture(scope="module", params=WITHOUT)
def service(request: pytest.FixtureRequest, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp(request.param)
    export(model, folder / "out", request.param)
    with served(folder / "out", folder, LIMITS, without=WITHOUT[request.param]) as found:
        yield found


def spans_of(entities: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(one["start"], one["stop"], one["label"]) for one in entities]


def metrics(service: Service) -> dict[str, float]:
    text = service.ask("/metrics")[1]
    return {name: float(value) for name, value in re.findall(r"^(daguan_\S+) (\S+)$", text, re.MULTILINE)}


def test_concurrent_requests_get_our_spans_whatever_the_batching(service: Service, ours: list[Any]) -> None:
    rng = stream(1, "requests")
    asked = [rng.choice(len(LINES), rng.integers(1, 8)).tolist() for _ in range(REQUESTS)]
    before = metrics(service)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [*pool.map(lambda chosen: service.ask("/predict", {"lines": [LINES[i] for i in chosen]}), asked)]
    for chosen, (status, answer) in zip(asked, found, strict=True):
        assert status == 200
        assert [spans_of(line) for line in answer["entities"]] == [[span[:3] for span in ours[i]] for i in chosen]
        probabilities = [one["probability"] for line in answer["entities"] for one in line]
        assert probabilities == pytest.approx([span[3] for i in chosen for span in ours[i]], abs=2e-3)
    after = metrics(service)
    gone = {name: value - before.get(name, 0) for name, value in after.items()}
    assert gone['daguan_requests_total{status="200"}'] == gone["daguan_request_seconds_count"] == REQUESTS
    assert gone["daguan_tokens_total"] == sum(len(LINES[i]) for chosen in asked for i in chosen)
    assert gone["daguan_batch_lines_sum"] == sum(map(len, asked))
    assert gone["daguan_batch_lines_count"] < sum(map(len, asked))
    assert after["daguan_waiting_tokens"] == 0


def test_texts_are_answered_in_characters(service: Service, ours: list[Any]) -> None:
    texts = [" " + "  ".join(line) for line in LINES]
    status, answer = service.ask("/predict", {"texts": texts})
    assert status == 200
    for text, found, line, expected in zip(texts, answer["entities"], LINES, ours, strict=True):
        words = [text[one["start"] : one["stop"]].split() for one in found]
        assert words == [line[start:stop] for start, stop, _, _ in expected]
        assert [text[: one["start"]].count("  ") for one in found] == [start for start, *_ in expected]


def test_health_names_the_model(service: Service) -> None:
    assert service.ask("/health") == (200, {"status": "ok", "model": "out", "labels": ["a", "b", "c2"]})


REFUSED: Mapping[str, tuple[Any, int, str]] = {
    "nothing": ({}, 422, "expected lines or texts, got neither"),
    "both": ({"lines": [], "texts": []}, 422, "expected lines or texts, got both"),
    "another name": ({"line": []}, 422, "body.line: Extra inputs are not permitted"),
    "no list": ({"lines": "7 8"}, 422, "body.lines: Input should be a valid list"),
    "a number": ({"lines": [["7"], ["8", 9]]}, 422, "body.lines.1.1: Input should be a valid string"),
    "white space": ({"lines": [["7", "8 9"]]}, 422, "lines.0.1: expected a token without white space, got '8 9'"),
    "an empty token": ({"lines": [["7", ""]]}, 422, "lines.0.1: expected a token without white space, got ''"),
    "a long line": ({"lines": [["7"], ["7"] * 101]}, 422, "lines.1: expected at most 100 tokens, got 101"),
    "a long text": ({"texts": ["7 " * 101]}, 422, "texts.0: expected at most 100 tokens, got 101"),
    "many lines": ({"lines": [["7"]] * 13}, 413, "lines: expected at most 12, got 13"),
    "a large body": ({"texts": ["7" * 4000]}, 413, "Content Too Large"),
    "no JSON": (b"[[7,", 422, "body.4: JSON decode error"),
    "nothing at all": (b"", 422, "body: Field required"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_beyond_a_limit_is_refused_in_one_line(service: Service, name: str) -> None:
    body, expected, message = REFUSED[name]
    status, answer = service.ask("/predict", body)
    assert (status, answer if isinstance(answer, str) else answer["detail"]) == (expected, message)


def test_a_busy_service_refuses_more_and_a_terminated_one_answers_what_it_was_asked(
    model: Path, ours: list[Any], tmp_path: Path
) -> None:
    export(model, tmp_path / "out", "onnx")
    many = {"lines": LINES * 100}
    with served(tmp_path / "out", tmp_path, ["--waiting", "10"]) as service, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.ask, "/predict", many)
        while metrics(service)["daguan_waiting_tokens"] == 0 and not asked.done():
            time.sleep(0.01)
        refused = service.ask("/predict", {"lines": [["7"] * 11]})
        assert not asked.done()
        assert refused == (503, {"detail": "too much waits; ask again later"})
        service.process.send_signal(signal.SIGTERM)
        status, answer = asked.result()
        assert status == 200
        assert [spans_of(line) for line in answer["entities"]] == [[span[:3] for span in line] for line in ours] * 100
        assert service.process.wait(60) in (0, -signal.SIGTERM)


@pytest.mark.parametrize("form", WITHOUT)
def test_a_public_encoder_is_served_with_its_tokenizer(form: str, tmp_path: Path) -> None:
    model, given = stored_pieces(tmp_path / "model", "bert", "crf", "mean"), piece_lines()
    export(model, tmp_path / "out", form)
    with served(tmp_path / "out", tmp_path, without=WITHOUT[form]) as service:
        answers = [
            service.ask("/predict", asked)[1] for asked in ({"lines": given}, {"texts": [*map(" ".join, given)]})
        ]
    ours = our_spans(model, given)
    by_words, by_text = ([spans_of(line) for line in answer["entities"]] for answer in answers)
    assert by_words == [[span[:3] for span in line] for line in ours]
    for line, words, found in zip(ours, given, by_text, strict=True):
        starts = [len(" ".join([*words[:place], ""])) for place in range(len(words) + 1)]
        assert found == [(starts[start], starts[stop] - 1, label) for start, stop, label, _ in line]
