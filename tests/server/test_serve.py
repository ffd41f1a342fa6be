"""The server as its users meet it: in a process of its own, over HTTP."""

import json
import shutil
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from finbench.cli import main
from finbench.predict.predictor import Predictor, load_several
from tests import forked
from tests.server.conftest import Served, serving

TEXTS = [
    f"Sales of plant {number} rose to {number * 7} million euro" + " and more" * (number % 9) for number in range(64)
]


def test_many_clients_get_the_answers_of_a_direct_call(server: Served, bert: Path, adapter: Path) -> None:
    direct = Predictor(str(bert), str(adapter)).predict(TEXTS)
    with httpx.Client(base_url=server.url, timeout=60) as client, ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda text: client.post("/analyze", json={"text": text}).json(), TEXTS))
        together = client.post("/analyze", json={"texts": TEXTS}).json()["results"]
        metrics = client.get("/metrics").text
    for expected, alone, batched in zip(direct, answers, together, strict=True):
        assert alone["label"] == batched["label"] == expected.label
        assert alone["scores"] == pytest.approx(expected.scores, abs=1e-5)
        assert batched["scores"] == pytest.approx(expected.scores, abs=1e-5)
        assert sum(alone["scores"].values()) == pytest.approx(1)
    sizes = float(metrics.split("finbench_batch_texts_sum ")[1].split()[0])
    batches = float(metrics.split("finbench_batch_texts_count ")[1].split()[0])
    assert sizes >= 128 and batches < 65, "requests that waited were not run together"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ('{"text": ""}', 422, "at least 1 character"),
        ('{"text": "   "}', 422, "empty"),
        ("{}", 422, "text"),
        ('{"text": "a", "texts": ["b"]}', 422, "either"),
        ('{"texts": []}', 422, "texts"),
        ('{"texts": "a"}', 422, "list"),
        ('{"text": 5}', 422, "string"),
        ('{"text": null}', 422, "either"),
        ("[1, 2]", 422, ""),
        ("{", 400, "no JSON"),
        ("", 422, ""),
        ('{"text": "\\ud800"}', 422, "unicode"),
        ('{"text": "a", "adapter": "../../etc/passwd"}', 404, "there are small"),
        (json.dumps({"text": "x" * 30_000}), 413, "30,000 characters"),
        (json.dumps({"text": "profit " * 1500}), 413, "tokens"),
        (json.dumps({"text": "x" * 1_200_000}), 413, "too large"),
        (json.dumps({"texts": ["a"] * 300}), 422, "256"),
    ],
)
def test_bad_input_is_answered_with_what_is_wrong(server: Served, body: str, status: int, said: str) -> None:
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{server.url}/analyze", content=body, headers=headers, timeout=30)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "text", ["nul \0 inside", "\N{ROCKET} \N{CHART WITH UPWARDS TREND}", "\u202eright to left \u05e9\u05dc\u05d5\u05dd",
             "<script>alert(1)</script>", "'; DROP TABLE rows; --", "a\r\nb\tc", "\ufeffmark", "e\u0301" * 50],
)  # fmt: skip
def test_odd_text_is_a_text(server: Served, text: str) -> None:
    answer = httpx.post(f"{server.url}/analyze", json={"text": text}, timeout=30)
    assert answer.status_code == 200 and 0 < answer.json()["confidence"] <= 1


def test_one_text_that_is_too_long_names_its_place(server: Served) -> None:
    answer = httpx.post(f"{server.url}/analyze", json={"texts": ["short", "profit " * 1500]}, timeout=30)
    assert answer.status_code == 413 and answer.json()["detail"].startswith("text 2:")


def test_other_sites_and_forms_are_kept_out(server: Served) -> None:
    foreign = httpx.post(f"{server.url}/analyze", json={"text": "a"}, headers={"origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in foreign.headers
    form = httpx.post(f"{server.url}/analyze", content='{"text": "a"}', headers={"content-type": "text/plain"})
    assert form.status_code == 415
    page = httpx.get(server.url)
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    assert "http" not in page.text.replace(server.url, ""), "the page fetches from elsewhere"


def test_documentation_comes_from_the_package(server: Served) -> None:
    assert httpx.get(f"{server.url}/docs").status_code == 200
    assert len(httpx.get(f"{server.url}/swagger/swagger-ui-bundle.js").content) > 100_000
    assert "/analyze" in httpx.get(f"{server.url}/openapi.json").json()["paths"]
    for name in ("../app.py", "..%2fapp.py", "%2e%2e/app.py"):
        assert httpx.get(f"{server.url}/page/{name}").status_code == 404


def test_what_never_fits_the_queue_is_413_and_what_does_is_answered(bert: Path, adapter: Path) -> None:
    with serving(bert, "--adapter", str(adapter), "--max-waiting", "4") as small:
        full = httpx.post(f"{small.url}/analyze", json={"texts": ["a"] * 5}, timeout=30)
        assert full.status_code == 413 and "at most 4 may wait" in full.json()["detail"]
        assert httpx.post(f"{small.url}/analyze", json={"texts": ["a"] * 4}, timeout=30).status_code == 200


def test_sigterm_finishes_what_has_begun(bert: Path, adapter: Path) -> None:
    flags = ("--adapter", str(adapter), "--max-batch", "256", "--allow-origin", "https://desk.example")
    with serving(bert, *flags) as one:
        preflight = {"origin": "https://desk.example", "access-control-request-method": "POST"}
        allowed = httpx.options(f"{one.url}/analyze", headers=preflight)
        assert allowed.headers["access-control-allow-origin"] == "https://desk.example"
        answers: list[httpx.Response] = []
        long = [f"{number} " + "profit " * 440 for number in range(256)]  # a text given twice would run once
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{one.url}/analyze", json={"texts": long}, timeout=120))
        )
        asking.start()
        while "finbench_waiting_texts 256" not in httpx.get(f"{one.url}/metrics").text:
            assert asking.is_alive(), "it was answered before it could be interrupted"
        one.process.send_signal(signal.SIGTERM)
        asking.join()
        assert answers[0].status_code == 200 and len(answers[0].json()["results"]) == 256
        assert one.process.wait(timeout=60) in (0, -signal.SIGTERM)


def test_another_address_needs_a_flag(bert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--base", str(bert), "--host", "0.0.0.0"]) == 2
    assert "no login" in capsys.readouterr().err


def test_adapters_on_one_base_share_its_weights(bert: Path, adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "copy")
    found = load_several(str(bert), [str(adapter), str(tmp_path / "copy")])
    first, second = ({w.data_ptr() for w in one.lm.model.parameters() if w.numel() >= 4096} for one in found.values())
    assert list(found) == ["small", "copy"] and first == second


def test_what_is_no_choice_between_labels_is_refused(bert: Path, adapter: Path) -> None:
    command = [sys.executable, "-m", "finbench", "predict", "--base", str(bert), "--adapter", str(adapter)]
    done = forked.run([*command, "--task", "fin_xbrl_tags", "x"])
    assert done.returncode == 2 and "does not choose between labels" in done.stderr
