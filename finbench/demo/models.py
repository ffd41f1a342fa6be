"""Small models for the demonstration, built and briefly trained on the spot from the bundled rows: `finbench demo`.

Their scores mean nothing beyond showing the path; nothing is downloaded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from finbench.data.load import load
from finbench.errors import FinbenchError
from finbench.records import Row

Family = Literal["gpt2", "llama", "bert"]

VOCABULARY = 1200
WINDOW = 2048
READ = ("fpb", "fiqa", "tfns", "nwgi", "nwgi7", "headline", "ner", "xbrl_tags", "xbrl_values")
READ_TOO = ("xbrl_term", "formula", "financebench")
SEED = 7


@dataclass(frozen=True)
class Shape:
    """Size of a demonstration model and how long it is trained."""

    width: int
    layers: int
    heads: int
    steps: int


SHAPES: dict[Family, Shape] = {
    "gpt2": Shape(width=128, layers=3, heads=4, steps=80),
    "llama": Shape(width=128, layers=3, heads=4, steps=200),
    "bert": Shape(width=128, layers=3, heads=4, steps=100),
}


def training_texts() -> list[str]:
    """Return question, text and answer of the bundled train rows of the tasks shown, as plain running text."""
    texts = []
    for name in (*READ, *READ_TOO):
        for row in load(name).splits["train"]:
            texts.append(_as_text(row))
    return texts


def _as_text(row: Row) -> str:
    parts = [row.question, f"Input: {row.text}", f"Answer: {row.label or row.answer}"]
    return "\n".join(part for part in parts if part)


def build_tokenizer(folder: Path, texts: Sequence[str]) -> Any:
    """Train a byte-level BPE tokenizer on the texts, save it in the folder and return it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        mask_token="<mask>",
        model_max_length=WINDOW,
    )
    fast.save_pretrained(folder)
    return fast


def new_model(family: Family) -> Any:
    """Return an untrained model of the family's demonstration shape."""
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    shape = SHAPES[family]
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if family == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=VOCABULARY,
                n_positions=WINDOW,
                n_embd=shape.width,
                n_layer=shape.layers,
                n_head=shape.heads,
                **ids,
            )
        )
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": shape.width,
        "intermediate_size": 3 * shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "max_position_embeddings": WINDOW,
    }
    if family == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes, num_key_value_heads=shape.heads // 2, **ids))
    return BertForMaskedLM(BertConfig(**sizes, **ids))


def build_base(family: Family, folder: Path, texts: Sequence[str]) -> None:
    """Build, briefly train and save one base with its tokenizer; a folder that holds one already is left alone."""
    import torch

    if (folder / "config.json").is_file():
        return
    if folder.exists() and any(folder.iterdir()):
        raise FinbenchError(f"{folder} is not empty and holds no model: give another --folder.")
    torch.manual_seed(SEED)
    part = folder.with_name(f".{folder.name}.part")  # a folder of the name itself is whole
    tokenizer = build_tokenizer(part, texts)
    model = new_model(family)
    pretrain(model, tokenizer, texts, SHAPES[family].steps, masked=family == "bert", title=f"building {folder.name}")
    model.save_pretrained(part)
    part.replace(folder)


def pretrain(model: Any, tokenizer: Any, texts: Sequence[str], steps: int, masked: bool, title: str) -> None:
    """Train the model in place on the texts: next tokens, or a masked sixth of the tokens."""
    import torch
    from tqdm import tqdm

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    model.train()
    for ids in tqdm(_batches(tokenizer, texts, steps), total=steps, desc=title, unit="step"):
        labels = ids["input_ids"].masked_fill(ids["attention_mask"] == 0, -100)
        if masked:
            hidden = (torch.rand(labels.shape) < 1 / 6) & (labels != -100)
            labels = labels.masked_fill(~hidden, -100)
            ids["input_ids"] = ids["input_ids"].masked_fill(hidden, tokenizer.mask_token_id)
        loss = model(**ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


def _batches(tokenizer: Any, texts: Sequence[str], steps: int, size: int = 8) -> Iterator[Any]:
    import torch

    for _ in range(steps):
        chosen = [texts[n] + tokenizer.eos_token for n in torch.randint(len(texts), (size,)).tolist()]
        yield tokenizer(
            chosen, return_tensors="pt", padding=True, truncation=True, max_length=192, return_token_type_ids=False
        )
