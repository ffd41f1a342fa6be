"""Bottleneck adapters (Pfeiffer, Houlsby, parallel) as a PEFT type, which PEFT itself lacks.

Once this module is imported, get_peft_model(model, BottleneckConfig()), save_pretrained and PeftModel.from_pretrained
work as with LoRA.
"""

from dataclasses import dataclass, field
from typing import Any, NoReturn

from peft import PeftConfig
from torch import nn
from transformers.activations import ACT2FN

from finbench.adapters.bottleneck.families import PLACEMENTS, Placement, find_sites
from finbench.adapters.bottleneck.layer import BottleneckLayer, BottleneckShape, Reads
from finbench.errors import FinbenchError
from finbench.hf.peft_types import enter
from finbench.hf.tuners import BaseTuner

PEFT_TYPE = "BOTTLENECK"


def register() -> None:
    """Enter the type in PEFT's tables, once or often."""
    enter(PEFT_TYPE, BottleneckConfig, BottleneckModel)


@dataclass
class BottleneckConfig(PeftConfig):
    """What a bottleneck looks like; the defaults are those of AdapterHub's `seq_bn`.

    Its `double_seq_bn` is placement="houlsby", non_linearity="swish"; its `par_bn` placement="parallel",
    reduction_factor=2, scaling=4.0, there starting from an up-projection of zeros instead of small numbers. A value
    out of its range raises a FinbenchError.
    """

    reduction_factor: float = field(default=16, metadata={"help": "hidden size divided by the bottleneck's size"})
    non_linearity: str = field(default="relu", metadata={"help": "a name that transformers' ACT2FN knows"})
    placement: Placement = field(default="pfeiffer", metadata={"help": "pfeiffer, houlsby or parallel"})
    dropout: float = field(default=0.0, metadata={"help": "probability, on what the bottleneck adds"})
    scaling: float = field(default=1.0, metadata={"help": "factor on what the bottleneck adds"})
    target_modules: list[str] | set[str] | str | None = field(
        default=None,
        metadata={"help": "names, or one pattern, of the modules to wrap; from the model's family if not given"},
    )
    residual_module: str | None = field(
        default=None,
        metadata={
            "help": "the module of the same layer whose input is the residual of the target's output; without it, "
            "pfeiffer takes its target for the normalisation that closes the layer"
        },
    )
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "other modules to train and save in full, such as a classification head"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
        if self.placement not in PLACEMENTS:
            raise FinbenchError(f"placement is {self.placement!r}; choose one of {', '.join(PLACEMENTS)}.")
        if self.non_linearity not in ACT2FN:
            raise FinbenchError(
                f"non_linearity is {self.non_linearity!r}; choose one that transformers knows: {', '.join(ACT2FN)}."
            )
        if self.reduction_factor <= 0:
            raise FinbenchError(f"reduction_factor is {self.reduction_factor}; it divides the hidden size: above 0.")
        if not 0 <= self.dropout < 1:
            raise FinbenchError(f"dropout is {self.dropout}; it is a probability: from 0 to below 1.")
        if self.scaling == 0:
            raise FinbenchError("scaling is 0, which switches the bottleneck off; give another number.")


class BottleneckModel(BaseTuner):
    """Puts bottlenecks into a model; PEFT makes and drives it."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer

    def _prepare_adapter_config(self, config: BottleneckConfig, model_config: dict[str, Any]) -> BottleneckConfig:
        """Fill in the modules from the model's family, so that a saved adapter says where it sits."""
        if config.target_modules is None:
            sites = find_sites(str(model_config.get("model_type")), config.placement)
            config.target_modules, config.residual_module = sites.target_modules, sites.residual_module
        elif config.placement == "parallel" and config.residual_module is None:
            raise FinbenchError(
                "A parallel bottleneck reads the layer's residual: beside `target_modules`, set `residual_module` to "
                "the module of the same layer whose input it is."
            )
        return config

    def _create_and_replace(
        self,
        config: BottleneckConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        layer = target if isinstance(target, BottleneckLayer) else BottleneckLayer(target)
        shape = self._shape(config, layer.base_layer, current_key)
        if shape.reads in ("sum", "residual"):
            name = str(config.residual_module)
            layer.read_residual(name, self._find_in_layer(name, current_key))
        near = next(target.parameters(), next(parent.parameters(), None))  # a dropout has no parameters
        try:
            layer.add(adapter_name, shape, near)
        except Exception:
            if layer is not target:
                layer.release_residual()  # nobody else knows of it yet
            raise
        if layer is not target:
            self._replace_module(parent, target_name, layer, target)

    def _shape(self, config: BottleneckConfig, module: nn.Module, key: str) -> BottleneckShape:
        reads: Reads = "output"
        if config.placement == "parallel":
            reads = "residual"
        elif config.placement == "pfeiffer":
            reads = "norm" if config.residual_module is None else "sum"
        if reads == "norm" and "norm" not in type(module).__name__.lower():
            raise FinbenchError(
                f"A pfeiffer bottleneck without `residual_module` takes its target for the normalisation that closes "
                f"the layer, but {key!r} is a {type(module).__name__}. Set `residual_module` to the module of the "
                "same layer whose input is the residual, or name the normalisation in `target_modules`."
            )
        hidden_size = int(self.model.config.get_text_config().hidden_size)
        return BottleneckShape(
            reads=reads,
            input_size=hidden_size,
            bottleneck_size=max(1, int(hidden_size // config.reduction_factor)),
            activation=ACT2FN[config.non_linearity],
            dropout=config.dropout,
            scaling=config.scaling,
        )

    def _find_in_layer(self, name: str, key: str) -> nn.Module:
        """Find the module called `name` nearest to `key`: beside it, or beside one of the modules that hold it."""
        ancestors = key.split(".")[:-1]
        while ancestors:
            try:
                found = self.model.get_submodule(".".join([*ancestors, name]))
            except AttributeError:
                ancestors.pop()
            else:
                return found.base_layer if isinstance(found, BottleneckLayer) else found
        raise FinbenchError(
            f"`residual_module` names {name!r}, but no such module lies beside {key!r} or above it. Look up the "
            "layer's modules with print(model)."
        )

    def _replace_module(self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module) -> None:
        setattr(parent, child_name, new_module)
        if isinstance(child, BottleneckLayer):  # unloading
            child.release_residual()

    def _check_merge_allowed(self) -> NoReturn:
        raise FinbenchError(
            "A bottleneck adapter cannot be merged into the base model: a non-linear function stands between its two "
            "matrices. Keep it as an adapter (PeftModel.from_pretrained, or peft= in lm_eval)."
        )


# At import too: where this module is imported before PEFT, the start-up hook finds it half loaded and cannot call it.
register()
