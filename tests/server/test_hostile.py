"""Clients that mean harm, or are merely broken, against a server in a process of its own; all bounded, all local."""

import contextlib
import json
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.server.conftest import Served, serving

SECURITY = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
HALF = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


def connected(url: str, sends: bytes = b"") -> socket.socket:
    """Return a connection on which something was sent."""
    one = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=15)
    if sends:
        one.sendall(sends)
    return one


def said(one: socket.socket, seconds: float = 15) -> bytes:
    """Return all that comes until the server closes, or nothing comes for so long."""
    one.settimeout(seconds)
    found = b""
    with contextlib.suppress(OSError):
        while part := one.recv(65536):
            found += part
    return found


def raw(url: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to what is sent as it is."""
    with connected(url, request) as one:
        head, _, body = said(one, 5).partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}, body


@pytest.fixture(scope="module")
def endless(server: Served) -> Iterator[dict[str, "Future[float]"]]:
    """Send what never ends while the tests of this file run; return after how many seconds the server ended it."""
    body = HALF.replace(b"GET /health", b"POST /analyze") + b"1\r\nContent-Type: application/json\r\n"
    body += b"Content-Length: 900000\r\n\r\n"
    over = threading.Event()

    def ended(begin: bytes, more: bytes, seconds: float) -> float:
        """Send `begin`, and then a byte now and then; what begins with nothing must be closed without a word."""
        began = time.monotonic()
        with connected(server.url, begin) as one, contextlib.suppress(OSError):
            one.settimeout(0.5)
            while time.monotonic() - began < seconds and not over.is_set():
                one.sendall(more)
                with contextlib.suppress(TimeoutError):
                    answer = one.recv(65536)
                    assert begin or not answer
                    if b" 408 " in answer or not answer:
                        break
        return time.monotonic() - began

    with ThreadPoolExecutor(3) as pool:
        sent = {"header": (HALF, b"a", 25), "silence": (b"", b"", 25), "body": (body, b" ", 40)}
        yield {name: pool.submit(ended, *what) for name, what in sent.items()}
        over.set()


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "[::2]"],
)
def test_another_name_in_host_is_not_answered(server: Served, host: str) -> None:
    """A page of another site whose name resolves to this machine must learn nothing."""
    for path in ("/", "/health", "/metrics", "/page/script.js", "/openapi.json"):
        answer = httpx.get(f"{server.url}{path}", headers={"host": host})
        assert answer.status_code == 421 and "--allowed-host" in answer.json()["detail"], path
    posted = httpx.post(f"{server.url}/analyze", json={"text": "a"}, headers={"host": host})
    assert posted.status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "localhost.", "127.0.0.1:1", "[::1]:5000"])
def test_its_own_names_are_answered(server: Served, host: str) -> None:
    assert httpx.get(f"{server.url}/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", [b"", b"a b", b"user@127.0.0.1", b"127.0.0.1/", b"[::1", b"127.0.0.1:x", b"\xff"])
def test_a_host_that_is_none_is_refused(server: Served, host: bytes) -> None:
    assert raw(server.url, b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")[0] == 400


def test_a_proxys_name_is_answered_where_it_is_allowed(bert: Path, adapter: Path) -> None:
    flags = ("--adapter", str(adapter), "--allowed-host", "desk.example", "--host", "0.0.0.0", "--allow-remote")
    with serving(bert, *flags) as one:
        url = one.url.replace("0.0.0.0", "127.0.0.1")
        for host, status in (("Desk.Example:443", 200), ("127.0.0.1", 200), ("0.0.0.0", 421), ("other.example", 421)):
            assert httpx.get(f"{url}/health", headers={"host": host}).status_code == status, host


def test_every_answer_has_the_security_headers(server: Served) -> None:
    def request(first: str, *headers: str, body: str = "") -> bytes:
        lines = [f"{first} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
        return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode()

    as_json = "Content-Type: application/json"
    answers = {
        200: [request("GET /"), request("GET /docs"), request("GET /page/script.js"), request("GET /metrics"),
              request("POST /analyze", as_json, body='{"text": "a"}'), request("GET /swagger/swagger-ui.css")],
        307: [request("GET /health/")],
        400: [b"nonsense\r\n\r\n", request("POST /analyze", as_json, body="{")],
        404: [request("GET /no")],
        405: [request("DELETE /analyze")],
        413: [request("POST /analyze", as_json, body=json.dumps({"text": "x" * 30_000}))],
        415: [request("POST /analyze", body="a=b")],
        421: [request("GET /").replace(b"127.0.0.1", b"evil.example")],
        422: [request("POST /analyze", as_json, body="{}")],
        431: [request("GET /", *(f"X-{n}: a" for n in range(200))), request("GET /", "X: " + "a" * 100_000)],
    }  # fmt: skip
    for status, requests in answers.items():
        for asked in requests:
            found, headers, _ = raw(server.url, asked)
            assert found == status, asked[:80]
            for name, value in SECURITY.items():
                assert value in headers.get(name, ""), (status, asked[:80], name)


def test_a_header_of_100_megabytes_is_not_held(server: Served) -> None:
    memory = psutil.Process(server.process.pid).memory_info
    with connected(server.url, HALF) as one:
        before, sent = memory().rss, 0
        with contextlib.suppress(OSError):
            while sent < 100_000_000:
                one.sendall(b"a" * 500_000)
                sent += 500_000
        assert sent < 20_000_000 and memory().rss - before < 20_000_000
    assert httpx.get(f"{server.url}/health").status_code == 200


@pytest.fixture(scope="module")
def narrow(bert: Path, adapter: Path) -> Iterator[Served]:
    """Return a server under the usual limit of open files, which it may not raise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this machine lets no process open the connections of an attack")
    with serving(bert, "--adapter", str(adapter), open_files=1024) as one:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
        yield one
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "sends", [HALF, b"", HALF.replace(b"GET /health", b"POST /analyze")], ids=["half", "mute", "post"]
)
def test_connections_that_say_nothing_shut_nobody_out(narrow: Served, sends: bytes) -> None:
    if sends.startswith(b"POST"):
        sends += b"1\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    held: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for _ in range(1500):
            with contextlib.suppress(OSError):
                held.append(stack.enter_context(connected(narrow.url, sends)))
        began = time.monotonic()
        for _ in range(5):
            answer = httpx.post(f"{narrow.url}/analyze", json={"text": "a"}, timeout=10)
            assert answer.status_code == 200
        assert time.monotonic() - began < 5
    assert len(held) > 1000


