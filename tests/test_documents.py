"""Whatever lies in a YAML or JSON of others, every reader takes it right or refuses it in one line."""

import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from finbench.adapters.base_hash import base_sha256
from finbench.adapters.folder import CONFIG, RECORD, WEIGHTS, read_adapter, write_record
from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.documents import LARGEST_YAML, parse_json, parse_yaml, read_yaml
from finbench.errors import FinbenchError
from finbench.runs.matrix import read_matrix
from finbench.tasks.check import check
from finetune.recipe import DEFAULTS, read_recipe
from finetune.sweep import read_sweep


def multiplying(of: str, one: str) -> str:
    lines = [f"a0: &a0 {one}"]
    lines += [f"a{n + 1}: &a{n + 1} {of.format(','.join([f'*a{n}'] * 9))}" for n in range(12)]
    return "\n".join(lines)


YAMLS = {  # text: what its error says
    "[" * 9000: "line 1, column 65: nested deeper than 64 levels",
    "- " * 9000 + "x": "nested deeper",
    "{a: " * 9000: "nested deeper",
    "a0: &a0 [1]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(200)): "line 63.*nested deeper",
    "a: &a [1, *a]": "an alias stands inside of what it stands for",
    "a: &a {b: *a}": "an alias stands inside of what it stands for",
    multiplying("[{}]", "[1]"): "its aliases stand for more than",
    multiplying("{{<<: [{}]}}", "{k: 1}"): "its aliases stand for more than",
    "a: b\nx: " + "9" * 5000: "line 2, column 4: a number has 5000 characters",
    "x: " + ":".join(["1"] * 20000): "a number has 39999 characters",
    "a: 1\nx: !!int abc": "line 2, column 4: 'abc' is no int",
    "x: !!bool zz": "'zz' is no bool",
    "x: !!float q": "'q' is no float",
    "x: !!timestamp q": "'q' is no timestamp",
    "x: 2023-13-45": "'2023-13-45' is no timestamp",
    "x: 2023-02-30 25:61:61": "is no timestamp",
    "x: !!binary 5": "settings hold no binary",
    "x: !!set {a, b}": "settings hold no set",
    "x: !!python/object/apply:os.system [ls]": "could not determine a constructor",
    "a: 1\nb: 2\na: 3": "line 3, column 1: the key 'a' stands twice",
    "on: 1": "the key on is no text",
    "1: x": "the key 1 is no text",
    "? [a, b]\n: x": "is no text",
    "x: .nan": "is no number that can be computed with",
    "x: -.inf": "is no number that can be computed with",
    "x: 1.0e+999": "is no number that can be computed with",
    r'x: "\ud83d"': "half of a surrogate pair",
    r'x: "a\0b"': "a null character",
    "x: \x01": "line 1: the character",
    "a: b\nc: [": "line 2",
    "\t- x": "line 1, column 1",
    "--- 1\n--- 2": "another document",
    "x: *nowhere": "undefined alias",
}
JSONS = {
    "[" * 100_000: "nested deeper",
    "[" * 70 + "]" * 70: "nested deeper than 64 levels",
    '{"a": ' * 5000: "nested deeper",
    '{"a": NaN}': "NaN is no number",
    "[-Infinity]": "-Infinity is no number",
    "[1e999]": "larger than any",
    "9" * 5000: "a number has 5000 digits",
    '{"a": 1,\n "a": 2}': "the key 'a' stands twice",
    r'{"a": "\ud83d"}': "half of a surrogate pair",
    r'{"\udc00": 1}': "half of a surrogate pair",
    '{"a": 1,\n "b"}': "line 2, column 5",
    "": "line 1",
}


def refused(read: Callable[[], Any]) -> str:
    """Return the one-line error, "" where something was read."""
    started = time.monotonic()
    try:
        read()
    except FinbenchError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000
        str(error).encode()
        assert time.monotonic() - started < 5
        return str(error)
    return ""


@pytest.mark.parametrize("number", range(len(YAMLS)))
def test_a_yaml_that_makes_no_sense_is_refused_in_one_line(number: int, tmp_path: Path) -> None:
    text, message = list(YAMLS.items())[number]
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(FinbenchError, match=message):
        read_yaml(tmp_path / "bad.yaml")
    assert "bad.yaml" in refused(lambda: read_yaml(tmp_path / "bad.yaml"))


@pytest.mark.parametrize("number", range(len(JSONS)))
def test_a_json_that_makes_no_sense_is_refused_in_one_line(number: int) -> None:
    text, message = list(JSONS.items())[number]
    with pytest.raises(FinbenchError, match=message):
        parse_json(text, "x.json")
    assert refused(lambda: parse_json(text, "x.json")).startswith("x.json")


def test_what_makes_sense_is_read() -> None:
    read = parse_yaml(
        'base: &b {r: 4}\nx: {<<: *b, r: 8}\nday: 2023-02-20\nface: "\\ud83d\\ude00"\nlong: [*b, *b]', "x"
    )
    assert read["x"] == {"r": 8} and read["day"] == "2023-02-20" and read["face"] == "\U0001f600"
    # A mapping merged into another one before it is made itself has each key once.
    assert parse_yaml("a: &a {k: 1}\nq: {inner: &b {<<: *a, k: 2}}\nc: {<<: *b, k: 3}", "x")["c"] == {"k": 3}
    assert parse_yaml("", "x") is None and parse_json(r'"\ud83d\ude00"', "x") == "\U0001f600"


