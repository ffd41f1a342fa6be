"""A pipeline of processes gives the answers of one process, whichever stages, adapters and batches."""

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from peft import LoraConfig, PeftModel, PrefixTuningConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from finbench.engine.likelihood import Query
from finbench.engine.pipeline import crew as pipeline_crew
from finbench.engine.pipeline.passes import Passes
from finbench.engine.pipeline.stage import ConnectedStage
from finbench.errors import FinbenchError
from finbench.hf.cut import Passed
from finbench.models.fast import FastLM
from tests import forked
from tests.conftest import build_tokenizer
from tests.models.test_fast import GPT2, GROUPED, asked, scored

PYTHON = sys.executable  # a real start, where the commands of users are tried


def put_lora(base: Path, folder: Path, **options: object) -> Path:
    """Write a LoRA that changes every answer; return its folder."""
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(base)
    settings = {"task_type": "CAUSAL_LM", "r": 4, "target_modules": "all-linear", "init_lora_weights": False}
    get_peft_model(model, LoraConfig(**{**settings, **options})).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for family, layers in (("gpt2", {"n_layer": 3}), ("llama", {"num_hidden_layers": 3})):
        folder = tmp_path_factory.mktemp(family)
        torch.manual_seed(0)
        model = (
            GPT2LMHeadModel(GPT2Config(**{**GPT2, **layers}))
            if family == "gpt2"
            else LlamaForCausalLM(LlamaConfig(**{**GROUPED, **layers}))
        )
        model.save_pretrained(folder)
        found[family] = build_tokenizer(folder, bos=family == "llama")
    return found


@pytest.fixture(scope="module", autouse=True)
def _dismissed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", forked.python())
        yield
        pipeline_crew.dismiss()


def log_likelihoods(lm: FastLM, count: int) -> list[tuple[float, bool]]:
    return lm.loglikelihood(scored()[:count], disable_tqdm=True)


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_two_processes_answer_as_one(family: str, lora: bool, bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = {"peft": str(put_lora(bases[family], tmp_path / "lora"))} if lora else {}
    one = FastLM(str(bases[family]), batch_size=4, **adapter)
    two = FastLM(str(bases[family]), batch_size=4, pipeline=2, **adapter)
    assert two.rank == 0 and two.world_size == 1
    for batch_size, count in ((1, 7), (3, 29), (64, 30), ("auto", 1)):
        one.batch_size_per_gpu = two.batch_size_per_gpu = batch_size
        expected, found = log_likelihoods(one, count), log_likelihoods(two, count)
        for (value, greedy), (wanted, likeliest) in zip(found, expected, strict=True):
            assert value == pytest.approx(wanted, abs=1e-5) and greedy == likeliest
    assert two.generate_until(asked(), disable_tqdm=True) == one.generate_until(asked(), disable_tqdm=True)
    numbers = two.get_model_info()["model_num_parameters"]
    assert numbers == sum(weight.numel() for weight in one.model.parameters())
    base = FastLM(str(bases[family]), batch_size=4)
    assert (log_likelihoods(base, 7) == log_likelihoods(one, 7)) is not lora


def test_a_stage_holds_its_own_layers_alone(bases: dict[str, Path]) -> None:
    lm = FastLM(str(bases["llama"]), pipeline=2)
    names = [name for name, _ in lm.model.named_parameters()]
    assert not [name for name in names if "layers.2" in name or "lm_head" in name or name == "model.norm.weight"]
    assert isinstance(lm.model.model.layers[2], Passed) and lm.model.lm_head is None


def test_a_lora_of_the_last_layer_alone_is_put_on(bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = str(put_lora(bases["llama"], tmp_path / "last", target_modules=["q_proj"], layers_to_transform=[2]))
    one = FastLM(str(bases["llama"]), peft=adapter)
    two = FastLM(str(bases["llama"]), peft=adapter, pipeline=2)
    assert not isinstance(two.model, PeftModel)
    for (value, _), (wanted, _) in zip(log_likelihoods(two, 5), log_likelihoods(one, 5), strict=True):
        assert value == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pipeline": 1}, "two or more"),
        ({"pipeline": 4}, "has 3 layers"),
        ({"pipeline": 2, "device_map": "auto"}, "does not go with device_map"),
        ({"pipeline": 2, "merge": True}, "does not go with merge"),
        ({"pipeline": 2, "mixed_precision_dtype": "bfloat16"}, "does not go with mixed_precision_dtype"),
    ],
)
def test_what_cannot_be_split_is_said_before_a_process_starts(
    given: dict[str, object], message: str, bases: dict[str, Path]
) -> None:
    with pytest.raises(FinbenchError, match=message):
        FastLM(str(bases["llama"]), **given)


