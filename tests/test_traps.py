"""The traps that other harnesses fell into, each with the tests that fail when it is put back.

`GUARDS` is the list; those that no other file tests are tested below. Each trap was put back once by hand, in this
order, and a test of the file that guards it failed:

1. `label_in` without its word boundaries, the first of several labels taken;
2. `label_in` returning the first label where it read none;
3. `by_class` counting only hits as predicted;
4. `ScoredTask.score` without emptying the requests, and with a `zip` that is not strict;
5. `Switch.proof` always saying that logits changed;
6. `hash_adapter` over the path of the weights;
7. `trained_precision` always None;
8. a space after the answer in `prompt_and_answer`;
9. one token more counted as the answer in `prompt_examples`;
10. `pick_shot` choosing among all rows of train;
11. `first_line` returning what follows the last "Answer:";
12. `elapsed_seconds` divided by 60, and `CellKey.digest` over the task alone.
"""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finbench.runs.layout import PlannedCell
from finbench.runs.matrix import Base, Matrix
from finbench.runs.result import Measured, cell_from
from finbench.tasks.requests import ScoredTask, scored_tasks

TESTS = Path(__file__).parent

GUARDS = {
    "the first substring wins, ties depend on the hash seed": [
        "scoring/test_answers.py::test_label",
        "scoring/test_answers.py::test_1200_is_not_12",
        "scoring/test_answers.py::test_a_tag_is_a_whole_name",
        "scoring/test_answers.py::test_ties_do_not_depend_on_the_hash_seed",
    ],
    "an unread answer gets a default class": [
        "scoring/test_answers.py::test_label",
        "scoring/test_metrics.py::test_gibberish_does_not_score",
        "data/test_hub.py::test_an_unknown_label_is_an_error_not_a_default",
    ],
    "a wrong answer is no class's false positive": [
        "scoring/test_metrics.py::test_a_wrong_answer_is_a_false_positive_of_the_class_it_names",
        "scoring/test_metrics.py::test_equal_to_scikit_learn",
    ],
    "a failed batch reuses the answers before it": [
        "test_traps.py::test_a_model_that_fails_leaves_no_answers_to_the_next",
        "test_traps.py::test_too_few_answers_are_no_answers",
    ],
    "the adapter was not applied, or another was": [
        "adapters/test_on_model.py::test_a_lora_that_does_nothing_is_found_out",
        "runs/test_run.py::test_adapters_on_one_base_are_those_loaded_alone",
        "leaderboard/test_pages.py::test_flags_name_what_no_number_shows",
    ],
    "a cache keyed by path serves an adapter retrained in place": [
        "runs/test_run.py::test_an_adapter_trained_anew_in_place_gets_new_cells",
        "models/test_fast.py::test_nothing_of_the_weights_is_kept_between_calls",
        "adapters/test_folder.py::test_weights_changed_in_place_change_the_hash",
    ],
    "a head is random after loading, a merged adapter is scored at another precision": [
        "models/test_classifier.py::test_a_base_without_a_head_has_no_score",
        "models/test_classifier.py::test_weights_that_neither_base_nor_adapter_has_are_refused",
        "models/test_fast_arguments.py::test_merge_refuses_what_it_would_change",
        "test_traps.py::test_an_adapter_scored_at_another_precision_is_flagged",
    ],
    "prompts differ between training and scoring": [
        "finetune/test_examples.py::test_causal_ids_are_those_that_stock_hf_sends",
        "finetune/test_examples.py::test_classifier_ids_are_the_tokenizers_own",
    ],
    "the loss mask is off by one, padding changes scores": [
        "finetune/test_examples.py::test_loss_stands_on_the_answer_alone",
        "finetune/test_shared_prefix.py::test_gradients_are_those_of_the_plain_loss",
        "models/test_classifier.py::test_batch_size_changes_nothing",
        "models/test_fast.py::test_same_numbers_and_texts_as_hf",
    ],
    "the shot is a test row or its duplicate": [
        "data/test_load.py::test_the_shot_is_no_near_duplicate_of_a_test_row",
        "tasks/test_tasks.py::test_the_shot_is_one_row_of_train_and_none_of_test",
    ],
    "the model is scored on a question it invented": [
        "scoring/test_answers.py::test_label",
        "scoring/test_answers.py::test_tag",
        "test_traps.py::test_what_follows_the_first_line_is_not_read",
    ],
    "units are mislabelled, results share a file": [
        "runs/test_monitor.py::test_seconds_processor_and_memory_are_those_of_the_work",
        "test_traps.py::test_seconds_are_seconds_and_rows_are_counted_once",
        "cells/test_store.py::test_another_key_is_another_file",
        "interchange/test_imported.py::test_another_run_is_not_overwritten",
    ],
}


