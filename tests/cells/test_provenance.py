"""What a result says of where it comes from, and does not say."""

import sys
from pathlib import Path

import pytest

from finbench.cells import provenance


def test_the_command_names_no_folder_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside, outside = str(tmp_path / "my" / "a.yaml"), str(tmp_path.parent / "cells")
    monkeypatch.setattr(sys, "argv", ["/usr/bin/finbench", "run", inside, "--cells", outside, "--redo", "all"])
    assert provenance.command() == "finbench run my/a.yaml --cells cells --redo all"


def test_the_machine_and_the_versions_are_named() -> None:
    machine = provenance.machine()
    assert machine["cpu"] and machine["cores"] >= 1 and machine["memory_bytes"] > 2**28
    assert {"python", "lm-eval", "torch", "peft", "transformers"} <= set(provenance.versions())


def test_a_published_command_names_no_folder_of_the_machine() -> None:
    words = ["finbench", "finetune", "/home/someone/r.yaml", "base=/srv/models/bert", "tasks=[fin_fpb]", "r=8"]
    assert provenance.published(words) == "finbench finetune r.yaml base=bert 'tasks=[fin_fpb]' r=8"
