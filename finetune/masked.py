"""Words of a text replaced by what a local masked language model, BERT and its kind, would write in their place."""

import random
from collections.abc import Sequence
from typing import Any

import torch

from finbench.data.perturb import LINK, WORD
from finbench.errors import FinbenchError
from finbench.hf.load import check_complete, lacking, load_model, load_tokenizer

CANDIDATES = 10  # of which a replacement is drawn, by their shares
BATCH = 32
BEGINS = ("\u0120", "\u2581")  # how byte-level BPE and SentencePiece write the beginning of a word


class MaskedWords:
    """Replaces a share of the words, at least one, each by a whole other word that the model offers.

    All chosen words of a text are masked together. The model may turn a text's meaning round (rose, fell), which its
    label does not follow.

    Raises:
        FinbenchError: the folder holds no masked language model.

    """

    def __init__(self, place: str, share: float, seed: int) -> None:
        self.share, self.seed = share, seed
        self.tokenizer = load_tokenizer(place)
        if self.tokenizer.mask_token is None:
            raise FinbenchError(
                f"augment: the tokenizer of {place} has no mask token: give a masked model, such as BERT."
            )
        model, info = load_model("AutoModelForMaskedLM", place, output_loading_info=True, dtype=torch.float32)
        check_complete(lacking(info), place)
        self.model = model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        self.longest = min(self.tokenizer.model_max_length, model.config.max_position_embeddings)
        self.words = self._whole_words()

    def __call__(self, texts: Sequence[str], names: Sequence[str]) -> list[str]:
        """Return the texts with words replaced; what is drawn follows from the seed and each text's name."""
        draws = [random.Random(f"{self.seed}|masked|{name}") for name in names]
        places = [self._places(text, draw) for text, draw in zip(texts, draws, strict=True)]
        found: list[str] = []
        for start in range(0, len(texts), BATCH):
            part = slice(start, start + BATCH)
            mask = self.tokenizer.mask_token
            pairs = zip(texts[part], places[part], strict=True)
            offered = self._offered([_with(text, at, [mask] * len(at)) for text, at in pairs])
            for text, at, draw, rows in zip(texts[part], places[part], draws[part], offered, strict=True):
                old = [text[begin:end] for begin, end in at]
                new = [self._drawn(word, row, draw) for word, row in zip(old, rows, strict=False)]
                found.append(_with(text, at, [*new, *old[len(new) :]]))  # masks behind the window stay words
        return found

    def _places(self, text: str, draw: random.Random) -> list[tuple[int, int]]:
        """Return where the chosen words stand, in order; none within a link."""
        links = [match.span() for match in LINK.finditer(text)]
        words = [match.span() for match in WORD.finditer(text)]
        words = [(a, b) for a, b in words if not any(start <= a < end for start, end in links)]
        return sorted(draw.sample(words, min(len(words), max(1, round(self.share * len(words))))))

    @torch.no_grad()
    def _offered(self, texts: Sequence[str]) -> list[list[list[tuple[str, float]]]]:
        """Return, for every mask of each text, the likeliest whole words with their shares."""
        batch = self.tokenizer(
            list(texts), return_tensors="pt", padding=True, truncation=True, max_length=self.longest
        ).to(self.model.device)
        logits = self.model(**batch).logits.float()  # (B, T, V)
        logits[..., ~self.words.to(logits.device)] = -torch.inf
        masks = batch["input_ids"] == self.tokenizer.mask_token_id
        found = []
        for row, mask in zip(logits, masks, strict=True):
            shares, ids = torch.softmax(row[mask], -1).topk(min(CANDIDATES + 1, int(self.words.sum())))  # (M, K)
            found.append(
                [
                    list(zip(map(self._word, one), part, strict=True))
                    for one, part in zip(ids.tolist(), shares.tolist(), strict=True)
                ]
            )
        return found

    def _whole_words(self) -> torch.Tensor:
        """Return which tokens (V,) are whole words of two letters or more."""
        size = self.model.get_output_embeddings().weight.shape[0]
        tokens: list[Any] = self.tokenizer.convert_ids_to_tokens(range(min(size, len(self.tokenizer))))
        marked = any(str(token).startswith(BEGINS) for token in tokens)
        bare = [str(t)[1:] if marked and str(t).startswith(BEGINS) else "" if marked else str(t) for t in tokens]
        whole = [len(word) > 1 and word.isascii() and word.isalpha() for word in bare]
        if not any(whole):
            raise FinbenchError("augment: the masked model's vocabulary has no whole words to choose from.")
        return torch.tensor([*whole, *[False] * (size - len(whole))])

    def _word(self, token: int) -> str:
        return str(self.tokenizer.convert_ids_to_tokens(token)).lstrip("".join(BEGINS))

    def _drawn(self, old: str, offered: Sequence[tuple[str, float]], draw: random.Random) -> str:
        """Return another word than the old one, in its case."""
        others = [(word, share) for word, share in offered if word.lower() != old.lower()][:CANDIDATES]
        if not others:
            return old
        new = draw.choices([word for word, _ in others], [share + 1e-9 for _, share in others])[0]
        return new.upper() if old.isupper() else new.capitalize() if old[:1].isupper() else new


def _with(text: str, places: Sequence[tuple[int, int]], words: Sequence[str]) -> str:
    """Return the text with these words at these places."""
    parts, end = [], 0
    for (begin, after), word in zip(places, words, strict=True):
        parts += [text[end:begin], word]
        end = after
    return "".join([*parts, text[end:]])
