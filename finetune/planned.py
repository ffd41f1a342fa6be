"""A recipe as the planner takes it: the method itself, applied to shapes, says what it trains."""

from dataclasses import dataclass

from finbench.planner.cost import PassBytes, Workload, flops
from finetune.recipe import Recipe

# 0/1 Adam: momentum, variance, moves since the last synchronisation, where that left the weight, its rounding error
KEPT_NUMBERS = 5


def length(recipe: Recipe, tokens: int | None = None) -> tuple[int, int]:
    """Return the tokens of the longest row and how many of them all rows share.

    Raises:
        FinbenchError: a task's size is not known.

    """
    from finbench.tasks.sizes import sizes

    tasks = sizes(recipe.tasks)
    shares = recipe.task_type == "causal" and recipe.prefix_sharing == "auto"
    shared = min(size.shared for size in tasks.values()) if shares else 0
    tokens = tokens or recipe.max_length or max(size.tokens for size in tasks.values())
    return tokens, shared if shared < tokens else 0


def planned(recipe: Recipe, tokens: int, shared: int, double: bool, device: str = "cpu") -> Workload:
    """Return the recipe's job for batches of rows of `tokens`; `double` quantises 4-bit scales too.

    On a processor ("cpu") rows are packed where prefixes may be shared.

    Raises:
        FinbenchError: the base's configuration cannot be had.

    """
    import torch

    from finbench.planner.shapes import meta_model, shape_of
    from finbench.planner.training_pass import saved_bytes
    from finetune.methods import apply

    model = meta_model(
        recipe.base,
        recipe.revision,
        recipe.task_type,
        labels=3 if recipe.task_type == "classifier" else 0,
        trust_remote_code=recipe.trust_remote_code,
    )
    precision = recipe.precision if recipe.bits or recipe.method != "full" else "float32"
    model = model.to(getattr(torch, precision))
    shape = shape_of(model)
    with torch.device("meta"):
        adapted = apply(model, recipe)
    trainable = sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)
    answer = 1 if recipe.task_type != "classifier" else 0
    packed = device == "cpu" and recipe.task_type == "causal" and recipe.prefix_sharing == "auto"
    few = 3 if packed else 1  # rows, from which on what is kept grows evenly
    least, more = (saved_bytes(adapted, rows, tokens, shared, answer, packed) for rows in (few, few + 1))

    def pass_bytes(rows: int) -> PassBytes:
        kept = max(least + (rows - few) * (more - least), 0)
        return PassBytes(kept, rows * answer * shape.vocabulary * 4)

    return Workload(
        shape, precision, recipe.bits, double, recipe.batch_size, tokens, trainable,
        0 if recipe.method == "full" else trainable, pass_bytes,
        recipe.gradient_checkpointing, KEPT_NUMBERS if recipe.optimizer == "zero_one_adam" else 2,
    )  # fmt: skip


@dataclass(frozen=True)
class TrainingCost:
    """A recipe's work: rows of `tokens`, of which a batch shares `shared`, passes of a row, hours of one device."""

    job: Workload
    tokens: int
    shared: int
    passes: float
    hours: float


def training_cost(
    recipe: Recipe, rate: float, device: str, devices: int = 1, tokens: int | None = None, double: bool = False
) -> TrainingCost:
    """Return what a recipe's training takes on devices of `rate` operations a second each.

    `tokens` are those of the longest row, instead of the tasks' own guess; `double` quantises 4-bit scales too.

    Raises:
        FinbenchError: a task's size or the base's configuration cannot be had.

    """
    from finbench.tasks.sizes import sizes

    longest, shared = length(recipe, tokens)
    job = planned(recipe, longest, shared, double, device)
    train = sum(min(size.train, recipe.limit or size.train) for size in sizes(recipe.tasks).values())
    passes = train * (1 - recipe.validation_share) * recipe.epochs
    if recipe.max_steps:
        passes = min(passes, recipe.max_steps * recipe.batch_size * recipe.gradient_accumulation * devices)
    return TrainingCost(job, longest, shared, passes, flops(job, passes, shared) / rate / 3600)
