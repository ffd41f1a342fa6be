"""0/1 Adam against its algorithm written out in NumPy, against AdamW, and in real training on two processes."""

import multiprocessing.spawn
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from finbench.errors import FinbenchError
from finetune.optim.one_bit import pack, unpack
from finetune.optim.zero_one_adam import ZeroOneAdam, interval
from tests import forked

WORLD, STEPS, SIZES = 2, 18, (21, 40)
RATE, BETAS, EPS, DECAY = 0.01, (0.9, 0.99), 1e-8, 0.1
# renewals at steps 0, 1, 3, 5; synchronisations at every step to 6, then two apart, from 11 on four apart
SCHEDULE = {"variance_kappa": 2, "sync_every_step_until": 7, "sync_doubles_every": 4, "sync_interval_most": 4}
EVERY_STEP = {"variance_kappa": 10**6, "sync_every_step_until": 10**6}


def gradients(process: int) -> list[list[np.ndarray]]:
    """Return the gradients of all steps, of different size in the two tensors; one number never has any."""
    generator = np.random.default_rng(process)
    found = [[generator.normal(0.3, 1, size).astype("float32") * size**2 for size in SIZES] for _ in range(STEPS)]
    for step in found:
        step[0][4] = 0
    return found


def start() -> list[np.ndarray]:
    generator = np.random.default_rng(99)
    return [generator.normal(size=size).astype("float32") for size in SIZES]


def run(
    optimizer_class: Any, steps: list[list[np.ndarray]], stop: int | None = None, **settings: Any
) -> list[list[np.ndarray]]:
    """Return the weights after every step; at `stop` weights and optimizer are made anew from what a file holds."""
    weights = [torch.nn.Parameter(torch.tensor(value)) for value in start()]
    settings = {"lr": RATE, "betas": BETAS, "eps": EPS, "weight_decay": DECAY, **settings}
    optimizer = optimizer_class(weights, **settings)
    seen = []
    for number, step in enumerate(steps):
        if number == stop:
            state = optimizer.state_dict()
            weights = [torch.nn.Parameter(weight.detach().clone()) for weight in weights]
            optimizer = optimizer_class(weights, **settings)
            optimizer.load_state_dict(state)
        for weight, gradient in zip(weights, step, strict=True):
            weight.grad = torch.tensor(gradient)
        optimizer.step()
        seen.append([weight.detach().numpy().copy() for weight in weights])
    return seen


def spied() -> dict[str, int]:
    """Return the bytes that collectives pass to the other process, by kind, and what the optimizer counts."""
    found = {"all_reduce": 0, "all_to_all_single": 0, "all_gather": 0}
    plain = {name: getattr(dist, name) for name in found}
    share = {"all_reduce": 2 * (WORLD - 1) / WORLD, "all_to_all_single": (WORLD - 1) / WORLD, "all_gather": WORLD - 1}

    def spy(name: str) -> Any:
        def call(*tensors: Any) -> Any:
            found[name] += int(tensors[-1].numel() * tensors[-1].element_size() * share[name])
            return plain[name](*tensors)

        return call

    weight = torch.nn.Parameter(torch.zeros(4096))
    optimizer = ZeroOneAdam([weight], **SCHEDULE | {"sync_every_step_until": 8, "sync_interval_most": 2})
    for name in found:
        setattr(dist, name, spy(name))
    for step in range(STEPS):
        weight.grad = torch.full((4096,), float(step + 1))
        optimizer.step()
    for name, function in plain.items():
        setattr(dist, name, function)
    return {**found, "counted": optimizer.bytes_sent}


def process(rank: int, folder: str) -> None:
    """Run every scenario as one of two processes, and leave the results in a file."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD)
    own = gradients(rank)
    result = {
        "worked": run(ZeroOneAdam, own, **SCHEDULE),
        "printed": run(ZeroOneAdam, own, bias_correction=False, **SCHEDULE),
        "adam": run(ZeroOneAdam, own, **EVERY_STEP),
        "resumed": run(ZeroOneAdam, own, stop=12, **SCHEDULE),
        "bytes": spied(),
    }
    torch.save(result, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what each of two gloo processes found."""
    folder = str(tmp_path_factory.mktemp("gloo"))
    own = multiprocessing.spawn.get_executable()
    multiprocessing.set_executable(forked.python())
    try:
        torch.multiprocessing.spawn(process, (folder,), nprocs=WORLD)
    finally:
        multiprocessing.set_executable(own)
    return [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(WORLD)]


