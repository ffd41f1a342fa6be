"""`hf-classifier`: encoders and other models with a classification head, scored on the rows of the same tasks.

`lm_eval --tasks fin_fpb --model hf-classifier --model_args pretrained=ProsusAI/finbert`
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from finbench.adapters.folder import Adapter, read_adapter
from finbench.errors import FinbenchError
from finbench.models.weights import bits_config

AUTO_BATCH = 64


class ClassifierLM(LM):  # type: ignore[misc]
    """A sequence classifier as an lm-eval model: it reads a row's `classifier_text` and scores labels by their names.

    `pretrained` is an id, a folder, or a loaded model (then with `tokenizer`); `peft` an adapter's folder or id.
    `labels` names the head's classes in order; without it they come from the adapter's record or the model's
    configuration. `truncate` is "refuse" (too long an input is an error) or "report" (cut on the right and noted in
    `truncated_requests`).
    """

    def __init__(
        self,
        pretrained: Any,
        peft: str | None = None,
        revision: str = "main",
        tokenizer: Any = None,
        labels: Sequence[str] | str | None = None,
        dtype: str | torch.dtype = "float32",
        batch_size: int | str = 16,
        max_batch_size: int | None = None,
        device: str | None = None,
        max_length: int | None = None,
        truncate: Literal["refuse", "report"] = "refuse",
        load_in_8bit: bool = False,
        load_in_4bit: bool = False,
        trust_remote_code: bool = False,
    ) -> None:
        super().__init__()
        if truncate not in ("refuse", "report"):
            raise FinbenchError(f"hf-classifier: truncate={truncate!r} is unknown; give refuse or report.")
        if trust_remote_code:
            raise FinbenchError("hf-classifier runs no code from a model's repository: leave trust_remote_code out.")
        self.truncate = truncate
        self.truncated_requests: set[tuple[str, str]] = set()
        adapter = read_adapter(peft) if peft else None
        if isinstance(pretrained, str | Path):
            options = _loading(dtype, load_in_8bit, load_in_4bit)
            pretrained, tokenizer = _load(str(pretrained), revision, adapter, tokenizer, device, options)
        elif adapter is not None:
            raise FinbenchError("hf-classifier: peft= goes with the name of a base, not with a model in memory.")
        self.model, self.tokenizer = pretrained.eval(), tokenizer
        self._labels = _class_names(self.model, labels, adapter)
        self._batch_size = AUTO_BATCH if str(batch_size).startswith("auto") else int(batch_size)
        if max_batch_size is not None:
            self._batch_size = min(self._batch_size, int(max_batch_size))
        self.max_length = _window(self.model, tokenizer, max_length)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        if self.model.config.get_text_config().pad_token_id is None:  # GPT-2's head finds a row's end by it
            self.model.config.get_text_config().pad_token_id = tokenizer.pad_token_id

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the names of the head's classes, in its order."""
        return self._labels

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return for each (row, label) the log of the label's probability, and whether it is the likeliest.

        A row runs once for all its labels.

        Raises:
            FinbenchError: a row has no classifier text or is too long, or a label is not one of the head's.

        """
        rows: dict[tuple[str, int], Instance] = {}
        for request in requests:
            rows.setdefault((request.task_name or "", request.doc_id or 0), request)
        for request in requests:
            self._place(request)
        scores = self._scores(list(rows.values()), disable_tqdm)
        of_row = dict(zip(rows, scores, strict=True))
        results = []
        for request in requests:
            values = of_row[request.task_name or "", request.doc_id or 0]
            place = self._place(request)
            results.append((values[place], place == max(range(len(values)), key=values.__getitem__)))
        return results

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Refuse: a classifier gives no likelihood of a text."""
        raise FinbenchError(f"{_name(requests[0])}: a classifier gives no likelihood of a text. Use --model hf-fast.")

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Refuse: a classifier generates nothing."""
        raise FinbenchError(
            f"{_name(requests[0])}: the task generates its answers, which a classifier cannot. "
            "Use --model hf-fast with a causal model, or a task that compares labels."
        )

    def classify(self, texts: Sequence[Sequence[str]], disable_tqdm: bool = True) -> list[list[float]]:
        """Return log-probabilities of the classes for each text or pair of texts, in the head's order; cuts nothing."""
        encoded = [self._encode(text) for text in texts]
        for text, ids in zip(texts, encoded, strict=True):
            if len(ids["input_ids"]) > self.max_length:
                raise FinbenchError(
                    f"a text of {len(ids['input_ids'])} tokens is longer than the {self.max_length} that the model "
                    f"reads: {text[0][:60]!r}..."
                )
        return self._run(encoded, disable_tqdm)

    def _place(self, request: Instance) -> int:
        """Return the place of the request's label in the head."""
        name = request.args[1].strip().lower()
        names = [label.lower() for label in self._labels]
        if name not in names:
            raise FinbenchError(
                f"{_name(request)}: the task's label {request.args[1].strip()!r} is none of the classifier's "
                f"({', '.join(self._labels)}). Use a model or adapter trained on these labels; "
                "labels=... names a head's classes in their order where the model does not."
            )
        return names.index(name)

    def _scores(self, rows: list[Instance], disable_tqdm: bool) -> list[list[float]]:
        encoded = []
        for request in rows:
            texts = (request.doc or {}).get("classifier_text")
            if not texts:
                raise FinbenchError(
                    f"{_name(request)}: the row has no text for a classifier (`classifier_text`). "
                    "Use --model hf-fast with a causal model for this task."
                )
            ids = self._encode(texts)
            if len(ids["input_ids"]) > self.max_length:
                if self.truncate == "refuse":
                    raise FinbenchError(
                        f"{_name(request)}: the input has {len(ids['input_ids'])} tokens, the model reads "
                        f"{self.max_length}. Choose a base with a longer window, or truncate=report to cut and count."
                    )
                self.truncated_requests.add((request.task_name or "", str(request.doc["id"])))
                ids = self._encode(texts, cut=True)
            encoded.append(ids)
        return self._run(encoded, disable_tqdm)

    def _encode(self, texts: Sequence[str], cut: bool = False) -> dict[str, list[int]]:
        ids = self.tokenizer(*texts, truncation=cut, max_length=self.max_length if cut else None, verbose=False)
        return {key: value for key, value in ids.items() if key in ("input_ids", "attention_mask", "token_type_ids")}

    @torch.inference_mode()
    def _run(self, encoded: Sequence[dict[str, list[int]]], disable_tqdm: bool) -> list[list[float]]:
        """Run rows in batches of similar length, padded on the right."""
        order = sorted(range(len(encoded)), key=lambda n: -len(encoded[n]["input_ids"]))
        results: list[list[float]] = [[] for _ in encoded]
        device = next(self.model.parameters()).device
        with tqdm(total=len(encoded), disable=disable_tqdm, desc="classifying rows", unit="row") as bar:
            for start in range(0, len(order), self._batch_size):
                batch = order[start : start + self._batch_size]
                padded = self.tokenizer.pad([encoded[n] for n in batch], padding_side="right", return_tensors="pt")
                logits = self.model(**padded.to(device)).logits.float()  # (B, L)
                for number, values in zip(batch, logits.log_softmax(-1).tolist(), strict=True):
                    results[number] = values
                bar.update(len(batch))
        return results


