"""Log-likelihoods and answers with shared prefixes: knows tokens and models, no task.

What comes in: token sequences and a model; what goes out: log-likelihoods, generated tokens, or logits with their
gradient, for which each shared prefix ran once. A newcomer adds a family that a pipeline can split to
`finbench/hf/cut.py`.
"""
