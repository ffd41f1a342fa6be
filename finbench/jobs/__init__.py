"""Where work runs: one after another on this machine, or on a Ray cluster."""
