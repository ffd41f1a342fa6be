"""Adapters: their folders, how they get on a model and off it, merging, and the two types that PEFT lacks.

What comes in: an adapter's folder and a model; what goes out: the model with the adapter on it, whole, or a refusal.
A newcomer adds a model family to `bottleneck/families.py`.
"""
