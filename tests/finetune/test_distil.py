"""Students: what they learn from a teacher, which rows it labels, and what is kept and said of it."""

from pathlib import Path

import pytest
import torch

from finbench.errors import FinbenchError
from finetune.batches import collate
from finetune.distil import Mix, divergence, label_scores
from finetune.examples import Example
from finetune.recipe import read_recipe
from finetune.rows import gather
from finetune.shared_prefix import Sharing, install
from finetune.train import Trained, train
from tests.finetune.conftest import COMMON, recipe_of


@pytest.mark.parametrize(
    ("teaches", "kind"),
    [
        ("llama_teacher", "classifier"),
        ("bert_teacher", "causal"),
        pytest.param("llama_teacher", "causal", marks=pytest.mark.slow),
        pytest.param("bert_teacher", "classifier", marks=pytest.mark.slow),
    ],
)
def test_a_student_comes_nearer_to_its_teacher(
    teaches: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path, bert: Path, still: Path
) -> None:
    teacher = request.getfixturevalue(teaches)
    base = bert if kind == "classifier" else still
    recipe = recipe_of(tmp_path, base, teacher, kind, "distil_weight=1", "temperature=1", "max_steps=30", "dropout=0")
    trained = train(recipe, tmp_path / "student")
    parts = [
        (entry["loss"], entry["loss_teacher"], entry["loss_labels"]) for entry in trained.history if "loss" in entry
    ]
    assert len(parts) >= 3 and all(loss == pytest.approx(a + b, abs=1e-4) for loss, a, b in parts)
    assert all(labels == 0 for _, _, labels in parts), "the teacher alone has the whole weight"
    assert parts[-1][1] < 0.5 * parts[0][1], f"the student did not come nearer: {parts}"


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(trained.folder / "adapter_model.safetensors")


def test_a_students_weights_do_not_depend_on_how_its_batches_are_cut(
    llama_teacher: tuple[Path, Path], still: Path, tmp_path: Path
) -> None:
    plain = weights(train(recipe_of(tmp_path, still, llama_teacher, "causal"), tmp_path / "plain"))
    settings = ("prefix_sharing=off", "batch_size=4", "gradient_accumulation=2")
    other = weights(train(recipe_of(tmp_path, still, llama_teacher, "causal", *settings), tmp_path / "other"))
    assert max(float((value - other[name]).abs().max()) for name, value in plain.items()) < 2e-5


