"""Training reads what scoring reads: the same ids, loss on the answer alone, no row in two places."""

from pathlib import Path
from typing import Any

import pytest
import torch

from finbench.errors import FinbenchError
from finbench.tasks.load import load_tasks
from finetune import examples as making
from finetune.batches import collate
from finetune.recipe import Recipe, read_recipe


def recipe(tmp_path: Path, *settings: str) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text("base: x\ntasks: [fin_fpb]\n")
    return read_recipe(path, settings)


def fast(folder: Path) -> Any:
    from finbench.models.fast import FastLM

    return FastLM(pretrained=str(folder), device="cpu")


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("name", ["fin_fpb", "fin_ner", "fin_fpb_gen"])
def test_causal_ids_are_those_that_stock_hf_sends(
    family: str, name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.models.huggingface import HFLM

    folder = request.getfixturevalue(family)
    tasks = load_tasks([name])
    docs = {name: list(tasks[name].training_docs())[:5]}
    examples, _ = making.prompt_examples(tasks, docs, fast(folder), recipe(tmp_path, f"tasks=[{name}]"))
    stock = HFLM(pretrained=str(folder), device="cpu")
    sent: list[tuple[int, ...]] = []

    def note(requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        sent.extend((*context, *answer) for _, context, answer in requests)
        return [(0.0, False)] * len(requests)

    monkeypatch.setattr(stock, "_loglikelihood_tokens", note)
    for doc in docs[name]:
        task = tasks[name]
        context = task.fewshot_context(doc, 1)
        target = f" {doc['label']}" + ("\n" if name.endswith("_gen") else "")
        made = task.construct_requests(doc, context, doc_id=0, metadata=(name, 0, 1))
        request_ = made[0] if isinstance(made, list) else made
        request_.arguments = (context, target)
        stock.loglikelihood([request_])
    assert [example.input_ids for example in examples] == sent


def test_loss_stands_on_the_answer_alone(gpt2: Path, tmp_path: Path) -> None:
    tasks = load_tasks(["fin_fpb"])
    lm = fast(gpt2)
    docs = list(tasks["fin_fpb"].training_docs())[:4]
    examples, _ = making.prompt_examples(tasks, {"fin_fpb": docs}, lm, recipe(tmp_path))
    batch = collate([{"example": example, "fills": False} for example in examples], lm.tokenizer.pad_token_id, ())
    for row, (example, doc) in enumerate(zip(examples, docs, strict=True)):
        at = (batch["labels"][row] != -100).nonzero().squeeze(1)
        targets = batch["labels"][row][at]
        assert lm.tokenizer.decode(targets) == f" {doc['label']}"
        # the token at a labelled position is the one before its target
        whole = torch.tensor(example.input_ids)
        assert torch.equal(batch["input_ids"][row][at], whole[-len(targets) - 1 : -1])
        assert int(batch["attention_mask"][row].sum()) == len(example.input_ids) - 1


def test_classifier_ids_are_the_tokenizers_own(bert: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from finbench.models.classifier import ClassifierLM

    tokenizer = AutoTokenizer.from_pretrained(bert)
    model = BertForSequenceClassification(BertConfig.from_pretrained(bert, num_labels=3))
    lm = ClassifierLM(pretrained=model, tokenizer=tokenizer, labels=("location", "organization", "person"))
    tasks = load_tasks(["fin_ner"])
    docs = list(tasks["fin_ner"].training_docs())[:3]
    settings = recipe(tmp_path, "tasks=[fin_ner]", "task_type=classifier")
    examples, _ = making.classifier_examples(tasks, {"fin_ner": docs}, lm, settings)
    for example, doc in zip(examples, docs, strict=True):
        assert list(example.input_ids) == tokenizer(*doc["classifier_text"])["input_ids"]
    batch = collate(
        [{"example": example, "fills": False} for example in examples], tokenizer.pad_token_id, lm.class_names()
    )
    assert [lm.class_names()[n] for n in batch["labels"].tolist()] == [doc["label"] for doc in docs]


def test_one_head_serves_tasks_of_the_same_labels_only() -> None:
    assert set(making.head_labels(load_tasks(["fin_sentiment"]))) == {"negative", "neutral", "positive"}
    with pytest.raises(FinbenchError, match="fin_ner.*one adapter a task"):
        making.head_labels(load_tasks(["fin_fpb", "fin_ner"]))
    with pytest.raises(FinbenchError, match="fin_xbrl_tags.*task_type causal"):
        making.head_labels(load_tasks(["fin_xbrl_tags"]))


def test_no_row_is_in_two_places(tmp_path: Path) -> None:
    tasks = load_tasks(["fin_ner"])
    train, validation = making.split_rows(tasks, recipe(tmp_path, "tasks=[fin_ner]", "validation_share=0.3"))
    shot = {next(iter(tasks["fin_ner"].fewshot_docs()))["id"]}
    test = {doc["text"] for doc in tasks["fin_ner"].eval_docs}
    held = {doc["cluster"] for doc in validation["fin_ner"]}
    assert held and {doc["label"] for doc in validation["fin_ner"]} == {"location", "organization", "person"}
    assert not held & {doc["cluster"] for doc in train["fin_ner"]}
    for doc in [*train["fin_ner"], *validation["fin_ner"]]:
        assert doc["id"] not in shot and doc["text"] not in test


def test_a_row_longer_than_the_window_is_refused_or_counted(gpt2: Path, tmp_path: Path) -> None:
    tasks = load_tasks(["fin_fpb"])
    docs = {"fin_fpb": list(tasks["fin_fpb"].training_docs())[:6]}
    lm = fast(gpt2)
    lengths = sorted(len(e.input_ids) for e in making.prompt_examples(tasks, docs, lm, recipe(tmp_path))[0])
    room = lengths[2] - 1
    with pytest.raises(FinbenchError, match="truncate=drop"):
        making.prompt_examples(tasks, docs, lm, recipe(tmp_path, f"max_length={room}"))
    kept, too_long = making.prompt_examples(tasks, docs, lm, recipe(tmp_path, f"max_length={room}", "truncate=drop"))
    assert len(kept) + too_long == 6 and max(len(example.input_ids) for example in kept) - 1 <= room


def test_sampling_and_weights_even_the_classes() -> None:
    rows = [making.Example(str(n), "t", (1,), "a" if n < 6 else "b") for n in range(8)]
    for sampling, size in (("over", 12), ("under", 4), ("none", 8)):
        chosen = making.balanced(rows, sampling, seed=1)
        assert len(chosen) == size
        if sampling != "none":
            assert sum(example.label == "a" for example in chosen) == size // 2
    assert making.class_weights(rows, ("a", "b")) == pytest.approx([8 / 12, 2.0])