def _loading(dtype: str | torch.dtype, eight: bool, four: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"dtype": dtype, "use_safetensors": None}
    if eight or four:
        options["quantization_config"] = bits_config(eight, four, {})
    return options


def _load(
    base: str, revision: str, adapter: Adapter | None, tokenizer: Any, device: str | None, options: dict[str, Any]
) -> tuple[Any, Any]:
    """Load a classifier, with an adapter's head where there is one.

    Raises:
        FinbenchError: the weights cannot be had, or nothing brings a trained head.

    """
    if adapter is not None and not adapter.labels:
        raise FinbenchError(
            f"the adapter {adapter.name!r} names no labels (its folder has no finbench.json with `labels`), "
            "so its head cannot be built. Train it with `finbench finetune`, or write the record."
        )
    try:
        config = AutoConfig.from_pretrained(base, revision=revision)
        if adapter is not None:
            config.num_labels = len(adapter.labels)
            config.id2label = dict(enumerate(adapter.labels))
            config.label2id = {label: n for n, label in enumerate(adapter.labels)}
        model, report = AutoModelForSequenceClassification.from_pretrained(
            base,
            revision=revision,
            config=config,
            output_loading_info=True,
            ignore_mismatched_sizes=adapter is not None,  # the adapter brings its own head
            **options,
        )
        tokenizer = tokenizer or AutoTokenizer.from_pretrained(base, revision=revision)
    except (OSError, ValueError) as error:
        raise FinbenchError(
            f"the base {base!r} cannot be loaded as a classifier: {str(error).strip().splitlines()[0]}"
        ) from error
    untrained = sorted(name for name in report["missing_keys"] if "position_ids" not in name)
    if untrained and adapter is None:
        raise FinbenchError(
            f"the base {base!r} has no trained classification head ({', '.join(untrained[:3])} would be random). "
            "Give an adapter that brings one (peft=FOLDER), or a model that was fine-tuned as a classifier."
        )
    if "quantization_config" not in options:
        model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if adapter is not None:
        from peft import PeftModel

        try:
            model = PeftModel.from_pretrained(model, str(adapter.path))
        except (RuntimeError, ValueError, KeyError) as error:
            raise FinbenchError(
                f"the adapter {adapter.name!r} does not fit {base!r}: {str(error).strip().splitlines()[0]} "
                f"It was made for {adapter.base!r}."
            ) from error
    return model, tokenizer


def _class_names(model: Any, labels: Sequence[str] | str | None, adapter: Adapter | None) -> tuple[str, ...]:
    """Return the classes of the head by name.

    Raises:
        FinbenchError: they have no names, or not as many as the head has classes.

    """
    size = int(model.config.num_labels)
    if labels is not None:
        names = tuple(labels.split("/") if isinstance(labels, str) else labels)
    elif adapter is not None:
        names = adapter.labels
    else:
        names = tuple(str(model.config.id2label[n]) for n in range(size))
    if len(names) != size:
        raise FinbenchError(f"the head has {size} classes, {len(names)} names were given: {', '.join(names)}.")
    if all(name.startswith("LABEL_") for name in names):
        raise FinbenchError(
            f"the model does not say what its {size} classes are called ({', '.join(names)}). "
            "Give labels=first/second/... in the order of the head, which its card should tell."
        )
    return names


def _window(model: Any, tokenizer: Any, given: int | None) -> int:
    """Return how many tokens the model reads, less an adapter's virtual tokens."""
    config = model.config.get_text_config()
    limits = [float(tokenizer.model_max_length)]
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions:
        # RoBERTa's positions begin behind the padding token's
        begins = config.pad_token_id + 1 if "roberta" in config.model_type and config.pad_token_id else 0
        limits.append(positions - begins)
    prompts = getattr(model, "active_peft_config", None)
    virtual = (
        int(getattr(prompts, "num_virtual_tokens", 0) or 0) if getattr(prompts, "is_prompt_learning", False) else 0
    )
    longest = int(min(limit for limit in limits if not math.isinf(limit))) - virtual
    return min(longest, given) if given else longest


def _name(request: Instance) -> str:
    row = (request.doc or {}).get("id", request.doc_id)
    return f"{request.task_name or 'a request'}, row {row}"
