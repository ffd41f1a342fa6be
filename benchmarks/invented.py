"""Invented prompts in the shape of real ones, a tokenizer for them, and models with random weights."""

import json
import random
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = """the company said its quarter sales profit rose fell to million euro from a year earlier as demand for paper
steel ships phones and services grew weaker while costs of energy and labour were higher than expected orders shares
dividend board plant market loss net result operating staff cut agreement unit bank loan""".split()
INSTRUCTION = (
    "Instruction: What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}.\n"
    "Input: %s\nAnswer:"
)
LABELS = (" negative", " neutral", " positive")


def sentence(draw: random.Random, words: int) -> str:
    """Return a sentence of that many words."""
    return " ".join(draw.choices(WORDS, k=words)).capitalize() + " ."


def one_shot(rows: int) -> list[str]:
    """Return prompts of a sentiment task: instruction, shot, instruction, a sentence as long as real ones."""
    draw = random.Random(0)
    shot = INSTRUCTION % sentence(draw, 24) + LABELS[2] + "\n\n"
    return [shot + INSTRUCTION % sentence(draw, draw.randint(10, 40)) for _ in range(rows)]


def sentence_rows(rows: int, seed: int) -> list[tuple[str, str]]:
    """Return texts as long as those of news, each with one of three labels in turn."""
    draw = random.Random(seed)
    return [(sentence(draw, draw.randint(10, 40)), LABELS[number % 3].strip()) for number in range(rows)]


def filings(rows: int, questions: int = 12, facts: int = 220) -> list[str]:
    """Return prompts that ask `questions` questions on each filing: `facts` tagged values, some 4,500 tokens."""
    draw = random.Random(0)
    prompts = []
    for number in range(rows):
        if number % questions == 0:
            tags = [f"us-gaap:{draw.choice(WORDS).title()}{draw.choice(WORDS).title()}" for _ in range(facts)]
            xml = "".join(
                f'<{tag} contextRef="c{draw.randrange(9)}" unitRef="usd">{draw.randrange(10**9)}</{tag}>\n'
                for tag in tags
            )
        prompts.append(f"Answer the question on the filing.\n{xml}Question: the value of {draw.choice(tags)}?\nAnswer:")
    return prompts


def tokenizer_for(texts: Sequence[str], size: int, entries: int = 0) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer that writes common words of the texts as one token.

    With `entries` it has as many, those beyond `size` never written: given an adapter, `hf` cuts a model's vocabulary
    down to its tokenizer's, and would score another softmax.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *LABELS * 10], trainer)
    written = json.loads(tokenizer.to_str())
    vocabulary = written["model"]["vocab"]
    vocabulary |= {f"unused {number}": number for number in range(len(vocabulary), entries)}
    tokenizer = Tokenizer.from_str(json.dumps(written))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )


def gpt2_small(dtype: torch.dtype, device: str) -> GPT2LMHeadModel:
    """Return GPT-2 small (124M weights), random."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0)).to(device, dtype).eval()


def llama(vocabulary: int, dtype: torch.dtype, device: str) -> LlamaForCausalLM:
    """Return a random Llama with an 8k window: the 8B shape on an accelerator, a small one on a processor."""
    torch.manual_seed(0)
    shape = {"hidden_size": 512, "intermediate_size": 1792, "num_hidden_layers": 8, "num_attention_heads": 8}
    shape |= {"num_key_value_heads": 2}
    if device.startswith("cuda"):
        shape = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32}
        shape |= {"num_key_value_heads": 8}
    shape |= {"vocab_size": vocabulary}
    config = LlamaConfig(**shape, max_position_embeddings=8192, initializer_range=0.05, bos_token_id=0, eos_token_id=0)
    with torch.device(device):
        return LlamaForCausalLM(config).to(dtype).eval()
