"""Results and samples that lm-eval never wrote: taken whole or refused in one line with the file, never a traceback."""

import contextlib
import gzip
import io
import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.interchange.exported import FORMATS, export
from finbench.leaderboard.render import render

LABELS = ["negative", "neutral", "positive"]
READERS = {"fin_fpb": "classify", "fin_fpb_gen": "classify_generated", "fin_xbrl_tags": "match_tag"}


def doc(task: str, n: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": f"row-{n}", "text": f"Unit {n} reports", "question": "", "entity": "", "xml": ""}
    row |= {"cluster": f"c{n // 2}", "classifier_text": [f"Unit {n}"], "label": LABELS[n % 3], "answer": ""}
    return {**row, "label": "", "answer": "us-gaap:Assets"} if task == "fin_xbrl_tags" else {**row, "choices": LABELS}


def samples(task: str) -> list[dict[str, Any]]:
    answers: dict[str, Any] = {"fin_fpb": [[-1.5, False], [-0.5, True], [-2.5, False]], "fin_fpb_gen": ["neutral"]}
    said = answers.get(task, ["us-gaap:Assets"])
    return [{"doc_id": n, "doc": doc(task, n), "target": "x", "filtered_resps": said} for n in range(6)]


def results() -> dict[str, Any]:
    scores = {"alias": "x", "acc,none": 0.5, "acc_stderr,none": 0.1, "unparsed,none": 0.0,
              "unparsed_stderr,none": "N/A", "mcc,none": -0.2, "mcc_stderr,none": "N/A"}  # fmt: skip
    return {
        "results": {task: dict(scores) for task in READERS},
        "configs": {
            task: {"task": task, "dataset_kwargs": {"dataset": "fpb"}, "metadata": {"version": 1.0, "clean": False},
                   "process_results": f"def {reader}(doc, results):\n    pass"}
            for task, reader in READERS.items()
        },
        "versions": dict.fromkeys(READERS, 1.0),
        "n-shot": dict.fromkeys(READERS, 1),
        "n-samples": {task: {"original": 6, "effective": 6} for task in READERS},
        "config": {"model": "hf", "model_args": {"pretrained": "org/toy", "peft": "adapters/one"}, "limit": None,
                   "model_dtype": "torch.float32", "model_sha": "abc"},
        "date": 1790000000.5,
        "task_hashes": dict.fromkeys(READERS, "00ff"),
        "lm_eval_version": "0.4.13",
        "transformers_version": "5.24.0",
    }  # fmt: skip


def imported(folder: Path, record: bytes, logs: dict[str, bytes]) -> tuple[int, str]:
    """Import from a fresh folder; return the exit code and what was said on standard error."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "results_x.json").write_bytes(record)
    for task, log in logs.items():
        (folder / f"samples_{task}_x.jsonl").write_bytes(log)
    error = io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        code = main(["import-results", str(folder / "results_x.json"), "--cells", str(folder / "cells")])
    return code, error.getvalue()


def bytes_of(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in records).encode()


def check(folder: Path, code: int, said: str) -> None:
    """Hold what an import did against what is promised of any import."""
    if code:
        assert code == 2 and said.count("\n") == 1 and "_x.json" in said and len(said) < 900, said
        assert not list((folder / "cells").rglob("*.*"))  # no half of it either
        return
    cells = read_cells(folder / "cells")
    assert cells.results and not cells.unreadable
    assert all(-1 <= metric.value <= 1 for cell in cells.results for metric in cell.metrics.values())
    render(cells, folder / "cells")
    for kind in (*FORMATS, "csv"):
        export(cells.results, kind, folder / "exported")


deep: Any = 0
for _ in range(60):
    deep = [deep]
NASTY = [
    None, True, False, 0, -1, 42, 7.5, -0.0, 10**30, -(10**299), 1e308, float("nan"), float("inf"), -float("inf"), "",
    " ", "x", "NaN", "\0", "../../../x", "=1+1", "<b>", "\ud83d\ude00", "\u202e|`", "a" * 3000, "fin_fpb", [], [[]], {},
    {"": 0}, {"a": {"b": []}}, [None, 1, "x"], deep, "def classify(", ["positive", "positive"], -5, 6, 1e-320,
]  # fmt: skip


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in children:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(tree: Any, data: st.DataObject) -> Any:
    """Return the tree with one to three of its parts replaced, removed, renamed or doubled."""
    tree = deepcopy(tree)
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(list(places(tree)) or [("x",)]))
        parent = tree
        for key in path:
            parent = parent[key]
        if not parent:
            continue
        what = data.draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "double"]))
        if what == "replace":
            value = data.draw(st.one_of(st.sampled_from(NASTY), st.integers(), st.floats(), st.text(max_size=8)))
            parent[last] = deepcopy(value)
        elif what == "remove":
            del parent[last]
        elif isinstance(parent, dict):
            parent[data.draw(st.one_of(st.text(max_size=5), st.sampled_from(["fin_../x", "fin_fpb", "a/b"])))] = (
                parent.pop(last) if what == "rename" else deepcopy(parent[last])
            )
        else:
            parent.append(deepcopy(parent[last]))
    return tree


def mangled(text: bytes, data: st.DataObject) -> bytes:
    """Return a file's bytes as a broken disk, another program or an attacker would leave them."""
    at = data.draw(st.integers(0, len(text)))
    return data.draw(
        st.sampled_from([
            text[:at], text[:at] + text[at + 1 :], b"\xef\xbb\xbf" + text, text.decode().encode("utf-16"), text + text,
            gzip.compress(text), text[:at] + b"\0" + text[at:], text[:at] + b"\xff" + text[at:], b"", b"null", b"[]",
            text[:at] + b"[" * 100_000 + text[at:], text.replace(b"0.5", b"1e999"), text.replace(b"6", b"9" * 5000),
            text.replace(b"row-0", b"\\ud800"), text.replace(b"\n", b"\r\n"), text[:at] + b"\n" + text[at:],
            text.replace(b"-0.5", b"NaN"), text.replace(b"doc_id", b"doc"), b"[" + text, text[:at] + b"," + text[at:],
        ])
    )  # fmt: skip


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(st.data())
def test_any_results(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "results"
    record = json.dumps(changed(results(), data)).encode() if data.draw(st.booleans()) else None
    record = record or mangled(json.dumps(results()).encode(), data)
    logs = {"fin_fpb": bytes_of(samples("fin_fpb"))} if data.draw(st.booleans()) else {}
    check(folder, *imported(folder, record, logs))


@FUZZ
@given(st.data())
def test_any_samples(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "samples"
    task = data.draw(st.sampled_from(list(READERS)))
    log = bytes_of(changed(samples(task), data)) if data.draw(st.booleans()) else None
    log = mangled(bytes_of(samples(task)), data) if log is None else log
    check(folder, *imported(folder, json.dumps(results()).encode(), {task: log}))


def test_what_lm_eval_writes_is_taken(tmp_path: Path) -> None:
    logs = {task: bytes_of(samples(task)) for task in READERS}
    code, said = imported(tmp_path / "x", json.dumps(results()).encode(), logs)
    assert (code, said) == (0, "")
    check(tmp_path / "x", code, said)
    code, said = imported(tmp_path / "x", json.dumps(results()).encode(), {})
    assert (code, said) == (0, "")


@pytest.mark.parametrize("place", ["acc,none", "mcc,none", "unparsed,none", "acc_stderr,none"])
@pytest.mark.parametrize("value", [42, -3, float("inf"), 10**200, True])
def test_a_number_that_can_be_none_is_refused(place: str, value: Any, tmp_path: Path) -> None:
    record = results()
    record["results"]["fin_fpb"][place] = value
    code, said = imported(tmp_path / "x", json.dumps(record).encode(), {})
    assert code == 2 and f"results.fin_fpb.{place.partition(',')[0]}" in said and "results_x.json" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: log[:3] + log[2:], "line 4 is no file of answers to our tasks: doc_id 2 stands twice"),
        (lambda log: log[:5], "holds 5 answers, and the results beside it speak of 6"),
        (lambda log: [*log[:1], {**log[1], "filtered_resps": [[-1.0, False]]}, *log[2:]], "line 2 is no file"),
        (lambda log: [*log[:2], {**log[2], "doc": {**log[2]["doc"], "label": "good"}}, *log[3:]], "'good', none of"),
        (lambda log: [*log[:2], {**log[2], "doc": {**log[2]["doc"], "id": "row-0"}}, *log[3:]], "'row-0' stands twice"),
        (lambda log: [{**log[0], "filtered_resps": [[float("nan"), False]] * 3}, *log[1:]], "log-likelihood is NaN"),
    ],
)
def test_what_is_wrong_with_samples_is_said_with_its_line(change: Any, said: str, tmp_path: Path) -> None:
    logs = {"fin_fpb": bytes_of(change(samples("fin_fpb")))}
    code, error = imported(tmp_path / "x", json.dumps(results()).encode(), logs)
    assert code == 2 and said in error and "samples_fin_fpb_x.jsonl" in error and error.count("\n") == 1


def test_a_share_of_the_rows_is_their_number(tmp_path: Path) -> None:
    record = results()
    record["config"]["limit"] = 0.25
    assert imported(tmp_path / "x", json.dumps(record).encode(), {})[0] == 0
    assert {cell.key.limit for cell in read_cells(tmp_path / "x" / "cells").results} == {6}


def test_a_task_of_any_name_writes_nowhere_else(tmp_path: Path) -> None:
    record = json.loads(json.dumps(results()).replace("fin_fpb_gen", "fin_/../../../out"))
    code, said = imported(tmp_path / "x", json.dumps(record).encode(), {})
    assert code == 2 and "is no name of a task" in said and not (tmp_path / "x" / "cells").exists()
