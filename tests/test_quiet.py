"""What a command's user sees: finbench's own lines, real warnings, and everything with -v."""

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from tqdm.auto import tqdm

from finbench import quiet as module
from finbench.quiet import NOTICES, quiet
from tests import forked

RECIPE = """\
base: {base}
task_type: {kind}
tasks: [fin_fpb]
method: lora
target_modules: {targets}
validation_share: 0
best_by: null
max_steps: 2
batch_size: 4
learning_rate: 1.0e-3
"""
REPORT = """\x1b[1mBertForSequenceClassification LOAD REPORT\x1b[0m from: models/bert
Key                                        | Status     |
-------------------------------------------+------------+-
cls.predictions.bias                       | UNEXPECTED |
bert.pooler.dense.weight                   | \x1b[31mMISSING\x1b[0m    |
{key} | {status} |

Notes:
- UNEXPECTED:\tcan be ignored
"""


MARK = "\x1e"
ONE_AFTER_ANOTHER = f"""
import json, sys
from finbench.cli import main
for words in json.loads(sys.argv[1]):
    status = main(words)
    if status:
        sys.exit(status)
    print({MARK!r}, end="", file=sys.stderr, flush=True)
"""
LOUD = """
import logging, sys, warnings, finbench.predict.loading as loading
load = loading._model
def loud(*args):
    logging.getLogger("transformers.modeling_utils").warning("a weight is broken")
    logging.getLogger("lm_eval.models.huggingface").warning("Passed an already-initialized model through `pretrained`")
    warnings.warn("`is_gradient_checkpointing` is deprecated and so on", FutureWarning)
    warnings.warn("your numbers are wrong", FutureWarning)
    return load(*args)
loading._model = loud
from finbench.cli import main
sys.exit(main(sys.argv[1:]))
"""
ENVIRONMENT = {"FINBENCH_DATA": "sample", "OMP_NUM_THREADS": "1"}


