"""A service keeps no text, one that cannot be read costs the others nothing, and no benchmark's rows are fetched."""

import gc
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finbench.errors import FinbenchError
from finbench.predict import calibration
from finbench.predict.predictor import Predictor
from finbench.predict.prompt import Prompt, prompt_of, recorded
from finbench.tasks.load import load_tasks
from finbench.tasks.prompting import Prompting
from tests import forked

CONTAINERS = (tuple, list, dict, set, frozenset)


def holding(word: str) -> list[str]:
    """Return all strings with this word that anything alive refers to, however deep in it."""
    gc.unfreeze()  # what was imported may hold a text, too
    gc.collect()
    found, seen = list[str](), set[int]()
    containers: list[object] = gc.get_objects()
    while containers:  # what the collector does not track is met in what it does
        parts = gc.get_referents(*containers)
        found += [one for one in parts if isinstance(one, str) and word in one]
        found += [repr(one) for one in parts if isinstance(one, bytes) and word.encode() in one]
        untracked = {id(one): one for one in parts if isinstance(one, CONTAINERS) and not gc.is_tracked(one)}
        containers = [one for number, one in untracked.items() if number not in seen]
        seen |= untracked.keys()
    gc.freeze()
    return found


@pytest.mark.parametrize("kind", ["classifier", "causal"])
def test_no_text_is_kept(kind: str, bert: Path, adapter: Path, gpt2: Path, causal_adapter: Path) -> None:
    base, folder = (bert, adapter) if kind == "classifier" else (gpt2, causal_adapter)
    predictor = Predictor(str(base), str(folder))
    secret = "".join(["q", "zx", kind, "w"])  # its parts alone stand in this file

    def texts() -> list[str]:
        return [f"{secret} sold {number} plants." for number in range(4)] + [f"{secret} " * 2000]

    answers = predictor.predict_each(texts())
    assert [isinstance(one, FinbenchError) for one in answers] == [False] * 4 + [True]
    assert [one for one in holding(secret) if one != secret] == [], "kept after texts that were answered"
    assert not getattr(predictor.lm, "_kept", None), "their tokens are the texts, too"
    predictor.predict_each(texts()[-1:])
    assert [one for one in holding(secret) if one != secret] == [], "kept after one that was not"