@pytest.mark.parametrize("trap", GUARDS)
def test_every_guard_is_there(trap: str) -> None:
    for guard in GUARDS[trap]:
        path, name = guard.split("::")
        assert re.search(rf"^def {name}\(", (TESTS / path).read_text(), re.MULTILINE), guard


class Says:
    """An lm-eval model that always prefers the same label, or breaks down after some requests."""

    def __init__(self, choice: int, answers: int | None = None, breaks: bool = False) -> None:
        self.choice, self.answers, self.breaks = choice, answers, breaks

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        if self.breaks:
            raise RuntimeError("out of memory")
        said = [(0.0 if request.idx == self.choice else -1.0, False) for request in requests]
        return said[: self.answers]

    def generate_until(self, requests: list[Any]) -> list[str]:
        return [" neutral\n\nInput: another text\nAnswer: positive"] * len(requests)


@pytest.fixture
def task() -> ScoredTask:
    return scored_tasks(["fin_fpb"], 9, clean=False)["fin_fpb"]


def test_a_model_that_fails_leaves_no_answers_to_the_next(task: ScoredTask) -> None:
    first = [one.prediction for one in task.score(Says(0))]
    with pytest.raises(RuntimeError, match="out of memory"):
        task.score(Says(1, breaks=True))
    assert not any(request.resps or request.filtered_resps for request in task.requests(None))
    second = [one.prediction for one in task.score(Says(2))]
    assert first == [task.labels[0]] * 9 and second == [task.labels[2]] * 9


def test_too_few_answers_are_no_answers(task: ScoredTask) -> None:
    task.score(Says(0))
    with pytest.raises(ValueError, match="shorter"):
        task.score(Says(1, answers=20))


def test_what_follows_the_first_line_is_not_read() -> None:
    task = scored_tasks(["fin_fpb_gen"], 3, clean=False)["fin_fpb_gen"]
    assert [one.prediction for one in task.score(Says(0))] == ["neutral"] * 3


def planned(task: ScoredTask, adapter_precision: str) -> PlannedCell:
    from tests.cells.test_store import KEY

    made: Any = SimpleNamespace(name="a", method="qlora", size_bytes=1, record={}, precision=adapter_precision)
    return PlannedCell(KEY, task, made)


def measured(task: ScoredTask, seconds: float) -> Measured:
    record = {"elapsed_seconds": seconds, "gpu_peak_allocated_bytes": None, "resident_peak_bytes": 2**20}
    return Measured(task.score(Says(0)), 0.0, record, None)


def test_seconds_are_seconds_and_rows_are_counted_once(task: ScoredTask) -> None:
    """Nine rows of three answers each in ninety seconds are ten seconds a row."""
    cell = cell_from(planned(task, "float32"), Base("b"), False, Matrix("m", (), (Base("b"),)), measured(task, 90.0))
    assert cell.elapsed_seconds == 90.0 and cell.n_rows == 9
    assert cell.seconds_per_row == 10.0 and cell.rows_per_second == 0.1
    assert cell.peak_bytes == 2**20


@pytest.mark.parametrize(("trained", "flag"), [("4bit", "4bit"), ("float32", None)])
def test_an_adapter_scored_at_another_precision_is_flagged(task: ScoredTask, trained: str, flag: str | None) -> None:
    cell = cell_from(planned(task, trained), Base("b"), False, Matrix("m", (), (Base("b"),)), measured(task, 1.0))
    assert cell.flags["trained_precision"] == flag
