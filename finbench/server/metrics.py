"""Prometheus metrics of the service: requests, seconds, texts that wait, sizes of batches."""

import time
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from finbench.server.batching import Batcher

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

    async def measure(self, request: Request, following: Callable[[Request], Awaitable[Response]]) -> Response:
        """Count a request and time it."""
        began, status = time.perf_counter(), 500
        path = request.url.path if request.url.path in PATHS else "other"
        try:
            response = await following(request)
            status = response.status_code
            return response
        finally:
            self._requests.labels(path, str(status)).inc()
            self._seconds.labels(path).observe(time.perf_counter() - began)

    def text(self) -> tuple[bytes, str]:
        """Return the metrics and their media type."""
        while self._batcher is not None and self._batcher.batch_sizes:
            self._batches.observe(self._batcher.batch_sizes.pop())
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
