"""A teacher's answers: asked once, kept through a kill, and given to texts without labels; leaks are left out."""

import csv
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from finbench.cli import main
from finbench.data.load import load
from finbench.errors import FinbenchError
from finetune.recipe import read_recipe
from finetune.rows import gather
from finetune.train import train
from tests import forked
from tests.finetune.conftest import recipe_of


def test_a_teacher_is_asked_once_and_another_one_anew(
    llama_teacher: tuple[Path, Path], bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finbench.tasks.load import load_tasks
    from finetune import teaching

    recipe = recipe_of(tmp_path, bert, llama_teacher, "classifier")
    tasks = load_tasks(recipe.tasks)
    first = gather(tasks, recipe)
    monkeypatch.setenv("WORLD_SIZE", "2")  # several processes read what one has asked
    second = gather(tasks, recipe)
    assert first.answers is not None and second.answers is not None
    assert second.answers.scores == first.answers.scores
    assert first.notes["teacher"]["asked_now"] == first.notes["teacher"]["rows"] > 0
    assert second.notes["teacher"]["asked_now"] == 0
    assert second.notes["teacher"]["seconds"] == first.notes["teacher"]["seconds"] > 0
    bare = recipe_of(tmp_path, bert, llama_teacher, "classifier", f"teacher={{base: {llama_teacher[0]}}}")
    with pytest.raises(FinbenchError, match="--label-only"):
        gather(tasks, bare)
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setattr(teaching, "CHUNK", 5)
    third = gather(tasks, bare)
    assert third.answers is not None and third.answers.scores != first.answers.scores


def test_a_killed_teacher_goes_on_where_it_was(llama_teacher: tuple[Path, Path], bert: Path, tmp_path: Path) -> None:
    recipe_of(tmp_path, bert, llama_teacher, "classifier")
    slowly = (
        "import time, finetune.teaching as t; t.CHUNK = 4; keep = t._keep\n"
        "def slow(file, lines):\n    keep(file, lines)\n    time.sleep(0.5)\n"
        "t._keep = slow\nfrom finbench.cli import main\nmain(['finetune', 'student.yaml', '--label-only'])"
    )
    process = forked.start([sys.executable, "-c", slowly], cwd=tmp_path)
    home = Path(os.environ["FINBENCH_HOME"])
    deadline = time.monotonic() + 120
    while not list(home.glob("teachers/*.jsonl")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (file,) = home.glob("teachers/*.jsonl")
    kept = len([line for line in file.read_text().splitlines() if line])
    assert 0 < kept < 15
    with file.open("a") as sink:
        sink.write('\n{"row": "half a li')
    done = forked.run([sys.executable, "-m", "finbench", "finetune", "student.yaml", "--label-only"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    asked = [json.loads(line) for line in file.read_text().splitlines() if line and not line.endswith("a li")]
    rows = len(load("fpb").splits["train"])
    assert len(asked) == len({line["row"] for line in asked}), "a row was asked twice"
    assert f"{len(asked)} rows answered, {len(asked) - kept} of them now" in done.stdout and len(asked) < rows


def test_unlabelled_texts_are_labelled_and_leaks_are_counted(
    llama_teacher: tuple[Path, Path],
    bert: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from finbench.tasks.load import load_tasks

    labelled = recipe_of(tmp_path, bert, llama_teacher, "classifier", "limit=16")
    tasks = load_tasks(labelled.tasks)
    before = gather(tasks, labelled)
    seen = {doc["id"] for part in (before.train, before.validation) for doc in part["fin_fpb"]}
    held_out = [row.text for row in load("fpb").splits["train"] if row.id not in seen]
    shot = tasks["fin_fpb"].fewshot_docs()[0]["text"]
    held_out.remove(shot)
    texts = [
        *held_out,
        load("fpb").splits["test"][0].text.upper(),
        load("tfns").splits["test"][1].text,  # another task's test row
        before.validation["fin_fpb"][0]["text"],
        before.train["fin_fpb"][0]["text"],
        shot,
        "=1+1 a new text, with a comma",
        "=1+1 a  NEW text, with a comma",
        "",
    ]
    with (tmp_path / "more.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *([str(n), text] for n, text in enumerate(texts))])
    absent = "task: gone\ncustom_dataset: !function finbench.data.load.splits\ndataset_kwargs: {dataset: file}\n"
    (tmp_path / "tasks_yaml").mkdir()
    (tmp_path / "tasks_yaml" / "gone.yaml").write_text(absent.replace("file}", f"file, test: {tmp_path}/gone.csv}}"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "student"
    command = ["finetune", str(tmp_path / "student.yaml"), "limit=16", f"unlabelled={tmp_path / 'more.csv'}"]
    teacher = f"teacher={{base: '{llama_teacher[0]}', adapter: {llama_teacher[1]}, bits: null}}"
    assert main([*command, teacher, "sampling=over", "--output", str(folder)]) == 0
    record = json.loads((folder / "finbench.json").read_text())
    counts = record["unlabelled"]["rows"]["fin_fpb"]
    assert counts["read"] == len(texts) and counts["trained_on"] == counts["kept"] == len(held_out) + 1
    assert counts["dropped"] == {
        "stands in the test rows of fin_fpb": 1, "stands in the test rows of fin_tfns": 1, "stands in validation": 1,
        "stands in train": 1, "stands in the prompt's shot": 1, "repeated": 1, "no text": 1,
    }  # fmt: skip
    assert sum(counts["labels"].values()) == len(held_out) + 1
    assert record["unlabelled"]["not_checked"] == ["gone"] and len(record["unlabelled"]["checked_against"]) >= 9
    said = capsys.readouterr().out
    assert "taught by teacher" in said and f"more.csv, fin_fpb: {len(held_out) + 1} of {len(texts)} rows" in said
    assert "not in those of gone, which are not here" in said and str(tmp_path) not in json.dumps(record["unlabelled"])
    card = (folder / "README.md").read_text()
    assert "student of teacher" in card and "of more.csv labelled by the teacher" in card
    assert record["teacher"]["adapter"]["sha256"][:12] in card
    assert not any(str(place) in card for place in (tmp_path, *llama_teacher)), (
        "the card names a folder of this machine"
    )
    sure = read_recipe(tmp_path / "student.yaml", [*command[2:], "teacher_confidence=0.999"])
    with pytest.raises(FinbenchError, match="leaves no unlabelled row"):
        gather(tasks, sure)


def test_unlabelled_rows_of_tasks_with_more_columns(
    llama_teacher: tuple[Path, Path], bert: Path, tmp_path: Path
) -> None:
    from finbench.tasks.load import load_tasks

    question = "Does the news headline talk about price? Please choose an answer from {Yes/No}."
    (tmp_path / "more.jsonl").write_text(json.dumps({"text": "Gold is dear this morning", "question": question}) + "\n")
    settings = ("tasks=[fin_headline]", f"unlabelled={tmp_path / 'more.jsonl'}", "limit=8", "validation_share=0")
    recipe = recipe_of(tmp_path, bert, llama_teacher, "classifier", *settings)
    made = gather(load_tasks(recipe.tasks), recipe).train["fin_headline"][-1]
    assert made["classifier_text"] == [question, "Gold is dear this morning"] and made["label"] in ("Yes", "No")
    (tmp_path / "more.jsonl").write_text('{"text": "Gold is dear this morning"}\n')
    with pytest.raises(FinbenchError, match="no column 'question'"):
        gather(load_tasks(recipe.tasks), recipe)


def test_tasks_without_labels_have_no_teacher(llama_teacher: tuple[Path, Path], still: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, still, llama_teacher, "causal", "tasks=[fin_xbrl_values]")
    with pytest.raises(FinbenchError, match="has no labels to choose from"):
        train(recipe, tmp_path / "x")


def test_changed_files_that_a_student_learns_from_make_another_training(
    llama_teacher: tuple[Path, Path], bert: Path, tmp_path: Path
) -> None:
    import shutil

    copied, file = tmp_path / "teacher", tmp_path / "more.csv"
    shutil.copytree(llama_teacher[1], copied)
    file.write_text("text\nSales rose\n")

    def asked() -> str:
        return recipe_of(tmp_path, bert, (llama_teacher[0], copied), "classifier", f"unlabelled={file}").sha256()

    first = asked()
    assert first == asked()
    file.write_text("text\nSales fell\n")
    second = asked()
    weights = copied / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert len({first, second, asked()}) == 3
    file.unlink()
    with pytest.raises(FinbenchError, match="there is no file"):
        asked()
