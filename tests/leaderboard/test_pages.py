"""What the pages say of cells whose truth is known."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from finbench.cells.key import Cell
from finbench.cells.store import path_of, read_cells
from finbench.leaderboard.pages.pareto import front
from finbench.leaderboard.render import render
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.since import changes
from finbench.leaderboard.view import view_of

Write = Callable[..., Cell]


@pytest.fixture
def pages(tmp_path: Path) -> Callable[[], dict[str, str]]:
    """Return a function that renders the cells, with plain blanks where no line of a table may end."""

    def rendered() -> dict[str, str]:
        found = render(read_cells(tmp_path / "cells"), tmp_path / "cells")
        return {name: text.replace("\u00a0", " ") for name, text in found.items()}

    return rendered


def line(page: str, *words: str) -> str:
    plain = page.replace("\u00a0", " ")
    found = [one for one in plain.splitlines() if one.startswith("|") and all(word in one for word in words)]
    assert found, (words, page)
    return found[0]


def test_the_front_page_says_what_is_better_tied_and_no_better(scored: Write, pages: Callable) -> None:
    scored("toy", "", 60), scored("toy", "good", 100), scored("toy", "close", 98), scored("toy", "bad", 62)
    best = line(pages()["README.md"], "toy + good", "0.833")
    assert "+0.333, better (p &lt; 0.001)" in best and "| 1 " in best, "close is tied, bad is not"
    assert "0.833 [0.756, 0.890]" in best and "| 0.500 " in best and "0.687 → 0.863" in best
    task = pages()["task_fpb.md"]
    assert "not shown to differ" in line(task, "toy + bad") and line(task, "toy + close").startswith("| 1 ")
    assert line(task, "toy (base)").startswith("| 3 ")


def test_gains_are_corrected_for_the_tasks_of_the_table(scored: Write, pages: Callable) -> None:
    for task in ("fin_fpb", "fin_tfns", "fin_nwgi"):
        (
            scored("toy", "", 60, task=task),
            scored("toy", "a", 67, task=task),
        )  # seven pairs: p 0.016, 0.047 of three
    assert "better (p 0.047)" in line(pages()["README.md"], "fpb", "+0.058")


def test_rows_that_repeat_are_no_evidence(scored: Write, pages: Callable) -> None:
    scored("toy", "", 60, repeats=10), scored("toy", "a", 100, repeats=10)  # four of twelve clusters differ
    page = pages()
    assert "not shown to differ" in line(page["README.md"], "toy + a", "+0.333")
    assert "120 rows are 12 different ones" in page["README.md"]


def test_pairs_are_tested_by_accuracy_and_by_f1(scored: Write, pages: Callable) -> None:
    scored("toy", "", 60), scored("toy", "good", 100), scored("toy", "close", 98), scored("toy", "bad", 62)
    section = pages()["task_fpb.md"].partition("### Pairs on the same rows")[2].partition("###")[0]
    assert "accuracy, exact McNemar" in section and "weighted F1, paired permutation" in section
    against_base = line(section, "| toy + good ", "| toy (base) ")
    assert "+0.333, better (p &lt; 0.001)" in against_base and against_base.count("better") == 2
    rival = line(section, "| toy + good ", "| toy + close ")
    assert "+0.017, not shown to differ" in rival and rival.count("not shown to differ") == 2
    assert len([one for one in section.splitlines() if one.startswith("| toy")]) == 5  # three gains, two rivals


def test_scores_stand_by_recipe_and_not_by_seed(scored: Write, pages: Callable) -> None:
    for seed, right in enumerate((90, 96, 102)):
        recipe = {"r": 8, "seed": seed}
        scored("toy", f"lora_s{seed}", right, record={"method": "lora", "tasks": ["fin_fpb"], "recipe": recipe})
    scored("toy", "other", 99, record={"method": "lora", "tasks": ["fin_fpb"], "recipe": {"r": 4, "seed": 0}})
    found = pages()
    assert "| toy + lora " in found["accuracy.md"] and "0.8000 ± 0.0500 (3)" in found["accuracy.md"]
    assert "lora_s1" not in found["accuracy.md"] and "**0.8250**" in found["accuracy.md"]
    assert all(f"lora_s{seed}" in found["task_fpb.md"] for seed in range(3))


def test_whose_student_stands_beside_it(scored: Write, pages: Callable) -> None:
    of = {"method": "lora", "tasks": ["fin_fpb"]}
    scored("toy", "plain", 84, record={**of, "recipe": {"r": 8}})
    assert "student of" not in pages()["methods.md"], "a column that would be empty"
    for number, name in enumerate(("wise", "wiser")):
        teacher = {"name": name, "base": {"sha256": "b"}, "adapter": {"name": name, "sha256": str(number)}}
        rows = {"fin_fpb": {"read": 9, "trained_on": 1200 * number}}
        scored("toy", f"of-{name}", 90 + number, record={
            **of, "recipe": {"r": 8, "teacher": {"base": "x", "adapter": "y"}}, "teacher": teacher,
            "unlabelled": {"rows": rows},
        })  # fmt: skip
    made = {"fin_fpb": [{"kind": "typos", "made": 1234, "left_out": {}}]}
    scored("toy", "noisy", 80, record={**of, "recipe": {"r": 8, "augment": [{"kind": "typos"}]}, "augmented": made})
    head, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in pages()["methods.md"].splitlines()
        if line.startswith(("| task ", "|:---", "| fpb "))
    ][:6]
    assert head[-2:] == ["student of", "rows by typos"]
    assert sorted(line[-2:] for line in lines) == [
        ["wise", "–"], ["wiser, 1,200 texts labelled by it", "–"], ["–", "1,234"], ["–", "–"]
    ]  # fmt: skip


def test_a_student_is_held_against_its_teacher_and_itself_without_one(scored: Write, pages: Callable) -> None:
    of = {"method": "lora", "tasks": ["fin_fpb"]}
    scored("large", "wise", 108, record=of, seconds_per_row=0.08)
    scored("large", "other", 120, record=of)
    teacher = {"name": "wise", "base": {"all_sha256": "large"}, "adapter": {"sha256": "wise"}, "precision": "float32"}
    for seed in range(2):
        scored(
            "toy", f"plain_s{seed}", 60 + seed, record={**of, "recipe": {"r": 8, "seed": seed, "distil_weight": 0.5}}
        )
        asked = {"r": 8, "seed": seed, "distil_weight": 0.9, "teacher": {"base": "x"}}
        scored("toy", f"taught_s{seed}", 90 + seed, record={**of, "recipe": asked, "teacher": teacher})
    scored("toy", "wider", 96, record={**of, "recipe": {**asked, "r": 16}, "teacher": {**teacher, "precision": "4bit"}})
    section = pages()["methods.md"].partition("## Students")[2].partition("## Pictures")[0]
    own = line(section, "| toy + taught ")
    assert "0.7542 ± 0.0059 (2)" in own and "| 0.9000 " in own
    assert "-0.146, worse (p &lt; 0.001)" in own and "+0.250, better (p &lt; 0.001)" in own
    assert "| 0.0100 " in own and "| 0.0800 " in own
    alone = line(section, "| toy + wider ")  # neither its teacher in 4 bits nor its plain self was scored
    assert alone.count("not scored") == 2 and "0.0800" not in alone
    assert len([one for one in section.splitlines() if one.startswith("| fpb")]) == 2


def test_seeds_of_a_recipe_are_one_line(scored: Write, pages: Callable) -> None:
    for seed, right in enumerate((84, 90, 96)):
        recipe = {"r": 8, "seed": seed, "base": f"models/{seed}"}
        scored("toy", f"lora-{seed}", right, record={"method": "lora", "tasks": ["fin_fpb"], "recipe": recipe})
    scored("toy", "other", 96, record={"method": "lora", "tasks": ["fin_fpb"], "recipe": {"r": 4, "seed": 0}})
    methods = pages()["methods.md"]
    assert "0.7500 ± 0.0500" in line(methods, "LoRA", "| 3 ") and line(methods, "LoRA", "| 1 ", "0.8000")


def test_a_cell_says_that_its_prompts_were_not_those_of_the_training(scored: Write, pages: Callable) -> None:
    of = {"method": "lora", "tasks": ["fin_fpb"]}
    scored("toy", "none", 84, record={**of, "recipe": {"num_fewshot": 0, "clean": False}})
    scored("toy", "clean", 90, record={**of, "recipe": {"num_fewshot": None, "clean": True}})
    scored("toy", "same", 96, record={**of, "recipe": {"num_fewshot": 1, "clean": False}})
    whole = {"method": "full", "tasks": ["fin_fpb"], "base": {"id": "x/toy-7b", "sha256": "toy"}}
    scored("whole", "", 99, record={**whole, "recipe": {"num_fewshot": 2, "clean": False}})
    task = pages()["task_fpb.md"]
    assert "trained with 0 shots, scored with 1" in task
    assert "trained on cleaned texts, scored on plain ones" in task
    assert "trained with 2 shots, scored with 1" in task, "a model trained whole"
    assert task.count("trained with") == 2 and task.count("trained on cleaned") == 1


def test_a_model_trained_whole_is_its_base_with_method_full(scored: Write, pages: Callable) -> None:
    record = {"method": "full", "tasks": ["fin_fpb"], "recipe": {}, "base": {"id": "x/toy-7b", "sha256": "toy"}}
    scored("toy", "", 60), scored("fpb-full-s0", "", 100, record=record)
    found = pages()
    assert "toy + fpb-full-s0" in line(found["README.md"], "+0.333, better")
    assert line(found["methods.md"], "toy + fpb-full-s0", "full fine-tuning", "0.8333")
    assert "toy + fpb-full-s0" in found["transfer.md"]


def test_the_highest_number_of_a_task_is_bold(scored: Write, pages: Callable) -> None:
    scored("toy", "", 60), scored("toy", "a", 84), scored("toy", "", 30, task="fin_tfns")
    accuracy = pages()["accuracy.md"]
    assert "**0.7000** ±" in line(accuracy, "toy + a") and accuracy.count("**") == 2  # one entry alone is no best


def test_where_nobody_is_right_nobody_is_best(scored: Write, pages: Callable) -> None:
    scored("toy", "", 0), scored("toy", "a", 0)
    page = pages()
    assert "no entry answers a row rightly" in line(page["README.md"], "fpb")
    assert "no entry answers a row of fpb" in page["README.md"].lower()
    assert "MiB" not in page["README.md"] and "smallest difference" not in page["task_fpb.md"]


def test_each_page_leads_back_and_remarks_are_said_once(scored: Write, pages: Callable) -> None:
    for base in "abcdefghijkl":
        scored(base, "", 30)
    page = pages()
    for name, text in page.items():
        assert name.endswith((".html", ".js", ".svg")) or name == "README.md" or "](README.md)" in text, name
    (remark,) = [one for one in page["notes.md"].splitlines() if one.startswith("- not shown to beat a constant")]
    assert "fin_fpb \\| a; " in remark and remark.endswith(" and 4 more")


def test_averages_and_their_gain_count_tasks_alike(scored: Write, pages: Callable) -> None:
    for task, bare, own in (("fin_fpb", 60, 96), ("fin_tfns", 72, 84)):
        scored("toy", "", bare, task=task)
        scored("toy", f"a-{task}", own, task=task, record={"method": "lora", "tasks": [task], "recipe": {}})
    found = line(pages()["average.md"], "toy + LoRA, trained on the task")
    assert "0.7500" in found and "0.5500" in found and "+0.2000" in found and "2: fpb, tfns" in found


def test_flags_name_what_no_number_shows(scored: Write, pages: Callable, tmp_path: Path) -> None:
    scored("FinBERT", "", 100), scored("toy", "", 40)
    front_page, task = pages()["README.md"], pages()["task_fpb.md"]
    assert "All of it: the base has seen this test set" in front_page
    number = re.search("([¹²³]) not shown to beat a constant answer", task)
    assert number and number[1] in line(task, "toy (base)") and number[1] not in line(task, "FinBERT")
    assert " †" in line(pages()["accuracy.md"], "FinBERT")


def test_headline_is_shown_without_the_price_question(scored: Write, pages: Callable) -> None:
    scored("toy", "", 60, task="fin_headline", repeats=9, n_clusters=14)
    # rows 0 to 59 are right; of those that are not each ninth from 0, 53 of 106
    assert "0.500" in line(pages()["task_headline.md"], "| 0.500 ") and "price question" in pages()["README.md"]


def test_the_cost_front_keeps_what_nothing_beats(scored: Write, pages: Callable, tmp_path: Path) -> None:
    costs = {"slow": (90, 0.3), "fast": (60, 0.1), "beaten": (80, 0.4), "equal": (90, 0.3)}
    for name, (right, seconds) in costs.items():
        scored(name, "", right, seconds_per_row=seconds)
    found = view_of(read_cells(tmp_path / "cells"), tmp_path / "cells").main("fin_fpb")
    kept = front(found, Scored.seconds_per_row)
    assert {one.line.entries[0].base for one in kept} == {"slow", "fast", "equal"}
    assert pages()["cost_fpb.svg"].count('transform="translate') >= 4 and "◆" not in line(
        pages()["pareto.md"], "beaten"
    )


def test_the_audit_is_a_page(scored: Write, pages: Callable, tmp_path: Path) -> None:
    scored("toy", "", 60)
    assert "finbench data audit" in pages()["audit.md"]
    split = {"effective_rows": 7, "largest_share": 0.6, "classes": {"a": 4}, "duplicates": 1, "conflicts": 0}
    audit = {"fin_fpb": {"source": "folder", "splits": {"test": split}, "used": {"train": 9, "test": 8},
                         "exact": {"test_rows_in_train": 3}, "dropped": {"train: text stands in test": 5}}}  # fmt: skip
    (tmp_path / "audit.json").write_text(json.dumps(audit))
    assert all(said in line(pages()["audit.md"], "fpb", "9 / 8") for said in ("60.0%", "5 (text stands in test)"))


def test_names_are_not_read_as_markdown_or_html(scored: Write, pages: Callable) -> None:
    scored("<script>alert(1)</script> a|b", "", 60)
    found = pages()
    for name, page in found.items():
        assert "<script>alert" not in page, name
    assert "&lt;script>alert(1)&lt;/script> a\\|b" in found["README.md"]


def test_what_changed_is_said(scored: Write, tmp_path: Path) -> None:
    scored("toy", "", 60), scored("toy", "a", 70)
    gone = path_of(tmp_path / "cells", scored("gone", "", 50).key)
    (tmp_path / "cells").rename(tmp_path / "then")
    scored("toy", "", 60), scored("toy", "a", 80, base_sha256="another"), scored("new", "", 90)
    found = changes(str(tmp_path / "then"), tmp_path / "cells")
    assert len(found) == 3 and gone.name not in found
    assert any(one.startswith("new: fin_fpb | new") for one in found) and any(one.startswith("gone: ") for one in found)
    assert any("accuracy 0.5833 to 0.6667" in one and "another base" in one for one in found)


@pytest.mark.parametrize("rows", [True, False])
def test_an_adapter_trained_on_a_group_is_marked_on_its_tasks(rows: bool, scored: Write, pages: Callable) -> None:
    record: dict[str, object] = {"method": "lora", "tasks": ["fin_sentiment"], "recipe": {"seed": 0}}
    if rows:  # as finetune writes it, for groups of a user's own too
        record |= {"tasks": ["my_group"], "rows": {"fin_fpb": {"source": "sample"}, "fin_tfns": {"source": "folder"}}}
    for task in ("fin_fpb", "fin_tfns", "fin_ner"):
        scored("toy", "", 60, task=task), scored("toy", "all", 90, task=task, record=record)
    found = pages()
    assert line(found["transfer.md"], "toy + all").count("•") == 2
    assert "toy + all •" in line(found["task_fpb.md"], "| 1 ") and "toy + all •" in line(found["task_tfns.md"], "| 1 ")
    assert "•" not in line(found["task_ner.md"], "toy + all")
    assert line(found["methods.md"], "| fpb ", "LoRA", "0.7500") and line(found["methods.md"], "| tfns ", "LoRA")
    assert "| ner " not in found["methods.md"] and "3: fpb, tfns, ner" in line(found["average.md"], "toy + all")
    assert "trained on the task |" not in found["average.md"], "one adapter of several tasks is an entry, no method"
    trained = line(found["efficiency.md"].partition("## Scoring")[0], "toy + all")
    assert ("fpb, tfns" if rows else "fpb, fiqa, tfns, nwgi") in trained


@pytest.mark.parametrize(
    "record",
    [
        {"tasks": 5, "rows": [], "resources": "x", "parameters": {"trainable": "many"}, "recipe": [], "base": 3},
        {"tasks": [1, None], "rows": {"fin_fpb": 3}, "resources": {"elapsed_seconds": True, "gpu_hours": -1}},
        {"tasks": "fin_fpb", "resources": {"gpu_peak_allocated_bytes": [None, "x"], "elapsed_seconds": 10**290}},
        {"rows": {"fin_fpb": {"source": 4}}, "parameters": {"trainable": 10**290}, "recipe": {"batch_size": {"a": []}}},
        {"method": [], "task_type": {}, "base": {"id": 1, "sha256": []}, "command": {"a": 1}},
    ],
)
def test_a_record_of_any_kind_takes_no_board_down(record: dict[str, object], scored: Write, pages: Callable) -> None:
    scored("toy", "", 60), scored("toy", "odd", 90, record={**record, "method": "lora"})
    scored("whole", "", 80, record={**record, "method": "full"})
    found = pages()
    assert "0.750" in line(found["task_fpb.md"], "toy + odd") and line(found["efficiency.md"], "toy + odd")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"fin_fpb": 3}', '{"fin_fpb": {}}', '{"fin_fpb": {"splits": {"test": 1}}}']
)
def test_a_broken_audit_takes_no_board_down(text: str, scored: Write, pages: Callable, tmp_path: Path) -> None:
    scored("toy", "", 60)
    (tmp_path / "audit.json").write_text(text)
    found = pages()
    assert "audit.json" in found["audit.md"] and "writes it anew" in found["audit.md"] and "0.500" in found["README.md"]
    assert str(tmp_path) not in found["audit.md"]


def test_seconds_that_were_taken_beside_other_work_are_marked(scored: Write, pages: Callable) -> None:
    quiet, loud = ({"cores": 2, "mean": 1.0, "others_share": share} for share in (0.05, 0.4))
    scored("alone", "", 60, load=quiet), scored("beside", "", 60, load=loud), scored("old", "", 60)
    record = {"method": "lora", "recipe": {}, "resources": {"elapsed_seconds": 60.0, "load": loud}}
    scored("beside", "a", 60, load=quiet, record=record)
    page = pages()["efficiency.md"]
    training, _, scoring = page.partition("## Scoring")
    assert "0.0100†" in line(scoring, "beside") and "0.0100†" not in line(scoring, "alone")
    assert "60†" in line(training, "beside + a") and "more than 10% of the processors" in page
    notes = pages()["notes.md"]
    assert "load not recorded: 1 of 4 scores, whose seconds" in notes
    assert "its seconds were taken beside other work" in notes and "trained beside other work" in notes
