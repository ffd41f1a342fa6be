"""`finbench validate` names every mistake that lm-eval passes over, by file and line."""

from pathlib import Path

import pytest

from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.paths import bundled_tasks
from finbench.tasks.check import check

GOOD = f"""\
include: {bundled_tasks()}/_classify.yaml
task: mine
dataset_kwargs: {{dataset: fpb}}
doc_to_text: "Input: {{{{text}}}}\\nAnswer:"
metadata: {{version: 1.0}}
"""


def problems_of(folder: Path, text: str, name: str = "mine.yaml") -> list[tuple[int, str]]:
    (folder / name).write_text(text)
    found, _ = check([folder])
    return [(problem.line, problem.message) for problem in found if problem.file.name == name]


def test_the_bundled_tasks_are_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(bundled_tasks())]) == 0
    assert "0 problems found" in capsys.readouterr().out


def test_a_good_one_passes(tmp_path: Path) -> None:
    assert problems_of(tmp_path, GOOD) == []


CASES = {
    "broken YAML": (GOOD + "metric_list: [\n", 7, "no valid YAML"),
    "a list": ("- 1\n- 2\n", 1, "no keys and values"),
    "unknown tag": (GOOD + "x: !python/object:os.system 1\n", 6, "could not determine a constructor"),
    "unknown key": (GOOD + "doc_to_txt: x\n", 6, "unknown key 'doc_to_txt', did you mean doc_to_text"),
    "own key": (GOOD + "clean: true\n", 6, "goes under `metadata`"),
    "key twice": (GOOD + "task: other\n", 6, "'task' stands twice (first in line 2)"),
    "missing include": (GOOD + "\n\ninclude: gone.yaml\n", 8, "gone.yaml' is not there"),
    "no module": (GOOD + "process_results: !function no_such.thing\n", 6, "cannot import 'no_such'"),
    "no function": (GOOD + "process_results: !function finbench.scoring.answers.no\n", 6, "has no 'no'"),
    "fewshot_indices": (GOOD + "fewshot_config:\n  fewshot_indices: [0]\n", 6, "`fewshot_indices` is ignored"),
    "fewshot key": (GOOD + "fewshot_config: {samplr: first_n}\n", 6, "did you mean sampler"),
    "metric": (GOOD + "process_results: null\nmetric_list: [{metric: acurracy}]\n", 7, "unknown metric 'acurracy'"),
    "metrics left out": (GOOD + "metric_list: [{metric: acc, aggregation: mean}]\n", 6, "metric_list lacks f1_macro"),
    "unknown field": (GOOD.replace("{{text}}", "{{txt}}"), 4, "cannot be built: UndefinedError: 'txt'"),
    "no template": (GOOD.replace("{{text}}", "{{text}"), 4, "cannot be built: TemplateSyntaxError"),
    "unknown field of an answer": (GOOD + "doc_to_target: '{{anser}}'\n", 6, "cannot be built: UndefinedError"),
    "unknown dataset": (GOOD.replace("fpb", "fbp"), 3, "no dataset is called 'fbp'"),
    "trailing space": (GOOD.replace("Answer:", "Answer: "), 4, "ends in a space"),
    "no task": ("doc_to_text: x\n", 1, "neither `task` nor `group`"),
    "unknown member": ("group: mine\ntask: [fin_fpb, fin_fbp]\n", 2, "unknown task 'fin_fbp', did you mean fin_fpb"),
    "taken": (GOOD.replace("task: mine", "task: fin_fpb"), 2, "the name 'fin_fpb' is taken by"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_mistake_is_named_with_its_line(tmp_path: Path, case: str) -> None:
    text, line, message = CASES[case]
    found = problems_of(tmp_path, text)
    assert [n for n, said in found if message in said] == [line], found


def test_a_local_function_is_found_beside_the_yaml(tmp_path: Path) -> None:
    (tmp_path / "reading.py").write_text("from finbench.scoring.answers import classify as read\n")
    assert problems_of(tmp_path, GOOD + "process_results: !function reading.read\n") == []


def test_two_files_of_one_name_and_a_group_of_checked_tasks(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "group.yaml").write_text("group: both\ntask: [mine, fin_fpb]\n")
    ((line, message),) = problems_of(tmp_path, GOOD, "b.yaml")
    assert line == 2 and "a.yaml:2" in message


def test_a_broken_include_is_blamed_once(tmp_path: Path) -> None:
    (tmp_path / "_shared.yaml").write_text("num_fewshoot: 1\n")
    (tmp_path / "mine.yaml").write_text("include: _shared.yaml\ntask: mine\n")
    found, count = check([tmp_path / "mine.yaml"])
    assert [(problem.file.name, problem.line) for problem in found] == [("_shared.yaml", 1)] and count == 1


def test_an_include_cycle_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("include: b.yaml\ntask: a\n")
    (tmp_path / "b.yaml").write_text("include: a.yaml\ntask: b\n")
    found, _ = check([tmp_path])
    assert any("ycle" in problem.message for problem in found)


def test_the_command_exits_with_1_and_prints_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("task: bad\ndoc_to_txt: x\n")
    assert main(["validate", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"{tmp_path.resolve()}/bad.yaml:2: unknown key 'doc_to_txt'" in out and "1 file checked" in out


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(FinbenchError, match="no file or folder"):
        check([Path("nowhere.yaml")])
