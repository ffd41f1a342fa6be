"""A comparison of the stock way and ours, and how it is printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Below it, prefixes were not shared, whatever a side reports.
LEAST_RATIO = 1.5


@dataclass(frozen=True)
class Comparison:
    """Seconds of both sides on the same rows, and how far their results lie apart.

    `difference` is the largest of a log-likelihood, or the share of unequal texts; `details` says how it was measured.
    """

    name: str
    rows: int
    dtype: str
    stock_seconds: float
    our_seconds: float
    difference: float
    details: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.stock_seconds / self.our_seconds

    def check(self) -> None:
        """Refuse a comparison that cannot be one of the fast way with the stock way.

        Raises:
            AssertionError: the ratio is near 1, so both sides did the same work, or one did other work.

        """
        assert self.ratio >= LEAST_RATIO, (
            f"{self.name}: {self.ratio:.2f} times the stock way, which is what it is without the fast path: an error "
            "of the benchmark, or of this release of a library (`finbench doctor`)."
        )


def markdown(comparisons: Sequence[Comparison], machine: Mapping[str, str]) -> str:
    """Return a table of comparisons, their details, and the machine."""
    lines = [
        "| benchmark | dtype | rows | stock, s | ours, s | stock, rows/s | ours, rows/s | ratio | difference |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in comparisons:
        lines.append(
            f"| {one.name} | {one.dtype} | {one.rows} | {one.stock_seconds:.1f} | {one.our_seconds:.1f} "
            f"| {one.rows / one.stock_seconds:.2f} | {one.rows / one.our_seconds:.2f} "
            f"| **{one.ratio:.1f}x** | {one.difference:.1e} |"
        )
    lines.append("")
    for one in comparisons:
        details = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in one.details.items()
        )
        lines.append(f"- {one.name}, {one.dtype}: {details}")
    lines.append(f"- machine: {', '.join(f'{name} {value}' for name, value in machine.items())}")
    return "\n".join(lines)
