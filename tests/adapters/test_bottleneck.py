"""The bottleneck tuner: the same numbers as the `adapters` library, and everything PEFT promises of an adapter.

bottleneck_reference.json was computed by make_bottleneck_reference.py in an environment with that library.
"""

import copy
import importlib.util
import json
import re
import sys
import threading
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, BitsAndBytesConfig

from finbench.adapters.bottleneck.families import FAMILIES
from finbench.adapters.bottleneck.model import BottleneckConfig, BottleneckLayer
from finbench.errors import FinbenchError
from finbench.hf.load import load_model
from tests import forked

_spec = importlib.util.spec_from_file_location(
    "bottleneck_reference", Path(__file__).with_name("bottleneck_reference.py")
)
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)
EXPECTED = json.loads(Path(__file__).with_name("bottleneck_reference.json").read_text())
IDS = torch.tensor([[1, 5, 9, 12, 7], [1, 4, 11, 3, 2]])
SMALL = {"reduction_factor": reference.REDUCTION_FACTOR}


def layers_of(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, BottleneckLayer)}


def fill(model, adapter="default", scale=1.0):
    """Give an adapter the reference weights times `scale`, so that it visibly changes the output."""
    family = FAMILIES[model.config.model_type]
    seen = {"attention": 0, "feed_forward": 0}
    for name, layer in layers_of(model.base_model.model).items():
        if adapter not in layer.bottleneck_down:
            continue
        site = "attention" if re.fullmatch(family.attention, name) else "feed_forward"
        down, up = layer.bottleneck_down[adapter], layer.bottleneck_up[adapter]
        reference.fill_adapter(site, seen[site], down, up)
        up.weight.data *= scale
        seen[site] += 1
    return seen


def adapted(family, **settings):
    model = get_peft_model(reference.build(family), BottleneckConfig(**SMALL, **settings)).eval()
    fill(model)
    return model


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("configuration", ["base", *reference.CONFIGURATIONS])
@pytest.mark.parametrize("family", reference.MODELS)
def test_logits_equal_those_of_the_adapters_library(family, configuration):
    expected = torch.tensor(EXPECTED[f"{family}.{configuration}"])
    if configuration == "base":
        model = reference.build(family)
    else:
        model = adapted(family, **reference.CONFIGURATIONS[configuration])
        assert (expected - torch.tensor(EXPECTED[f"{family}.base"])).abs().max() > 0.01  # the adapter matters
    torch.testing.assert_close(torch.tensor(reference.compute_logits(family, model)), expected, rtol=0, atol=1e-5)


PRE_NORM = {
    "gemma": {"head_dim": 8, "num_key_value_heads": 1},
    "gemma2": {"head_dim": 8, "num_key_value_heads": 1},
    "gemma3_text": {"head_dim": 8, "num_key_value_heads": 1},
    "gpt_neox": {"use_parallel_residual": False},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"head_dim": 8, "num_key_value_heads": 2},
}
OTHERS = {"electra": {"embedding_size": 16}, "xlm-roberta": {}, "camembert": {}, "deberta-v2": {}}


def build_family(family, **settings):
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 20}
    config = AutoConfig.for_model(family, vocab_size=13, pad_token_id=0, **(shape | settings))
    auto = AutoModelForCausalLM if family in PRE_NORM else AutoModelForSequenceClassification
    return auto.from_config(config).eval()


@pytest.mark.parametrize("family", PRE_NORM)
def test_a_layer_that_normalises_first_gives_its_output_plus_the_bottleneck_of_it(family):
    base = build_family(family, **PRE_NORM[family])
    outputs = []
    first = next(module for name, module in base.named_modules() if name.endswith("layers.0"))
    first.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    logits(base)
    model = get_peft_model(base, BottleneckConfig(**SMALL)).eval()
    assert fill(model) == {"attention": 0, "feed_forward": 2}
    logits(model)
    layer = next(iter(layers_of(model).values()))
    before, after = outputs
    expected = before + layer.bottleneck_up["default"](torch.relu(layer.bottleneck_down["default"](before)))
    torch.testing.assert_close(after, expected)


