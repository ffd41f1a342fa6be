"""LoRA with virtual tokens in one adapter, which PEFT refuses on one model."""
