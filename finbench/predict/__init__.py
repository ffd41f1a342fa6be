"""Texts to labels, and how sure the model is."""
