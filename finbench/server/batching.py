"""Requests that wait are answered together: one worker thread takes all that queue up while the model is busy."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

Answer = Callable[[Sequence[str]], list[Any]]


class QueueFull(Exception):
    """As many texts wait as may wait."""


@dataclass(frozen=True)
class Waiting:
    """One request's texts for one model, and where its answers go."""

    model: str
    texts: tuple[str, ...]
    answers: "Future[list[Any]]"


class Batcher:
    """Feeds models from one bounded queue; `max_texts` may wait, `max_batch` run together.

    Short and long texts that come together are put in order of length, so that little is padded.
    """

    def __init__(self, models: Mapping[str, Answer], max_batch: int, max_texts: int) -> None:
        self._models, self._max_batch, self._max_texts = models, max_batch, max_texts
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self.batch_sizes: deque[int] = deque(maxlen=10_000)  # of the last batches, for the metrics to take away
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Return how many texts wait or are being read."""
        return self._waiting

    def submit(self, model: str, texts: Sequence[str]) -> "Future[list[Any]]":
        """Queue a request.

        Raises:
            QueueFull: no more texts may wait, or the server is stopping.

        """
        with self._lock:
            if self._closed or self._waiting + len(texts) > self._max_texts:
                raise QueueFull
            self._waiting += len(texts)
            answers: Future[list[Any]] = Future()
            self._queue.put(Waiting(model, tuple(texts), answers))
        return answers

    def close(self) -> None:
        """Finish what has been queued, then stop."""
        with self._lock:
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        held: Waiting | None = None
        while True:
            first = held or self._queue.get()
            if first is None:
                return
            together, held, stop = self._gather(first)
            self._answer(together)
            if stop:
                return

    def _gather(self, first: Waiting) -> tuple[list[Waiting], Waiting | None, bool]:
        """Take what waits for the same model, in order, up to a batch; also what was taken too much, and the end."""
        together, size = [first], len(first.texts)
        while size < self._max_batch:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return together, None, True
            if following.model != first.model or size + len(following.texts) > self._max_batch:
                return together, following, False
            together.append(following)
            size += len(following.texts)
        return together, None, False

    def _answer(self, together: Sequence[Waiting]) -> None:
        alive = [one for one in together if one.answers.set_running_or_notify_cancel()]
        texts = [text for one in alive for text in one.texts]
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        try:
            sorted_answers = self._models[together[0].model]([texts[place] for place in order]) if texts else []
            answers: list[Any] = [None] * len(texts)
            for place, answer in zip(order, sorted_answers, strict=True):
                answers[place] = answer
            self.batch_sizes.append(len(texts))
            for one in alive:
                one.answers.set_result(answers[: len(one.texts)])
                del answers[: len(one.texts)]
        except Exception as error:  # the worker must outlive whatever a model raises; each request hears of it
            for one in alive:
                if not one.answers.done():
                    one.answers.set_exception(error)
        finally:
            with self._lock:
                self._waiting -= sum(len(one.texts) for one in together)
