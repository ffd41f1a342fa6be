"""Score language models and their adapters on financial tasks: `finbench --help`, and from Python the names below."""

__version__ = "0.1.0"
__all__ = ["compare", "finetune", "open_cells", "rows", "score"]

TYPE_CHECKING = False  # as `typing` has it, which the start-up hook would load into every Python program
if TYPE_CHECKING:
    from finbench.api import compare, finetune, open_cells, rows, score


def __getattr__(name: str) -> object:
    """Load the Python face when it is first asked for: the start-up hook imports this package everywhere."""
    if name in __all__:
        from finbench import api

        return getattr(api, name)
    raise AttributeError(f"module 'finbench' has no attribute {name!r}")
