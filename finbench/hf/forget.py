"""Tokenizers remember words, and one kind whole sentences: a service must not."""

from typing import Any


def forget_texts(tokenizer: Any) -> None:
    """Let a tokenizer keep nothing of the texts that it splits, from now on.

    Only the size of its cache is set: `_clear_cache` of tokenizers 0.23 loses the memory of the cache that it clears,
    10 KB a call.
    """
    model = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    resize = getattr(model, "_resize_cache", None)  # of BPE and Unigram, in Rust
    if resize is not None:
        resize(0)
    kept = getattr(tokenizer, "cache", None)
    if isinstance(kept, dict):  # BPE in Python
        kept.clear()
