"""Confidence that means something: one temperature over all logits (Guo et al. 2017, arXiv:1706.04599), and its error.

The temperature lies as `calibration.json` beside the adapter and counts for that adapter alone, by its hash.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from finbench.documents import read_json
from finbench.errors import FinbenchError
from finbench.whole import beside, refuse_foreign, write_text

FILE, PICTURE = "calibration.json", "reliability.png"
FEWEST, DRAWS = 20, 100  # rows that a fit needs; resamples for its uncertainty
BINS = 15
RANGE = (0.02, 50.0)  # of temperatures
AGAIN = "run `finbench calibrate` again, or remove the file."


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature and what it does to `rows` held-out rows; errors are expected calibration errors, 0 to 1.

    `low` and `high` bound 95% of the temperatures that resampled rows give.
    """

    temperature: float
    task: str
    adapter_sha256: str
    rows: int
    accuracy: float
    low: float
    high: float
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return shares (N, L) of logits (N, L)."""
    scaled = logits / temperature
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def nll(logits: np.ndarray, golds: np.ndarray, temperature: float) -> float:
    """Return the mean negative log-likelihood, in nats, of gold classes (N,)."""
    shares = softmax(logits, temperature)[np.arange(len(golds)), golds]
    return float(-np.log(np.maximum(shares, 1e-300)).mean())


def fit_temperature(logits: np.ndarray, golds: np.ndarray) -> float:
    """Return the temperature with the least negative log-likelihood."""
    from scipy.optimize import minimize_scalar

    low, high = np.log(RANGE)
    found = minimize_scalar(lambda log: nll(logits, golds, float(np.exp(log))), bounds=(low, high), method="bounded")
    return float(np.exp(found.x))


def bins(shares: np.ndarray, golds: np.ndarray) -> list[tuple[float, float, int]]:
    """Return (mean confidence, accuracy, rows) of each bin of equal width that holds rows."""
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == golds
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    held = [place == number for number in range(BINS)]
    return [(float(confidence[m].mean()), float(right[m].mean()), int(m.sum())) for m in held if m.any()]


def expected_error(shares: np.ndarray, golds: np.ndarray) -> float:
    """Return the expected calibration error over 15 bins of equal width (Guo et al. 2017, equation 3)."""
    return sum(count * abs(accuracy - confidence) for confidence, accuracy, count in bins(shares, golds)) / len(golds)


def calibrate(logits: np.ndarray, golds: np.ndarray, task: str, adapter_sha256: str) -> Calibration:
    """Return the temperature that fits logits (N, L) to gold classes (N,), and the errors before and after.

    Raises:
        FinbenchError: there are fewer than `FEWEST` rows, or all are of one class, so that a fit would mean nothing.

    """
    if len(golds) < FEWEST or len(set(golds.tolist())) < 2:
        classes = len(set(golds.tolist()))
        raise FinbenchError(
            f"{len(golds)} rows of {classes} classes are held out of train; a temperature is fitted on {FEWEST} or "
            "more, of two classes at least. Train on more rows, or with a larger validation_share."
        )
    temperature = fit_temperature(logits, golds)
    draw = np.random.default_rng(0).integers(0, len(golds), (DRAWS, len(golds)))
    low, high = np.quantile([fit_temperature(logits[rows], golds[rows]) for rows in draw], (0.025, 0.975))
    before, after = softmax(logits, 1.0), softmax(logits, temperature)
    return Calibration(
        temperature,
        task,
        adapter_sha256,
        len(golds),
        float((before.argmax(axis=1) == golds).mean()),
        float(low),
        float(high),
        expected_error(before, golds),
        expected_error(after, golds),
        nll(logits, golds, 1.0),
        nll(logits, golds, temperature),
    )


def write(found: Calibration, folder: Path) -> None:
    """Write it beside the adapter, whole or not at all.

    Raises:
        FinbenchError: it cannot be written.

    """
    write_text(folder / FILE, json.dumps(asdict(found), indent=2) + "\n")


def check_folder(folder: Path) -> None:
    """Refuse to write over a file or a picture that no earlier calibration wrote.

    Raises:
        FinbenchError: there is one.

    """
    try:
        earlier = set(read_json(folder / FILE)) == {one.name for one in fields(Calibration)}
    except (FinbenchError, TypeError):
        earlier = False
    refuse_foreign((path for path in (folder / FILE, folder / PICTURE) if path.exists() and not earlier), "name for it")


def read_temperature(folder: Path, adapter_sha256: str, task: str) -> float:
    """Return the temperature fitted for this very adapter on this task, 1 where there is none.

    Raises:
        FinbenchError: the file is broken, or what it holds is no temperature.

    """
    path = folder / FILE
    if not path.is_file():
        return 1.0
    found = read_json(path)
    if not isinstance(found, dict) or not {"temperature", "adapter_sha256", "task"} <= set(found):
        raise FinbenchError(f"{path} is no calibration of ours: {AGAIN}")
    if (found["adapter_sha256"], found["task"]) != (adapter_sha256, task):
        return 1.0
    given = found["temperature"]
    low, high = RANGE
    if not isinstance(given, int | float) or isinstance(given, bool) or not low * 0.99 <= given <= high * 1.01:
        raise FinbenchError(f"{path}: temperature is {given!r}, which is no number from {low} to {high}: {AGAIN}")
    return float(given)


def draw(logits: np.ndarray, golds: np.ndarray, found: Calibration, path: Path) -> None:
    """Draw the reliability diagram before and after: accuracy by confidence, with the rows of each bin."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained", sharey=True)
    sides = [
        ("as it is", 1.0, found.ece_before),
        (f"temperature {found.temperature:.2f}", found.temperature, found.ece_after),
    ]
    for axis, (title, temperature, error) in zip(axes, sides, strict=True):
        points = bins(softmax(logits, temperature), golds)
        axis.plot([0, 1], [0, 1], "--", color="grey", label="perfect")
        middles = [(min(int(confidence * BINS), BINS - 1) + 0.5) / BINS for confidence, _, _ in points]
        axis.bar(middles, [accuracy for _, accuracy, _ in points], width=0.9 / BINS, alpha=0.7, label="rows")
        for middle, (_, accuracy, count) in zip(middles, points, strict=True):
            axis.text(middle, accuracy + 0.01, str(count), ha="center", fontsize=7)
        axis.set(xlabel="confidence", title=f"{title}: expected error {error:.3f}", xlim=(0, 1), ylim=(0, 1.08))
    axes[0].set_ylabel("accuracy")
    axes[0].legend(loc="upper left")
    figure.suptitle(f"{found.task}, {found.rows} rows held out of train; numbers are rows in a bin")
    with beside(path) as part:
        figure.savefig(part, dpi=100, format="png", metadata={"Software": None})
    plt.close(figure)
