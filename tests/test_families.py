"""Every family of transformers' auto classes, in small: scored as `hf` scores it, trained, or refused in one line."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests import families, forked

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["causal", "classifier"])
@pytest.mark.timeout(7200)
def test_no_family_fails_with_anything_but_a_line(kind: families.Kind, tmp_path: Path) -> None:
    raw = {}
    for name in families.types(kind):
        command = [sys.executable, "-m", "tests.families", kind, name, str(tmp_path / name), "lora"]
        (tmp_path / name).mkdir()
        done = forked.run(
            command, cwd=Path(__file__).parents[1], env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=900
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("JUDGED ")]
        found = json.loads(lines[-1].removeprefix("JUDGED ")) if lines else {"built": True, "scoring": "RAW it crashed"}
        said = [found.get("scoring", ""), *found.get("methods", {}).values()] if found["built"] else []
        if wrong := [one for one in said if one.startswith("RAW")]:
            raw[name] = wrong
    assert not raw
