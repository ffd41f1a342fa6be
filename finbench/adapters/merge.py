"""Several LoRA adapters of one base as one, by PEFT's weighted merges: linear, cat, TIES, DARE.

TIES is Yadav et al. 2023 (arXiv:2306.01708), DARE Yu et al. 2023 (arXiv:2311.03099).
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from finbench.adapters.folder import CONFIG, RECORD, WEIGHTS, Adapter, match_base, read_adapter, write_record
from finbench.adapters.wrap import check_known
from finbench.documents import read_json
from finbench.errors import FinbenchError
from finbench.hf.load import load_model
from finbench.settings import one_of

How = Literal["ties", "dare_ties", "dare_linear", "linear", "cat"]
THINNED = ("ties", "dare_ties", "dare_linear")  # which keep a part of the weights
CLASSES = {"SEQ_CLS": "AutoModelForSequenceClassification", "CAUSAL_LM": "AutoModelForCausalLM"}
ALIKE = ("target_modules", "use_dora", "use_rslora", "bias", "fan_in_fan_out", "modules_to_save")


@dataclass(frozen=True)
class Merge:
    """How adapters are merged: each with its weight; `density` is the part of the weights that TIES and DARE keep."""

    how: How = "linear"
    weights: tuple[float, ...] = ()
    density: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("how", self.how, get_args(How))
        if not 0 < self.density <= 1:
            raise FinbenchError(
                f"density is {self.density}; it is the part of the weights that is kept: above 0, to 1."
            )


def merge(given: Sequence[str], settings: Merge, output: Path, base: str | None = None) -> dict[str, Any]:
    """Write the merged adapter's folder and return its record; `base` names another copy of the adapters' base.

    Modules that were trained whole, such as a classifier's head, are averaged by the weights.

    Raises:
        FinbenchError: the adapters do not go together, or the output holds something.

    """
    adapters = [read_adapter(one) for one in given]
    if len(adapters) != len(settings.weights) or len(adapters) < 2 or not sum(settings.weights):
        raise FinbenchError(
            f"{len(adapters)} adapters and {len(settings.weights)} weights: give two adapters or more, and for each a "
            "weight; their sum may not be 0."
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FinbenchError(f"--output {output} is there already: name a folder that is new or empty.")
    configs = [read_json(one.path / CONFIG) for one in adapters]
    _check(adapters, configs, settings)
    place = base or adapters[0].base
    for one in adapters:
        match_base(one, place, _revision(adapters[0]) or None)
    tensors = _merged(adapters, place, settings)
    rank = sum(config["r"] for config in configs) if settings.how == "cat" else configs[0]["r"]
    config = {**configs[0], "r": rank, "lora_alpha": rank, "alpha_pattern": {}, "rank_pattern": {}}
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".merge-") as name:
        part = Path(name) / "adapter"
        part.mkdir()
        record = _write(part, config, tensors, adapters, settings)
        if output.is_dir():
            output.rmdir()
        shutil.move(part, output)
    return record


def _check(adapters: Sequence[Adapter], configs: Sequence[Mapping[str, Any]], settings: Merge) -> None:
    """Refuse adapters that PEFT could merge only into something else than their weighted sum."""
    first, config = adapters[0], configs[0]
    for one, its in zip(adapters, configs, strict=True):
        if its.get("peft_type") != "LORA" or its.get("use_dora") or its.get("use_rslora"):
            raise FinbenchError(f"{one.name} is of method {one.method}; only plain LoRA adapters can be merged.")
        if one.task_type not in CLASSES or one.task_type != first.task_type or one.labels != first.labels:
            raise FinbenchError(
                f"{first.name} and {one.name} are for other roles or labels: merge adapters of the same."
            )
        for name in ALIKE:
            if _set(its.get(name)) != _set(config.get(name)):
                raise FinbenchError(
                    f"{first.name} and {one.name} differ in {name} ({config.get(name)} and {its.get(name)}): merge "
                    "adapters that change the same modules in the same way."
                )
        if its["r"] != config["r"] and settings.how != "cat":
            raise FinbenchError(
                f"{first.name} is of rank {config['r']}, {one.name} of {its['r']}, and {settings.how} adds matrices of "
                "one shape: use --how cat, which lays ranks side by side."
            )


def _set(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def _revision(adapter: Adapter) -> str:
    return str((adapter.record.get("base") or {}).get("revision") or "")


def _merged(adapters: Sequence[Adapter], base: str, settings: Merge) -> dict[str, torch.Tensor]:
    """Return the merged tensors by the names that an adapter's file has for them."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    files = [load_file(one.path / WEIGHTS) for one in adapters]
    names = [f"parent{number}" for number in range(len(adapters))]
    wrapped = _side_by_side(adapters, files, names, base)
    more = {"density": settings.density} if settings.how in THINNED else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # DARE drops weights at random
        try:
            wrapped.base_model.add_weighted_adapter(
                names, list(settings.weights), "merged", combination_type=settings.how, **more
            )
        except ValueError as error:  # such as a weight below 0 in releases that take its root
            reason = " ".join(str(error).split())[:200]
            raise FinbenchError(
                f"PEFT cannot merge these adapters by {settings.how} ({reason}): use --how cat."
            ) from error
    found = get_peft_model_state_dict(wrapped, adapter_name="merged", save_embedding_layers=False)
    tensors = {name: value.contiguous() for name, value in found.items()}
    whole = sum(settings.weights)
    for name in sorted(set(files[0]) - set(tensors)):
        weighed = [weight / whole * file[name] for weight, file in zip(settings.weights, files, strict=True)]
        tensors[name] = torch.stack(weighed).sum(0)
    return tensors