def test_bytes_folders_and_large_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: b\nc: \xe9\n")
    assert "x.yaml, line 2: the byte 0xe9 is no UTF-8" in refused(lambda: read_yaml(path))
    path.write_text("a: b\n" * (LARGEST_YAML // 4))
    assert "bytes; at most" in refused(lambda: read_yaml(path))
    path.write_bytes(b"\xef\xbb\xbfa: b\n")
    assert read_yaml(path) == {"a": "b"}
    assert "Is a directory" in refused(lambda: read_yaml(tmp_path))
    assert "No such file" in refused(lambda: read_yaml(tmp_path / "gone.yaml"))


# Readers of whole files: what each does with a text that is not for it.


def adapter_in(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text('{"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "toy"}')
    save_file({"w": np.zeros(1, dtype=np.float32)}, folder / WEIGHTS)
    return folder


def read_by_all(folder: Path, text: bytes) -> dict[str, str]:
    """Return what each reader says of a file with this text, "" where it takes it."""
    files = {
        name: folder / name for name in ("matrix.yaml", "recipe.yaml", "sweep.yaml", "tasks/own.yaml", "cells/c.json")
    }
    for path in files.values():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
    (adapter_in(folder / "adapter") / RECORD).write_bytes(text)
    found, _ = check([folder / "tasks"])
    return {
        "matrix": refused(lambda: read_matrix(files["matrix.yaml"])),
        "recipe": refused(lambda: read_recipe(files["recipe.yaml"])),
        "sweep": refused(lambda: read_sweep(files["sweep.yaml"], DEFAULTS)),
        "adapter": refused(lambda: read_adapter(str(folder / "adapter"))),
        "task": "; ".join(problem.message for problem in found),
        "cell": "; ".join(one.problem for one in read_cells(folder / "cells").unreadable),
    }


@pytest.mark.parametrize("number", range(len(YAMLS)))
def test_every_reader_of_yaml_refuses_it(number: int, tmp_path: Path) -> None:
    text = list(YAMLS)[number]
    said = read_by_all(tmp_path, text.encode())
    assert all(said.values()) and not any("\n" in message for message in said.values())


@pytest.mark.parametrize("number", range(len(JSONS)))
def test_records_and_cells_refuse_it(number: int, tmp_path: Path) -> None:
    said = read_by_all(tmp_path, list(JSONS)[number].encode())
    assert "cannot be read as JSON" in said["adapter"] and "cannot be read as JSON" in said["cell"]


NO_OPTUNA = pytest.mark.skipif(find_spec("optuna") is None, reason="sweeps need the extra `sweep`")


@pytest.mark.parametrize(
    "command",
    [
        ["run", "{}"],
        ["finetune", "{}"],
        ["plan", "{}", "--tflops", "1"],
        pytest.param(["sweep", "{}", "{}"], marks=NO_OPTUNA),
    ],
)
def test_commands_end_in_one_line(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("bomb", multiplying("[{}]", "[1]")), ("int", "base: !!int abc"), ("bytes", "base: \udce9")):
        path = tmp_path / f"{name}.yaml"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        assert main([word.replace("{}", str(path)) for word in command]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and f"{name}.yaml, line" in error


def test_what_a_training_writes_can_be_read_again(tmp_path: Path) -> None:
    folder = adapter_in(tmp_path / "adapter")
    write_record(folder, {"method": "lora", "metrics": {"loss": float("nan"), "steps": [float("inf"), 0.5]}})
    assert read_adapter(str(folder)).record["metrics"] == {"loss": None, "steps": [None, 0.5]}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"base": [1]}, "base is a list where a dict belongs"),
        ({"method": {"a": 1}}, "method is a dict where a str belongs"),
        ({"tasks": "fin_fpb"}, "tasks is a str where a list belongs"),
        ({"labels": [1]}, "a list of different names belongs there"),
    ],
)
def test_a_record_of_another_shape_is_named(record: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = adapter_in(tmp_path / "adapter")
    (folder / RECORD).write_text(json.dumps(record))
    with pytest.raises(FinbenchError, match=message):
        read_adapter(str(folder))


@pytest.mark.parametrize(
    "text",
    [
        "values: {r: [4]}\nseeds: 5",
        "values: {r: [4]}\nseeds: [a]",
        "values: {r: [4]}\ntrials: many",
        "values: {learning_rate: {low: a, high: b}}",
        "values: {learning_rate: {low: 2, high: 1}}",
        "values: {learning_rate: {low: [1], high: 1}}",
        "values: {learning_rate: {low: 1, high: 2, step: -1}}",
    ],
)
def test_a_sweep_of_another_shape_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    assert "sweep.yaml" in refused(lambda: read_sweep(tmp_path / "sweep.yaml", DEFAULTS))


def test_a_models_configuration_may_hold_infinity(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba2", "time_step_limit": [0.0, Infinity]}')
    save_file({"w": np.zeros(1, dtype=np.float32)}, tmp_path / "model.safetensors")
    assert len(base_sha256(str(tmp_path))) == 64
