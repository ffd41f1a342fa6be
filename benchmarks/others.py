"""One GGUF file scored by llama.cpp's server through lm-eval's `gguf` type, by `hf-fast` and by `hf`, on the same rows.

`python -m benchmarks others --gguf FILE.gguf --limit 200 --server-limit 12 --server PYTHON --output FOLDER`

PYTHON is an interpreter that has `llama-cpp-python[server]`, which need not be this one. llama.cpp multiplies the
file's own few bits with activations of 8; transformers makes float32 weights of them. So scores differ, and rows whose
answer does are counted. Every side is one `lm_eval` process; a run of few rows is taken off, which leaves what scoring
the other rows takes. llama.cpp computes in its server, whose processor time and memory are counted as its own.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.measured import measured

FEW, FEW_OF_SERVER = 8, 2  # rows of the run that is taken off
WINDOW = 2048  # tokens, which one-shot rows of the sentence tasks fit
READY_SECONDS = 120


@dataclass(frozen=True)
class Scored:
    """What one side took for the rows beyond the first few, and what it answered."""

    side: str
    rows: int
    seconds: float
    processor_seconds: float
    peak_bytes: int
    accuracy: float
    scores: Mapping[str, Sequence[float]]  # of each row's choices

    @property
    def answers(self) -> dict[str, int]:
        """Return the place of each row's likeliest choice."""
        return {row: max(range(len(found)), key=found.__getitem__) for row, found in self.scores.items()}


@contextmanager
def serving(python: str, gguf: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Within it llama.cpp's server answers; gives its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [python, "-m", "llama_cpp.server", "--model", str(gguf), "--host", "127.0.0.1", "--port", str(port)]
    words += ["--n_ctx", str(WINDOW), "--logits_all", "true", "--n_threads", str(os.cpu_count() or 1)]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            _await(server, f"http://127.0.0.1:{port}", folder / "server.log")
            yield f"http://127.0.0.1:{port}", server.pid
        finally:
            server.terminate()
            server.wait()


def _await(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/v1/models", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    raise SystemExit("llama.cpp's server did not start:\n" + "\n".join(log.read_text().splitlines()[-15:]))


def _worked(pid: int) -> float:
    """Return the processor seconds of a running process, as Linux counts them."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def scored(side: str, model: Sequence[str], task: str, rows: int, folder: Path, pid: int | None = None) -> Scored:
    """Return what one side takes for a task's first rows; `pid` is the process that computes for it, if another."""
    took, worked, few = [], [], FEW_OF_SERVER if pid else FEW
    for count in (few, rows):
        place = folder / f"{side}-{task}-{count}"
        words = [sys.executable, "-m", "lm_eval", "run", *model, "--tasks", task, "--limit", str(count)]
        words += ["--output_path", str(place), "--log_samples"]
        before = _worked(pid) if pid else 0.0
        took.append(measured(words, folder, os.environ, folder / f"{place.name}.log"))
        worked.append(took[-1].processor_seconds + (_worked(pid) - before if pid else 0.0))
    accuracy, scores = _results(place, task)
    return Scored(
        side,
        rows - few,
        took[1].seconds - took[0].seconds,
        worked[1] - worked[0],
        _peak(pid) if pid else took[1].peak_bytes,
        accuracy,
        scores,
    )


def _results(place: Path, task: str) -> tuple[float, dict[str, list[float]]]:
    [results] = place.rglob("results_*.json")
    [samples] = place.rglob("samples_*.jsonl")
    lines = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    scores = {str(line["doc"]["id"]): [float(one[0][0]) for one in line["resps"]] for line in lines}
    return float(json.loads(results.read_text(encoding="utf-8"))["results"][task]["acc,none"]), scores


def markdown(found: Sequence[Scored]) -> str:
    """Return a table of one task, the first side's answers and speed as what the others are held against."""
    first = found[0]
    lines = [
        "| side | rows | rows/s | over the first | processor, s a row | peak, GiB | accuracy | other answers |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        both = one.scores.keys() & first.scores.keys()
        assert len(both) == min(len(one.scores), len(first.scores)), "the sides scored other rows"
        differ = sum(one.answers[row] != first.answers[row] for row in both)
        speed, of_first = one.rows / one.seconds, first.rows / first.seconds
        lines.append(
            f"| {one.side} | {len(one.scores)} | {speed:.2f} | **{speed / of_first:.2f}x** | "
            f"{one.processor_seconds / one.rows:.3f} | {one.peak_bytes / 2**30:.2f} | {one.accuracy:.3f} | "
            f"{differ} of {len(both)} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Measure, print a table a task, write `others.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks others", description=__doc__)
    parser.add_argument("--gguf", type=Path, required=True, help="the file of weights, beside its tokenizer's files")
    parser.add_argument("--tokenizer", type=Path, help="the folder of the tokenizer, if not the file's own folder")
    parser.add_argument("--tasks", nargs="+", default=["fin_fpb"], help="tasks with choices")
    parser.add_argument("--limit", type=int, default=200, help="test rows of each task (default 200)")
    parser.add_argument("--server-limit", type=int, default=12, help="and by llama.cpp's server, which is slow (12)")
    parser.add_argument("--server", default=sys.executable, help="a Python that has llama-cpp-python[server]")
    parser.add_argument("--output", type=Path, required=True, help="an empty folder for logs and others.json")
    given = parser.parse_args(argv)
    for name, rows, few in (("limit", given.limit, FEW), ("server-limit", given.server_limit, FEW_OF_SERVER)):
        if rows <= few:
            parser.error(f"--{name} {rows}: give more than the {few} rows that are taken off")
    given.output.mkdir(parents=True)
    gguf, folder = given.gguf.resolve(), given.output.resolve()
    weights = f"pretrained={gguf.parent},gguf_file={gguf.name},dtype=float32"
    if given.tokenizer:
        weights += f",tokenizer={given.tokenizer.resolve()}"
    report: dict[str, Any] = {"gguf": gguf.name, "machine": describe("cpu"), "tasks": {}}
    for task in given.tasks:
        found = []
        with serving(given.server, gguf, folder) as (address, pid):
            words = ["--model", "gguf", "--model_args", f"base_url={address},max_length={WINDOW}"]
            found.append(scored("llama.cpp", words, task, given.server_limit, folder, pid))
        for kind in ("hf", "hf-fast"):
            words = ["--model", kind, "--model_args", weights, "--batch_size", "auto" if kind == "hf-fast" else "4"]
            found.append(scored(kind, words, task, given.limit, folder))
        report["tasks"][task] = [asdict(one) for one in found]
        (folder / "others.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
        print(f"{task}, {given.limit} rows\n\n{markdown(found)}\n", flush=True)
    print(json.dumps(report["machine"]))
    return 0
