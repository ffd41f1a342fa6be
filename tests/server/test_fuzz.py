"""The OpenAPI description, fuzzed: no answer is undocumented, none breaks the server."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.server.conftest import Served

pytest.importorskip("schemathesis", reason="it makes the requests; tox installs it")


def test_the_description_holds_against_fuzzing(server: Served, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json"]
    command += ["--max-examples", "25", "--seed", "1", "--request-timeout", "30"]
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    done = subprocess.run(
        [*command, "--checks", checks], capture_output=True, text=True, check=False, timeout=400, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "analyze" in done.stdout.lower() or "passed" in done.stdout.lower()
    assert httpx.get(f"{server.url}/health").json()["status"] == "ok"
