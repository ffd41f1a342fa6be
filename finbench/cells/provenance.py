"""Where a result comes from: the machine, the versions, the state of the checkout, the command."""

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from finbench.paths import PACKAGE

# An absolute path among the values of a setting: {base: "/models/a b", bits: 4}
WITHIN = re.compile(r"""(?<=")/[^"]+|(?<=')/[^']+|(?<=[\s:,\[{])/[^\s,\]}"']+""")
PACKAGES = ("finbench", "lm-eval", "transformers", "peft", "torch", "accelerate", "datasets", "bitsandbytes", "vllm")


@cache
def machine() -> dict[str, Any]:
    """Return processor, cores, memory in bytes, names of the GPUs and operating system."""
    import psutil
    import torch

    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "memory_bytes": int(psutil.virtual_memory().total),
        "gpus": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())],
        "system": f"{platform.system()} {platform.release()}",
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def git_state() -> dict[str, Any] | None:
    """Return commit and whether tracked files differ from it, None where finbench runs from no checkout."""
    checkout = PACKAGE.parent
    if not (checkout / ".git").exists():  # an installed package may lie within some other project's checkout
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        # Results themselves are written while a matrix runs, so they do not count as changes.
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!leaderboards")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changed)}


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def command() -> str:
    """Return what was typed, as `published` gives it."""
    program = Path(sys.argv[0]).name
    return published(["finbench" if program == "__main__.py" else program, *sys.argv[1:]])  # as python -m finbench says


def published(words: Sequence[str]) -> str:
    """Return a command as a shell takes it, its absolute paths cut, also behind `key=`: a result is published."""
    return shlex.join(key + equals + _seen_from_here(value) for key, equals, value in map(_setting, words))


def _setting(word: str) -> tuple[str, str, str]:
    """Return key, "=" and value of a setting; a word that is none is all value."""
    key, equals, value = word.partition("=")
    return (key, equals, value) if equals else ("", "", word)


def _seen_from_here(word: str) -> str:
    if word.startswith(("{", "[")):
        return WITHIN.sub(lambda found: _seen_from_here(found[0]), word)
    path = Path(word)
    if not path.is_absolute():
        return word
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name


def now() -> str:
    """Return the time as UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
