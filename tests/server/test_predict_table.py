"""`finbench predict --input`: the table stays as it is, every column of it is kept, and lines are read strictly."""

import csv
import os
import signal
import sys
from pathlib import Path

import pytest

from finbench.cli import main
from finbench.predict import predictor
from tests import forked

ROWS = 'id,headline,label\n1,"Sales rose, again",good\n2,,bad\n3,Profit fell,bad\n'


class Told:
    """A predictor that answers every text alike."""

    rounded = False

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def predict_each(self, texts: list[str]) -> list[predictor.Prediction]:
        return [predictor.Prediction("neutral", 0.75, {"neutral": 0.75}) for _ in texts]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predictor, "Predictor", Told)
    Path("x.csv").write_text(ROWS)


def predict(*words: str, table: str = "x.csv") -> int:
    return main(["predict", "--base", "b", "--input", table, "--column", "headline", *words])


def read(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as source:
        return list(csv.DictReader(source))


@pytest.mark.parametrize("way", ["x.csv", "./x.csv", "symbolic.csv", "hard.csv"])
def test_the_input_is_not_replaced_unless_told(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("symbolic.csv").symlink_to("x.csv")
    Path("hard.csv").hardlink_to("x.csv")
    assert predict("--output", way) == 2
    assert "--overwrite" in capsys.readouterr().err and Path("x.csv").read_text() == ROWS
    assert predict("--output", way, "--overwrite") == 1
    assert Path("symbolic.csv").is_symlink() and [row["id"] for row in read(way)] == ["1", "2", "3"]
    assert [row["label"] for row in read(way)] == ["good", "bad", "bad"]


def test_columns_of_the_users_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--output", "out.csv") == 1
    rows = read("out.csv")
    assert [row["label"] for row in rows] == ["good", "bad", "bad"]
    assert [row["predicted_label"] for row in rows] == ["neutral", "", "neutral"]
    assert rows[1]["predicted_problem"] == "the text is empty" and rows[0]["predicted_confidence"] == "0.7500"
    assert "`predicted_problem`" in capsys.readouterr().err
    Path("y.csv").write_bytes(Path("out.csv").read_bytes())
    assert predict("--output", "again.csv", table="y.csv") == 1
    first, *_ = read("again.csv")
    assert first["label"] == "good" and first["predicted_label"] == first["predicted_label_2"] == "neutral"


def test_an_earlier_answer_is_replaced_and_another_file_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--output", "out.csv") == 1 and predict("--output", "out.csv") == 1
    Path("other.csv").write_text("mine\n")
    assert predict("--output", "other.csv") == 2 and Path("other.csv").read_text() == "mine\n"
    assert "no earlier answer" in capsys.readouterr().err
    assert predict("--output", ".") == 2 and predict("--output", "x.csv/out.csv") == 2


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('1,"Sales rose,good\n2,Profit fell,bad\n', "quote"),
        ("1,Sales rose, again,good\n", "line 2: 4 cells where the header has 3"),
        ('1,"Sales" rose,good\n', "line 2"),
    ],
)
def test_lines_are_read_strictly(lines: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.csv").write_text("id,headline,label\n" + lines)
    assert predict("--output", "out.csv") == 2
    assert said in capsys.readouterr().err and not Path("out.csv").exists()


def test_other_encodings_and_long_cells(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.csv").write_bytes("id,headline\n1,Grün\n".encode("latin-1"))
    assert predict("--output", "out.csv") == 2 and "UTF-8" in capsys.readouterr().err
    Path("x.csv").write_text("id,headline\n1," + "long " * 40_000 + "\n", encoding="utf-8-sig")
    assert predict("--output", "out.csv") == 0 and Path("out.csv").read_bytes().startswith(b"\xef\xbb\xbfid,")
    Path("x.csv").write_text("headline,headline\na,b\n")
    assert predict() == 2 and "several columns" in capsys.readouterr().err


def test_a_killed_run_leaves_the_files_as_they_were(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from finbench.predict import predictor\n"
        "from tests.server.test_predict_table import Told\n"
        "class Killed(Told):\n"
        "    def predict_each(self, texts):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "predictor.Predictor = Killed\n"
        "from finbench.cli import main\n"
        "main(['predict', '--base', 'b', '--input', 'x.csv', '--column', 'headline', *sys.argv[1:]])\n"
    )
    for words in (["--output", "x.csv", "--overwrite"], ["--output", "out.csv"]):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = forked.run([sys.executable, "-c", script, *words], env=environment)
        assert done.returncode == -signal.SIGKILL and Path("x.csv").read_text() == ROWS
    assert not Path("out.csv").exists() and len(list(tmp_path.glob(".*.part"))) == 2
    assert predict("--output", "out.csv") == 1 and predict("--output", "x.csv", "--overwrite") == 1
    assert not list(tmp_path.glob(".*.part")), "what a killed run left was not removed"


def test_an_answer_that_somebody_corrected_is_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--output", "out.csv") == 1
    corrected = Path("out.csv").read_text().replace("neutral", "positive", 1)
    Path("out.csv").write_text(corrected)
    assert predict("--output", "out.csv") == 2 and Path("out.csv").read_text() == corrected
    assert "--overwrite" in capsys.readouterr().err
    assert predict("--output", "out.csv", "--overwrite") == 1 and "positive" not in Path("out.csv").read_text()


@pytest.mark.parametrize("words", [["--output", "out.csv"], ["--output", "x.csv", "--overwrite"]])
def test_what_is_written_there_meanwhile_stays(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Slow(Told):
        def predict_each(self, texts: list[str]) -> list[predictor.Prediction]:
            Path(words[1]).write_text("written meanwhile\n")
            return super().predict_each(texts)

    monkeypatch.setattr(predictor, "Predictor", Slow)
    assert predict(*words) == 2 and Path(words[1]).read_text() == "written meanwhile\n"
    kept = words[1].replace(".csv", ".answers.csv")
    assert kept in capsys.readouterr().err and [row["id"] for row in read(kept)] == ["1", "2", "3"]


def test_labels_of_an_adapter_are_no_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile(Told):
        def predict_each(self, texts: list[str]) -> list[predictor.Prediction]:
            labels = ["=HYPERLINK(1)", "-1"]
            return [predictor.Prediction(labels[n % 2], 0.5, {}) for n in range(len(texts))]

    monkeypatch.setattr(predictor, "Predictor", Hostile)
    assert predict("--output", "out.csv") == 1
    assert [row["predicted_label"] for row in read("out.csv")] == ["'=HYPERLINK(1)", "", "-1"]


def test_no_link_is_written_through(tmp_path: Path) -> None:
    Path("thesis.txt").write_text("mine")
    Path(f".out.csv.{os.getpid()}.part").symlink_to("thesis.txt")
    assert predict("--output", "out.csv") == 1
    assert Path("thesis.txt").read_text() == "mine" and not Path("out.csv").is_symlink()