def test_clients_that_do_not_take_their_answers_shut_nobody_out(narrow: Served) -> None:
    ask = b"GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(1100):
            with contextlib.suppress(OSError):
                stack.enter_context(connected(narrow.url, ask * 4))
        statuses, deadline = [0], time.monotonic() + 15  # while so much is sent a 503 is right
        while statuses[-1] != 200 and time.monotonic() < deadline:
            statuses.append(httpx.get(f"{narrow.url}/health", timeout=10).status_code)
            time.sleep(0.2)
        assert statuses[-1] == 200, statuses


def test_work_of_clients_that_left_is_dropped(gpt2: Path, causal_adapter: Path) -> None:
    """One slow request runs; those that wait behind it leave, and so does their work."""
    flags = ("--adapter", str(causal_adapter), "--max-waiting", "256", "--max-batch", "8")
    with serving(gpt2, *flags) as one:
        body = json.dumps({"texts": ["profit " * 60] * 256}).encode()
        head = b"POST /analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        with connected(one.url, head + b"Content-Length: %d\r\n\r\n" % len(body) + body):
            deadline = time.monotonic() + 20
            while waiting(one) < 100 and time.monotonic() < deadline:
                time.sleep(0.01)
        deadline = time.monotonic() + 3
        while waiting(one) and time.monotonic() < deadline:
            time.sleep(0.02)
        metrics = httpx.get(f"{one.url}/metrics").text
        assert waiting(one) == 0
        ran = float(metrics.split("finbench_batch_texts_sum ")[1].split()[0])
        assert ran < 256, "all texts of a client that had left were read"


def waiting(one: Served) -> float:
    found = re.search(r"(?m)^finbench_waiting_texts ([\d.]+)", httpx.get(f"{one.url}/metrics", timeout=10).text)
    assert found
    return float(found[1])


def test_a_header_that_never_ends_is_ended(endless: dict[str, "Future[float]"]) -> None:
    """A byte now and then would keep a place for ever."""
    assert 5 < endless["header"].result() < 20
    assert endless["silence"].result() < 20


def test_a_body_that_never_ends_is_ended(endless: dict[str, "Future[float]"]) -> None:
    assert endless["body"].result() < 30
