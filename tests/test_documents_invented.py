"""Invented texts, trees of values, and good files with a piece replaced: every reader takes them or refuses them."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finbench.adapters.folder import RECORD, read_adapter
from finbench.documents import parse_json, parse_yaml
from finbench.runs.matrix import read_matrix
from finetune.recipe import DEFAULTS, read_recipe
from finetune.sweep import read_sweep
from tests.test_documents import adapter_in, read_by_all, refused

FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\u2028\u2029\ufeff"), max_size=12),
)
trees = st.recursive(
    scalars,
    lambda part: st.one_of(
        st.lists(part, max_size=4), st.dictionaries(st.text("abcé1 ", min_size=1), part, max_size=4)
    ),
    max_leaves=12,
)
pieces = st.sampled_from(
    ["&a ", "*a", "!!int ", "!!bool ", "!!float ", "!!timestamp ", "!!set ", "!!binary ", "!!python/name:os ", "1:1"]
    + ["2023-99-99", "[", "]", "{", "}", ": ", "- ", "? ", "<<: ", "\n", "\n  ", "\t", '"', "'", "|\n", ">", "%", "@"]
    + [
        "`",
        "#",
        "---\n",
        "\\ud800",
        "\\x00",
        "0x",
        "1_0",
        "9" * 400,
        ".nan",
        "1e999",
        "null",
        "~",
        "é",
        "\u2028",
        "\x85",
    ]
)
messes = st.lists(st.one_of(pieces, st.text(max_size=5)), max_size=25).map("".join)


@FUZZ
@given(trees)
def test_trees_come_through_whole(tree: Any) -> None:
    assert parse_json(json.dumps(tree), "x") == tree
    assert parse_json(json.dumps(tree, ensure_ascii=False), "x") == tree
    if not isinstance(tree, float):
        dumped = yaml.safe_dump(tree, allow_unicode=True)
        assert parse_yaml(dumped, "x") == tree


@FUZZ
@given(messes)
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse_yaml, parse_json):
        if not refused(lambda read=read: read(text, "x")):
            json.dumps(read(text, "x"), allow_nan=False).encode()


@FUZZ
@given(st.one_of(messes.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=60)))
def test_every_reader_takes_or_refuses_any_file(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    said = read_by_all(tmp_path_factory.mktemp("files"), text)
    assert not any("\n" in message for message in said.values())


MATRIX_KEYS = ("name", "tasks", "bases", "title", "limit", "truncate", "clean", "perturb", "batch_size")
BASE_KEYS = ("base", "name", "model", "revision", "dtype", "bits", "adapters", "score_base", "note", "pipeline", "vllm")


@FUZZ
@given(st.sampled_from(MATRIX_KEYS), st.sampled_from(BASE_KEYS), trees, trees)
def test_a_matrix_of_any_values(
    tmp_path_factory: pytest.TempPathFactory, key: str, own: str, one: Any, two: Any
) -> None:
    path = tmp_path_factory.mktemp("files") / "matrix.yaml"
    base: dict[str, Any] = {"base": "toy", own: two}
    path.write_text(yaml.safe_dump({"name": "m", "tasks": ["fin_fpb"], "bases": [base], key: one}, allow_unicode=True))
    if not refused(lambda: read_matrix(path)):
        assert read_matrix(path).bases[0].precision


@FUZZ
@given(st.sampled_from(sorted(yaml.safe_load(DEFAULTS.read_text()))), trees)
def test_recipes_and_sweeps_of_any_values(tmp_path_factory: pytest.TempPathFactory, key: str, value: Any) -> None:
    folder = tmp_path_factory.mktemp("files")
    settings = {"base": "toy", "tasks": ["fin_fpb"], key: value}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    refused(lambda: read_recipe(folder / "recipe.yaml"))
    (folder / "good.yaml").write_text("base: toy\ntasks: [fin_fpb]\nvalidation_share: 0.1\n")
    for space in ([value], {"low": value, "high": 1}, value):
        (folder / "sweep.yaml").write_text(yaml.safe_dump({"values": {key: space}}, allow_unicode=True))
        refused(lambda: read_sweep(folder / "sweep.yaml", folder / "good.yaml"))


@FUZZ
@given(
    st.sampled_from(["base", "method", "labels", "precision", "tasks", "metrics", "rows", "recipe", "created"]), trees
)
def test_an_adapters_record_of_any_values(tmp_path_factory: pytest.TempPathFactory, key: str, value: Any) -> None:
    folder = adapter_in(tmp_path_factory.mktemp("files") / "adapter")
    (folder / RECORD).write_text(json.dumps({key: value}))
    if not refused(lambda: read_adapter(str(folder))):
        found = read_adapter(str(folder))
        assert isinstance(found.base, str) and all(isinstance(label, str) for label in found.labels)
