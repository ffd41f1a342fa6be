"""Files that are there whole or not at all: `with beside(path) as part`, and `refuse_foreign` for what others wrote.

What is written lies as `.NAME.PID.part` beside the file until it is complete, is forced to disk and renamed. What a
killed process left of such files is removed by the next that writes the same one.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from finbench.errors import FinbenchError


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give the temporary name to write to; where the block ends well, the file takes the place of the path's.

    Raises:
        FinbenchError: the folder cannot be made or written, or the disk is full; the path's file is as it was.

    """
    target = path.resolve()  # a link stays a link
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(target)
        part.unlink(missing_ok=True)  # of a dead process with our number, which in containers is often the same one
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # never through a link that lies there
        if target.is_file():
            shutil.copymode(target, part)
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise FinbenchError(f"{path} cannot be written ({error.strerror or error}); nothing was changed.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        FinbenchError: it cannot be written.

    """
    with beside(path) as part:
        part.write_text(text, encoding="utf-8")


def refuse_foreign(paths: Iterable[Path], option: str = "--output") -> None:
    """Refuse to write over these files, which nothing proves to be ours.

    Raises:
        FinbenchError: there is one.

    """
    if found := sorted(map(str, paths)):
        raise FinbenchError(
            f"{', '.join(found[:5])} would be written over, and finbench did not write it as it is: move it away, or "
            f"give another {option}."
        )


def _remove_left_over(target: Path) -> None:
    """Remove what processes that live no more have left of this very file."""
    for left in target.parent.glob(f".{_literal(target.name)}.*.part"):
        number = re.fullmatch(r"\.(\d+)\.part", left.name.removeprefix(f".{target.name}"))
        if number and not _lives(int(number[1])):
            left.unlink(missing_ok=True)


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
