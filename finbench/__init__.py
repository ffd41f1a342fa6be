"""Score language models and their adapters on financial tasks: `finbench --help`."""

__version__ = "0.1.0"
