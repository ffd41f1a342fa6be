"""A base with an adapter, or an exported model, loaded with what it is asked and how its weights are held."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from finbench.adapters.folder import RECORD
from finbench.documents import read_json
from finbench.errors import FinbenchError
from finbench.predict.calibration import read_temperature
from finbench.predict.prompt import Prompt, first_of, for_classifier, prompt_of, recorded
from finbench.settings import filled

DEFAULT_TASK = "fin_fpb"
EXPORTED = "exported.json"  # beside an exported model: what it was made from, and what it is asked
DYNAMIC = "int8 (dynamic)"  # what --int8 makes of a classifier: weights rounded once, inputs as they come
FLOATS = ("float32", "bfloat16", "float16", "onnx float32")  # what answers as the model was trained to


@dataclass(frozen=True)
class Loaded:
    """A model with what it is asked; `precision` says how its weights are held, `reload` loads it anew.

    `source` names base and adapter with their hashes.
    """

    lm: Any
    prompt: Prompt
    temperature: float
    precision: str
    classifier: bool
    source: Mapping[str, Any]
    reload: Callable[[], Any]


def load(
    base: str,
    adapter: str | None,
    task: str | None,
    revision: str | None,
    trust_remote_code: bool,
    bits: int | None,
    int8: bool,
    batch_size: int,
    calibrated: bool,
) -> Loaded:
    """Return a model, whichever way it is kept: `bits` are bitsandbytes', `int8` is `finbench.hf.int8`.

    Raises:
        FinbenchError: base, adapter or task cannot be had, or they do not go together.

    """
    if (Path(base) / EXPORTED).is_file():
        return _exported(base, adapter, task, bool(bits or int8), batch_size)
    from finbench.adapters.folder import match_base, read_adapter

    made = read_adapter(adapter) if adapter else None
    if made is not None:
        match_base(made, base, revision)
    options: dict[str, Any] = {"revision": revision or "main", "batch_size": batch_size}
    options["trust_remote_code"] = trust_remote_code
    classifier = _is_classifier(base, made, options)
    if int8:
        _check_int8(base, bits, classifier)
    options |= {f"load_in_{bits}bit": True} if bits else {}
    prompt = _recorded_prompt(made, task)
    if prompt is None and not classifier:  # before the weights, which take longer
        prompt = _prompt_of_task(_chosen(made, task))
    reload = partial(_model, base, str(made.path) if made is not None else None, classifier, options, int8)
    lm = reload()
    if prompt is None:
        labels = made.labels if made is not None and made.labels else lm.class_names()
        prompt = for_classifier(_chosen(made, task), labels)
    temperature = read_temperature(made.path, made.sha256, prompt.task) if made and calibrated else 1.0
    held = f"{bits} bits (bitsandbytes)" if bits else str(lm.model.dtype).removeprefix("torch.")
    precision = DYNAMIC if int8 else held
    source = {"base": base, "adapter": made.name if made else None, "adapter_sha256": made.sha256 if made else None}
    return Loaded(lm, prompt, temperature, precision, classifier, source, reload)


def _check_int8(base: str, bits: int | None, classifier: bool) -> None:
    if bits:
        raise FinbenchError(f"--bits {bits} and --int8 are two ways to quantise a model: give one of them.")
    if not classifier:
        raise FinbenchError(f"--int8 is for classifiers, and {base} is a language model: give --bits 8 or --bits 4.")
    if _has_gpu():
        raise FinbenchError("--int8 is for processors, and this machine has a GPU: give --bits 8, or leave it out.")


def _exported(base: str, adapter: str | None, task: str | None, quantised: bool, batch_size: int) -> Loaded:
    """Return a model that `finbench export onnx` wrote, which holds its adapter, its precision and its task."""
    if adapter or quantised:
        raise FinbenchError(
            f"{base} is an exported model, which holds its adapter and its precision: leave --adapter, --bits "
            "and --int8 out, or export it again."
        )
    from finbench.models.onnx import exported_classifier

    found = read_json(Path(base) / EXPORTED)
    wanted = {"prompt", "precision", "temperature", "made_from"}
    if not isinstance(found, dict) or not wanted <= set(found):
        raise FinbenchError(f"{Path(base) / EXPORTED} is no record of an export: export the model again.")
    prompt = filled(Prompt, found["prompt"], "prompt")
    if task is not None and first_of(task) != prompt.task:
        raise FinbenchError(f"{base} was exported for {prompt.task}, not for {task}: leave --task out.")
    reload = partial(exported_classifier, base, batch_size)
    temperature, precision = float(found["temperature"]), str(found["precision"])
    return Loaded(reload(), prompt, temperature, precision, True, dict(found["made_from"]), reload)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _chosen(made: Any, task: str | None) -> str:
    """Return the task that is asked: the given one, the adapter's first, or the default; of a group, its first."""
    trained_on = list(made.record.get("tasks", [])) if made is not None else []
    return first_of(task or (str(trained_on[0]) if trained_on else DEFAULT_TASK))


def _recorded_prompt(made: Any, task: str | None) -> Prompt | None:
    """Return the prompt that lies beside the adapter."""
    if made is None or not made.record.get("prompts"):
        return None
    return recorded(made.record, _chosen(made, task), made.path / RECORD)


def _prompt_of_task(name: str) -> Prompt:
    """Return a task's prompt from the task itself, whose shot is one of its rows."""
    from finbench.tasks.load import load_tasks

    return prompt_of(name, load_tasks([name])[name])


def _is_classifier(base: str, made: Any, options: dict[str, Any]) -> bool:
    """Return whether the adapter, or else the base's own head, chooses between classes."""
    from finbench.hf.classes import own_classes
    from finbench.hf.load import load_config

    if made is not None:
        return bool(made.task_type == "SEQ_CLS")
    return bool(own_classes(load_config(base, options["revision"], options["trust_remote_code"])))


def _model(base: str, peft: str | None, classifier: bool, options: dict[str, Any], int8: bool) -> Any:
    """Return hf-classifier or hf-fast around the base; with `int8` its adapter is folded in before weights are rounded.

    Their tokenizers keep no text from now on.
    """
    from finbench.hf.bits import can_merge
    from finbench.hf.load import gguf_of

    place, gguf = gguf_of(base)
    options = {**options, **gguf, "use_safetensors": True}  # a pickle can run code as it is read
    lm: Any
    if classifier:
        from finbench.models.classifier import ClassifierLM

        lm = ClassifierLM(pretrained=base, peft=peft, **options)
    else:
        from finbench.models.fast import FastLM

        lm = FastLM(pretrained=place, peft=peft, **options)
    lm.forget()
    if int8:
        if can_merge(lm.model):
            lm.fold_adapter()
        lm.hold_in_int8()
    return lm
