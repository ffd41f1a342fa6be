"""Predict and serve: what a model says of a text, and how sure it is."""
