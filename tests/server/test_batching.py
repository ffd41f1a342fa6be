"""The queue before a model: what leaves it, what is kept, and what becomes of it when the worker dies."""

import gc
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from finbench.server.batching import Batcher, QueueFull, Stopped


class Text(str):
    """A text whose end can be watched."""


class Model:
    """Answers with the text's length, once it is let."""

    def __init__(self) -> None:
        self.may, self.began, self.seen = threading.Event(), threading.Event(), list[list[str]]()

    def __call__(self, texts: Sequence[str]) -> list[Any]:
        self.seen.append([str(text) for text in texts])
        self.began.set()
        assert self.may.wait(10)
        return [len(text) for text in texts]


def test_a_request_that_is_cancelled_leaves_the_queue_at_once() -> None:
    model = Model()
    batcher = Batcher({"m": model}, max_batch=4, max_texts=4)
    first = batcher.submit("m", ["first"])
    assert model.began.wait(10)
    left = batcher.submit("m", ["left"] * 3)
    with pytest.raises(QueueFull):
        batcher.submit("m", ["more"])
    assert left.cancel() and batcher.waiting == 1
    stayed = batcher.submit("m", ["stayed"])
    model.may.set()
    assert first.result(10) == [5] and stayed.result(10) == [6]
    assert model.seen == [["first"], ["stayed"]]
    batcher.close()
    assert batcher.waiting == 0


def test_of_a_large_request_whose_client_left_no_further_batch_is_run() -> None:
    model = Model()
    batcher = Batcher({"m": model}, max_batch=4, max_texts=100)
    large = batcher.submit("m", [f"text {number}" for number in range(40)])
    assert model.began.wait(10) and large.cancel()
    model.may.set()
    batcher.close()
    assert len(model.seen) == 1 and batcher.waiting == 0


def test_a_large_request_takes_turns_and_keeps_its_order() -> None:
    model = Model()
    batcher = Batcher({"m": model}, max_batch=4, max_texts=100)
    large = batcher.submit("m", ["x" * (number % 7) for number in range(30)])
    assert model.began.wait(10)
    small = batcher.submit("m", ["small"])
    model.may.set()
    assert small.result(10) == [5] and large.result(10) == [number % 7 for number in range(30)]
    batcher.close()
    assert "small" in model.seen[1] + model.seen[2], "it waited behind the whole of a large request"
    assert max(map(len, model.seen)) == 4


def test_what_one_model_raises_reaches_its_own_requests_alone() -> None:
    def broken(texts: Sequence[str]) -> list[Any]:
        raise ValueError("broken")

    batcher = Batcher({"bad": broken, "good": lambda texts: [1] * len(texts)}, 4, 100)
    bad, good = batcher.submit("bad", ["a"]), batcher.submit("good", ["a"])
    with pytest.raises(ValueError, match="broken"):
        bad.result(10)
    assert good.result(10) == [1] and batcher.alive
    batcher.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_dead_worker() -> None:
    model = Model()

    def dies(texts: Sequence[str]) -> list[Any]:
        raise SystemExit

    batcher = Batcher({"m": model, "dies": dies}, 4, 100)
    batcher.submit("m", ["a"])
    assert model.began.wait(10) and batcher.alive
    waiting: list[Future[Any]] = [batcher.submit("dies", ["a"]), batcher.submit("m", ["a"])]
    model.may.set()
    for future in waiting:
        with pytest.raises(Stopped):
            future.result(10)
    batcher._thread.join(10)
    assert not batcher.alive and batcher.waiting == 0
    with pytest.raises(Stopped):
        batcher.submit("m", ["a"])


def test_an_idle_worker_holds_no_text() -> None:
    batcher = Batcher({"m": lambda texts: [len(text) for text in texts]}, 4, 100)
    text = Text("of a customer")
    gone = weakref.ref(text)
    assert batcher.submit("m", [text]).result(10) == [13]
    del text
    for _ in range(100):
        gc.collect()
        if gone() is None:
            break
        time.sleep(0.02)
    assert gone() is None, "the text of an answered request is still held"
    batcher.close()


def test_memory_is_tidied_while_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from finbench.server import batching

    monkeypatch.setattr(batching, "IDLE_SECONDS", 0.05)
    tidied: list[float] = []
    batcher = Batcher({"m": lambda texts: [1]}, 4, 100, tidy=lambda: tidied.append(time.monotonic()))
    batcher.submit("m", ["a"]).result(10)
    time.sleep(0.5)
    assert 2 <= len(tidied) <= 3, "once after the batch and once when idle"
    batcher.close()
