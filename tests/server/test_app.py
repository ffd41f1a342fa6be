"""What the service says where nothing goes as it should, by a stand-in for the model that can be stopped or killed."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from finbench.predict.predictor import Prediction
from finbench.server.app import Limits, build_app
from finbench.server.listen import bound, listener


class Model:
    """A predictor whose answers wait for `may`, or that does what `text` says."""

    task_name, labels = "fin_fpb", ("bad", "good")
    precision, merged, rounded = "float32", False, False

    def __init__(self) -> None:
        self.may, self.began, self.seen = threading.Event(), threading.Event(), list[str]()

    def predict_each(self, texts: Sequence[str]) -> list[Any]:
        self.seen += texts
        self.began.set()
        if "die" in texts:
            raise SystemExit
        if "break" in texts:
            raise ValueError("broken")
        assert self.may.wait(20)
        return [Prediction("good", 0.75, {"bad": 0.25, "good": 0.75})] * len(texts)


@contextmanager
def served(model: Model, **limits: Any) -> Iterator[str]:
    """Serve the model from a thread; give the address."""
    server = listener(build_app({"one": model}, Limits(**limits)), "127.0.0.1", 0, 5.0)  # type: ignore[dict-item]
    socket = bound(server)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([socket])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        model.may.set()
        server.should_exit = True
        thread.join(20)


def ask(url: str, text: str, seconds: float = 10) -> httpx.Response:
    return httpx.post(f"{url}/analyze", json={"text": text}, timeout=seconds)


def secured(answer: httpx.Response) -> bool:
    return answer.headers.get("cache-control") == "no-store" and "content-security-policy" in answer.headers


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_health_tells_when_the_worker_is_dead() -> None:
    with served(Model()) as url:
        assert httpx.get(f"{url}/health").json()["status"] == "ok"
        began = time.monotonic()
        died = ask(url, "die")
        assert died.status_code == 503 and "started again" in died.json()["detail"] and time.monotonic() - began < 3
        health = httpx.get(f"{url}/health")
        assert health.status_code == 503 and "stopped" in health.json()["status"] and secured(health)
        assert ask(url, "a").status_code == 503


def test_a_full_queue_answers_503_and_goes_on() -> None:
    model = Model()
    with served(model, waiting=1) as url:
        first = threading.Thread(target=lambda: ask(url, "first"))
        first.start()
        assert model.began.wait(10)
        full = ask(url, "second")
        assert full.status_code == 503 and int(full.headers["retry-after"]) >= 1 and secured(full)
        model.may.set()
        first.join()
        assert ask(url, "third").status_code == 200


def test_no_answer_in_time_and_no_answer_at_all_have_the_security_headers() -> None:
    model = Model()
    with served(model, seconds=0.3) as url:
        late = ask(url, "late")
        assert late.status_code == 504 and secured(late)
        model.may.set()
        broken = ask(url, "break")
        assert broken.status_code == 500 and secured(broken)


def test_a_text_whose_client_left_never_reaches_the_model() -> None:
    model = Model()
    with served(model) as url:
        first = threading.Thread(target=lambda: ask(url, "first"))
        first.start()
        assert model.began.wait(10)
        with pytest.raises(httpx.ReadTimeout):
            ask(url, "left", 0.3)
        deadline = time.monotonic() + 5
        while 'status="499"' not in (said := httpx.get(f"{url}/metrics").text) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert 'status="499"' in said and "\nfinbench_waiting_texts 1.0\n" in said
        model.may.set()
        first.join()
        assert ask(url, "last").status_code == 200
    assert model.seen == ["first", "last"]
