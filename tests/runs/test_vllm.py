"""vLLM as a scorer: the arguments that it is given, through lm-eval, by a package that stands in for it."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from finbench.cells import provenance
from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.runs.bases import vllm as vllm_base
from finbench.runs.bases.vllm import check_adapter, engine_arguments
from finbench.runs.matrix import Base
from tests.conftest import build_model

# What lm-eval 0.4.13 imports of vLLM and asks of it, done by transformers and PEFT: prompts as token ids, the
# log-probabilities of a prompt's tokens as {token: value} with the likeliest among them, greedy text.
STAND_IN = {
    "__init__.py": """
from types import SimpleNamespace
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

def TokensPrompt(prompt_token_ids):
    return prompt_token_ids

class SamplingParams(SimpleNamespace):
    pass

class LLM:
    made = []
    requests = []

    def __init__(self, **arguments):
        self.arguments = arguments
        LLM.made.append(arguments)
        self.model = AutoModelForCausalLM.from_pretrained(arguments["model"]).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(arguments["model"])
        window = arguments["max_model_len"] or self.model.config.max_position_embeddings
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=window))

    def generate(self, prompts, sampling_params, use_tqdm, lora_request):
        LLM.requests.append(lora_request)
        if lora_request is None:
            model = AutoModelForCausalLM.from_pretrained(self.arguments["model"]).eval()
        else:
            assert self.arguments["enable_lora"]
            model = PeftModel.from_pretrained(
                AutoModelForCausalLM.from_pretrained(self.arguments["model"]), lora_request.lora_path
            ).eval()
        return [self.answer(model, ids, asked) for ids, asked in zip(prompts, sampling_params, strict=True)]

    @torch.no_grad()
    def answer(self, model, ids, asked):
        assert len(ids) + asked.max_tokens <= self.llm_engine.model_config.max_model_len
        values = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        said = [None]
        for place, token in enumerate(ids[1:]):
            best = int(values[place].argmax())
            said.append({token: SimpleNamespace(logprob=float(values[place, token]), rank=1),
                         best: SimpleNamespace(logprob=float(values[place, best]), rank=1)})
        return SimpleNamespace(prompt_logprobs=said, outputs=[SimpleNamespace(text="")])
""",
    "tokenizers.py": """
from transformers import AutoTokenizer

def get_tokenizer(name, tokenizer_mode, trust_remote_code, revision):
    return AutoTokenizer.from_pretrained(name)
""",
    "lora/__init__.py": "",
    "lora/request.py": """
from dataclasses import dataclass

@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str
""",
    "entrypoints/__init__.py": "",
    "entrypoints/chat_utils.py": """
def resolve_hf_chat_template(**given):
    return None
