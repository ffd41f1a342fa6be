"""Prometheus metrics of the service: requests, seconds, texts that wait, sizes of batches."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from finbench.server.batching import Batcher
from finbench.server.guard import Message, Receive, Send

PATHS = {"/analyze", "/health", "/metrics", "/docs", "/openapi.json", "/"}  # others are counted together


class Metrics:
    """The metrics of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "finbench_requests", "requests by path and status", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram("finbench_request_seconds", "seconds to answer", ["path"], registry=self._registry)
        self._batches = Histogram(
            "finbench_batch_texts", "texts that ran together", buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=self._registry,
        )  # fmt: skip
        self._batcher: Batcher | None = None

    def watch(self, batcher: Batcher) -> None:
        """Report the batcher's queue too."""
        self._batcher = batcher
        waiting = Gauge("finbench_waiting_texts", "texts that wait or are being read", registry=self._registry)
        waiting.set_function(lambda: float(batcher.waiting))

    def measured(self, app: Any) -> Callable[[Message, Receive, Send], Awaitable[None]]:
        """Return the app with its requests counted and timed."""

        async def counting(scope: Message, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            began, status = time.perf_counter(), 500
            path = scope["path"] if scope["path"] in PATHS else "other"

            async def noting(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, noting)
            finally:
                self._requests.labels(path, str(status)).inc()
                self._seconds.labels(path).observe(time.perf_counter() - began)

        return counting

    def text(self) -> tuple[bytes, str]:
        """Return the metrics and their media type."""
        while self._batcher is not None and self._batcher.batch_sizes:
            self._batches.observe(self._batcher.batch_sizes.pop())
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