@pytest.mark.parametrize("placement", ["pfeiffer", "houlsby", "parallel"])
@pytest.mark.parametrize("family", PRE_NORM | OTHERS)
def test_every_family_has_its_sites(family, placement):
    base = build_family(family, **(PRE_NORM | OTHERS)[family])
    before = logits(base)
    model = get_peft_model(base, BottleneckConfig(placement=placement, **SMALL)).eval()
    assert fill(model) == {"attention": 2 if placement == "houlsby" else 0, "feed_forward": 2}
    assert (logits(model) - before).abs().max() > 0.01 * before.abs().max()
    with model.disable_adapter():
        assert torch.equal(logits(model), before)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_starts_near_the_base(family):
    base = reference.build(family)
    before = logits(base)
    torch.manual_seed(0)
    model = get_peft_model(base, BottleneckConfig(**SMALL)).eval()
    difference = (logits(model) - before).abs().max()
    assert 0 < difference < 0.02 * before.abs().max()


def test_adapters_share_a_base_without_touching_each_other():
    base = reference.build("gpt2")
    before = logits(base)
    model = get_peft_model(base, BottleneckConfig(**SMALL)).eval()
    model.add_adapter("other", BottleneckConfig(placement="houlsby", reduction_factor=8))
    fill(model)
    fill(model, "other", scale=2.0)
    first = logits(model)
    assert all("other" not in name for name, p in model.named_parameters() if p.requires_grad)
    model.set_adapter("other")
    second = logits(model)
    assert all("other" in name for name, p in model.named_parameters() if p.requires_grad)
    assert not torch.allclose(first, second)
    with model.disable_adapter():
        assert torch.equal(logits(model), before)
    model.set_adapter("default")
    assert torch.equal(logits(model), first)
    model.delete_adapter("other")
    assert torch.equal(logits(model), first)
    assert not any("other" in name for name, _ in model.named_parameters())


def test_unloading_gives_the_base_back():
    base = reference.build("llama")
    names, before = [name for name, _ in base.named_modules()], logits(base)
    unloaded = adapted_on(base).unload()
    assert [name for name, _ in unloaded.named_modules()] == names
    assert not any(module._forward_pre_hooks for module in unloaded.modules())
    assert torch.equal(logits(unloaded), before)


def adapted_on(base, **settings):
    model = get_peft_model(base, BottleneckConfig(**SMALL, **settings)).eval()
    fill(model)
    return model


@pytest.mark.parametrize("method", ["merge_and_unload", "merge_adapter"])
def test_merging_is_refused(method):
    model = adapted("bert")
    before = logits(model)
    with pytest.raises(FinbenchError, match="cannot be merged"):
        getattr(model, method)()
    assert torch.equal(logits(model), before)


def test_trains_and_saves_the_bottleneck_and_the_head_alone():
    config = BottleneckConfig(task_type="SEQ_CLS", modules_to_save=["classifier"], **SMALL)
    model = get_peft_model(reference.build("bert"), config)
    bottlenecks, head = 2 * (16 * 4 + 4 + 4 * 16 + 16), 16 * 3 + 3
    trainable, total = model.get_nb_trainable_parameters()
    assert trainable == bottlenecks + head
    assert total == sum(p.numel() for p in model.parameters())
    keys = get_peft_model_state_dict(model)
    assert len(keys) == 2 * 4 + 2
    assert all(re.search(r"output\.LayerNorm\.bottleneck_(down|up)\.|\.classifier\.", key) for key in keys)
    frozen = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    first = None
    for _ in range(30):
        loss = model(input_ids=IDS, labels=torch.tensor([0, 2])).loss
        first = first or loss.item()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.5 * first
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)


FRESH_PROCESS = """
import json, sys
import finbench.adapters.bottleneck.model
import torch, transformers
from peft import PeftModel
for auto, base, adapter in json.loads(sys.argv[1]):
    model = getattr(transformers, auto).from_pretrained(base, attn_implementation="eager")
    model = PeftModel.from_pretrained(model, adapter).eval()
    with torch.no_grad():
        torch.save(model(input_ids=torch.tensor(json.loads(sys.argv[2]))).logits, adapter + "/logits.pt")
"""


