"""Model types of lm-eval: `hf-fast` for causal models, `hf-classifier` for encoders with a head."""
