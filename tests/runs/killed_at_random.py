"""Runs a matrix in processes that are killed: `python -m tests.runs.killed_at_random MATRIX CELLS KILLS SEED`.

The libraries are imported once and each run is a fork, so that a kill falls into planning, loading or scoring and not
into seconds of imports.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from finbench.cli import main


def fork_run(matrix: str, cells: str) -> int:
    """Start `finbench run` in a process of its own and return its id."""
    if pid := os.fork():
        return pid
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    os._exit(main(["run", matrix, "--cells", cells]))


def done(cells: str) -> int:
    return sum(1 for _ in Path(cells).rglob("*.json"))


if __name__ == "__main__":
    import lm_eval.models.huggingface  # noqa: F401
    import peft  # noqa: F401
    import torch

    torch.set_num_threads(1)  # a pool of threads would not survive a fork
    matrix, cells, kills, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    for number in range(int(kills)):
        pid = fork_run(matrix, cells)
        while done(cells) < number and os.waitpid(pid, os.WNOHANG) == (0, 0):
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.5))
        alive = os.waitpid(pid, os.WNOHANG) == (0, 0)
        os.kill(pid, signal.SIGKILL) if alive else None
        os.waitpid(pid, 0) if alive else None
        print(f"kill {number + 1}: {'in the run' if alive else 'TOO LATE'}, {done(cells)} cells done", flush=True)
    pid = fork_run(matrix, cells)
    print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
