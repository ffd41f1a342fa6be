"""LoRA with a prefix or a prompt as PEFT types, which PEFT refuses to put on one model.

Once this module is imported, get_peft_model(model, LoraPrefixConfig()), save_pretrained and PeftModel.from_pretrained
work as with LoRA: its settings are LoRA's, with `num_virtual_tokens` beside them.
"""

from dataclasses import dataclass, field
from typing import Any

from peft import LoraConfig, LoraModel
from torch import nn

from finbench.adapters.combined.virtual import Form, VirtualTokens
from finbench.errors import FinbenchError
from finbench.hf.peft_types import enter

PREFIX, PROMPT = "LORA_PREFIX", "LORA_PROMPT"


def register() -> None:
    """Enter the types in PEFT's tables, once or often."""
    enter(PREFIX, LoraPrefixConfig, LoraPrefixModel)
    enter(PROMPT, LoraPromptConfig, LoraPromptModel)


@dataclass
class _Config(LoraConfig):
    """LoRA's settings, and how many virtual tokens stand before the input."""

    num_virtual_tokens: int = field(default=10, metadata={"help": "how many virtual tokens stand before the input"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_virtual_tokens < 1:
            raise FinbenchError(f"num_virtual_tokens is {self.num_virtual_tokens}; give 1 or more, or use lora.")


@dataclass
class LoraPrefixConfig(_Config):
    """LoRA with trained keys and values before every layer's own (Li and Liang 2021, arXiv:2101.00190)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PREFIX


@dataclass
class LoraPromptConfig(_Config):
    """LoRA with trained embeddings before the input (Lester et al. 2021, arXiv:2104.08691)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PROMPT


class _Model(LoraModel):
    """Puts LoRA into a model and virtual tokens before it; PEFT makes and drives it."""

    form: Form

    def __init__(self, model: nn.Module, config: Any, adapter_name: str, *args: Any, **options: Any) -> None:
        super().__init__(model, config, adapter_name, *args, **options)
        ours = self.peft_config[adapter_name]
        self.virtual = VirtualTokens(self.model, self.form, ours.num_virtual_tokens, adapter_name)
        self.virtual.requires_grad_(not ours.inference_mode)

    def _check_new_adapter_config(self, config: Any) -> None:
        super()._check_new_adapter_config(config)
        if len(self.peft_config) > 1:
            raise FinbenchError("a model takes one adapter with virtual tokens at a time: load its base anew.")

    def disable_adapter_layers(self) -> None:
        """Let the bare base answer."""
        super().disable_adapter_layers()
        self.virtual.enable_adapters(False)

    def enable_adapter_layers(self) -> None:
        """Let the adapter act again."""
        super().enable_adapter_layers()
        self.virtual.enable_adapters(True)

    def unload(self) -> nn.Module:
        """Return the base as it was."""
        self.virtual.release()
        found: nn.Module = super().unload()
        return found

    def _check_merge_allowed(self) -> None:
        raise FinbenchError(
            "an adapter with virtual tokens cannot be merged into the base: they are no weights of it. Keep it as an "
            "adapter (PeftModel.from_pretrained, or peft= in lm_eval)."
        )


class LoraPrefixModel(_Model):
    """LoRA with a prefix."""

    form: Form = "prefix"


class LoraPromptModel(_Model):
    """LoRA with a prompt."""

    form: Form = "prompt"


# At import too: where this module is imported before PEFT, the start-up hook finds it half loaded and cannot call it.
register()
