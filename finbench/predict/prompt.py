"""What a model is asked about a text, whole in itself: it lies beside an adapter, so that no benchmark is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from finbench.errors import FinbenchError
from finbench.scoring.kinds import kind_called
from finbench.settings import filled
from finbench.tasks.prompting import PLAIN, Prompting

PROBE = "A \N{PILCROW SIGN} probe."
# What a template might do to a text beside putting it in its place: trim it, change its case, cut or escape it.
PROBES = (" padded\n", "<B> & 'Mixed' \"Case\"", "two\nlines", "{{ braces }} {% if %}", "word " * 400)


@dataclass(frozen=True)
class Prompt:
    """A task's prompt around a text, with its shots, and the answers that are compared; `labels` names them.

    `clean` says that a text is cleaned before it is put in, `kind` how an answer is read (`finbench.scoring.kinds`)
    and `settings` what the task says of that, as JSON. Where `until` names stop strings, the answer is generated, of at
    most `tokens` tokens. A multiple choice's text ends in its options, each on a line: `A. rises`.
    """

    task: str
    labels: tuple[str, ...]
    before: str
    after: str
    answers: tuple[str, ...]
    clean: bool = False
    kind: str = "choice"
    until: tuple[str, ...] = ()
    tokens: int = 0
    settings: str = ""

    def requests(self, text: str, number: int) -> list[Any]:
        """Return lm-eval's requests about a text, one a label, or one for an answer that is generated.

        Raises:
            FinbenchError: a multiple choice's text has no options.

        """
        from lm_eval.api.instance import Instance

        if self.clean:
            from finbench.data.clean import clean_text

            lines = text.splitlines(keepends=True)
            kept = "".join(lines[-len(self.labels) :]) if self.kind == "multiple_choice" else ""  # options stay
            text = clean_text(text.removesuffix(kept)) + ("\n" if kept else "") + kept
        doc = self.doc(text)
        context = self.before + text + self.after
        if self.until:
            settings = {"until": list(self.until), "max_gen_toks": self.tokens, "do_sample": False}
            return [Instance("generate_until", doc, (context, settings), 0, (self.task, number, 1))]
        return [
            Instance("loglikelihood", doc, (context, answer), place, (self.task, number, 1))
            for place, answer in enumerate(self.answers[: len(doc["choices"])])
        ]

    def doc(self, text: str) -> dict[str, Any]:
        """Return the text as a row of the task, with the labels that it may have."""
        choices = list(self.labels)
        if self.kind == "multiple_choice":
            lines = text.splitlines()[-len(choices) :]
            offered = [letter for letter in choices if any(line.startswith(f"{letter}. ") for line in lines)]
            if len(offered) < 2 or offered != choices[: len(offered)]:
                raise FinbenchError("the text has no options: end it in lines `A. ...`, `B. ...` and so on.")
            choices = offered
        return {"id": "text", "text": text, "classifier_text": [text], "choices": choices, "settings": self.settings}


def prompt_of(
    name: str, task: Any, prompting: Prompting = PLAIN, clean: bool = False, lm: Any = None, classifier: bool = False
) -> Prompt:
    """Return a task's prompt, made as `prompting` says; `lm` gives a chat template, a `classifier` reads a text alone.

    Raises:
        FinbenchError: the task asks about more than a text, or its prompt does more than put the text in its place.

    """
    from finbench.tasks.load import SHOT_SEED, kind_of

    kind, doc = kind_of(name, task), dict(task.eval_docs[0])
    pair = len(doc.get("classifier_text") or [""]) > 1
    own = task.config.dataset_kwargs["dataset"] == "file"  # whose text holds all its columns
    asks = bool(doc.get("question")) and not kind.classes  # FiQA's only says whether news or a tweet is asked about
    if doc.get("entity") or doc.get("xml") or asks or (pair and (classifier or not own)):
        raise _more_than_a_text(name)

    def context(text: str) -> str:
        task.set_fewshot_seed(SHOT_SEED)  # a shot that is drawn is the same for every text
        return prompting.context(task, {**doc, "text": text, "classifier_text": [text]}, lm)

    before, found, after = context(PROBE).partition(PROBE)
    if not found or any(context(text) != before + text + after for text in PROBES):
        raise FinbenchError(
            f"task {name!r} changes a text before it asks about it, or repeats it, which cannot be done to texts of "
            "others here: let its doc_to_text hold {{text}} once, and nothing else of the row."
        )
    choices: list[list[str]] = [list(row) for row in task.eval_docs["choices"]]
    labels = tuple(sorted(choices, key=len)[-1])
    if kind.output_type == "generate_until":
        generation = task.config.generation_kwargs
        until, tokens = tuple(generation["until"]), int(generation.get("max_gen_toks", 64))
        return Prompt(name, labels, before, after, (), clean, kind.name, until, tokens, doc.get("settings") or "")
    if kind.name == "multiple_choice":
        after = _after_options(name, after, doc["options"])
    answers = tuple(f"{prompting.delimiter(task)}{label}" for label in labels)
    return Prompt(name, labels, before, after, answers, clean, kind.name)


def _after_options(name: str, after: str, options: Sequence[str]) -> str:
    """Return what follows the options, which a text brings with it."""
    from finbench.scoring.kinds.multiple_choice import LETTERS

    lines = "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    if not after.startswith(lines):
        raise FinbenchError(f"task {name!r}: its prompt has no line `A. ...` for each option right behind the text.")
    return after.removeprefix(lines)


def prompts_of(
    tasks: Mapping[str, Any], prompting: Prompting, clean: bool, lm: Any = None, classifier: bool = False
) -> dict[str, dict[str, Any]]:
    """Return the prompts by task as they are recorded beside an adapter, without those of tasks that have none."""
    found = {}
    for name, task in tasks.items():
        try:
            found[name] = asdict(prompt_of(name, task, prompting, clean, lm, classifier))
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
    try:
        prompt = filled(Prompt, found, "prompt")
        kind = kind_called(prompt.kind)
    except FinbenchError:
        prompt = None
    compared = prompt is not None and len(prompt.labels) == len(prompt.answers) > 1 and not prompt.until
    if prompt is not None and prompt.task == task and compared == (kind.output_type == "multiple_choice"):
        return prompt
    raise FinbenchError(f"{where}: prompts[{task!r}] is no prompt; train the adapter again, or take the key out.")


def for_classifier(task: str, labels: Sequence[str]) -> Prompt:
    """Return what a classifier is asked, which needs no prompt and no rows: the task's labels, or its head's `labels`.

    Raises:
        FinbenchError: there is no such task, it does not choose between labels, or asks about more than a text.

    """
    settings = _settings(task)
    rows = settings.get("dataset_kwargs") or {}
    if settings.get("output_type") != "multiple_choice" or rows.get("kind", "choice") != "choice":
        raise _no_choice(task)
    dataset = rows.get("dataset", "file")
    if isinstance(rows.get("text"), list) and len(rows["text"]) > 1:
        raise _more_than_a_text(task)
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
