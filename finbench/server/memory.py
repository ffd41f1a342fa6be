"""Memory held level, whatever the number and the shapes of batches.

A service of a small classifier grew from 697 to 1,358 MB in 27,000 requests: batches of every shape leave the C heap in
pieces, which glibc gives back only when asked, and oneDNN keeps up to 1,024 compiled operations, some for each shape.
"""

import ctypes
import os
import time
from collections.abc import Callable

TRIM_SECONDS = 2.0  # at most one trim in so long: each takes some milliseconds
COMPILED_OPERATIONS = "64"


def bound_compiled_operations() -> None:
    """Let oneDNN keep few compiled operations, unless the user has said how many; to be called before the first."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", COMPILED_OPERATIONS)


def heap_trimmer() -> Callable[[], None]:
    """Return a function that gives unused memory back to the system, where the C library can (glibc), now and then."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return lambda: None
    last = 0.0

    def tidy() -> None:
        nonlocal last
        if time.monotonic() - last >= TRIM_SECONDS:
            trim(0)
            last = time.monotonic()

    return tidy
