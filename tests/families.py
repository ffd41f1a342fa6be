"""Every family of transformers' auto classes in small: does finbench share its prefixes, and which methods train it?

`python -m tests.families KIND TYPE FOLDER` judges one and prints it as JSON; `docs/make_families.py` makes the page.
"""

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from finbench.errors import FinbenchError

Kind = Literal["causal", "classifier"]
METHODS = ("lora", "ia3", "prefix", "prompt", "ptuning", "bottleneck", "full")
MOST_PARAMETERS = 20_000_000
SIZES: dict[int, tuple[str, ...]] = {
    2: (
        *("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"),
        *("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"),
        *("decoder_attention_heads", "num_key_value_heads", "num_kv_heads", "num_experts_per_tok", "num_heads_kv"),
        *(
            "linear_num_key_heads",
            "linear_num_value_heads",
            "mamba_n_heads",
            "mamba_num_heads",
            "n_group",
            "topk_group",
        ),
    ),
    4: ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "conv_kernel", "mamba_d_conv"),
    8: ("qk_rope_head_dim", "ssm_state_size", "state_size", "mamba_d_state", "first_k_dense_replace"),
    16: (
        *("head_dim", "v_head_dim", "qk_nope_head_dim", "kv_lora_rank", "q_lora_rank", "d_kv", "rotary_dim"),
        *("linear_key_head_dim", "linear_value_head_dim"),
    ),
    32: (
        *("hidden_size", "n_embd", "d_model", "dim", "embedding_size", "n_embed", "moe_intermediate_size", "lru_width"),
        *(
            "shared_expert_intermediate_size",
            "attention_hidden_size",
            "emb_dim",
            "projection_dim",
            "word_embed_proj_dim",
        ),
    ),
    64: (
        "intermediate_size",
        "ffn_dim",
        "hidden_dim",
        "d_inner",
        "d_ff",
        "n_inner",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
    ),
    400: ("vocab_size",),
    1024: ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length"),
}
FIRST_LAYERS = ("layer_types", "mlp_layer_types", "layers_block_type", "block_types", "attention_types")
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}


def types(kind: Kind) -> list[str]:
    """Return the names of all families that transformers offers for that head."""
    from transformers.models.auto import modeling_auto as auto

    table = {
        "causal": auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "classifier": auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    }
    return sorted(table[kind])


def small_config(model_type: str) -> Any:
    """Return a configuration of that family with two layers of 32 numbers."""
    from transformers import AutoConfig

    have = AutoConfig.for_model(model_type).to_dict()
    wanted: dict[str, Any] = {
        name: size for size, names in SIZES.items() for name in names if have.get(name) is not None
    }
    for name in (name for name in FIRST_LAYERS if isinstance(have.get(name), list)):
        wanted[name] = list({str(kind): kind for kind in have[name]}.values())  # a layer of each kind
        wanted["num_hidden_layers"] = len(wanted[name])
    if "qk_rope_head_dim" in have:
        wanted["head_dim"] = wanted["qk_rope_head_dim"]
    if "num_experts_per_tok" in have and model_type == "zaya":
        wanted["num_experts_per_tok"] = 1
    mamba = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_expand": 2, "mamba_num_heads": 4, "mamba_head_dim": 16}
    wanted |= {name: size for name, size in {**mamba, "expand": 2, "num_heads": 4}.items() if name in have}
    wanted |= {name: number for name, number in TOKENS.items() if name in have}
    return AutoConfig.for_model(model_type, **wanted)


def build(kind: Kind, model_type: str, folder: Path) -> None:
    """Write a small model of the family with random weights and a tokenizer."""
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    from tests.conftest import build_tokenizer

    config = small_config(model_type)
    auto = AutoModelForCausalLM if kind == "causal" else AutoModel
    with torch.device("meta"):
        count = sum(weight.numel() for weight in auto.from_config(config).parameters())
    if count > MOST_PARAMETERS:
        raise ValueError(f"{count:,} parameters are left where two layers of 32 were wanted")
    torch.manual_seed(1)
    auto.from_config(config).float().save_pretrained(folder)
    build_tokenizer(folder, bos=True)