def said_by(folder: Path, *commands: list[str]) -> list[str]:
    """Run commands in a real start of this Python, whose libraries have yet to be imported; return what each says."""
    words = [sys.executable, "-c", ONE_AFTER_ANOTHER, json.dumps(commands)]
    done = subprocess.run(words, cwd=folder, env={**os.environ, **ENVIRONMENT}, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return done.stderr.split(MARK)[:-1]


@pytest.fixture(scope="module")
def trained(gpt2: Path, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a folder with adapters, and what training, scoring and predicting said of them."""
    folder = tmp_path_factory.mktemp("quiet")
    for name, base, kind, targets in (("one", gpt2, "causal", "[c_attn]"), ("two", bert, "classifier", "[query]")):
        (folder / f"{name}.yaml").write_text(RECIPE.format(base=base, kind=kind, targets=targets))
    (folder / "m.yaml").write_text(
        "name: m\ntasks: [fin_fpb, fin_fpb_gen]\nlimit: 4\nbases:\n"
        f"  - {{base: {gpt2}, name: g, adapters: [adapters/one]}}\n"
        f"  - {{base: {gpt2}, name: h, model: hf}}\n"
        f"  - {{base: {bert}, name: b, model: hf-classifier, tasks: [fin_fpb], adapters: [adapters/two]}}\n"
    )
    predict = ["predict", "--base", str(bert), "--adapter", "adapters/two", "Profit rose."]
    return folder, said_by(folder, ["finetune", "one.yaml"], ["finetune", "two.yaml"], ["run", "m.yaml"], predict)


def test_a_first_user_sees_no_other_librarys_lines(trained: tuple[Path, list[str]]) -> None:
    assert trained[1] == ["", "", "", ""]


def test_verbose_shows_all_and_a_real_warning_is_always_shown(trained: tuple[Path, list[str]], bert: Path) -> None:
    folder, _ = trained
    words = ("predict", "--base", str(bert), "--adapter", "adapters/two", "Profit rose.")
    environment = {**os.environ, **ENVIRONMENT}

    def predicted(*more: str) -> str:
        return forked.run([sys.executable, "-c", LOUD, *words, *more], cwd=folder, env=environment, check=True).stderr

    plain = predicted()
    assert "a weight is broken" in plain and "FutureWarning: your numbers are wrong" in plain
    known = ("already-initialized", "`is_gradient_checkpointing`", "LOAD REPORT")
    assert not any(words in plain for words in known), plain
    assert len(plain.splitlines()) == 2, plain
    verbose = predicted("--verbose")
    assert all(words in verbose for words in (*known, "a weight is broken", "your numbers are wrong"))


@pytest.mark.parametrize(
    ("key", "status", "shown"),
    [
        ("classifier.weight", "MISSING", False),
        ("cls.predictions.transform.dense.bias", "UNEXPECTED", False),
        ("bert.encoder.layer.0.output.dense.weight", "MISSING", True),
        ("bert.encoder.layer.7.output.dense.weight", "UNEXPECTED", True),
        ("lm_head.weight", "MISSING", True),
        ("classifier.weight", "MISMATCH", True),
    ],
)
def test_a_report_of_weights_is_kept_back_for_a_new_head_alone(
    key: str, status: str, shown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("transformers.modeling_utils")
    logger.addHandler(caplog.handler)  # transformers may keep its records from the root logger
    try:
        with quiet():
            logger.warning(REPORT.format(key=key, status=status))
    finally:
        logger.removeHandler(caplog.handler)
    assert ("LOAD REPORT" in caplog.text) == shown


def test_notices_are_kept_back_within_and_the_outermost_call_decides(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("lm_eval.models.huggingface")
    text = next(notice.begins for notice in NOTICES if notice.source == logger.name)
    bars = {name: getattr(tqdm, name) for name in ("__init__", "display", "close")}
    with quiet():
        with quiet(verbose=True):  # a command that a command runs
            logger.warning(text)
        logger.warning(text)
    assert caplog.text == ""
    with quiet(verbose=True), quiet():
        logger.warning(text)
    assert caplog.text.count(text) == 1
    with pytest.raises(ZeroDivisionError), quiet():
        raise ZeroDivisionError
    logger.warning(text)
    assert caplog.text.count(text) == 2 and not logger.filters
    assert bars == {name: getattr(tqdm, name) for name in bars}


def test_warnings_are_kept_back_by_category_and_words() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("`is_gradient_checkpointing` is deprecated: use", FutureWarning, stacklevel=1)
            warnings.warn("`is_gradient_checkpointing` is deprecated: use", UserWarning, stacklevel=1)
            warnings.warn("another is deprecated", FutureWarning, stacklevel=1)
    assert [(one.category, str(one.message)[:7]) for one in seen] == [
        (UserWarning, "`is_gra"),
        (FutureWarning, "another"),
    ]


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def bar_in_a_log(
    monkeypatch: pytest.MonkeyPatch, steps: int, seconds: float, verbose: bool = False, said: str = "cells"
) -> str:
    """Return what a bar leaves in a log of which each step takes so long."""
    clock, log = Clock(), io.StringIO()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(sys, "stderr", log)
    with quiet(verbose), tqdm(total=steps, desc="cells", unit="cell", mininterval=0) as bar:
        for _ in range(steps):
            clock.now += seconds
            bar.update()
            if said:
                bar.set_description(said)
    return log.getvalue()


def test_a_bar_in_a_log_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = bar_in_a_log(monkeypatch, 100, 1.0).splitlines()
    assert [line.partition(" [")[0] for line in lines] == [f"cells: {n}/100 cell" for n in (30, 60, 90, 100)]
    assert bar_in_a_log(monkeypatch, 100, 0.05) == ""
    assert bar_in_a_log(monkeypatch, 4, 3.0).startswith("cells: 4/4 cell [")
    assert bar_in_a_log(monkeypatch, 4, 3.0, said="").startswith("cells: 4/4 cell [")
    assert "\r" in bar_in_a_log(monkeypatch, 100, 0.05, verbose=True)


def test_bars_of_other_files_and_of_terminals_stay_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, terminal = io.StringIO(), io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    with quiet():
        list(tqdm(range(3), file=elsewhere, delay=0))
        list(tqdm(range(3), delay=0))
        list(tqdm(range(3), desc="short"))
    assert "3/3" in elsewhere.getvalue() and "3/3" in terminal.getvalue() and "short" not in terminal.getvalue()
