"""Shots, chat templates and system instructions: the same prompts in lm_eval, runs, training and prediction."""

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import transformers

from finbench.cells.store import read_cells, read_outcomes
from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.paths import bundled_tasks
from finbench.tasks.load import load_tasks
from finbench.tasks.prompting import Chat, Prompting
from finetune.recipe import read_recipe
from tests import forked

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>\n{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)
LM_EVAL = [sys.executable, "-m", "lm_eval", "--model"]
SYSTEM = "You label texts about companies."


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> Path:
    """Return a Llama whose tokenizer adds BOS and has a chat template that adds it too."""
    folder = shutil.copytree(llama, tmp_path_factory.mktemp("talks") / "base")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)  # lm-eval cuts it to the tokenizer under peft=
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    return folder


def evaluated(base: Path, model: str, out: Path, *flags: str) -> list[list[float]]:
    """Return each row's log-likelihoods by plain lm_eval."""
    arguments = f"pretrained={base}" + ("" if model == "hf-classifier" else ",dtype=float32")
    command = [sys.executable, "-m", "lm_eval", "--model", model, "--model_args", arguments, "--tasks", "fin_fpb"]
    command += ["--limit", "6", "--device", "cpu", "--log_samples", "--output_path", str(out), *flags]
    forked.run(command, cwd=out.parent, check=True)
    (log,) = out.rglob("samples_*.jsonl")
    records = sorted(map(json.loads, log.read_text().splitlines()), key=lambda record: record["doc_id"])
    return [[float(answer[0]) for answer in record["filtered_resps"]] for record in records]


CASES = {
    "0 shots": (("--num_fewshot", "0"), {"num_fewshot": 0}),
    "3 shots": (("--num_fewshot", "3"), {"num_fewshot": 3}),
    "chat": (("--apply_chat_template",), {"chat_template": True}),
    "all": (
        ("--apply_chat_template", "--num_fewshot", "5", "--system_instruction", SYSTEM),
        {"chat_template": True, "num_fewshot": 5, "system_instruction": SYSTEM},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_hf_hf_fast_and_a_run_score_the_same_prompts(name: str, talks: Path, tmp_path: Path) -> None:
    flags, keys = CASES[name]
    stock = evaluated(talks, "hf", tmp_path / "hf", *flags)
    fast = evaluated(talks, "hf-fast", tmp_path / "fast", *flags)
    matrix = {"name": "m", "tasks": ["fin_fpb"], "limit": 6, "bases": [{"base": str(talks), "name": "toy"}], **keys}
    (tmp_path / "m.yaml").write_text(json.dumps(matrix))
    assert main(["run", str(tmp_path / "m.yaml"), "--cells", str(tmp_path / "cells")]) == 0
    (cell,) = read_cells(tmp_path / "cells").results
    ours = [outcome.scores for outcome in read_outcomes(tmp_path / "cells", cell.key)]
    for row, other, third in zip(stock, fast, ours, strict=True):
        assert other == pytest.approx(row, abs=1e-4) and third == pytest.approx(row, abs=1e-4)
    assert cell.key.num_fewshot == keys.get("num_fewshot", 1) and cell.flags["prompting"]


CHAT = ("--apply_chat_template", "--system_instruction", SYSTEM)
FLAGS = {
    "one turn": ("fin_fpb_gen", ("--limit", "4", *CHAT, "--num_fewshot", "3", "--fewshot_as_multiturn", "false")),
    **{
        f"{shots} shots of {task}": (task, ("--limit", "2", "--num_fewshot", str(shots), *flags))
        for task in ("fin_fpb", "fin_fpb_gen", "fin_finqa", "fin_xbrl_term", "fin_finentity", "fin_xbrl_values")
        for shots, flags in ((1, CHAT[1:]), (2, CHAT), (4, ()), (5, CHAT))
        if shots < 4 or task.startswith("fin_fpb")  # the others' do not fit the window
    },
    "predict_only of classes": ("fin_fpb", ("--limit", "4", "--predict_only")),
    "a stop word": ("fin_finqa", ("--limit", "4", "--gen_kwargs", "max_gen_toks=5,until=e")),
    "samples": ("fin_fpb", ("--samples", '{"fin_fpb": [0, 3, 5]}')),
    "gen_kwargs": ("fin_fpb_gen", ("--limit", "4", "--gen_kwargs", "max_gen_toks=6")),
    "predict_only": ("fin_fpb_gen", ("--limit", "4", "--predict_only")),
    "a task of that name in a folder": ("fin_fpb", ("--limit", "4", "--include_path", "own")),
}


OFTEN = ("one turn", "samples", "gen_kwargs", "predict_only", "a task of that name in a folder")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in OFTEN else [pytest.mark.slow]) for name in FLAGS]
)
def test_lm_evals_other_flags_give_the_same_with_both(name: str, talks: Path, tmp_path: Path) -> None:
    task, flags = FLAGS[name]
    (tmp_path / "own").mkdir()
    text = (bundled_tasks() / "fin_fpb.yaml").read_text().replace("of this news", "of this line")
    (tmp_path / "own" / "fin_fpb.yaml").write_text(text.replace("_classify", f"{bundled_tasks()}/_classify"))
    answers = {}
    for model in ("hf", "hf-fast"):
        command = [
            sys.executable,
            "-m",
            "lm_eval",
            "--model",
            model,
            "--model_args",
            f"pretrained={talks},dtype=float32",
        ]
        command += ["--tasks", task, "--device", "cpu", "--log_samples", "--output_path", str(tmp_path / model)]
        forked.run([*command, *flags], cwd=tmp_path, check=True)
        (log,) = (tmp_path / model).rglob("samples_*.jsonl")
        records = sorted(map(json.loads, log.read_text().splitlines()), key=lambda record: record["doc_id"])
        assert ("of this line" in str(records[0]["arguments"])) == (name == "a task of that name in a folder")
        answers[model] = [(record["doc_id"], record["filtered_resps"]) for record in records]
    for (row, ours), (other, theirs) in zip(answers["hf-fast"], answers["hf"], strict=True):
        assert row == other
        if task == "fin_fpb":
            assert len(ours) == len(theirs) == 3
            ours, theirs = ([float(answer[0]) for answer in one] for one in (ours, theirs))
        assert ours == (pytest.approx(theirs, abs=1e-4) if task == "fin_fpb" else theirs)