def test_a_causal_students_shares_are_those_that_scoring_compares(
    llama_teacher: tuple[Path, Path], still: Path, tmp_path: Path
) -> None:
    """The labels have several tokens each; batches with and without shared tokens."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from finbench.models.fast import FastLM
    from finbench.tasks.load import load_tasks
    from finetune.distil import taught
    from finetune.examples import prompt_examples

    settings = ("tasks=[fin_fpb, fin_headline]", "validation_share=0", "limit=4")
    recipe = recipe_of(tmp_path, still, llama_teacher, "causal", *settings)
    tasks = load_tasks(recipe.tasks)
    rows = gather(tasks, recipe)
    assert rows.answers is not None
    model = AutoModelForCausalLM.from_pretrained(still).eval()
    tokenizer = AutoTokenizer.from_pretrained(still)
    lm = FastLM(pretrained=model, tokenizer=tokenizer, batch_size=8)
    found, _ = prompt_examples(tasks, rows.train, lm, recipe)
    examples = taught(found, rows.train, rows.answers, tasks, lm, recipe, ())
    lengths = {name: {n for one in examples if one.task == name for _, n in one.rivals} for name in tasks}
    assert lengths["fin_fpb"] == {1} and min(lengths["fin_headline"]) > 1
    docs = {doc["id"]: doc for part in rows.train.values() for doc in part}
    asked = [recipe.prompting.requests(tasks[one.task], docs[one.row_id], 0, lm) for one in examples]
    scores = iter(lm.loglikelihood([r for row in asked for r in row], disable_tqdm=True))
    wanted = {one.row_id: [next(scores)[0] for _ in row] for one, row in zip(examples, asked, strict=True)}
    install(model)
    ways: list[tuple[str, Sharing]] = [
        ("fin_", ""),
        ("fin_fpb", "padded"),
        ("fin_headline", "padded"),
        ("fin_", "packed"),
    ]
    for part, shares in ways:
        chosen = [one for one in examples if one.task.startswith(part)]
        batch = collate([{"example": one, "fills": False} for one in chosen], 0, (), shares)
        assert ("groups" in batch) == bool(shares)
        with torch.no_grad():
            if shares:
                logits = model(groups=batch["groups"])
            else:
                read = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
                logits = read[:, batch["read"]].flatten(0, 1)
        ours = label_scores(logits, batch, batch["teacher"])
        for one, row in zip(chosen, ours.tolist(), strict=True):
            theirs = wanted[one.row_id]
            assert row[: len(theirs)] == pytest.approx(theirs, abs=1e-3) and all(
                score < -1e8 for score in row[len(theirs) :]
            )
        assert batch["labels"].tolist() == [one.gold for one in chosen]


def test_labels_of_one_token_run_a_row_once() -> None:
    rivals = tuple(((5, 6, 7, token), 1) for token in (1, 2, 3))
    one = Example("a", "t", (5, 6, 7, 1), "x", 1, teacher=(-1.0, -2.0, -3.0), rivals=rivals, gold=0)
    batch = collate([{"example": one, "fills": False}], 0, ())
    assert batch["input_ids"].tolist() == [[5, 6, 7]] and batch["tokens"].tolist() == [1, 2, 3]
    begun = (((5, 6, 1), 1), ((5, 6, 1, 2), 2), ((5, 6, 9, 2), 2))  # the first is the beginning of the second
    two = Example("a", "t", (5, 6, 1), "x", 1, teacher=(-1.0, -2.0, -3.0), rivals=begun, gold=0)
    batch = collate([{"example": two, "fills": True}], 0, ())
    assert batch["input_ids"].tolist() == [[5, 6, 1], [5, 6, 9]] and batch["labels"].tolist() == [-100]


def test_the_teachers_part_is_hintons() -> None:
    teacher, student = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[0.5, 0.1, 0.0]])
    p, q = torch.softmax(teacher / 3, -1), torch.softmax(student / 3, -1)
    by_hand = float((p * (p / q).log()).sum())
    assert float(divergence(teacher, student, 3.0)) == pytest.approx(by_hand, rel=1e-5)
    parts = Mix(0.25, 3.0).of(torch.tensor(by_hand), torch.tensor(2.0))
    assert [float(part) for part in parts] == pytest.approx([0.25 * 9 * by_hand, 1.5])
    near = torch.tensor([[1.0, 0.0]], requires_grad=True)
    divergence(torch.tensor([[0.0, -1e9]]), near, 2.0).backward()  # a label that the row does not offer
    assert near.grad is not None and torch.isfinite(near.grad).all()


def test_a_teachers_labels_are_found_by_name(bert: Path, tmp_path: Path) -> None:
    """A teacher without an adapter, whose head has the labels in another order than the task."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from finbench.tasks.load import load_tasks

    names = {0: "positive", 1: "negative", 2: "neutral"}
    torch.manual_seed(0)
    config = BertConfig.from_pretrained(bert, num_labels=3, id2label=names, label2id={v: k for k, v in names.items()})
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path / "headed")
    tokenizer = AutoTokenizer.from_pretrained(bert)
    tokenizer.save_pretrained(tmp_path / "headed")
    path = tmp_path / "student.yaml"
    path.write_text(f"base: {bert}\ntask_type: classifier\n{COMMON}teacher: {{base: '{tmp_path / 'headed'}'}}\n")
    recipe = read_recipe(path)
    tasks = load_tasks(recipe.tasks)
    rows = gather(tasks, recipe)
    assert rows.answers is not None
    for doc in rows.train["fin_fpb"][:4]:
        ids = {k: v for k, v in tokenizer(doc["text"], return_tensors="pt").items() if k == "input_ids"}
        shares = torch.log_softmax(model(**ids).logits[0], -1)
        wanted = [float(shares[list(names.values()).index(label)].detach()) for label in doc["choices"]]
        assert rows.answers.scores["fin_fpb", doc["id"]] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("distil_weight=1.5",), "distil_weight must be at least 0 and at most 1"),
        (("temperature=0",), "temperature must be above 0"),
        (("distil_weight=0",), "nothing to say where no row is unlabelled"),
        (("teacher={base: x, adaptor: y}",), "unknown key 'adaptor' in teacher: did you mean adapter"),
        (("teacher={base: x, bits: 3}",), "teacher: bits is 3; choose one of "),
        (("teacher=gpt2",), "teacher is 'gpt2'; keys with values"),
        (("teacher=null", "unlabelled=x.csv"), "unlabelled needs a teacher"),
        (("task_type=seq2seq",), "cannot go with task_type seq2seq"),
        (("teacher_confidence=1",), "teacher_confidence must be at least 0 and below 1"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, settings: tuple[str, ...], message: str) -> None:
    with pytest.raises(FinbenchError, match=message):
        recipe_of(tmp_path, tmp_path, (tmp_path, tmp_path), "causal", *settings)


def test_hashes_of_recipes_without_a_teacher_stay(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("base: some/base\ntasks: [fin_fpb]\n")
    plain = read_recipe(path).sha256()
    assert plain == read_recipe(path, ["distil_weight=0.9", "temperature=5"]).sha256()
    assert plain.startswith("c2b18c99e638"), "adapters of earlier releases would count as those of another recipe"
    taught = [read_recipe(path, ["teacher={base: x}", f"temperature={t}"]).sha256() for t in (1, 2)]
    assert len({plain, *taught}) == 3
