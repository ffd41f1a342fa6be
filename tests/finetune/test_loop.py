"""What a recipe's settings of the loop do: each leaves the weights, steps or choice that it promises."""

import random
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainingArguments

from finbench.errors import FinbenchError
from finetune.batches import LengthGroupedOrder, collate
from finetune.examples import Example
from finetune.loop import RecipeTrainer
from finetune.recipe import read_recipe
from finetune.shared_prefix import install
from finetune.train import Trained, train
from tests.conftest import build_model


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny GPT-2 without dropout."""
    return build_model(tmp_path_factory.mktemp("still"), "gpt2", resid_pdrop=0.0, attn_pdrop=0.0, embd_pdrop=0.0)


def run(base: Path, folder: Path, *settings: str) -> Trained:
    recipe = folder.parent / f"{folder.name}.yaml"
    recipe.write_text(
        f"base: {base}\ntasks: [fin_fpb]\nlimit: 24\nmax_steps: 6\nbatch_size: 8\nlearning_rate: 1.0e-2\n"
        "validation_share: 0\nbest_by: null\n"
    )
    return train(read_recipe(recipe, settings), folder)


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return load_file(trained.folder / "adapter_model.safetensors")


def distance(one: Trained, other: Trained) -> float:
    """Return the largest difference between two trainings' weights."""
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    return max(float((value - theirs[name]).abs().max()) for name, value in ours.items())


def test_settings_that_only_save_time_or_memory_train_to_the_same_weights(still: Path, tmp_path: Path) -> None:
    plain = run(still, tmp_path / "plain", "prefix_sharing=off")
    moved = max(float(value.abs().max()) for name, value in weights(plain).items() if "lora_B" in name)
    assert moved > 0.01  # B starts at zero
    for settings in (
        ("prefix_sharing=auto",),
        ("batch_size=4", "gradient_accumulation=2"),
        ("batch_size=4", "gradient_accumulation=2", "prefix_sharing=off"),
        ("gradient_checkpointing=true",),
    ):
        other = run(
            still, tmp_path / "-".join(setting.split("=")[0][-9:] + setting[-2:] for setting in settings), *settings
        )
        assert distance(plain, other) < 2e-5, settings


def test_low_precision_stays_near_full_precision(still: Path, tmp_path: Path) -> None:
    full, low = run(still, tmp_path / "full"), run(still, tmp_path / "low", "precision=bfloat16")
    plain = run(still, tmp_path / "plain", "precision=bfloat16", "prefix_sharing=off")
    losses = [trained.history[0]["loss"] for trained in (full, low, plain)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02) and losses[2] == pytest.approx(losses[0], rel=0.02)
    assert all(value.dtype == torch.float32 for value in weights(low).values())


