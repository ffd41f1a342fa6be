"""The planner against published numbers, against real tensors, and as a command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, LlamaConfig

from finbench.cli import main
from finbench.planner.cost import PassBytes, Workload, largest_batch, memory, suggestions
from finbench.planner.shapes import Shape, meta_model, shape_of, weight_bytes
from finbench.planner.training_pass import saved_bytes

PAIRS = (("Rising", "good"), ("Falling", "bad"))
LLAMA = "meta-llama/Llama-3.1-{}-Instruct"
SMALL = {
    "gpt2": GPT2Config(n_layer=2, n_head=2, n_embd=32, vocab_size=64, n_positions=64),
    "llama": LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=64,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("size", "bits", "double", "published"),
    [
        ("8B", None, False, 15.0), ("8B", 8, False, 8.6), ("8B", 4, False, 5.6),
        ("70B", None, False, 131.5), ("70B", 8, False, 68.5), ("70B", 4, True, 37.8),
    ],
)  # fmt: skip
def test_weights_are_within_five_percent_of_the_published_table(size, bits, double, published):
    shape = shape_of(meta_model(LLAMA.format(size)))
    assert weight_bytes(shape, "bfloat16", bits, double) / 2**30 == pytest.approx(published, rel=0.05)


def test_the_published_70b_in_4_bits_needs_quantised_scales():
    shape = shape_of(meta_model(LLAMA.format("70B")))
    assert weight_bytes(shape, "bfloat16", 4) / 2**30 > 37.8 * 1.05  # float32 scales alone would take 3.8 GiB


@pytest.mark.parametrize(("name", "published"), [("8b_4bit_r4", 4.5), ("8b_8bit_r8", 9.0), ("70b_4bit_r4", 21.3)])
def test_adapters_are_within_five_percent_of_the_published_sizes(name, published):
    from finetune.methods import apply
    from finetune.recipe import DEFAULTS, read_recipe

    recipe = read_recipe(DEFAULTS.parent / f"llama3_1_{name}_fpb.yaml")
    with torch.device("meta"):
        model = apply(meta_model(recipe.base), recipe)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert 2 * trained / 2**20 == pytest.approx(published, rel=0.05)


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("shared", [0, 8])
def test_what_autograd_keeps_is_predicted_from_above(family, shared):
    """The same count where real tensors are kept; without padding Llama's kernel spares a mask and expanded keys."""
    from transformers import AutoModelForCausalLM

    from finbench.planner.training_pass import _kept

    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(SMALL[family])
    real = AutoModelForCausalLM.from_config(SMALL[family]).train()
    kept = _kept(real, 3, 24, shared, 1, torch)
    assert kept <= saved_bytes(empty, 3, 24, shared) <= 1.15 * kept
    if family == "gpt2":
        assert saved_bytes(empty, 3, 24, shared) == kept
    # seven rows are cut into blocks
    assert saved_bytes(empty, 7, 24, shared, 1, True) == _kept(real, 7, 24, shared, 1, torch, True)


def job(**changed) -> Workload:
    shape = Shape(1000 * 2**20, 900 * 2**20, 0, 10, 512, 1000, 50 * 2**20)
    values = dict(shape=shape, precision="bfloat16", bits=None, double=False, rows=8, tokens=100)
    values |= dict(trainable=2**20, adapter=2**20, pass_bytes=lambda rows: PassBytes(rows * 2**28))
    return Workload(**(values | changed))


