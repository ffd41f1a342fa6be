"""Pictures of a training, beside its adapter: `curves.png` (loss, learning rate, metrics) and `confusion.png`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CURVES, CONFUSION = "curves.png", "confusion.png"
PARTS = {"loss_teacher": "of it the teacher's part", "loss_labels": "of it the labels'"}
SHOWN = ("accuracy", "f1_weighted", "f1_macro")  # of the validation rows


def curves(history: Sequence[Mapping[str, Any]], title: str, folder: Path) -> Path | None:
    """Draw what the Trainer logged, by optimizer step; None where it logged no loss."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    if not _series(history, "loss"):
        return None
    metrics = {name: _series(history, f"eval_{name}") for name in SHOWN}
    metrics = {name: points for name, points in metrics.items() if points}
    figure, axes = plt.subplots(1, 3 if metrics else 2, figsize=(13 if metrics else 9, 3.6), layout="constrained")
    axes[0].plot(*zip(*_series(history, "loss"), strict=True), label="training")
    for name, label in PARTS.items():
        if part := _series(history, name):
            axes[0].plot(*zip(*part, strict=True), linewidth=0.9, label=label)
    if validation := _series(history, "eval_loss"):
        axes[0].plot(*zip(*validation, strict=True), marker="o", label="validation")
    axes[0].set(xlabel="optimizer step", ylabel="cross-entropy (nats)", title="loss", ylim=(0, None))
    axes[0].legend()
    axes[1].plot(*zip(*_series(history, "learning_rate"), strict=True), color="tab:green")
    axes[1].set(xlabel="optimizer step", ylabel="learning rate", title="learning rate", ylim=(0, None))
    axes[1].ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    for name, points in metrics.items():
        axes[2].plot(*zip(*points, strict=True), marker="o", label=name)
    if metrics:
        axes[2].set(xlabel="optimizer step", ylabel="share (0 to 1)", title="validation rows", ylim=(0, 1))
        axes[2].legend(loc="lower right")
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    figure.savefig(folder / CURVES, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return folder / CURVES


def _series(history: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    points: dict[int, float] = {}
    for entry in history:
        if name in entry and "step" in entry:
            points.setdefault(entry["step"], entry[name])  # the end scores the best checkpoint again at the last step
    return list(points.items())


def confusions(found: Mapping[str, Mapping[str, Any]], title: str, folder: Path) -> Path | None:
    """Draw one confusion matrix a task, counts on shares of the true class; None where nothing was validated."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot as plt

    if not found:
        return None
    width = max(4.2, 1.0 * max(len(part["labels"]) for part in found.values()) + 2.2)
    figure, axes = plt.subplots(1, len(found), figsize=(width * len(found), width * 0.85), layout="constrained")
    for axis, (task, part) in zip(np.atleast_1d(axes), found.items(), strict=True):
        counts = np.array(part["matrix"])  # (L, L + 1): the last column holds answers that could not be read
        columns = [*part["labels"], "unread"] if counts[:, -1].any() else list(part["labels"])
        counts = counts[:, : len(columns)]
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            dark = shares[row, column] > 0.5
            axis.text(column, row, f"{count}\n{shares[row, column]:.0%}", ha="center", va="center",
                      color="white" if dark else "black")  # fmt: skip
        axis.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
        axis.set_yticks(range(len(part["labels"])), part["labels"])
        axis.set(xlabel="predicted class", ylabel="true class", title=task)
    figure.suptitle(title)
    figure.savefig(folder / CONFUSION, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return folder / CONFUSION
