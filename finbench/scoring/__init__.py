"""Scoring: shared-prefix log-likelihoods and answers, how answers are read, and metrics with their errors."""
