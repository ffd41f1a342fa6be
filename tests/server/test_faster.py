"""What makes serving faster, and that it says so: a merged adapter, weights in 8 bits, a classifier as ONNX."""

import json
import shutil
from pathlib import Path

import httpx
import pytest
import torch
from peft import get_peft_model
from transformers import AutoModelForSequenceClassification

from finbench.adapters.bottleneck.model import BottleneckConfig
from finbench.adapters.folder import write_record
from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.hf.int8 import Int8Linear
from finbench.predict import exported, predictor
from finbench.predict.predictor import Predictor, load_several
from tests.server.conftest import Served, serving

TEXTS = [f"Sales of plant {number} rose to {number * 7} million euro" + " and more" * number for number in range(12)]


def furthest(first: Predictor, second: Predictor) -> float:
    """Return the largest difference of a share."""
    pairs = zip(first.predict(TEXTS), second.predict(TEXTS), strict=True)
    return max(abs(one.scores[label] - other.scores[label]) for one, other in pairs for label in one.scores)


def test_one_adapter_is_merged_and_the_server_says_so(server: Served, bert: Path, adapter: Path) -> None:
    found = httpx.get(f"{server.url}/health").json()
    assert found["merged"] is True and found["precision"] == "float32"
    merged, beside = load_several(str(bert), [str(adapter)])["small"], Predictor(str(bert), str(adapter))
    assert merged.merged and not hasattr(merged.lm.model, "peft_config")
    assert not beside.merged and hasattr(beside.lm.model, "peft_config")
    assert furthest(merged, beside) <= 1e-5


def test_a_causal_adapter_is_merged_too(gpt2: Path, causal_adapter: Path) -> None:
    merged, beside = Predictor(str(gpt2), str(causal_adapter), merge=True), Predictor(str(gpt2), str(causal_adapter))
    assert merged.merged and not beside.merged
    assert furthest(merged, beside) <= 1e-5


