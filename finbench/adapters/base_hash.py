"""The hash of a base: its configuration and weights, wherever they lie."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from finbench.documents import read_json
from finbench.errors import FinbenchError
from finbench.paths import home

# Which files transformers loads, most preferred first; an index names the parts.
SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
NO_MEANING = {"_name_or_path", "transformers_version"}
CHUNK_BYTES = 1 << 22


def base_sha256(folder_or_id: str, revision: str | None = None) -> str:
    """Return a SHA-256 over a base's configuration and weights; files' hashes are kept by path, size and time.

    Raises:
        FinbenchError: it is no model's folder, or the hub's id cannot be had.

    """
    folder = Path(folder_or_id).expanduser()
    if not folder.is_dir():
        folder = _downloaded(folder_or_id, revision)
    config = _read(folder / "config.json")
    meaning = {key: value for key, value in config.items() if key not in NO_MEANING}
    digest = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode())
    files = _weights_in(folder)
    if not files:
        raise FinbenchError(f"{folder} has no weights ({SAFE[0]}, {PICKLED[0]} or their parts): give a base's folder.")
    for path in files:
        digest.update(_kept_sha256(path).encode())
    return digest.hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return a file's SHA-256, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _downloaded(base: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    parts = ["model-*.safetensors", *SAFE], ["pytorch_model-*.bin", *PICKLED]
    try:
        for patterns in parts:
            folder = Path(snapshot_download(base, revision=revision, allow_patterns=["config.json", *patterns]))
            if _weights_in(folder):
                break
    except (OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FinbenchError(
            f"{base} is no folder here, and as an id it cannot be had from the hub or its cache ({reason}). "
            "Check the name, the network and, for a gated model, your login."
        ) from error
    return folder


def _weights_in(folder: Path) -> list[Path]:
    for whole, index in (SAFE, PICKLED):
        if (folder / whole).is_file():
            return [folder / whole]
        if (folder / index).is_file():
            names = sorted(set(_read(folder / index)["weight_map"].values()))
            if missing := [name for name in names if not (folder / name).is_file()]:
                raise FinbenchError(f"{folder} lacks parts of its weights: {', '.join(missing)}. Copy the base again.")
            return [folder / name for name in names]
    return []


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = read_json(path, constants=True)  # Mamba's time_step_limit ends in Infinity
    except FinbenchError as error:
        raise FinbenchError(f"{path.parent} is no model's folder: {path.name} cannot be read ({error}).") from error
    return content


def _kept_sha256(path: Path) -> str:
    """Return a file's SHA-256, from the cache where the file has not changed since it was put there."""
    path = path.resolve()
    state = path.stat()
    key = hashlib.sha256(f"{path}|{state.st_size}|{state.st_mtime_ns}".encode()).hexdigest()
    kept = home() / "hashes" / key
    with suppress(OSError):
        return kept.read_text(encoding="ascii")
    sha256 = sha256_of_file(path)
    with suppress(OSError):  # a home that cannot be written costs time, nothing else
        kept.parent.mkdir(parents=True, exist_ok=True)
        half_written = kept.with_suffix(f".{os.getpid()}")
        half_written.write_text(sha256, encoding="ascii")
        half_written.replace(kept)
    return sha256
