"""Adapters: the bottleneck type that PEFT lacks, and the folders adapters lie in."""
