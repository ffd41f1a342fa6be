"""Whether tasks are there at all, by the task folders' files: a wrong name need not wait for lm-eval's import."""

import re
from collections.abc import Iterable

from finbench.errors import FinbenchError
from finbench.paths import task_folders
from finbench.settings import suggestion

NAME = re.compile(r"^\s*(?:task|group|tag)[ \t]*:[ \t]*[\"']?(\w[\w.-]*)", re.MULTILINE)


def check_named(names: Iterable[str]) -> None:
    """Refuse a task or group whose name stands in no file of the task folders; `load_tasks` alone knows the rest.

    Raises:
        FinbenchError: there is none of that name.

    """
    files = (path for folder in task_folders() for path in folder.rglob("*.y*ml") if path.is_file())
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    for name in names:
        if not any(name in text for text in texts):
            known = {found for text in texts for found in NAME.findall(text) if not found.startswith("_")}
            raise FinbenchError(
                f"no task or group is called {name!r}: {suggestion(name, known)} FINBENCH_TASKS names more folders."
            )
