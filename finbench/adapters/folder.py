"""An adapter's folder: what it holds, what it hashes to, and which base it was made for.

Beside PEFT's adapter_config.json and adapter_model.safetensors lies finbench.json, the record of how the adapter was
made; it keeps what PEFT does not, a classifier's label names above all. Adapters without a record can be read too.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from finbench.adapters.base_hash import base_sha256, kept_sha256, weights_sha256
from finbench.documents import read_json
from finbench.errors import FinbenchError, first_line
from finbench.whole import write_text

RECORD = "finbench.json"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

TaskType = Literal["CAUSAL_LM", "SEQ_CLS", "SEQ_2_SEQ_LM"]

# Where an adapter was made, and by which versions: these do not change what it computes.
NO_MEANING = {"base_model_name_or_path", "revision", "auto_mapping", "inference_mode", "peft_version", "runtime_config"}

# Settings by which PEFT imports a module that the configuration names, or reads adapters from elsewhere, pickles too.
ELSEWHERE = {"megatron_config": "has PEFT import a module of its choice", "adapters": "has PEFT read other adapters"}

# What other places take from a record without asking again.
SHAPES: Mapping[str, type] = {
    **dict.fromkeys(("base", "rows", "recipe", "resources", "metrics", "parameters", "versions"), dict),
    **dict.fromkeys(("method", "precision", "task_type", "recipe_sha256", "created", "finbench_version"), str),
    "tasks": list,
    "adapter_bytes": int,
}

__all__ = [
    "RECORD",
    "Adapter",
    "base_sha256",
    "hash_adapter",
    "match_base",
    "read_adapter",
    "weights_sha256",
    "write_record",
]


@dataclass(frozen=True)
class Adapter:
    """An adapter on disk.

    `method` is the record's, or PEFT's type in lower case; `base` the id or folder it was made on; `labels` a
    classifier's label names in the order of its head (empty if unknown, and for language models); `precision` how the
    base's weights were held in training ("" if unknown); `record` the content of finbench.json, empty without one.
    """

    name: str
    path: Path
    sha256: str
    method: str
    task_type: TaskType
    base: str
    labels: tuple[str, ...]
    precision: str
    size_bytes: int
    record: Mapping[str, Any]


def read_adapter(path_or_hub_id: str) -> Adapter:
    """Return the adapter that lies in a folder or on the hub.

    Raises:
        FinbenchError: there is none, its weights are missing, broken or pickled, its type is unknown, or it names
            code or adapters of others.

    """
    folder = _folder_of(path_or_hub_id)
    config = _read_config(folder)
    _check_alone(config, folder)
    _check_weights(folder)
    record = _read_record(folder)
    recorded_base = record.get("base") or {}
    return Adapter(
        name=path_or_hub_id.rstrip("/").rpartition("/")[2] if not Path(path_or_hub_id).exists() else folder.name,
        path=folder,
        sha256=hash_adapter(folder),
        method=str(record.get("method") or str(config.get("peft_type", "")).lower()),
        task_type=_task_type(config, folder),
        base=str(recorded_base.get("id") or config.get("base_model_name_or_path") or ""),
        labels=tuple(record.get("labels", ())),
        precision=str(record.get("precision") or ""),
        size_bytes=(folder / WEIGHTS).stat().st_size,
        record=record,
    )


def hash_adapter(folder: Path) -> str:
    """Return a SHA-256 over what an adapter computes: its configuration's meaning, its weights and its labels.

    The same adapter in another folder, with another card or made elsewhere has the same hash; one that was retrained in
    place has another.

    Raises:
        FinbenchError: the folder holds no adapter.

    """
    config = {key: value for key, value in _read_config(folder).items() if key not in NO_MEANING}
    _check_weights(folder)
    digest = hashlib.sha256(json.dumps(_ordered(config), sort_keys=True).encode())
    digest.update(kept_sha256(folder / WEIGHTS).encode())
    digest.update(json.dumps(_read_record(folder).get("labels", [])).encode())
    return digest.hexdigest()


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write finbench.json into an adapter's (or a whole model's) folder, so that it is there whole or not at all.

    Keys: finbench_version, method, task_type, labels, base {id, revision, sha256}, precision, tasks, rows {task:
    {source, sha256, count}}, prompts {task: what `finbench.predict.prompt.Prompt` holds}, recipe, recipe_sha256,
    resources, metrics, parameters {trainable, total}, adapter_bytes, versions {package: version}, created.

    Raises:
        FinbenchError: the labels are no list of different names.

    """
    _check_labels(record, folder)
    write_text(folder / RECORD, json.dumps(_strict(record), indent=2, ensure_ascii=False) + "\n")


