"""More train rows: seeded, labelled as the rows they were made of, and never in test, validation or shot."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.tasks.load import load_tasks
from finetune.recipe import Recipe, read_recipe
from finetune.rows import Gathered, gather


def recipe_of(folder: Path, *settings: str) -> Recipe:
    path = folder / "r.yaml"
    path.write_text("base: some/base\ntask_type: classifier\ntasks: [fin_fpb]\nvalidation_share: 0.2\n")
    return read_recipe(path, settings)


def gathered(folder: Path, *settings: str) -> Gathered:
    recipe = recipe_of(folder, *settings)
    return gather(load_tasks(recipe.tasks), recipe)


def new_rows(found: Gathered) -> list[Any]:
    return [doc for doc in found.train["fin_fpb"] if "+" in doc["id"]]


@pytest.mark.parametrize("kind", ["lower", "upper", "typos", "numbers", "casing"])
def test_rows_come_again_changed_and_keep_their_label(kind: str, tmp_path: Path) -> None:
    plain, found = gathered(tmp_path), gathered(tmp_path, f"augment={{kind: {kind}, copies: 2}}")
    assert found.validation == plain.validation
    of_row = {doc["id"]: doc for doc in plain.train["fin_fpb"]}
    assert [doc for doc in found.train["fin_fpb"] if doc["id"] in of_row] == plain.train["fin_fpb"]
    made = new_rows(found)
    assert len(of_row) / 2 < len(made) <= 2 * len(of_row) and len({doc["text"] for doc in made}) == len(made)
    for doc in made:
        before = of_row[doc["id"].partition("+")[0]]
        assert doc["label"] == before["label"] and doc["text"] != before["text"]
        assert doc["classifier_text"] == [doc["text"]]
    (counts,) = found.notes["augmented"]["fin_fpb"]
    assert counts["made"] == len(made) and counts["made"] + sum(counts["left_out"].values()) == 2 * len(of_row)
    again = gathered(tmp_path, f"augment={{kind: {kind}, copies: 2}}")
    assert again.train == found.train
    if kind == "typos":
        assert new_rows(gathered(tmp_path, "augment={kind: typos, copies: 2}", "seed=1")) != made


def test_classes_can_be_chosen_and_ways_put_together(tmp_path: Path) -> None:
    found = gathered(tmp_path, "augment=[{kind: lower, classes: [negative]}, {kind: upper, classes: [positive]}]")
    assert {(doc["label"], doc["text"] == doc["text"].lower()) for doc in new_rows(found)} == {
        ("negative", True), ("positive", False)
    }  # fmt: skip


def test_what_stands_in_test_or_validation_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune import augment

    plain = gathered(tmp_path)
    leaks = [load_tasks(["fin_fpb"])["fin_fpb"].eval_docs[0]["text"], plain.validation["fin_fpb"][0]["text"]]
    monkeypatch.setattr(augment, "_change", lambda *_: lambda texts, names: [leaks[n % 2] for n in range(len(texts))])
    found = gathered(tmp_path, "augment={kind: typos}")
    assert not new_rows(found)
    assert found.notes["augmented"]["fin_fpb"][0]["left_out"] == {
        "stands in test, validation or shot, or was made before": len(plain.train["fin_fpb"])
    }


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny masked language model with a vocabulary of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("masked")
    words = "rose fell climbed profit sales company shares quarter said will year".split()
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, "##s", "##ed", "a", ".", "12"]
    tokenizer = Tokenizer(models.WordPiece({token: n for n, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]", model_max_length=64
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


def test_words_are_replaced_by_a_masked_model(masked: Path, tmp_path: Path) -> None:
    way = f"augment={{kind: masked, model: {masked}, share: 0.2}}"
    plain, found = gathered(tmp_path), gathered(tmp_path, way)
    made = new_rows(found)
    of_row = {doc["id"]: doc["text"].split(" ") for doc in plain.train["fin_fpb"]}
    assert len(made) > len(of_row) / 2
    vocabulary = set("rose fell climbed profit sales company shares quarter said will year".split())
    for doc in made:
        before, after = of_row[doc["id"].partition("+")[0]], doc["text"].split(" ")
        changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert 1 <= len(changed) <= 0.2 * len(before) + 1
        for old, new in changed:
            core = "".join(filter(str.isalpha, new)).lower()
            assert core in vocabulary and core != "".join(filter(str.isalpha, old)).lower()
            assert new[:1].isupper() == old[:1].isupper()
    assert new_rows(gathered(tmp_path, way)) == made


def test_a_model_without_masks_is_refused(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match="no mask token"):
        gathered(tmp_path, f"augment={{kind: masked, model: {bert}}}")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("augment={kind: typo}", r"augment\[0\]: kind is 'typo'; choose one of lower"),
        ("augment={kind: masked}", "model names a masked language model's folder"),
        ("augment={kind: typos, model: x}", "model names a masked language model's folder"),
        ("augment={kind: typos, copies: 0}", "copies must be 1 or more"),
        ("augment={kind: typos, share: 2}", "share must be above 0"),
        ("augment=typos", "augment is 'typos'; a list is wanted"),
    ],
)
def test_what_makes_no_sense_is_refused(setting: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match=message):
        recipe_of(tmp_path, setting)


def test_texts_that_answers_quote_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match="are not perturbed"):
        gathered(tmp_path, "tasks=[fin_ner]", "augment={kind: typos}")


def test_a_training_says_what_was_made(bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe_of(tmp_path)
    folder = tmp_path / "out"
    words = [
        f"base={bert}",
        "max_steps=1",
        "best_by=null",
        "sampling=over",
        "augment={kind: casing, classes: [negative]}",
    ]
    assert main(["finetune", str(tmp_path / "r.yaml"), *words, "--output", str(folder)]) == 0
    record = json.loads((folder / "finbench.json").read_text())
    (counts,) = record["augmented"]["fin_fpb"]
    assert counts["kind"] == "casing" and record["recipe"]["augment"][0]["classes"] == ["negative"]
    assert f"casing: {counts['made']} more rows of fin_fpb" in capsys.readouterr().out
    assert f"{counts['made']:,} more rows of fin_fpb: casing" in (folder / "README.md").read_text()
    from finetune.recipe import from_settings

    assert from_settings(record["recipe"]).sha256() == record["recipe_sha256"]
