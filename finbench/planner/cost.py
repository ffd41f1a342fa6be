"""Memory and time of a training or a scoring before anything is loaded: per device, and what would make it fit."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from finbench.planner.shapes import ITEM_BYTES, Shape, weight_bytes

Strategy = Literal["ddp", "zero2", "zero3", "pipeline"]
STRATEGIES: tuple[Strategy, ...] = ("ddp", "zero2", "zero3", "pipeline")


@dataclass(frozen=True)
class PassBytes:
    """Bytes that a pass holds beside the weights: training, what autograd keeps; scoring, at its fullest moment."""

    activations: int
    logits: int = 0
    cache: int = 0


@dataclass(frozen=True)
class Workload:
    """What is planned: a training of `trainable` parameters (0: scoring) with `rows` of `tokens` each in a batch.

    `pass_bytes` gives what a pass of so many rows holds, `moments` how many numbers the optimizer keeps for a trained
    one (AdamW: two).
    """

    shape: Shape
    precision: str
    bits: int | None
    double: bool
    rows: int
    tokens: int
    trainable: int
    adapter: int
    pass_bytes: Callable[[int], PassBytes]
    checkpointing: bool = False
    moments: int = 2


@dataclass(frozen=True)
class Memory:
    """Bytes on one device, by what takes them."""

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    cache: int

    @property
    def total(self) -> int:
        """Return the sum."""
        return sum(vars(self).values())

    @property
    def passing(self) -> int:
        """Return what a pass takes beside weights and training's own: activations, logits and cache."""
        return self.activations + self.logits + self.cache


def memory(job: Workload, strategy: Strategy = "ddp", devices: int = 1) -> Memory:
    """Return the bytes on the fullest device.

    ZeRO-2 divides gradients and the optimizer's float32 numbers, ZeRO-3 the weights too, but for the layer that is
    gathered (Rajbhandari et al. 2019, arXiv:1910.02054); a pipeline divides layers with all they hold, and an end has
    the head.
    """
    sliced = devices if strategy in ("zero2", "zero3") else 1
    staged = devices if strategy == "pipeline" else 1
    full = weight_bytes(job.shape, job.precision, job.bits, job.double)
    ends = job.shape.embedded * ITEM_BYTES[job.precision]
    weights = full
    if strategy == "zero3" and devices > 1:
        weights = full // devices + max(ends, full // job.shape.layers)
    elif staged > 1:
        weights = (full - ends) // staged + ends
    trained = 4 * job.trainable // staged
    one = job.pass_bytes(job.rows)
    activations = one.activations
    if job.trainable:
        if job.checkpointing:
            inputs = job.rows * job.tokens * job.shape.hidden * ITEM_BYTES[job.precision]
            activations = activations // job.shape.layers + job.shape.layers * inputs
        activations //= staged  # what a scoring holds for a moment, each stage holds
    adapter = (4 * job.adapter // staged) // (devices if strategy == "zero3" else 1)
    optimizer = job.moments * trained // sliced
    return Memory(weights, adapter, trained // sliced, optimizer, activations, one.logits, one.cache // staged)


def suggestions(job: Workload, strategy: Strategy, devices: int, device_bytes: int) -> list[str]:
    """Return what would fit, each tried by the same arithmetic; none where the job fits as it is."""
    if memory(job, strategy, devices).total <= device_bytes:
        return []
    found = []

    def try_out(words: str, changed: Workload, way: Strategy = strategy) -> None:
        if (total := memory(changed, way, devices).total) <= device_bytes:
            found.append(f"{words}: {total / 2**30:.1f} GiB")

    if batch := largest_batch(job, strategy, devices, device_bytes):
        try_out(f"batch_size={batch}", replace(job, rows=batch))
    if job.trainable and not job.checkpointing:
        try_out("gradient_checkpointing=true", replace(job, checkpointing=True))
    if job.trainable == job.adapter:
        for bits in (8, 4):
            if job.bits is None or bits < job.bits:
                try_out(f"bits={bits}", replace(job, bits=bits))
    for way in STRATEGIES:
        if way != strategy and devices > 1:
            try_out(f"--strategy {way}", job, way)
    return found or ["nothing alone makes it fit: more or larger devices, or a smaller base"]


def largest_batch(job: Workload, strategy: Strategy, devices: int, device_bytes: int) -> int:
    """Return the largest number of rows a device takes, 0 if not even one fits."""

    def fits(rows: int) -> bool:
        return memory(replace(job, rows=rows), strategy, devices).total <= device_bytes

    if not fits(1):
        return 0
    low, high = 1, 2
    while fits(high) and high < 2**16:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def flops(job: Workload, passes: float, shared: int = 0) -> float:
    """Return the floating-point operations of `passes` rows.

    Two a weight and token forward, as many back through frozen weights, and two more for every trained one; attention
    takes 4 x tokens x width a layer and token forward (Kaplan et al. 2020, arXiv:2001.08361). Shared tokens run
    once a batch.
    """
    body = job.shape.parameters - job.shape.embedded
    attention = 4 * job.shape.layers * job.shape.hidden * job.tokens
    each_token = (2 * body + attention) * (2 if job.trainable else 1) + 2 * job.trainable
    return passes * (job.tokens - shared + shared / job.rows) * each_token


def matmul_tflops(size: int = 1024, repeats: int = 5) -> float:
    """Return this machine's rate of float32 (GPU: bfloat16) matrix products, in 10^12 operations a second."""
    import time

    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    one = torch.randn(size, size, device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
    fastest = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        float((one @ one)[0, 0])
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * size**3 / fastest / 1e12
