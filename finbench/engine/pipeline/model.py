"""A causal model split by layers over several processes, each on a device of its own, with passes in flight.

`lm_eval --model hf-fast --model_args pretrained=meta-llama/Llama-3.1-70B,pipeline=4 --tasks fin_fpb`

The command starts one process more for each further stage, on this machine. Where stages lie on several machines,
torchrun starts them all, and `pipeline` equals its number of processes; the first one reports:

`torchrun --nnodes 2 --nproc-per-node 4 ... -m lm_eval --model hf-fast --model_args pretrained=...,pipeline=8 ...`

Each stage reads and holds its own layers' weights alone. The first stage drives: it sends the others a function and its
arguments, which all run together. Log-likelihoods keep several passes in flight; generating, the stages take turns.
"""

import itertools
import os
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist

from finbench.engine.generate import Generator
from finbench.engine.likelihood import Query
from finbench.engine.pipeline.crew import CPU, crew_of
from finbench.engine.pipeline.passes import Passes, run_passes
from finbench.engine.pipeline.stage import (
    CONFIG_OPTIONS,
    ConnectedStage,
    Source,
    check_splittable,
    load_stage,
)
from finbench.errors import FinbenchError
from finbench.hf.attention import maskable_attention
from finbench.hf.bits import bits_config
from finbench.hf.load import refusing

LOADING = ("revision", "dtype", "trust_remote_code", "subfolder", "attn_implementation", "use_safetensors")
BESIDE = (
    *("parallelize", "device_map", "tp_plan", "delta", "autogptq", "gptqmodel", "gguf_file"),
    *("mixed_precision_dtype", "merge", "backend"),
)

_numbers = itertools.count()


