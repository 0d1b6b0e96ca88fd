"""python serve.py FOLDER: a service over a model that `daguan export` wrote, without daguan (docs/deploy.md).

    POST /predict  {"lines": [["7", "8", "9"]]} or {"texts": ["7 8 9"]}: the entities of each line
    GET  /health   200 when the model is loaded
    GET  /metrics  for Prometheus

A start and a stop are half-open: in tokens for `lines`, in characters for `texts`, whose tokens white space separates.
It needs requirements.txt, what the folder's README.md names, and the files exported.py, batching.py and predictions.py.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from batching import Batcher, FullError, Tokens
from exported import Exported, load
from predictions import Answer, Asked, Limits, read

LINES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # upper ends of the classes of a histogram


class Metrics:
    """What Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names: dict[str, Any] = {"namespace": "daguan", "registry": self.registry}
        self.requests = Counter("requests", "Requests to /predict by status.", ["status"], **names)
        self.seconds = Histogram("request_seconds", "Seconds to an answer of /predict.", **names)
        self.tokens = Counter("tokens", "Tokens that were labelled.", **names)
        self.batch = Histogram("batch_lines", "Lines of a batch.", buckets=LINES, **names)
        self.batch_seconds = Histogram("batch_seconds", "Seconds of the model for a batch.", **names)
        self.waiting = Gauge("waiting_tokens", "Tokens that wait for their batch.", **names)

    def seen(self, lines: Sequence[Tokens], seconds: float) -> None:
        """Counts a batch."""
        self.tokens.inc(sum(map(len, lines)))
        self.batch.observe(len(lines))
        self.batch_seconds.observe(seconds)

    async def measure(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Counts a request, if it is one to /predict."""
        if request.url.path != "/predict":
            return await call_next(request)
        with self.seconds.time():
            response = await call_next(request)
        self.requests.labels(response.status_code).inc()
        return response


def new_app(model: Exported, limits: Limits) -> FastAPI:
    """Returns the service."""
    metrics = Metrics()
    batcher = Batcher(model.spans, limits.batch_tokens, limits.waiting, metrics.seen)
    metrics.waiting.set_function(lambda: batcher.waiting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with batcher:
            yield

    app = FastAPI(title=model.name, lifespan=lifespan)
    app.middleware("http")(metrics.measure)
    app.exception_handler(RequestValidationError)(refuse)

    @app.post("/predict", max_body_size=limits.body)
    async def predict(asked: Asked) -> Answer:
        lines = read(asked, limits)
        try:
            async with asyncio.timeout(limits.seconds):
                found = await batcher.answers([line.tokens for line in lines])
        except (FullError, TimeoutError):
            raise HTTPException(503, "too much waits; ask again later", {"Retry-After": "1"}) from None
        return Answer(entities=[line.answer(entities) for line, entities in zip(lines, found, strict=True)])

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "model": model.name, "labels": model.labels}

    @app.get("/metrics")
    async def exposed() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


async def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
    """Returns the first fault of a body that is no request, in one line, and nothing of the body."""
    first = error.errors()[0]
    return JSONResponse({"detail": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 422)


def main() -> None:
    """Loads the model, then listens until SIGTERM or SIGINT; open requests are answered before the end."""
    parser = argparse.ArgumentParser(description="Serve an exported model.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free; it is printed")
    parser.add_argument("--threads", type=int, default=1, help="of the model")
    for name, value in Limits()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args())
    limits = Limits(**{name: given[name] for name in Limits._fields})
    app = new_app(load(given["folder"], given["threads"]), limits)
    uvicorn.run(app, host=given["host"], port=given["port"], timeout_graceful_shutdown=int(limits.seconds) + 1)


if __name__ == "__main__":
    main()