def test_a_fresh_process_loads_equal_logits(tmp_path):
    jobs, expected = [], {}
    cases = {
        "bert": ("AutoModelForSequenceClassification", {"modules_to_save": ["classifier"], "task_type": "SEQ_CLS"}),
        "gpt2": ("AutoModelForCausalLM", {"task_type": "CAUSAL_LM", "dropout": 0.1}),
        "llama": ("AutoModelForCausalLM", {"placement": "parallel", "non_linearity": "gelu", "scaling": 2.0}),
    }
    for family, (auto, settings) in cases.items():
        base = reference.build(family)
        base.save_pretrained(tmp_path / family)
        model = adapted_on(base, **settings)
        if family == "bert":
            model.base_model.model.classifier.modules_to_save["default"].weight.data += 1
        model.save_pretrained(tmp_path / f"{family}-adapter")
        jobs.append([auto, str(tmp_path / family), str(tmp_path / f"{family}-adapter")])
        expected[family] = logits(model)
    arguments = [sys.executable, "-c", FRESH_PROCESS, json.dumps(jobs), json.dumps(IDS.tolist())]
    forked.run(arguments, check=True)
    for family in cases:
        folder = tmp_path / f"{family}-adapter"
        assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in folder.iterdir()}
        assert torch.equal(torch.load(folder / "logits.pt"), expected[family])


def test_loads_without_initialising_twice(tmp_path):
    model = adapted("gpt2")
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(reference.build("gpt2"), tmp_path, low_cpu_mem_usage=True).eval()
    assert torch.equal(logits(loaded), logits(model))


@pytest.mark.parametrize("bits", [8, 4])
def test_quantised_base_trains_saves_and_loads(tmp_path, bits):
    pytest.importorskip("bitsandbytes", reason="quantised bases need bitsandbytes")
    reference.build("llama").save_pretrained(tmp_path / "base")
    quantised = BitsAndBytesConfig(load_in_8bit=bits == 8, load_in_4bit=bits == 4, bnb_4bit_quant_type="nf4")

    def load():
        return load_model("AutoModelForCausalLM", str(tmp_path / "base"), quantization_config=quantised).eval()

    base = load()
    before = logits(base)
    model = adapted_on(base)
    assert all(p.dtype == torch.float32 for name, p in model.named_parameters() if "bottleneck_" in name)
    loss = model(input_ids=IDS, labels=IDS).loss
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    with model.disable_adapter():
        assert torch.equal(logits(model), before)
    model.save_pretrained(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(load(), tmp_path / "adapter").eval()
    assert torch.equal(logits(loaded), logits(model))


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_gradient_checkpointing_changes_no_gradient(family, reentrant):
    def gradients(checkpointing):
        base = reference.build(family)
        for module in base.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if checkpointing:
            base.gradient_checkpointing_enable({"use_reentrant": reentrant})
        model = adapted_on(base).train()
        labels = torch.tensor([0, 2]) if family == "bert" else IDS
        model(input_ids=IDS, labels=labels).loss.backward()
        return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}

    plain, checkpointed = gradients(False), gradients(True)
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient)


def test_half_precision_base_keeps_its_type():
    base = reference.build("gpt2").to(torch.bfloat16)
    model = adapted_on(base)
    assert logits(model).dtype == torch.bfloat16
    assert all(p.dtype == torch.float32 for name, p in model.named_parameters() if "bottleneck_" in name)


def test_dropout_acts_only_in_training():
    model = adapted("llama", dropout=0.5)
    torch.testing.assert_close(logits(model), logits(adapted("llama")))
    model.train()
    assert not torch.equal(logits(model), logits(model))


def test_a_deep_copy_stands_on_its_own():
    model = adapted("gpt2")
    expected = logits(model)
    twin = copy.deepcopy(model)
    fill(model, scale=3.0)
    assert torch.equal(logits(twin), expected)
    assert not torch.allclose(logits(model), expected)


def test_threads_do_not_mix_residuals():
    model = adapted("gpt2")
    inputs = [IDS[:, :length] for length in (2, 3, 4, 5)]
    with torch.no_grad():
        expected = [model(input_ids=ids).logits for ids in inputs]
    wrong = []

    def work(index):
        with torch.no_grad():
            for _ in range(20):
                if not torch.allclose(model(input_ids=inputs[index]).logits, expected[index], atol=1e-5):
                    wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not any(layer._residuals for layer in layers_of(model).values())
