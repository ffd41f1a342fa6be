"""What scoring a base's cells takes on a node, by the planner's arithmetic."""

from collections.abc import Callable
from dataclasses import replace
from math import prod

from finbench.errors import FinbenchError
from finbench.jobs.executor import Needs
from finbench.planner.cost import Workload, memory
from finbench.runs.layout import BasePlan, PlannedCell
from finbench.runs.matrix import Base, Matrix

PROCESS_BYTES = 2**30  # Python with torch, transformers and lm-eval loaded, before any model
CHARACTERS_A_TOKEN = 3  # fewer than tokenizers make of English, so that the guess of a prompt's tokens is from above
FRAME_CHARACTERS = 300  # of a prompt, around a row's texts


def needs_of(plan: BasePlan, matrix: Matrix, asked: Needs) -> Needs:
    """Return what a base's cells to be scored take: `asked` cores and GPUs a device, and the node's memory.

    That holds the weights, the largest adapter, a batch of the longest task, and a process a device. Where the
    configuration cannot be had, loading will say so; until then only the processes are asked for.
    """
    base, todo = plan.base, plan.todo
    devices = _devices(base)
    needs = Needs(asked.cpus * devices, asked.gpus * devices, PROCESS_BYTES * devices)
    try:
        job = scoring_jobs(base, matrix.batch_size, "cuda" if asked.gpus else "cpu")(max(map(_tokens, todo)), 0)
    except (FinbenchError, ValueError):
        return needs
    adapter = max(cell.adapter.size_bytes // 4 if cell.adapter else 0 for cell in todo)
    return replace(needs, memory_bytes=needs.memory_bytes + memory(replace(job, adapter=adapter)).total)


def scoring_jobs(base: Base, batch_size: int, device: str, double: bool = False) -> Callable[[int, int], Workload]:
    """Return a function of (tokens, shared) that gives the job of scoring rows so long on a base without adapter.

    Raises:
        FinbenchError: the base's configuration cannot be had.

    """
    import torch

    from finbench.planner.scoring_pass import pass_bytes
    from finbench.planner.shapes import meta_model, shape_of

    kind = "classifier" if base.model == "hf-classifier" else "causal"
    model = meta_model(base.base, base.revision, kind, trust_remote_code=base.trust_remote_code).to(
        getattr(torch, base.dtype)
    )
    shape, held = shape_of(model), pass_bytes(model, base.model, device)

    def job(tokens: int, shared: int) -> Workload:
        return Workload(
            shape, base.dtype, base.bits, double, batch_size, tokens, 0, 0, lambda rows: held(rows, tokens, shared)
        )

    return job


def _devices(base: Base) -> int:
    """Return over how many devices a base is split."""
    sizes = base.vllm or {}
    names = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
    return (base.pipeline or 1) * prod(int(sizes.get(name, 1)) for name in names)


def _tokens(cell: PlannedCell) -> int:
    """Return a guess, from above, of the longest prompt's tokens, its shots being as long as itself."""
    texts = [sum(len(value) for value in doc.values() if isinstance(value, str)) for doc in cell.task.task.eval_docs]
    return (max(texts) + FRAME_CHARACTERS) * (1 + cell.task.num_fewshot) // CHARACTERS_A_TOKEN
