"""A model's shape from its configuration alone, and what its weights weigh at each precision."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parent / "configs"
ITEM_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
CLASSES = {
    "causal": "AutoModelForCausalLM",
    "classifier": "AutoModelForSequenceClassification",
    "seq2seq": "AutoModelForSeq2SeqLM",
}


@dataclass(frozen=True)
class Shape:
    """Sizes of a model; `quantisable` counts the weights that bitsandbytes packs, `channels` their output rows."""

    parameters: int
    quantisable: int
    channels: int
    layers: int
    hidden: int
    vocabulary: int
    embedded: int


def meta_model(
    base: str, revision: str | None = None, task_type: str = "causal", labels: int = 0, trust_remote_code: bool = False
) -> Any:
    """Return the model on the meta device: shapes without memory.

    The published bases' configurations come with finbench, so that they can be planned without a network.

    Raises:
        FinbenchError: the configuration cannot be had.

    """
    import torch
    import transformers
    from transformers import AutoConfig

    from finbench.hf.load import load_config

    bundled = CONFIGS / f"{base.replace('/', '--')}.json"
    if bundled.is_file():
        settings = json.loads(bundled.read_text(encoding="utf-8"))
        config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    else:
        config = load_config(base, revision, trust_remote_code)
    if labels:
        config.num_labels = labels
        config.get_text_config().pad_token_id = 0  # decoders' heads ask for one before they take a batch
    with torch.device("meta"):
        return getattr(transformers, CLASSES[task_type]).from_config(config, trust_remote_code=trust_remote_code)


def shape_of(model: Any) -> Shape:
    """Return the sizes of a bare model, without adapter."""
    import torch
    from transformers.pytorch_utils import Conv1D

    config = model.config.get_text_config()
    head = model.get_output_embeddings()
    packed = [
        part.weight
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear | Conv1D) and part is not head and name not in ("classifier", "score")
    ]
    embedding = model.get_input_embeddings().weight
    return Shape(
        parameters=sum(weight.numel() for weight in model.parameters()),
        quantisable=sum(weight.numel() for weight in packed),
        channels=sum(max(weight.shape) for weight in packed),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        vocabulary=embedding.shape[0],
        embedded=embedding.numel(),
    )


def weight_bytes(shape: Shape, precision: str, bits: int | None = None, double: bool = False) -> int:
    """Return what the base's weights take.

    8 bits: a byte a weight and a float32 scale an output channel (Dettmers et al. 2022, arXiv:2208.07339).
    4 bits: half a byte and a float32 scale a block of 64, or with `double` quantisation an 8-bit one and a float32 for
    256 of those (Dettmers et al. 2023, arXiv:2305.14314). Embeddings, norms and head keep `precision`.
    """
    kept = shape.parameters - (shape.quantisable if bits else 0)
    kept_bytes = kept * ITEM_BYTES[precision]
    if bits == 8:
        return kept_bytes + shape.quantisable + 4 * shape.channels
    if bits == 4:
        scales = (1 + 4 / 256) / 64 if double else 4 / 64
        return kept_bytes + round(shape.quantisable * (0.5 + scales))
    return kept_bytes
