"""The fast paths, each tried on a model of two layers: what does not work here is told, with why."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TOLERANCE = 1e-4


def trials() -> Mapping[str, Callable[[], str]]:
    """Return the trials by what they try; each returns why it does not work here, or ""."""
    return {
        "shared prefixes in scoring": shared_scoring,
        "shared prefixes in training": shared_training,
        "attention in blocks": blocks,
        "8-bit weights": lambda: bits(8),
        "4-bit weights": lambda: bits(4),
        "bottleneck adapters": bottleneck,
        "generation with a prefix adapter": prefix_generation,
    }


def tiny(seed: int = 0, **more: Any) -> Any:
    """Return a Llama of two layers with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        **more,
    )
    return LlamaForCausalLM(config).eval()


def shared_scoring() -> str:
    """Compare a shared pass with the plain one."""
    from finbench.engine.model import SharedModel
    from finbench.hf.sharing import why_not

    model = tiny()
    if reason := why_not(model):
        return reason
    return "a shared pass gives other logits" if SharedModel(model).differs() else ""


def shared_training() -> str:
    """Compare the gradients of rows that share a prefix with those of the rows alone."""
    import torch

    from finbench.engine.continued import answer_logits

    model = tiny()
    rows = torch.tensor([[5, 6, 7, 8, 9, 10], [5, 6, 7, 8, 11, 12]])
    own, gradients = rows[:, 4:], []
    group = {
        "prefix": rows[:1, :4],
        "input_ids": own,
        "attention_mask": torch.ones_like(own),
        "keep": torch.tensor(1),
    }
    for shared in (True, False):
        model.zero_grad()
        logits = answer_logits(model, group)[:, -1] if shared else model(input_ids=rows).logits[:, -1]
        torch.nn.functional.cross_entropy(logits, torch.tensor([3, 4])).backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]))
    apart = float((gradients[0] - gradients[1]).norm() / gradients[1].norm())
    return f"gradients differ by {apart:.1e}" if not apart < TOLERANCE else ""


def blocks() -> str:
    """Compare attention in blocks with dense attention, and see that it ran in blocks."""
    import torch

    from finbench.engine.model import SharedModel
    from finbench.engine.prefix import pack, sort_rows
    from finbench.hf.blocks import TreeMask

    shared = SharedModel(tiny())
    rows = sort_rows([[first, *range(20, 60)] for first in (3, 4, 5)])
    tree = pack(rows, range(3), 0, 4096)
    before = TreeMask.cuts
    logits, _ = shared.run(tree, shared.root(), range(len(tree.tokens)))
    if TreeMask.cuts == before:
        return "the model's attention does not call what is cut into blocks"
    whole = shared.model(input_ids=torch.tensor(rows.tokens)).logits.flatten(0, 1)
    ours = torch.cat([logits[list(path)] for path in tree.paths])
    return "attention in blocks gives other logits" if not (ours - whole).abs().max() < TOLERANCE else ""


def bits(count: int) -> str:
    """Load a model in few bits, and see that its logits are numbers near those of the whole."""
    import torch

    from finbench.hf.bits import bits_config
    from finbench.hf.load import load_model

    model = tiny()
    ids = torch.arange(3, 40)[None]
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = bits_config(count == 8, count == 4, {})
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
        held = load_model("AutoModelForCausalLM", folder, quantization_config=config, device_map={"": device})
    with torch.no_grad():
        found, expected = held(input_ids=ids.to(held.device)).logits.float().cpu(), model(input_ids=ids).logits
    if not found.isfinite().all():
        return "the logits are no numbers"
    apart = float((found - expected).norm() / expected.norm())
    return f"the logits differ by {apart:.0%} from those of whole weights" if apart > 0.5 else ""


def bottleneck() -> str:
    """Save a bottleneck adapter, load it around another copy of the base, and compare."""
    import torch
    from peft import get_peft_model

    from finbench.adapters.bottleneck.model import BottleneckConfig
    from finbench.adapters.wrap import wrap

    ids = torch.arange(3, 20)[None]
    made = get_peft_model(tiny(), BottleneckConfig(task_type="CAUSAL_LM", reduction_factor=4)).eval()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        made.save_pretrained(folder)
        loaded = wrap(tiny(), Path(folder))
        same = torch.equal(loaded(input_ids=ids).logits, made(input_ids=ids).logits)
    return "" if same else "a saved adapter loads to other logits"


def prefix_generation() -> str:
    """See that what is generated with a prefix adapter comes from it."""
    import torch
    from peft import PrefixTuningConfig, get_peft_model

    from finbench.errors import FinbenchError
    from finbench.hf.generation import check_generation
    from finbench.hf.prompts import connect

    model = get_peft_model(tiny(initializer_range=0.3), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight)
    try:
        check_generation(connect(model).eval())
    except FinbenchError as error:
        return str(error)
    return ""