def compressed_mean(
    values: list[np.ndarray], used: np.ndarray, tensor: np.ndarray, own: list[np.ndarray], served: np.ndarray
) -> np.ndarray:
    """1bit-AllReduce in plain arithmetic; `tensor` says whose each number is, `own` and `served` are the errors."""

    def compress(wanted: np.ndarray, here: np.ndarray) -> np.ndarray:
        coded = np.zeros(len(wanted))
        for name in set(tensor):
            its = here & used & (tensor == name)
            coded[its] = np.where(wanted[its] >= 0, 1, -1) * np.abs(wanted[its]).mean() if its.any() else 0
        return coded

    sent = []
    for worker, value in enumerate(values):
        wanted = np.where(used, value + own[worker], 0)
        sent.append(compress(wanted, np.full(len(used), True)))
        own[worker] = wanted - sent[-1]
    average = np.where(used, np.mean(sent, axis=0) + served, 0)
    chunk = -(-len(used) // (8 * WORLD)) * 8  # whole bytes
    server = np.arange(len(used)) // chunk
    result = sum(compress(average, server == worker) for worker in range(WORLD))
    served[:] = average - result
    return result


def by_hand(corrects: bool) -> list[list[list[np.ndarray]]]:
    """Run the algorithm for all processes at once, in float64; return each one's weights after every step."""
    beta1, beta2 = BETAS
    every = [[np.concatenate(step).astype(float) for step in gradients(worker)] for worker in range(WORLD)]
    tensor = np.repeat(np.arange(len(SIZES)), SIZES)
    x = [np.concatenate(start()).astype(float) for _ in range(WORLD)]
    m, u, own = ([np.zeros(len(tensor)) for _ in range(WORLD)] for _ in range(3))
    v, served = np.zeros(len(tensor)), np.zeros(len(tensor))
    anchor, rates, kept, renewals = x[0].copy(), 0.0, 1.0, 0
    seen: list[list[list[np.ndarray]]] = [[] for _ in range(WORLD)]
    for step in range(STEPS):
        g = [every[worker][step] for worker in range(WORLD)]
        renews = step in (0, 1, 3, 5)
        if renews:
            g = [np.mean(g, axis=0)] * WORLD
            v, renewals = beta2 * v + (1 - beta2) * g[0] ** 2, renewals + 1
        rate = RATE / (1 - beta1 ** (step + 1)) if corrects else RATE
        root = np.sqrt(v / (1 - beta2**renewals)) if corrects else np.sqrt(v)
        bottom = np.where(v > 0, root + EPS, np.inf)
        rates, kept = rates + rate, kept * (1 - RATE * DECAY)
        for worker in range(WORLD):
            m[worker] = beta1 * m[worker] + (1 - beta1) * g[worker]
            u[worker] = u[worker] + rate * m[worker]
            x[worker] = x[worker] * (1 - RATE * DECAY) - rate * m[worker] / bottom
        synchronises = step in (2, 4, 6, 8, 10, 14)
        if synchronises:
            total = compressed_mean(u, v > 0, tensor, own, served)
            m = [total / rates] * WORLD
            x = [anchor * kept - total / bottom] * WORLD
        if renews or synchronises:
            anchor, rates, kept = x[0].copy(), 0.0, 1.0
            u = [np.zeros(len(tensor)) for _ in range(WORLD)]
        for worker in range(WORLD):
            seen[worker].append(np.split(x[worker], np.cumsum(SIZES)[:-1]))
    return seen


def distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """Return the largest difference between two sets of weights."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("name", "corrects"), [("worked", True), ("printed", False)])
def test_two_processes_follow_the_algorithm(together: list[dict[str, Any]], name: str, corrects: bool) -> None:
    expected = by_hand(corrects)
    for rank in range(WORLD):
        for step in range(STEPS):
            assert distance(together[rank][name][step], expected[rank][step]) < 5e-6, (rank, step)


def test_processes_agree_after_a_synchronisation_and_not_in_between(together: list[dict[str, Any]]) -> None:
    equal = [distance(*pair) == 0 for pair in zip(together[0]["worked"], together[1]["worked"], strict=True)]
    assert equal == [True] * 7 + [False, True] * 2 + [False, False, False, True] + [False] * 3


def test_a_number_without_gradient_only_decays(together: list[dict[str, Any]]) -> None:
    last = together[0]["worked"][-1][0][4]
    assert last == pytest.approx(start()[0][4] * (1 - RATE * DECAY) ** STEPS, rel=1e-5)


def test_with_a_variance_never_frozen_it_is_adamw_on_the_mean_gradient(together: list[dict[str, Any]]) -> None:
    mean = [[(a + b) / 2 for a, b in zip(*pair, strict=True)] for pair in zip(gradients(0), gradients(1), strict=True)]
    adam = run(torch.optim.AdamW, mean)
    for rank in range(WORLD):
        assert all(distance(*pair) < 2e-6 for pair in zip(together[rank]["adam"], adam, strict=True))


def test_alone_it_is_adamw_until_the_variance_waits() -> None:
    steps = gradients(0)
    adam = run(torch.optim.AdamW, steps)
    same, waits = run(ZeroOneAdam, steps, **EVERY_STEP), run(ZeroOneAdam, steps, **SCHEDULE)
    assert distance(same[-1], adam[-1]) < 1e-6
    assert distance(waits[1], adam[1]) < 1e-6 and distance(waits[-1], adam[-1]) > 1e-4  # renewed at steps 0 and 1


def test_a_run_through_a_file_goes_on_to_the_same_weights(together: list[dict[str, Any]]) -> None:
    for rank in range(WORLD):  # stopped between synchronisations, with something left over from rounding
        assert distance(together[rank]["resumed"][-1], together[rank]["worked"][-1]) == 0


def test_bytes_are_counted_and_are_a_thirtysecond_of_an_all_reduce(together: list[dict[str, Any]]) -> None:
    found = together[0]["bytes"]
    full = 4096 * 4  # Adam's step between two processes: half of the numbers to the other, and half back
    assert found["all_reduce"] == 4 * full  # renewals at steps 0, 1, 3 and 5
    one_bit = found["all_to_all_single"] + found["all_gather"]
    # alone at 2, 4, 6 and 7, then at every second of ten steps; two scales go with the signs, twice
    assert one_bit == 9 * (full // 32 + 2 * 2 * 4)
    assert found["counted"] == found["all_reduce"] + one_bit


def test_the_schedule_is_the_papers() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.ones(1)
    optimizer = ZeroOneAdam(
        [weight], variance_kappa=3, sync_every_step_until=40, sync_doubles_every=5, sync_interval_most=16
    )
    group, renewals, intervals = optimizer.param_groups[0], [], []
    for step in range(80):
        before = group["renewed"]
        intervals.append(interval(group))
        optimizer.step()
        renewals += [step] if group["renewed"] > before else []
    gaps = [after - before for before, after in zip(renewals, renewals[1:], strict=False)]
    assert gaps == [2 ** ((number + 1) // 3) for number in range(len(gaps))] and renewals[-1] < 40
    assert [intervals[step] for step in (0, 39, 40, 44, 45, 50, 55, 60, 79)] == [1, 1, 2, 2, 4, 8, 16, 16, 16]


def test_a_rate_of_zero_moves_nothing_and_loses_nothing() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = ZeroOneAdam([{"params": []}, {"params": [weight]}], lr=0.0, variance_kappa=1, sync_every_step_until=9)
    weight.grad = torch.tensor([1.0, -1.0, 0.0])
    for _ in range(2):
        optimizer.step()
    assert weight.tolist() == [1, 1, 1] and optimizer.state[weight]["momentum"][0] == pytest.approx(0.19)
    optimizer.param_groups[1]["lr"] = 0.1
    optimizer.step()
    assert weight.tolist() == pytest.approx([0.9, 1.1, 1.0])


def test_signs_survive_packing() -> None:
    signs = torch.tensor([True, False, True, True, False, False, False, True] * 2 + [False] * 8)
    assert pack(signs).shape == (3,) and torch.equal(unpack(pack(signs)) > 0, signs)


def test_values_out_of_range_are_named() -> None:
    with pytest.raises(FinbenchError, match="sync_interval_most must be 1 or more"):
        ZeroOneAdam([torch.nn.Parameter(torch.zeros(1))], sync_interval_most=0)