def test_strategies_divide_what_they_should():
    ddp, zero2, zero3, pipeline = (memory(job(), way, 4) for way in ("ddp", "zero2", "zero3", "pipeline"))
    assert ddp == memory(job())
    assert (zero2.optimizer, zero2.weights) == (ddp.optimizer // 4, ddp.weights)
    assert ddp.weights / 4 < zero3.weights < ddp.weights / 2
    assert pipeline.activations == ddp.activations // 4


def test_the_largest_batch_fits_and_one_more_does_not():
    limit = 4 * 2**30
    rows = largest_batch(job(), "ddp", 1, limit)
    assert memory(job(rows=rows)).total <= limit < memory(job(rows=rows + 1)).total
    assert any(f"batch_size={rows}:" in line for line in suggestions(job(rows=64), "ddp", 1, limit))
    assert suggestions(job(rows=rows), "ddp", 1, limit) == []


def test_a_recipe_is_planned_offline(capsys):
    from finetune.recipe import DEFAULTS

    recipe = str(DEFAULTS.parent / "gpt2_fpb_lora.yaml")
    assert main(["plan", recipe, "--gpu", "2x48GB", "--tflops", "100", "--price", "2.5"]) == 0
    assert "| zero3 |" in (text := capsys.readouterr().out) and "at 2.5 an hour" in text
    assert main(["plan", recipe, "--gpu", "1x0.1GB", "--tflops", "100"]) == 1
    assert main(["plan", recipe, "--gpu", "four"]) == 2


def test_a_matrix_is_planned_offline(tmp_path, capsys):
    file = tmp_path / "matrix.yaml"
    file.write_text("name: m\ntasks: [fin_fpb]\nbases:\n  - {base: openai-community/gpt2, dtype: bfloat16}\n")
    assert main(["plan", str(file), "--gpu", "1x24GB", "--tflops", "100"]) == 0
    assert "| gpt2 | - | fin_fpb | 0.23 |" in (plain := capsys.readouterr().out)
    file.write_text(file.read_text().replace("bfloat16}", "bfloat16, pipeline: 2}") + "perturb: [none, lower, upper]\n")
    assert main(["plan", str(file), "--gpu", "2x24GB", "--tflops", "0.01"]) == 0
    split = capsys.readouterr().out
    weights, hours = (float(split.split("| fin_fpb |")[1].split("|")[place]) for place in (0, 4))
    assert 0.1 < weights < 0.23, "a stage holds its layers and the head"
    assert main(["plan", str(file), "--gpu", "2x24GB", "--tflops", "0.01", "--strategy", "ddp"]) == 0
    assert "| gpt2 | - | fin_fpb | 0.23 |" in capsys.readouterr().out
    file.write_text(file.read_text().replace("perturb: [none, lower, upper]\n", ""))
    assert main(["plan", str(file), "--gpu", "2x24GB", "--tflops", "0.01"]) == 0
    once = float(capsys.readouterr().out.split("| fin_fpb |")[1].split("|")[4])
    assert hours == pytest.approx(3 * once, rel=0.01) and once > 0, plain


def test_an_optimizer_is_planned_with_what_it_keeps(capsys):
    from finetune.recipe import DEFAULTS

    recipe = str(DEFAULTS.parent / "gpt2_fpb_full.yaml")
    kept = {}
    for optimizer in ("adamw", "zero_one_adam"):
        assert main(["plan", recipe, f"optimizer={optimizer}", "--tflops", "100"]) == 0
        (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("| ddp"))
        kept[optimizer] = float(line.split("|")[5])
    assert kept["zero_one_adam"] == pytest.approx(2.5 * kept["adamw"], rel=0.02)


def test_the_planner_counts_what_zero_one_adam_keeps():
    from finetune.optim.zero_one_adam import ZeroOneAdam
    from finetune.planned import KEPT_NUMBERS

    weight = torch.nn.Parameter(torch.ones(64))
    optimizer = ZeroOneAdam([weight])
    weight.grad = torch.ones(64)
    optimizer.step()
    kept = {name for name, value in optimizer.state[weight].items() if isinstance(value, torch.Tensor)}
    assert len(kept - {"server_error"}) == KEPT_NUMBERS, "the server's error is of a part of the weights alone"


MEASURE = """
import torch
from transformers import AutoModelForCausalLM, GPT2Config
from peft import LoraConfig, get_peft_model
def peak(): return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024
AutoModelForCausalLM.from_config(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=64))
own = int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1]) * 1024
model = AutoModelForCausalLM.from_config(GPT2Config())
model = get_peft_model(model, LoraConfig(r=8, target_modules=["c_attn"], fan_in_fan_out=True)).train()
ids = torch.zeros(8, 128, dtype=torch.long)
logits = model(input_ids=ids, use_cache=False, logits_to_keep=1).logits.flatten(0, 1)
torch.nn.functional.cross_entropy(logits, ids[:, 0]).backward()
print(peak() - own)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads the peak from Linux's /proc")
def test_lora_on_gpt2_small_peaks_within_fifteen_percent_of_the_plan():
    from peft import LoraConfig, get_peft_model

    # freed blocks go back at once, so that the resident peak is that of live tensors
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1048576"}
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, env=env)
    model = meta_model("openai-community/gpt2")
    shape = shape_of(model)
    with torch.device("meta"):
        model = get_peft_model(model, LoraConfig(r=8, target_modules=["c_attn"], fan_in_fan_out=True))
    kept = saved_bytes(model, 8, 128)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    planned = memory(Workload(shape, "float32", None, False, 8, 128, trained, trained, lambda rows: PassBytes(kept)))
    assert planned.total == pytest.approx(int(done.stdout), rel=0.15)


@pytest.mark.parametrize("task", ["fin_fpb_gen", "fin_nwgi7", "fin_sentiment", "mood"])
def test_every_task_that_runs_is_planned(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{word} sales of firm {n} in the year,{mood}" for n in range(9) for word, mood in PAIRS]
    Path("news.csv").write_text("headline,feeling\n" + "\n".join(lines) + "\n")
    columns = ["--text", "headline", "--label", "feeling", "--instruction", "Good or bad?"]
    assert main(["new-task", "mood", "news.csv", *columns]) == 0
    Path("m.yaml").write_text(f"name: m\ntasks: [{task}]\nbases:\n  - {{base: openai-community/gpt2}}\n")
    Path("r.yaml").write_text(f"base: openai-community/gpt2\ntask_type: causal\ntasks: [{task}]\n")
    for file in ("m.yaml", "r.yaml"):
        assert main(["plan", file, "--tflops", "1"]) == 0
    assert "row passes of at most" in capsys.readouterr().out


def test_a_task_that_is_not_there_is_not_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.yaml").write_text("name: m\ntasks: [fin_fbp]\nbases:\n  - {base: openai-community/gpt2}\n")
    assert main(["plan", str(tmp_path / "m.yaml"), "--tflops", "1"]) == 2
    assert "did you mean fin_fpb" in capsys.readouterr().err
