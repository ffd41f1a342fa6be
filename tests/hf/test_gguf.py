"""A base that is one GGUF file: scored as its float weights in a folder are, trained on, hashed by the file."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.hf.load import gguf_of
from tests.conftest import build_tokenizer

gguf = pytest.importorskip("gguf", reason="GGUF bases need the package gguf, an extra")
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
HEADS, WIDTH = 2, 64


def name_in_gguf(name: str) -> str:
    parts = name.removesuffix(".weight").split(".")
    if parts[1:2] == ["layers"]:
        return f"blk.{parts[2]}.{NAMES['.'.join(parts[3:])]}.weight"
    return f"{NAMES['.'.join(parts[:2])]}.weight"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a GGUF file of a tiny Llama, in float32."""
    folder = build_tokenizer(tmp_path_factory.mktemp("made"))
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]
    size = len(AutoTokenizer.from_pretrained(folder))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, max_position_embeddings=1024,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(1024)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(64)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    words = sorted(tokens["vocab"], key=tokens["vocab"].__getitem__)
    writer.add_token_list(words)
    writer.add_token_types([3 if word in ("<pad>", "<s>", "</s>") else 1 for word in words])
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in tokens["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    for name, weight in LlamaForCausalLM(config).state_dict().items():
        writer.add_tensor(name_in_gguf(name), weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_it_is_scored_trained_on_and_predicted_with(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    plain = LlamaForCausalLM(LlamaConfig.from_dict({**model.config.to_dict(), "quantization_config": None}))
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(tmp_path / "folder")
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(tmp_path / "folder")
    (tmp_path / "r.yaml").write_text(
        f"base: {file.parent}\ngguf_file: {file.name}\ntasks: [fin_fpb]\nmax_steps: 2\nvalidation_share: 0\n"
    )
    adapter = tmp_path / "adapter"
    assert main(["finetune", str(tmp_path / "r.yaml"), "--output", str(adapter)]) == 0
    (tmp_path / "m.yaml").write_text(
        f"name: m\ntasks: [fin_fpb]\nlimit: 6\nbases:\n"
        f"  - {{base: {file.parent}, gguf_file: {file.name}, name: file, adapters: [{adapter}]}}\n"
        f"  - {{base: {tmp_path / 'folder'}, name: folder}}\n"
    )
    assert main(["run", str(tmp_path / "m.yaml"), "--cells", str(tmp_path / "cells")]) == 0
    cells = {(cell.key.base, cell.key.adapter): cell for cell in read_cells(tmp_path / "cells").results}
    assert (
        cells["file", ""].metrics == cells["folder", ""].metrics and cells["file", "adapter"].adapter_proof["changed"]
    )
    assert cells["file", ""].key.base_sha256 != cells["folder", ""].key.base_sha256
    capsys.readouterr()
    assert main(["predict", "--base", str(file), "--adapter", str(adapter), "Profit rose."]) == 0
    assert capsys.readouterr().out.split("\t")[0] in ("negative", "neutral", "positive")


def test_a_file_that_is_not_there_and_a_type_that_cannot_read_it(tmp_path: Path) -> None:
    from finbench.adapters.base_hash import base_sha256
    from finbench.runs.matrix import Base

    assert gguf_of("owner/name/Q4_1.gguf") == ("owner/name", {"gguf_file": "Q4_1.gguf"})
    with pytest.raises(FinbenchError, match="there is no file"):
        base_sha256(str(tmp_path / "none.gguf"))
    with pytest.raises(FinbenchError, match="is a GGUF file, which model hf-classifier cannot load"):
        Base("folder", gguf_file="Q4_1.gguf", model="hf-classifier")
