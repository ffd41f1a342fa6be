"""What a model is asked about a text, whole in itself: it lies beside an adapter, so that no benchmark is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from finbench.errors import FinbenchError

PROBE = "A \N{PILCROW SIGN} probe."
# What a template might do to a text beside putting it in its place: trim it, change its case, cut or escape it.
PROBES = (" padded\n", "<B> & 'Mixed' \"Case\"", "two\nlines", "{{ braces }} {% if %}", "word " * 400)


@dataclass(frozen=True)
class Prompt:
    """A task's prompt around a text, with its shots, and the answers that are compared; `labels` names them.

    `clean` says that a text is cleaned before it is put in.
    """

    task: str
    labels: tuple[str, ...]
    before: str
    after: str
    answers: tuple[str, ...]
    clean: bool = False

    def requests(self, text: str, number: int) -> list[Any]:
        """Return lm-eval's requests about a text, one a label."""
        from lm_eval.api.instance import Instance

        if self.clean:
            from finbench.data.clean import clean_text

            text = clean_text(text)
        doc = {"id": "text", "text": text, "classifier_text": [text], "choices": list(self.labels)}
        context = self.before + text + self.after
        return [
            Instance("loglikelihood", doc, (context, answer), place, (self.task, number, 1))
            for place, answer in enumerate(self.answers)
        ]


def prompt_of(name: str, task: Any, shots: int | None = None, clean: bool = False) -> Prompt:
    """Return a task's prompt, with its own number of shots or another.

    Raises:
        FinbenchError: the task asks about more than a text, or its prompt does more than put the text in its place.

    """
    doc = dict(task.eval_docs[0])
    if task.config.output_type != "multiple_choice" or not doc["choices"]:
        raise _no_choice(name)
    if doc.get("entity") or doc.get("xml") or len(doc.get("classifier_text") or [""]) > 1:
        raise _more_than_a_text(name)
    from finbench.tasks.load import SHOT_SEED

    count = int(task.config.num_fewshot or 0) if shots is None else shots

    def context(text: str) -> str:
        task.set_fewshot_seed(SHOT_SEED)  # a shot that is drawn is the same for every text
        return str(task.fewshot_context({**doc, "text": text, "classifier_text": [text]}, count))

    before, found, after = context(PROBE).partition(PROBE)
    if not found or any(context(text) != before + text + after for text in PROBES):
        raise FinbenchError(
            f"task {name!r} changes a text before it asks about it, or repeats it, which cannot be done to texts of "
            "others here: let its doc_to_text hold {{text}} once, and nothing else of the row."
        )
    requests = task.construct_requests(doc, context(PROBE), doc_id=0, metadata=(name, 0, 1))
    answers = tuple(str(request.args[1]) for request in requests)
    return Prompt(name, tuple(map(str, doc["choices"])), before, after, answers, clean)


def prompts_of(tasks: Mapping[str, Any], shots: int | None, clean: bool) -> dict[str, dict[str, Any]]:
    """Return the prompts by task as they are recorded beside an adapter, without those of tasks that have none."""
    found = {}
    for name, task in tasks.items():
        try:
            found[name] = asdict(prompt_of(name, task, shots, clean))
        except FinbenchError:
            continue
    return found


def recorded(record: Mapping[str, Any], task: str, where: object) -> Prompt | None:
    """Return the prompt for a task that an adapter's record holds, None if it holds none.

    Raises:
        FinbenchError: what it holds is no prompt.

    """
    prompts = record.get("prompts") or {}
    found = prompts.get(task) if isinstance(prompts, Mapping) else prompts
    if found is None:
        return None
    names = {one.name for one in fields(Prompt)}
    if isinstance(found, Mapping) and set(found) == names and found["task"] == task:
        lists = [found["labels"], found["answers"]]
        texts = [found["before"], found["after"]]
        whole = all(isinstance(one, Sequence) and not isinstance(one, str) and len(one) > 1 for one in lists)
        if whole and len(lists[0]) == len(lists[1]) and type(found["clean"]) is bool:
            if all(isinstance(one, str) for one in [*texts, *lists[0], *lists[1]]):
                return Prompt(**{**found, "labels": tuple(lists[0]), "answers": tuple(lists[1])})
    raise FinbenchError(f"{where}: prompts[{task!r}] is no prompt; train the adapter again, or take the key out.")


def for_classifier(task: str, labels: Sequence[str]) -> Prompt:
    """Return what a classifier is asked, which needs no prompt and no rows: the task's labels, or its head's `labels`.

    Raises:
        FinbenchError: there is no such task, it does not choose between labels, or asks about more than a text.

    """
    settings = _settings(task)
    if settings.get("output_type") != "multiple_choice":
        raise _no_choice(task)
    dataset = (settings.get("dataset_kwargs") or {}).get("dataset", "file")
    if dataset != "file":
        from finbench.data.load import bundled, find

        row = bundled(dataset)
        if row.entity or row.xml or len(row.classifier_text) > 1:
            raise _more_than_a_text(task)
        labels = find(dataset).labels
    return Prompt(task, tuple(labels), "", "", tuple(f" {label}" for label in labels))


def first_of(name: str) -> str:
    """Return a group's first task; other names, known or not, as they are."""
    file = _files().get(name)
    while file is not None and (members := file.values.get("task")) and not isinstance(members, str):
        name = str(members[0])
        file = _files().get(name)
    return name


def _settings(task: str) -> Mapping[str, Any]:
    """Return a task's YAML with what it includes."""
    from finbench.tasks.file import merged

    files = _files()
    if task not in files:
        raise FinbenchError(
            f"no task is called {task!r}; there are {', '.join(sorted(files))}. FINBENCH_TASKS names more folders."
        )
    return merged(files[task], {file.path: file for file in _parsed().values()})


def _files() -> dict[str, Any]:
    return {file.name: file for file in _parsed().values() if file.name}


def _parsed() -> Mapping[Any, Any]:
    from finbench.paths import task_folders
    from finbench.tasks.file import parse_all, yaml_files

    return parse_all(yaml_files(task_folders()))[0]


def _no_choice(name: str) -> FinbenchError:
    return FinbenchError(f"task {name!r} does not choose between labels; give a task such as fin_fpb.")


def _more_than_a_text(name: str) -> FinbenchError:
    return FinbenchError(f"task {name!r} asks about more than a text alone; give a task such as fin_fpb.")
