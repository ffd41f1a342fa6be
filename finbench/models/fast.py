"""`hf-fast`: lm-eval's `hf` with shared prefixes, same arguments and same results at several times the speed.

`lm_eval --model hf-fast --model_args pretrained=gpt2,peft=adapters/recipe --tasks fin_fpb`
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from tqdm import tqdm

from finbench.adapters.folder import read_adapter
from finbench.adapters.wrap import check_known, check_whole
from finbench.engine.generate import Generator
from finbench.engine.likelihood import Query, Scorer, paying_tokens, token_budget
from finbench.engine.model import SharedModel
from finbench.errors import FinbenchError
from finbench.hf.attention import maskable_attention
from finbench.hf.bits import bits_config, keep_layout, merged
from finbench.hf.forget import forget_texts
from finbench.hf.fused import fused_activations
from finbench.hf.generation import check_generation, is_greedy
from finbench.hf.load import check_bare, forget_gguf, refusing
from finbench.hf.prompts import connect
from finbench.hf.wrapped import base_of, virtual_tokens
from finbench.models.ids import KeptIds
from finbench.models.loading import warn_of_cache, whole_checkpoints, window_of
from finbench.models.pair import check_has_tokens, encode_pair, name_of, refuse_nan, row_of
from finbench.models.sharing import left_to_hf
from finbench.models.threads import fitting_threads

Encoded = tuple[tuple[str, str] | None, list[int], list[int]]
# Once started, answers grow by a token a pass, which many rows share: more rows pay even on narrow models.
GENERATED_TOKENS = 2048


class FastLM(HFLM):
    """lm-eval's `HFLM` with each shared prefix computed once, and the LM head run only where an answer is read.

    Beside `HFLM`'s arguments: `truncate` ("refuse" too long an input, or cut it as `HFLM` does and "report" it in
    `truncated_requests`), `merge` (fold a LoRA into its float base first), and `load_in_8bit` or `load_in_4bit` with
    `bnb_*` settings as `BitsAndBytesConfig` names them (4-bit weights are nf4 unless `bnb_4bit_quant_type` says fp4).
    Models that cannot share prefixes are scored as `hf` does: a warning says so once, `not_shared` holds why (since it
    was last set to ""), and `strict` refuses instead.

    `pipeline` splits the model by layers over that many processes (see `finbench.engine.pipeline.model`).

    `pretrained` may be a loaded model; its adapters may be switched between calls, for nothing that depends on the
    weights is kept.
    """

    def __init__(
        self,
        pretrained: Any,
        *args: Any,
        truncate: Literal["refuse", "report"] = "refuse",
        merge: bool = False,
        pipeline: int | None = None,
        strict: bool = False,
        **kwargs: Any,
    ) -> None:
        if truncate not in ("refuse", "report"):
            raise FinbenchError(f"hf-fast: truncate={truncate!r} is unknown; give truncate=refuse or truncate=report.")
        if not args:
            kwargs.setdefault("device", "cuda:0")  # which falls back to the CPU; `HFLM`'s own default does not
        self.pipeline: Any = None
        if pipeline:
            from finbench.engine.pipeline.model import Pipeline, source_of

            source, kwargs = source_of(pretrained, {**kwargs, "merge": merge})
            self.pipeline = Pipeline(source, int(pipeline))
            pretrained = self.pipeline.model
        with refusing(pretrained) if isinstance(pretrained, str) else nullcontext():
            super().__init__(pretrained, *args, **kwargs)
        self.truncate = truncate
        self.truncated_requests: set[tuple[str, int]] = set()
        self.strict, self.not_shared = strict, ""
        self.reasons: dict[tuple[object, ...], str] = {}
        self.said: set[str] = set()
        self._kept = KeptIds()
        if merge:
            self._model = merged(self.model)

    def _create_model(
        self,
        pretrained: str,
        *,
        quantization_config: Any = None,
        load_in_8bit: bool = False,
        load_in_4bit: bool = False,
        **kwargs: Any,
    ) -> None:
        """Load the model as `HFLM` does, quantised by bitsandbytes where that is asked for."""
        if load_in_8bit or load_in_4bit:
            if quantization_config is not None:
                raise FinbenchError(
                    f"{pretrained} is already quantised ({quantization_config.quant_method}): "
                    "leave load_in_8bit and load_in_4bit out."
                )
            settings = {name: kwargs.pop(name) for name in list(kwargs) if name.startswith(("bnb_", "llm_int8_"))}
            quantization_config = bits_config(load_in_8bit, load_in_4bit, settings)
        if kwargs.get("peft"):
            adapter = read_adapter(kwargs["peft"])
            if adapter.task_type == "SEQ_CLS":
                raise FinbenchError(
                    f"the adapter {adapter.name} was trained for a classifier: use --model hf-classifier."
                )
            check_known(adapter.path)
        with whole_checkpoints(self):
            super()._create_model(pretrained, quantization_config=quantization_config, **kwargs)
        check_bare(base_of(self.model), pretrained)
        forget_gguf(base_of(self.model))
        keep_layout(self.model)
        if kwargs.get("peft"):
            check_whole(self.model, read_adapter(kwargs["peft"]).path)
            connect(self.model)

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Take the hook of `--use_cache`, and say what to know of it."""
        super().set_cache_hook(cache_hook)
        warn_of_cache(self)

    def tok_encode(
        self,
        string: str,
        add_special_tokens: bool | None = None,
        left_truncate_len: int | None = None,
        **kwargs: Any,
    ) -> list[int]:
        """Return the ids that `HFLM` gives; a text is tokenised once."""
        ids = self._kept.of(string, add_special_tokens, lambda: HFLM.tok_encode(self, string, add_special_tokens))
        return ids[-left_truncate_len:] if left_truncate_len else ids

    def get_model_info(self) -> dict[str, Any]:
        """Return what lm-eval adds to its results; a pipeline's weights are those of all stages."""
        info: dict[str, Any] = super().get_model_info()
        return info if self.pipeline is None else {**info, "model_num_parameters": self.pipeline.parameters}

    @property
    def longest_input(self) -> int:
        """Return how many tokens the model reads: its window less an adapter's virtual tokens."""
        return window_of(self) - virtual_tokens(self.model)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-likelihood, whether greedy decoding gives the answer) for each request.

        Raises `FinbenchError` if a request is longer than the model reads (unless truncate="report") or a value is NaN.
        """
        self.check(requests)
        values: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        for request, (value, _) in zip(requests, values, strict=True):
            refuse_nan(request, value)
        return values

    def check(self, requests: Sequence[Instance]) -> None:
        """Raise `FinbenchError` if a request for a likelihood is longer than the model reads, or its answer empty."""
        for request in requests:
            context, answer = request.args
            before, after = encode_pair(self, context, answer) if context else ([0], self.tok_encode(answer, False))
            check_has_tokens(after, answer, request.task_name, row_of(request))
            if self.backend == "seq2seq":
                self._check_length(request, len(before), self.max_length)
            else:  # an answer's last token is only predicted
                self._check_length(request, len(before) + len(after) - 1, self.longest_input)

    def fold_adapter(self) -> None:
        """Fold the adapter into the base's weights; `finbench.hf.bits.can_merge` says whether that can be exact."""
        self._model = merged(self.model)

    def forget(self) -> None:
        """Drop the ids of all texts that were tokenised, and what the tokenizer itself keeps of them."""
        self._kept.forget()
        forget_texts(self.tokenizer)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return the log-likelihood of each whole text, as `HFLM` does.

        Raises `FinbenchError` if a value is NaN.
        """
        values: list[float] = super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)
        for request, value in zip(requests, values, strict=True):
            refuse_nan(request, value)
        return values

    def _loglikelihood_tokens(
        self, requests: list[Encoded], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """Score encoded (prompt, answer) pairs; what does not fit loses its left side."""
        most = self.longest_input + 1  # an answer's last token is never read
        queries = [Query((*context, *answer)[-most:], len(answer)) for _, context, answer in requests]
        if any(query.answer >= len(query.tokens) for query in queries):
            raise FinbenchError(
                f"an answer alone fills the {self.longest_input} tokens that the model reads: choose a base with a "
                "longer window, or a larger max_length if the base allows it."
            )
        longest = max((len(query.tokens) - 1 for query in queries), default=0)
        if left_to_hf(self, longest):
            values: list[tuple[float, bool]] = super()._loglikelihood_tokens(requests, disable_tqdm, override_bs)
            return values
        paying = paying_tokens(getattr(self.model.config.get_text_config(), "hidden_size", 0), self.device)
        with self.passes(len(requests), "loglikelihood", disable_tqdm) as advance:
            budget = token_budget(self._batch_size(override_bs), longest, paying)
            if self.pipeline is not None:
                results = self.pipeline.score(queries, budget, self.softmax_dtype, advance)
            else:
                results = Scorer(SharedModel(self.model), budget, self.softmax_dtype, advance).score(queries)
        for (strings, _, _), result in zip(requests, results, strict=True):
            if strings is not None:  # windows of a rolling likelihood are cached as a whole by the caller
                self.cache_hook.add_partial("loglikelihood", strings, result)
        return results

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return the text that follows each context, cut at its stop strings.

        Raises `FinbenchError` if a context leaves no room for its answer (unless truncate="report").
        """
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(repr(request.args[1]), []).append(number)
        answers: dict[int, str] = {}
        for numbers in groups.values():
            group = [requests[number] for number in numbers]
            answers.update(zip(numbers, self._generate_alike(group, disable_tqdm), strict=True))
        return [answers[number] for number in range(len(requests))]

    def _generate_alike(self, requests: list[Instance], disable_tqdm: bool) -> list[str]:
        """Answer requests that share their generation settings."""
        given = requests[0].args[1]
        settings = dict(normalize_gen_kwargs(given, self.max_gen_toks))
        new_tokens = int(settings.pop("max_gen_toks"))
        # an encoder-decoder writes its answer elsewhere than where it reads
        room = self.max_length if self.backend == "seq2seq" else self.longest_input - new_tokens
        contexts = [self._context_ids(request.args[0]) for request in requests]
        for request, context in zip(requests, contexts, strict=True):
            self._check_length(request, len(context), room, f" and an answer of up to {new_tokens}")
        longest = min(max(map(len, contexts)), room) + new_tokens
        simple = is_greedy(settings, self.model.generation_config) and self.think_end_token is None
        if not simple and self.pipeline is not None:
            raise FinbenchError("pipeline generates greedily, without sampling or thinking: leave pipeline out.")
        if not simple or left_to_hf(self, longest):
            check_generation(self.model)
            texts: list[str] = super().generate_until(requests, disable_tqdm)
            return texts
        stop = handle_stop_sequences(settings.pop("until", None), eos=self.tok_decode(self.eot_token_id, False))
        eos = self.model.generation_config.eos_token_id
        with self.passes(len(requests), "generate_until", disable_tqdm) as advance:
            budget = token_budget(self._batch_size(None), longest, GENERATED_TOKENS)
            ends = eos if isinstance(eos, list) else [eos]
            cut = [context[-room:] for context in contexts]
            if self.pipeline is not None:
                ids = self.pipeline.generate(cut, stop, new_tokens, self.tokenizer, budget, ends, advance)
            else:
                generator = Generator(SharedModel(self.model), self.tokenizer, budget, ends, advance)
                ids = generator.generate(cut, stop, new_tokens)
        answers = [postprocess_generated_text(self.tok_decode(answer), stop, None) for answer in ids]
        for request, answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, answer)
        return answers

    def _batch_size(self, override: int | None) -> int | None:
        """Return the rows of a batch, None for `batch_size=auto`."""
        return override or (None if self.batch_size == "auto" else self.batch_size)

    def _context_ids(self, context: str) -> list[int]:
        """Return a context's ids as `HFLM` encodes it before generating; a text is tokenised once."""
        return self._kept.of(context, "context", lambda: self.tok_batch_encode([context])[0][0].tolist())

    @contextmanager
    def passes(self, total: int, kind: str, disable_tqdm: bool) -> Iterator[Callable[[int], object]]:
        """Set precision, attention and a progress bar for a run of passes; gives what moves the bar."""
        precision = torch.autocast(
            self.device.type, self.mixed_precision_dtype, enabled=self.mixed_precision_dtype is not None
        )
        bar = tqdm(total=total, disable=disable_tqdm or self.rank != 0, desc=f"Running {kind} requests")
        threads = fitting_threads(self.device, total)
        with threads, precision, maskable_attention(self.model), fused_activations(self.model), bar:
            yield bar.update

    def _check_length(self, request: Instance, length: int, room: int, beside: str = "") -> None:
        """Refuse an input that is longer than the model reads, or note it where truncation is reported."""
        if length <= room:
            return
        if self.truncate == "refuse" or room < 1:
            raise FinbenchError(
                f"{name_of(request)}: the input has {length} tokens, the model reads {max(room, 0)}{beside}. Choose a "
                "base with a longer window, or truncate=report to cut inputs on the left and count them."
            )
        self.truncated_requests.add((request.task_name or "", request.doc_id or 0))