def judge(kind: Kind, model_type: str, folder: Path, methods: tuple[str, ...] = METHODS) -> dict[str, Any]:
    """Return how the family is scored, and what becomes of each method: "ok", a refusal in a line, or RAW."""
    base = folder / "base"
    try:
        build(kind, model_type, base)
    except Exception as error:
        return {"built": False, "why": _line(error)}
    found: dict[str, Any] = {"built": True}
    found["scoring"] = _said(lambda: (_causal if kind == "causal" else _classifier)(base))
    found["methods"] = {name: _said(lambda name=name: _trained(kind, base, name, folder / name)) for name in methods}
    return found


def _said(action: Callable[[], str]) -> str:
    try:
        return action()
    except FinbenchError as error:
        return f"refused: {error}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"RAW {_line(error)} ({Path(where.filename).name}:{where.lineno})"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def _requests() -> list[Any]:
    from lm_eval.api.instance import Instance

    words = "the profit rose in the third quarter while sales of the company fell from last year "
    prompts = [words * 3 + f"what is the sentiment of this {word}" for word in ("news", "tweet", "market year")]
    return [
        Instance("loglikelihood", {"id": n}, (prompt, answer), 0, ("t", n, 1))
        for n, prompt in enumerate(prompts)
        for answer in (" positive", " negative year")
    ]


def _causal(base: Path, adapter: Path | None = None) -> str:
    from finbench.models.fast import FastLM
    from finbench.models.plain import PlainLM

    more = {"peft": str(adapter)} if adapter else {}
    stock = PlainLM(pretrained=str(base), device="cpu", dtype="float32", batch_size=1, **more)
    try:
        plain = [value for value, _ in stock.loglikelihood(_requests(), disable_tqdm=True)]
    except (ValueError, RuntimeError, IndexError, TypeError) as error:
        if isinstance(error, FinbenchError):
            raise
        return f"untried: this small shape fails in transformers itself ({_line(error)})"
    shared = FastLM(pretrained=str(base), device="cpu", dtype="float32", **more)
    fast = [value for value, _ in shared.loglikelihood(_requests(), disable_tqdm=True)]
    apart = max(abs(one - other) for one, other in zip(fast, plain, strict=True))
    if not apart < 1e-4:
        return f"RAW log-likelihoods {apart:.1e} apart"
    return f"plain: {shared.not_shared}" if shared.not_shared else "shared"


def _classifier(base: Path, adapter: Path | None = None) -> str:
    import torch

    from finbench.models.classifier import ClassifierLM
    from finbench.tasks.load import load_tasks
    from finetune.validate import outcomes_of

    if adapter is None:
        return "a base without a head"
    task = load_tasks(["fin_fpb"])["fin_fpb"]
    rows = list(task.eval_docs)[:4]
    found = []
    for size in (1, 4):
        lm = ClassifierLM(str(base), peft=str(adapter), batch_size=size, device="cpu")
        found.append(torch.tensor([outcome.scores for outcome in outcomes_of(lm, task, rows)]))
    apart = float((found[0] - found[1]).abs().max())
    return "ok" if apart < 1e-4 else f"RAW a row alone and in a batch are {apart:.1e} apart"


def _trained(kind: Kind, base: Path, method: str, folder: Path) -> str:
    """Train two steps, save, load anew and score."""
    from finetune.card import describe
    from finetune.recipe import read_recipe
    from finetune.train import train

    folder.mkdir()
    path = folder / "recipe.yaml"
    path.write_text(
        f"base: {base}\ntasks: [fin_fpb]\ntask_type: {kind}\nmethod: {method}\nmax_steps: 2\nlearning_rate: 1.0e-2\n"
        "batch_size: 2\nvalidation_share: 0\nbest_by: null\nnum_virtual_tokens: 4\n"
        + ("target_modules: all-linear\n" if method == "lora" else "")
    )
    recipe = read_recipe(path)
    described = train(recipe, folder / "adapter")
    describe(described, recipe, "finbench finetune")
    if kind == "classifier":
        from finbench.models.classifier import ClassifierLM

        if method == "full":
            ClassifierLM(str(folder / "adapter"), device="cpu")
            return "ok"
        return _classifier(base, folder / "adapter")
    said = _causal(folder / "adapter") if method == "full" else _causal(base, folder / "adapter")
    return said if said.startswith(("RAW", "plain")) else "ok"


if __name__ == "__main__":
    kind, model_type, name, *methods = sys.argv[1:]
    judged = judge(kind, model_type, Path(name), tuple(methods) or METHODS)  # type: ignore[arg-type]
    print("\nJUDGED " + json.dumps(judged), flush=True)
