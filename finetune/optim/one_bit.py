"""The mean of a vector over processes with one bit a number, whose rounding errors are carried to the next call."""

import torch
from torch import distributed


def processes() -> int:
    """Return the number of processes of the default group; 1 where none was started."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def padded(count: int) -> int:
    """Return `count` rounded up so that every process serves a chunk of whole bytes."""
    whole = 8 * processes()
    return -(-count // whole) * whole


def pack(signs: torch.Tensor) -> torch.Tensor:
    """Return bools (8n,) as bytes (n,), the first in the lowest bit."""
    powers = 1 << torch.arange(8, device=signs.device, dtype=torch.uint8)
    return (signs.view(-1, 8) * powers).sum(1, dtype=torch.uint8)


def unpack(packed: torch.Tensor) -> torch.Tensor:
    """Return bytes (n,) as signs (8n,): 1.0 for a set bit, -1.0 for the others."""
    bits = (packed.unsqueeze(1) >> torch.arange(8, device=packed.device, dtype=torch.uint8)) & 1
    return bits.flatten().float() * 2 - 1


def scales(vector: torch.Tensor, owner: torch.Tensor, owners: int) -> torch.Tensor:
    """Return the mean absolute value (owners,) of each owner's numbers; 0 for owner 0 and where it has none."""
    total = torch.zeros(owners, device=vector.device).index_add_(0, owner, vector.abs())
    count = torch.zeros(owners, device=vector.device).index_add_(0, owner, torch.ones_like(vector))
    total[0] = 0
    return total / count.clamp(min=1)


def one_bit_mean(
    vector: torch.Tensor, owner: torch.Tensor, owners: int, worker_error: torch.Tensor, server_error: torch.Tensor
) -> tuple[torch.Tensor, int]:
    """Return the compressed mean (D,) over processes, and the bytes this process sent.

    The compressed all-reduce with error feedback of 0/1 Adam (Lu et al. 2022, arXiv:2202.06009): each process sends
    signs and scales, the server of a chunk averages them and compresses once more; each process serves one chunk.
    The scale is the mean absolute value, one a tensor: `owner` (D,), from 0 to `owners` - 1, says whose each number
    is, so that a tensor with small values is not moved by the scale of another. Owner 0's numbers are sent as 0.
    Both errors, (D,) and (D / processes,), are changed in place. With one process nothing is compressed.
    """
    world = processes()
    if world == 1:
        return vector.clone(), 0
    rank, chunk = distributed.get_rank(), len(vector) // world
    mine = owner.view(world, chunk)[rank]

    wanted = (vector + worker_error) * (owner > 0)
    scale = scales(wanted, owner, owners)
    bits = pack(wanted >= 0)
    worker_error.copy_(wanted - unpack(bits) * scale[owner])
    arrived = torch.empty_like(bits)
    distributed.all_to_all_single(arrived, bits)
    every_scale = [torch.empty_like(scale) for _ in range(world)]
    distributed.all_gather(every_scale, scale)

    parts = zip(arrived.view(world, -1), every_scale, strict=True)
    served = torch.stack([unpack(part) * theirs[mine] for part, theirs in parts]).mean(0) + server_error  # (chunk,)
    scale = scales(served, mine, owners)
    answer = pack(served >= 0)
    server_error.copy_(served - unpack(answer) * scale[mine])
    answers = [torch.empty_like(answer) for _ in range(world)]
    distributed.all_gather(answers, answer)
    distributed.all_gather(every_scale, scale)
    places = zip(answers, every_scale, owner.view(world, chunk), strict=True)
    mean = torch.cat([unpack(part) * theirs[place] for part, theirs, place in places])
    others = world - 1
    sent = others * (len(bits) // world + len(answer) + 2 * scale.numel() * scale.element_size())
    return mean, sent