def _side_by_side(
    adapters: Sequence[Adapter], files: Sequence[Mapping[str, torch.Tensor]], names: Sequence[str], base: str
) -> Any:
    """Return the base with all adapters' thin matrices, without modules trained whole, which PEFT will not merge."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    revision = _revision(adapters[0]) or "main"
    wrapped: Any = load_model(CLASSES[adapters[0].task_type], base, revision, dtype="float32")
    for one, file, name in zip(adapters, files, names, strict=True):
        check_known(one.path)
        config = LoraConfig.from_pretrained(str(one.path))
        config.modules_to_save = config.task_type = None
        if name == names[0]:
            wrapped = get_peft_model(wrapped, config, adapter_name=name)
        else:
            wrapped.add_adapter(name, config)
        thin = {key: value for key, value in file.items() if ".lora_" in key}
        expected = get_peft_model_state_dict(wrapped, adapter_name=name, save_embedding_layers=False)
        if {key: value.shape for key, value in thin.items()} != {key: value.shape for key, value in expected.items()}:
            raise FinbenchError(f"the adapter {one.name} fits {base} only in part: give the base that it was made for.")
        set_peft_model_state_dict(wrapped, thin, adapter_name=name)
    return wrapped


def _write(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    adapters: Sequence[Adapter],
    settings: Merge,
) -> dict[str, Any]:
    from safetensors.torch import save_file

    from finbench import __version__

    save_file(dict(tensors), folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    records = [one.record for one in adapters]
    record = {
        "finbench_version": __version__,
        "method": f"merge_{settings.how}",
        "task_type": adapters[0].task_type,
        "labels": list(adapters[0].labels),
        "base": records[0].get("base") or {"id": adapters[0].base},
        "precision": adapters[0].precision,
        "tasks": list(dict.fromkeys(task for one in records for task in one.get("tasks", []))),
        "rows": {name: rows for one in reversed(records) for name, rows in (one.get("rows") or {}).items()},
        "prompts": {name: prompt for one in reversed(records) for name, prompt in (one.get("prompts") or {}).items()},
        "parents": [
            {"name": one.name, "sha256": one.sha256, "weight": weight}
            for one, weight in zip(adapters, settings.weights, strict=True)
        ],
        "merge": {"how": settings.how, "density": settings.density, "seed": settings.seed},
        "adapter_bytes": (folder / WEIGHTS).stat().st_size,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_record(folder, record)
    written: dict[str, Any] = read_json(folder / RECORD)
    return written
