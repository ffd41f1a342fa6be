"""A release of transformers that calls the cache by yet another name, tried in a process of its own.

The stand-in renames the argument and the output of Llama and GPT-2 once more (`kept`), and refuses the names of today;
`hidden` also keeps it out of the output, so that no trial can find it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked

STAND_IN = """
import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

import transformers
from transformers.utils import ModelOutput

FOUND = os.environ["STAND_IN"] == "found"
inside = ContextVar("inside", default=False)  # generation and the model's own parts go on as they are


@dataclass
class Output(ModelOutput):
    loss: Any = None
    logits: Any = None
    last_hidden_state: Any = None
    kept: Any = None


def renamed(cls):
    forward, generate = cls.forward, getattr(cls, "generate", None)
    old = "cache" if hasattr(transformers.modeling_outputs.CausalLMOutputWithPast(), "cache") else "past_key_values"

    @wraps(forward)
    def new(self, *args, kept=None, **inputs):
        if inside.get():
            return forward(self, *args, **inputs)
        if {"cache", "past_key_values"} & set(inputs):
            raise TypeError("forward() got an unexpected keyword argument")
        if kept is not None and not FOUND:
            raise TypeError("forward() got an unexpected keyword argument 'kept'")
        token = inside.set(True)
        try:
            output = forward(self, *args, **inputs, **({} if kept is None else {old: kept}))
        finally:
            inside.reset(token)
        return Output(
            loss=output.get("loss"),
            logits=output.get("logits"),
            last_hidden_state=output.get("last_hidden_state"),
            kept=getattr(output, old, None) if FOUND else None,
        )

    cls.forward = new
    if generate is not None:

        @wraps(generate)
        def made(self, *args, **inputs):
            token = inside.set(True)
            try:
                return generate(self, *args, **inputs)
            finally:
                inside.reset(token)

        cls.generate = made


for name in ("LlamaModel", "LlamaForCausalLM", "GPT2Model", "GPT2LMHeadModel"):
    renamed(getattr(transformers, name))
"""

SCORES = """
import json, logging, sys
import stand_in
from transformers import AutoModelForCausalLM, AutoTokenizer
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from finbench.models.fast import FastLM

base, strict = sys.argv[1], sys.argv[2] == "strict"
prompts = ["what is the sentiment of this news", "what is the sentiment of this tweet", "what is the year"]
asked = [
    Instance("loglikelihood", {"id": n}, (prompt, answer), 0, ("t", n, 1))
    for n, prompt in enumerate(prompts) for answer in (" positive", " negative year")
]
scores = {}
for kind in (HFLM, FastLM):
    model = AutoModelForCausalLM.from_pretrained(base).eval()
    more = {"strict": strict} if kind is FastLM else {}
    lm = kind(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(base), batch_size=2, **more)
    scores[kind.__name__] = [value for value, _ in lm.loglikelihood(asked, disable_tqdm=True)]
print(json.dumps({**scores, "not_shared": lm.not_shared}))
"""

TRAINS = """
import json, sys
import stand_in
from pathlib import Path
from finetune.recipe import read_recipe
from finetune.train import train

adapter = train(read_recipe(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def run(code: str, folder: Path, kind: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "stand_in.py").write_text(STAND_IN)
    (folder / "use.py").write_text(code)
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"STAND_IN": kind, "PYTHONPATH": f"{folder}{os.pathsep}{root}", "OMP_NUM_THREADS": "1"}
    return forked.run([sys.executable, folder / "use.py", *arguments], env=environment)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_new_name_is_found_and_prefixes_are_shared(
    family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    done = run(SCORES, tmp_path, "found", str(request.getfixturevalue(family)), "strict")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["not_shared"] == ""
    assert found["FastLM"] == pytest.approx(found["HFLM"], abs=1e-4)


def test_a_name_that_cannot_be_found_is_slow_and_said_in_one_line(llama: Path, tmp_path: Path) -> None:
    done = run(SCORES, tmp_path, "hidden", str(llama), "lenient")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["FastLM"] == pytest.approx(found["HFLM"], abs=1e-6)
    assert "takes no kept keys and values" in found["not_shared"]
    said = [line for line in done.stderr.splitlines() if "without shared prefixes" in line]
    assert len(said) == 1
    assert "several times slower" in said[0]


def test_strict_refuses_what_would_be_slow(llama: Path, tmp_path: Path) -> None:
    done = run(SCORES, tmp_path, "hidden", str(llama), "strict")
    assert done.returncode != 0
    assert "hf-fast cannot share prefixes here: its forward pass takes no kept keys and values" in done.stderr


@pytest.mark.parametrize("method", ["lora", "prefix"])
@pytest.mark.parametrize("kind", ["found", "hidden"])
def test_training_shares_or_says_why_not(kind: str, method: str, llama: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"base: {llama}\ntask_type: causal\ntasks: [fin_fpb]\nmethod: {method}\nmax_steps: 2\nbatch_size: 4\n"
        "validation_share: 0.0\nnum_virtual_tokens: 4\n"
    )
    done = run(TRAINS, tmp_path, kind, str(recipe), str(tmp_path / "adapter"))
    if kind == "hidden" and method == "prefix":
        assert "prefix tuning keeps keys and values before the input, and llama takes none" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert ("without shared prefixes" in done.stderr) == (kind == "hidden")
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
