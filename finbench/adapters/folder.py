"""An adapter's folder: what it holds, what it was made for, and a hash of what it means.

Beside PEFT's `adapter_config.json` and `adapter_model.safetensors` lie a card (`README.md`) and finbench's record
(`finbench.json`), which has what PEFT does not store: label names, the rows and the base it was trained on, its cost.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError

RECORD = "finbench.json"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
# Keys of the configuration that say where and with what it was made, not what it computes.
INCIDENTAL = {"base_model_name_or_path", "revision", "inference_mode", "peft_version", "auto_mapping", "runtime_config"}


@dataclass(frozen=True)
class Adapter:
    """An adapter in a folder; `labels` are a classifier's classes in the order of its head, empty for causal models."""

    name: str
    path: Path
    sha256: str
    method: str
    task_type: str
    base: str
    labels: tuple[str, ...]
    precision: str
    size_bytes: int
    record: Mapping[str, Any]


def read_adapter(path_or_hub_id: str) -> Adapter:
    """Return the adapter in a folder, or of a hub id.

    Raises:
        FinbenchError: there is no adapter there, its weights are missing or not safetensors, or its record is broken.

    """
    path = _located(path_or_hub_id)
    config = _json(path / CONFIG)
    if not (path / WEIGHTS).is_file():
        pickled = (path / "adapter_model.bin").is_file()
        raise FinbenchError(
            f"the adapter {str(path)!r} has no {WEIGHTS}"
            + (", only a pickled adapter_model.bin, which may run code when loaded" if pickled else "")
            + ". Save it again with peft's save_pretrained (safetensors)."
        )
    record = _json(path / RECORD) if (path / RECORD).is_file() else {}
    return Adapter(
        name=path.name if Path(path_or_hub_id).is_dir() else path_or_hub_id,
        path=path,
        sha256=hash_adapter(path),
        method=str(record.get("method") or config.get("peft_type", "")).lower(),
        task_type=str(config.get("task_type") or record.get("task_type") or "CAUSAL_LM"),
        base=str(config.get("base_model_name_or_path") or ""),
        labels=tuple(record.get("labels", ())),
        precision=str(record.get("precision", "")),
        size_bytes=(path / WEIGHTS).stat().st_size,
        record=record,
    )


def _located(path_or_hub_id: str) -> Path:
    path = Path(path_or_hub_id)
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise FinbenchError(
                f"{str(path)!r} is no adapter: it has no {CONFIG}. A whole model is a base of its own: name it as `base`."
            )
        return path.resolve()
    if path.is_absolute() or path_or_hub_id.count("/") != 1:
        raise FinbenchError(
            f"there is no adapter at {path_or_hub_id!r}: no such folder, and it is no hub id (owner/name)."
        )
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(path_or_hub_id, allow_patterns=["*.json", "*.safetensors", "README.md"])
    except Exception as error:  # the hub client raises a dozen kinds
        raise FinbenchError(
            f"there is no adapter at {path_or_hub_id!r}: no such folder here, and the hub did not give it "
            f"({type(error).__name__}). Check the path, the spelling and the network."
        ) from error
    return Path(found)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise FinbenchError(
            f"{path} cannot be read as JSON ({error}). Restore it, or make the adapter again."
        ) from error
    if not isinstance(found, dict):
        raise FinbenchError(f"{path} holds a {type(found).__name__}, not an object. Restore it.")
    return found


def hash_adapter(folder: Path) -> str:
    """Return a hash of what an adapter computes: configuration, weights and label names, not path, card or costs."""
    config = _json(folder / CONFIG)
    record = _json(folder / RECORD) if (folder / RECORD).is_file() else {}
    meaning = {key: value for key, value in config.items() if key not in INCIDENTAL and value is not None}
    digest = hashlib.sha256(json.dumps([meaning, record.get("labels", [])], sort_keys=True).encode())
    digest.update(file_sha256(folder / WEIGHTS).encode())
    return digest.hexdigest()


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record beside an adapter or a model, whole or not at all."""
    temporary = folder / f".{RECORD}.tmp"
    temporary.write_text(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, folder / RECORD)


def match_base(adapter: Adapter, base: str) -> None:
    """Check that an adapter was made for this base.

    Raises:
        FinbenchError: it was made for another: the hashes in its record and of the base differ.

    """
    made_for = adapter.record.get("base", {}).get("sha256")
    if made_for and made_for != base_sha256(base):
        raise FinbenchError(
            f"the adapter {adapter.name!r} was made for {adapter.record['base'].get('id')!r} "
            f"(hash {made_for[:12]}), not for {base!r} (hash {base_sha256(base)[:12]}). "
            "Score it on its own base, or train one for this base."
        )


def base_sha256(base: str, revision: str | None = None) -> str:
    """Return a hash of a base's configuration and weights, "" where it lies in no folder and in no cache.

    Files are read once as long as their size and time of change stay the same.
    """
    folder = _base_folder(base, revision)
    if folder is None:
        return ""
    names = sorted(p.name for p in folder.iterdir() if p.suffix == ".safetensors" or p.name in _OTHER_WEIGHTS)
    digest = hashlib.sha256()
    for name in ["config.json", *names]:
        if (folder / name).is_file():
            digest.update(f"{name}:{file_sha256(folder / name)}\n".encode())
    return digest.hexdigest()


_OTHER_WEIGHTS = ("pytorch_model.bin", "vocab.json", "tokenizer.json")


def _base_folder(base: str, revision: str | None) -> Path | None:
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(base, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


_HASHES: dict[tuple[str, int, int], str] = {}


def file_sha256(path: Path) -> str:
    """Return the hash of a file's bytes."""
    stat = path.stat()
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    if key not in _HASHES:
        with path.open("rb") as opened:
            _HASHES[key] = hashlib.file_digest(opened, "sha256").hexdigest()
    return _HASHES[key]
