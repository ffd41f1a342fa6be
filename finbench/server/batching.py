"""Requests that wait are answered together: one worker thread takes all that queue up while the model is busy."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Answer = Callable[[Sequence[str]], list[Any]]

IDLE_SECONDS = 2.0  # after so long without work the worker tidies up


class QueueFull(Exception):
    """As many texts wait as may wait."""


class Stopped(Exception):
    """Nothing is answered any more: the server is stopping, or its worker thread has died."""


@dataclass
class Waiting:
    """One request's texts for one model, those of them that are answered, and where the answers go."""

    model: str
    texts: tuple[str, ...]
    future: "Future[list[Any]]"
    answers: list[Any] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Return how many of its texts have no answer yet."""
        return len(self.texts) - len(self.answers)


class Batcher:
    """Feeds models from one bounded queue; `max_texts` may wait, `max_batch` run together.

    Short and long texts that come together are put in order of length, so that little is padded. A request of more than
    a batch takes turns with the others. Whoever cancels a request's future takes it out of the queue; of one that has
    begun no further batch is run. No text is kept once its request is answered. `tidy` is called between batches.
    """

    def __init__(
        self, models: Mapping[str, Answer], max_batch: int, max_texts: int, tidy: Callable[[], object] = lambda: None
    ) -> None:
        self._models, self._max_batch, self._max_texts, self._tidy = models, max_batch, max_texts, tidy
        self._numbers = count()
        self._requests: dict[int, Waiting] = {}  # in the order in which they are served
        self._changed = threading.Condition()
        self._waiting = 0
        self._closed = False
        self.batch_sizes: deque[int] = deque(maxlen=10_000)  # of the last batches, for the metrics to take away
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Return how many texts wait or are being read."""
        return self._waiting

    @property
    def alive(self) -> bool:
        """Return whether the worker thread runs: without it nothing will be answered."""
        return self._thread.is_alive()

    def submit(self, model: str, texts: Sequence[str]) -> "Future[list[Any]]":
        """Queue a request; cancelling the future takes it back.

        Raises:
            QueueFull: no more texts may wait.
            Stopped: the server is stopping, or its worker is dead.

        """
        future: Future[list[Any]] = Future()
        with self._changed:
            if self._closed:
                raise Stopped
            if self._waiting + len(texts) > self._max_texts:
                raise QueueFull
            number = next(self._numbers)
            self._waiting += len(texts)
            self._requests[number] = Waiting(model, tuple(texts), future)
            self._changed.notify()
        future.add_done_callback(lambda done: self._drop(number) if done.cancelled() else None)
        return future

    def close(self) -> None:
        """Finish what has been queued, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _drop(self, number: int) -> None:
        with self._changed:
            if request := self._requests.pop(number, None):
                self._waiting -= request.left

    def _work(self) -> None:
        try:
            while batch := self._gather():
                self._answer(batch)
                del batch  # no text is held while the worker waits for the next
                self._tidy()
        finally:  # whatever ended the thread, nobody waits for it
            with self._changed:
                self._closed = True
                abandoned = list(self._requests)
            self._fail(abandoned, Stopped())

    def _gather(self) -> list[tuple[int, tuple[str, ...]]]:
        """Wait for requests and take up to a batch of texts for one model; nothing once all is done and closed."""
        with self._changed:
            while not self._requests:
                if self._closed:
                    return []
                if not self._changed.wait(IDLE_SECONDS) and not self._requests:
                    self._tidy()
                    self._changed.wait_for(lambda: self._requests or self._closed)
            model = next(iter(self._requests.values())).model
            taken, room = [], self._max_batch
            for number, request in list(self._requests.items()):
                if request.model != model or not room:
                    continue
                done = len(request.answers)
                part = request.texts[done : done + room]
                taken.append((number, part))
                room -= len(part)
                if len(part) < request.left:  # the rest queues behind those that came since
                    self._requests[number] = self._requests.pop(number)
            return taken

    def _answer(self, batch: Sequence[tuple[int, tuple[str, ...]]]) -> None:
        with self._changed:
            model = next((self._requests[number].model for number, _ in batch if number in self._requests), None)
        if model is None:
            return  # all have left
        texts = [text for _, part in batch for text in part]
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        try:
            sorted_answers = self._models[model]([texts[place] for place in order])
            answers: list[Any] = [None] * len(texts)
            for place, answer in zip(order, sorted_answers, strict=True):
                answers[place] = answer
        except Exception as error:  # the worker must outlive whatever a model raises; each request hears of it
            self._fail([number for number, _ in batch], error)
            return
        self.batch_sizes.append(len(texts))
        for number, part in batch:
            self._deliver(number, answers[: len(part)])
            del answers[: len(part)]

    def _deliver(self, number: int, answers: list[Any]) -> None:
        """Add to a request's answers, and send them once they are whole."""
        with self._changed:
            request = self._requests.get(number)
            if request is None:
                return
            request.answers += answers
            self._waiting -= len(answers)
            if request.left:
                return
            del self._requests[number]
        if request.future.set_running_or_notify_cancel():
            request.future.set_result(request.answers)

    def _fail(self, numbers: Sequence[int], error: Exception) -> None:
        for number in numbers:
            with self._changed:
                request = self._requests.pop(number, None)
                self._waiting -= request.left if request else 0
            if request and request.future.set_running_or_notify_cancel():
                request.future.set_exception(error)
