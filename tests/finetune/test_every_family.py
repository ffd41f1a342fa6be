"""Families beside those that everything is tried on: trained, saved and scored equal, or refused in a line."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForSequenceClassification

from finbench.adapters.folder import read_adapter
from finbench.adapters.on_model import Switch
from finbench.errors import FinbenchError
from finbench.hf.forward import arguments_of
from finbench.models.classifier import ClassifierLM
from finbench.models.fast import FastLM
from finbench.models.plain import PlainLM
from finbench.runs.bases.loaded import ClassifierBase
from finbench.runs.matrix import read_matrix
from finbench.tasks.load import load_tasks
from finetune.card import describe
from finetune.recipe import read_recipe
from finetune.train import train
from finetune.validate import outcomes_of
from tests.conftest import build_model, build_tokenizer

pytestmark = pytest.mark.usefixtures("without_pictures")
RECIPE = """\
base: {base}
tasks: [fin_fpb]
task_type: classifier
method: {method}
max_steps: 2
learning_rate: 1.0e-2
batch_size: 4
validation_share: 0
best_by: null
num_virtual_tokens: 4
"""
SMALL = dict(vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
CONFIGS: dict[str, dict[str, Any]] = {
    "deberta": SMALL,
    "deberta-v2": SMALL,
    "modernbert": {**SMALL, **dict.fromkeys(("pad_token_id", "cls_token_id", "sep_token_id"), 0)},
    "xlnet": dict(vocab_size=400, d_model=32, n_layer=1, n_head=2, d_inner=32, pad_token_id=0),
    "distilbert": dict(vocab_size=400, dim=32, n_layers=1, n_heads=2, hidden_dim=32),
    "albert": {**SMALL, "embedding_size": 16},
    "electra": {**SMALL, "embedding_size": 16},
    "bart": dict(
        vocab_size=400, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=1024,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    ),
}  # fmt: skip


def base_of_family(folder: Path, family: str) -> Path:
    """Write a base without a head, as publishers do."""
    build_tokenizer(folder, bos=True)
    if family == "bart":
        end_with_eos(folder)
    torch.manual_seed(1)
    config = transformers.AutoConfig.for_model(family, **CONFIGS[family])
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    return folder


def end_with_eos(folder: Path) -> None:
    from tokenizers import Tokenizer, processors

    path = folder / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer.save(str(path))


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("deberta", ()),
        ("deberta-v2", ()),
        ("modernbert", ("target_modules=[Wqkv]",)),
        ("xlnet", ("target_modules=[layer_1]",)),
        ("bart", ("target_modules=[q_proj]",)),
    ],
)
def test_what_was_trained_can_be_scored_alone_in_a_batch_and_in_a_run(
    family: str, settings: tuple[str, ...], tmp_path: Path
) -> None:
    base = base_of_family(tmp_path / "base", family)
    adapter = finetune(tmp_path, base, "lora", *settings)
    task = load_tasks(["fin_fpb"])["fin_fpb"]
    rows = list(task.eval_docs)[:5]
    found = []
    for size in (1, 5):
        lm = ClassifierLM(str(base), peft=str(adapter), batch_size=size, device="cpu")
        found.append(torch.tensor([outcome.scores for outcome in outcomes_of(lm, task, rows)]))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=0)
    (tmp_path / "m.yaml").write_text(
        f"name: m\ntasks: [fin_fpb]\nbases:\n  - {{base: {base}, model: hf-classifier, adapters: [{adapter}]}}\n"
    )
    matrix = read_matrix(tmp_path / "m.yaml")
    run = ClassifierBase(matrix.bases[0], matrix)
    assert run.put_on(read_adapter(str(adapter))).changed
    in_run = torch.tensor([outcome.scores for outcome in outcomes_of(run.lm, task, rows)])
    torch.testing.assert_close(in_run, found[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["distilbert", "xlnet", "albert", "electra", "deberta-v2", "modernbert", "bart"])
@pytest.mark.parametrize("method", ["lora", "ia3", "prefix", "prompt", "ptuning", "bottleneck", "full"])
def test_a_method_works_on_a_family_or_is_refused_in_a_line(family: str, method: str, tmp_path: Path) -> None:
    base = base_of_family(tmp_path / "base", family)
    try:
        adapter = finetune(tmp_path, base, method)
    except FinbenchError as error:
        assert "\n" not in str(error) and re.search(r"target_modules|\b(use|set|choose|give) ", str(error), re.I), error
        return
    lm = ClassifierLM(str(base), peft=str(adapter)) if method != "full" else ClassifierLM(str(adapter))
    task = load_tasks(["fin_fpb"])["fin_fpb"]
    scores = [outcome.scores for outcome in outcomes_of(lm, task, list(task.eval_docs)[:3])]
    assert torch.tensor(scores).isfinite().all()


def test_a_head_that_its_base_has_is_kept_where_the_adapter_brings_none(tmp_path: Path) -> None:
    """ModernBERT's pretraining leaves `head.*`, which an adapter of plain PEFT does not save again."""
    from peft import LoraConfig, get_peft_model

    base = base_of_family(tmp_path / "base", "modernbert")
    config = transformers.AutoConfig.from_pretrained(base)
    transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(base)
    names = {"num_labels": 3, "id2label": dict(enumerate(("negative", "neutral", "positive")))}
    model = transformers.AutoModelForSequenceClassification.from_pretrained(base, **names)
    adapter = tmp_path / "adapter"
    lora = LoraConfig(task_type="SEQ_CLS", target_modules=["Wqkv"], init_lora_weights=False)
    get_peft_model(model, lora).save_pretrained(adapter)
    (adapter / "finbench.json").write_text('{"labels": ["negative", "neutral", "positive"]}')
    task = load_tasks(["fin_fpb"])["fin_fpb"]
    rows = list(task.eval_docs)[:3]
    plain = outcomes_of(ClassifierLM(str(base), peft=str(adapter)), task, rows)
    (tmp_path / "m.yaml").write_text(
        f"name: m\ntasks: [fin_fpb]\nbases:\n  - {{base: {base}, model: hf-classifier, adapters: [{adapter}]}}\n"
    )
    matrix = read_matrix(tmp_path / "m.yaml")
    run = ClassifierBase(matrix.bases[0], matrix)
    run.put_on(read_adapter(str(adapter)))
    for one, other in zip(outcomes_of(run.lm, task, rows), plain, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


def test_a_new_head_moves_in_bfloat16(bert: Path, tmp_path: Path) -> None:
    settings = ("precision=bfloat16", "learning_rate=2.0e-5", "max_steps=20", "scheduler=constant")
    finetune(tmp_path, bert, "lora", "max_steps=1", "learning_rate=1.0e-12", *settings[:1], output="before")
    finetune(tmp_path, bert, "lora", *settings, output="after")
    first, last = (head_of(tmp_path / name) for name in ("before", "after"))
    assert arguments_of(AutoModelForSequenceClassification.from_pretrained(bert)).cache, "a trial of mixed types stays"
    assert first.dtype == torch.float32 and (first != last).float().mean() > 0.99


def head_of(adapter: Path) -> torch.Tensor:
    from safetensors.torch import load_file

    weights = load_file(adapter / "adapter_model.safetensors")
    return next(weight for name, weight in weights.items() if name.endswith("classifier.weight"))


def test_an_adapter_of_another_method_is_no_beginning(bert: Path, tmp_path: Path) -> None:
    first = finetune(tmp_path, bert, "lora", output="first")
    with pytest.raises(FinbenchError, match="is an adapter of type LORA, which method prompt does not make"):
        finetune(tmp_path, bert, "prompt", f"from_adapter={first}", output="second")
    with pytest.raises(FinbenchError, match="which method dora does not make"):
        finetune(tmp_path, bert, "dora", f"from_adapter={first}", output="third")
    assert finetune(tmp_path, bert, "lora", f"from_adapter={first}", output="fourth").is_dir()


@pytest.mark.parametrize("method", ["prompt", "ptuning"])
@pytest.mark.parametrize("kind", ["causal", "classifier"])
def test_virtual_tokens_are_proved_in_a_run(method: str, kind: str, gpt2: Path, bert: Path, tmp_path: Path) -> None:
    base, auto = (gpt2, "AutoModelForCausalLM") if kind == "causal" else (bert, "AutoModelForSequenceClassification")
    adapter = finetune(tmp_path, base, method, f"task_type={kind}")
    names = {"num_labels": 3} if kind == "classifier" else {}
    switch = Switch(getattr(transformers, auto).from_pretrained(base, **names).eval())
    switch.put_on(adapter)
    assert switch.proof().changed and switch.take_off()


def test_a_base_without_its_own_layers_is_refused(bert: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = tmp_path / "cut"
    shutil.copytree(bert, base)
    weights = load_file(base / "model.safetensors")
    name = next(name for name in weights if name.endswith("output.dense.weight"))
    del weights[name]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FinbenchError, match="lacks weights of its own layers"):
        finetune(tmp_path, base, "lora")


def test_an_answer_without_a_token_of_its_own_is_refused_before_training(tmp_path: Path) -> None:
    """One token spans the end of the prompt and the answer, as in `...: positive`."""
    base = build_model(tmp_path / "base", "gpt2")
    join_answers(base)
    with pytest.raises(FinbenchError, match=r"fin_fpb, row .*: the answer ' (positive|neutral|negative)' has no token"):
        finetune(tmp_path, base, "lora", "task_type=causal")
    task = load_tasks(["fin_fpb"])["fin_fpb"]
    for lm in (FastLM(str(base), device="cpu"), PlainLM(pretrained=str(base), device="cpu")):
        with pytest.raises(FinbenchError, match=r"fin_fpb, row .*: the answer ' \w+' has no token of its own"):
            outcomes_of(lm, task, list(task.eval_docs)[:3])


def join_answers(folder: Path) -> None:
    """Have the tokenizer of a base read the prompt's last word with the answer as one token."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    words = [f"Answer: {label}" for label in ("positive", "neutral", "negative")]
    tokenizer.add_tokens([*words, "Answer:"])
    tokenizer.save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)


def finetune(folder: Path, base: Path, method: str, *settings: str, output: str = "adapter") -> Path:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(base=base, method=method))
    recipe = read_recipe(path, settings)
    describe(train(recipe, folder / output), recipe, "finbench finetune")
    return folder / output
