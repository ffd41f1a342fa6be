"""Log-likelihoods and answers with shared prefixes: knows tokens and models, no task."""
