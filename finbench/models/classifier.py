"""`hf-classifier`: sequence classifiers (FinBERT-type encoders, GPT-2 or Llama with a head) as an lm-eval model type.

`lm_eval --model hf-classifier --model_args pretrained=ProsusAI/finbert --tasks fin_fpb`
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm

from finbench.errors import FinbenchError
from finbench.hf.bits import merged
from finbench.hf.classes import class_names
from finbench.hf.forget import forget_texts
from finbench.hf.int8 import int8_linears
from finbench.hf.padding import Side, filled_up, padding_side
from finbench.hf.sharing import sharing_key
from finbench.hf.wrapped import virtual_tokens
from finbench.models.filling import AUTO_BATCH_TOKENS, CACHED_TOKENS, like_length, pad_token, reading_window
from finbench.models.heads import NO_NAME, load_classifier, quantisation
from finbench.models.loading import warn_of_cache
from finbench.models.pair import row_of

Text = tuple[str, ...]  # one text, or a pair


class ClassifierLM(LM):
    """Scores a row's classifier text, not its prompt: the log-probability of each label, found by name.

    `pretrained` is an id, a folder, or a loaded model (then with `tokenizer`, and without `peft`). `labels` names the
    classes in the order of the head, as a sequence or divided by "/" ("negative/neutral/positive"); without it the
    adapter's record does, else the configuration. `truncate` refuses too long an input, or cuts its end and notes the
    row in `truncated_requests` as (task, number of the row). `batch_size="auto"` fills batches to a number of tokens.
    `load_in_8bit`, `load_in_4bit` and `bnb_*` settings are `BitsAndBytesConfig`'s.

    A model's adapters may be switched between calls: nothing that depends on the weights is kept. A chat template,
    which lm-eval may ask for, shapes prompts, and they are not read.
    """

    reads_prompts = False
    tokenizer_name = ""

    def __init__(
        self,
        pretrained: Any,
        peft: str | None = None,
        revision: str | None = "main",
        dtype: str = "auto",
        batch_size: int | str = 16,
        max_batch_size: int | None = None,
        device: str | None = None,
        max_length: int | None = None,
        truncate: Literal["refuse", "report"] = "refuse",
        labels: str | Sequence[str] = (),
        tokenizer: Any = None,
        load_in_8bit: bool = False,
        load_in_4bit: bool = False,
        use_safetensors: bool | None = None,
        trust_remote_code: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__()
        if truncate not in ("refuse", "report"):
            raise FinbenchError(f"truncate={truncate!r} is unknown; give truncate=refuse or truncate=report.")
        names = tuple(labels.split("/")) if isinstance(labels, str) and labels else tuple(labels)
        if isinstance(pretrained, str):
            if unknown := [name for name in settings if not name.startswith(("bnb_", "llm_int8_"))]:
                raise FinbenchError(f"hf-classifier has no argument {', '.join(unknown)}.")
            options = {
                "dtype": dtype,
                "use_safetensors": use_safetensors,
                **quantisation(load_in_8bit, load_in_4bit, settings),
            }
            model, tokenizer, names = load_classifier(
                pretrained, peft, names, revision or "main", options, trust_remote_code
            )
            if not (load_in_8bit or load_in_4bit):
                model = model.to(_available(device))
        else:
            model = pretrained
            if tokenizer is None or peft is not None:
                raise FinbenchError("with a loaded model give its tokenizer, and put the adapter on it, not in peft=.")
        self.model, self.tokenizer, self._labels = model, tokenizer, names
        self.truncate = truncate
        self.truncated_requests: set[tuple[str, int]] = set()
        self._batch_size = None if str(batch_size).startswith("auto") else _positive("batch_size", batch_size)
        self._max_batch_size = None if max_batch_size is None else _positive("max_batch_size", max_batch_size)
        self._sides: dict[tuple[object, ...], Side] = {}
        self._checked: dict[Text, dict[str, list[int]]] = {}
        self._window = reading_window(model, tokenizer)
        if max_length is not None and not 0 < int(max_length) <= self._window:
            raise FinbenchError(f"max_length={max_length} is outside the model's window of {self._window} tokens.")
        self.max_length = self._window if max_length is None else int(max_length)

    @property
    def device(self) -> torch.device:
        """Return where the model is."""
        return next(self.model.parameters()).device

    @property
    def longest_input(self) -> int:
        """Return how many tokens the model reads: its window less an adapter's virtual tokens."""
        return min(self.max_length, self._window - virtual_tokens(self.model))

    def class_names(self) -> tuple[str, ...]:
        """Return the label names in the order of the head."""
        return self._labels or class_names(self.model.config)

    def get_model_info(self) -> dict[str, Any]:
        """Return what lm-eval adds to its results."""
        return {
            "model_num_parameters": sum(weight.numel() for weight in self.model.parameters()),
            "model_dtype": str(self.model.dtype),
            "model_labels": list(self.class_names()),
        }

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-probability of the label, whether it is the likeliest) for each request.

        A text runs once, however many labels are asked of it.

        Raises:
            FinbenchError: rows have no classifier text, the labels are not the task's, or an input is too long.

        """
        columns = [self._column(request) for request in requests]
        texts = [tuple(request.doc["classifier_text"]) for request in requests]
        encoded = {text: self._checked.get(text) or self.encode(text) for text in dict.fromkeys(texts)}
        self._checked.clear()
        for request, text in zip(requests, texts, strict=True):
            self._check_length(request, len(encoded[text]["input_ids"]))
        for text, ids in encoded.items():
            if len(ids["input_ids"]) > self.longest_input:
                encoded[text] = self.encode(text, truncation=True, max_length=self.longest_input)
        scores = self._scores(encoded, disable_tqdm)
        results = []
        for request, text, column in zip(requests, texts, columns, strict=True):
            result = (float(scores[text][column]), int(scores[text].argmax()) == column)
            self.cache_hook.add_partial("loglikelihood", request.args, result)
            results.append(result)
        return results

    def check(self, requests: Sequence[Instance]) -> None:
        """Raise `FinbenchError` if one of these requests is longer than the model reads.

        Their ids are kept until they are asked for, or until `forget`.
        """
        for request in requests:
            text = tuple(request.doc["classifier_text"])
            if text not in self._checked:
                self._checked[text] = self.encode(text)
            self._check_length(request, len(self._checked[text]["input_ids"]))

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Take the hook of `--use_cache`, and say what to know of it."""
        super().set_cache_hook(cache_hook)
        warn_of_cache(self)

    def chat_template(self, chat_template: bool | str = False) -> str:
        """Return none: no prompt is read."""
        return ""

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Return the turns below one another, for lm-eval's record of the prompt."""
        return "\n".join(turn["content"] for turn in chat_history)

    def forget(self) -> None:
        """Drop what is kept of texts, here and by the tokenizer."""
        self._checked.clear()
        forget_texts(self.tokenizer)

    def fold_adapter(self) -> None:
        """Fold the adapter into the base's weights; `finbench.hf.bits.can_merge` says whether that can be exact."""
        self.model = merged(self.model)

    def hold_in_int8(self) -> None:
        """Hold the base's matrices in 8 bits, for a processor."""
        self.model = int8_linears(self.model)

    def sample(self, texts: Sequence[str] = ("Sales rose", "Sales of all plants rose")) -> dict[str, torch.Tensor]:
        """Return a batch (B, T) of these texts, as the model reads it."""
        return self._tensors([self.encode([text]) for text in texts])

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Refuse: a classifier writes no text."""
        raise self._cannot(requests, "generates its answers")

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Refuse: a classifier gives text no probability."""
        raise self._cannot(requests, "measures the likelihood of text")

    def _cannot(self, requests: list[Instance], what: str) -> FinbenchError:
        names = sorted({str(request.task_name) for request in requests})
        return FinbenchError(
            f"{', '.join(names)} {what}, which a classifier cannot do: choose a task that compares labels, or a "
            "language model with --model hf."
        )

    def encode(self, text: Sequence[str], **cut: Any) -> dict[str, list[int]]:
        """Return the ids of one text or a pair, with segments where the model tells them apart."""
        encoded = self.tokenizer(*text, verbose=False, **cut)
        # a tokenizer may offer segments to a model that has none, where GPT-2 would take them for words
        kept = {"input_ids", "token_type_ids"} if self._has_segments() else {"input_ids"}
        return {name: list(ids) for name, ids in encoded.items() if name in kept}

    def _has_segments(self) -> bool:
        return (getattr(self.model.config, "type_vocab_size", None) or 0) > 1

    def _column(self, request: Instance) -> int:
        """Return which of the head's labels a request asks for."""
        doc = request.doc if isinstance(request.doc, dict) else {}
        if not doc.get("classifier_text"):
            raise FinbenchError(
                f"{request.task_name}: its rows have no text for a classifier (`classifier_text`): use --model hf."
            )
        names = [name.strip().lower() for name in self.class_names()]
        answer = request.args[1].strip().lower()
        choices = [str(choice) for choice in doc.get("choices") or [request.args[1].strip()]]
        if answer in names and {choice.strip().lower() for choice in choices} <= set(names):
            if "choices" not in doc or len(choices) == len(names):
                return names.index(answer)
        has = ", ".join(self.class_names())
        if all(NO_NAME.fullmatch(name.upper()) for name in names):
            raise FinbenchError(
                f"the model's classes have no names ({has}). Give them in the order of its head, such as "
                f"labels={'/'.join(choices)} in --model_args; an adapter keeps them as `labels` in its finbench.json."
            )
        raise FinbenchError(
            f"{request.task_name} asks for {', '.join(choices)}, but the model's classes are {has}. Choose a task with "
            "the model's classes, or name them with labels=, in the order of its head."
        )

    def _check_length(self, request: Instance, length: int) -> None:
        if length <= self.longest_input:
            return
        if self.truncate == "refuse":
            raise FinbenchError(
                f"{request.task_name}, row {row_of(request)}: the input has {length} tokens, the model reads "
                f"{self.longest_input}. "
                "Choose a base with a longer window, or truncate=report to cut inputs at their end and count them."
            )
        self.truncated_requests.add((str(request.task_name), int(request.doc_id or 0)))

    @torch.no_grad()
    def _scores(self, encoded: dict[Text, dict[str, list[int]]], disable_tqdm: bool) -> dict[Text, torch.Tensor]:
        """Return each text's log-probabilities (L,) in float32, on the CPU."""
        scores: dict[Text, torch.Tensor] = {}
        if training := self.model.training:
            self.model.eval()
        with tqdm(total=len(encoded), disable=disable_tqdm, desc="Classifying texts") as bar:
            for batch in self._batches(encoded):
                logits = self.model(**self._tensors([encoded[text] for text in batch])).logits  # (B, L)
                rows = torch.log_softmax(logits.float(), dim=-1).cpu()
                scores.update(zip(batch, rows, strict=True))
                bar.update(len(batch))
        if training:
            self.model.train()
        return scores

    def _batches(self, encoded: dict[Text, dict[str, list[int]]]) -> Iterator[list[Text]]:
        """Yield texts of like length, the longest first, so that memory that will not do fails at once."""
        lengths = {text: len(ids["input_ids"]) for text, ids in encoded.items()}
        most = min(self._batch_size or sys.maxsize, self._max_batch_size or sys.maxsize)
        tokens = sys.maxsize if self._batch_size else AUTO_BATCH_TOKENS
        if self.device.type == "cpu":
            tokens = min(tokens, CACHED_TOKENS)
        return like_length(lengths, most, tokens, alike=not self.padding_side())

    def padding_side(self) -> Side:
        """Return the side on which filling up a batch's shorter rows changes no answer, "" where both do."""
        key = sharing_key(self.model)
        if key not in self._sides:
            self._sides[key] = padding_side(self.model, pad_token(self.model, self.tokenizer))
        return self._sides[key]

    def _tensors(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Return a batch (B, T), its shorter rows filled up."""
        fill = {"input_ids": pad_token(self.model, self.tokenizer), "token_type_ids": 0}
        side = self.padding_side()
        tensors = {name: filled_up([row[name] for row in rows], fill[name], side) for name in rows[0]}
        tensors["attention_mask"] = filled_up([[1] * len(row["input_ids"]) for row in rows], 0, side)
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}


def _available(device: str | None) -> str:
    """Return the device; lm-eval's command line asks for "cuda:0" unless told otherwise, be there one or not."""
    has_gpu = torch.cuda.is_available()
    if device is None:
        return "cuda" if has_gpu else "cpu"
    return device if has_gpu or not device.startswith("cuda") else "cpu"


def _positive(name: str, value: int | str) -> int:
    if not str(value).isdigit() or int(value) < 1:
        raise FinbenchError(f"{name}={value} is no number above 0, nor `auto`.")
    return int(value)