class Counting:
    """Counts the calls of a model."""

    def __init__(self, lm: Any) -> None:
        self.lm, self.calls = lm, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lm, name)

    def loglikelihood(self, requests: Sequence[Any], **options: Any) -> Any:
        self.calls.append(len(requests) // 3)
        return self.lm.loglikelihood(requests, **options)


@pytest.mark.parametrize("kind", ["classifier", "causal"])
def test_a_text_that_is_too_long_leaves_its_batch_together(
    kind: str, bert: Path, adapter: Path, gpt2: Path, causal_adapter: Path
) -> None:
    base, folder = (bert, adapter) if kind == "classifier" else (gpt2, causal_adapter)
    predictor = Predictor(str(base), str(folder))
    predictor.lm = Counting(predictor.lm)
    texts = [f"Sales rose to {number} million." for number in range(63)]
    answers = predictor.predict_each([*texts[:40], "profit " * 1500, *texts[40:]])
    assert predictor.lm.calls == [63], "the batch was run in pieces"
    assert isinstance(answers.pop(40), FinbenchError)
    for found, expected in zip(answers, predictor.predict(texts), strict=True):
        assert not isinstance(found, FinbenchError) and found.scores == pytest.approx(expected.scores, abs=1e-5)


def test_a_text_that_cannot_be_answered_stands_alone_after_few_calls(bert: Path, adapter: Path) -> None:
    predictor = Predictor(str(bert), str(adapter))

    class Choking(Counting):
        def loglikelihood(self, requests: Sequence[Any], **options: Any) -> Any:
            found = super().loglikelihood(requests, **options)
            if any("choke" in request.doc["text"] for request in requests):
                raise FinbenchError("no number")
            return found

    predictor.lm = Choking(predictor.lm)
    answers = predictor.predict_each([f"text {number}" for number in range(31)] + ["choke"])
    assert [isinstance(one, FinbenchError) for one in answers] == [False] * 31 + [True]
    assert len(predictor.lm.calls) <= 11


@pytest.mark.parametrize("kind", ["classifier", "causal"])
def test_predict_needs_no_rows(
    kind: str, bert: Path, adapter: Path, gpt2: Path, causal_adapter: Path, tmp_path: Path
) -> None:
    """Rows that cannot be had: a folder without the publishers' files, as a hub without a network."""
    base, folder = (bert, adapter) if kind == "classifier" else (gpt2, causal_adapter)
    (tmp_path / "empty").mkdir()
    command = [
        sys.executable,
        "-m",
        "finbench",
        "predict",
        "--base",
        str(base),
        "--adapter",
        str(folder),
        "--json",
        "x",
    ]
    environment = {**os.environ, "FINBENCH_DATA": str(tmp_path / "empty")}
    done = forked.run(command, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scores"] == pytest.approx(
        Predictor(str(base), str(folder)).predict(["x"])[0].scores
    )


def test_a_bases_own_head_needs_no_rows(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    names = {0: "positive", 1: "negative", 2: "neutral"}
    model = AutoModelForSequenceClassification.from_pretrained(bert, id2label=names, num_labels=3)
    model.save_pretrained(tmp_path / "own")
    AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path / "own")
    monkeypatch.setenv("FINBENCH_DATA", str(tmp_path / "nowhere"))
    predictor = Predictor(str(tmp_path / "own"))
    assert predictor.labels == ("negative", "neutral", "positive")
    with pytest.raises(FinbenchError, match="more than a text"):
        Predictor(str(tmp_path / "own"), task="fin_headline")
    with pytest.raises(FinbenchError, match="does not choose"):
        Predictor(str(tmp_path / "own"), task="fin_xbrl_tags")
    with pytest.raises(FinbenchError, match="no task is called"):
        Predictor(str(tmp_path / "own"), task="fin_none")


def test_a_prompt_is_the_tasks_own() -> None:
    task = load_tasks(["fin_fpb"])["fin_fpb"]
    for shots in (0, 1):
        prompt = prompt_of("fin_fpb", task, Prompting(shots))
        for doc in list(task.eval_docs)[:5]:
            expected = task.construct_requests(doc, task.fewshot_context(doc, shots), metadata=("fin_fpb", 0, 1))
            assert [one.args for one in prompt.requests(doc["text"], 0)] == [one.args for one in expected]


def test_a_prompt_that_changes_its_text_is_refused() -> None:
    task = load_tasks(["fin_fpb"])["fin_fpb"]
    task.config.doc_to_text = "News: {{text|upper}}"
    with pytest.raises(FinbenchError, match="changes a text"):
        prompt_of("fin_fpb", task)


def test_the_recorded_prompt_is_that_of_the_training(causal_adapter: Path) -> None:
    record = json.loads((causal_adapter / "finbench.json").read_text())
    found = recorded(record, "fin_fpb", "here")
    assert found == prompt_of("fin_fpb", load_tasks(["fin_fpb"])["fin_fpb"])
    assert isinstance(found, Prompt)
    cleaned = replace(found, clean=True).requests("<b>Sales</b> of 5 plants", 0)[0]
    assert cleaned.args[0] == found.before + "sales plant" + found.after


@pytest.mark.parametrize("broken", [[], {"fin_fpb": 3}, {"fin_fpb": {"task": "fin_fpb"}}, {"fin_fpb": None, "x": 1}])
def test_a_record_without_a_prompt_or_with_a_broken_one(broken: Any) -> None:
    if isinstance(broken, dict) and broken["fin_fpb"] is not None:
        with pytest.raises(FinbenchError, match="is no prompt"):
            recorded({"prompts": broken}, "fin_fpb", "here")
    else:
        assert recorded({"prompts": broken}, "fin_fpb", "here") is None


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", "[" * 100_000, "\udcff",
     '{"temperature": NaN, "adapter_sha256": "h", "task": "t"}',
     '{"temperature": 0, "adapter_sha256": "h", "task": "t"}',
     '{"temperature": "1", "adapter_sha256": "h", "task": "t"}'],
)  # fmt: skip
def test_a_broken_temperature_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / calibration.FILE).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(FinbenchError, match=calibration.FILE):
        calibration.read_temperature(tmp_path, "h", "t")


def test_a_copy_without_prompts_reads_the_task(gpt2: Path, causal_adapter: Path, tmp_path: Path) -> None:
    """Adapters of before, and those that PEFT alone made."""
    own = shutil.copytree(causal_adapter, tmp_path / "own")
    record = json.loads((own / "finbench.json").read_text())
    del record["prompts"]
    (own / "finbench.json").write_text(json.dumps(record))
    texts = ["Sales rose.", "Profit fell by 3 million."]
    old, new = (Predictor(str(gpt2), str(folder)).predict(texts) for folder in (own, causal_adapter))
    assert old == new
