"""Jobs on a real Ray of two nodes in processes: workers and a node are lost, and results are those of one process."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.jobs.executor import Job, LocalExecutor, LostWorker, Needs
from finbench.runs.execute import execute
from finbench.runs.layout import lay_out
from finbench.runs.matrix import Base, Matrix
from finbench.runs.needs import PROCESS_BYTES, needs_of
from finbench.runs.one_base import BaseJob
from tests import forked
from tests.conftest import build_model

cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")

NODE = {"num_cpus": 1, "memory": 4 * 2**30, "object_store_memory": 80 * 2**20}
MATRIX = """\
name: small
tasks: [fin_fpb, fin_fiqa, fin_tfns, fin_nwgi]
limit: 20
bases:
  - {{base: {first}, name: first}}
  - {{base: {second}, name: second}}
"""
RECIPE = "base: {base}\ntask_type: classifier\ntasks: [fin_fpb]\nvalidation_share: 0.3\nmax_steps: 2\nbatch_size: 4\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a head and a node of one core each; whatever happens, nothing is left running."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = cluster_utils.Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        try:
            made.add_node(**NODE)
            yield made
        finally:
            started = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
            made.shutdown()
            for process in started:
                if process.is_running():
                    process.kill()


def counts(path: Path, until: int, dies_at: Sequence[int], earlier: Sequence[int]) -> Iterator[int]:
    """Yield numbers from where earlier attempts stopped; the process is killed before some of them, the first time."""
    for number in range(len(earlier), until):
        mark = path.with_name(f"{path.name}-{number}")
        if number in dies_at and not mark.exists():
            mark.touch()
            time.sleep(0.5)  # so that what was yielded has left the process
            os.kill(os.getpid(), signal.SIGKILL)
        with path.open("a") as sink:
            sink.write(f"{number} ")
        yield number


def always_dies(earlier: Sequence[int]) -> Iterator[int]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield 0


def fails(earlier: Sequence[int]) -> Iterator[int]:
    yield 1
    raise FinbenchError("its reason")


def test_lost_workers_failing_and_oversized_jobs_cost_themselves_alone(cluster: Any, tmp_path: Path) -> None:
    from finbench.jobs.cluster import RayExecutor

    jobs = [
        Job("fails", fails),
        Job("dies once", partial(counts, tmp_path / "once", 6, (2, 5))),
        Job("dies", always_dies),
        Job("large", fails, Needs(gpus=8)),
        Job("well", partial(counts, tmp_path / "well", 300, ())),
    ]
    executor = RayExecutor(cluster.address)
    found: dict[str, list[Any]] = {job.name: [] for job in jobs}
    try:
        for job, result in executor.run(jobs):
            found[job.name].append(result)
    finally:
        executor.close()
    assert found["fails"][0] == 1 and str(found["fails"][1]) == "its reason"
    assert found["dies once"] == list(range(6)), "each result once, in order"
    assert (tmp_path / "once").read_text() == "0 1 2 3 4 5 ", "what had been yielded was done again"
    assert isinstance(found["dies"][0], LostWorker) and "lost 4 times" in str(found["dies"][0])
    assert "asks for 1 cores, 8 GPUs" in str(found["large"][0]) and "the largest has 1 cores" in str(found["large"][0])
    assert found["well"] == list(range(300))


def test_the_local_executor_goes_on_after_a_failure(tmp_path: Path) -> None:
    jobs = [Job("fails", fails), Job("well", partial(counts, tmp_path / "well", 2, ()))]
    found = [(job.name, str(result)) for job, result in LocalExecutor().run(jobs)]
    assert found == [("fails", "1"), ("fails", "its reason"), ("well", "0"), ("well", "1")]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--address", "auto"], "give --executor ray"),
        (["--executor", "ray", "--address", "ray://127.0.0.1:1"], "ray start --address"),
        (["--executor", "ray", "--address", "127.0.0.1:1"], "no Ray cluster answers at 127.0.0.1:1"),
    ],
)
def test_wrong_flags_are_named(
    flags: list[str], said: str, gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(f"name: x\ntasks: [fin_fpb]\nlimit: 2\nbases: [{{base: {gpt2}}}]\n")
    assert main(["run", str(path), "--cells", str(tmp_path / "cells"), *flags]) == 2
    assert said in capsys.readouterr().err


def test_without_ray_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from finbench.jobs.cluster import RayExecutor

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FinbenchError, match=r'pip install "\.\[ray\]"'):
        RayExecutor()


def test_a_base_too_large_for_every_node_is_named_and_tried_on_the_next_run(
    cluster: Any, gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, cells = tmp_path / "matrix.yaml", tmp_path / "cells"
    path.write_text(f"name: x\ntasks: [fin_fpb]\nlimit: 2\nbases: [{{base: {gpt2}}}]\n")
    far = ["--executor", "ray", "--address", cluster.address, "--cpus", "64"]
    assert main(["run", str(path), "--cells", str(cells), *far]) == 1
    assert "asks for 64 cores" in capsys.readouterr().out and not list(cells.rglob("*.json"))


def test_a_job_asks_for_what_the_planner_says(gpt2: Path, tmp_path: Path) -> None:
    bases = Base(str(gpt2), name="split", pipeline=2), Base(str(gpt2), name="whole", model="hf")
    matrix = Matrix("x", ("fin_fpb",), bases, limit=2)
    split, whole = lay_out(matrix, lambda key: True).bases
    needs = needs_of(split, matrix, Needs(cpus=2, gpus=1))
    assert (needs.cpus, needs.gpus) == (4, 2), "a device for each part of the pipeline"
    assert needs.memory_bytes > 2 * PROCESS_BYTES
    more = replace(matrix, batch_size=64)
    few, many = (needs_of(whole, one, Needs()).memory_bytes - PROCESS_BYTES for one in (matrix, more))
    assert many > 3 * few > 0, "`hf` has the logits of every token of its batch"


def test_a_bases_cells_may_be_several_jobs(gpt2: Path, tmp_path: Path) -> None:
    class Recorder:
        def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
            self.jobs = list(jobs)
            yield from ((job, cell.key) for job in self.jobs for cell in job.work.plan.todo)

    matrix = Matrix("x", ("fin_fpb", "fin_fiqa", "fin_tfns"), (Base(str(gpt2), name="toy"),), limit=2)
    plan, recorder = lay_out(matrix, lambda key: True), Recorder()
    assert execute(plan, matrix, tmp_path, recorder, parts=2) == []
    assert [job.name for job in recorder.jobs] == ["toy 1 of 2", "toy 2 of 2"]
    assert [cell.key for job in recorder.jobs for cell in job.work.plan.todo] == [cell.key for cell in plan.todo]


def test_a_worker_with_other_rows_says_so(gpt2: Path, tmp_path: Path) -> None:
    matrix = Matrix("x", ("fin_fpb",), (Base(str(gpt2), name="toy"),), limit=2)
    (laid,) = lay_out(matrix, lambda key: True).bases
    elsewhere = pickle.loads(pickle.dumps(BaseJob(laid, replace(matrix, limit=3), tmp_path, {})))
    (failure,) = elsewhere(())
    assert failure.key == laid.todo[0].key and "there is no such cell on" in failure.error


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_lost_workers_training_ends_with_it() -> None:
    """The worker's process is killed; what it had started must not write into the folder that another goes on with."""
    program = "import subprocess, sys\nfrom finetune.subprocess import _dies_with_its_parent\nprint(subprocess.Popen("
    program += "['sleep', '60'], preexec_fn=_dies_with_its_parent()).pid, flush=True)\nsys.stdin.read()"
    worker = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    training = psutil.Process(int(worker.stdout.readline()))
    worker.kill()
    worker.communicate()
    assert not psutil.wait_procs([training], timeout=10)[1]


