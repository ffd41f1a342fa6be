"""Texts to labels, and how sure the model is.

What comes in: a base, an adapter and texts; what goes out: labels with probabilities. A newcomer adds a way to hold
weights to `loading.py`.
"""