def test_what_would_change_an_answer_is_not_merged(
    bert: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(adapter, tmp_path / "other")
    assert not any(one.merged for one in load_several(str(bert), [str(adapter), str(tmp_path / "other")]).values())
    assert not Predictor(str(bert), str(adapter), int8=True, merge=True).merged
    model = AutoModelForSequenceClassification.from_pretrained(bert, num_labels=3)
    get_peft_model(model, BottleneckConfig(task_type="SEQ_CLS")).save_pretrained(tmp_path / "narrow")
    write_record(tmp_path / "narrow", {"labels": ["negative", "neutral", "positive"]})
    assert not Predictor(str(bert), str(tmp_path / "narrow"), merge=True).merged
    monkeypatch.setattr(predictor, "EQUAL", -1.0)  # no merge is as equal as that
    unequal = Predictor(str(bert), str(adapter), merge=True)
    assert not unequal.merged and hasattr(unequal.lm.model, "peft_config"), "it was not loaded anew"


def test_int8_answers_alone_as_in_a_batch_and_says_what_it_is(
    bert: Path, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rounded, full = Predictor(str(bert), str(adapter), int8=True), Predictor(str(bert), str(adapter))
    held = [name for name, part in rounded.lm.model.named_modules() if isinstance(part, Int8Linear)]
    assert held and not any("classifier" in name for name in held)
    assert 0 < furthest(rounded, full) < 0.05
    alone = [rounded.predict([text])[0].scores for text in TEXTS]
    for one, together in zip(alone, rounded.predict(TEXTS), strict=True):
        assert one == pytest.approx(together.scores, abs=2e-3)  # a number between two steps may go either way
    words = ["predict", "--base", str(bert), "--adapter", str(adapter), "--int8", "--json", TEXTS[0]]
    assert main(words) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["precision"] == "int8 (dynamic)" and "held as int8 (dynamic)" in said.err
    with serving(bert, "--adapter", str(adapter), "--int8") as served:
        found = httpx.get(f"{served.url}/health").json()
    assert found["precision"] == "int8 (dynamic)" and found["merged"] is False


def test_bits_are_bitsandbytes_and_int8_is_for_classifiers(
    bert: Path, adapter: Path, gpt2: Path, causal_adapter: Path
) -> None:
    eight = Predictor(str(bert), str(adapter), bits=8)
    assert eight.precision == "8 bits (bitsandbytes)" and eight.rounded and not eight.merged
    assert not any(isinstance(part, Int8Linear) for part in eight.lm.model.modules())
    with pytest.raises(FinbenchError, match="--bits 8 and --int8 are two ways"):
        Predictor(str(bert), str(adapter), bits=8, int8=True)
    with pytest.raises(FinbenchError, match="--int8 is for classifiers"):
        Predictor(str(gpt2), str(causal_adapter), int8=True)


def test_a_matrix_in_eight_bits_is_near_the_one_it_was_made_from() -> None:
    torch.manual_seed(0)
    linear, given = torch.nn.Linear(96, 40), torch.randn(3, 7, 96) * torch.logspace(-3, 3, 7)[:, None]
    given[0, 0] = 0
    expected, found = linear(given), Int8Linear(linear)(given)
    scale = (given.norm(dim=-1) * linear.weight.norm(dim=1).max()).unsqueeze(-1) + linear.bias.abs().max()
    assert ((found - expected).abs() / scale).max() < 0.01
    assert torch.allclose(Int8Linear(linear)(given[:1, 3:4]), found[:1, 3:4])


@pytest.mark.slow
def test_an_export_answers_as_the_model_or_is_not_left(
    bert: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    monkeypatch.setenv("FINBENCH_DATA", "sample")
    words = ["export", "onnx", "--base", str(bert), "--adapter", str(adapter), "--output"]
    assert main([*words, str(tmp_path / "full")]) == 0
    assert "held out of its training: a share differs by up to" in capsys.readouterr().out
    made = json.loads((tmp_path / "full" / "exported.json").read_text())
    assert made["precision"] == "onnx float32" and made["check"]["changed_labels"] == 0
    assert made["made_from"]["adapter_sha256"]
    assert furthest(Predictor(str(tmp_path / "full")), Predictor(str(bert), str(adapter))) < 1e-4
    with serving(tmp_path / "full") as served:
        assert httpx.get(f"{served.url}/health").json()["precision"] == "onnx float32"
        assert httpx.post(f"{served.url}/analyze", json={"texts": TEXTS}).status_code == 200
    assert main([*words, str(tmp_path / "small"), "--int8"]) == 0
    size = [(tmp_path / name / "model.onnx").stat().st_size for name in ("full", "small")]
    assert size[1] < size[0]
    monkeypatch.setitem(exported.BOUNDS, False, (0.0, 0.0))
    assert main([*words, str(tmp_path / "none")]) == 2
    assert "answers other than the model" in capsys.readouterr().err
    assert not (tmp_path / "none").exists() and not list(tmp_path.glob(".onnx*"))


def test_what_cannot_be_exported_or_served_so_is_refused(
    gpt2: Path, causal_adapter: Path, bert: Path, adapter: Path, tmp_path: Path
) -> None:
    (tmp_path / "exported.json").write_text("{}")
    with pytest.raises(FinbenchError, match="leave --adapter, --bits and --int8 out"):
        Predictor(str(tmp_path), str(adapter))
    with pytest.raises(FinbenchError, match="is no record of an export"):
        Predictor(str(tmp_path))
    assert main(["export", "onnx", "--adapter", str(adapter)]) == 2
    assert main(["export", "csv", "--base", str(bert)]) == 2
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    with pytest.raises(FinbenchError, match="only a classifier is exported"):
        exported.export(Predictor(str(gpt2), str(causal_adapter)), ["a"], "texts", tmp_path / "out", False)
