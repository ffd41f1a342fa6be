"""One base in memory for all its adapters, by model type."""
