"""Optimizers of our own, for what torch lacks."""
