"""Everything of a base that can change a weight, a token or a prompt is in its hash, and nothing stale is."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from finbench.adapters import base_hash
from finbench.adapters.base_hash import base_sha256, kept_sha256, sha256_of_file, weights_sha256
from finbench.adapters.folder import match_base, read_adapter, write_record
from finbench.errors import FinbenchError


@pytest.fixture
def base(gpt2: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gpt2, tmp_path / "base"))


def add(name: str, text: str = "new") -> Callable[[Path], object]:
    def change(base: Path) -> None:
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_text(text)

    return change


def replaced(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(base: Path) -> None:
        text = (base / name).read_text()
        assert old in text
        (base / name).write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    "change",
    [
        replaced("tokenizer.json", '"<pad>"', '"<pat>"'),
        replaced("tokenizer_config.json", "1024", "512"),
        replaced("generation_config.json", "{", '{"repetition_penalty": 1.3, '),
        add("chat_template.jinja"),
        add("additional_chat_templates/tools.jinja"),
        add("modeling_own.py"),
        add("parts/layers.py"),
        add("special_tokens_map.json", "{}"),
        add("merges.txt"),
        add("tokenizer.model"),
        add("qwen.tiktoken"),
        lambda base: (base / "generation_config.json").unlink(),
    ],
)
def test_what_shapes_tokens_and_prompts_changes_the_hash_and_not_the_weights(
    change: Callable[[Path], object], base: Path
) -> None:
    whole, weights = base_sha256(str(base)), weights_sha256(str(base))
    change(base)
    assert base_sha256(str(base)) != whole and weights_sha256(str(base)) == weights


@pytest.mark.parametrize(
    "change",
    [
        add("README.md"),
        add("finbench.json", "{}"),
        add("calibration.json", "{}"),
        add("optimizer.pt"),
        add(".git/config.json"),
        add("__pycache__/modeling_own.py"),
        replaced("generation_config.json", '"transformers_version": "', '"transformers_version": "9.'),
    ],
)
def test_what_is_read_by_nothing_that_scores_changes_nothing(change: Callable[[Path], object], base: Path) -> None:
    before = base_sha256(str(base))
    change(base)
    assert base_sha256(str(base)) == before == base_sha256(str(base.rename(base.with_name("moved"))))


def test_code_that_may_run_is_another_base(base: Path) -> None:
    assert base_sha256(str(base), own_code=True) != base_sha256(str(base))


def test_weights_of_the_same_size_and_time_are_seen(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_hash, "SETTLED_SECONDS", -1.0)  # as if they had lain there for long
    path = base / "model.safetensors"
    before, state = base_sha256(str(base)), path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    time.sleep(0.05)  # file systems' clocks tick every few milliseconds
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    now = path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (state.st_size, state.st_mtime_ns, state.st_ino)
    assert base_sha256(str(base)) != before


def test_a_file_that_changed_just_now_is_read_anew(base: Path) -> None:
    path = base / "model.safetensors"
    for last in (1, 2):
        path.write_bytes(path.read_bytes()[:-1] + bytes([last]))
        assert kept_sha256(path) == sha256_of_file(path)
    assert not (base_hash.home() / "hashes").exists()


def test_settled_files_are_read_once_and_a_cut_entry_is_none(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_hash, "SETTLED_SECONDS", -1.0)
    path = base / "model.safetensors"
    before = kept_sha256(path)
    (entry,) = (base_hash.home() / "hashes").iterdir()
    entry.write_text("f" * 64)
    assert kept_sha256(path) == "f" * 64
    entry.write_text("f" * 20)
    assert kept_sha256(path) == before


@pytest.mark.parametrize("hashed", [weights_sha256, base_sha256])
def test_an_adapter_fits_its_weights_whatever_the_tokenizer(
    hashed: Callable[[str], str], base: Path, gpt2: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(gpt2), LoraConfig(task_type="CAUSAL_LM"))
    model.save_pretrained(tmp_path / "adapter")
    write_record(tmp_path / "adapter", {"base": {"id": "x/y", "sha256": hashed(str(base))}})
    match_base(read_adapter(str(tmp_path / "adapter")), str(base))
    if hashed is weights_sha256:
        add("chat_template.jinja")(base)
        match_base(read_adapter(str(tmp_path / "adapter")), str(base))


@pytest.mark.parametrize("base", ["/nowhere", "./nothing-here"])
def test_a_folder_that_is_not_there_is_called_one_and_no_id(base: str) -> None:
    with pytest.raises(FinbenchError, match=f"there is no folder '{base}': give the folder of a model"):
        base_sha256(base)