@pytest.mark.slow
def test_answers_out_of_lm_evals_cache_are_those_that_went_in(talks: Path, tmp_path: Path) -> None:
    first = evaluated(talks, "hf", tmp_path / "first", "--use_cache", "of_hf")
    assert evaluated(talks, "hf-fast", tmp_path / "other", "--use_cache", "of_hf") == first  # as lm-eval means it
    own = evaluated(talks, "hf-fast", tmp_path / "own", "--use_cache", "of_fast")
    assert evaluated(talks, "hf-fast", tmp_path / "again", "--use_cache", "of_fast") == own
    for row, other in zip(own, first, strict=True):
        assert row == pytest.approx(other, abs=1e-4)


def test_the_cache_of_lm_eval_is_warned_of(talks: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "lm_eval",
        "--model",
        "hf-fast",
        "--model_args",
        f"pretrained={talks}",
        "--limit",
        "2",
    ]
    done = forked.run(
        [*command, "--tasks", "fin_fpb", "--device", "cpu", "--use_cache", "kept"], cwd=tmp_path, check=True
    )
    assert "keeps answers by prompt and not by model" in done.stdout + done.stderr


def test_a_classifier_takes_lm_evals_chat_flags(bert: Path, tmp_path: Path) -> None:
    names = {0: "positive", 1: "negative", 2: "neutral"}
    model = transformers.AutoModelForSequenceClassification.from_pretrained(bert, id2label=names, num_labels=3)
    model.save_pretrained(tmp_path / "own")
    transformers.AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path / "own")
    plain = evaluated(tmp_path / "own", "hf-classifier", tmp_path / "plain")
    assert evaluated(tmp_path / "own", "hf-classifier", tmp_path / "chat", "--apply_chat_template") == plain


def test_shots_are_balanced_pinned_and_no_test_rows() -> None:
    task = load_tasks(["fin_fpb"])["fin_fpb"]
    shots = list(task.fewshot_docs())
    assert len(shots) == 5 and len({shot["cluster"] for shot in shots}) == 5
    assert max(Counter(shot["label"] for shot in shots[:3]).values()) == 1
    assert not {shot["text"] for shot in shots} & set(task.eval_docs["text"])
    one, three = (Prompting(count).context(task, task.eval_docs[0], None) for count in (1, 3))
    assert one == task.fewshot_context(task.eval_docs[0], 1) and three.startswith(one.partition("\n\n")[0])
    with pytest.raises(FinbenchError, match="num_fewshot is 6; fin_fpb has 5"):
        Prompting(6).context(task, task.eval_docs[0], None)