""",
}
MATRIX = """\
name: engines
tasks: [{tasks}]
limit: 6
bases:
  - {{base: {base}, name: toy, model: {model}, adapters: [{adapters}]{more}}}
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Put the stand-in where Python finds packages, with the version that lm-eval asks for."""
    site = tmp_path_factory.mktemp("site")
    for name, text in STAND_IN.items():
        path = site / "vllm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    record = site / "vllm-0.11.0.dist-info" / "METADATA"
    record.parent.mkdir()
    record.write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.11.0\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        provenance.versions.cache_clear()
        yield importlib.import_module("vllm")
    provenance.versions.cache_clear()


@pytest.fixture
def vllm(stand_in: Any) -> Any:
    stand_in.LLM.made.clear()
    stand_in.LLM.requests.clear()
    return stand_in


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("gpt2"), "gpt2", window=512)


@pytest.fixture(scope="module")
def adapters(gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [put_lora(gpt2, folder / f"rank{rank}", r=rank) for rank in (4, 12)]


def put_lora(base: Path, folder: Path, **settings: Any) -> Path:
    torch.manual_seed(settings.get("r", 0))
    wanted = {"task_type": "CAUSAL_LM", "target_modules": ["c_attn", "c_fc"], "init_lora_weights": False, **settings}
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**wanted)).save_pretrained(folder)
    return folder


def run(tmp_path: Path, tasks: str = "fin_fpb", **given: Any) -> tuple[int, Any]:
    path, folder = tmp_path / f"{given['model']}.yaml", tmp_path / f"cells-{given['model']}"
    adapters = ", ".join(map(str, given.pop("adapters", [])))
    path.write_text(MATRIX.format(tasks=tasks, adapters=adapters, more=given.pop("more", ""), **given))
    return main(["run", str(path), "--cells", str(folder)]), read_cells(folder)


def test_a_matrix_is_scored_by_vllm_as_by_hf_fast(vllm: Any, gpt2: Path, adapters: list[Path], tmp_path: Path) -> None:
    more = ", vllm: {tensor_parallel_size: 2, gpu_memory_utilization: 0.8}"
    code, cells = run(tmp_path, base=gpt2, model="vllm", adapters=adapters, more=more)
    assert code == 0 and len(cells.results) == 3
    (made,) = vllm.LLM.made  # one engine for the base and both adapters
    wanted = {
        "model": str(gpt2),
        "dtype": "float32",
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.8,
        "enable_prefix_caching": True,
        "enable_lora": True,
        "max_lora_rank": 16,
    }
    assert {name: made[name] for name in wanted} == wanted
    named = {(one.lora_int_id, one.lora_path) for one in vllm.LLM.requests if one is not None}
    assert sorted(path for _, path in named) == sorted(map(str, adapters)) and {number for number, _ in named} == {1, 2}
    by_vllm = {cell.key.title(): cell for cell in cells.results}
    _, cells = run(tmp_path, base=gpt2, model="hf-fast", adapters=adapters)
    for cell in cells.results:
        twin = by_vllm[cell.key.title()]
        assert twin.metrics == cell.metrics and twin.confusion == cell.confusion
        assert (twin.key.engine, cell.key.engine) == ("vllm/1", "hf-fast/1")
        assert twin.peak_bytes is None and twin.versions["vllm"] == "0.11.0"
        assert cell.key.adapter == "" or twin.adapter_proof["changed"]


def test_too_long_an_input_fails_its_cell(
    vllm: Any, gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, cells = run(
        tmp_path, "fin_fpb, fin_xbrl_values", base=gpt2, model="vllm", more=", vllm: {max_model_len: 400}"
    )
    assert code == 1 and [cell.key.task for cell in cells.results] == ["fin_fpb"]
    assert vllm.LLM.made[0]["max_model_len"] == 400 and not vllm.LLM.made[0]["enable_lora"]
    assert "the model's window is 400" in capsys.readouterr().out


def test_without_vllm_the_message_says_what_to_do(
    gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_base, "find_spec", lambda name: None)
    code, cells = run(tmp_path, base=gpt2, model="vllm")
    assert code == 1 and not cells.results
    assert 'pip install ".[vllm]"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"use_dora": True}, "is a DoRA"), ({"bias": "all"}, "biases"), ({"modules_to_save": ["ln_f"]}, "other modules")],
)
def test_what_vllm_cannot_serve_is_planned_as_no_cell(
    settings: dict[str, Any], message: str, gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = put_lora(gpt2, tmp_path / "adapter", **settings)
    path = tmp_path / "matrix.yaml"
    path.write_text(MATRIX.format(tasks="fin_fpb", base=gpt2, model="vllm", adapters=adapter, more=""))
    assert main(["run", str(path), "--cells", str(tmp_path / "cells"), "--dry-run"]) == 1
    out = capsys.readouterr().out
    assert message in out and "use model hf-fast" in out


def test_only_loras_are_served(gpt2: Path, tmp_path: Path) -> None:
    from finbench.adapters.folder import read_adapter

    config = IA3Config(task_type="CAUSAL_LM", target_modules=["c_attn"], feedforward_modules=[])
    get_peft_model(AutoModelForCausalLM.from_pretrained(gpt2), config).save_pretrained(tmp_path / "ia3")
    with pytest.raises(FinbenchError, match="of type IA3, which vLLM cannot serve"):
        check_adapter(read_adapter(str(tmp_path / "ia3")))
    patterned = put_lora(gpt2, tmp_path / "patterned", r=4, rank_pattern={"c_fc": 40})
    assert engine_arguments(Base(str(gpt2), model="vllm", adapters=(str(patterned),)))["max_lora_rank"] == 64


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "hf-fast", "vllm": {"max_model_len": 5}}, "choose model vllm"),
        ({"model": "vllm", "vllm": {"quantization": "fp8"}}, "a setting of vllm is 'quantization'"),
        ({"model": "vllm", "bits": 4}, "cannot load"),
        ({"model": "vllm", "pipeline": 2}, "of model hf-fast"),
        ({"model": "hf-fast", "pipeline": 1}, "two stages or more"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(FinbenchError, match=message):
        Base("gpt2", **given)
