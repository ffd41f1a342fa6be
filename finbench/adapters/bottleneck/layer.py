"""A module of the base model with bottlenecks around it: what is computed, and how it comes by its input."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from finbench.errors import FinbenchError
from finbench.hf.tuners import BaseTunerLayer

# What a bottleneck reads, with h the wrapped module's output and r the residual that the layer adds to it:
#   "norm"      the wrapped module normalises h + r; reads its output and adds to its input
#   "sum"       reads h + r, adds to h
#   "output"    reads h, adds to h
#   "residual"  reads r, adds to h
Reads = Literal["norm", "sum", "output", "residual"]


@dataclass(frozen=True)
class BottleneckShape:
    """What one adapter looks like at a site: sizes in features, `dropout` a probability."""

    reads: Reads
    input_size: int
    bottleneck_size: int
    activation: Callable[[torch.Tensor], torch.Tensor]
    dropout: float
    scaling: float


class BottleneckLayer(nn.Module, BaseTunerLayer):
    """Wraps a module and adds, for every active adapter, scaling * up(activation(down(x))).

    The published placements follow from what x is. Pfeiffer et al. 2020 (arXiv:2005.00247), as AdapterHub's `seq_bn`
    computes it: LN(h + r + bottleneck(LN(h + r))) where the layer normalises after the sum, and
    h + r + bottleneck(h + r) where it normalises before. Houlsby et al. 2019 (arXiv:1902.00751): bottleneck(h), on
    attention's output too. Parallel, He et al. 2021 (arXiv:2110.04366): bottleneck(r). Several active adapters add up.
    """

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")
    other_param_names = ("bottleneck_shapes",)

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bottleneck_down = nn.ModuleDict()
        self.bottleneck_up = nn.ModuleDict()
        self.bottleneck_shapes: dict[str, BottleneckShape] = {}
        self._residual_name: str | None = None
        self._residual_hook: Any = None
        # By thread, because torch's DataParallel runs copies of a layer in threads that share this dictionary.
        self._residuals: dict[int, torch.Tensor] = {}

    def add(self, name: str, shape: BottleneckShape, near: torch.Tensor | None) -> None:
        """Add an adapter: weights normal with deviation 0.02, biases zero (AdapterHub's "bert" initialisation).

        `near` is a parameter of the base close by: the adapter goes to its device, and takes its type if that is a
        floating one (so a quantised base gets a float32 adapter).
        """
        down = nn.Linear(shape.input_size, shape.bottleneck_size)
        up = nn.Linear(shape.bottleneck_size, shape.input_size)
        for linear in (down, up):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        # Weights on the meta device are about to be loaded, and PEFT moves them then.
        if near is not None and not near.is_meta and not down.weight.is_meta:
            dtype = near.dtype if near.is_floating_point() else torch.float32
            down.to(near.device, dtype)
            up.to(near.device, dtype)
        self.bottleneck_down[name], self.bottleneck_up[name] = down, up
        self.bottleneck_shapes[name] = shape

    def read_residual(self, name: str, source: nn.Module) -> None:
        """Take the input of `source`, the layer's module called `name`, as r of every forward pass.

        A FinbenchError if another adapter here reads its residual elsewhere.
        """
        if self._residual_name == name:
            return
        if self._residual_name is not None:
            raise FinbenchError(
                f"Two bottlenecks on one module name two `residual_module`s, {self._residual_name!r} and {name!r}; "
                "give both the same."
            )
        self._residual_name = name
        # A bound method, not a closure: a deep copy of the model then feeds its own layer.
        self._residual_hook = source.register_forward_pre_hook(self._keep_residual)

    def release_residual(self) -> None:
        """Leave the base model as it was found."""
        if self._residual_hook is not None:
            self._residual_hook.remove()
        self._residuals.clear()

    def _keep_residual(self, _source: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._residuals[threading.get_ident()] = inputs[0]

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Run the wrapped module and add the active bottlenecks; (B, T, D) in and out.

        Without an active adapter the wrapped module's own output is returned, equal to the bit. A FinbenchError if
        the wrapped module returns no tensor, or the residual's module has not run before it.
        """
        output = self.base_layer(hidden_states, *args, **kwargs)
        residual = self._residuals.pop(threading.get_ident(), None)
        active = [name for name in self.active_adapters if name in self.bottleneck_shapes]
        if self.disable_adapters or not active:
            return output
        if not isinstance(output, torch.Tensor):
            raise FinbenchError(
                f"A bottleneck cannot follow {type(self.base_layer).__name__}, which returns a "
                f"{type(output).__name__}; name modules in `target_modules` whose output is one tensor."
            )
        around_norm = [name for name in active if self.bottleneck_shapes[name].reads == "norm"]
        if around_norm:
            before_norm = hidden_states + torch.stack([self._bottleneck(name, output) for name in around_norm]).sum(0)
            output = self.base_layer(before_norm, *args, **kwargs)
        result = output
        for name in active:
            if name not in around_norm:
                result = result + self._bottleneck(name, self._input(name, output, residual))
        return result

    def _input(self, name: str, output: torch.Tensor, residual: torch.Tensor | None) -> torch.Tensor:
        reads = self.bottleneck_shapes[name].reads
        if reads == "output":
            return output
        if residual is None:
            raise FinbenchError(
                f"The bottleneck {name!r} found no residual: {self._residual_name!r} did not run before "
                f"{type(self.base_layer).__name__}. Name in `residual_module` a module of the same layer that does."
            )
        return output + residual if reads == "sum" else residual

    def _bottleneck(self, name: str, hidden_states: torch.Tensor) -> torch.Tensor:
        """Compute what the adapter adds, in the type of its input; (B, T, D) in and out."""
        shape, down, up = self.bottleneck_shapes[name], self.bottleneck_down[name], self.bottleneck_up[name]
        inner = shape.activation(down(hidden_states.to(down.weight.dtype)))  # (B, T, D / reduction_factor)
        added = nn.functional.dropout(shape.scaling * up(inner), shape.dropout, self.training)
        return added.to(hidden_states.dtype)
