"""Adapter folders: what is read, what the hash sees, which bases are refused."""

import json
import shutil
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from finbench.adapters.base_hash import base_sha256
from finbench.adapters.folder import RECORD, WEIGHTS, hash_adapter, match_base, read_adapter, write_record
from finbench.adapters.wrap import wrap
from finbench.errors import FinbenchError
from finbench.hf.load import load_model
from finbench.models.fast import FastLM
from finbench.models.plain import PlainLM

causal = partial(load_model, "AutoModelForCausalLM")
LABELS = ["negative", "neutral", "positive"]


@pytest.fixture
def folder(gpt2: Path, tmp_path: Path) -> Path:
    """A LoRA for the tiny GPT-2."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["c_attn", "c_fc"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(gpt2), config).save_pretrained(tmp_path / "lora")
    return tmp_path / "lora"


def change(path: Path, **keys: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def test_read_without_a_record(folder: Path, gpt2: Path) -> None:
    adapter = read_adapter(str(folder))
    assert (adapter.name, adapter.method, adapter.task_type) == ("lora", "lora", "CAUSAL_LM")
    assert (adapter.base, adapter.labels, adapter.precision, adapter.record) == (str(gpt2), (), "", {})
    assert adapter.size_bytes == (folder / WEIGHTS).stat().st_size


def test_read_with_a_record(folder: Path) -> None:
    record = {"method": "qlora", "labels": LABELS, "precision": "4bit", "base": {"id": "owner/base"}}
    write_record(folder, record)
    adapter = read_adapter(str(folder))
    assert (adapter.method, adapter.labels, adapter.precision) == ("qlora", tuple(LABELS), "4bit")
    assert (adapter.base, adapter.record) == ("owner/base", record)
    assert not list(folder.glob(".*"))


def test_the_hash_sees_what_is_computed_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    before = hash_adapter(folder)
    elsewhere = shutil.copytree(folder, tmp_path / "other-name")
    (elsewhere / "README.md").write_text("another card")
    modules = json.loads((folder / "adapter_config.json").read_text())["target_modules"]
    change(elsewhere / "adapter_config.json", base_model_name_or_path="/moved", target_modules=modules[::-1])
    assert hash_adapter(elsewhere) == before

    change(elsewhere / "adapter_config.json", lora_alpha=99)
    assert hash_adapter(elsewhere) != before
    write_record(folder, {"labels": LABELS})
    with_labels = hash_adapter(folder)
    write_record(folder, {"labels": LABELS[::-1]})
    assert len({before, with_labels, hash_adapter(folder)}) == 3


def test_weights_changed_in_place_change_the_hash(folder: Path) -> None:
    import os

    before, times = hash_adapter(folder), (folder / WEIGHTS).stat()
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    os.utime(folder / WEIGHTS, ns=(times.st_atime_ns, times.st_mtime_ns))  # same path, size and time
    assert hash_adapter(folder) != before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "adapter_config.json").unlink(), "has no adapter_config.json"),
        (lambda f: (f / "adapter_config.json").rename(f / "config.json"), "holds a whole model"),
        (lambda f: (f / WEIGHTS).unlink(), "has no weights"),
        (lambda f: (f / WEIGHTS).rename(f / "adapter_model.bin"), "is a pickle"),
        (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-40]), "is broken"),
        (lambda f: change(f / "adapter_config.json", task_type="TOKEN_CLS"), "task_type is 'TOKEN_CLS'"),
        (lambda f: (f / "adapter_config.json").write_text("{"), "cannot be read as JSON"),
        (lambda f: (f / RECORD).write_text('{"labels": ["Up", "up"]}'), "different names"),
        (lambda f: (f / RECORD).write_text("[]"), "holds a list"),
    ],
)
def test_what_is_no_adapter_is_named(folder: Path, spoil: object, message: str) -> None:
    spoil(folder)
    with pytest.raises(FinbenchError, match=message):
        read_adapter(str(folder))


@pytest.mark.parametrize(
    ("given", "message"), [("./nowhere/at/all", "there is no folder"), ("owner/unknown", "cannot be had from the hub")]
)
def test_a_place_without_adapter_is_named(given: str, message: str) -> None:
    with pytest.raises(FinbenchError, match=message):
        read_adapter(given)


def test_a_recorded_hash_decides_whatever_the_paths(folder: Path, gpt2: Path, llama: Path, tmp_path: Path) -> None:
    write_record(folder, {"base": {"id": "owner/gpt2", "sha256": base_sha256(str(gpt2))}})
    adapter = read_adapter(str(folder))
    match_base(adapter, str(shutil.copytree(gpt2, tmp_path / "moved")))
    with pytest.raises(FinbenchError, match=r"made for another base: for owner/gpt2 \(hash \w{12}\)"):
        match_base(adapter, str(llama))


def test_without_a_record_the_named_base_is_compared(folder: Path, gpt2: Path, llama: Path) -> None:
    adapter = read_adapter(str(folder))
    match_base(adapter, str(gpt2))
    with pytest.raises(FinbenchError, match="was made for"):
        match_base(adapter, str(llama))
    change(folder / "adapter_config.json", base_model_name_or_path="owner/base-7b")
    adapter = read_adapter(str(folder))
    match_base(adapter, "mirror/Base-7B")
    with pytest.raises(FinbenchError, match=r"made for owner/base-7b, not for owner/base-13b"):
        match_base(adapter, "owner/base-13b")


def test_base_hash_follows_content(bert: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(bert, tmp_path / "copy")
    before = base_sha256(str(bert))
    change(copied / "config.json", transformers_version="0", _name_or_path="x")
    assert base_sha256(str(copied)) == before == base_sha256(str(bert))
    change(copied / "config.json", hidden_act="relu")
    assert base_sha256(str(copied)) != before

    retrained = shutil.copytree(bert, tmp_path / "retrained")
    data = bytearray((retrained / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (retrained / "model.safetensors").write_bytes(data)
    assert base_sha256(str(retrained)) != before


def test_base_hash_reads_every_part_and_misses_none(bert: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(bert).save_pretrained(tmp_path, max_shard_size="30KB")
    parts = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(parts) > 1
    before = base_sha256(str(tmp_path))
    data = bytearray(parts[-1].read_bytes())
    data[-1] ^= 1
    parts[-1].write_bytes(data)
    assert base_sha256(str(tmp_path)) != before
    parts[0].unlink()
    with pytest.raises(FinbenchError, match=f"lacks parts of its weights: {parts[0].name}"):
        base_sha256(str(tmp_path))


def test_what_is_no_base_is_named(tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match="no model's folder"):
        base_sha256(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FinbenchError, match="has no weights"):
        base_sha256(str(tmp_path))
    with pytest.raises(FinbenchError, match="cannot be had from the hub or its cache"):
        base_sha256("owner/unknown")


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ({"warp_config": {"speed": 3}}, "warp_config {'speed': 3}"),
        ({"warp_factor": 3.5, "warp_unset": None, "warp_off": False}, "does not know: warp_factor 3.5. Upgrade"),
        ({"peft_type": "WARP"}, "peft_type WARP"),
    ],
)
@pytest.mark.parametrize("by", ["hf-fast", "put on"])
def test_what_a_later_peft_saved_is_refused(
    folder: Path, gpt2: Path, later: dict[str, object], said: str, by: str
) -> None:
    """PEFT itself would warn, leave the settings out, and score another adapter."""
    from transformers import AutoModelForCausalLM

    change(folder / "adapter_config.json", peft_version="9.9.0", **later)
    with pytest.raises(FinbenchError, match="saved by PEFT 9.9.0") as caught:
        if by == "hf-fast":
            FastLM(str(gpt2), peft=str(folder), device="cpu", batch_size=1)
        else:
            wrap(AutoModelForCausalLM.from_pretrained(gpt2), folder)
    assert said in str(caught.value) and "pip install -U peft" in str(caught.value)


def test_settings_of_a_later_peft_that_are_unset_do_not_matter(folder: Path, gpt2: Path) -> None:
    from transformers import AutoModelForCausalLM

    change(folder / "adapter_config.json", warp_config=None, warp_on=False, warp_sites=[])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Unexpected keyword")
        wrapped = wrap(AutoModelForCausalLM.from_pretrained(gpt2), folder)
    assert wrapped.peft_config["default"].r == 2


@pytest.mark.parametrize(
    "settings",
    [{"megatron_config": {"a": 1}, "megatron_core": "antigravity"}, {"peft_type": "XLORA", "adapters": {"0": "x/y"}}],
)
def test_an_adapter_names_no_module_and_no_other_adapter(settings: dict[str, object], folder: Path) -> None:
    change(folder / "adapter_config.json", **settings)
    with pytest.raises(FinbenchError, match=next(name for name in settings if name != "peft_type")):
        read_adapter(str(folder))


@pytest.mark.parametrize(
    "load", [lambda base: FastLM(pretrained=base), lambda base: PlainLM(pretrained=base, device="cpu"), causal]
)
def test_an_adapter_in_a_base_does_not_act_unseen(
    load: Callable[[str], object], folder: Path, gpt2: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(gpt2, tmp_path / "base")
    for path in folder.glob("adapter*"):
        shutil.copy(path, base)
    with pytest.raises(FinbenchError, match="holds an adapter"):
        load(str(base))
