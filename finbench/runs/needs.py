"""What scoring a base's cells takes on a node, by the planner's arithmetic."""

from dataclasses import replace
from math import prod

from finbench.errors import FinbenchError
from finbench.resources.plan import Job as PlannedJob
from finbench.resources.plan import memory
from finbench.runs.executors import Needs
from finbench.runs.matrix import Base, Matrix
from finbench.runs.plan import BasePlan, Planned

PROCESS_BYTES = 2**30  # Python with torch, transformers and lm-eval loaded, before any model
CHARACTERS_A_TOKEN = 3  # fewer than tokenizers make of English, so that the guess of a prompt's tokens is from above
FRAME_CHARACTERS = 300  # of a prompt, around a row's texts


def needs_of(plan: BasePlan, matrix: Matrix, asked: Needs) -> Needs:
    """Return what a base's cells to be scored take: `asked` cores and GPUs a device, and the node's memory.

    That holds the weights, the largest adapter, a batch of the longest task, and a process a device. Where the
    configuration cannot be had, loading will say so; until then only the processes are asked for.
    """
    from finbench.resources.shapes import meta_model, shape_of

    base, todo = plan.base, plan.todo
    devices = _devices(base)
    needs = Needs(asked.cpus * devices, asked.gpus * devices, PROCESS_BYTES * devices)
    kind = "classifier" if base.model == "hf-classifier" else "causal"
    try:
        shape = shape_of(meta_model(base.base, base.revision, kind))
    except (FinbenchError, ValueError):
        return needs
    job = PlannedJob(
        shape, base.dtype, base.bits, False, matrix.batch_size, max(map(_tokens, todo)), 1, 0,
        max(cell.adapter.size_bytes // 4 if cell.adapter else 0 for cell in todo), lambda rows: 0,
    )  # fmt: skip
    return replace(needs, memory_bytes=needs.memory_bytes + memory(job).total)


def _devices(base: Base) -> int:
    """Return over how many devices a base is split."""
    sizes = base.vllm or {}
    names = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
    return (base.pipeline or 1) * prod(int(sizes.get(name, 1)) for name in names)


def _tokens(cell: Planned) -> int:
    """Return a guess, from above, of the longest prompt's tokens, its shots being as long as itself."""
    texts = [sum(len(value) for value in doc.values() if isinstance(value, str)) for doc in cell.task.task.eval_docs]
    return (max(texts) + FRAME_CHARACTERS) * (1 + cell.task.num_fewshot) // CHARACTERS_A_TOKEN