def match_base(adapter: Adapter, base: str, revision: str | None = None) -> None:
    """Refuse a base that the adapter was not made for.

    Where the adapter's record has its base's hash, the hashes of configuration and weights decide, whatever the paths
    and the tokenizer's files. Without one, they decide if the folder that it names is there, and two ids of the hub are
    compared by their last part. Other paths prove nothing: there the sizes decide when PEFT loads the adapter.

    Raises:
        FinbenchError: the adapter was made for another base.

    """
    recorded = (adapter.record.get("base") or {}).get("sha256")
    if recorded:
        if recorded in (weights_sha256(base, revision), base_sha256(base, revision)):
            return
        here = f"{base} at revision {revision}" if revision else base
        raise FinbenchError(
            f"the adapter {adapter.name} was made for another base: for {adapter.base} (hash {recorded[:12]}), not for "
            f"{here} (hash {weights_sha256(base, revision)[:12]}). Give it its own base, or train one for this base."
        )
    if not adapter.base or adapter.base == base:
        return
    if Path(adapter.base).is_dir():
        differs = weights_sha256(adapter.base) != weights_sha256(base, revision)
    else:
        both_ids = _is_hub_id(adapter.base) and not Path(base).is_dir()
        differs = both_ids and Path(adapter.base).name.lower() != Path(base).name.lower()
    if differs:
        raise FinbenchError(
            f"the adapter {adapter.name} was made for {adapter.base}, not for {base}. Give it its own base; if both "
            f"are the same model, name this one as `base_model_name_or_path` in {adapter.path / CONFIG}."
        )


def _folder_of(given: str) -> Path:
    path = Path(given).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise FinbenchError(f"{given} is a file: give the adapter's folder, the one with {CONFIG}.")
    if not _is_hub_id(given):
        raise FinbenchError(f"there is no folder {given}: give an adapter's folder or its id on the hub.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(given, allow_patterns=[CONFIG, WEIGHTS, "adapter_model.bin", RECORD]))
    except (OSError, ValueError) as error:
        raise FinbenchError(
            f"{given} is no folder here, and as an id it cannot be had from the hub ({first_line(error)}). "
            "Check the name, the network and, for a gated adapter, your login."
        ) from error


def _read_config(folder: Path) -> dict[str, Any]:
    if (folder / CONFIG).is_file():
        return _read_json(folder / CONFIG)
    if (folder / "config.json").is_file():
        raise FinbenchError(f"{folder} holds a whole model, no adapter: give it as the base, not as the adapter.")
    raise FinbenchError(f"{folder} is no adapter's folder: it has no {CONFIG}. `finbench finetune` and PEFT write one.")


def _check_alone(config: Mapping[str, Any], folder: Path) -> None:
    for name, effect in ELSEWHERE.items():
        if config.get(name):
            raise FinbenchError(
                f"{folder / CONFIG}: {name} {effect}, which finbench does not do for an adapter's file."
            )


def _read_record(folder: Path) -> dict[str, Any]:
    if not (folder / RECORD).is_file():
        return {}
    record = _read_json(folder / RECORD)
    for name, kind in SHAPES.items():
        if not isinstance(record.get(name), kind | None):
            shown = type(record[name]).__name__
            raise FinbenchError(
                f"{folder / RECORD}: {name} is a {shown} where a {kind.__name__} belongs: save it again."
            )
    _check_labels(record, folder)
    return record


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except FinbenchError as error:
        raise FinbenchError(f"{path} cannot be read as JSON ({error}): save the adapter again.") from error
    if not isinstance(content, dict):
        raise FinbenchError(f"{path} holds a {type(content).__name__} where an object belongs: save the adapter again.")
    return content


def _task_type(config: Mapping[str, Any], folder: Path) -> TaskType:
    for kind in get_args(TaskType):
        if config.get("task_type") == kind:
            return kind
    raise FinbenchError(
        f"{folder / CONFIG}: task_type is {config.get('task_type')!r}; write the one it was trained for there, of "
        f"{', '.join(get_args(TaskType))}."
    )


def _strict(value: Any) -> Any:
    """Return a record as strict JSON can hold it: a loss that became NaN is null."""
    if isinstance(value, Mapping):
        return {key: _strict(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ordered(value: Any) -> Any:
    """Return a configuration with its lists of names sorted: PEFT saves them from sets, in any order."""
    if isinstance(value, Mapping):
        return {key: _ordered(part) for key, part in value.items()}
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return sorted(value)
    return value


def _check_labels(record: Mapping[str, Any], folder: Path) -> None:
    labels = record.get("labels", [])
    good = isinstance(labels, list | tuple) and all(isinstance(label, str) and label for label in labels)
    if not good or len({label.lower() for label in labels}) != len(labels):
        raise FinbenchError(f"{folder / RECORD}: labels is {labels!r}; a list of different names belongs there.")


def _check_weights(folder: Path) -> None:
    from safetensors import SafetensorError, safe_open

    if not (folder / WEIGHTS).is_file():
        if (folder / "adapter_model.bin").is_file():
            raise FinbenchError(
                f"the adapter in {folder} is a pickle (adapter_model.bin), which can run any code when it is loaded. "
                f"Have its maker save it as {WEIGHTS}."
            )
        raise FinbenchError(f"the adapter in {folder} has no weights: {WEIGHTS} is missing. Save or copy it again.")
    try:
        with safe_open(folder / WEIGHTS, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise FinbenchError(f"{folder / WEIGHTS} is broken ({error}): save or copy the adapter again.") from error


def _is_hub_id(given: str) -> bool:
    return re.fullmatch(r"[\w.-]+(/[\w.-]+)?", given) is not None and not given.startswith(".")
