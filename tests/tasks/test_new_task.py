"""`finbench new-task` writes a YAML that works as it is, from whatever table, columns and labels a user has."""

import csv
import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest

from finbench.cli import main
from finbench.tasks.check import check
from finbench.tasks.load import load_tasks

TEXTS = [f"company {n} {'gained' if n % 2 else 'lost'} {n} percent" for n in range(40)]
LABELS = ["Yes" if n % 2 else "No" for n in range(40)]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_csv(path: str, text: str = "headline", label: str = "mood", labels: list[str] = LABELS) -> None:
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([text, label])
        writer.writerows(zip(TEXTS, labels, strict=True))


def prompt_of(task: Any) -> str:
    text: str = task.fewshot_context(task.eval_docs[0], 0)
    return text


def test_from_nothing_to_a_score(capsys: pytest.CaptureFixture[str]) -> None:
    write_csv("news.csv")
    arguments = ["--text", "headline", "--label", "mood", "--instruction", "Did it gain?"]
    assert main(["new-task", "my_mood", "news.csv", *arguments]) == 0
    out = capsys.readouterr().out
    assert "train: 30 rows" in out and "test: 10 rows" in out and "lm_eval --tasks my_mood" in out
    assert check() == ([], check()[1])  # all task folders, ./tasks_yaml among them
    (task,) = load_tasks(["my_mood"]).values()
    text = task.eval_docs[0]["text"]
    asked = "Instruction: Did it gain? {No/Yes}"
    assert prompt_of(task) == f"{asked}\nInput: {text}\nAnswer:"
    assert task.eval_docs[0]["choices"] == ["No", "Yes"]  # words, not YAML's truth values

    import lm_eval
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path="tasks_yaml", include_defaults=False)
    scores = lm_eval.simple_evaluate("dummy", tasks=["my_mood"], task_manager=manager, log_samples=False)
    assert 0 <= scores["results"]["my_mood"]["f1_weighted,none"] <= 1


def test_json_lines_with_a_test_file_and_default_columns() -> None:
    for name, part in (("a.jsonl", slice(0, 30)), ("b.jsonl", slice(30, 40))):
        rows = [{"text": t, "label": x} for t, x in zip(TEXTS[part], LABELS[part], strict=True)]
        Path(name).write_text("\n".join(map(json.dumps, rows)))
    assert main(["new-task", "mine", "a.jsonl", "--test", "b.jsonl"]) == 0
    (task,) = load_tasks(["mine"]).values()
    assert [doc["text"] for doc in task.eval_docs] == TEXTS[30:]


def test_odd_labels_and_braces_are_kept_to_the_letter() -> None:
    labels = ['#1: "up"' if n % 2 else "{{no}} \\ null" for n in range(40)]
    write_csv("news.csv", labels=labels)
    arguments = ["--text", "headline", "--label", "mood", "--instruction", 'Is it {{text}} or {% if %} é "x"?']
    assert main(["new-task", "odd", "news.csv", *arguments]) == 0
    (task,) = load_tasks(["odd"]).values()
    first = prompt_of(task).split("\n")[0]
    given = 'Instruction: Is it {{text}} or {% if %} é "x"? {#1: "up"/{{no}} \\ null}'
    assert first == given
    assert task.eval_docs[0]["choices"] == sorted(set(labels))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine", "news.csv"], "no column 'text', 'label'; its columns are 'headline', 'mood'"),
        (["mine", "gone.csv"], "there is no file 'gone.csv'"),
        (["my mood", "news.csv"], "letters, digits and _"),
        (["../mine", "news.csv"], "letters, digits and _"),
        (["fin_fpb", "news.csv"], "called 'fin_fpb' already"),
        (
            ["mine", "many.csv", "--text", "headline", "--label", "mood", "--kind", "choice"],
            "holds 60 different values",
        ),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv("news.csv")
    lines = [f"text number {n},class {n % 60}" for n in range(240)]
    Path("many.csv").write_text("headline,mood\n" + "\n".join(lines) + "\n")
    assert main(["new-task", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not Path("tasks_yaml").exists()


def test_a_file_that_is_there_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    write_csv("news.csv")
    Path("tasks_yaml").mkdir()
    Path("tasks_yaml/mine.yaml").write_text("task: something\n")
    assert main(["new-task", "mine", "news.csv", "--text", "headline", "--label", "mood"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert Path("tasks_yaml/mine.yaml").read_text() == "task: something\n"


def test_a_full_disk_leaves_no_half_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def opened(path: Path, mode: str = "r", *words: object, **options: Any) -> Any:
        real(path, mode, *words, **options).close() if mode == "x" else None
        return Full() if mode == "x" else real(path, mode, *words, **options)

    write_csv("news.csv", "text", "label")
    real = Path.open
    monkeypatch.setattr(Path, "open", opened)
    assert main(["new-task", "mine", "news.csv"]) == 2 and not Path("tasks_yaml/mine.yaml").exists()
    monkeypatch.undo()
