"""Locks that end with their process, however it ends: the kernel lets go of them, so kill -9 and a reboot leave none.

`with held(path) as mine` makes the path's file, locks it, and removes it in the end. Who gets the lock of a file that
another process left knows that its writer is dead: no clock and no process id is asked, so containers and machines that
share a folder cannot be mistaken about each other.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there, and nothing counts as left over
    fcntl = None  # type: ignore[assignment]

NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # what is held is written to: not through a link that somebody put there


@contextmanager
def held(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock that is the file at the path and say True, or say False where another holds it and none waits.

    Where the file system has no locks it says True: two processes may then do the same work, and none is lost.

    Raises:
        OSError: the file cannot be made.

    """
    descriptor = _locked(path, wait)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            with suppress(OSError):
                if _is_at(descriptor, path):  # what was written has been renamed away
                    path.unlink()
            os.close(descriptor)


def _locked(path: Path, wait: bool) -> int | None:
    """Return the file's descriptor with its lock, None where another holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        try:
            if not _lock(descriptor, wait):
                os.close(descriptor)
                return None
            if _is_at(descriptor, path):  # else its holder has just removed it, and the name is another file's
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, wait: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    mine = os.fstat(descriptor)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)


def remove_left_over(path: Path) -> bool:
    """Remove a file that its writer held, if that writer is dead; say whether it was."""
    if fcntl is None or not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, path):
            path.unlink()
            return True
    except OSError:  # it is held, or nothing can be proved here
        pass
    finally:
        os.close(descriptor)
    return False
