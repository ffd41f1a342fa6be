"""What `hf-fast` and `hf` ask alike of a model that lm-eval loads: all of its weights, and a window.

Used of lm-eval (0.4.12 to 0.4.13): `AUTO_MODEL_CLASS`, by which its `HFLM` loads; `max_length`, its window in tokens;
`set_cache_hook`, which its `--use_cache` calls.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from finbench.errors import FinbenchError
from finbench.hf.load import Complete

logger = logging.getLogger(__name__)


@contextmanager
def whole_checkpoints(lm: Any) -> Iterator[None]:
    """Within it the model type loads only checkpoints that have all of the model's weights."""
    own = lm.AUTO_MODEL_CLASS
    lm.AUTO_MODEL_CLASS = Complete(own)
    try:
        yield
    finally:
        lm.AUTO_MODEL_CLASS = own


def warn_of_cache(lm: Any) -> None:
    """Say what lm-eval's `--use_cache` does not: its answers go by the request alone."""
    logger.warning(
        "--use_cache keeps answers by prompt and not by model: give each base, adapter and precision a file of its "
        "own, or one is served another's answers (%s)",
        type(lm).__name__,
    )


def window_of(lm: Any) -> int:
    """Return how many tokens the model reads.

    Raises:
        FinbenchError: its configuration states none.

    """
    if int(lm.max_length) < 1:
        raise FinbenchError(
            "the base's configuration states no window: give one, max_length=2048 in the model arguments."
        )
    return int(lm.max_length)
