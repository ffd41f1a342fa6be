"""A first working folder: a task of one's own, a recipe and a matrix, with comments, so that a study begins with edits.

What comes in: an empty folder; what goes out: the files beside this one, copied, and a task's YAML as
`finbench new-task` writes it. A newcomer adds a file, and its name here.
"""

from contextlib import chdir
from pathlib import Path

from finbench.errors import FinbenchError
from finbench.whole import write_text

FILES = ("my_mood.csv", "recipe.yaml", "matrix.yaml")
TASK = Path("tasks_yaml", "my_mood.yaml")


def make(folder: Path) -> list[Path]:
    """Write the files into a folder, which is made if need be; return their paths.

    Raises:
        FinbenchError: one of them is there already, or a task of that name: nothing was written; or the folder cannot
            be written.

    """
    from finbench.data.file import FileOptions
    from finbench.tasks.load import task_names
    from finbench.tasks.new import NewTask, write_task

    wanted = [folder / name for name in (*FILES, TASK)]
    if there := [path for path in wanted if path.exists()]:
        raise FinbenchError(f"{', '.join(map(str, there))}: there already. Give another folder, or move them away.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with chdir(folder):
            if TASK.stem in task_names():
                raise FinbenchError(
                    f"there is a task called {TASK.stem!r} already: rename it, or take its folder out of "
                    "FINBENCH_TASKS."
                )
            for name in FILES:
                write_text(Path(name), Path(__file__).with_name(name).read_text(encoding="utf-8"))
            asked = "What is the mood of this sentence about a company?"
            write_task(NewTask("my_mood", FileOptions(train="my_mood.csv"), asked), TASK.parent)
    except OSError as error:
        raise FinbenchError(f"{folder} cannot be written ({error.strerror}).") from error
    return wanted
