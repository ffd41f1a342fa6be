"""The temperature and the calibration error, on cases worked out by hand and through the command."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from finbench.cli import main
from finbench.predict import calibration
from finbench.predict.predictor import Predictor
from tests import forked
from tests.server.conftest import trained


def test_error_of_a_case_worked_out_by_hand() -> None:
    """Four rows at confidence 0.9, three of them right, and two at 0.6, both right: (4 * 0.15 + 2 * 0.4) / 6."""
    shares = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 2)
    golds = np.array([0, 0, 0, 1, 0, 0])
    assert calibration.expected_error(shares, golds) == pytest.approx((4 * 0.15 + 2 * 0.4) / 6)


def test_the_temperature_that_made_the_labels_is_found() -> None:
    draw = np.random.default_rng(0)
    true = draw.normal(size=(20_000, 3)) * 2
    shares = calibration.softmax(true, 1.0)
    golds = (draw.random((20_000, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(max=2)
    found = calibration.calibrate(true * 3, golds, "t", "hash")  # three times too sure
    assert found.temperature == pytest.approx(3, rel=0.03)
    assert found.ece_after < 0.01 < 0.1 < found.ece_before and found.nll_after < found.nll_before


def test_rows_that_have_changed_since_the_training_are_not_called_held_out(
    bert: Path, adapter: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(adapter, tmp_path / "own")
    record = json.loads((own / "finbench.json").read_text())
    record["rows"]["fin_fpb"]["sha256"] = "0" * 64
    (own / "finbench.json").write_text(json.dumps(record))
    command = [sys.executable, "-m", "finbench", "calibrate", "--base", str(bert), "--adapter", str(own)]
    done = forked.run(command)
    assert done.returncode == 2 and "are not those that the adapter was trained on" in done.stderr
    assert not (own / calibration.FILE).exists()


def test_ten_rows_are_too_few_to_fit_on(bert: Path, adapter: Path, tmp_path: Path) -> None:
    own = shutil.copytree(adapter, tmp_path / "own")
    done = forked.run([sys.executable, "-m", "finbench", "calibrate", "--base", str(bert), "--adapter", str(own)])
    assert done.returncode == 2 and "a temperature is fitted on 20 or more" in done.stderr
    assert not (own / calibration.FILE).exists()


def test_the_command_fits_on_held_out_rows_and_the_predictor_uses_it(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = (
        f"the profit of company {n} {'rose' if n % 2 else 'fell'} in quarter {n % 4},{n % 3 > 0}\n" for n in range(120)
    )
    Path("news.csv").write_text("text,label\n" + "".join(rows))
    assert main(["new-task", "mood", "news.csv"]) == 0
    own = trained(tmp_path, bert, "classifier", "[query, value]", "mood")
    command = [sys.executable, "-m", "finbench", "calibrate", "--base", str(bert), "--adapter", str(own)]
    done = forked.run(command, check=True)
    stored = json.loads((own / calibration.FILE).read_text())
    assert "held out of train" in done.stdout and stored["rows"] >= 20
    assert stored["low"] <= stored["temperature"] <= stored["high"]
    assert (own / calibration.PICTURE).stat().st_size > 5000
    with_it, without = Predictor(str(bert), str(own)), Predictor(str(bert), str(own), calibrated=False)
    assert with_it.temperature == stored["temperature"] != without.temperature == 1
    text = ["Profit rose to 12 million euro."]
    assert with_it.predict(text)[0].confidence != without.predict(text)[0].confidence
    (own / calibration.FILE).write_text(json.dumps({**stored, "adapter_sha256": "of another"}))
    assert Predictor(str(bert), str(own)).temperature == 1, "a temperature of other weights was used"