class Pipeline:
    """A model whose first stage is here (`model`) and whose others are in the crew's processes."""

    def __init__(self, source: Source, stages: int) -> None:
        check_splittable(source, stages)
        self._crew, self._number = crew_of(stages), next(_numbers)
        answers = self._crew.together(_load, self._number, source)
        self._finalizer = weakref.finalize(self, self._crew.gone.append, self._number)
        if errors := [text for text, _, _ in answers if text]:
            raise FinbenchError(errors[0])
        self.parameters = sum(count for _, count, _ in answers)
        self._check_adapter(source.peft, [names for _, _, names in answers])

    @property
    def model(self) -> Any:
        """Return the first stage's model."""
        return self._crew.kept[self._number].model

    def _check_adapter(self, adapter: str | None, held: Sequence[set[str]]) -> None:
        """Refuse an adapter of which some weight is in no stage."""
        if not adapter:
            return
        from finbench.adapters.folder import read_adapter
        from finbench.adapters.wrap import weights_of

        if lost := weights_of(read_adapter(adapter).path).difference(*held):
            raise FinbenchError(
                f"{len(lost)} weights of the adapter {adapter} belong to no stage of the pipeline (such as "
                f"{sorted(lost)[0]}): leave pipeline out."
            )

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function of (the stages held, this model's number, arguments) in every stage's process."""
        return self._crew.together(function, self._number, *arguments)

    def score(
        self,
        queries: Sequence[Query],
        budget: int,
        softmax_dtype: torch.dtype | None,
        advance: Callable[[int], object],
    ) -> list[tuple[float, bool]]:
        """Return for each query the answer's log-likelihood and whether greedy decoding would give it."""
        if not queries:
            return []
        given = (self._number, tuple(queries), budget, softmax_dtype)
        results: list[tuple[float, bool]] = self._crew.together(_score, *given, advance=advance)
        return results

    def generate(
        self,
        contexts: Sequence[Sequence[int]],
        stop: Sequence[str],
        new_tokens: int,
        tokenizer: Any,
        budget: int,
        eos: Collection[int],
        advance: Callable[[int], object],
    ) -> list[list[int]]:
        """Return for each context the token ids that follow it, as `Generator` does."""
        given = (self._number, tuple(map(tuple, contexts)), tuple(stop), new_tokens, tokenizer, budget, eos)
        answers: list[list[int]] = self._crew.together(_generate, *given, advance=advance)
        return answers


def _load(held: dict[int, ConnectedStage], number: int, source: Source) -> list[tuple[str, int, set[str]]]:
    """Load this process's stage; return from all processes what went wrong, how many weights, and the adapter's."""
    rank, count = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if torch.cuda.is_available() else CPU
    answer: tuple[str, int, set[str]] = ("", 0, set())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        model, names = load_stage(source, rank, count, device)
        held[number] = ConnectedStage(model, rank, count, device)
        answer = ("", held[number].parameters, names)
    except Exception as error:  # said by the first stage, for all
        text = str(error) if isinstance(error, FinbenchError | OSError) else f"{type(error).__name__}: {error}"
        answer = (f"stage {rank} of {source.pretrained} cannot be loaded: {text}", 0, set())
    answers: list[Any] = [None] * count
    dist.all_gather_object(answers, answer)
    if not any(text for text, _, _ in answers):
        kind = [held[number].dtype]
        dist.broadcast_object_list(kind, 0, device=CPU)
        held[number].dtype = kind[0]  # hidden states travel as the embeddings are
    return answers


def _score(
    held: dict[int, ConnectedStage],
    number: int,
    queries: Sequence[Query],
    budget: int,
    softmax_dtype: torch.dtype | None,
    advance: Callable[[int], object] = lambda count: None,
) -> list[tuple[float, bool]]:
    stage = held[number].in_schedule()
    plan = Passes(queries, budget, softmax_dtype)
    with maskable_attention(stage.model):
        run_passes(stage, plan, advance)
    values = torch.tensor(plan.results(), dtype=torch.float64)  # (Q, 2)
    dist.broadcast(values, stage.count - 1)
    return [(value, bool(greedy)) for value, greedy in values.tolist()]


def _generate(
    held: dict[int, ConnectedStage],
    number: int,
    contexts: Sequence[Sequence[int]],
    stop: Sequence[str],
    new_tokens: int,
    tokenizer: Any,
    budget: int,
    eos: Collection[int],
    advance: Callable[[int], object] = lambda count: None,
) -> list[list[int]]:
    stage = held[number]
    with maskable_attention(stage.model):
        return Generator(stage, tokenizer, budget, eos, advance).generate(contexts, stop, new_tokens)


def source_of(pretrained: Any, arguments: Mapping[str, Any]) -> tuple[Source, dict[str, Any]]:
    """Return what a pipeline loads, by `hf-fast`'s arguments, and the arguments that are left.

    Raises:
        FinbenchError: an argument does not go with a pipeline.

    """
    if not isinstance(pretrained, str):
        raise FinbenchError("pipeline splits a model as it is loaded: give its id or folder.")
    if wrong := [name for name in BESIDE if arguments.get(name)]:
        raise FinbenchError(f"pipeline does not go with {', '.join(wrong)}: leave one of them out.")
    left = {name: value for name, value in arguments.items() if name not in BESIDE}
    options = {name: left[name] for name in LOADING if left.get(name) is not None}
    if isinstance(options.get("dtype"), str) and options["dtype"] != "auto":
        options["dtype"] = getattr(torch, options["dtype"])
    options = {"dtype": "auto", "trust_remote_code": False, **options}
    eight, four = left.pop("load_in_8bit", False), left.pop("load_in_4bit", False)
    if eight or four:
        settings = {name: left.pop(name) for name in list(left) if name.startswith(("bnb_", "llm_int8_"))}
        options["quantization_config"] = bits_config(eight, four, settings)
    for name in ("attn_implementation", "use_safetensors"):
        left.pop(name, None)
    left.setdefault("tokenizer", pretrained)
    return Source(pretrained, left.get("peft"), _words(left) if left.get("peft") else None, options), left


def _words(arguments: Mapping[str, Any]) -> int:
    """Return the number of words of the tokenizer that `hf-fast` is given, or loads."""
    from transformers import AutoTokenizer

    if not isinstance(arguments["tokenizer"], str):
        return len(arguments["tokenizer"])
    named = {name: arguments[name] for name in CONFIG_OPTIONS if name in arguments}
    with refusing(arguments["tokenizer"], "tokenizer"):
        return len(AutoTokenizer.from_pretrained(arguments["tokenizer"], **{"trust_remote_code": False, **named}))