def test_other_families_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    with pytest.raises(FinbenchError, match="is of type mamba.*device_map=auto"):
        FastLM(str(tmp_path), pipeline=2)


def test_what_a_pipeline_cannot_do_is_refused_and_the_next_model_works(bases: dict[str, Path], tmp_path: Path) -> None:
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(bases["llama"]),
        PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    )
    model.save_pretrained(tmp_path / "prefix")
    with pytest.raises(FinbenchError, match="virtual tokens"):
        FastLM(str(bases["llama"]), peft=str(tmp_path / "prefix"), pipeline=2)
    lm = FastLM(str(bases["llama"]), pipeline=2)
    with pytest.raises(FinbenchError, match="greedily"):
        lm.generate_until(asked(do_sample=True, temperature=0.7), disable_tqdm=True)
    assert len(log_likelihoods(lm, 3)) == 3


def test_two_models_side_by_side_are_told_apart(bases: dict[str, Path]) -> None:
    first, second = (FastLM(str(bases[family]), pipeline=2) for family in ("gpt2", "llama"))
    before = log_likelihoods(first, 4)
    assert log_likelihoods(second, 4) != before and log_likelihoods(first, 4) == before
    number = first.pipeline._number
    del first
    gc.collect()
    assert number not in second.pipeline.run(numbers_held)


