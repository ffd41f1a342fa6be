"""The card is one that the hub reads; the record and the pictures say what the training was."""

import json
from pathlib import Path

import pytest

from finbench.errors import FinbenchError
from finetune.card import describe
from finetune.recipe import read_recipe
from finetune.train import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Path:
    """Return the folder of a small adapter that was validated as it was trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        folder = tmp_path_factory.mktemp("card")
        path = folder / "tiny.yaml"
        path.write_text(
            f"base: {bert}\ntask_type: classifier\ntasks: [fin_sentiment]\nvalidation_share: 0.3\nepochs: 2\n"
            "batch_size: 8\neval_steps: 5\n"
        )
        recipe = read_recipe(path)
        describe(train(recipe, folder / "out"), recipe, "finbench finetune tiny.yaml")
        return folder / "out"


def test_the_hub_can_read_the_card(trained: Path, bert: Path) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard.load(trained / "README.md")
    assert card.data.library_name == "peft" and "finance" in card.data.tags
    (result, *_) = card.data.eval_results
    record = json.loads((trained / "finbench.json").read_text())
    assert result.metric_type == "accuracy"
    assert result.metric_value == pytest.approx(record["metrics"]["accuracy"], abs=1e-6)
    assert "finbench finetune tiny.yaml" in card.text and "licence of the rows (MIT)" in card.text
    assert str(bert) not in (trained / "README.md").read_text(), "the card names a folder of this machine"


def test_pictures_show_curves_and_every_tasks_confusion(trained: Path) -> None:
    from matplotlib import image

    record = json.loads((trained / "finbench.json").read_text())
    assert set(record["confusions"]) == {"fin_fpb", "fin_fiqa", "fin_tfns", "fin_nwgi"}
    for found in record["confusions"].values():
        assert sum(map(sum, found["matrix"])) >= 3
    for name in ("curves.png", "confusion.png"):
        pixels = image.imread(trained / name)
        assert pixels.shape[1] > 400 and pixels[..., :3].std() > 0.05, f"{name} is blank"
        assert f"({name})" in (trained / "README.md").read_text()


def test_the_record_says_how_fast_it_went(trained: Path) -> None:
    found = json.loads((trained / "finbench.json").read_text())["resources"]
    assert found["steps"] >= 2 and found["resumed_from_step"] == 0
    assert found["steps_per_second"] == pytest.approx(found["steps"] / found["elapsed_seconds"], rel=0.05)
    assert found["rows_per_second"] == pytest.approx(8 * found["steps_per_second"])


def test_tensorboard_is_written_when_asked_for(bert: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="curves for TensorBoard are an extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"base: {bert}\ntask_type: classifier\ntasks: [fin_fpb]\nmax_steps: 25\nbatch_size: 2\nvalidation_share: 0\n"
        "best_by: null\nreport_to: [tensorboard]\n"
    )
    train(read_recipe(path), tmp_path / "out")
    events = EventAccumulator(str(tmp_path / "out" / "runs")).Reload()
    assert "train/loss" in events.Tags()["scalars"]


def test_a_tracker_that_is_not_installed_is_named(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import finetune.trackers

    path = tmp_path / "tiny.yaml"
    path.write_text(f"base: {bert}\ntask_type: classifier\ntasks: [fin_fpb]\nreport_to: [tensorboard]\n")
    monkeypatch.setattr(finetune.trackers, "find_spec", lambda name: None)
    with pytest.raises(FinbenchError, match=r"pip install tensorboard"):
        train(read_recipe(path), tmp_path / "out")
    with pytest.raises(FinbenchError, match=r"report_to.*tensorbord"):
        read_recipe(path, ["report_to=[tensorbord]"])