def finetuned(talks: Path, folder: Path, *settings: str) -> Path:
    (folder / "r.yaml").write_text(f"base: {talks}\ntasks: [fin_fpb]\nmax_steps: 2\nvalidation_share: 0.3\n")
    assert main(["finetune", str(folder / "r.yaml"), *settings, "--output", str(folder / "adapter")]) == 0
    return folder / "adapter"


def test_an_adapter_is_scored_and_asked_as_it_was_trained(
    talks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = finetuned(talks, tmp_path, "chat_template=true", "num_fewshot=2", f"system_instruction={SYSTEM}")
    matrix: dict[str, Any] = {"name": "m", "tasks": ["fin_fpb"], "limit": 4}
    matrix["bases"] = [{"base": str(talks), "adapters": [str(adapter)], "score_base": False}]
    path = tmp_path / "m.yaml"
    path.write_text(json.dumps(matrix))
    assert main(["run", str(path), "--cells", str(tmp_path / "cells")]) != 0
    said = capsys.readouterr()
    assert "num_fewshot: 2" in said.out + said.err and "chat_template: true" in said.out + said.err
    keys = {"num_fewshot": 2, "chat_template": True, "system_instruction": SYSTEM}
    for more in (keys, {"other_prompts": True}):
        path.write_text(json.dumps({**matrix, **more}))
        assert main(["run", str(path), "--cells", str(tmp_path / "cells")]) == 0
    trained = next(cell for cell in read_cells(tmp_path / "cells").results if cell.flags.get("prompting"))
    scores = [outcome.scores for outcome in read_outcomes(tmp_path / "cells", trained.key)]

    from finbench.predict.predictor import Predictor

    task = load_tasks(["fin_fpb"])["fin_fpb"]
    found = Predictor(str(talks), str(adapter)).logits([task.eval_docs[n]["text"] for n in range(4)])
    assert found.tolist() == [pytest.approx(row, abs=1e-4) for row in scores]
    lm = Chat(transformers.AutoTokenizer.from_pretrained(talks))
    context = read_recipe(tmp_path / "r.yaml", ["chat_template=true"]).prompting.context(task, task.eval_docs[0], lm)
    assert context.startswith("<s><user>\n") and context.endswith("<assistant>\n")


def test_a_base_without_a_template_is_refused(llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.yaml").write_text(f"base: {llama}\ntasks: [fin_fpb]\nchat_template: true\n")
    assert main(["finetune", str(tmp_path / "r.yaml"), "--output", str(tmp_path / "adapter")]) == 2
    assert "has no chat template" in capsys.readouterr().err


def test_a_tasks_own_number_of_shots_is_no_other_prompt(talks: Path, tmp_path: Path) -> None:
    adapter = finetuned(talks, tmp_path, "num_fewshot=1")
    matrix = {
        "name": "m",
        "tasks": ["fin_fpb"],
        "limit": 2,
        "bases": [{"base": str(talks), "adapters": [str(adapter)]}],
    }
    (tmp_path / "m.yaml").write_text(json.dumps(matrix))
    assert main(["run", str(tmp_path / "m.yaml"), "--cells", str(tmp_path / "cells")]) == 0
    assert not any("prompting" in cell.flags for cell in read_cells(tmp_path / "cells").results)


def test_what_asks_about_more_than_a_text_has_no_prompt() -> None:
    from finbench.predict.prompt import prompt_of

    for name in ("fin_headline", "fin_ner", "fin_xbrl_tags", "fin_finqa", "fin_tatqa", "fin_finred"):
        with pytest.raises(FinbenchError, match="asks about more than a text"):
            prompt_of(name, load_tasks([name])[name])
    for name in ("fin_fiqa", "fin_banking77_gen", "fin_finentity", "fin_formula"):
        assert prompt_of(name, load_tasks([name])[name]).task == name


def test_no_temperature_is_fitted_to_a_written_answer(
    talks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = finetuned(talks, tmp_path, "tasks=[fin_fpb_gen]")
    capsys.readouterr()
    assert main(["calibrate", "--base", str(talks), "--adapter", str(adapter)]) == 2
    assert "is of kind label" in capsys.readouterr().err