def numbers_held(held: dict[int, ConnectedStage], number: int) -> list[int]:
    """Return the models of which every process has a stage."""
    found: list[list[int]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(found, list(held))
    assert found[0] == found[1]
    return found[0]


def slow_down(held: dict[int, ConnectedStage], number: int, seconds: float) -> None:
    """Let a stage sleep at each pass, as if its layers took that long."""
    stage = held[number]
    backbone = getattr(stage.inner, stage.inner.base_model_prefix)
    backbone.register_forward_pre_hook(lambda *given: time.sleep(seconds))


def test_passes_are_in_flight_together(bases: dict[str, Path]) -> None:
    lm = FastLM(str(bases["llama"]), pipeline=2)
    lm.pipeline.run(slow_down, 0.1)
    queries = [Query(tuple((word * row) % 390 for word in range(1, 12)), 1) for row in range(3, 23)]
    assert len(Passes(queries, 8, None).passes) == 20
    lm.pipeline.score(queries[:1], 8, None, lambda count: None)  # all are there
    began = time.monotonic()
    lm.pipeline.score(queries, 8, None, lambda count: None)
    # One after the other they would sleep 4 s, all in flight 2.1 s.
    assert 2.1 <= time.monotonic() - began < 3.3


def test_a_stage_that_dies_ends_the_pipeline_with_a_message(bases: dict[str, Path]) -> None:
    lm = FastLM(str(bases["llama"]), pipeline=2)
    (worker,) = lm.pipeline._crew.processes
    worker.kill()
    worker.wait()
    with pytest.raises(FinbenchError, match="stage 1 of the pipeline has ended"):
        log_likelihoods(lm, 3)
    with pytest.raises(FinbenchError, match="load the model again"):
        log_likelihoods(lm, 3)


def linger(stages: dict[int, ConnectedStage], number: int) -> None:
    """Let the first stage's process do what it does not come back from, as a send to a peer that has just gone."""
    if dist.get_rank() == 0:
        print("waiting", flush=True)
        time.sleep(300)


def test_a_wait_for_a_stage_that_died_ends(bases: dict[str, Path]) -> None:
    driver = """
        from finbench.engine.pipeline import crew
        from finbench.models.fast import FastLM
        from tests.engine.test_pipeline import linger
        crew.NOTICE_SECONDS = 1
        pipeline = FastLM({base!r}, pipeline=2).pipeline
        print("WORKER", pipeline._crew.processes[0].pid, flush=True)
        pipeline.run(linger)
    """
    code = textwrap.dedent(driver).format(base=str(bases["llama"]))
    driven = forked.start([sys.executable, "-c", code])
    lines = iter(driven.stdout.readline, "")
    worker = next(int(line.split()[1]) for line in lines if line.startswith("WORKER"))
    assert "waiting\n" in lines
    os.kill(worker, signal.SIGKILL)
    assert driven.wait(60) == 1
    assert "stage 1 of the pipeline has ended" in driven.stderr.read()


@pytest.mark.parametrize("given", [{"device_map": "auto"}, {"device_map": "cpu"}, {"device_map": {"": "cpu"}}])
def test_device_map_is_passed_on(given: dict[str, object], bases: dict[str, Path]) -> None:
    placed, plain = FastLM(str(bases["llama"]), **given), FastLM(str(bases["llama"]))
    assert log_likelihoods(placed, 6) == log_likelihoods(plain, 6)


DRIVER = """
import json, os, sys
from finbench.models.fast import FastLM
from tests.models.test_fast import asked, scored
lm = FastLM({base!r}, batch_size=4, {more})
print("WORKERS", [one.pid for one in lm.pipeline._crew.processes] if lm.pipeline else [], flush=True)
values = lm.loglikelihood(scored()[:11], disable_tqdm=True)
answers = lm.generate_until(asked(), disable_tqdm=True)
os.write(1, f"VALUES {{json.dumps([values, answers])}}\\n".encode())  # whole, beside another process that prints
if {wait}:
    sys.stdin.read()
"""
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_tensor_parallel_processes_answer_as_one(bases: dict[str, Path], tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(base=str(bases["llama"]), more='tp_plan="auto"', wait=False))
    lines = [line for line in torchrun(script) if line.startswith("VALUES ")]
    one = FastLM(str(bases["llama"]), batch_size=4)
    expected, texts = log_likelihoods(one, 11), one.generate_until(asked(), disable_tqdm=True)
    assert len(lines) == 2
    for line in lines:
        values, answers = json.loads(line.removeprefix("VALUES "))
        assert answers == texts
        for (value, greedy), (wanted, likeliest) in zip(values, expected, strict=True):
            assert value == pytest.approx(wanted, abs=1e-4) and greedy == likeliest


@pytest.mark.slow
def test_torchrun_starts_the_stages_and_the_first_one_reports(bases: dict[str, Path], tmp_path: Path) -> None:
    arguments = f"--tasks fin_fpb --limit 5 --model hf-fast --output_path {tmp_path}/out --log_samples --model_args"
    lines = torchrun("-m", "lm_eval", *arguments.split(), f"pretrained={bases['llama']},pipeline=2")
    assert sum("|fin_fpb|" in line for line in lines) == 1
    (results,) = (tmp_path / "out").rglob("results_*.json")
    assert json.loads(results.read_text())["n-samples"]["fin_fpb"]["effective"] == 5


def torchrun(*arguments: object) -> list[str]:
    """Run two processes from the checkout; return what they print."""
    command = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.slow
def test_stages_do_not_outlive_a_killed_first_one(bases: dict[str, Path], tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(base=str(bases["llama"]), more="pipeline=2", wait=True))
    driver = subprocess.Popen(
        [PYTHON, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        lines = iter(driver.stdout.readline, "")
        (worker,) = next(json.loads(line.removeprefix("WORKERS ")) for line in lines if line.startswith("WORKERS "))
        assert next(line for line in lines if line.startswith("VALUES "))
    finally:
        driver.kill()
        driver.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{worker}").exists() and "State:\tZ" not in Path(f"/proc/{worker}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
