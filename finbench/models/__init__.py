"""Model types of lm-eval: `hf-fast` for causal models, `hf-classifier` for encoders with a head.

What comes in: lm-eval's requests; what goes out: its answers, and which inputs were cut or not shared. A newcomer
adds a model type, and its name to `finbench/autoload.py`.
"""