@pytest.mark.slow
def test_recipes_and_trials_run_on_the_cluster(cluster: Any, bert: Path, tmp_path: Path) -> None:
    """A second call leaves finished adapters alone, and a sweep's journal holds the trials of both workers."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(RECIPE.format(base=bert))
    (tmp_path / "sweep.yaml").write_text("values: {learning_rate: [1.0e-4, 1.0e-3]}\ntrials: 3\nmetric: loss\n")
    far = ["--executor", "ray", "--address", cluster.address]
    finetune = [sys.executable, "-m", "finbench", "finetune", "one.yaml", "two.yaml", "seed=3", "--output", "out", *far]
    said = subprocess.run(finetune, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    records = [json.loads((tmp_path / "out" / name / "finbench.json").read_text()) for name in ("one", "two")]
    assert said.count("trained parameters") == 2 and [record["recipe"]["seed"] for record in records] == [3, 3]
    again = subprocess.run(finetune, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert again.count("finished before") == 2
    sweep = [sys.executable, "-m", "finbench", "sweep", "one.yaml", "sweep.yaml", "--output", "sweep", *far]
    said = subprocess.run(sweep, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert len(list((tmp_path / "sweep").glob("trial-*/seed-0/finbench.json"))) == 3 and "0 trials failed" in said
    assert yaml.safe_load((tmp_path / "sweep" / "best.yaml").read_text())["base"] == str(bert)


@pytest.mark.slow
def test_an_interrupt_leaves_finished_cells_and_no_process(tmp_path: Path) -> None:
    base = build_model(tmp_path / "first", "gpt2")
    (tmp_path / "matrix.yaml").write_text(MATRIX.format(first=base, second=base))
    command = [sys.executable, "-m", "finbench", "run", "matrix.yaml", "--cells", "far", "--executor", "ray"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        ended = wait_for_cell(run, tmp_path / "far")
        children = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGINT)
        assert "run the same command again" in run.communicate(timeout=60)[1] and run.returncode == 130
    finally:
        run.kill()
    assert ended and not [path for path in (tmp_path / "far").rglob("*.json") if not json.loads(path.read_text())]
    assert not psutil.wait_procs(children, timeout=20)[1]


def wait_for_cell(run: "forked.Started | subprocess.Popen[str]", folder: Path) -> Path:
    """Return the result that is written first."""
    deadline = time.monotonic() + 240
    while not (ended := list(folder.glob("*/*/*.json"))):
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.01)
    return ended[0]


def results(folder: Path) -> dict[str, tuple[object, bytes]]:
    """Return each cell's metrics and its rows' outcomes."""
    return {
        str(path.relative_to(folder)): (
            json.loads(path.read_text())["metrics"], path.with_suffix(".parquet").read_bytes(),
        )
        for path in folder.rglob("*.json")
    }  # fmt: skip


def test_a_matrix_survives_the_death_of_a_node(cluster: Any, tmp_path: Path) -> None:
    first, second = (build_model(tmp_path / name, "gpt2", seed=n) for n, name in enumerate(("first", "second")))
    (tmp_path / "matrix.yaml").write_text(MATRIX.format(first=first, second=second))
    command = [sys.executable, "-m", "finbench", "run", "matrix.yaml", "--cells", "far"]
    command += ["--executor", "ray", "--address", cluster.address]
    run = forked.start(command, cwd=tmp_path)
    try:
        ended = wait_for_cell(run, tmp_path / "far")
        finished = ended.read_bytes()
        (node,) = cluster.worker_nodes
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        # Ray calls a worker's process by its job
        working = [child for child in raylet.children(recursive=True) if "ray::" in " ".join(child.cmdline())]
        cluster.remove_node(node, allow_graceful=False)  # kill -9
        said = "".join(run.communicate(timeout=200))
    finally:
        run.kill()
    assert run.returncode == 0, said
    assert working and "lost its worker and is sent out again" in said
    assert main(["run", str(tmp_path / "matrix.yaml"), "--cells", str(tmp_path / "near")]) == 0
    assert len(results(tmp_path / "far")) == 8 and results(tmp_path / "far") == results(tmp_path / "near")
    assert ended.read_bytes() == finished
