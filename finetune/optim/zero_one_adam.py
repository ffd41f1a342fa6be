"""0/1 Adam: Adam that sends one bit a number, and less often as training goes on (Lu et al. 2022)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import distributed

from finbench.errors import FinbenchError
from finetune.optim.one_bit import one_bit_mean, padded, processes


class ZeroOneAdam(torch.optim.Optimizer):
    """0/1 Adam (arXiv:2202.06009, Algorithm 1) on gradients that nobody has averaged over processes.

    The variance is renewed from the full-precision mean gradient (T_v): between one renewal and the next lie
    2^floor(j / variance_kappa) steps after the j-th. Moves are synchronised (T_u) at every step before
    `sync_every_step_until`; from there the variance stays as it is, synchronisations stand two steps apart, and twice
    as far after every `sync_doubles_every` steps, up to `sync_interval_most`. Between them a process goes on by its own
    momentum. A synchronisation replaces the moves since the last one by their one-bit mean.

    Where this reading departs from the algorithm as printed:
    - weights and buffer move by the momentum that has this step's gradient, without which a synchronisation at
      every step would never see one;
    - a renewed variance serves the step that renewed it, and epsilon stands outside the root, both as in Adam;
    - at a renewal all processes know the mean gradient: they take the same step from it, and no moves are sent;
    - momentum and variance are corrected for their start at zero as in Adam, since a variance frozen after few
      renewals would stay too small (`bias_correction=False` is the printed form);
    - a number whose variance is zero is neither sent nor moved, since a compressed zero is not zero;
    - a synchronisation waits while the learning rate has been zero since the last one;
    - weight decay is decoupled, and moves within an interval are not decayed when they are replaced.

    Choose `sync_every_step_until` late. A LoRA's gradients grow from nothing, and a variance that is frozen before they
    have grown makes steps too long: frozen at step 50 of 150, in one process with nothing compressed, the loss rose
    again from step 80 on; frozen at 110 it went as AdamW's.

    Raises FinbenchError for values out of range. Every process has to call `step` equally often.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        variance_kappa: int = 16,
        sync_every_step_until: int = 100,
        sync_doubles_every: int = 100,
        sync_interval_most: int = 16,
        bias_correction: bool = True,
    ) -> None:
        settings: dict[str, Any] = {"variance_kappa": variance_kappa, "sync_every_step_until": sync_every_step_until}
        settings |= {"sync_doubles_every": sync_doubles_every, "sync_interval_most": sync_interval_most}
        for name, value in settings.items():
            if value < 1:
                raise FinbenchError(f"0/1 Adam: {name} must be 1 or more (given: {value}).")
        settings |= {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        # at: this step; renewed, renew_at: the variance; waited, lr_sum, kept: since the last synchronisation
        settings |= {"at": 0, "renewed": 0, "renew_at": 0, "waited": 0, "lr_sum": 0.0, "kept": 1.0}
        super().__init__(params, settings | {"bytes_sent": 0, "bias_correction": bias_correction})

    @property
    def bytes_sent(self) -> int:
        """Return how many bytes this process has sent to others."""
        return int(sum(group["bytes_sent"] for group in self.param_groups))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; every process has to take part. Returns the closure's loss, if one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["params"]:
                self._step(group)
        return loss

    @torch.no_grad()
    def synchronise(self) -> None:
        """Make weights equal on all processes now, as before they are read; the interval begins anew."""
        for group in self.param_groups:
            if group["waited"]:
                self._synchronise(group)

    def _step(self, group: dict[str, Any]) -> None:
        weights = group["params"]
        # processes have to agree on what is sent, so a weight without a gradient takes part with zeros
        gradients = [torch.zeros_like(w, dtype=torch.float32) if w.grad is None else w.grad.float() for w in weights]
        self._start(weights)
        renews = group["at"] == group["renew_at"] and group["at"] < group["sync_every_step_until"]
        known = renews and group["waited"] == 0  # every process takes this step alike
        if renews:
            gradients = self._renew_variance(group, gradients)
        self._move(group, gradients)
        if known:
            self._settle(group)
        elif group["waited"] >= interval(group):
            self._synchronise(group)
        group["at"] += 1

    def _start(self, weights: list[torch.Tensor]) -> None:
        for weight in weights:
            state = self.state[weight]
            if not state:
                for name in ("momentum", "variance", "moved", "worker_error"):
                    state[name] = torch.zeros_like(weight, dtype=torch.float32)
                state["anchor"] = weight.detach().clone()
        first = self.state[weights[0]]
        if "server_error" not in first:
            whole = padded(sum(weight.numel() for weight in weights))
            first["server_error"] = torch.zeros(whole // processes(), device=weights[0].device)

    def _renew_variance(self, group: dict[str, Any], gradients: list[torch.Tensor]) -> list[torch.Tensor]:
        """Renew the variance, and return the gradients' mean over processes."""
        if processes() > 1:
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            distributed.all_reduce(flat)
            flat /= processes()
            # a ring all-reduce passes each number on twice, less the own part
            group["bytes_sent"] += 2 * (processes() - 1) * flat.numel() * flat.element_size() // processes()
            gradients = split(flat, group["params"])
        beta = group["betas"][1]
        for weight, gradient in zip(group["params"], gradients, strict=True):
            self.state[weight]["variance"].mul_(beta).addcmul_(gradient, gradient, value=1 - beta)
        group["renewed"] += 1
        group["renew_at"] += int(2 ** (group["renewed"] // group["variance_kappa"]))
        return gradients

    def _move(self, group: dict[str, Any], gradients: list[torch.Tensor]) -> None:
        beta = group["betas"][0]
        rate = group["lr"] / (1 - beta ** (group["at"] + 1) if group["bias_correction"] else 1)
        keep = 1 - group["lr"] * group["weight_decay"]
        for weight, gradient in zip(group["params"], gradients, strict=True):
            state = self.state[weight]
            state["momentum"].lerp_(gradient, 1 - beta)
            state["moved"].add_(state["momentum"], alpha=rate)
            weight.mul_(keep).sub_(rate * scaled(state["momentum"], state["variance"], group))
        group["waited"] += 1
        group["lr_sum"] += rate
        group["kept"] *= keep

    def _settle(self, group: dict[str, Any]) -> None:
        """Begin a new interval at these weights, which are the same on every process."""
        for weight in group["params"]:
            state = self.state[weight]
            state["anchor"].copy_(weight)
            state["moved"].zero_()
        group["waited"], group["lr_sum"], group["kept"] = 0, 0.0, 1.0

    def _synchronise(self, group: dict[str, Any]) -> None:
        if group["lr_sum"] == 0:
            return
        weights = group["params"]
        moved, error, variance = (self._flat(weights, name) for name in ("moved", "worker_error", "variance"))
        owner = torch.cat([torch.full((w.numel(),), place, dtype=torch.int32) for place, w in enumerate(weights, 1)])
        owner = torch.nn.functional.pad(owner, (0, len(moved) - len(owner))).to(moved.device) * (variance > 0)
        server_error = self.state[weights[0]]["server_error"]
        mean, sent = one_bit_mean(moved, owner, len(weights) + 1, error, server_error)
        group["bytes_sent"] += sent
        for weight, part, left in zip(weights, split(mean, weights), split(error, weights), strict=True):
            state = self.state[weight]
            state["worker_error"].copy_(left)
            state["momentum"].copy_(part / group["lr_sum"])
            weight.copy_(state["anchor"] * group["kept"] - scaled(part, state["variance"], group))
        self._settle(group)

    def _flat(self, weights: list[torch.Tensor], name: str) -> torch.Tensor:
        flat = torch.cat([self.state[weight][name].flatten() for weight in weights])
        return torch.nn.functional.pad(flat, (0, padded(len(flat)) - len(flat)))


def interval(group: dict[str, Any]) -> int:
    """Return how many steps lie between synchronisations at this step."""
    if group["at"] < group["sync_every_step_until"]:
        return 1
    doublings = 1 + (group["at"] - group["sync_every_step_until"]) // group["sync_doubles_every"]
    return int(min(2 ** min(doublings, 30), group["sync_interval_most"]))


def scaled(move: torch.Tensor, variance: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
    """Return the move over the root of the variance, 0 where no gradient has been seen."""
    started = 1 - group["betas"][1] ** group["renewed"] if group["bias_correction"] else 1
    return torch.where(variance > 0, move / ((variance / started).sqrt() + group["eps"]), 0.0)


def split(flat: torch.Tensor, weights: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the parts of a flat vector in the shapes of the weights; padding at its end is dropped."""
    sizes = [weight.numel() for weight in weights]
    parts = flat[: sum(sizes)].split(sizes)
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]