def test_half_precision_needs_a_gpu(still: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(FinbenchError, match="precision=bfloat16 or float32"):
        run(still, tmp_path / "half", "precision=float16")


def test_the_learning_rate_warms_up_and_falls(still: Path, tmp_path: Path) -> None:
    def rates(*settings: str) -> list[float]:
        trained = run(still, tmp_path / settings[0], "warmup_steps=2", "eval_steps=1", "max_steps=4", *settings)
        return [entry["learning_rate"] for entry in trained.history if "learning_rate" in entry]

    # the first step is logged with the rate that it was taken at
    assert rates("scheduler=linear")[0] < 1e-2 and rates("scheduler=constant_with_warmup")[0] < 1e-2
    assert rates("scheduler=constant")[0] == 1e-2


def test_training_goes_on_from_an_adapter(still: Path, tmp_path: Path) -> None:
    first = run(still, tmp_path / "first")
    settings = (f"from_adapter={first.folder}", "learning_rate=1e-9", "max_steps=1")
    second = run(still, tmp_path / "second", *settings)
    assert distance(first, second) < 1e-6
    third = run(still, tmp_path / "third", f"from_adapter={first.folder}", "max_steps=2")
    assert distance(first, third) > 1e-4


class Told:
    """Validation that says what it was told to, and remembers the weights it saw."""

    def __init__(self, accuracies: list[float]) -> None:
        self.accuracies, self.seen = list(accuracies), []  # type: ignore[var-annotated]

    def __call__(self) -> dict[str, float]:
        weights = {n: w.detach().clone() for n, w in self.model.named_parameters() if w.requires_grad}
        self.seen.append(weights)
        return {"accuracy": self.accuracies[min(len(self.seen), len(self.accuracies)) - 1]}

    model: Any
    confusions: Any = MappingProxyType({})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Return the validation that every training of this test gets."""
    from finetune import train as module

    told = Told([0.3, 0.7, 0.5, 0.4, 0.2, 0.1])

    def stand_in(lm: Any, *_: Any) -> Told:
        told.model = lm.model
        return told

    monkeypatch.setattr(module, "Validation", stand_in)
    return told


def test_the_best_checkpoint_is_kept(still: Path, tmp_path: Path, told: Told) -> None:
    trained = run(still, tmp_path / "best", "validation_share=0.3", "eval_steps=2", "best_by=accuracy", "max_steps=8")
    assert len(told.seen) == 5  # four on the way, one of what is kept
    last = {name: value for name, value in told.seen[-1].items()}
    assert all(torch.equal(value, told.seen[1][name]) for name, value in last.items())
    assert not all(torch.equal(value, told.seen[3][name]) for name, value in last.items())
    assert trained.metrics["accuracy"] == 0.2  # what the fifth call said


def test_it_stops_early(still: Path, tmp_path: Path, told: Told) -> None:
    settings = ("validation_share=0.3", "eval_steps=1", "best_by=accuracy", "max_steps=20", "early_stopping=2")
    trained = run(still, tmp_path / "early", *settings)
    steps = [entry["step"] for entry in trained.history if "eval_accuracy" in entry]
    assert steps[:4] == [1, 2, 3, 4] and max(steps) == 4


def test_batches_hold_rows_of_similar_length_and_every_row_once() -> None:
    draw = random.Random(0)
    lengths = [draw.randint(5, 60) for _ in range(640)]
    order = LengthGroupedOrder(lengths, batch=16, seed=3)
    places = list(order)
    assert sorted(places) == list(range(640)) and places == list(LengthGroupedOrder(lengths, 16, 3))

    def padding(places: list[int]) -> int:
        batches = [[lengths[place] for place in places[start : start + 16]] for start in range(0, 640, 16)]
        return sum(max(batch) * len(batch) - sum(batch) for batch in batches)

    assert padding(places) < 0.2 * padding(list(range(640)))
    order.set_epoch(1)
    assert list(order) != places


def test_a_batch_that_only_fills_up_changes_nothing(still: Path, tmp_path: Path) -> None:
    from finetune.base import load_base

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"base: {still}\ntasks: [fin_fpb]\n")
    model, *_ = load_base(read_recipe(recipe), ())
    arguments = TrainingArguments(str(tmp_path), report_to="none", use_cpu=True)
    trainer = RecipeTrainer(model=model, args=arguments)
    example = Example("a", "t", tuple(range(5, 105)), "", 1)
    for shares in ("", "padded", "packed"):
        batch = collate([{"example": example, "fills": True}] * 2, 0, (), shares=shares)
        assert ("groups" in batch) == bool(shares)
        if shares:
            install(model)
        trainer.compute_loss(model, batch, num_items_in_batch=torch.tensor(3)).backward()
        assert all(weight.grad is None or not weight.grad.any() for weight in model.parameters())


def test_of_equal_epochs_the_one_with_the_lower_loss_is_kept(still: Path, tmp_path: Path) -> None:
    settings = ("validation_share=0.3", "best_by=accuracy", "max_steps=null", "epochs=3", "learning_rate=1.0e-4")
    trained = run(still, tmp_path / "tied", *settings)
    seen = [entry for entry in trained.history if "eval_loss" in entry]
    assert len({entry["eval_accuracy"] for entry in seen}) == 1, "the epochs were to be equal"
    assert trained.metrics["loss"] == pytest.approx(min(entry["eval_loss"] for entry in seen), abs=1e-9)
    assert seen[0]["eval_loss"] > trained.metrics["loss"] and "best" not in trained.metrics
