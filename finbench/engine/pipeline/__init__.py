"""A causal model split by layers over several processes."""
