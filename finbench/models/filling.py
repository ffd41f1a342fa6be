"""A classifier's texts in batches: of like length, so that little is filled up, no more than pays or than it reads."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeVar

from finbench.errors import FinbenchError

AUTO_BATCH_TOKENS = 16_384
# On a processor a larger batch leaves its caches: 1,212 FPB rows on MiniLM took 15.1, 12.9, 9.4 and 9.7 ms of a core
# each in batches of 64, 32, 16 and 8 rows of some 40 tokens.
CACHED_TOKENS = 640
NO_LIMIT = 1_000_000  # tokenizers without a limit say 10^30

Text = TypeVar("Text", bound=Hashable)


def like_length(lengths: Mapping[Text, int], most: int, tokens: int, alike: bool) -> Iterator[list[Text]]:
    """Yield batches of up to `most` texts and `tokens` tokens, the longest first, all alike where none is filled up."""
    batch: list[Text] = []
    for text in sorted(lengths, key=lambda text: -lengths[text]):
        longest = lengths[batch[0]] if batch else 0
        full = len(batch) >= most or (len(batch) + 1) * longest > tokens
        if batch and (full or (alike and lengths[text] != longest)):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def pad_token(model: Any, tokenizer: Any) -> int:
    """Return the padding token that the model looks for; give it the tokenizer's where it has none (GPT-2, Llama).

    Raises:
        FinbenchError: neither has one.

    """
    config = model.config.get_text_config()
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    if config.pad_token_id is None:
        raise FinbenchError("neither model nor tokenizer has a padding or end token: set pad_token in the tokenizer.")
    return int(config.pad_token_id)


def reading_window(model: Any, tokenizer: Any) -> int:
    """Return the longest input in tokens, whichever of tokenizer and positions is shorter.

    RoBERTa-type models count positions from behind the padding token's, so not all of theirs can be used.
    """
    sizes = [tokenizer.model_max_length, getattr(model.config.get_text_config(), "max_position_embeddings", None)]
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            sizes.append(module.num_embeddings - module.padding_idx - 1)
    return int(min((size for size in sizes if size and size > 0), default=NO_LIMIT))
