"""The tasks as users meet them: names, groups, prompts, the pinned shot, and the metrics that plain lm-eval lists."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finbench.data.load import load, normalised
from finbench.errors import FinbenchError
from finbench.paths import bundled_tasks
from finbench.scoring.for_lm_eval import name_in_lm_eval
from finbench.scoring.kinds.choice import choose
from finbench.scoring.metrics import METRICS, summarise
from finbench.tasks.load import load_tasks, prompt_sha256, task_names

SENTIMENT = ["fin_fpb", "fin_fiqa", "fin_tfns", "fin_nwgi"]
XBRL = ["fin_xbrl_tags", "fin_xbrl_values"]
EIGHT = [*SENTIMENT, "fin_headline", "fin_ner", *XBRL]
CLASSIFY = [*EIGHT[:6], "fin_nwgi7"]
GENERATED = [f"{name}_gen" for name in CLASSIFY]


@pytest.fixture(scope="module")
def tasks() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        return load_tasks([*EIGHT, "fin_nwgi7", *GENERATED])


def context(task: Any, number: int = 0, shots: int | None = None) -> str:
    shots = task.config.num_fewshot if shots is None else shots
    text: str = task.fewshot_context(task.eval_docs[number], shots)
    return text


def requests_of(task: Any, limit: int | None = None) -> list[Any]:
    task.build_all_requests(limit=limit, rank=0, world_size=1)
    return list(task.instances)


def test_names_and_groups() -> None:
    choices = ("fomc", "german", "australian", "ma", "banking77", "numclaim")
    more = {"fin_xbrl_term", "fin_formula", "fin_financebench", "fin_finer", "fin_fnxl", "fin_finqa", "fin_convfinqa"}
    more |= {
        "fin_xbrl_formulas",
        "fin_xbrl_calculations",
        "fin_edtsum",
        "fin_finentity",
        "fin_tatqa",
        "fin_finred",
        *(f"fin_{name}{end}" for name in choices for end in ("", "_gen")),
    }
    groups = {"finbench", "finbench_all", "fin_sentiment", "fin_xbrl", "fin_numeric", "fin_extraction"}
    assert set(task_names()) == {*EIGHT, "fin_nwgi7", *GENERATED, *more, *groups}
    assert list(load_tasks(["finbench"])) == EIGHT
    assert list(load_tasks(["fin_sentiment"])) == SENTIMENT
    assert list(load_tasks(["fin_xbrl", "fin_fpb", "fin_xbrl_tags"])) == [*XBRL, "fin_fpb"]


def test_an_unknown_name_is_met_with_near_ones() -> None:
    with pytest.raises(FinbenchError, match="'fin_fbp'.*did you mean fin_fpb"):
        load_tasks(["fin_fbp"])
    with pytest.raises(FinbenchError, match="there are fin_.*FINBENCH_TASKS"):
        load_tasks(["hellaswag"])


@pytest.mark.parametrize("name", CLASSIFY)
def test_answers_are_the_labels_after_one_space(tasks: dict[str, Any], name: str) -> None:
    labels = load(tasks[name].config.dataset_kwargs["dataset"]).labels
    for request in requests_of(tasks[name]):
        prompt, answer = request.args
        assert prompt.endswith("\nAnswer:")  # no trailing space: it would change the answer's tokens
        assert answer == f" {labels[request.idx]}"


@pytest.mark.parametrize("name", CLASSIFY)
def test_the_generating_variant_has_the_same_prompt(tasks: dict[str, Any], name: str) -> None:
    generated = tasks[f"{name}_gen"]
    assert context(tasks[name], 1) == context(generated, 1)
    (request,) = requests_of(generated, limit=1)
    assert request.request_type == "generate_until"
    assert request.args[1]["until"] == ["\n"] and request.args[1]["max_gen_toks"] <= 24


@pytest.mark.parametrize("name", [*CLASSIFY, *GENERATED])
def test_the_shot_is_one_row_of_train_and_none_of_test(tasks: dict[str, Any], name: str) -> None:
    task = tasks[name]
    shot = next(iter(task.fewshot_docs()))
    rows = load(task.config.dataset_kwargs["dataset"])
    assert shot["id"] in {row.id for row in rows.splits["train"]}
    assert normalised(shot["text"]) not in {normalised(row.text) for row in rows.splits["test"]}
    shown = context(task, shots=0).replace(task.eval_docs[0]["text"], shot["text"])
    shown = shown.replace(task.eval_docs[0]["question"] or "\0", shot["question"])
    expected = f"{shown} {shot['label']}\n\n"
    for number in range(len(task.eval_docs)):  # the same for every row: it is what rows share
        assert context(task, number) == expected + context(task, number, shots=0)


def test_instructions_are_worded_as_published(tasks: dict[str, Any]) -> None:
    three = "Please choose an answer from {negative/neutral/positive}."
    news, tweet = f"What is the sentiment of this news? {three}", f"What is the sentiment of this tweet? {three}"
    for name, instruction in {"fin_fpb": news, "fin_nwgi": news, "fin_tfns": tweet}.items():
        text = tasks[name].eval_docs[0]["text"]
        assert context(tasks[name], shots=0) == f"Instruction: {instruction}\nInput: {text}\nAnswer:"
    assert {context(tasks["fin_fiqa"], n, 0).split("\n")[0] for n in range(18)} == {
        f"Instruction: {news}",
        f"Instruction: {tweet}",
    }
    listed = "/".join(load("nwgi7").labels)
    assert f"Please choose an answer from {{{listed}}}." in context(tasks["fin_nwgi7"], shots=0)
    for name in ("fin_headline", "fin_ner"):
        doc = tasks[name].eval_docs[0]
        assert context(tasks[name], shots=0) == f"Instruction: {doc['question']}\nInput: {doc['text']}\nAnswer:"


@pytest.mark.parametrize("name", XBRL)
def test_questions_on_a_filing_share_all_up_to_the_question(tasks: dict[str, Any], name: str) -> None:
    requests = requests_of(tasks[name])
    prompts: dict[str, set[str]] = {}
    for request in requests:
        prompt, settings = request.args
        shared, _, question = prompt.rpartition("\nQuestion: ")
        assert question == f"{request.doc['question']}\nAnswer:"
        assert shared.startswith("You are a knowledgeable XBRL assistant") and request.doc["xml"] in shared
        assert settings["until"] == ["\n"] and settings["max_gen_toks"] <= 48
        assert request.doc["answer"] not in shared.partition("```\n\n")[2]  # the example gives nothing away
        prompts.setdefault(request.doc["xml"], set()).add(shared)
    assert all(len(shared) == 1 for shared in prompts.values()) and len(prompts) < len(requests)


def evaluate(names: list[str], bootstrap_iters: int = 100000, **settings: Any) -> dict[str, Any]:
    import lm_eval
    from lm_eval.tasks import TaskManager

    from finbench.paths import task_folders

    manager = TaskManager(include_path=task_folders(), include_defaults=False)
    settings = {"log_samples": False, "bootstrap_iters": bootstrap_iters, **settings}
    return lm_eval.simple_evaluate("dummy", tasks=names, task_manager=manager, **settings)


def test_plain_lm_eval_lists_every_metric_and_groups_weigh_tasks_alike() -> None:
    results = evaluate(["finbench", "fin_nwgi7", "fin_fpb_gen"], bootstrap_iters=0)
    scores = results["results"]
    for name in [*EIGHT[:6], "fin_nwgi7", "fin_fpb_gen"]:
        listed = {key.split(",")[0] for key in scores[name] if "," in key and "_stderr" not in key}
        assert listed == {name_in_lm_eval(metric) for metric in METRICS}, name
    assert scores["fin_fpb_gen"]["unparsed,none"] == scores["fin_xbrl_values"]["unparsed,none"] == 1  # "lol"
    mean = sum(scores[name]["acc,none"] for name in EIGHT) / len(EIGHT)
    assert results["groups"]["finbench"]["acc,none"] == pytest.approx(mean)
    assert results["n-shot"]["fin_fpb"] == 1 and results["n-shot"]["fin_xbrl_tags"] == 0


def test_every_metric_in_lm_evals_table_has_a_standard_error() -> None:
    from lm_eval.utils import make_table

    results = evaluate(["fin_sentiment", "fin_fpb_gen", "fin_xbrl_values"], log_samples=True)
    assert "N/A" not in make_table(results) + make_table(results, "groups")
    samples = results["samples"]["fin_fpb"]
    outcomes = [choose(one["doc"], one["filtered_resps"]) for one in samples]
    own, said = summarise(outcomes, ["negative", "neutral", "positive"]), results["results"]["fin_fpb"]
    for name, metric in own.items():
        shown = name_in_lm_eval(name)
        assert said[f"{shown},none"] == pytest.approx(metric.value), name
        plain = shown in ("acc", "recall_weighted", "unparsed")  # lm-eval's own error of a mean, blind to clusters
        share = metric.value * (1 - metric.value) / (len(samples) - 1)
        assert said[f"{shown}_stderr,none"] == pytest.approx(math.sqrt(share) if plain else metric.stderr), name
    assert results["groups"]["fin_sentiment"]["acc_stderr,none"] > 0


def test_one_row_has_no_standard_error_and_lm_evals_own_can_be_switched_off() -> None:
    one = evaluate(["fin_fpb", "fin_xbrl_tags"], limit=1)["results"]
    errors = {key: value for scores in one.values() for key, value in scores.items() if "_stderr,none" in key}
    assert len(errors) >= 9 and set(errors.values()) == {"N/A"}
    assert evaluate(["fin_fpb"], bootstrap_iters=0, limit=9)["results"]["fin_fpb"]["acc_stderr,none"] == "N/A"


def test_a_task_file_of_an_earlier_finbench_still_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: dict[str, Any]
) -> None:
    now = (bundled_tasks() / "_classify.yaml").read_text().replace("_base.yaml", str(bundled_tasks() / "_base.yaml"))
    kept = "\n".join(line for line in now.splitlines() if not line.startswith(("  -", "metric_list", "process")))
    metric = "  - {metric: NAME, aggregation: !function finbench.scoring.metrics.NAME, higher_is_better: true}"
    (tmp_path / "mine.yaml").write_text(
        f"{kept}\ntask: mine\ndataset_kwargs: {{dataset: fpb}}\ndoc_to_text: 'Input: {{{{text}}}}'\n"
        "process_results: !function finbench.scoring.answers.classify\nmetric_list:\n"
        + "\n".join(metric.replace("NAME", name) for name in METRICS)
    )
    monkeypatch.setenv("FINBENCH_TASKS", str(tmp_path))
    results = evaluate(["mine"], log_samples=True)
    outcomes = [choose(one["doc"], one["filtered_resps"]) for one in results["samples"]["mine"]]
    for name, metric in summarise(outcomes, ["negative", "neutral", "positive"]).items():
        assert results["results"]["mine"][f"{name},none"] == pytest.approx(metric.value), name
    (earlier,) = load_tasks(["mine"]).values()
    before = prompt_sha256(earlier)
    earlier.config.process_results = tasks["fin_fpb"].config.process_results
    assert prompt_sha256(earlier) == before  # the same reading: cells that are there stay valid


def test_a_prompts_hash_is_its_own_and_stable(tasks: dict[str, Any]) -> None:
    hashes = {name: prompt_sha256(task) for name, task in tasks.items()}
    assert len(set(hashes.values())) == len(hashes)
    code = (
        f"from finbench.tasks.load import *\nfor name, task in load_tasks({list(tasks)!r}).items(): "
        "print(name, prompt_sha256(task))"
    )
    printed = subprocess.check_output(
        [sys.executable, "-c", code], text=True, env={**os.environ, "PYTHONHASHSEED": "1"}, stderr=subprocess.DEVNULL
    )
    assert dict(line.split() for line in printed.splitlines()) == hashes


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_fewshot", 0),
        ("target_delimiter", ""),
        ("doc_to_text", "Input: {{text}}\nAnswer:"),
        ("doc_to_text", "Instruction: {{question or 'x'}}{% if 0 %}y{% endif %}"),
        ("description", "Hello. "),
        ("metadata", {"clean": True}),
    ],
)
def test_what_changes_a_prompt_changes_its_hash(key: str, value: object) -> None:
    (task,) = load_tasks(["fin_fpb"]).values()
    before = prompt_sha256(task)
    task.set_config(key=key, value=value)
    assert prompt_sha256(task) != before


def test_clean_reaches_rows_and_hash() -> None:
    pytest.importorskip("simplemma", reason="cleaning is an extra")
    (plain,), (clean,) = (load_tasks(["fin_fpb"], metadata=m).values() for m in (None, {"clean": True}))
    assert plain.eval_docs[0]["text"] != clean.eval_docs[0]["text"]
    assert clean.eval_docs[0]["text"].islower()
    assert prompt_sha256(plain) != prompt_sha256(clean)


def test_a_users_folder_adds_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finbench.paths import bundled_tasks

    own = f"include: {bundled_tasks()}/fin_fpb.yaml\ntask: my_fpb\nnum_fewshot: 3\nfewshot_split: train\n"
    (tmp_path / "my_fpb.yaml").write_text(own + "fewshot_config: {sampler: default}\n")
    monkeypatch.setenv("FINBENCH_TASKS", str(tmp_path))
    (first,), (second,) = (load_tasks(["my_fpb"]).values() for _ in range(2))
    assert prompt_sha256(first) == prompt_sha256(second)
    assert context(first) == context(second) and context(first).count("Answer:") == 4  # drawn, yet the same each time
