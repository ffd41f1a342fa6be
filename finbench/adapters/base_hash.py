"""The hash of a base: all files that can change a weight, a token or a prompt, wherever they lie."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from finbench.documents import read_json
from finbench.errors import FinbenchError, first_line
from finbench.hf.load import GGUF, check_place
from finbench.paths import home

# Which files transformers loads, most preferred first; an index names the parts.
SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
NO_MEANING = {"_name_or_path", "transformers_version"}
CHUNK_BYTES = 1 << 22

# Beside the weights: vocabularies, merges, settings of tokenizers and of generation, templates, code. Others, such as
# cards and optimizers' states, are read by nothing that scores.
AROUND = (".json", ".txt", ".model", ".tiktoken", ".vocab", ".bpe", ".spm", ".jinja", ".py")
IN_FOLDERS = (".jinja", ".py")  # more templates, and modules that a module imports
OURS = {
    *("config.json", SAFE[1], PICKLED[1]),  # hashed as settings and weights
    *("finbench.json", "finbench.files.json", "calibration.json", "trainer_state.json", "placed.json"),  # say what was
}
SETTINGS = {"generation_config.json", "tokenizer_config.json"}  # which say what wrote them
# A file that changed as lately as this may change again without a later time: clocks of file systems tick slowly.
SETTLED_SECONDS = 2.0


def base_sha256(folder_or_id: str, revision: str | None = None, own_code: bool = False) -> str:
    """Return a SHA-256 over all of a base that results depend on; `own_code` says that code it brings may run.

    That is its configuration, its weights, and the files that shape tokens and prompts: tokenizer, vocabulary,
    templates, generation's settings, modelling code. Files' hashes are kept (`kept_sha256`).

    Raises:
        FinbenchError: it is no model's folder, or the hub's id cannot be had.

    """
    if folder_or_id.endswith(GGUF):
        return kept_sha256(_gguf(folder_or_id, revision))  # tokenizer, template and weights in one file
    folder = _folder_of(folder_or_id, revision)
    digest = hashlib.sha256(_weights_sha256(folder).encode())
    for path in _around(folder):
        digest.update(f"{path.relative_to(folder).as_posix()} {_sha256_around(path)}\n".encode())
    if own_code:
        digest.update(b"own code may run\n")
    return digest.hexdigest()


def weights_sha256(folder_or_id: str, revision: str | None = None) -> str:
    """Return a SHA-256 over a base's configuration and weights alone: what an adapter is made for.

    Errors as `base_sha256`.
    """
    if folder_or_id.endswith(GGUF):
        return kept_sha256(_gguf(folder_or_id, revision))
    return _weights_sha256(_folder_of(folder_or_id, revision))


def _gguf(base: str, revision: str | None) -> Path:
    """Return the GGUF file of a base that is one, here or out of the hub's cache."""
    path = Path(base).expanduser()
    if path.is_file():
        return path
    from huggingface_hub import hf_hub_download

    name, _, file = base.rpartition("/")
    try:
        return Path(hf_hub_download(name, file, revision=revision))
    except (OSError, ValueError) as error:
        reason = first_line(error)
        raise FinbenchError(f"there is no file {base!r} here, and the hub does not give it ({reason}).") from error


def _folder_of(folder_or_id: str, revision: str | None) -> Path:
    folder = Path(folder_or_id).expanduser()
    return folder if folder.is_dir() else _downloaded(folder_or_id, revision)


def _weights_sha256(folder: Path) -> str:
    digest = hashlib.sha256(_meaning(folder / "config.json"))
    files = _weights_in(folder)
    if not files:
        raise FinbenchError(f"{folder} has no weights ({SAFE[0]}, {PICKLED[0]} or their parts): give a base's folder.")
    for path in files:
        digest.update(kept_sha256(path).encode())
    return digest.hexdigest()


def _meaning(path: Path) -> bytes:
    """Return a file of settings without what only says where it was written, keys sorted."""
    settings = {key: value for key, value in _read(path).items() if key not in NO_MEANING}
    return json.dumps(settings, sort_keys=True).encode()


def _around(folder: Path) -> Iterator[Path]:
    """Yield the files beside the weights that can change a token or a prompt, in an order no file system changes."""
    for inside, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        here = Path(inside) == folder
        for name in sorted(names):
            path = Path(inside, name)
            if path.suffix in (AROUND if here else IN_FOLDERS) and not (here and name in OURS) and path.is_file():
                yield path


def _sha256_around(path: Path) -> str:
    if path.name in SETTINGS:
        with suppress(FinbenchError):  # broken ones are for transformers to refuse
            return hashlib.sha256(_meaning(path)).hexdigest()
    return kept_sha256(path)


def sha256_of_file(path: Path) -> str:
    """Return a file's SHA-256, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _downloaded(base: str, revision: str | None) -> Path:
    check_place(base)  # the hub would speak of the letters of an id
    from huggingface_hub import snapshot_download

    around = [f"*{ending}" for ending in AROUND]
    parts = ["model-*.safetensors", *SAFE], ["pytorch_model-*.bin", *PICKLED]
    try:
        for patterns in parts:
            folder = Path(snapshot_download(base, revision=revision, allow_patterns=[*around, *patterns]))
            if _weights_in(folder):
                break
    except (OSError, ValueError) as error:
        reason = first_line(error)
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


def kept_sha256(path: Path) -> str:
    """Return a file's SHA-256, from the cache where the file has not changed since it was put there.

    The cache goes by path, size, time, inode and time of change (ctime), which no program can set: weights that were
    replaced by others of the same size and time are others. What changed in the last two seconds is not kept, since a
    second change might then leave the same times.
    """
    path = path.resolve()
    state = path.stat()
    marks = (path, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_dev, state.st_ino)
    kept = home() / "hashes" / hashlib.sha256("|".join(map(str, marks)).encode()).hexdigest()
    with suppress(OSError, ValueError):
        found = kept.read_text(encoding="ascii")
        if len(found) == 64:
            return found
    sha256 = sha256_of_file(path)
    if _same(path.stat(), state) and abs(time.time() - state.st_ctime) > SETTLED_SECONDS:
        _keep(kept, sha256)
    return sha256


def _same(after: os.stat_result, before: os.stat_result) -> bool:
    """Say whether a file was left alone while it was read."""
    return (after.st_size, after.st_ctime_ns, after.st_ino) == (before.st_size, before.st_ctime_ns, before.st_ino)


def _keep(kept: Path, sha256: str) -> None:
    with suppress(OSError):  # a home that cannot be written costs time, nothing else
        kept.parent.mkdir(parents=True, exist_ok=True)
        half_written = kept.with_suffix(f".{os.getpid()}")
        half_written.write_text(sha256, encoding="ascii")
        half_written.replace(kept)
